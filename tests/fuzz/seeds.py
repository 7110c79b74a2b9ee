"""Sound files to spoil: written here in every way that the writer knows, and small real ones where they are present."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from medview.core.geometry import Geometry
from medview.core.volume import Modality, Volume, VolumeId, Window
from medview.formats import image_files
from medview.formats.dicom_writer import SeriesOptions, write_series
from tests.fuzz import mutations
from tests.fuzz.mutations import Mutation

_REAL_FOLDERS = (
    "compressed-syntaxes", "broken-and-odd-files", "dicomdir", "enhanced-multiframe", "seg-dcmqi", "seg-sr-highdicom",
    "sr-tid1500-dcmqi", "rtstruct-rt-utils-phantom", "cine-multiframe-us-mr-xa", "mr-fmri-4d-nih",
    "mr-siemens-mosaic", "mr-dwi-4d-with-presentation-state", "rtstruct-sarcoma-ct-pet-mr", "character-sets",
    "radiographs-cr-dx",
)  # fmt: skip
_MOST_OF_A_KIND, _MOST_OF_A_FOLDER = 4, 60
"""Files of one series are alike, and most folders named "dicom" hold one."""
_OPTIONS = (
    SeriesOptions(),
    SeriesOptions(signed=True, bits_stored=16, transfer_syntax=ImplicitVRLittleEndian),
    SeriesOptions(transfer_syntax=ExplicitVRBigEndian),
    SeriesOptions(transfer_syntax=DeflatedExplicitVRLittleEndian),
    SeriesOptions(transfer_syntax=RLELossless),
    SeriesOptions(transfer_syntax=JPEGLSLossless),
    SeriesOptions(transfer_syntax=JPEG2000Lossless),
    SeriesOptions(multi_frame=True),
    SeriesOptions(preamble=False),
    SeriesOptions(slope=0.5, left_out=("WindowCenter",)),
)


@dataclass(frozen=True, slots=True)
class Seed:
    """A sound file, and how its kind is spoilt."""

    name: str
    data: bytes
    suffix: str
    mutations: tuple[Mutation, ...]


def volume(side: int = 32) -> Volume:
    """A small CT: (4, side, side)."""
    voxels = (np.arange(4 * side * side) % 700 - 300).astype(np.int16).reshape(4, side, side)
    geometry = Geometry.from_parts(voxels.shape, (2.0, 1.5, 1.25), (-10.0, -20.0, 30.0))
    return Volume(VolumeId("seed"), geometry, voxels, Modality.CT, "HU", "1.2.3", "seed", (Window(40.0, 400.0),))


def written(folder: Path) -> list[Seed]:
    """Files of our own making."""
    made = []
    for number, options in enumerate(_OPTIONS):
        path = write_series(volume(), folder / str(number), options)[1 if not options.multi_frame else 0]
        made.append(Seed(f"written-{number}", path.read_bytes(), ".dcm", mutations.DICOM))
    for ending, ways in ((".nii", mutations.NIFTI), (".nii.gz", mutations.NIFTI), (".nrrd", mutations.TEXT_HEADER),
                         (".mha", mutations.TEXT_HEADER)):  # fmt: skip
        path = folder / f"image{ending}"
        image_files.write_volume(volume(), path)
        made.append(Seed(f"written{ending}", path.read_bytes(), ending, ways))
    return made


def real(folder: Path, largest_bytes: int) -> list[Seed]:
    """Small real files, a few of every folder; none where the data are not on this machine."""
    found = []
    for name in _REAL_FOLDERS:
        by_folder: dict[Path, int] = {}
        for base, folders, files in os.walk(folder / name):
            folders.sort()
            for file in sorted(files):
                path = Path(base, file)
                taken = by_folder.get(path.parent, 0)
                is_dicom = not file.endswith((".json", ".txt", ".png", ".jpg", ".bval", ".bvec", ".zip", ".nii"))
                wanted = _MOST_OF_A_KIND if base.endswith("dicom") else _MOST_OF_A_FOLDER
                if taken < wanted and is_dicom and 200 < path.stat().st_size <= largest_bytes:
                    by_folder[path.parent] = taken + 1
                    ways, suffix = _ways(file)
                    found.append(Seed(str(path.relative_to(folder)), path.read_bytes(), suffix, ways))
    return found


def _ways(name: str) -> tuple[tuple[Mutation, ...], str]:
    if name.endswith(".nii.gz"):
        return mutations.NIFTI, ".nii.gz"
    if name.endswith(".nrrd"):
        return mutations.TEXT_HEADER, ".nrrd"
    return mutations.DICOM, ".dcm"
