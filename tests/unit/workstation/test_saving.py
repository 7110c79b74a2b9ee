"""Masks saved as files: what is written, what is said of it, and what happens when it goes wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pytest
import SimpleITK
from pydicom import dcmread

from medview.core.errors import Cancelled, InputError
from medview.core.geometry import Geometry
from medview.core.measurement import MeasurementKind
from medview.core.mesh import Mesh
from medview.core.progress import NoProgress, Progress
from medview.core.segmentation import Labels, Segment, Segmentation
from medview.core.text import Text
from medview.core.volume import Volume
from medview.formats import dicom_seg, rtstruct_proof, rtstruct_reader, rtstruct_writer, stl
from medview.views import surface_files
from medview.workstation import saving
from medview.workstation.saving import COMPARED, Masks, SaveFormat, Verdict
from medview.workstation.station import Workstation
from medview.workstation.waiting import wait_for, wait_for_all
from tests.support import reports, source_series

GRID = Geometry.from_parts((7, 40, 36), (2.5, 0.7, 0.8), (-31.5, 12.25, 700.5))
ALL = tuple(SaveFormat)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> tuple[Volume, tuple[Path, ...]]:
    return source_series.make(tmp_path_factory.mktemp("series"), GRID)


@pytest.fixture
def masks(source: tuple[Volume, tuple[Path, ...]]) -> Masks:
    volume, files = source
    return Masks(reports.mask_on(volume), volume, files, "Reader^One", reports.measurements_on(volume))


def save(masks: Masks, formats: tuple[SaveFormat, ...], folder: Path) -> tuple[Verdict, ...]:
    return saving.save(masks, formats, folder, "lungs", surface_files.make_meshes, NoProgress())


def test_every_format_is_written_and_proved(masks: Masks, tmp_path: Path) -> None:
    verdicts = save(masks, ALL, tmp_path)
    assert {str(one.differences) for one in verdicts} == {"()"}
    assert [one.path.name for one in verdicts] == [
        "lungs-seg.dcm",
        "lungs-labelmap.dcm",
        "lungs-rtstruct.dcm",
        "lungs-report.dcm",
        "lungs.nii.gz",
        "lungs.nrrd",
        "lungs-Left-lung.stl",
        "lungs-Thing-without-a-code.stl",
    ]
    assert sorted(one.path for one in verdicts) == sorted(tmp_path.iterdir())
    assert set(COMPARED) == set(SaveFormat)

    # by other readers: what is in them
    labels = masks.segmentation.labels
    image = SimpleITK.ReadImage(str(tmp_path / "lungs.nii.gz"))
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(image), labels)
    for name in ("lungs-seg.dcm", "lungs-labelmap.dcm"):
        read = dicom_seg.read(tmp_path / name, GRID).labels
        np.testing.assert_array_equal(np.where(read > 0, np.where(read == 1, 3, 7), 0), labels)
    read = rtstruct_reader.read_layers(tmp_path / "lungs-rtstruct.dcm", GRID)[0].labels
    np.testing.assert_array_equal(read > 0, labels > 0)
    volume_mm3, center = stl.read(tmp_path / "lungs-Left-lung.stl")[0].enclosed()
    assert volume_mm3 == pytest.approx(np.count_nonzero(labels == 3) * GRID.voxel_mm3, rel=0.01)
    assert np.abs(center - GRID.to_patient(np.argwhere(labels == 3).mean(axis=0))).max() < 1.0


def test_the_report_has_the_numbers_of_numpy(masks: Masks, tmp_path: Path) -> None:
    save(masks, (SaveFormat.REPORT,), tmp_path)
    seg = dcmread(tmp_path / "lungs-seg.dcm")
    content = reports.content_of(tmp_path / "lungs-report.dcm")
    groups = content.get_volumetric_roi_measurement_groups()
    assert len(groups) == 2
    for group, label in zip(groups, (3, 7), strict=True):
        values = masks.volume.voxels[masks.segmentation.labels == label].astype(np.float64)
        numbers = [one.value for one in group.get_measurements()]
        expected = [values.size * GRID.voxel_mm3 / 1000, values.mean(), values.std(ddof=1), values.min(), values.max()]
        assert numbers == pytest.approx(expected)
        assert group.referenced_segment.referenced_sop_instance_uid == seg.SOPInstanceUID
    assert len(content.get_planar_roi_measurement_groups()) > 0


def test_a_report_refers_to_the_label_map_when_that_is_chosen(masks: Masks, tmp_path: Path) -> None:
    verdicts = save(masks, (SaveFormat.LABELMAP, SaveFormat.REPORT), tmp_path)
    assert [(one.format, one.ok) for one in verdicts] == [(SaveFormat.LABELMAP, True), (SaveFormat.REPORT, True)]
    group, *_ = reports.content_of(tmp_path / "lungs-report.dcm").get_volumetric_roi_measurement_groups()
    uid = dcmread(tmp_path / "lungs-labelmap.dcm").SOPInstanceUID
    assert group.referenced_segment.referenced_sop_instance_uid == uid


def test_one_segment_keeps_the_name_and_equal_names_are_told_apart(tmp_path: Path) -> None:
    one = Segmentation(GRID, segments=(Segment(1, "Liver", (1, 2, 3)),))
    assert saving.surface_files(one, tmp_path / "a.stl") == {1: tmp_path / "a.stl"}
    names = ("Liver", "Liver", "a/b:c")
    three = Segmentation(GRID, segments=tuple(Segment(n, name, (1, 2, 3)) for n, name in enumerate(names, start=1)))
    found = saving.surface_files(three, tmp_path / "a.stl")
    assert [path.name for path in found.values()] == ["a-Liver.stl", "a-Liver-2.stl", "a-a-b-c.stl"]


@pytest.mark.parametrize(
    ("text", "name"), [("CT lungs", "CT-lungs"), ("a/b\\c:d", "a-b-c-d"), ("肺", "肺"), ("", "masks"), ("..", "masks")]
)
def test_texts_become_names_of_files(text: str, name: str) -> None:
    assert saving.file_name(text) == name


def test_without_dicom_the_others_are_still_written(masks: Masks, tmp_path: Path) -> None:
    bare = Masks(masks.segmentation, masks.volume, (), "Reader")
    verdicts = save(bare, ALL, tmp_path)
    wrong = [one for one in verdicts if not one.ok]
    assert {one.format for one in wrong} == {one for one in SaveFormat if one.needs_dicom}
    assert all(str(one.differences[0]) and str(one.remedy) for one in wrong)
    assert {path.suffix for path in tmp_path.iterdir()} == {".gz", ".nrrd", ".stl"}


def test_a_report_never_refers_to_an_older_mask(masks: Masks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(masks, (SaveFormat.REPORT,), tmp_path)
    before = (tmp_path / "lungs-report.dcm").read_bytes()
    monkeypatch.setattr(
        dicom_seg, "sources_on", lambda *_, **__: (_ for _ in ()).throw(InputError("The images are gone."))
    )
    verdicts = save(masks, (SaveFormat.REPORT,), tmp_path)
    assert [one.ok for one in verdicts] == [False, False]
    assert (tmp_path / "lungs-report.dcm").read_bytes() == before


def flipped_surfaces(labels: Labels, geometry: Geometry, wanted: Any, progress: Progress) -> Iterator[tuple[int, Mesh]]:
    for label, mesh in surface_files.make_meshes(labels, geometry, wanted, progress):
        flipped = mesh.points * np.array([1, -1, 1], np.float32)
        yield label, Mesh(flipped, mesh.triangles[:, ::-1], mesh.coarseness)


def test_a_flipped_axis_turns_the_verdict_red(masks: Masks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In every format at once: masks, contours, labels and surfaces; and nothing of it is left."""
    real_seg, real_contours = highdicom.seg.Segmentation, rtstruct_proof.prove

    def flipped_seg(**arguments: Any) -> Any:
        return real_seg(**{**arguments, "pixel_array": arguments["pixel_array"][:, ::-1]})

    def flipped_contours(path: Path, *others: Any) -> Any:
        dataset = dcmread(path)
        for region in dataset.ROIContourSequence:
            for item in region.ContourSequence:
                item.ContourData = [-float(v) if n % 3 == 1 else v for n, v in enumerate(item.ContourData)]
        dataset.save_as(path)
        return real_contours(path, *others)

    monkeypatch.setattr(highdicom.seg, "Segmentation", flipped_seg)
    monkeypatch.setattr(rtstruct_writer, "prove", flipped_contours)
    real_image = SimpleITK.GetImageFromArray
    monkeypatch.setattr(SimpleITK, "GetImageFromArray", lambda array: real_image(np.ascontiguousarray(array[:, ::-1])))
    verdicts = saving.save(masks, ALL, tmp_path, "lungs", flipped_surfaces, NoProgress())
    assert {one.format for one in verdicts if one.ok} == set()
    assert {one.format for one in verdicts} == set(SaveFormat)
    assert all(one.differences for one in verdicts)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_segment_has_no_surface_and_says_so(source: tuple[Volume, tuple[Path, ...]], tmp_path: Path) -> None:
    volume, files = source
    segmentation = Segmentation(GRID, segments=(Segment(1, "Liver", (1, 2, 3)),))
    (verdict,) = save(Masks(segmentation, volume, files, "Reader"), (SaveFormat.STL,), tmp_path)
    assert "no voxels" in str(verdict.differences[0])
    assert not verdict.path.exists()


def test_what_is_stopped_stops(masks: Masks, tmp_path: Path) -> None:
    class Stop(NoProgress):
        def report(self, fraction: float | None, message: Text | str = "") -> None:
            self.far = fraction

        def raise_if_cancelled(self) -> None:
            raise Cancelled

    with pytest.raises(Cancelled):
        saving.save(masks, ALL, tmp_path, "lungs", surface_files.make_meshes, Stop())
    assert list(tmp_path.iterdir()) == []


# In the workstation


@pytest.fixture
def station(medview_home: Path) -> Iterator[Workstation]:
    made = Workstation(medview_home)
    yield made
    made.close()


def opened(station: Workstation, folder: Path) -> Segmentation:
    wait_for(station.queue, station.importing.open_paths([folder]))
    wait_for_all(station.queue, station.jobs)
    case, volume = station.workspace.active_case, station.workspace.active_volume
    assert case is not None
    assert volume is not None
    drawn = reports.mask_on(volume)
    case.add_segmentation(drawn, volume.id)
    station.workspace.activate(case, volume, drawn)
    station.correction.adopt(drawn)
    return drawn


def test_masks_are_saved_in_a_job(station: Workstation, small_series_folder: Path, tmp_path: Path) -> None:
    station.settings.update(reader="Reader^Two")
    drawn = opened(station, small_series_folder)
    assert len(station.saving.sources(drawn)) == 40
    formats = [SaveFormat.REPORT, SaveFormat.STL]
    verdicts = wait_for(station.queue, station.save_masks(drawn, formats, tmp_path, "x", surface_files.make_meshes))
    assert verdicts is not None
    assert [one.ok for one in verdicts] == [True] * 4
    observers = reports.content_of(tmp_path / "x-report.dcm").get_observer_contexts()
    assert str(observers[0].observer_identifying_attributes.name) == "Reader^Two"


def test_what_was_measured_goes_into_the_report(
    station: Workstation, small_series_folder: Path, tmp_path: Path
) -> None:
    drawn = opened(station, small_series_folder)
    volume = station.workspace.active_volume
    assert volume is not None
    ends = volume.geometry.to_patient(np.array([[20, 30, 20], [20, 30, 40]], dtype=np.float64))
    station.measuring.sketch(MeasurementKind.LENGTH, ends, 0, 20)
    station.measuring.keep()
    wait_for(station.queue, station.save_masks(drawn, [SaveFormat.REPORT], tmp_path, "x", surface_files.make_meshes))
    (group,) = reports.content_of(tmp_path / "x-report.dcm").get_image_measurement_groups()
    (length,) = group.get_measurements()
    assert length.value == pytest.approx(20 * volume.geometry.spacing_mm[2])
    assert length.unit.value == "mm"


def test_masks_of_a_closed_case_are_refused(station: Workstation, small_series_folder: Path, tmp_path: Path) -> None:
    drawn = opened(station, small_series_folder)
    case = station.workspace.active_case
    assert case is not None
    station.workspace.close_case(case)
    with pytest.raises(InputError, match="no open case"):
        station.save_masks(drawn, [SaveFormat.NIFTI], tmp_path, "x", surface_files.make_meshes)
