"""Nothing is lost: kills, full disks, folders that cannot be written, damage, two programs, a clock set back."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from medview.core.errors import StorageError
from medview.core.planes import Plane
from medview.editing import history
from medview.workstation import work_in_hand
from tests.support import editing_run, kills
from tests.support.editing_run import Station

ROOT = Path(__file__).resolve().parents[3]


def brought_back(journals: Path) -> Station:
    """A program that starts now and brings back the only work that is offered."""
    one = editing_run.station(journals)
    (recovery,) = one.correction.recovering.recoveries()
    one.finish(one.correction.recovering.restore(recovery))
    return one


def run_apart(code: str, *before: str) -> str:
    """What a program of its own prints; it must end well. `before`: a command that starts it."""
    done = subprocess.run([*before, sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def mortal() -> tuple[str, ...]:
    """What takes from root its right to write where nobody may."""
    if os.getuid() != 0:
        return ()
    if shutil.which("setpriv") is None:
        pytest.skip("root may write anywhere, and nothing is here that takes that right away")
    return ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")


def test_a_killed_program_loses_at_most_the_unfinished_step(tmp_path: Path) -> None:
    """At a few random moments; `python -m tests.support.kills` does it at fifty."""
    found = kills.kill_often(tmp_path, 6, seed=7)
    assert [one.fault for one in found] == [""] * 6
    assert sum(one.strokes for one in found) > 10
    assert max(one.finished for one in found) > 20, "the run has jumps and changes of whole segments in it by then"


@pytest.mark.skipif(sys.platform == "win32", reason="a folder there cannot be made read-only so")
@pytest.mark.parametrize("from_the_beginning", [False, True])
def test_a_folder_that_is_read_only_for_a_while_loses_nothing(tmp_path: Path, from_the_beginning: bool) -> None:
    said = run_apart(
        f"""
from pathlib import Path
from tests.support import editing_run
journals = Path({str(tmp_path / "journals")!r})
journals.mkdir()
one = editing_run.station(journals)
run = editing_run.steps(one, 60)
if not {from_the_beginning}:
    for _ in range(8):
        next(run)
folders = [journals, *journals.iterdir()]
strokes = [file for folder in folders for file in folder.glob("strokes.bin")]
for path in strokes:
    path.chmod(0o400)
for path in folders:
    path.chmod(0o500)
for _ in range(10):
    next(run)
one.queue.drain()
print(one.correction.problem.what)
print(one.correction.problem.remedy)
for path in folders:
    path.chmod(0o700)
for path in strokes:
    path.chmod(0o600)
for _ in range(5):
    next(run)
one.queue.drain()
assert one.correction.problem is None
print(editing_run.fingerprint(one.segmentation))
one.close()
""",
        *mortal(),
    )
    what, remedy, fingerprint = said.splitlines()
    assert what == "Your strokes cannot be saved to disk: Permission denied."
    assert "let MedView write to its folder" in remedy
    two = brought_back(tmp_path / "journals")
    assert editing_run.fingerprint(two.segmentation) == fingerprint
    two.close()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no limit on file sizes to play a full disk with")
def test_a_disk_that_is_full_from_the_beginning_loses_nothing(tmp_path: Path) -> None:
    said = run_apart(f"""
import resource
from pathlib import Path
from tests.support import editing_run
one = editing_run.station(Path({str(tmp_path)!r}))
resource.setrlimit(resource.RLIMIT_FSIZE, (16, resource.RLIM_INFINITY))
run = editing_run.steps(one, 60)
for _ in range(12):
    next(run)
one.queue.drain()
print(one.correction.problem.what)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
for _ in range(3):
    next(run)
one.queue.drain()
assert one.correction.problem is None
print(editing_run.fingerprint(one.segmentation))
one.close()
""")
    what, fingerprint = said.splitlines()
    assert what.startswith("Your strokes cannot be saved to disk: ")
    two = brought_back(tmp_path)
    assert editing_run.fingerprint(two.segmentation) == fingerprint
    two.close()


def test_a_journal_damaged_in_the_middle_loses_that_step_alone_and_says_so(tmp_path: Path) -> None:
    one = editing_run.station(tmp_path)
    for _ in editing_run.steps(one, 0):
        pass
    places = [(4, 10, 10), (8, 30, 12), (12, 50, 14), (30, 20, 80), (34, 60, 80)]
    lengths, states = [], []
    for k, j, i in places:
        one.correction.begin_stroke(one.at(k, j, i), Plane.AXIAL)
        one.correction.end_stroke()
        lengths.append(next(tmp_path.glob("*/strokes.bin")).stat().st_size)
        states.append(one.labels.copy())
    one.correction.undo()
    one.correction.redo()
    first = editing_run.adopted_labels()
    one.close()
    strokes = next(tmp_path.glob("*/strokes.bin"))
    data = bytearray(strokes.read_bytes())
    data[(lengths[0] + lengths[1]) // 2] ^= 1
    strokes.write_bytes(data)

    two = editing_run.station(tmp_path)
    (recovery,) = two.correction.recovering.recoveries()
    assert (recovery.damaged, recovery.strokes) == (1, 4)
    two.finish(two.correction.recovering.restore(recovery))
    lost = states[1] != states[0]
    # The step after the damaged one changed the same block; it tells the whole block as it was after it.
    expected = np.where(lost & (two.labels == first), first, states[-1])
    np.testing.assert_array_equal(two.labels, expected)
    for k, j, i in (places[0], *places[2:]):
        assert two.labels[k, j, i] == 1
    assert not two.correction.can_undo, "a history with a gap would undo into something that never was"
    summary = two.correction.summary(two.segmentation)
    assert dict(summary.added) == {1: int(((two.labels != first) & (two.labels == 1)).sum())}
    two.correction.begin_stroke(two.at(20, 60, 5), Plane.AXIAL)
    two.correction.end_stroke()
    labels = two.labels.copy()
    two.close()
    three = brought_back(tmp_path)
    np.testing.assert_array_equal(three.labels, labels)
    three.close()


def test_two_programs_keep_their_work_apart_on_one_case(tmp_path: Path) -> None:
    left = editing_run.station(tmp_path)
    for _ in editing_run.steps(left, 3):
        pass
    expected = editing_run.fingerprint(left.segmentation)
    left.close()
    one, two = editing_run.station(tmp_path), editing_run.station(tmp_path)
    (recovery,) = one.correction.recovering.recoveries()
    (same,) = two.correction.recovering.recoveries()
    one.finish(one.correction.recovering.restore(recovery))
    job = two.correction.recovering.restore(same)
    two.finish(job)
    assert isinstance(job.error, StorageError)
    assert str(job.error.what) == "Another MedView is working on this."
    assert str(job.error.remedy) == "Go on there, or close it first."
    with pytest.raises(StorageError, match="Another MedView"):
        two.correction.recovering.discard(same)
    for _ in editing_run.steps(two, 4):
        pass
    other = editing_run.fingerprint(two.segmentation)
    assert editing_run.fingerprint(one.segmentation) == expected
    one.close()
    two.close()
    three = editing_run.station(tmp_path)
    found = set()
    for recovery in three.correction.recovering.recoveries():
        three.finish(three.correction.recovering.restore(recovery))
        found.add(editing_run.fingerprint(three.segmentation))
    assert found == {expected, other}
    three.close()


def test_a_clock_that_is_set_back_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = editing_run.station(tmp_path)
    run = editing_run.steps(one, 60)
    for _ in range(5):
        next(run)

    class Yesterday(datetime):
        @classmethod
        def now(cls, tz: object = None) -> Yesterday:
            return cls.fromtimestamp(datetime.now(UTC).timestamp() - timedelta(days=1).total_seconds(), UTC)

    for module in (history, work_in_hand):
        monkeypatch.setattr(module, "datetime", Yesterday)
    for _ in range(20):
        next(run)
    times = [step.at for step in one.correction.steps.all()]
    assert times != sorted(times)
    expected, listed, done = one.labels.copy(), one.correction.steps.all(), one.correction.steps.done
    summary = one.correction.summary(one.segmentation)
    assert summary.seconds >= 0
    one.close()
    two = brought_back(tmp_path)
    np.testing.assert_array_equal(two.labels, expected)
    assert (two.correction.steps.all(), two.correction.steps.done) == (listed, done)
    two.correction.steps.go_to(0)
    np.testing.assert_array_equal(two.labels, editing_run.adopted_labels())
    two.close()


def test_the_lock_of_a_journal_is_let_go_by_a_kill(tmp_path: Path) -> None:
    """What is held by a program that is gone must not keep the work from its owner."""
    said = run_apart(f"""
import os, sys
from pathlib import Path
from tests.support import editing_run
one = editing_run.station(Path({str(tmp_path)!r}))
for _ in editing_run.steps(one, 5):
    pass
sys.stdout.write(editing_run.fingerprint(one.segmentation))
sys.stdout.flush()
os._exit(0)
""")
    assert next(tmp_path.glob("*/lock")).is_file()
    two = brought_back(tmp_path)
    assert editing_run.fingerprint(two.segmentation) == said
    two.close()
