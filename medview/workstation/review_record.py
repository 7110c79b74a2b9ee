"""The record of what readers said of the segmentations of a series, line by line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from medview.core.geometry import Point
from medview.core.review import Comment, CommentId, Judgement, Review, SegmentState, Signed
from medview.core.segmentation import SegmentationId
from medview.core.text import Text
from medview.workstation import line_record
from medview.workstation.jobs import JobQueue
from medview.workstation.line_record import Complaints, LineRecord


class _Said(line_record.Line):
    """Who said something of which segmentation, when, and after how much time on task."""

    segmentation: str
    reader: str
    at: datetime
    seconds: float


class StateSaid(_Said):
    """How far a segment is."""

    event: Literal["state"] = "state"
    label: int
    state: SegmentState


class Judged(_Said):
    """What the reader says of the whole."""

    event: Literal["judged"] = "judged"
    judgement: Judgement
    reason: str


class Commented(_Said):
    """A remark at a place."""

    event: Literal["comment"] = "comment"
    id: str
    text: str
    point: Point


class CommentTakenBack(_Said):
    """A remark does not count any more."""

    event: Literal["comment-taken-back"] = "comment-taken-back"
    id: str


ReviewLine = StateSaid | Judged | Commented | CommentTakenBack
_LINE: TypeAdapter[ReviewLine] = TypeAdapter(Annotated[ReviewLine, Field(discriminator="event")])
_COMPLAINTS = Complaints(
    Text("The reviews of this series cannot be read now."),
    Text("Some lines of the reviews of this series cannot be read."),
    Text("The review was not kept: {reason}."),
    Text("Make room on the disk, or check who may write there, and say it again."),
)


def summed_up(lines: Iterable[ReviewLine]) -> Mapping[SegmentationId, Review]:
    """What lines add up to, by segmentation. Their order counts, and not their times: clocks are set back."""
    reviews: dict[SegmentationId, Review] = {}
    for line in lines:
        key = SegmentationId(line.segmentation)
        reviews[key] = with_line(reviews.get(key, Review()), line)
    return reviews


def with_line(review: Review, line: ReviewLine) -> Review:
    """A review after one more line."""
    signed = Signed(line.reader, line.at)
    review = replace(review, seconds=max(review.seconds, line.seconds))
    if isinstance(line, StateSaid):
        return replace(review, states=MappingProxyType({**review.states, line.label: (line.state, signed)}))
    if isinstance(line, Judged):
        is_open = line.judgement is Judgement.OPEN
        return replace(review, judgement=line.judgement, reason=line.reason, signed=None if is_open else signed)
    if isinstance(line, Commented):
        comment = Comment(CommentId(line.id), line.text, line.point, signed)
        return replace(review, comments=(*review.comments, comment))
    return replace(review, comments=tuple(one for one in review.comments if one.id != line.id))


class ReviewRecord(LineRecord[ReviewLine]):
    """Reads and extends the reviews of series.

    Args:
        folder: Where the files lie; made when the first is written.
        jobs: For the way home from the disk's thread.
    """

    def __init__(self, folder: Path, jobs: JobQueue) -> None:
        super().__init__(folder, jobs, _LINE, _COMPLAINTS)
