"""Copies folders of DICOM files without the names in them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from medview.core.errors import InputError, StorageError, UnreadableFileError
from medview.core.files import write_bytes
from medview.core.progress import Progress
from medview.core.text import Text

if TYPE_CHECKING:
    from medview.formats.confidentiality_profile import Options
    from medview.formats.deidentify import Outcome

REPORT = "deidentification.json"


@dataclass(frozen=True, slots=True)
class Deidentified:
    """What became of a folder.

    Attributes:
        outcomes: Of every file.
        report: The file that says what was done.
    """

    outcomes: tuple[Outcome, ...]
    report: Path

    @property
    def written(self) -> int:
        """How many files have a copy."""
        return sum(one.target is not None for one in self.outcomes)


def deidentify(
    paths: Sequence[Path], target: Path, secret: bytes, options: Options, progress: Progress
) -> Deidentified:
    """Copy every DICOM file without what identifies somebody, and write down what was done.

    Args:
        paths: Files and folders.
        target: A folder that is empty or not there yet.
        secret: Of this place: the same patient gets the same pseudonym at every call.
        options: What is retained.
        progress: Told how many files are done, and asked for cancellation.

    Raises:
        InputError: The folder is not empty, or lies among the files, or there are no files.
        StorageError: Something cannot be written.
        Cancelled: The progress says so; what is written is complete, and the report is missing.
    """
    from medview.formats.deidentify import Deidentifier, Outcome

    files = [
        file for path in paths for file in ([path] if path.is_file() else sorted(path.rglob("*"))) if file.is_file()
    ]
    if not files:
        raise InputError("There are no files to copy.")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(Text.of("{folder} is not empty.", folder=str(target)), "Choose a new folder.")
    if any(path.is_dir() and target.resolve().is_relative_to(path.resolve()) for path in paths):
        raise InputError("The copies cannot lie among the originals.", "Choose a folder elsewhere.")
    worker = Deidentifier(secret, options)
    outcomes = []
    try:
        target.mkdir(parents=True, exist_ok=True)
        for number, file in enumerate(files):
            progress.raise_if_cancelled()
            progress.report(number / len(files), Text.of("{n} of {all} files", n=number, all=len(files)))
            try:
                outcomes.append(worker.copy(file, target))
            except UnreadableFileError as error:
                outcomes.append(Outcome(file, None, error.what))
        report = target / REPORT
        write_bytes(report, json.dumps(_report(outcomes, worker.changes, options, target), indent=1).encode("utf-8"))
    except OSError as error:
        raise StorageError(
            Text.of("{folder} cannot be written.", folder=str(target)), "Choose another disk or folder."
        ) from error
    return Deidentified(tuple(outcomes), report)


def _report(outcomes: Sequence[Outcome], changes: object, options: Options, target: Path) -> dict[str, object]:
    from collections import Counter

    assert isinstance(changes, Counter)
    held = Counter(str(one.reason) for one in outcomes if one.target is None)
    return {
        "profile": "DICOM PS3.15 2026c, Basic Application Level Confidentiality Profile",
        "options": {name: getattr(options, name) for name in options.__slots__},
        "files": {"written": sum(one.target is not None for one in outcomes), "held_back": dict(held)},
        "to_be_looked_at": [
            str(one.target.relative_to(target)) for one in outcomes if one.target is not None and one.risk is not None
        ],
        "attributes": [
            {"tag": one.tag, "name": one.name, "action": one.action.value, "count": count}
            for one, count in sorted(changes.items(), key=lambda pair: (pair[0].tag, pair[0].action))
        ],
    }
