"""What is written down about an example. Nothing here names the patient or holds a UID of the scan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from medview.core.finding import Verdict
from medview.core.geometry import Geometry
from medview.core.review import Judgement, SegmentState
from medview.core.segmentation import Code, Color, HintedEdit, Labels, ModelRef, Provenance, Segment
from medview.learning.splits import Split, split_of

SCHEMA = 1


class Record(BaseModel):
    """A record on disk: frozen, and nothing in it that this version does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class CodeRecord(Record):
    """A coded concept."""

    value: str
    scheme: str
    meaning: str

    @classmethod
    def of(cls, code: Code | None) -> CodeRecord | None:
        """The record of a code."""
        return cls(value=code.value, scheme=code.scheme, meaning=code.meaning) if code else None

    def code(self) -> Code:
        """The code of the record."""
        return Code(self.value, self.scheme, self.meaning)


class SegmentRecord(Record):
    """A structure of the label map."""

    label: int
    name: str
    color: Color
    code: CodeRecord | None = None
    category: CodeRecord | None = None
    laterality: CodeRecord | None = None

    @classmethod
    def of(cls, segment: Segment) -> SegmentRecord:
        """The record of a segment."""
        return cls(
            label=segment.label,
            name=segment.name,
            color=segment.color,
            code=CodeRecord.of(segment.code),
            category=CodeRecord.of(segment.category),
            laterality=CodeRecord.of(segment.laterality),
        )

    def segment(self) -> Segment:
        """The segment of the record."""
        codes = (one.code() if one else None for one in (self.code, self.category, self.laterality))
        return Segment(self.label, self.name, self.color, *codes)


class GridRecord(Record):
    """Where the voxels lie, LPS, mm; without the UID of the frame of reference."""

    shape: tuple[int, int, int]
    affine: tuple[tuple[float, float, float, float], ...]

    @classmethod
    def of(cls, geometry: Geometry) -> GridRecord:
        """The record of a grid."""
        return cls(shape=geometry.shape, affine=tuple(tuple(row) for row in geometry.affine.tolist()))

    def geometry(self) -> Geometry:
        """The grid of the record."""
        return Geometry(self.shape, np.array(self.affine))


class ModelRecord(Record):
    """The model that proposed the labels."""

    plugin_id: str
    version: str
    sha256: str
    proposed_at: datetime


class SegmentChange(Record):
    """What a reader changed of one structure, in voxels. `dice` is 1 when nothing was, None when both are empty."""

    label: int
    name: str
    before: int
    after: int
    added: int
    removed: int
    dice: float | None


class EditRecord(Record):
    """What was changed since the labels were proposed, or since the last revision when no proposal is known.

    Attributes:
        since: "proposal", or "revision 3".
        voxels: How many voxels differ; None when only the structures' own changes were counted.
        segments: What that is for each structure.
        strokes: How many edits the reader made; None when nobody counted.
        seconds: Time that the reader worked on them; None when nobody measured.
    """

    since: str
    voxels: int | None
    segments: tuple[SegmentChange, ...]
    strokes: int | None = None
    seconds: float | None = None


class SegmentReview(Record):
    """How far a reader said that a segment is."""

    label: int
    state: SegmentState
    reader: str
    at: datetime


class CommentRecord(Record):
    """A reader's remark at a place of the image: x, y, z, LPS, mm."""

    text: str
    point: tuple[float, float, float]
    reader: str
    at: datetime


class ReviewedRecord(Record):
    """What readers said of the labels.

    Attributes:
        judgement: Of the whole.
        reason: Why; may be empty.
        reader: Who judged; empty while nobody has.
        at: When; None while nobody has.
        seconds: Time on task.
        segments: How far each segment is, of those of which it was said.
        comments: Remarks at places.
    """

    judgement: Judgement
    reason: str = ""
    reader: str = ""
    at: datetime | None = None
    seconds: float = 0.0
    segments: tuple[SegmentReview, ...] = ()
    comments: tuple[CommentRecord, ...] = ()


class ClassDecision(Record):
    """What a reader said of a class, a box or a point.

    Attributes:
        name: What it is called.
        code: What it is; None when nobody has said.
        verdict: Whether it is there.
        reason: Why not; may be empty.
        reader: Who said so.
        decided_at: When, UTC.
        probability: 0..1, as the model had it; None when a reader found it.
        model: Which model found it; None when a reader did.
        corrects: What the model had called it, where the reader put this in its place; empty otherwise.
        place: Where it is: x, y, z, LPS, mm; None: in the image as a whole.
        size_mm: Of the box around it; None without a box.
        frame: In which picture of a film, from 0; None: not in a film, or in all of it.
        region: The first voxel, (k, j, i), and the one behind the last, of what the model saw; None: it saw all.
    """

    name: str
    code: CodeRecord | None = None
    verdict: Literal[Verdict.CONFIRMED, Verdict.REJECTED]
    reason: str = ""
    reader: str = ""
    decided_at: datetime
    probability: float | None = None
    model: ModelRecord | None = None
    corrects: str = ""
    place: tuple[float, float, float] | None = None
    size_mm: tuple[float, float, float] | None = None
    frame: int | None = None
    region: tuple[tuple[int, int, int], tuple[int, int, int]] | None = None

    @property
    def is_of_whole_image(self) -> bool:
        """Whether it is said of the image, and not of a place, a picture or a part of it."""
        return self.place is None and self.frame is None and self.region is None


class FileRecord(Record):
    """A file of the example, by its name in the example's folder, and its hash."""

    name: str
    sha256: str


class Example(Record):
    """One revision of one example.

    Attributes:
        schema_version: Of this record.
        example_id: The same for every revision.
        revision: 1, 2, ...
        patient_key: Keyed hash of the patient; the same for all examples of a patient, and of no use elsewhere.
        study_key: Keyed hash of the study.
        series_key: Keyed hash of the series.
        saved_at: When, UTC.
        reader: Who saved it.
        modality: DICOM's short name.
        unit: Of the voxels.
        grid: Where they lie.
        image: Hash of the voxels and their place; names the folder of the image.
        image_file: The image file in that folder, and its hash.
        segments: The structures.
        model: Which model proposed the labels; None when they were drawn.
        reviewed_at: When a reader last changed them, UTC.
        edit: What was changed; None when there is nothing to compare with.
        review: What readers said of it; None when nobody was asked.
        files: The files of this revision.
        hinted: The answers to hints that the reader took into the labels.
        classes: What a reader has decided on; empty where structures were outlined.
        windows: Those stored with the image, (centre, width), the preferred one first.
    """

    schema_version: int = Field(SCHEMA, ge=1, le=SCHEMA)
    example_id: str
    revision: int
    patient_key: str
    study_key: str
    series_key: str
    saved_at: datetime
    reader: str
    modality: str
    unit: str
    grid: GridRecord
    image: str
    image_file: FileRecord
    segments: tuple[SegmentRecord, ...]
    model: ModelRecord | None
    reviewed_at: datetime | None
    edit: EditRecord | None
    review: ReviewedRecord | None = None
    files: tuple[FileRecord, ...]
    hinted: tuple[HintedEdit, ...] = ()
    classes: tuple[ClassDecision, ...] = ()
    windows: tuple[tuple[float, float], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """What it shows: structures, and classes that are there."""
        there = (one.name for one in self.classes if one.verdict is Verdict.CONFIRMED)
        return tuple(dict.fromkeys((*(one.name for one in self.segments), *there)))

    @property
    def proposed_by(self) -> tuple[str, ...]:
        """The models that proposed it; none where it was made by hand."""
        models = (self.model, *(one.model for one in self.classes))
        return tuple(dict.fromkeys(one.plugin_id for one in models if one is not None))

    @property
    def split(self) -> Split:
        """The part of the patients that it belongs to."""
        return split_of(self.patient_key)

    @property
    def provenance(self) -> Provenance:
        """Who made the labels, as a segmentation knows it; a reader who changed nothing did not make them."""
        if self.model is None:
            return Provenance(None, self.saved_at, self.reader or None, self.reviewed_at, self.hinted)
        model = ModelRef(self.model.plugin_id, self.model.version, self.model.sha256)
        changed = self.edit is not None and any(one.added or one.removed for one in self.edit.segments)
        edited = self.reviewed_at is not None or changed
        reader = (self.reader or None) if edited else None
        return Provenance(model, self.model.proposed_at, reader, self.reviewed_at, self.hinted)


class Source(Record):
    """Where an example came from. Kept apart from it, on this machine only: it identifies the patient."""

    patient: str
    study_uid: str
    series_uid: str
    frame_of_reference_uid: str | None
    description: str
    files: tuple[Path, ...]
    phase: int = 0


@dataclass(frozen=True, slots=True)
class Effort:
    """What a reader put into the corrections, as it was counted while they were made.

    Attributes:
        strokes: How many edits.
        seconds: Time on task.
        added: Voxels that came to a label since it was proposed: (label, voxels).
        removed: Voxels that a label lost since: (label, voxels).
    """

    strokes: int
    seconds: float
    added: tuple[tuple[int, int], ...] = ()
    removed: tuple[tuple[int, int], ...] = ()


def changes(
    before: Labels, after: Labels, segments: Sequence[Segment], since: str, effort: Effort | None = None
) -> EditRecord:
    """What differs between two label maps (k, j, i) of one grid."""
    records = []
    for segment in segments:
        was, now = before == segment.label, after == segment.label
        count, both = int(np.count_nonzero(now)), int(np.count_nonzero(was & now))
        records.append(_change(segment, count, count - both, int(np.count_nonzero(was)) - both))
    return _edit(since, int(np.count_nonzero(before != after)), records, effort)


def counted_changes(after: Labels, segments: Sequence[Segment], effort: Effort) -> EditRecord:
    """What was changed since the labels (k, j, i) were proposed, from what was counted: the proposal itself is gone."""
    added, removed = dict(effort.added), dict(effort.removed)
    counts = {segment.label: int(np.count_nonzero(after == segment.label)) for segment in segments}
    records = [
        _change(segment, counts[segment.label], added.get(segment.label, 0), removed.get(segment.label, 0))
        for segment in segments
    ]
    return _edit("proposal", None, records, effort)


def _change(segment: Segment, after: int, added: int, removed: int) -> SegmentChange:
    before = after - added + removed
    dice = 2 * (after - added) / (before + after) if before + after else None
    return SegmentChange(
        label=segment.label, name=segment.name, before=before, after=after, added=added, removed=removed, dice=dice
    )


def _edit(since: str, voxels: int | None, records: Sequence[SegmentChange], effort: Effort | None) -> EditRecord:
    return EditRecord(
        since=since,
        voxels=voxels,
        segments=tuple(records),
        strokes=effort.strokes if effort else None,
        seconds=effort.seconds if effort else None,
    )
