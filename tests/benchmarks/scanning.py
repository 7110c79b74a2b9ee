"""From a folder with 20 000 instances to judged series, beside a plain loop of pydicom; and the same folder again.

What is counted of ours is everything that opening a folder does before pixels are read: finding the files, reading
their headers, sorting them into series, judging each, and, where it says so, writing down or looking up what is known
of the files. The loop of pydicom reads the same attributes of the same files, and does nothing with them. Files come
from warm cache, so that processors are compared and not disks; from a disk or a network the first time takes longer,
and what is known already gains more. (`--quick`: 2 000 instances.)
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import threading
import time
from pathlib import Path

import pydicom

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from medview.core.errors import Cancelled
from medview.core.progress import NoProgress
from medview.core.text import Text
from medview.formats import dicom_files
from medview.formats.dicom_header import WANTED
from medview.formats.header_cache import HeaderCache
from medview.workstation.searching import Found, search
from tests.benchmarks.bench import Row, in_fresh_process, interleave, medians, options, report
from tests.benchmarks.many_instances import SERIES_OF_A_STUDY, folder_of_many

_MEMORY = """
import json, sys
from pathlib import Path
from medview.core.progress import NoProgress
from medview.formats import dicom_files, dicom_series, header_cache
from medview.workstation.searching import search
def status(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name)) * 1024
before = status("VmRSS")
found = search([Path(sys.argv[1])], {}, NoProgress(), lambda series: None, Path(sys.argv[2]))
print(json.dumps({"before": before, "peak": status("VmHWM"), "series": len(found.series)}))
"""
_CANCEL_AT = (0.05, 0.2, 0.4, 0.6, 0.8, 0.9, 0.97)
"""Shares of the whole time at which a search is stopped."""


def main() -> int:
    """Measure, print, and return the exit status."""
    opts = options(__doc__ or "")
    folder = folder_of_many(opts)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    series = len(files) // 1000 * SERIES_OF_A_STUDY
    with tempfile.TemporaryDirectory() as scratch:
        known, headers = Path(scratch) / "known.sqlite", Path(scratch) / "headers.sqlite"
        runs = {
            "pydicom": lambda: _pydicom(files),
            "unknown": lambda: _search(folder, None, series),
            "first": lambda: _search(folder, _forgotten(known), series),
            "second": lambda: _search(folder, known, series),
            "headers": lambda: _scan(folder, _forgotten(headers), len(files)),
            "headers again": lambda: _scan(folder, headers, len(files)),
        }
        middle = medians(interleave(runs, opts.rounds))
        stops = [_stop_after(folder, Path(scratch) / "stopped.sqlite", middle["first"] * at) for at in _CANCEL_AT]
        first = in_fresh_process(_MEMORY, str(folder), str(Path(scratch) / "memory.sqlite"))
        second = in_fresh_process(_MEMORY, str(folder), str(Path(scratch) / "memory.sqlite"))
        on_disk = known.stat().st_size
    loop = "pydicom, specific_tags"
    rows = [
        Row("folder to judged series", middle["first"], middle["pydicom"], loop, 0.7),
        Row("  nothing written down", middle["unknown"], middle["pydicom"], loop, 0.7),
        Row("the same folder again", middle["second"], middle["first"], "the first time", 0.1),
        Row("  the same", middle["second"], middle["pydicom"], loop, None),
        Row("headers alone", middle["headers"], middle["pydicom"], loop, 0.7),
        Row("  one file has changed", middle["headers again"], middle["headers"], "the first time", None),
        Row("stopped, longest wait", max(waited for waited, _ in stops), 0.2, "0.2 s", 1.0),
        Row("  time of processors", max(busy for _, busy in stops), 0.2, "0.2 s", 1.0),
        Row("peak memory", first["peak"] / 1e6, 400, "400 MB", 1.0, "MB"),
        Row("  the same folder again", second["peak"] / 1e6, 400, "400 MB", 1.0, "MB"),
        Row("  above imports", (first["peak"] - first["before"]) / 1e6, 400, "400 MB", None, "MB"),
        Row(
            "what is known, on disk",
            on_disk / 1e6,
            sum(path.stat().st_size for path in files) / 1e6,
            "files",
            None,
            "MB",
        ),
    ]
    return report(f"Searching {len(files)} instances in {series} series", rows, opts)


def _search(folder: Path, known: Path | None, series: int) -> float:
    begin = time.perf_counter()
    found: Found = search([folder], {}, NoProgress(), lambda series: None, known)
    seconds = time.perf_counter() - begin
    if len(found.series) != series or any(one.geometry is None for one in found.series):
        raise SystemExit("the search did not find what is there")
    return seconds


def _scan(folder: Path, known: Path, files: int) -> None:
    """Headers from what is known of each, as when the search as a whole is not known: a file has come or gone."""
    with HeaderCache(known) as cache:
        found = dicom_files.scan([folder], NoProgress(), None, cache)
    if len(found.headers) != files:
        raise SystemExit("the scan did not find what is there")


def _forgotten(known: Path) -> Path:
    for path in known.parent.glob(f"{known.name}*"):
        path.unlink()
    return known


def _pydicom(files: list[Path]) -> None:
    wanted = list(WANTED)
    for path in files:
        pydicom.dcmread(path, stop_before_pixels=True, specific_tags=wanted)


class _Stoppable:
    """A progress that is told to stop by another thread."""

    def __init__(self) -> None:
        self.asked_at: float | None = None
        self.busy_at = 0.0

    def ask(self) -> None:
        self.busy_at = time.process_time()
        self.asked_at = time.perf_counter()

    def report(self, fraction: float | None, message: Text | str = "") -> None:
        """Drop the report."""

    def raise_if_cancelled(self) -> None:
        if self.asked_at is not None:
            raise Cancelled


def _stop_after(folder: Path, known: Path, seconds: float) -> tuple[float, float]:
    """How long a search goes on, and keeps a processor busy, after it was told to stop; nothing is known before."""
    progress = _Stoppable()
    timer = threading.Timer(seconds, progress.ask)
    timer.start()
    with contextlib.suppress(Cancelled):
        search([folder], {}, progress, lambda series: None, _forgotten(known))
    ended, busy = time.perf_counter(), time.process_time()
    timer.cancel()
    return (ended - progress.asked_at, busy - progress.busy_at) if progress.asked_at is not None else (0.0, 0.0)


if __name__ == "__main__":
    sys.exit(main())
