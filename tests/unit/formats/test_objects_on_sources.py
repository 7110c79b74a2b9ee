"""Every DICOM object that MedView writes, on every kind of series: its proof holds, highdicom opens it, a validator
finds no error. What a source lacks is completed, never a crash."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import SegmentationStorage

from medview.catalog import quantities
from medview.core.geometry import Geometry
from medview.core.progress import NoProgress
from medview.core.volume import Volume
from medview.formats import (
    dicom_files,
    dicom_seg,
    dicom_series,
    dicom_sr,
    dicom_volume,
    parametric_map,
    rtstruct_writer,
)
from medview.formats.dicom_seg import SegKind
from medview.formats.dicom_writer import SeriesOptions
from medview.formats.parametric_map import MapMeaning
from tests.support import reports, source_series, volumes
from tests.unit.formats.test_corrected_grid import odd_series

Source = tuple[Volume, tuple[Path, ...]]

SHAPE = (9, 24, 20)
TYPE_2 = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID",
    "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip
LACKS = {
    "no birth date": ("PatientBirthDate",),
    "no study date": ("StudyDate",),
    "no frame of reference": ("FrameOfReferenceUID",),
    "no study ID": ("StudyID",),
    "no study UID": ("StudyInstanceUID",),
    "nothing of type 2": (*TYPE_2, "FrameOfReferenceUID", "SeriesNumber", "SliceThickness"),
}
REAL = {
    "chest CT": ("ct-chest-lidc-0314", 24),
    "oblique MR": ("mr-brain-t1-studyforrest", 24),
    "enhanced multi-frame": ("enhanced-multiframe/philips-anatomical", None),
    "mosaic": ("mr-siemens-mosaic/orientation-corint35", None),
    "tilted CT": ("ct-head-tilt-variable-spacing", None),
    "PET": ("rtstruct-sarcoma-ct-pet-mr/STS_025/dicom/PET", None),
    "MR without series number": ("mr-hippocampus-crop-dicom", None),
}


def read(files: list[Path]) -> Source:
    found = dicom_series.group(dicom_files.scan(files, NoProgress()).headers)
    series = next(one for one in found if one.facts.geometry is not None)
    volume = dicom_volume.read(series, NoProgress())
    return volume, tuple(dict.fromkeys(frame.header.path for frame in series.phase(0)))


def made(folder: Path, name: str) -> Source:
    if name in LACKS or name == "long texts":
        geometry = Geometry.from_parts(SHAPE, (2.5, 0.7, 0.8), (-31.5, 12.25, 700.5))
        changes: dict[str, object] = {"StudyID": "x" * 18, "StudyDescription": "y" * 70} if name == "long texts" else {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pydicom, about the long ones
            return read(sorted(source_series.make(folder, geometry, without=LACKS.get(name, ()), changes=changes)[1]))
    if name in ("tilted", "uneven"):
        options = SeriesOptions(tilt_degrees=17.0) if name == "tilted" else SeriesOptions(moved_mm=((3, 1.0), (5, 2.0)))
        return read(list(odd_series(folder, options, None).facts.files))
    direction = volumes.oblique() if name == "oblique" else -volumes.orientations()[9]
    return read(
        sorted(source_series.make(folder, Geometry.from_parts(SHAPE, (2.0, 0.9, 0.9), (1.0, 2.0, 3.0), direction))[1])
    )


def middle(folder: Path, count: int, target: Path) -> list[Path]:
    """Copies of some neighbouring slices out of the middle of a series."""
    series = max(dicom_series.group(dicom_files.scan([folder], NoProgress()).headers), key=lambda one: one.facts.slices)
    start = len(series.frames) // 2 - count // 2
    target.mkdir()
    return [
        Path(shutil.copy(frame.header.path, target / f"{number}.dcm"))
        for number, frame in enumerate(series.frames[start : start + count])
    ]


def write_all(source: Source, folder: Path) -> Iterator[tuple[str, Path, Callable[[Path], object]]]:
    """Each object, where it is, and highdicom's reader of it."""
    volume, files = source
    mask = reports.mask_on(volume)
    for kind in SegKind:
        path = folder / f"{kind.value}.dcm"
        assert dicom_seg.write(mask, volume, files, path, kind=kind).ok
        yield kind.value, path, highdicom.seg.segread
    contours = folder / "contours.dcm"
    assert rtstruct_writer.write(mask, volume, files, contours).ok
    yield "contours", contours, dcmread
    report = reports.report_on(volume, mask, doubtful=volume.caution)
    assert dicom_sr.write(report, volume, files, folder / "report.dcm", mask=folder / "binary.dcm").ok
    yield "report", folder / "report.dcm", highdicom.sr.srread
    known = quantities.load()
    meaning = MapMeaning(known.maps["probability"], known.unit(""), "Probability")
    values = np.random.default_rng(0).random(volume.geometry.shape, dtype=np.float32)
    assert parametric_map.write(
        values, volume.geometry, meaning, files, folder / "map.dcm", series_uid=volume.series_uid, phase=volume.phase
    ).ok
    yield "map", folder / "map.dcm", highdicom.imread


def check(source: Source, folder: Path) -> None:
    folder.mkdir()
    spaces, studies = set(), set()
    for name, path, opened in write_all(source, folder):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert opened(path) is not None
        dataset = dcmread(path)
        studies.add(dataset.StudyInstanceUID)
        if "FrameOfReferenceUID" in dataset:
            spaces.add(dataset.FrameOfReferenceUID)
        if shutil.which("dciodvfy"):
            errors = errors_of_label_map(path) if name == SegKind.LABELMAP else reports.errors_of(path)
            assert (name, errors) == (name, [])
    assert len(studies) == len(spaces) == 1


def errors_of_label_map(path: Path) -> list[str]:
    """What dciodvfy says of a label map, which it does not know, when that calls itself a segmentation of masks.

    Everything but what a label map has otherwise is checked so: its type, its background, which is segment 0, and that
    frames are not those of one segment.
    """
    dataset = dcmread(path)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = SegmentationStorage
    twin = path.with_name("twin.dcm")
    dataset.save_as(twin)
    told = ("<LABELMAP>", "Segment Number", "SegmentNumber of 0", "<SegmentIdentificationSequence>")
    return [error for error in reports.errors_of(twin) if not any(part in error for part in told)]


@pytest.mark.parametrize("name", ["oblique", "reversed", "tilted", "uneven", "long texts", *LACKS])
def test_made_series(name: str, tmp_path: Path) -> None:
    check(made(tmp_path / "series", name), tmp_path / "written")


@pytest.mark.parametrize("name", REAL)
def test_real_series(name: str, real_data: Path, tmp_path: Path) -> None:
    folder, count = REAL[name]
    files = middle(real_data / folder, count, tmp_path / "slices") if count else [real_data / folder]
    check(read(files), tmp_path / "written")


def test_a_structure_without_a_code_gets_a_valid_one(tmp_path: Path) -> None:
    volume, files = made(tmp_path / "series", "oblique")
    dicom_seg.write(reports.mask_on(volume), volume, files, tmp_path / "seg.dcm")
    known, unknown = dcmread(tmp_path / "seg.dcm").SegmentSequence
    assert known.SegmentedPropertyTypeCodeSequence[0].CodeValue == codes.SCT.Lung.value
    code = unknown.SegmentedPropertyTypeCodeSequence[0]
    assert unknown.SegmentLabel == "Thing without a code"
    assert (code.CodeValue, code.CodingSchemeDesignator) == (codes.SCT.Tissue.value, "SCT")
    assert len(unknown.RecommendedDisplayCIELabValue) == 3


@pytest.mark.parametrize("shape", [(5, 35, 51), (5, 7, 9), (4, 1, 5)])
def test_label_maps_of_odd_sizes(shape: tuple[int, int, int], tmp_path: Path) -> None:
    """An encoder ended the whole program on frames with an odd number of pixels."""
    geometry = Geometry.from_parts(shape, (2.0, 0.9, 0.9), (1.0, 2.0, 3.0))
    volume, files = source_series.make(tmp_path / "series", geometry)
    mask = reports.mask_on(volume)
    assert dicom_seg.write(mask, volume, files, tmp_path / "map.dcm", kind=SegKind.LABELMAP).ok
    read_back = dicom_seg.read(tmp_path / "map.dcm", geometry)
    np.testing.assert_array_equal(read_back.labels > 0, mask.labels > 0)


@pytest.mark.parametrize("phase", [0, 3])
def test_objects_on_a_later_phase_refer_to_its_frames(phase: int, real_data: Path, tmp_path: Path) -> None:
    """A diffusion series of four volumes in one file: the frames that are named hold the very pixels drawn on."""
    (file,) = (real_data / "enhanced-multiframe/philips-dti/dicom").iterdir()
    (series,) = dicom_series.group(dicom_files.scan([file], NoProgress()).headers)
    volume = dicom_volume.read(series, NoProgress(), phase=phase)
    pixels = dcmread(file).pixel_array
    named = {name: frames_named(dcmread(path)) for name, path, _ in write_all((volume, (file,)), tmp_path)}
    drawn = np.flatnonzero(reports.labels_on(volume.geometry).any(axis=(1, 2)))
    assert set(named) == {"binary", "labelmap", "contours", "report", "map"}
    for name, frames in named.items():
        alike = [[same_picture(pixels[frame - 1], plane) for plane in volume.voxels] for frame in sorted(frames)]
        assert np.sum(alike, axis=1).tolist() == [1] * len(frames), name
        seen = set(np.flatnonzero(np.any(alike, axis=0)))
        assert seen & set(drawn) if name == "report" else seen >= set(drawn), name


def same_picture(stored: NDArray[Any], values: NDArray[Any]) -> bool:
    """Whether values are stored pixels, rescaled."""
    return bool(np.corrcoef(stored.ravel(), values.ravel())[0, 1] > 1 - 1e-9)


def frames_named(dataset: Dataset) -> set[int]:
    """The numbers of all frames that an object refers to, at any depth."""
    return {
        int(number)
        for element in dataset.iterall()
        if element.keyword == "ReferencedFrameNumber"
        for number in (element.value if element.VM > 1 else [element.value])
    }
