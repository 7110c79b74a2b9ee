"""The list of steps, on a workstation without a screen: across tools, segments and restarts."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from medview.core.planes import Plane
from medview.core.segmentation import Labels, Segment
from medview.workstation import shaping
from tests.support import editing_run
from tests.support.editing_run import Station

State = tuple[Labels, tuple[Segment, ...]]


def state(one: Station) -> State:
    return one.labels.copy(), one.segmentation.segments


def check(one: Station, expected: State) -> None:
    np.testing.assert_array_equal(one.labels, expected[0])
    assert one.segmentation.segments == expected[1]


def stroke(one: Station, k: int, j: int, i: int, *, erase: bool = False) -> None:
    one.correction.begin_stroke(one.at(k, j, i), Plane.AXIAL, erase=erase)
    one.correction.end_stroke()


def all_kinds(one: Station) -> list[State]:
    """One step of each kind, on an adopted segmentation; the state before the first and after every one."""
    for _ in editing_run.steps(one, 0):
        pass
    correction = one.correction
    states = [state(one)]

    def then() -> None:
        states.append(state(one))

    stroke(one, 20, 30, 75)
    then()
    stroke(one, 20, 30, 40, erase=True)
    then()
    correction.add_segment("Spleen")
    then()
    stroke(one, 5, 60, 80)
    then()
    correction.rename_segment(1, "Liver, right lobe")
    then()
    correction.select_segment(1)
    grow = next(shape for shape in shaping.SHAPES if str(shape.name) == "Grow")
    one.finish(one.shaping.apply(grow, 3.0))
    then()
    correction.remove_segment(2)
    then()
    stroke(one, 36, 5, 5)
    then()
    return states


def test_every_step_is_listed_with_its_name_its_segment_and_its_time(tmp_path: Path) -> None:
    one = editing_run.station(tmp_path)
    assert one.correction.steps.all() == ()
    began = datetime.now(UTC)
    all_kinds(one)
    listed = one.correction.steps.all()
    assert [(str(step.name), step.segment) for step in listed] == [
        ("Brush", "Liver, right lobe"),
        ("Eraser", "Liver, right lobe"),
        ("Add Spleen", ""),
        ("Brush", "Spleen"),
        ("Rename Liver", ""),
        ("Grow", "Liver, right lobe"),
        ("Remove Spleen", ""),
        ("Brush", "Liver, right lobe"),
    ]
    times = [step.at for step in listed]
    assert times == sorted(times)
    assert began <= times[0] <= times[-1] <= datetime.now(UTC)
    one.close()


@pytest.mark.parametrize("restarted", [False, True])
def test_one_jumps_to_any_step_bit_for_bit(tmp_path: Path, restarted: bool) -> None:
    one = editing_run.station(tmp_path)
    states = all_kinds(one)
    assert one.correction.steps.done == len(states) - 1
    if restarted:
        one.correction.steps.go_to(3)
        listed = one.correction.steps.all()
        one.close()
        one = editing_run.station(tmp_path)
        (recovery,) = one.correction.recovering.recoveries()
        one.finish(one.correction.recovering.restore(recovery))
        assert one.correction.steps.done == 3
        assert one.correction.steps.all() == listed, "names, segments and times come back"
        check(one, states[3])
    for wanted in (0, len(states) - 1, 2, 5, 1, 6, 6, 0, 3):
        one.correction.steps.go_to(wanted)
        check(one, states[wanted])
        assert one.correction.steps.done == wanted
        volumes = one.correction.volumes_ml(one.segmentation)
        ml = one.volume.geometry.voxel_mm3 / 1000
        labels, counts = np.unique(one.labels[one.labels != 0], return_counts=True)
        assert volumes == pytest.approx(dict(zip(labels.tolist(), (counts * ml).tolist(), strict=True)))
    stroke(one, 33, 5, 5)
    assert len(one.correction.steps.all()) == 4, "what was taken back is gone when something else is done"
    one.close()


def test_a_jump_that_is_killed_away_is_still_a_moment_of_the_list(tmp_path: Path) -> None:
    """Every step of a jump is a record of its own: however the journal is cut, what is left is a state that was."""
    one = editing_run.station(tmp_path)
    states = all_kinds(one)
    one.correction.steps.go_to(0)
    one.close()
    (folder,) = tmp_path.iterdir()
    whole = (folder / "strokes.bin").read_bytes()
    seen = set()
    for cut in range(8):
        (folder / "strokes.bin").write_bytes(whole[: len(whole) - cut * len(whole) // 40])
        two = editing_run.station(tmp_path)
        (recovery,) = two.correction.recovering.recoveries()
        two.finish(two.correction.recovering.restore(recovery))
        found = [n for n, (labels, parts) in enumerate(states)
                 if np.array_equal(two.labels, labels) and two.segmentation.segments == parts]  # fmt: skip
        assert found
        seen.update(found)
        two.workspace.close_case(two.case)
        two.close()
    assert len(seen) > 1


def test_a_click_that_changes_nothing_costs_no_step(tmp_path: Path) -> None:
    one = editing_run.station(tmp_path)
    all_kinds(one)
    one.correction.steps.go_to(4)
    steps, before = one.correction.steps.all(), state(one)
    one.correction.select_segment(1)
    stroke(one, 20, 30, 75)
    stroke(one, 38, 2, 2, erase=True)
    one.correction.rename_segment(1, one.segmentation.segments[0].name)
    one.correction.select_segment(2)
    keep_largest = shaping.SHAPES[0]
    one.finish(one.shaping.apply(keep_largest, 0.0))
    check(one, before)
    assert one.correction.steps.all() == steps
    assert one.correction.can_redo, "nor does it end what could be done again"
    one.close()
