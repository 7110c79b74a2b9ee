"""What a reader has decided on findings, as training examples keep it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from medview.core.finding import Verdict
from medview.learning.example_record import ClassDecision, CodeRecord, ModelRecord
from medview.workstation.finding_record import Entry


def decided(entries: Sequence[Entry]) -> tuple[ClassDecision, ...]:
    """The findings that were accepted, rejected or entered; those that are open are left out."""
    names = {one.id: one.finding.name for one in entries}
    return tuple(
        _decision(one, names.get(one.corrects, "") if one.corrects is not None else "")
        for one in entries
        if one.finding.verdict is not Verdict.OPEN
    )


def _decision(entry: Entry, corrects: str) -> ClassDecision:
    finding, model = entry.finding, entry.finding.algorithm
    verdict: Literal[Verdict.CONFIRMED, Verdict.REJECTED] = (
        Verdict.CONFIRMED if finding.verdict is Verdict.CONFIRMED else Verdict.REJECTED
    )
    return ClassDecision(
        name=finding.name,
        code=CodeRecord.of(finding.code),
        verdict=verdict,
        reason=entry.reason,
        reader=entry.reader,
        decided_at=entry.decided_at or entry.found_at,
        probability=finding.probability,
        model=ModelRecord(
            plugin_id=model.plugin_id, version=model.version, sha256=model.sha256, proposed_at=entry.found_at
        )
        if model is not None
        else None,
        corrects=corrects,
        place=finding.place,
        size_mm=finding.size_mm,
        frame=finding.frame,
        region=(entry.region.start, entry.region.stop) if entry.region is not None else None,
    )
