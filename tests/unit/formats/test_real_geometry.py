"""Every real series with a place in the patient lies where dcm2niix puts it, with the same values."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray

from medview.core.case import SeriesKind
from medview.core.geometry import Geometry
from medview.core.progress import NoProgress
from medview.formats import dicom_files, dicom_series, dicom_volume
from medview.formats.dicom_series import DicomSeries

TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])

pytestmark = pytest.mark.skipif(shutil.which("dcm2niix") is None, reason="dcm2niix is not installed")

SERIES = {
    "ct-chest-lidc-0314": 1e-3,
    # 384 slices: dcm2niix takes the step between the first two, whose places are rounded, and not the mean of all
    "mr-brain-t1-studyforrest": 2e-3,
    "orientation-phantom": 1e-3,
    "mr-hippocampus-crop-dicom": 1e-3,
    "mr-fmri-4d-nih": 1e-3,
    "mr-dwi-4d-with-presentation-state": 1e-3,
    "mr-siemens-mosaic/orientation-axasc35": 1e-3,
    "mr-siemens-mosaic/orientation-corint35": 1e-3,
    "mr-siemens-mosaic/orientation-sagdesc36": 1e-3,
    "mr-siemens-mosaic/ep2d-ascending": 1e-3,
    "enhanced-multiframe/philips-b0map-64frames": 1e-3,
    "enhanced-multiframe/philips-dti": 1e-3,
    "enhanced-multiframe/philips-anatomical": 1e-3,
    "enhanced-multiframe/pydicom": 1e-3,
    "geometry-traps-small/oblique-39deg-hitachi": 1e-3,
    "geometry-traps-small/non-isotropic": 1e-3,
    "geometry-traps-small/dti-ge-2volumes": 1e-3,
    "geometry-traps-small/sliceorientation": 1e-3,
    "geometry-traps-small/slicecount": 1e-3,
    "geometry-traps-small/gantrytilting": 1e-3,
    "rtstruct-sarcoma-ct-pet-mr": 1e-3,
    "rtstruct-rt-utils-phantom": 1e-3,
    # its cosines are rounded and not at right angles; here columns are turned until they are, there they are not
    "parametric-map-dcmqi": 2e-3,
    "compressed-syntaxes/same-4-slice-volume/jpeg-lossless": 1e-3,
    "compressed-syntaxes/same-4-slice-volume/jpeg2000": 1e-3,
    "compressed-syntaxes/same-4-slice-volume/jpeg2000-b": 1e-3,
    "compressed-syntaxes/same-4-slice-volume/rle": 1e-3,
    "seg-dcmqi/23x38x3": 1e-3,
    "seg-dcmqi/24x38x3": 1e-3,
    "seg-dcmqi/ct-3slice": 1e-3,
    "dicomdir/98892001/CT5N": 1e-3,
    "dicomdir/98892003": 1e-3,
    "broken-and-odd-files": 1e-3,
}
"""Folders, and how far voxels may be from where dcm2niix puts them, mm."""

REFERENCES = {
    # the dcm2niix of some systems does not put the fragments of a frame together; the one that made the reference took
    # the step between the first two slices, whose places are rounded (2.000107 mm), for that of all
    "compressed-syntaxes/jpeg-lossless-fragmented-96-slices": ("reference/anat-T1w_acq-tfl_5001.nii", 0.011),
    # the dcm2niix of some systems is built without JPEG-LS
    "compressed-syntaxes/same-4-slice-volume/jpeg-ls": ("../reference/001_ground_truth.nii.gz", 1e-3),
}
"""Folders that dcm2niix cannot convert everywhere, the NIfTI that came with them, and the limit."""


def of_nifti(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """(voxels (x, y, z, volume), affine to LPS); None for colours."""
    image: Any = nibabel.load(path)
    if image.get_data_dtype().fields is not None:
        return None
    values = np.asanyarray(image.dataobj, dtype=np.float64)
    return (values if values.ndim == 4 else values[..., None]), TO_LPS @ image.affine


def converted(folder: Path, out: Path) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """(voxels (x, y, z, volume), affine to LPS) of every image that dcm2niix makes; of tilted ones, the corrected."""
    # -p n: values by DICOM's own rescale, as everybody else reads them, not by Philips' private one
    command = ["dcm2niix", "-p", "n", "-z", "n", "-b", "n", "-f", "%j_%s", "-o", str(out), str(folder)]
    subprocess.run(command, check=False, capture_output=True)
    return [made for path in sorted(out.glob("*.nii")) if (made := of_nifti(path)) is not None]


def on_grid(
    geometry: Geometry, values: NDArray[np.float64], affine: NDArray[np.float64], limit_mm: float = 1e-3
) -> NDArray[Any] | None:
    """The values in our order of voxels, (volume, k, j, i); None when the two grids are not the same voxels."""
    sizes = values.shape[:3]
    corners = np.array(list(itertools.product(*((0.0, size - 1.0) for size in sizes))))
    points = corners @ affine[:3, :3].T + affine[:3, 3]
    found = np.rint(geometry.to_index(points))
    if np.abs(geometry.to_patient(found) - points).max() > limit_mm:
        return None
    first = geometry.to_index(affine[:3, 3])
    steps = np.array([np.rint(geometry.to_index(affine[:3, 3] + affine[:3, axis]) - first) for axis in range(3)])
    long = [axis for axis in range(3) if sizes[axis] > 1]
    ours = {axis: int(np.abs(steps[axis]).argmax()) for axis in long}
    left = iter(sorted(set(range(3)) - set(ours.values())))
    order = {ours[axis] if axis in ours else next(left): axis for axis in range(3)}
    if len(order) < 3 or tuple(sizes[order[axis]] for axis in range(3)) != geometry.shape:
        return None
    flips = tuple(slice(None, None, -1 if steps[axis].sum() < 0 and axis in long else 1) for axis in range(3))
    return values[flips].transpose(3, order[0], order[1], order[2])


def volumes_in(folder: Path) -> list[DicomSeries]:
    found = dicom_series.group(dicom_files.scan([folder], NoProgress()).headers)
    return [one for one in found if one.facts.geometry is not None and one.facts.kind is SeriesKind.VOLUME]


@pytest.mark.parametrize("name", SERIES)
def test_a_real_series_is_what_dcm2niix_makes_of_it(name: str, real_data: Path, tmp_path: Path) -> None:
    compare(volumes_in(real_data / name), converted(real_data / name, tmp_path), SERIES[name])


@pytest.mark.parametrize("name", REFERENCES)
def test_a_real_series_is_what_came_with_it(name: str, real_data: Path) -> None:
    file, limit_mm = REFERENCES[name]
    reference = of_nifti(real_data / name / file)
    assert reference is not None
    compare(volumes_in(real_data / name), [reference], limit_mm)


def compare(
    ours: list[DicomSeries], theirs: list[tuple[NDArray[np.float64], NDArray[np.float64]]], limit_mm: float
) -> None:
    assert ours
    for series in ours:
        geometry = series.facts.geometry
        assert geometry is not None
        # one series may become several images there: echoes, and magnitude beside phase
        candidates = [
            onto for values, affine in theirs if (onto := on_grid(geometry, values, affine, limit_mm)) is not None
        ]
        assert candidates, f"nothing that dcm2niix made lies where {series.facts.description} does"
        known = [volume for onto in candidates for volume in onto]
        for phase in range(max(1, len(series.facts.phases))):
            voxels = dicom_volume.read(series, NoProgress(), phase=phase).voxels.astype(np.float64)
            tolerance = 1e-5 * np.abs(voxels).max() + 1e-6
            if geometry.slices is not None:
                tolerance = 1.0  # both interpolate, and each rounds in its own way
            assert any(np.abs(voxels - other).max() <= tolerance for other in known), f"phase {phase}"


def test_every_volume_of_a_diffusion_series_has_its_own_b_value(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "mr-dwi-4d-with-presentation-state"
    (values, affine), *_ = converted(folder, tmp_path)
    (table,) = (folder / "reference").glob("*.bval")
    b_values = [round(float(word)) for word in table.read_text().split()]
    (series,) = volumes_in(folder)
    assert series.facts.geometry is not None
    onto = on_grid(series.facts.geometry, values, affine)
    assert onto is not None
    assert len(series.facts.phases) == len(b_values) == 17
    for phase, name in enumerate(series.facts.phases):
        voxels = dicom_volume.read(series, NoProgress(), phase=phase).voxels
        (theirs,) = [number for number, other in enumerate(onto) if np.abs(other - voxels).max() < 1e-2]
        assert str(name).startswith(f"b {b_values[theirs]} ")


def test_slices_with_gaps_are_dcm2niixs_slices_at_their_own_places(real_data: Path, tmp_path: Path) -> None:
    """It puts the slices beside each other as if none were missing; here the gap is filled, between the same slices."""
    folder = real_data / "geometry-traps-small" / "sliceincrement" / "001"
    ((theirs, _), *_) = converted(folder, tmp_path)
    (series,) = volumes_in(folder)
    voxels = dicom_volume.read(series, NoProgress()).voxels
    assert (theirs.shape[2], len(voxels)) == (4, 5)
    slices = [theirs[..., k, 0].T[::-1] for k in range(4)]
    matches = [next((k for k in range(5) if np.array_equal(voxels[k], one)), None) for one in slices]
    assert matches in ([0, 1, 2, 4], [0, 1, 3, 4], [0, 2, 3, 4], [4, 2, 1, 0], [4, 3, 1, 0], [4, 3, 2, 0])


def test_the_times_of_one_slice_are_no_stack(real_data: Path, tmp_path: Path) -> None:
    """Of the moving knee, dcm2niix makes a stack of 19 slices, although all lie at one place; here they are times."""
    folder = real_data / "cine-multiframe-us-mr-xa"
    theirs = next(values for values, _ in converted(folder, tmp_path) if values.shape == (256, 256, 19, 1))
    (series,) = volumes_in(folder)
    assert series.facts.geometry is not None
    assert (series.facts.geometry.shape, len(series.facts.phases)) == ((1, 256, 256), 19)
    ours = [dicom_volume.read(series, NoProgress(), phase=phase).voxels[0] for phase in range(19)]
    for k in range(19):
        assert any(np.array_equal(theirs[:, ::-1, k, 0].T, one) for one in ours)


def test_slices_far_apart_are_two_series_and_no_box(real_data: Path, tmp_path: Path) -> None:
    """One slice 20 cm below three others: dcm2niix puts all four into one box, and guesses others between them."""
    folder = real_data / "dicomdir" / "77654033" / "CT2"
    assert next(values.shape[2] for values, _ in converted(folder, tmp_path)) == 4
    three, one = volumes_in(folder)
    assert (three.facts.slices, one.facts.slices) == (3, 1)
    assert three.facts.geometry is not None
    assert three.facts.geometry.spacing_mm[0] == pytest.approx(1.25)
