"""A case on its way into the example store."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medview.core.case import Patient, Study
from medview.core.pseudonyms import keyed_hash, patient_key
from medview.core.review import Review
from medview.core.segmentation import Labels, Provenance, Segment
from medview.core.volume import Volume, VolumeId
from medview.learning.example_record import (
    ClassDecision,
    CommentRecord,
    EditRecord,
    Effort,
    Example,
    FileRecord,
    GridRecord,
    ModelRecord,
    ReviewedRecord,
    SegmentRecord,
    SegmentReview,
)


@dataclass(frozen=True, slots=True, eq=False)
class Draft:
    """What shall be saved: values that nobody changes any more.

    Attributes:
        volume: The image.
        labels: (k, j, i) uint8 or uint16; None where classes were decided on and nothing was outlined.
        segments: The structures.
        provenance: Which model proposed the labels, and who reviewed them when.
        study: Whose image it is.
        reader: Who saves it.
        source_files: The files of the series.
        proposal: (k, j, i); the labels as the model proposed them, when they are known.
        effort: What the reader put into the corrections, when somebody counted.
        classes: What a reader has decided on.
        layer: Parts several segmentations of one image that have the same origin: 0, 1, ...
        review: What readers said of it; None when nobody was asked.
    """

    volume: Volume
    labels: Labels | None
    segments: tuple[Segment, ...]
    provenance: Provenance
    study: Study
    reader: str
    source_files: tuple[Path, ...] = ()
    proposal: Labels | None = None
    effort: Effort | None = None
    layer: int = 0
    review: Review | None = None
    classes: tuple[ClassDecision, ...] = ()

    @property
    def origin(self) -> str:
        """What parts examples of one image: the model that proposed the labels, or that classes were decided on."""
        if self.classes:
            return "findings"
        return self.provenance.model.plugin_id if self.provenance.model else ""


def image_hash(volume: Volume) -> str:
    """Hash of the voxels and of where they lie; the same image gets the same one, whatever its file was."""
    digest = hashlib.sha256()
    place = np.round(volume.geometry.affine, 4) + 0.0
    digest.update(f"{volume.voxels.dtype.str}|{volume.geometry.shape}|{place.tolist()}|".encode())
    for plane in volume.voxels:
        digest.update(np.ascontiguousarray(plane).data)
    return digest.hexdigest()


def example_of(
    draft: Draft,
    segments: Sequence[Segment],
    secret: bytes,
    example_id: str,
    image: str,
    image_file: FileRecord,
    edit: EditRecord | None,
    files: tuple[FileRecord, ...],
) -> Example:
    """The record of a draft, with revision 1. Every name of the patient becomes a hash keyed with the site's secret."""
    model = draft.provenance.model
    proposed_at = draft.provenance.made_at
    return Example(
        schema_version=1,
        example_id=example_id,
        revision=1,
        patient_key=patient_key(secret, draft.study.patient, draft.study.uid),
        study_key=keyed_hash(secret, "study", draft.study.uid),
        series_key=keyed_hash(secret, "series", draft.volume.series_uid),
        saved_at=datetime.now(UTC),
        reader=draft.reader,
        modality=draft.volume.modality.value,
        unit=draft.volume.unit,
        grid=GridRecord.of(draft.volume.geometry),
        image=image,
        image_file=image_file,
        segments=tuple(SegmentRecord.of(segment) for segment in segments),
        model=ModelRecord(
            plugin_id=model.plugin_id, version=model.version, sha256=model.sha256, proposed_at=proposed_at
        )
        if model
        else None,
        reviewed_at=draft.provenance.reviewed_at,
        edit=edit,
        review=_reviewed(draft.review, draft.study.patient) if draft.review is not None else None,
        files=files,
        hinted=draft.provenance.hinted,
        classes=_nameless_classes(draft),
        windows=tuple((one.center, one.width) for one in draft.volume.windows),
    )


def _reviewed(review: Review, patient: Patient) -> ReviewedRecord:
    """What readers said, without the patient's name in their words."""
    from medview.formats.identifying_words import Identity

    identity = Identity.of_patient(patient)
    return ReviewedRecord(
        judgement=review.judgement,
        reason=identity.cleaned(review.reason),
        reader=review.signed.reader if review.signed is not None else "",
        at=review.signed.at if review.signed is not None else None,
        seconds=review.seconds,
        segments=tuple(
            SegmentReview(label=label, state=state, reader=signed.reader, at=signed.at)
            for label, (state, signed) in sorted(review.states.items())
        ),
        comments=tuple(
            CommentRecord(text=identity.cleaned(one.text), point=one.point, reader=one.signed.reader, at=one.signed.at)
            for one in review.comments
        ),
    )


def _nameless_classes(draft: Draft) -> tuple[ClassDecision, ...]:
    from medview.formats.identifying_words import Identity

    clean = Identity.of_patient(draft.study.patient).cleaned
    return tuple(
        one.model_copy(update={"name": clean(one.name), "reason": clean(one.reason), "corrects": clean(one.corrects)})
        for one in draft.classes
    )


def nameless(segments: Sequence[Segment], patient: Patient) -> tuple[Segment, ...]:
    """The structures as an example may call them: a reader may have put the patient's name into theirs."""
    from medview.formats.identifying_words import Identity

    identity = Identity.of_patient(patient)
    return tuple(replace(segment, name=identity.cleaned(segment.name)) for segment in segments)


def storable(volume: Volume) -> Volume:
    """The image as NIfTI can hold it: what is no number becomes 0."""
    if volume.voxels.dtype.kind != "f" or np.isfinite(volume.voxels).all():
        return volume
    voxels: NDArray[Any] = np.nan_to_num(volume.voxels, nan=0.0, posinf=0.0, neginf=0.0)
    return Volume(VolumeId(uuid.uuid4().hex), volume.geometry, voxels, volume.modality, volume.unit, volume.series_uid)
