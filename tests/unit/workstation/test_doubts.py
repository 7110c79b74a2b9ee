"""Where to look next, on a workstation without a screen."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from medview.catalog import terminology
from medview.core.errors import InputError
from medview.core.geometry import Box
from medview.core.planes import Plane
from medview.core.progress import NoProgress
from medview.core.segmentation import Segmentation
from medview.editing.doubts import DoubtKind
from medview.workstation.doubts import Doubts, Place
from medview.workstation.settled_labels import settled
from tests.support import editing_run
from tests.support.editing_run import SHAPE, Station


@dataclass
class NoAnswer:
    """An analysis that has run nothing."""

    last: None = None


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Station]:
    station = editing_run.station(tmp_path / "journals", spacing_mm=(5.0, 3.0, 3.0))
    yield station
    station.close()


def doubts_of(one: Station) -> Doubts:
    return Doubts(one.workspace, one.viewing, one.jobs, one.correction, NoAnswer())  # type: ignore[arg-type]


def with_faults(one: Station, change: Callable[[np.ndarray], None] = lambda labels: None) -> Segmentation:
    """An ellipsoid with two islands, and a second segment with a hole."""
    labels = editing_run.adopted_labels()
    labels[2:4, 2:6, 2:6] = 1
    labels[36:38, 60:62, 80:82] = 1
    labels[10:20, 55:65, 60:70] = 2
    labels[14, 60, 65] = 0
    change(labels)
    terms = terminology.load()
    known = [terms.find(name) for name in ("Liver", "Spleen")]
    segments = tuple(term.segment(n, term.name) for n, term in enumerate(known, start=1) if term is not None)
    segmentation = Segmentation(one.volume.geometry, labels, segments)
    one.case.add_segmentation(segmentation, on=one.volume.id)
    one.workspace.activate(one.case, one.volume, segmentation)
    one.correction.adopt(segmentation)
    return segmentation


def here(one: Station) -> tuple[int, int, int]:
    return one.volume.geometry.nearest_voxel(one.viewing.state.cursor)


def numbered(doubts: Doubts) -> tuple[int, int]:
    return doubts.here, len(doubts.places)


def kinds(places: tuple[Place, ...]) -> list[tuple[str, DoubtKind]]:
    return [(place.segment, place.doubt.kind) for place in places]


def test_the_places_of_the_segment_in_work_are_listed_and_the_next_is_a_step_away(one: Station) -> None:
    segmentation = with_faults(one)
    doubts = doubts_of(one)
    doubts.go(1)
    assert doubts.look() is None, "one search at a time"
    one.finish(one.jobs.open_jobs[0])
    assert kinds(doubts.places) == [("Liver", DoubtKind.ISLAND)] * 2
    assert doubts.here == 0, "whoever asked for the next one is there when it is found"
    assert segmentation.labels[here(one)] == 1
    assert all(a <= n < b for a, n, b in zip((2, 2, 2), here(one), (4, 6, 6), strict=True))
    doubts.go(1)
    assert all(a <= n < b for a, n, b in zip((36, 60, 80), here(one), (38, 62, 82), strict=True))
    doubts.go(1)
    assert numbered(doubts) == (0, 2), "the ends meet"
    doubts.go(-1)
    assert numbered(doubts) == (1, 2)
    assert not doubts.is_stale
    one.correction.begin_stroke(one.at(20, 30, 40), Plane.AXIAL, erase=True)
    one.correction.end_stroke()
    assert doubts.is_stale


def test_all_segments_are_looked_at_when_asked_and_a_place_brings_its_segment_into_work(one: Station) -> None:
    with_faults(one)
    doubts = doubts_of(one)
    one.finish(doubts.look(everywhere=True))
    assert ("Spleen", DoubtKind.HOLE) in kinds(doubts.places)
    number = kinds(doubts.places).index(("Spleen", DoubtKind.HOLE))
    doubts.go_to(number)
    assert here(one) == (14, 60, 65)
    assert one.correction.active_label == 2


def test_a_volume_that_is_unusual_is_told_with_its_source_unless_the_image_cuts_it_off(one: Station) -> None:
    segmentation = with_faults(one)
    doubts = doubts_of(one)
    one.correction.select_segment(2)
    one.finish(doubts.look())
    ml = int((segmentation.labels == 2).sum()) * 5 * 3 * 3 / 1000
    size = doubts.places[0]
    assert size.doubt.kind is DoubtKind.SIZE
    assert size.doubt.ml == pytest.approx(ml)
    assert ml < 107
    assert size.usual is not None
    assert "Prassopoulos" in size.usual.source
    assert segmentation.labels[size.doubt.index] == 2

    def to_the_edge(labels: np.ndarray) -> None:
        labels[0:10, 58:60, 62:64] = 2

    with_faults(one, to_the_edge)
    one.correction.select_segment(2)
    one.finish(doubts.look())
    assert all(place.doubt.kind is not DoubtKind.SIZE for place in doubts.places)

    def far_too_large(labels: np.ndarray) -> None:
        labels[0:40, 0:40, 0:70] = 2

    with_faults(one, far_too_large)
    one.correction.select_segment(2)
    one.finish(doubts.look())
    assert doubts.places[0].doubt.kind is DoubtKind.SIZE


def test_another_segmentation_has_no_places_yet_and_nothing_is_not_looked_at(one: Station) -> None:
    doubts = doubts_of(one)
    with pytest.raises(InputError, match="no segment to look at"):
        doubts.go(1)
    with_faults(one)
    one.finish(doubts.look())
    assert doubts.places
    with_faults(one)
    assert doubts.places == ()
    assert not doubts.was_looked


def test_labels_are_copied_while_nobody_writes(one: Station) -> None:
    """Written to from the main thread all the time, what a job looks at still is a state that was."""
    segmentation = Segmentation(one.volume.geometry, np.ones(SHAPE, np.uint8))
    done = threading.Event()
    found: list[np.ndarray] = []

    def job() -> None:
        for _ in range(40):
            found.append(settled(segmentation, 0, (0, 0, 0), NoProgress())[1])
            done.wait(0.005)
        done.set()

    thread = threading.Thread(target=job)
    thread.start()
    value = 0
    while not done.is_set():
        value = value % 200 + 1
        segmentation.write(Box.whole(SHAPE), np.full(SHAPE, value, np.uint8))
        done.wait(0.003)
    thread.join()
    assert all(len(np.unique(copy)) == 1 for copy in found), "no copy has part of a write in it"
    assert len({int(copy[0, 0, 0]) for copy in found}) > 10
