"""Every real series with a place in the patient lies where dcm2niix puts it, with the same values."""

from __future__ import annotations

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

SERIES = [
    "orientation-phantom",
    "mr-hippocampus-crop-dicom",
    "mr-fmri-4d-nih",
    "mr-dwi-4d-with-presentation-state",
    "mr-siemens-mosaic/orientation-axasc35",
    "mr-siemens-mosaic/orientation-corint35",
    "mr-siemens-mosaic/orientation-sagdesc36",
    "mr-siemens-mosaic/ep2d-ascending",
    "enhanced-multiframe/philips-b0map-64frames",
    "enhanced-multiframe/philips-dti",
    "enhanced-multiframe/philips-anatomical",
    "geometry-traps-small/oblique-39deg-hitachi",
    "geometry-traps-small/non-isotropic",
    "geometry-traps-small/dti-ge-2volumes",
    "geometry-traps-small/sliceorientation",
    "geometry-traps-small/slicecount",
    "geometry-traps-small/gantrytilting",
    "rtstruct-sarcoma-ct-pet-mr",
]
"""Uneven and gapped series are not among them: dcm2niix keeps their slices side by side as if they were even, or puts
them on an even grid of another step. Their truth is in test_corrected_grid.py."""


def converted(folder: Path, out: Path) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """(voxels (x, y, z, volume), affine to LPS) of every image that dcm2niix makes; of tilted ones, the corrected."""
    # -p n: values by DICOM's own rescale, as everybody else reads them, not by Philips' private one
    command = ["dcm2niix", "-p", "n", "-z", "n", "-b", "n", "-f", "%j_%s", "-o", str(out), str(folder)]
    subprocess.run(command, check=False, capture_output=True)
    images: list[Any] = [nibabel.load(path) for path in sorted(out.glob("*.nii"))]
    made = []
    for image in images:
        values = np.asanyarray(image.dataobj, dtype=np.float64)
        made.append((values if values.ndim == 4 else values[..., None], TO_LPS @ image.affine))
    return made


def on_grid(geometry: Geometry, values: NDArray[np.float64], affine: NDArray[np.float64]) -> NDArray[Any] | None:
    """The values in our order of voxels, (volume, k, j, i); None when the two grids are not the same voxels."""
    if int(np.prod(values.shape[:3])) != int(np.prod(geometry.shape)):
        return None
    index = np.argwhere(np.ones(values.shape[:3])).astype(np.float64)
    points = index @ affine[:3, :3].T + affine[:3, 3]
    found = np.rint(geometry.to_index(points)).astype(int)
    if (found < 0).any() or (found >= geometry.shape).any():
        return None
    if np.abs(geometry.to_patient(found.astype(np.float64)) - points).max() > 1e-3:
        return None
    onto = np.full((values.shape[3], *geometry.shape), np.nan)
    k, j, i = found.T
    onto[:, k, j, i] = values.reshape(-1, values.shape[3]).T
    return onto


def volumes_in(folder: Path) -> list[DicomSeries]:
    found = dicom_series.group(dicom_files.scan([folder], NoProgress()).headers)
    return [one for one in found if one.facts.geometry is not None and one.facts.kind is SeriesKind.VOLUME]


@pytest.mark.parametrize("name", SERIES)
def test_a_real_series_is_what_dcm2niix_makes_of_it(name: str, real_data: Path, tmp_path: Path) -> None:
    theirs = converted(real_data / name, tmp_path)
    ours = volumes_in(real_data / name)
    assert ours
    for series in ours:
        geometry = series.facts.geometry
        assert geometry is not None
        # one series may become several images there: echoes, and magnitude beside phase
        candidates = [onto for values, affine in theirs if (onto := on_grid(geometry, values, affine)) is not None]
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
