"""Volume and mean of the segment in work, against numpy at every moment of a stroke."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from medview.core.planes import Plane
from medview.core.progress import NoProgress
from medview.core.segmentation import Segment, Segmentation
from medview.core.text import Text
from medview.core.volume import VolumeId
from medview.editing.block_totals import BlockTotals, count_all
from medview.editing.brush import BrushShape
from medview.workstation.live_numbers import Live
from medview.workstation.stroke import BrushOptions
from tests.support import editing_run
from tests.support.editing_run import SHAPE, Station


def values(rng: np.random.Generator, kind: str) -> NDArray[np.generic]:
    found = rng.integers(-1000, 2000, SHAPE).astype(kind)
    if found.dtype.kind == "f":
        found[rng.random(SHAPE) < 0.05] = np.nan
        found[0, 0, 0] = np.inf
    return found


@pytest.fixture(params=["int16", "float32"])
def one(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Station]:
    station = editing_run.station(tmp_path / "journals")
    voxels = values(np.random.default_rng(4), request.param)
    volume = replace(station.volume, id=VolumeId("values"), voxels=voxels, caution=Text("Doubtful."))
    station.case.add_volume(volume)
    station.volume = volume
    station.workspace.activate(station.case, volume)
    yield station
    station.close()


def adopt(one: Station) -> Segmentation:
    labels = editing_run.adopted_labels()
    labels[:, :, 60:] *= 2
    segments = (Segment(1, "Liver", (200, 90, 60)), Segment(2, "Spleen", (1, 2, 3)))
    segmentation = Segmentation(one.volume.geometry, labels, segments)
    one.case.add_segmentation(segmentation, on=one.volume.id)
    one.workspace.activate(one.case, one.volume, segmentation)
    one.correction.adopt(segmentation)
    return segmentation


def check(one: Station, live: Live) -> None:
    """What is told now is what numpy says of the whole."""
    told, label = live.numbers(), one.correction.active_label
    assert told is not None
    under = one.volume.voxels[one.labels == label].astype(np.float64)
    under = under[np.isfinite(under)]
    assert told.ml == pytest.approx(int((one.labels == label).sum()) * one.volume.geometry.voxel_mm3 / 1000)
    assert told.mean == (pytest.approx(under.mean()) if under.size else None)
    assert (told.unit, str(told.caution)) == ("HU", "Doubtful.")


def wait(one: Station, live: Live) -> None:
    assert live.numbers() is None
    for job in one.jobs.open_jobs:
        one.finish(job)


def test_the_numbers_follow_every_move_of_the_brush_and_every_other_change(one: Station) -> None:
    live = Live(one.workspace, one.jobs, one.correction)
    assert live.numbers() is None
    segmentation = adopt(one)
    wait(one, live)
    check(one, live)
    told: list[None] = []
    live.changed.connect(told.append)
    one.correction.set_options(BrushOptions(shape=BrushShape.SPHERE, radius_mm=7.0))
    one.correction.begin_stroke(one.at(5, 10, 10), Plane.AXIAL)
    for step in range(6):
        one.correction.stroke_to(one.at(5 + step, 10 + 6 * step, 10 + 9 * step))
        assert one.correction.is_painting
        check(one, live)
    assert len(told) >= 6
    one.correction.abort_stroke()
    check(one, live)
    one.correction.begin_stroke(one.at(20, 30, 40), Plane.AXIAL, erase=True)
    check(one, live)
    one.correction.end_stroke()
    one.correction.undo()
    check(one, live)
    one.correction.select_segment(2)
    wait(one, live)
    check(one, live)
    one.correction.begin_stroke(one.at(20, 30, 40), Plane.AXIAL)
    one.correction.end_stroke()
    check(one, live)
    one.correction.select_segment(1)
    check(one, live)
    one.correction.remove_segment(2)
    check(one, live)
    one.workspace.activate(one.case, one.volume, None)
    assert live.numbers() is None
    one.workspace.activate(one.case, one.volume, segmentation)
    wait(one, live)
    check(one, live)


def test_what_is_painted_while_it_is_counted_counts(one: Station) -> None:
    live = Live(one.workspace, one.jobs, one.correction)
    adopt(one)
    assert live.numbers() is None
    one.correction.set_options(BrushOptions(shape=BrushShape.SPHERE, radius_mm=9.0))
    one.correction.begin_stroke(one.at(3, 60, 80), Plane.AXIAL)
    one.correction.end_stroke()
    for job in one.jobs.open_jobs:
        one.finish(job)
    check(one, live)


@pytest.mark.parametrize("kind", ["int16", "float32", "uint8"])
def test_blocks_add_up_to_the_whole(kind: str) -> None:
    rng = np.random.default_rng(9)
    shape = (33, 70, 40)
    labels = rng.integers(0, 3, shape).astype(np.uint16)
    voxels = rng.integers(0, 200, shape).astype(kind)
    for label in (0, 1, 2, 5):
        totals = BlockTotals(label, *count_all(labels, voxels, label, NoProgress()))
        under = voxels[labels == label].astype(np.float64)
        assert totals.voxels == under.size
        assert totals.mean == (pytest.approx(under.mean()) if under.size else None)
    without = BlockTotals(1, *count_all(labels, None, 1, NoProgress()))
    assert (without.voxels, without.mean) == (int((labels == 1).sum()), None)
