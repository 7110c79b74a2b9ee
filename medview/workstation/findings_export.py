"""Findings as files for others: a structured report, a table, or JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medview.core.errors import InputError, StorageError
from medview.core.files import write_bytes
from medview.core.progress import Progress
from medview.core.report import Report
from medview.core.text import Text
from medview.core.volume import Volume
from medview.workstation.finding_record import Entry

COLUMNS = (
    "name", "code", "scheme", "probability", "low", "high", "answers", "threshold", "model", "version", "sha256",
    "found_at", "verdict", "reason", "reader", "decided_at", "x_mm", "y_mm", "z_mm", "picture",
    "relation", "region_kji", "notes",
)  # fmt: skip
ENDINGS = (".dcm", ".csv", ".json")


def write(
    path: Path, entries: Sequence[Entry], volume: Volume, sources: Sequence[Path], reader: str, progress: Progress
) -> str:
    """Write findings, and read them back; the ending says as what: .dcm, .csv or .json.

    Args:
        path: The file; replaced when it exists.
        entries: What is written.
        volume: The image that they are about.
        sources: Its DICOM files; a report needs them.
        reader: Who reports.
        progress: Reported to and asked for cancellation.

    Returns:
        What was compared, for the record.

    Raises:
        InputError: There is nothing to write, the ending is another one, or a report has no images to refer to.
        StorageError: It could not be written, or did not read back as meant.
    """
    if not entries:
        raise InputError("There are no findings to save.", "Run a classifier, or add a finding of your own.")
    ending = path.suffix.lower()
    if ending == ".dcm":
        return _report(path, entries, volume, sources, reader, progress)
    if ending not in ENDINGS:
        raise InputError(
            Text.of("Findings cannot be written as {name}.", name=path.name),
            Text("Choose a name that ends in .dcm, .csv or .json."),
        )
    rows = [_row(one) for one in entries]
    told = {"series": volume.series_uid, "findings": rows}
    content = (_table(rows) if ending == ".csv" else json.dumps(told, indent=2, ensure_ascii=False)).encode("utf-8")
    write_bytes(path, content)
    if path.read_bytes() != content:
        raise StorageError(Text.of("{name} was written wrongly.", name=path.name), Text("Choose another folder."))
    return "identical"


def _report(
    path: Path, entries: Sequence[Entry], volume: Volume, sources: Sequence[Path], reader: str, progress: Progress
) -> str:
    from medview.formats import dicom_sr

    if not sources:
        raise InputError(
            Text("Reports refer to DICOM images, and this series has none."), Text("Choose .csv or .json.")
        )
    report = Report(reader, findings=tuple(one.finding for one in entries))
    dicom_sr.write(report, volume, sources, path, progress)
    return "proved"


def _row(entry: Entry) -> dict[str, Any]:
    finding = entry.finding
    code, model, point = finding.code, finding.algorithm, finding.operating_point
    interval = finding.interval
    x, y, z = finding.place if finding.place is not None else (None, None, None)
    values = (
        finding.name,
        code.value if code is not None else "",
        code.scheme if code is not None else "",
        finding.probability,
        interval.low if interval is not None else None,
        interval.high if interval is not None else None,
        interval.answers if interval is not None else None,
        point.threshold if point is not None else None,
        model.plugin_id if model is not None else "",
        model.version if model is not None else "",
        model.sha256 if model is not None else "",
        entry.found_at.isoformat(),
        finding.verdict.value,
        entry.reason,
        entry.reader,
        entry.decided_at.isoformat() if entry.decided_at is not None else "",
        x,
        y,
        z,
        finding.frame + 1 if finding.frame is not None else None,
        entry.relation.value if finding.algorithm is not None else "",
        _region(entry),
        " ".join(entry.notes),
    )
    return dict(zip(COLUMNS, values, strict=True))


def _region(entry: Entry) -> str:
    """The voxels that the model saw, counted from 0, the last one included; empty where it saw all."""
    if entry.region is None:
        return ""
    return " ".join(f"{a}-{b - 1}" for a, b in zip(entry.region.start, entry.region.stop, strict=True))


def _table(rows: Sequence[dict[str, Any]]) -> str:
    """As RFC 4180 has it; a cell that a spreadsheet would run as a formula is kept from it by an apostrophe."""
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, COLUMNS)
    writer.writeheader()
    for row in rows:
        writer.writerow({key: _cell(value) for key, value in row.items()})
    return file.getvalue()


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@") else value
