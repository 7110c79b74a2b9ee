"""Spoils many files and opens each beside a sound series: `python tests/fuzz/campaign.py --count 5000`.

Exit status 1 when a file ended the process that opened it, hung, took too much memory, raised what is no sentence, or
took the sound series beside it down. What failed is kept, with its seed, under --keep.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import random
import selectors
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from medview.formats.dicom_writer import SeriesOptions, write_series
from tests.fuzz import seeds, trial
from tests.fuzz.mutations import mutate
from tests.fuzz.seeds import Seed

LIMIT_BYTES = 3 << 29
"""What one process may take beyond what it has loaded: 1.5 GiB."""
LIMIT_S = 20.0
_TOLD_EVERY = 500
_TRIAL = Path(trial.__file__)
_LIBRARIES = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the opening of one spoilt file ended."""

    number: int
    seed_name: str
    mutation: str
    verdict: str
    words: str
    seconds: float

    @property
    def failed(self) -> bool:
        """Whether it is not as it should be."""
        return self.verdict not in ("opened", "refused")


class _Trial:
    """The process that opens files; started again when one of them has ended it."""

    def __init__(self, good_hash: str, errors: Path, limit_s: float) -> None:
        self._good_hash = good_hash
        self._limit_s = limit_s
        self._errors = errors
        self._process: subprocess.Popen[str] | None = None

    def open(self, folder: Path) -> tuple[str, str]:
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(f"{folder}\n")
            process.stdin.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            answer = process.stdout.readline() if selector.select(2 * self._limit_s) else ""
        if not answer:
            process.kill()
            status = process.wait()
            self._let_go(process)
            return "ENDED", f"status {status}: {self._errors.read_text(errors='replace')[-3000:]}"
        _, verdict, words = answer.rstrip("\n").split("\t", 2)
        return verdict, words

    def close(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            self._process.wait(30)
            self._let_go(self._process)

    def _let_go(self, process: subprocess.Popen[str]) -> None:
        self._process = None
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def _start(self) -> subprocess.Popen[str]:
        command = [sys.executable, str(_TRIAL), str(LIMIT_BYTES), str(self._limit_s), self._good_hash]
        with self._errors.open("w") as errors:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
                env={**os.environ, **_LIBRARIES, "MEDVIEW_HOME": str(self._errors.parent / "home")},
            )  # fmt: skip
        assert process.stdout is not None
        if process.stdout.readline().strip() != "ready":
            raise RuntimeError(self._errors.read_text(errors="replace"))
        self._process = process
        return process


def run(
    files: Sequence[Seed],
    numbers: range,
    folder: Path,
    *,
    seed: int = 1,
    limit_s: float = LIMIT_S,
    keep: Path | None = None,
    loud: bool = False,
) -> list[Outcome]:
    """Spoil files and open them.

    Args:
        files: What is spoilt.
        numbers: The number of each mutation; one number is one file, whatever the others are.
        folder: For the spoilt files; empty afterwards, but for what stays.
        seed: Of the whole.
        limit_s: How long one file may take.
        keep: Where what failed is copied to.
        loud: Whether failures are printed as they come.
    """
    volume = replace(seeds.volume(), description=trial.GOOD)
    good = write_series(volume, folder / "good", SeriesOptions(bits_stored=12, series_uid="1.2.3.4.5"))
    good_hash = hashlib.sha256(volume.voxels.tobytes()).hexdigest()
    process = _Trial(good_hash, folder / "errors.txt", limit_s)
    outcomes = []
    for number in numbers:
        chosen = files[random.Random(f"{seed} {number}").randrange(len(files))]
        case = folder / f"case{number}"
        case.mkdir()
        mutation, data = mutate(chosen.data, chosen.mutations, seed * 1_000_003 + number)
        for path in good:
            os.link(path, case / path.name)
        (case / f"spoilt{chosen.suffix}").write_bytes(data)
        started = time.monotonic()
        verdict, words = process.open(case)
        outcome = Outcome(number, chosen.name, mutation, verdict, words, time.monotonic() - started)
        outcomes.append(outcome)
        if loud and len(outcomes) % _TOLD_EVERY == 0:
            print(f"{len(outcomes)} mutations", flush=True)
        if outcome.failed and loud:
            print(f"{number}: {chosen.name}: {mutation}: {verdict}: {words[-1500:]}", flush=True)
        if outcome.failed and keep is not None:
            keep.mkdir(parents=True, exist_ok=True)
            shutil.copy(case / f"spoilt{chosen.suffix}", keep / f"{number}{chosen.suffix}")
        shutil.rmtree(case)
    process.close()
    return outcomes


def main() -> int:
    """The long run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--largest", type=int, default=600_000, help="bytes of the largest real file that is spoilt")
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    data = Path(os.environ.get("MEDVIEW_TEST_DATA", "~/.cache/medview-test-data")).expanduser()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = [*seeds.written(folder / "seeds"), *seeds.real(data, options.largest)]
        numbers = range(options.start, options.start + options.count)
        outcomes = run(files, numbers, folder, seed=options.seed, keep=options.keep, loud=True)
    verdicts = Counter(one.verdict for one in outcomes)
    slow = sorted(outcomes, key=lambda one: -one.seconds)[:5]
    print(f"{len(files)} sound files, {len(outcomes)} mutations: {dict(verdicts)}")
    print("slowest:", *(f"{one.number} {one.seed_name} {one.mutation} {one.seconds:.1f} s" for one in slow), sep="\n  ")
    return int(any(one.failed for one in outcomes))


if __name__ == "__main__":
    raise SystemExit(main())
