"""What a reader says of a segmentation: how far each segment is, whether the whole is right, and remarks at places."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import NewType

from medview.core.geometry import Point

CommentId = NewType("CommentId", str)


class SegmentState(StrEnum):
    """How far the work on a segment is."""

    NOT_STARTED = "not started"
    IN_PROGRESS = "in progress"
    DONE = "done"
    FLAGGED = "flagged"


class Judgement(StrEnum):
    """What the reader says of the whole: right as it came, right after corrections, or not to be used."""

    OPEN = "open"
    ACCEPTED = "accepted"
    CORRECTED = "corrected"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Signed:
    """Who said something, and when (UTC)."""

    reader: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Comment:
    """A remark at a place.

    Attributes:
        id: Its own.
        text: The reader's words.
        point: Where: x, y, z, LPS, mm.
        signed: Who wrote it, and when.
    """

    id: CommentId
    text: str
    point: Point
    signed: Signed


@dataclass(frozen=True, slots=True)
class Review:
    """What is said of one segmentation.

    Attributes:
        states: By label, what the reader said of a segment, with who and when.
        judgement: Of the whole.
        reason: Why; may be empty.
        signed: Who judged, and when; None while nobody has.
        comments: In the order in which they were written.
        seconds: Time on task when something was last said.
    """

    states: Mapping[int, tuple[SegmentState, Signed]] = field(default_factory=lambda: MappingProxyType({}))
    judgement: Judgement = Judgement.OPEN
    reason: str = ""
    signed: Signed | None = None
    comments: tuple[Comment, ...] = ()
    seconds: float = 0.0
