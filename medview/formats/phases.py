"""Separates images that share their places: the volumes of a 4D series, and slices that came twice.

What tells the volumes apart is read from the images: echoes, b-values with their directions, positions in time, kinds
of image. What the images do not say, their order in time or by number decides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from medview.core.case import Remark, Severity, Use
from medview.core.geometry import Floats
from medview.core.text import Text
from medview.formats.dicom_frames import Frame

_SAME_PLACE_MM = 0.01
_SAME_PLACE_SHARE = 0.05
_NAMED_PLACES = 4
_MOST_DOUBLED = 0.5
"""The share of places that may hold several images before they are taken for volumes that are not complete."""
_SMALL_B_VALUE = 10.0
"""s/mm2; below it a direction means nothing."""


@dataclass(frozen=True, slots=True)
class Separation:
    """The volumes of a stack.

    Attributes:
        phases: The images of each, as many and in the same order of slices.
        names: What each is; empty where there is only one.
        remarks: What its reader should know.
    """

    phases: tuple[tuple[Frame, ...], ...]
    names: tuple[Text, ...]
    remarks: tuple[Remark, ...] = ()


_Value = tuple[Hashable, ...]


@dataclass(frozen=True, slots=True)
class _Field:
    """Something that images say of themselves, and how it is written."""

    of: Callable[[Frame], _Value]
    name: Callable[[Frame], Text]


def _number(value: float | None) -> _Value:
    return () if value is None else (round(value, 3),)


def _direction(frame: Frame) -> _Value:
    value = frame.separators.b_value
    if value is None or value < _SMALL_B_VALUE:
        return ()
    return tuple(round(part, 2) + 0.0 for part in frame.separators.direction)


_FIELDS = (
    _Field(
        lambda one: _number(one.separators.echo_time_ms),
        lambda one: Text.of("TE {ms} ms", ms=f"{one.separators.echo_time_ms:g}"),
    ),
    _Field(lambda one: one.separators.image_type, lambda one: Text.of("{kind}", kind=" ".join(_kind(one)))),
    _Field(
        lambda one: _number(one.separators.b_value),
        lambda one: Text.of("b {value}", value=f"{one.separators.b_value or 0:.0f}"),
    ),
    _Field(_direction, lambda one: Text("")),
    _Field(
        lambda one: _number(one.separators.temporal_position),
        lambda one: Text.of("time {number}", number=one.separators.temporal_position),
    ),
    _Field(
        lambda one: _number(one.separators.trigger_time_ms),
        lambda one: Text.of("{ms} ms", ms=f"{one.separators.trigger_time_ms:g}"),
    ),
    _Field(
        lambda one: _number(one.separators.acquisition_number),
        lambda one: Text.of("acquisition {number}", number=one.separators.acquisition_number),
    ),
)


def separate(frames: Sequence[Frame], along: Floats) -> Separation:
    """Take images apart that lie at the same places.

    Args:
        frames: Parallel images of one size, ordered along their normal.
        along: (n,) where each lies along the normal, mm, rising.
    """
    starts = place_starts(along)
    places = [list(frames[a:b]) for a, b in zip(starts, [*starts[1:], len(frames)], strict=True)]
    counts = Counter(len(place) for place in places)
    usual, _ = max(counts.items(), key=lambda item: (item[1], item[0]))
    if len(counts) == 1 and usual == 1:
        return Separation((tuple(frames),), ())
    if usual == 1 and sum(len(place) > 1 for place in places) <= _MOST_DOUBLED * len(places):
        return _first_of_each(places)
    return _volumes(places)


def place_starts(along: Floats) -> list[int]:
    """The index at which each place begins in (n,) rising positions, mm."""
    steps = np.diff(along)
    real = steps[steps > _SAME_PLACE_MM]
    limit = min(_SAME_PLACE_MM, _SAME_PLACE_SHARE * float(np.median(real))) if real.size else _SAME_PLACE_MM
    return [0, *(int(index) + 1 for index in np.flatnonzero(steps > limit))]


def _first_of_each(places: Sequence[list[Frame]]) -> Separation:
    ordered = [sorted(place, key=_in_time) for place in places]
    crowded = [place for place in ordered if len(place) > 1]
    named = [" + ".join(_instance(frame) for frame in place) for place in crowded[:_NAMED_PLACES]]
    text = Text.of(
        "Several images share one place, at {places} of its {all} places (image numbers {numbers}); the first of each "
        "is shown.",
        places=len(crowded),
        all=len(places),
        numbers=", ".join(named) + (", ..." if len(crowded) > len(named) else ""),
    )
    remark = Remark(Severity.WARNING, "duplicate-positions", text, frozenset({Use.ANALYSE}))
    return Separation((tuple(place[0] for place in ordered),), (), (remark,))


def _volumes(places: Sequence[list[Frame]]) -> Separation:
    """One volume for everything that the images of a place say of themselves; what is not complete is left out."""
    fields = [field for field in _FIELDS if _tells_apart(field, places)]
    volumes: dict[tuple[_Value, ...], list[list[Frame]]] = {}
    for place in places:
        for key in {_key(frame, fields) for frame in place}:
            here = sorted((frame for frame in place if _key(frame, fields) == key), key=_in_time)
            volumes.setdefault(key, []).append(here)
    phases: list[tuple[Frame, ...]] = []
    names: list[Text] = []
    for key in sorted(volumes):
        columns = volumes[key]
        repeats = min(len(here) for here in columns) if len(columns) == len(places) else 0
        same = [tuple(here[repeat] for here in columns) for repeat in range(repeats)]
        moments = _moments(same) if repeats > 1 else [Text("")]
        phases += same
        names += [_name(phase[0], fields, moment) for phase, moment in zip(same, moments, strict=False)]
    if not phases:
        fewest = min(len(place) for place in places)
        ordered = [sorted(place, key=_in_time) for place in places]
        phases = [tuple(place[number] for place in ordered) for number in range(fewest)]
        names = [Text.of("phase {number}", number=number + 1) for number in range(fewest)]
    left_out = sum(map(len, places)) - sum(map(len, phases))
    remarks = [_several(len(phases))] if len(phases) > 1 else []
    if left_out:
        text = Text.of("{n} of its images make no complete volume and were left out.", n=left_out)
        remarks.append(Remark(Severity.WARNING, "incomplete-phase", text))
    return Separation(tuple(phases), _distinct(names) if len(phases) > 1 else (), tuple(remarks))


def _several(count: int) -> Remark:
    text = Text.of("It holds {n} volumes of the same place; they are shown one after another.", n=count)
    return Remark(Severity.NOTE, "four-dimensional", text)


def _tells_apart(field: _Field, places: Sequence[list[Frame]]) -> bool:
    """Whether a field differs within places, and takes the same values at most of them."""
    found = [Counter(field.of(frame) for frame in place) for place in places]
    usual, times = Counter(frozenset(one) for one in found).most_common(1)[0]
    return len(usual) > 1 and times > len(places) // 2


def _key(frame: Frame, fields: Sequence[_Field]) -> tuple[_Value, ...]:
    return tuple(field.of(frame) for field in fields)


def _name(frame: Frame, fields: Sequence[_Field], moment: Text) -> Text:
    parts = [part for field in fields if field.of(frame) and (part := field.name(frame))]
    if moment or not parts:
        parts.append(moment or Text("first"))
    name = parts[0]
    for part in parts[1:]:
        name = Text.of("{one}, {other}", one=name, other=part)
    return name


def _moments(phases: Sequence[tuple[Frame, ...]]) -> list[Text]:
    """What tells volumes apart that say the same of themselves: when they began, or else their number."""
    times = [phase[0].separators.time_s for phase in phases]
    known = [time for time in times if time is not None]
    if len(set(known)) < len(times):
        return [Text.of("phase {number}", number=number) for number in range(1, len(times) + 1)]
    return [Text.of("{seconds} s", seconds=f"{time - known[0]:.1f}") for time in known]


def _distinct(names: Sequence[Text]) -> tuple[Text, ...]:
    """Names with a number behind those that come more than once."""
    counts, so_far = Counter(names), Counter[Text]()
    made = []
    for name in names:
        so_far[name] += 1
        made.append(Text.of("{name} ({number})", name=name, number=so_far[name]) if counts[name] > 1 else name)
    return tuple(made)


def _kind(frame: Frame) -> tuple[str, ...]:
    """What an image type says beyond that it is an original."""
    return tuple(part for part in frame.separators.image_type if part not in ("ORIGINAL", "PRIMARY", "DERIVED", ""))


def _in_time(frame: Frame) -> tuple[float, float, float, float, int, str]:
    """The order in which images were acquired, as far as they say."""
    one = frame.separators
    unknown = float("inf")
    return (
        unknown if one.temporal_position is None else one.temporal_position,
        unknown if one.acquisition_number is None else one.acquisition_number,
        unknown if one.time_s is None else one.time_s,
        unknown if frame.header.instance_number is None else frame.header.instance_number,
        frame.index,
        frame.header.path.name,
    )


def _instance(frame: Frame) -> str:
    number = frame.header.instance_number
    return "?" if number is None else str(number)
