"""What was done to files that lost their names: a JSON file for programs, and a page of words for people.

Neither holds a value of an attribute, nor the name or place of an original, which may be a patient's name.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from medview.core.files import write_bytes
from medview.formats.confidentiality_profile import EDITION, Options
from medview.formats.deidentification_marks import codes
from medview.formats.deidentify import Change, Outcome

JSON_NAME, SUMMARY_NAME = "deidentification.json", "deidentification.txt"
_DONE = {
    "X": "removed",
    "Z": "emptied",
    "D": "replaced",
    "U": "given another UID",
    "C": "cleaned or shifted",
    "K": "kept",
}


def write_report(
    outcomes: Sequence[Outcome],
    changes: Mapping[Change, int],
    texts: Mapping[tuple[str, str], int],
    options: Options,
    target: Path,
) -> tuple[Path, Path]:
    """Write both files.

    Args:
        outcomes: Of every file.
        changes: How often each DICOM attribute was changed.
        texts: How often the header of an image file lost words, by (ending, field).
        options: What was retained.
        target: The folder of the copies.

    Returns:
        The JSON file and the page of words.

    Raises:
        StorageError: The disk refuses.
    """
    content = _content(outcomes, changes, texts, options, target)
    report, summary = target / JSON_NAME, target / SUMMARY_NAME
    write_bytes(report, json.dumps(content, indent=1).encode("utf-8"))
    write_bytes(summary, _words(content, options).encode("utf-8"))
    return report, summary


def _content(
    outcomes: Sequence[Outcome],
    changes: Mapping[Change, int],
    texts: Mapping[tuple[str, str], int],
    options: Options,
    target: Path,
) -> dict[str, object]:
    held = Counter(str(one.reason) for one in outcomes if one.reason is not None)
    patients = {one.target.relative_to(target).parts[0] for one in outcomes if one.target is not None}
    return {
        "profile": f"DICOM {EDITION}, Basic Application Level Confidentiality Profile",
        "codes": [{"value": code, "scheme": "DCM", "meaning": meaning} for code, meaning in codes(options)],
        "options": {name: getattr(options, name) for name in options.__slots__},
        "patients": sorted(patients),
        "files_written": sum(one.target is not None for one in outcomes),
        "files_held_back": [{"reason": reason, "count": count} for reason, count in held.most_common()],
        "to_be_looked_at": [
            {"file": one.target.relative_to(target).as_posix(), "reason": str(one.risk)}
            for one in outcomes
            if one.target is not None and one.risk is not None
        ],
        "attributes": [
            {"tag": one.tag, "name": one.name, "action": one.action.value, "count": count}
            for one, count in sorted(changes.items(), key=lambda pair: (pair[0].tag, pair[0].action))
        ],
        "image_headers": [
            {"kind": kind, "field": name, "count": count} for (kind, name), count in sorted(texts.items())
        ],
    }


def _words(content: dict[str, object], options: Options) -> str:
    def rows(name: str) -> list[dict[str, object]]:
        found = content[name]
        return found if isinstance(found, list) else []

    lines = [
        "Copies without names, made by MedView",
        "",
        f"Rules: {content['profile']}",
        *(f"  {one['value']} {one['meaning']}" for one in rows("codes")),
        "",
        f"Files written: {content['files_written']}",
        f"Files held back: {sum(int(str(one['count'])) for one in rows('files_held_back'))}",
        *(f"  {one['count']} x {one['reason']}" for one in rows("files_held_back")),
    ]
    if looked := rows("to_be_looked_at"):
        lines += ["", "Look at these pictures before you pass them on:"]
        lines += [f"  {one['file']}: {one['reason']}" for one in looked]
    if options.clean_descriptors:
        lines += [
            "",
            "Descriptions were kept. A name that stands in a description and nowhere else in a file is not known.",
        ]
    if options.keep_safe_private:
        lines += ["", "Private attributes that are known to name nobody were kept; they are listed below as kept."]
    lines += ["", "What was changed, and how often:"]
    lines += [
        f"  {one['tag']} {one['name']}: {_DONE[str(one['action'])]}, {one['count']}" for one in rows("attributes")
    ]
    lines += [f"  {one['kind']} {one['field']}: removed, {one['count']}" for one in rows("image_headers")]
    lines += [
        "",
        "Nobody can be sure that a picture shows no name or face: a face can be made from slices of a head.",
    ]
    return "\n".join(lines) + "\n"
