"""DICOM segmentations: written by highdicom, proved by reading them back, and read onto a volume's grid."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, RLELossless, generate_uid

import medview
from medview.catalog import terminology
from medview.core.errors import GridMismatchError, InputError, StorageError
from medview.core.geometry import Geometry
from medview.core.progress import NoProgress, PartOf, Progress
from medview.core.proof import Proof
from medview.core.segmentation import Labels, Provenance, Segment, Segmentation
from medview.core.text import Text
from medview.core.volume import Volume
from medview.formats import source_references
from medview.formats.derived_object import save_proved, sources_on
from medview.formats.derived_values import character_set, coded, fitting, long_string, person, series_number
from medview.formats.proof import prove_segmentation
from medview.formats.seg_reader import read, read_layers
from medview.formats.seg_source import SourceImage, outside

if TYPE_CHECKING:
    from highdicom.seg import SegmentDescription

__all__ = ["SegKind", "described_segments", "prove_on", "read", "read_layers", "write", "write_labels"]
_log = logging.getLogger(__name__)
_MAKER = "MedView"
_MOST_MASKS = 32
_SERIES_NUMBER_OFFSET = 1000
"""Added to the number of the source, so that a segmentation stands behind the images of its study."""


class SegKind(StrEnum):
    """How structures are stored: a mask for each, which every program reads, or one map of labels for all."""

    BINARY = "binary"
    LABELMAP = "labelmap"

    @classmethod
    def fit_for(cls, segments: int) -> SegKind:
        """Label maps for many structures: a mask for each would be a hundred times larger, and slow everywhere."""
        return cls.BINARY if segments <= _MOST_MASKS else cls.LABELMAP


def write(
    segmentation: Segmentation,
    volume: Volume,
    source_files: Sequence[Path],
    path: Path,
    progress: Progress | None = None,
    *,
    kind: SegKind | None = None,
) -> Proof:
    """Write a segmentation as DICOM SEG beside the study of its series, and prove it.

    See `write_labels`; this takes the labels as they are now.
    """
    return write_labels(
        segmentation.labels,
        segmentation.geometry,
        segmentation.segments,
        segmentation.provenance,
        source_files,
        path,
        title=str(segmentation.title),
        series_uid=volume.series_uid,
        phase=volume.phase,
        progress=progress,
        kind=kind,
    )


def write_labels(
    labels: Labels,
    geometry: Geometry,
    segments: Sequence[Segment],
    provenance: Provenance,
    source_files: Sequence[Path],
    path: Path,
    *,
    title: str = "",
    series_uid: str = "",
    phase: int = 0,
    progress: Progress | None = None,
    kind: SegKind | None = None,
) -> Proof:
    """Write labels as a DICOM SEG of the study, patient and frame of reference of its images, and prove it.

    Segments are numbered 1, 2, ... in the order of their labels, as the standard wants. Every segment gets codes: its
    own, or those of its name, or the generic ones. Frames without a voxel are left out.

    Args:
        labels: (k, j, i) uint8 or uint16.
        geometry: The grid of the labels.
        segments: The structures; labels that have none get a generic one.
        provenance: Says whether it was made by a model, by hand, or by both.
        source_files: The DICOM files of the series, in any order; others among them do no harm.
        path: The file; replaced when it exists, and left as it was when something fails.
        title: The series description.
        series_uid: The series; used where the files lack one.
        phase: Which of its volumes, where the files hold several on one grid.
        progress: Reported to and asked for cancellation.
        kind: How structures are stored; None: as fits their number.

    Raises:
        InputError: There is no segment.
        GridMismatchError: The images are gone, or do not lie on the grid, or labels lie where there is no image.
        StorageError: It could not be written, or did not read back as meant.
    """
    progress = progress or NoProgress()
    described = described_segments(labels, segments)
    if not described:
        raise InputError("There is no segment to save.", "Add a segment, or run a model, and save again.")
    source = sources_on(geometry, source_files, PartOf(progress, 0.0, 0.2), series_uid=series_uid, phase=phase)
    frames = _frames(labels, source.images, [segment.label for segment in described])
    if source.geometry.slices is None:
        _require_all(labels, frames, source.lost)
    progress.report(0.3, Text("Writing the DICOM segmentation"))
    progress.raise_if_cancelled()
    held = [frames]
    del frames  # masks of many structures are large, and the proof reads them again

    def save(temporary: Path) -> None:
        stored = kind or SegKind.fit_for(len(described))
        dataset = _dataset(held.pop(), source.headers, described, provenance, title, stored)
        dataset.save_as(temporary, enforce_file_format=True)

    def proof_of(temporary: Path) -> Proof:
        part = PartOf(progress, 0.7, 1.0)
        return prove_segmentation(
            temporary, labels, source.geometry, described, source.headers, part, provenance=provenance
        )

    return save_proved(
        path,
        save,
        proof_of,
        progress,
        StorageError(
            "The DICOM segmentation could not be made from the images of this series.",
            "Save it as NIfTI instead; the log says which attribute of the images is in the way.",
        ),
    )


def prove_on(
    path: Path,
    labels: Labels,
    geometry: Geometry,
    segments: Sequence[Segment],
    source_files: Sequence[Path],
    progress: Progress | None = None,
    *,
    phase: int = 0,
) -> Proof:
    """Compare a DICOM SEG that lies on the disk with labels, and what it refers to with the files of its images.

    Takes what `write_labels` does.

    Raises:
        GridMismatchError: The images are gone, or do not lie on the grid.
        Cancelled: The progress says so.
    """
    progress = progress or NoProgress()
    source = sources_on(geometry, source_files, PartOf(progress, 0.0, 0.3), phase=phase)
    described = described_segments(labels, segments)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pydicom, of values that are not ours to change
        part = PartOf(progress, 0.3, 1.0)
        return prove_segmentation(path, labels, source.geometry, described, source.headers, part)


def described_segments(labels: Labels, segments: Sequence[Segment]) -> tuple[Segment, ...]:
    """Segments as they are written: by label, with codes, with names that fit, and one for every label in use."""
    known = terminology.load()
    names = {segment.label: segment for segment in segments}
    used = np.zeros(np.iinfo(labels.dtype).max + 1, dtype=bool)
    for plane in labels:
        used[plane] = True
    for label in np.flatnonzero(used[1:]) + 1:
        names.setdefault(int(label), Segment(int(label), "", known.color(int(label))))
    return tuple(
        known.completed(
            replace(
                segment,
                name=long_string(segment.name) or f"Segment {label}",
                code=fitting(segment.code),
                category=fitting(segment.category),
                laterality=fitting(segment.laterality),
            )
        )
        for label, segment in sorted(names.items())
    )


def _frames(labels: Labels, images: Sequence[SourceImage], order: Sequence[int]) -> Labels:
    """(image, row, column) of segment numbers, in the order of the images."""
    numbers = np.zeros(int(max(order)) + 1, dtype=np.uint8 if len(order) < 256 else np.uint16)
    numbers[list(order)] = np.arange(1, len(order) + 1)
    shapes = {image.placement.shape for image in images}
    if len(shapes) > 1:
        raise GridMismatchError("The images of this series differ in size.", "Save it as NIfTI instead.")
    frames = np.empty((len(images), *shapes.pop()), dtype=numbers.dtype)
    for frame, image in zip(frames, images, strict=True):
        frame[...] = numbers[labels[image.placement.indices]]
    return frames


def _require_all(labels: Labels, frames: Labels, lost: Sequence[Path]) -> None:
    """Refuse to leave out labels because their images are gone."""
    missing = int(np.count_nonzero(labels)) - int(np.count_nonzero(frames))
    if missing > 0:
        for path in lost:
            _log.warning("gone or unreadable: %s", path)
        raise GridMismatchError(
            outside(missing), "Put the folder of the series back where it was, or open the series again."
        )


def _dataset(
    frames: Labels,
    headers: Sequence[Dataset],
    segments: Sequence[Segment],
    provenance: Provenance,
    title: str,
    kind: SegKind,
) -> Dataset:
    import highdicom

    description = long_string(title) or "Segmentation"
    creator = person(provenance.reviewer)
    sources = source_references.apart(headers)
    dataset: Dataset = highdicom.seg.Segmentation(
        source_images=sources,
        pixel_array=frames,
        segmentation_type=highdicom.seg.SegmentationTypeValues(kind.value.upper()),
        segment_descriptions=[
            _description(number, segment, provenance) for number, segment in enumerate(segments, start=1)
        ],
        series_instance_uid=generate_uid(),
        series_number=series_number(headers[0], _SERIES_NUMBER_OFFSET),
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer=_MAKER,
        manufacturer_model_name=_MAKER,
        software_versions=medview.__version__,
        device_serial_number=medview.__version__,
        series_description=description,
        content_label="SEGMENTATION",
        content_description=description,
        content_creator_name=creator,
        transfer_syntax_uid=ExplicitVRLittleEndian if kind is SegKind.BINARY else RLELossless,
        omit_empty_frames=bool(frames.any()),
        specific_character_set=None,
    )
    source_references.put_back(dataset, sources, headers)
    now = datetime.now(UTC).astimezone()
    dataset.SeriesDate, dataset.SeriesTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    named = character_set(headers[0], [description, creator or "", *(segment.name for segment in segments)])
    if named:
        dataset.SpecificCharacterSet = named
    return dataset


def _description(number: int, segment: Segment, provenance: Provenance) -> SegmentDescription:
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.color import CIELabColor
    from highdicom.seg import SegmentAlgorithmTypeValues, SegmentDescription
    from pydicom.sr.codedict import codes

    if segment.code is None or segment.category is None:
        raise ValueError(f"segment {segment.label} has no codes")
    model = provenance.engine_of(segment.label)
    kind = SegmentAlgorithmTypeValues(provenance.algorithm_of(segment.label))
    identification = None
    if model is not None:
        identification = AlgorithmIdentificationSequence(
            name=long_string(model.plugin_id) or "unknown",
            family=codes.cid7162.ArtificialIntelligence,
            version=long_string(model.version) or "unknown",
            parameters={"sha256": model.sha256} if model.sha256 else None,
        )
    described = SegmentDescription(
        segment_number=number,
        segment_label=segment.name,
        segmented_property_category=coded(segment.category),
        segmented_property_type=coded(segment.code),
        algorithm_type=kind,
        algorithm_identification=identification,
        display_color=CIELabColor.from_rgb(*segment.color),
    )
    if segment.laterality is not None:
        kind_item = described.SegmentedPropertyTypeCodeSequence[0]
        kind_item.SegmentedPropertyTypeModifierCodeSequence = [coded(segment.laterality)]
    return described
