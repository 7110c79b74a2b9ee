"""DICOM segmentations read onto a grid: every frame lands where its own position says."""

from __future__ import annotations

import logging
import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.pixels.utils import iter_pixels

from medview.catalog import terminology
from medview.core.errors import Cancelled, GridMismatchError, InputError, MedViewError, UnreadableFileError
from medview.core.geometry import Floats, Geometry
from medview.core.progress import NoProgress, Progress
from medview.core.segmentation import Code, Color, Labels, ModelRef, Provenance, Segment, Segmentation
from medview.core.text import Text
from medview.formats import decoder_panics
from medview.formats.seg_source import Placement, place

_log = logging.getLogger(__name__)
_SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
_LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"
_SIDES = {("7771000", "SCT"), ("24028007", "SCT"), ("51440002", "SCT")}
_EVEN_STEP = 0.05
"""How far, in slices, positions may be from even steps."""
_MOST_SLICES = 20_000
"""More can only come from damaged positions."""


@dataclass(frozen=True, slots=True)
class _Frame:
    number: int | None
    position: tuple[float, ...]
    orientation: tuple[float, ...]
    spacing: tuple[float, ...]


def read(path: Path, geometry: Geometry | None = None, progress: Progress | None = None) -> Segmentation:
    """Read a DICOM segmentation whose segments do not overlap.

    Args:
        path: BINARY, FRACTIONAL (a voxel belongs to a segment from one half on) or LABELMAP.
        geometry: The volume's grid that it shall lie on. None: the smallest grid around its own frames.
        progress: Reported to and asked for cancellation once a frame.

    Raises:
        UnreadableFileError: It is damaged, no DICOM segmentation, or of a kind that is not read.
        GridMismatchError: Its frames do not lie on the grid.
        InputError: Segments overlap; `read_layers` reads those.
    """
    layers = read_layers(path, geometry, progress)
    if len(layers) > 1:
        raise InputError(
            Text.of("Segments of {name} overlap.", name=path.name),
            "Open it in the window, where overlapping segments become separate segmentations.",
        )
    return layers[0]


def read_layers(
    path: Path, geometry: Geometry | None = None, progress: Progress | None = None
) -> tuple[Segmentation, ...]:
    """Read a DICOM segmentation; segments that overlap others are put into further segmentations.

    Takes and raises what `read` does.
    """
    progress = progress or NoProgress()
    try:
        with warnings.catch_warnings(), decoder_panics.caught():
            # values of a file that is not ours; what matters is checked here
            warnings.simplefilter("ignore")
            dataset = dcmread(path)
            if dataset.get("SOPClassUID") not in (_SEGMENTATION, _LABEL_MAP):
                raise UnreadableFileError(Text.of("{name} is not a DICOM segmentation.", name=path.name))
            frames = tuple(_frames(dataset))
            grid = geometry or _own_grid(dataset, frames)
            _check_frame_of_reference(path, dataset, grid)
            placements = _placements(path, dataset, frames, grid)
            segments = _segments(dataset)
            layers = _layers(dataset, frames, placements, grid, segments, progress)
            title, provenance = str(dataset.get("SeriesDescription", "") or path.stem), _provenance(dataset)
    except (MedViewError, Cancelled):
        raise
    except OSError as error:
        raise UnreadableFileError(
            Text.of("{name} cannot be read: {reason}.", name=path.name, reason=error.strerror or type(error).__name__)
        ) from error
    except Exception as error:  # a damaged file may raise anything in a decoder
        raise UnreadableFileError(
            Text.of("{name} is damaged, or a kind of DICOM segmentation that MedView does not read.", name=path.name),
            "Ask for it in another form: uncompressed, or as NIfTI.",
        ) from error
    return tuple(
        Segmentation(
            grid,
            labels,
            tuple(segment for segment in segments if segment.label in members),
            title=title,
            provenance=provenance,
        )
        for labels, members in layers
    )


def _frames(dataset: Dataset) -> Iterator[_Frame]:
    shared = dataset.get("SharedFunctionalGroupsSequence", [Dataset()])[0]
    numbered = dataset.SOPClassUID != _LABEL_MAP

    def group(own: Dataset, keyword: str) -> Dataset:
        item: Dataset = (own if keyword in own else shared)[keyword].value[0]
        return item

    for own in dataset.PerFrameFunctionalGroupsSequence:
        yield _Frame(
            int(group(own, "SegmentIdentificationSequence").ReferencedSegmentNumber) if numbered else None,
            _numbers(group(own, "PlanePositionSequence").ImagePositionPatient),
            _numbers(group(own, "PlaneOrientationSequence").ImageOrientationPatient),
            _numbers(group(own, "PixelMeasuresSequence").PixelSpacing),
        )


def _numbers(values: Sequence[Any]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def _check_frame_of_reference(path: Path, dataset: Dataset, grid: Geometry) -> None:
    theirs, ours = dataset.get("FrameOfReferenceUID"), grid.frame_of_reference_uid
    if theirs and ours and str(theirs) != ours:
        raise GridMismatchError(
            Text.of("{name} belongs to another scan: its frame of reference differs.", name=path.name),
            "Open the series that it was drawn on.",
        )


def _placements(path: Path, dataset: Dataset, frames: Sequence[_Frame], grid: Geometry) -> list[Placement]:
    shape = (int(dataset.Rows), int(dataset.Columns))
    placements = []
    for frame in frames:
        placement = place(frame.position, frame.orientation, frame.spacing, shape, grid)
        if placement is None:
            raise GridMismatchError(
                Text.of("{name} does not lie on the grid of this series.", name=path.name),
                "Open the series that it was drawn on.",
            )
        placements.append(placement)
    return placements


def _own_grid(dataset: Dataset, frames: Sequence[_Frame]) -> Geometry:
    """The smallest grid around the frames; omitted frames are filled up when what is there lies in even steps."""
    first = frames[0]
    across, down = np.array(first.orientation).reshape(2, 3)
    normal: Floats = np.cross(across, down)
    depths = np.unique(np.round([np.dot(frame.position, normal) for frame in frames], 4))
    shared = dataset.SharedFunctionalGroupsSequence[0]
    measures = shared.PixelMeasuresSequence[0] if "PixelMeasuresSequence" in shared else Dataset()
    said = measures.get("SpacingBetweenSlices") or 0.0
    if len(depths) > 1:
        smallest = float(np.diff(depths).min())
        steps = smallest / float(said) if said else 0.0
        step = float(said) if said and abs(steps - round(steps)) < _EVEN_STEP and round(steps) >= 1 else smallest
    else:
        step = float(said or measures.get("SliceThickness") or 1.0)
    slices = (depths - depths[0]) / step
    if np.abs(slices - np.rint(slices)).max() > _EVEN_STEP or slices[-1] >= _MOST_SLICES:
        raise GridMismatchError(
            "The slices of this segmentation are unevenly spaced.", "Open the series that it was drawn on first."
        )
    lowest = min(frames, key=lambda frame: float(np.dot(frame.position, normal)))
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = normal * step, down * first.spacing[0], across * first.spacing[1]
    affine[:3, 3] = lowest.position
    count = int(np.rint(slices[-1])) + 1
    frame_uid = dataset.get("FrameOfReferenceUID")
    return Geometry((count, int(dataset.Rows), int(dataset.Columns)), affine, str(frame_uid) if frame_uid else None)


def _layers(
    dataset: Dataset,
    frames: Sequence[_Frame],
    placements: Sequence[Placement],
    grid: Geometry,
    segments: Sequence[Segment],
    progress: Progress,
) -> list[tuple[Labels, set[int]]]:
    """Label maps, and which segments each holds: a segment goes into the first in which it overlaps nothing."""
    kind = np.uint8 if max((segment.label for segment in segments), default=0) < 256 else np.uint16
    layers: list[tuple[Labels, set[int]]] = [(np.zeros(grid.shape, dtype=kind), set())]
    if dataset.SOPClassUID == _LABEL_MAP:
        known = {segment.label for segment in segments}
        for placement, pixels in zip(placements, _pixels(dataset, range(len(frames)), progress), strict=True):
            # the background may have any number; what no segment describes is background
            values = np.where(np.isin(pixels, list(known)), pixels, 0)
            for at in placement.spread:
                layers[0][0][at] = values
        layers[0][1].update(known)
        return layers
    of_segment: dict[int, list[int]] = defaultdict(list)
    for index, frame in enumerate(frames):
        of_segment[frame.number or 0].append(index)
    half = float(dataset.get("MaximumFractionalValue", 1)) / 2 if dataset.get("SegmentationType") != "BINARY" else 0.5
    for segment in segments:
        indices = of_segment.get(segment.label, [])
        masks = [pixels >= half for pixels in _pixels(dataset, indices, progress)]
        parts = [(at, mask) for index, mask in zip(indices, masks, strict=True) for at in placements[index].spread]
        layer = next((one for one in layers if not any(one[0][at][mask].any() for at, mask in parts)), None)
        if layer is None:
            layer = (np.zeros(grid.shape, dtype=kind), set())
            layers.append(layer)
        for at, mask in parts:
            values = layer[0][at]
            values[mask] = segment.label
            layer[0][at] = values
        layer[1].add(segment.label)
    return layers


def _pixels(dataset: Dataset, indices: Sequence[int], progress: Progress) -> Iterator[NDArray[Any]]:
    """The frames with these numbers, (row, column), decoded one at a time."""
    shape = (int(dataset.Rows), int(dataset.Columns))
    count = max(len(dataset.PerFrameFunctionalGroupsSequence), 1)
    if not indices:
        return
    if dataset.BitsAllocated == 1 and shape[0] * shape[1] % 8:
        # one by one, pydicom drops the bits of frames that do not start on a byte
        stack = np.reshape(dataset.pixel_array, (-1, *shape))
        frames: Iterator[NDArray[Any]] = (stack[index] for index in indices)
    else:
        frames = iter_pixels(dataset, indices=indices)
    for index, frame in zip(indices, frames, strict=True):
        progress.raise_if_cancelled()
        progress.report(index / count, Text("Reading the DICOM segmentation"))
        yield np.reshape(frame, shape)


def _segments(dataset: Dataset) -> tuple[Segment, ...]:
    known = terminology.load()
    segments = []
    for item in dataset.SegmentSequence:
        number = int(item.SegmentNumber)
        if number == 0:  # the background of a label map
            continue
        kind = _first(item, "SegmentedPropertyTypeCodeSequence")
        code = _code(kind)
        side = _code(_first(kind, "SegmentedPropertyTypeModifierCodeSequence") if kind is not None else None)
        segments.append(
            Segment(
                number,
                str(item.get("SegmentLabel", "")).strip() or (code.meaning if code else f"Segment {number}"),
                _color(item) or known.color(number),
                code,
                _code(_first(item, "SegmentedPropertyCategoryCodeSequence")),
                side if side and (side.value, side.scheme) in _SIDES else None,
            )
        )
    return tuple(segments)


def _first(item: Dataset, keyword: str) -> Dataset | None:
    sequence = item.get(keyword)
    return sequence[0] if sequence else None


def _code(item: Dataset | None) -> Code | None:
    if item is None:
        return None
    value = item.get("CodeValue") or item.get("LongCodeValue") or item.get("URNCodeValue")
    return Code(str(value), str(item.get("CodingSchemeDesignator", "")), str(item.get("CodeMeaning", "")))


def _color(item: Dataset) -> Color | None:
    from highdicom.color import CIELabColor

    value = item.get("RecommendedDisplayCIELabValue")
    if value is None or len(value) != 3:
        return None
    red, green, blue = CIELabColor.from_dicom_value([int(part) for part in value]).to_rgb(clip=True)
    return int(red), int(green), int(blue)


def _provenance(dataset: Dataset) -> Provenance:
    item = dataset.SegmentSequence[-1]
    algorithm = _first(item, "SegmentationAlgorithmIdentificationSequence")
    name = (algorithm.get("AlgorithmName") if algorithm is not None else None) or item.get("SegmentAlgorithmName")
    version = str(algorithm.get("AlgorithmVersion", "")) if algorithm is not None else ""
    model = ModelRef(str(name), version) if name and item.get("SegmentAlgorithmType") != "MANUAL" else None
    made_at = datetime.now(UTC)
    text = f"{dataset.get('ContentDate', '')}{str(dataset.get('ContentTime', ''))[:6]}"
    try:
        made_at = datetime.strptime(text, "%Y%m%d%H%M%S").astimezone(UTC)
    except ValueError:
        _log.info("no usable date in the segmentation: %r", text)
    reviewer = str(dataset.get("ContentCreatorName", "") or "") or None
    return Provenance(model, made_at, reviewer)
