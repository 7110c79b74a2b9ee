"""What every benchmark shares: interleaved timing, fresh processes, and the table with its verdicts.

A benchmark compares what MedView does with a reference that is measured in the same run, so that the machine's speed
cancels out: the target is a ratio. `tests/benchmarks/TOPIC.py [--json] [--quick]` ends with exit status 1 when a target
is missed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from medview.formats.dicom_writer import write_series
from medview.phantom import chest

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 5


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        name: What was measured.
        measured: Ours, in `unit`.
        reference: What it is compared with, in `unit`.
        reference_name: What that is.
        limit: The ratio measured / reference that is allowed; None for a line that only informs.
        unit: "s", "ms", "MB".
    """

    name: str
    measured: float
    reference: float
    reference_name: str
    limit: float | None
    unit: str = "s"

    @property
    def ratio(self) -> float:
        """Measured / reference."""
        return self.measured / self.reference if self.reference else float("inf")

    @property
    def met(self) -> bool:
        """Whether the target is met; True for a line without one."""
        return self.limit is None or self.ratio <= self.limit


@dataclass(frozen=True)
class Options:
    """What every benchmark understands: `--json`, and `--quick` for a smaller data set and fewer rounds.

    Some can count one core's time in place of the clock's: `--one-core`, for a machine that is busy with other things.
    """

    as_json: bool
    quick: bool
    one_core: bool = False

    @property
    def rounds(self) -> int:
        """How often everything is measured."""
        return 3 if self.quick else ROUNDS


def options(description: str, arguments: Sequence[str] | None = None, *, counts_cores: bool = False) -> Options:
    """Read the command line of a benchmark; `counts_cores`: of one that knows `--one-core`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")
    parser.add_argument("--quick", action="store_true", help="a smaller data set and fewer rounds")
    if counts_cores:
        parser.add_argument("--one-core", action="store_true", help="a core's time, not the clock's")
    parsed = parser.parse_args(arguments)
    return Options(parsed.json, parsed.quick, counts_cores and parsed.one_core)


def interleave(runs: Mapping[str, Callable[[], float | None]], rounds: int = ROUNDS) -> dict[str, list[float]]:
    """Measure several things in turn, round after round, after one round that is not counted.

    Args:
        runs: By name. A run that returns a number has measured itself; of one that returns None the wall time counts.
        rounds: How many rounds count.

    Returns:
        By name: the measurements, in the order of the rounds.
    """
    measured: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(rounds + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            value = run()
            elapsed = time.perf_counter() - start
            if turn:
                measured[name].append(elapsed if value is None else value)
    return measured


def medians(measured: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """The median of every list."""
    return {name: median(values) for name, values in measured.items()}


def percentile(values: Sequence[float], percent: float) -> float:
    """The value below which `percent` of the values lie (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, round(percent / 100 * len(ordered) + 0.5) - 1))]


def in_fresh_process(code: str, *arguments: str) -> Any:
    """Run Python code in a process of its own, from the project's root; its last line of output is read as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout.strip().splitlines()[-1])


def report(title: str, rows: Sequence[Row], opts: Options) -> int:
    """Print the table, or JSON, and return the exit status: 1 when a target is missed."""
    missed = [row for row in rows if not row.met]
    if opts.as_json:
        records = [vars(row) | {"ratio": row.ratio, "met": row.met} for row in rows]
        sys.stdout.write(json.dumps({"title": title, "rows": records, "met": not missed}, indent=1) + "\n")
        return 1 if missed else 0
    head = ("", "measured", "reference", "", "ratio", "target", "")
    lines = [head, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    sys.stdout.write(f"{title}\n")
    for line in lines:
        sys.stdout.write("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() + "\n")
    return 1 if missed else 0


def series_folder(opts: Options) -> Path:
    """A CT of 400 slices of 512x512 (`--quick`: 120), made once and kept in the system's temporary folder."""
    slices = 120 if opts.quick else 400
    folder = Path(tempfile.gettempdir()) / f"medview-benchmark-ct-{slices}"
    if not folder.is_dir():
        part = folder.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        write_series(chest.make((slices, 512, 512)).volume, part)
        part.rename(folder)
    return folder


def _cells(row: Row) -> tuple[str, str, str, str, str, str, str]:
    return (
        row.name,
        f"{row.measured:.3g} {row.unit}",
        f"{row.reference:.3g} {row.unit}",
        row.reference_name,
        f"{row.ratio:.2f}",
        "" if row.limit is None else f"<= {row.limit:.2f}",
        "" if row.limit is None else ("met" if row.met else "MISSED"),
    )
