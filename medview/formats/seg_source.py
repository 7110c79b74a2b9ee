"""The images that a DICOM segmentation was drawn on: which of them lies where on the grid, and what it says of itself.

Instances are matched by where they lie in the patient, never by their order, so that reversed, feet-first and oblique
series come out right. On a corrected grid an image lies on the plane next to it, shifted to the nearest pixel, and the
planes around it that belong to no nearer image are its own.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import config, dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element
from pydicom.uid import generate_uid
from pydicom.valuerep import DA, TM, validate_value

from medview.core.errors import GridMismatchError
from medview.core.geometry import Geometry, Index
from medview.core.progress import NoProgress, Progress
from medview.core.text import Text
from medview.formats import dicom_files, dicom_series
from medview.formats.dicom_frames import frames_of
from medview.formats.slice_resampling import SliceMap

_log = logging.getLogger(__name__)

_OFF_GRID_VOXELS = 0.2
"""How far, in voxels, the corners of an image may lie from voxel centres and still be on the grid."""

_ONLY_TEXT = {"StudyID": 16, "StudyDescription": 64}
"""What only describes, and the characters that the standard gives it; longer identifiers are kept as they are."""
_SAME_DIRECTION = 1e-3
"""How far direction cosines of two images may be apart and still mean the same."""

_OF_AN_INSTANCE = ("SOPClassUID", "SOPInstanceUID", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing",
                   "Rows", "Columns", "SliceThickness")  # fmt: skip
_OF_THE_SERIES = ("StudyInstanceUID", "SeriesInstanceUID", "Modality", "FrameOfReferenceUID", "SeriesNumber",
                  "PositionReferenceIndicator", "LossyImageCompression", "LossyImageCompressionRatio",
                  "LossyImageCompressionMethod")  # fmt: skip
_OF_THE_STUDY = ("StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "StudyDescription", "StudyID",
                 "SpecificCharacterSet", "TimezoneOffsetFromUTC")  # fmt: skip
_STRICT = frozenset({"AS", "CS", "DA", "DT", "IS", "TM", "UI"})
"""Kinds of values whose form the standard fixes: one that breaks it says nothing, and would break the new object."""
_MAY_BE_EMPTY = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime",
                 "AccessionNumber", "ReferringPhysicianName", "StudyID")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Placement:
    """How the pixels of an image lie on a grid: pixel (r, c) is voxel `origin + r * along_rows + c * along_columns`.

    Attributes:
        origin: The voxel of the first pixel.
        along_rows: The step from row to row.
        along_columns: The step from column to column.
        shape: Rows and columns.
        planes: Where the grid is a corrected one, the planes [start, stop) along k that take the image's labels.
    """

    origin: Index
    along_rows: Index
    along_columns: Index
    shape: tuple[int, int]
    planes: tuple[int, int] | None = None

    @property
    def spread(self) -> tuple[tuple[Any, Any, Any], ...]:
        """To put labels of the image into a (k, j, i) array: the indices of every plane that takes them."""
        if self.planes is None:
            return (self.indices,)
        _, j, i = self.indices
        return tuple((k, j, i) for k in range(*self.planes))

    @property
    def indices(self) -> tuple[Any, Any, Any]:
        """To index a (k, j, i) array with; gives (row, column)."""
        if self.along_rows == (0, 1, 0) and self.along_columns == (0, 0, 1):
            (k, j, i), (rows, columns) = self.origin, self.shape
            return k, slice(j, j + rows), slice(i, i + columns)
        row, column = np.ogrid[: self.shape[0], : self.shape[1]]
        k, j, i = (
            start + row * down + column * across
            for start, down, across in zip(self.origin, self.along_rows, self.along_columns, strict=True)
        )
        return k, j, i


@dataclass(frozen=True, slots=True)
class SourceImage:
    """One image of the series, and where it lies.

    Attributes:
        header: Of its instance, with the place of this image.
        placement: Where it lies on the grid.
        frame: Its number in the instance, from 1; None where the instance has one frame.
    """

    header: Dataset
    placement: Placement
    frame: int | None = None


def place(
    position: Sequence[float],
    orientation: Sequence[float],
    spacing: Sequence[float],
    shape: tuple[int, int],
    geometry: Geometry,
) -> Placement | None:
    """Where an image lies on a grid.

    Args:
        position: Image Position (Patient), mm.
        orientation: Image Orientation (Patient).
        spacing: Pixel Spacing: between rows, between columns, mm.
        shape: Rows, columns.
        geometry: The grid.

    Returns:
        None when its pixels are not voxels of the grid.
    """
    if geometry.slices is not None:
        return _place_on_corrected(position, orientation, spacing, shape, geometry)
    first = np.array(position, dtype=np.float64)
    across, down = np.array(orientation, dtype=np.float64).reshape(2, 3)
    rows, columns = shape
    corners = np.stack(
        [first, first + down * spacing[0] * max(rows - 1, 1), first + across * spacing[1] * max(columns - 1, 1)]
    )
    index = geometry.to_index(corners)
    whole = np.rint(index)
    if not np.isfinite(index).all() or np.abs(index - whole).max() > _OFF_GRID_VOXELS:
        return None
    along_rows, along_columns = _unit(whole[1] - whole[0], rows), _unit(whole[2] - whole[0], columns)
    if along_rows is None or along_columns is None or np.dot(along_rows, along_columns) != 0:
        return None
    last = whole[0] + np.multiply(along_rows, rows - 1) + np.multiply(along_columns, columns - 1)
    if min(whole[0].min(), last.min()) < 0 or (np.maximum(whole[0], last) >= geometry.shape).any():
        return None
    k, j, i = (int(value) for value in whole[0])
    return Placement((k, j, i), along_rows, along_columns, shape)


def _place_on_corrected(
    position: Sequence[float],
    orientation: Sequence[float],
    spacing: Sequence[float],
    shape: tuple[int, int],
    geometry: Geometry,
) -> Placement | None:
    """Where one of the slices of a corrected grid lies on it; None for any other image."""
    where = SliceMap.of(geometry)
    if where is None or geometry.slices is None or shape != where.shape:
        return None
    across, down = np.array(orientation, dtype=np.float64).reshape(2, 3)
    steps = np.stack([down * spacing[0], across * spacing[1]])
    last = (np.asarray(shape) - 1)[:, None]
    if np.abs((steps - geometry.affine[:3, 1:3].T) * last).max() > _OFF_GRID_VOXELS * min(spacing):
        return None
    distance = np.linalg.norm(geometry.slices.positions - np.array(position, dtype=np.float64), axis=1)
    nearest = int(distance.argmin())
    if distance[nearest] > _OFF_GRID_VOXELS * min(spacing):
        return None
    origin = where.origin_of(nearest)
    return Placement(origin, (0, 1, 0), (0, 0, 1), shape, where.planes_of(nearest))


def with_slices(geometry: Geometry, files: Sequence[Path]) -> Geometry:
    """The same grid, with the slices that it was corrected from, if the files are a tilted or uneven series.

    Args:
        geometry: A grid, as it comes back from a store that keeps grids alone.
        files: The DICOM files of the series.
    """
    if geometry.slices is not None:
        return geometry
    headers = [header for header in map(_header, files) if header is not None]
    if all(_placement(header, geometry) is not None for header in headers):
        return geometry
    scan = dicom_files.scan([path for path in files if path.is_file()], NoProgress())
    for series in dicom_series.group(scan.headers):
        made = series.facts.geometry
        if made is not None and made.slices is not None and made.same_grid(geometry):
            return made
    return geometry


def images_on(
    geometry: Geometry, files: Sequence[Path], progress: Progress | None = None, *, phase: int = 0
) -> tuple[tuple[SourceImage, ...], tuple[Path, ...]]:
    """The instances of a series that lie on a grid, ordered along k, and the files that are gone or unreadable.

    Files of other kinds and images elsewhere (localisers, other orientations) are passed over. Where several images lie
    at one place, as in a 4D series, those of the phase are taken.

    Raises:
        GridMismatchError: No file lies on the grid.
    """
    progress = progress or NoProgress()
    found: dict[tuple[Index, Index, Index], list[tuple[Path, SourceImage]]] = {}
    lost: list[Path] = []
    for path in files:
        progress.raise_if_cancelled()
        header = _header(path)
        if header is None:
            lost.append(path)
            continue
        for image, frame in _images(header, path):
            placement = _placement(image, geometry)
            if placement is not None:
                key = (placement.origin, placement.along_rows, placement.along_columns)
                found.setdefault(key, []).append((path, SourceImage(image, placement, frame)))
    if not found:
        if lost and all(path.is_file() for path in lost):
            raise GridMismatchError(
                "This image did not come from DICOM files, so no DICOM segmentation of it can be made.",
                "Save it as NIfTI instead.",
            )
        if lost:
            raise GridMismatchError(
                "The DICOM files of this series are gone or cannot be read.",
                "Put the folder back where it was, or open the series again.",
            )
        raise GridMismatchError(
            "None of the series' images lies on the grid of the labels.",
            "Choose the series that the labels were drawn on.",
        )
    chosen = _of_phase(found.values(), files, phase)
    return tuple(sorted(chosen, key=lambda image: image.placement.origin)), tuple(lost)


def pictures_in(files: Sequence[Path], progress: Progress) -> tuple[tuple[SourceImage, ...], tuple[Path, ...]]:
    """The instances of a series of pictures that have no place in the patient, and the files that are gone.

    Raises:
        GridMismatchError: There are none.
    """
    found: list[SourceImage] = []
    lost: list[Path] = []
    for path in files:
        progress.raise_if_cancelled()
        header = _header(path)
        if header is None or not header.get("SOPInstanceUID") or not header.get("SOPClassUID"):
            lost.append(path)
            continue
        shape = int(header.get("Rows", 1) or 1), int(header.get("Columns", 1) or 1)
        found.append(SourceImage(header, Placement((len(found), 0, 0), (0, 1, 0), (0, 0, 1), shape)))
    if not found:
        raise GridMismatchError(
            "The DICOM files of this series are gone or cannot be read.",
            "Put the folder back where it was, or open the series again.",
        )
    return tuple(found), tuple(lost)


def _of_phase(
    places: Collection[Sequence[tuple[Path, SourceImage]]], files: Sequence[Path], phase: int
) -> Iterator[SourceImage]:
    """One image of every place: that of the phase; the first one, where the phases of the series do not tell."""
    members: set[tuple[Path, int]] = set()
    if any(len(images) > 1 for images in places):
        scan = dicom_files.scan([path for path in files if path.is_file()], NoProgress())
        for series in dicom_series.group(scan.headers):
            if series.facts.geometry is not None and phase < max(1, len(series.facts.phases)):
                members.update((frame.header.path, frame.index + 1) for frame in series.phase(phase))
    for images in places:
        of_phase = (image for path, image in images if (path, image.frame or 1) in members)
        yield next(of_phase, images[0][1])


def completed(images: Sequence[SourceImage], geometry: Geometry, series_uid: str) -> list[Dataset]:
    """Copies of the headers with everything that a derived object has to repeat.

    What the standard wants and the source lacks is left empty where it may be, and made up where it may not: the study
    and frame of reference UIDs from the series' UID, so that every object of one series gets the same. Values that are
    no valid dates, times or sexes are left out; the source itself is not touched.
    """
    first = images[0].header
    series = Dataset()
    for keyword in (*_OF_THE_SERIES, *_OF_THE_STUDY):
        _copy(first, series, keyword)
    for element in first.group_dataset(0x0010):
        if not element.tag.is_private and element.keyword:
            _copy(first, series, element.keyword)
    seed = str(first.get("SeriesInstanceUID", "") or series_uid)
    _default(series, "SeriesInstanceUID", seed if _is_uid(seed) else generate_uid(entropy_srcs=[seed]))
    _default(series, "StudyInstanceUID", generate_uid(entropy_srcs=[seed, "study"]))
    frame_uid = geometry.frame_of_reference_uid or generate_uid(entropy_srcs=[seed, "frame of reference"])
    _default(series, "FrameOfReferenceUID", frame_uid)
    _default(series, "Modality", "OT")
    thickness = f"{geometry.spacing_mm[0]:.6g}"
    _repair(series)
    headers: list[Dataset] = []
    for image in images:
        header = Dataset()
        header.update(series)
        for keyword in _OF_AN_INSTANCE:
            _copy(image.header, header, keyword)
        _default(header, "SliceThickness", thickness)
        _align(header, headers[0] if headers else header)
        if image.frame is not None:
            header.ReferencedFrameNumber = image.frame
        headers.append(header)
    return headers


def _header(path: Path) -> Dataset | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            header = dcmread(path, stop_before_pixels=True, force=True)
            if "SOPInstanceUID" not in header:
                header.SOPInstanceUID = header.file_meta.MediaStorageSOPInstanceUID
            if "SOPClassUID" not in header:
                header.SOPClassUID = header.file_meta.MediaStorageSOPClassUID
    except (OSError, InvalidDicomError, AttributeError, ValueError, KeyError, EOFError, NotImplementedError) as error:
        _log.warning("%s is no longer readable: %r", path, error)
        return None
    return header


def _images(header: Dataset, path: Path) -> Iterator[tuple[Dataset, int | None]]:
    """The images of an instance, each as if it were one of its own, and their frame numbers; tiles have none."""
    if "ImagePositionPatient" in header and "MOSAIC" not in header.get("ImageType", []):
        yield header, None
        return
    one = dicom_files.read_header(path)
    for frame in frames_of(one) if one is not None and one.frame_facts else ():
        image = Dataset()
        for keyword in ("SOPClassUID", "SOPInstanceUID", *_OF_THE_SERIES, *_OF_THE_STUDY):
            _copy(header, image, keyword)
        for element in header.group_dataset(0x0010):
            image.add(element)
        image.ImagePositionPatient = [f"{value:.9g}" for value in frame.position]
        image.ImageOrientationPatient = [f"{value:.9g}" for value in frame.orientation]
        image.PixelSpacing = [f"{value:.9g}" for value in frame.pixel_spacing]
        image.Rows, image.Columns = frame.rows, frame.columns
        yield image, frame.index + 1 if frame.header.frames > 1 else None


def _placement(header: Dataset, geometry: Geometry) -> Placement | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return place(
                [float(value) for value in header.ImagePositionPatient],
                [float(value) for value in header.ImageOrientationPatient],
                [float(value) for value in header.PixelSpacing],
                (int(header.Rows), int(header.Columns)),
                geometry,
            )
    except (AttributeError, TypeError, ValueError, IndexError):
        return None


def _unit(step: NDArray[np.float64], count: int) -> Index | None:
    """The signed unit vector of a step over `count` pixels, or None when it does not run along one axis."""
    axis = int(np.abs(step).argmax())
    length = max(count - 1, 1)
    if abs(step[axis]) != length or np.count_nonzero(step) != 1:
        return None
    unit = [0, 0, 0]
    unit[axis] = 1 if step[axis] > 0 else -1
    return unit[0], unit[1], unit[2]


def _copy(source: Dataset, target: Dataset, keyword: str) -> None:
    """Copy an element that can be read and written; leave out what cannot."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if keyword not in source:
                return
            element = source[keyword]
            if element.VR in _STRICT:
                for value in element.value if element.VM > 1 else [element.value]:
                    validate_value(element.VR, str(value), config.RAISE)
            buffer = DicomBytesIO()
            buffer.is_little_endian, buffer.is_implicit_VR = True, False
            write_data_element(buffer, element, ["utf_8"])
    except Exception as error:  # a damaged value may raise anything in a decoder
        _log.info("%s of the source is left out: %r", keyword, error)
        return
    target.add(element)


def _default(header: Dataset, keyword: str, value: str) -> None:
    if not header.get(keyword):
        setattr(header, keyword, value)


def _align(header: Dataset, first: Dataset) -> None:
    """Give an image the very direction of the first one where it differs by what rounding leaves."""
    keyword = "ImageOrientationPatient"
    ours, theirs = header.get(keyword), first.get(keyword)
    if ours and theirs and np.allclose([float(v) for v in ours], [float(v) for v in theirs], atol=_SAME_DIRECTION):
        header.ImageOrientationPatient = theirs


def _repair(header: Dataset) -> None:
    for keyword in _MAY_BE_EMPTY:
        if header.get(keyword) is None:
            setattr(header, keyword, "")
    for keyword, most in _ONLY_TEXT.items():
        if len(str(header.get(keyword, "") or "")) > most:
            setattr(header, keyword, str(header[keyword].value)[:most].strip())
    if header.PatientSex not in ("M", "F", "O", ""):
        header.PatientSex = ""
    for keyword, kind in (("PatientBirthDate", DA), ("StudyDate", DA), ("StudyTime", TM)):
        try:
            kind(header[keyword].value)
        except (ValueError, TypeError):
            setattr(header, keyword, "")


def _is_uid(value: str) -> bool:
    return 0 < len(value) <= 64 and all(part.isdigit() for part in value.split("."))


def outside(count: int) -> Text:
    """The sentence for labelled voxels that no image holds."""
    return Text.of("{count} labelled voxels lie on slices whose files are gone.", count=count)
