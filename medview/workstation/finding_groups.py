"""Findings as they are read: what several models say of one class side by side, the rest by who found it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from medview.core.finding import Relation, Verdict
from medview.core.geometry import Box
from medview.workstation.finding_record import Entry


class GroupKind(StrEnum):
    """What the findings of a group have in common.

    CLASS: what is found, by several models. ANSWER: the answer of one model. READER: a reader found them.
    """

    CLASS = "class"
    ANSWER = "answer"
    READER = "reader"


@dataclass(frozen=True, slots=True)
class Group:
    """Findings under one heading.

    Attributes:
        kind: What they have in common.
        title: The name of the class, the model or the reader.
        entries: The findings.
        plugin_id: Of the model; empty where there is none, or several.
        version: Likewise.
        found_at: When it answered (UTC); None where it is not one answer.
        notes: What the model noted about the image.
        relation: How its classes relate.
        region: The part of the image that the model saw; None: all of it.
        least: The probability from which on places are shown, where there are several to choose among; None elsewhere.
        count: Of all findings, also those that are not shown.
    """

    kind: GroupKind
    title: str
    entries: tuple[Entry, ...]
    plugin_id: str = ""
    version: str = ""
    found_at: datetime | None = None
    notes: tuple[str, ...] = ()
    relation: Relation = Relation.EXCLUSIVE
    region: Box | None = None
    least: float | None = None
    count: int = 0


def groups(entries: Sequence[Entry], least: Mapping[str, float] | None = None) -> tuple[Group, ...]:
    """Findings in groups: first the classes that several models speak of, then answer by answer, the reader's last.

    Only what is said of the image as a whole is put side by side: two boxes are two places.

    Args:
        entries: The findings.
        least: By the plugin's id, from which probability on its places are shown; those decided on always are.
    """
    speakers: dict[str, set[str]] = {}
    for one in entries:
        if _of_whole_image(one):
            speakers.setdefault(one.finding.name, set()).add(_plugin(one))
    shared: dict[str, list[Entry]] = {name: [] for name, plugins in speakers.items() if len(plugins) > 1}
    answers: dict[tuple[str, str, datetime], list[Entry]] = {}
    own: dict[str, list[Entry]] = {}
    for one in entries:
        model = one.finding.algorithm
        if model is None:
            own.setdefault(one.source, []).append(one)
        elif _of_whole_image(one) and one.finding.name in shared:
            shared[one.finding.name].append(one)
        else:
            answers.setdefault((model.plugin_id, model.version, one.found_at), []).append(one)
    return (
        *(Group(GroupKind.CLASS, name, tuple(several)) for name, several in shared.items()),
        *(_answer(found, id, version, at, (least or {}).get(id, 0.0)) for (id, version, at), found in answers.items()),
        *(Group(GroupKind.READER, reader, tuple(found)) for reader, found in own.items()),
    )


def _answer(found: Sequence[Entry], id: str, version: str, at: datetime, least: float) -> Group:
    places = [one for one in found if one.finding.place is not None and one.finding.probability is not None]
    several = len(places) > 1
    shown = tuple(one for one in found if not several or one not in places or _is_shown(one, least))
    return Group(
        GroupKind.ANSWER, found[0].source, shown, id, version, at, found[0].notes,
        relation=found[0].relation, region=found[0].region, least=least if several else None, count=len(found),
    )  # fmt: skip


def _is_shown(entry: Entry, least: float) -> bool:
    probability = entry.finding.probability
    return entry.finding.verdict is not Verdict.OPEN or probability is None or probability >= least


def _of_whole_image(entry: Entry) -> bool:
    finding = entry.finding
    return finding.algorithm is not None and finding.probability is not None and finding.size_mm is None


def _plugin(entry: Entry) -> str:
    return entry.finding.algorithm.plugin_id if entry.finding.algorithm is not None else ""
