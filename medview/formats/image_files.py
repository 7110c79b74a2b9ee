"""NIfTI, NRRD and MetaImage files: volumes and label maps, in and out."""

from __future__ import annotations

import hashlib
import math
import os
import re
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medview.core import memory
from medview.core.case import Patient, Remark, Series, Severity, Study
from medview.core.errors import StorageError, UnreadableFileError, UnsupportedSeriesError
from medview.core.geometry import Floats, Geometry
from medview.core.progress import NoProgress, PartOf, Progress
from medview.core.proof import Proof
from medview.core.segmentation import Labels
from medview.core.text import Text
from medview.core.volume import Modality, Volume, VolumeId
from medview.formats import nifti
from medview.formats.itk_geometry import from_itk, to_itk

_NIFTI = (".nii", ".nii.gz", ".hdr", ".hdr.gz")
_ITK = (".nrrd", ".nhdr", ".mha", ".mhd")
_WRITTEN = (".nii", ".nii.gz", ".nrrd", ".mha")
_HEADER_OF_DATA = {".raw": (".nhdr", ".mhd"), ".zraw": (".mhd",), ".gz": (".nhdr",), ".img": (".hdr", ".nhdr")}
_LARGEST_NUMBER_BYTES = 8
_CT_AIR = -500
_HU_LIMITS = (-4096, 32767)
_CT_WORDS = re.compile(r"(?:^|[^a-z])(ct|cect|ncct|hu)(?:[^a-z]|$)")
_MR_WORDS = re.compile(r"(?:^|[^a-z])(mr|mri|t1w?|t2w?|t1c|t1ce|t1gd|flair|dwi|adc|swi|pdw?)(?:[^a-z]|$)")
_PT_WORDS = re.compile(r"(?:^|[^a-z])(pet|suv|suvbw|fdg)(?:[^a-z]|$)")
_SUV_WORDS = re.compile(r"(?:^|[^a-z])(suv|suvbw)(?:[^a-z]|$)")
_GUESSED = Text("The file does not say what made it; by its name and its values it was taken for {modality}.")


def is_image_file(path: Path) -> bool:
    """Whether the name is that of a NIfTI, NRRD or MetaImage file, or of its header."""
    return path.name.lower().endswith((*_NIFTI, *_ITK))


def is_data_of_image_file(path: Path) -> bool:
    """Whether a file is the voxel part of an image whose header lies beside it."""
    endings = _HEADER_OF_DATA.get(path.suffix.lower(), ())
    stem = path.name.split(".")[0] if path.suffix.lower() == ".gz" else path.stem
    return any(path.with_name(stem + ending).is_file() for ending in endings)


def is_name_of_data(path: Path) -> bool:
    """Whether a file is named like the voxel part of an image whose header lies in a file of its own."""
    return path.suffix.lower() in _HEADER_OF_DATA


def describe(path: Path) -> Series:
    """What is known of an image file before its voxels are read. A file that cannot be opened is a refused series.

    Raises:
        UnreadableFileError: It is damaged, or not what its name says.
    """
    name = _stem(path)
    uid = "file-" + hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:24]
    remarks: tuple[Remark, ...] = ()
    geometry: Geometry | None = None
    try:
        geometry, remarks = _geometry(path)
    except UnsupportedSeriesError as error:
        remarks = (Remark(Severity.REFUSED, "unsupported", error.what),)
    return Series(
        uid=uid,
        study=Study(uid, Patient(name, name)),
        modality=_modality_by_name(name) or Modality.OTHER,
        description=path.name,
        number=None,
        body_part="",
        files=(path,),
        slices=geometry.shape[0] if geometry else 0,
        geometry=geometry,
        remarks=remarks,
    )


def read_volume(path: Path, progress: Progress) -> Volume:
    """Read an image file.

    Returns:
        Voxels: (k, j, i) int16, uint16, int32 or float32, the smallest that holds every value exactly, except that
        64-bit fractions become float32 and what is no number becomes the lowest value.

    Raises:
        UnreadableFileError: It is damaged, or not what its name says.
        UnsupportedSeriesError: It holds more than one grey volume, or its axes are not at right angles.
        Cancelled: The progress says so.
    """
    series = describe(path)
    if series.geometry is None:
        raise UnsupportedSeriesError(series.remarks[0].text)
    values = _compact(_values(path, PartOf(progress, 0.0, 0.9)))
    modality = series.modality if series.modality is not Modality.OTHER else _modality_by_values(values)
    unit = _unit(modality, path.name)
    return Volume(VolumeId(uuid.uuid4().hex), series.geometry, values, modality, unit, series.uid, series.description)


def with_guess(series: Series, volume: Volume) -> Series:
    """What is known of an image file once it has been read: its modality, and that this is a guess."""
    guess = Remark(Severity.NOTE, "modality-guessed", Text(_GUESSED.template, (("modality", volume.modality.value),)))
    kept = tuple(remark for remark in series.remarks if remark.code != guess.code)
    return replace(series, modality=volume.modality, remarks=(*kept, guess))


def read_labels(path: Path) -> tuple[Labels, Geometry]:
    """Read a label map.

    Returns:
        (k, j, i) uint8 or uint16, and its grid.

    Raises:
        UnreadableFileError: It is damaged, or not what its name says.
        UnsupportedSeriesError: Its values are no label numbers, or it is no single volume.
    """
    geometry, _ = _geometry(path)
    values = _values(path, NoProgress())
    low, high = float(values.min()), float(values.max())
    whole = np.issubdtype(values.dtype, np.integer) or bool(np.equal(np.rint(values), values).all())
    if not whole or low < 0 or high > np.iinfo(np.uint16).max:
        raise UnsupportedSeriesError(
            Text.of("{file} is no label map: its values are not whole numbers from 0 to 65535.", file=path.name),
            Text("Open it as an image."),
        )
    return np.ascontiguousarray(values, dtype=np.uint8 if high <= np.iinfo(np.uint8).max else np.uint16), geometry


def write_volume(volume: Volume, path: Path) -> None:
    """Write a volume as NIfTI, NRRD or MetaImage, by the file's ending. Nothing is left behind when it fails.

    Raises:
        StorageError: The ending is another, or the disk refuses.
    """
    _write(volume.voxels, volume.geometry, path)


def write_labels(labels: Labels, geometry: Geometry, path: Path) -> None:
    """Write a label map: (k, j, i) uint8 or uint16; as `write_volume`.

    Raises:
        StorageError: The ending is another, or the disk refuses.
    """
    _write(labels, geometry, path)


def write_proved(array: NDArray[Any], geometry: Geometry, path: Path) -> Proof:
    """Write voxels or labels, (k, j, i), and read them back another way before the file gets its name.

    Raises:
        StorageError: The ending is another, or the disk refuses, or it did not read back as meant.
    """
    from medview.formats.proof import prove_image

    def check(temporary: Path) -> None:
        Proof(path, prove_image(temporary, array, geometry).differences).require()

    _write(array, geometry, path, check)
    return Proof(path)


def _write(array: NDArray[Any], geometry: Geometry, path: Path, check: Callable[[Path], None] | None = None) -> None:
    import SimpleITK

    ending = next((one for one in sorted(_WRITTEN, key=len, reverse=True) if path.name.lower().endswith(one)), None)
    if ending is None:
        raise StorageError(
            Text.of("MedView does not write files like {file}.", file=path.name),
            Text("Choose a name that ends in .nii.gz, .nii, .nrrd or .mha."),
        )
    temporary = path.with_name(f".{uuid.uuid4().hex}{ending}")
    writer = SimpleITK.ImageFileWriter()
    writer.SetFileName(str(temporary))
    writer.SetUseCompression(ending != ".nii")
    writer.SetCompressionLevel(1)  # three times as fast as the default, a tenth larger
    try:
        writer.Execute(to_itk(array, geometry))
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        if check is not None:
            check(temporary)
        temporary.replace(path)
    except (RuntimeError, OSError) as error:
        raise StorageError(
            Text.of("{file} could not be written.", file=path.name),
            Text("Check that the folder exists, that it may be written to, and that the disk has room."),
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _geometry(path: Path) -> tuple[Geometry, tuple[Remark, ...]]:
    if not path.name.lower().endswith(_NIFTI):
        reader = _itk_information(path)
        try:
            return from_itk(reader), ()
        except ValueError as error:
            raise UnsupportedSeriesError(_NOT_AT_RIGHT_ANGLES) from error
    header = nifti.read_header(path)
    remarks = []
    if not header.has_orientation:
        text = Text("The file does not say how the patient lies: left and right, front and back are guessed.")
        remarks.append(Remark(Severity.WARNING, "no-orientation", text))
    try:
        return Geometry(header.shape, header.affine), tuple(remarks)
    except ValueError:
        geometry, moved_mm = _straightened(header.shape, header.affine)
    text = Text.of(
        "Its axes are not exactly at right angles and were straightened; the corners moved by up to {mm} mm.",
        mm=f"{moved_mm:.2f}",
    )
    return geometry, (*remarks, Remark(Severity.NOTE, "straightened", text))


_NOT_AT_RIGHT_ANGLES = Text("Its axes are not at right angles (sheared); MedView cannot open such images yet.")


def _straightened(shape: tuple[int, int, int], affine: Floats) -> tuple[Geometry, float]:
    """The nearest grid with right angles, about the same centre, and how far its corners are from the stored ones.

    Raises:
        UnsupportedSeriesError: The corners would move by more than a voxel.
    """
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if lengths.min() <= 0:
        raise UnsupportedSeriesError(_NOT_AT_RIGHT_ANGLES)
    left, _, right = np.linalg.svd(affine[:3, :3] / lengths)
    straight = affine.copy()
    straight[:3, :3] = (left @ right) * lengths
    center = np.append((np.array(shape) - 1) / 2, 1.0)
    straight[:3, 3] += (affine @ center - straight @ center)[:3]
    corners = np.array([[k, j, i, 1] for k in (0, 1) for j in (0, 1) for i in (0, 1)]) * [*(np.array(shape) - 1), 1]
    moved_mm = float(np.linalg.norm((corners @ (straight - affine).T)[:, :3], axis=1).max())
    if moved_mm > lengths.min():
        raise UnsupportedSeriesError(_NOT_AT_RIGHT_ANGLES)
    return Geometry(shape, straight), moved_mm


def _itk_information(path: Path) -> Any:
    import SimpleITK

    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise UnreadableFileError(
            Text("The file is damaged or cut off."), Text("Copy it again from where it came from.")
        ) from error
    if reader.GetNumberOfComponents() != 1:
        raise UnsupportedSeriesError(Text("Its voxels are colours or vectors; MedView opens grey images only."))
    if reader.GetDimension() > 3 and any(size > 1 for size in reader.GetSize()[3:]):
        raise nifti.more_than_one_volume()
    return reader


def _values(path: Path, progress: Progress) -> NDArray[Any]:
    """(k, j, i), C-contiguous, in whatever type the file has."""
    if path.name.lower().endswith(_NIFTI):
        header = nifti.read_header(path)
        numbers = nifti.read_numbers(path, header, progress)
        if header.slope == 1 and header.intercept == 0:
            return numbers
        return numbers * header.slope + header.intercept
    import SimpleITK

    reader = _itk_information(path)
    memory.ensure(math.prod(reader.GetSize()) * _LARGEST_NUMBER_BYTES)
    progress.raise_if_cancelled()
    progress.report(None)
    try:
        array: NDArray[Any] = SimpleITK.GetArrayFromImage(reader.Execute())
    except RuntimeError as error:
        raise UnreadableFileError(
            Text("The file is damaged or cut off."), Text("Copy it again from where it came from.")
        ) from error
    return array.reshape((1, 1, *array.shape)[-3:])


def _compact(values: NDArray[Any]) -> NDArray[Any]:
    """The same values in the smallest type that a `Volume` may have."""
    if values.dtype in (np.int16, np.uint16):
        return values
    if np.issubdtype(values.dtype, np.floating):
        finite = np.isfinite(values)
        if not finite.all():
            lowest = values[finite].min() if finite.any() else 0
            values = np.where(finite, values, lowest)
        if not np.equal(np.rint(values), values).all():
            return np.ascontiguousarray(values, dtype=np.float32)
    low, high = values.min(), values.max()
    for candidate in (np.int16, np.uint16, np.int32):
        limits = np.iinfo(candidate)
        if limits.min <= low and high <= limits.max:
            return np.ascontiguousarray(values, dtype=candidate)
    return np.ascontiguousarray(values, dtype=np.float32)


def _modality_by_name(name: str) -> Modality | None:
    words = ((Modality.CT, _CT_WORDS), (Modality.MR, _MR_WORDS), (Modality.PT, _PT_WORDS))
    found = [modality for modality, pattern in words if pattern.search(name.lower())]
    return found[0] if len(found) == 1 else None


def _unit(modality: Modality, name: str) -> str:
    """Of CT by its nature; of PET only where the file's name says that its values are uptake values."""
    if modality is Modality.PT:
        return "SUVbw" if _SUV_WORDS.search(name.lower()) else ""
    return "HU" if modality is Modality.CT else ""


def _modality_by_values(values: NDArray[Any]) -> Modality:
    """CT where there is air in Hounsfield units; MR for everything else."""
    low, high = float(values.min()), float(values.max())
    return Modality.CT if _HU_LIMITS[0] <= low < _CT_AIR and high <= _HU_LIMITS[1] else Modality.MR


def _stem(path: Path) -> str:
    lower = path.name.lower()
    ending = next((one for one in sorted((*_NIFTI, *_ITK), key=len, reverse=True) if lower.endswith(one)), "")
    return path.name[: len(path.name) - len(ending)] or path.name
