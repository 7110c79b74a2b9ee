"""Kills a program that corrects masks at random moments, and looks at what comes back.

`python -m tests.support.kills [--count 50] [--seed 7]` says how often nothing but the unfinished step was lost.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from medview.workstation.journals import Recovery
from medview.workstation.work_in_hand import Edited
from tests.support import editing_run

ROOT = Path(__file__).resolve().parents[2]
MOST_STEPS = 60
"""The moments are spread evenly over so many steps, however long a busy machine takes for them."""
LONGEST_STEP_S = 0.03


@dataclass(frozen=True)
class Killed:
    """What one kill left.

    Attributes:
        finished: How many steps the program had said were finished.
        strokes: How many edits came back.
        fault: What was wrong; empty when nothing was.
    """

    finished: int
    strokes: int
    fault: str = ""


class Truth:
    """The states of the scripted run, made once, as far as anybody asks."""

    def __init__(self, journals: Path) -> None:
        self._one = editing_run.station(journals)
        self._between: list[str] = []
        # A stroke where there is no segment adds one first: that is a step of its own, too.
        self._one.correction.edited.connect(self._edited)
        self._run = editing_run.steps(self._one, 100_000, self._look)
        self.states: list[str] = []
        self.allowed: list[set[str]] = []

    def reach(self, count: int) -> None:
        """Have the states after so many steps, and for each step what may be found when it is cut off."""
        while len(self.states) < count:
            next(self._run)
            before = self.states[-1:] or []
            self.states.append(editing_run.fingerprint(self._one.segmentation))
            self.allowed.append({*before, *self._between, self.states[-1]})
            self._between.clear()

    def close(self) -> None:
        """Let go of the station."""
        self._one.close()

    def _edited(self, _: Edited) -> None:
        self._look()

    def _look(self) -> None:
        self._between.append(editing_run.fingerprint(self._one.segmentation))


def offered(journals: Path) -> tuple[Recovery, ...]:
    """What a program that starts now would offer."""
    one = editing_run.station(journals)
    found = one.correction.recovering.recoveries()
    one.close()
    return found


def kill_once(journals: Path, after: int, wait_s: float, truth: Truth) -> Killed:
    """Start the scripted run, kill it some time after so many of its steps, and compare what comes back."""
    command = [sys.executable, "-m", "tests.support.editing_run", str(journals)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        first = [program.stdout.readline()]
        live = offered(journals)
        first += [program.stdout.readline() for _ in range(after - 1)]
        time.sleep(wait_s)
        program.kill()
        lines = ("".join(first) + program.stdout.read()).splitlines(keepends=True)
    said = [line.strip() for line in lines if line.endswith("\n")]
    truth.reach(len(said) + 1)
    if live:
        return Killed(len(said), 0, "the work of a running program was offered to another one")
    if said != truth.states[: len(said)]:
        return Killed(len(said), 0, "the program did not do what was scripted")
    one = editing_run.station(journals)
    try:
        (recovery,) = one.correction.recovering.recoveries()
        one.finish(one.correction.recovering.restore(recovery))
        found = editing_run.fingerprint(one.segmentation)
    finally:
        one.close()
    # The step after the last one that was said may be whole, too, or one of the steps that it consists of.
    if found not in truth.allowed[len(said)] | {truth.states[len(said) - 1]}:
        back = next((n for n, one in enumerate(truth.states) if one == found), None)
        fault = f"what came back is neither the last finished step nor the next one, but {back}"
        return Killed(len(said), recovery.strokes, fault)
    return Killed(len(said), recovery.strokes)


def kill_often(folder: Path, count: int, seed: int) -> list[Killed]:
    """Kill at so many random moments."""
    moments, truth = random.Random(seed), Truth(folder / "truth")
    try:
        return [
            kill_once(folder / str(n), moments.randint(1, MOST_STEPS), moments.uniform(0, LONGEST_STEP_S), truth)
            for n in range(count)
        ]
    finally:
        truth.close()


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill a program that corrects masks at random moments.")
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--seed", type=int, default=7)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = kill_often(Path(folder), chosen.count, chosen.seed)
    good = [one for one in found if not one.fault]
    for one in found:
        if one.fault:
            sys.stdout.write(f"after {one.finished} steps: {one.fault}\n")
    steps = sorted(one.finished for one in found)
    sys.stdout.write(
        f"{len(good)} of {len(found)}: at most the unfinished step was lost; "
        f"killed after {steps[0]} to {steps[-1]} finished steps\n"
    )
    return 0 if len(good) == len(found) else 1


if __name__ == "__main__":
    sys.exit(main())
