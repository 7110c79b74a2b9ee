"""Surfaces are made anew for the segments that were edited, and never shown while somebody paints."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from vtkmodules.vtkCommonDataModel import vtkPolyData
from vtkmodules.vtkFiltersCore import vtkMassProperties

from medview.core.geometry import Box
from medview.core.planes import Plane
from medview.core.segmentation import Drawn, LabelsChanged, Segment, Segmentation, SegmentsChanged
from medview.editing.brush import BrushShape
from medview.views.surface_maker import SurfaceMaker
from medview.workstation.stroke import BrushOptions
from tests.support import editing_run
from tests.support.editing_run import Station


class Watched:
    """A segmentation of two organs, and everything that its surface maker shows."""

    def __init__(self, journals: Path) -> None:
        self.one: Station = editing_run.station(journals)
        labels = np.zeros(editing_run.SHAPE, np.uint8)
        labels[5:20, 10:30, 10:30] = 1
        labels[20:35, 40:60, 50:80] = 2
        segments = tuple(Segment(n, f"Organ {n}", (n, n, n)) for n in (1, 2, 3))
        self.segmentation = Segmentation(self.one.volume.geometry, labels, segments)
        self.one.case.add_segmentation(self.segmentation, on=self.one.volume.id)
        self.one.workspace.activate(self.one.case, self.one.volume, self.segmentation)
        self.one.correction.adopt(self.segmentation)
        self.one.correction.set_options(BrushOptions(shape=BrushShape.SPHERE, radius_mm=8.0))
        self.shown: list[Mapping[int, vtkPolyData]] = []
        correction = self.one.correction
        self.maker = SurfaceMaker(self.one.jobs, lambda: correction.is_painting, self._show)
        self.segmentation.changed.connect(self._written)
        correction.edited.connect(lambda edited: self.maker.edited(edited.labels))
        self.maker.follow(self.segmentation, None)
        self.wait()

    def _show(self, surfaces: Mapping[int, vtkPolyData], drawn: Drawn | None) -> None:
        assert drawn is None
        self.shown.append(surfaces)

    def _written(self, change: LabelsChanged | SegmentsChanged) -> None:
        if isinstance(change, LabelsChanged):
            self.maker.written(change.box)

    def stroke(self, k: int, j: int, i: int, label: int, *, erase: bool = False) -> None:
        self.one.correction.select_segment(label)
        self.one.correction.begin_stroke(self.one.at(k, j, i), Plane.AXIAL, erase=erase)
        self.one.correction.end_stroke()

    def wait(self) -> Mapping[int, vtkPolyData]:
        self.maker.request()
        until = time.monotonic() + 20
        while self.one.jobs.open_jobs and time.monotonic() < until:
            self.one.queue.drain(0.02)
        return self.shown[-1]

    def check(self, surfaces: Mapping[int, vtkPolyData]) -> None:
        """Each surface encloses the volume of its label, within its box."""
        geometry = self.segmentation.geometry
        assert set(surfaces) == set(np.unique(self.segmentation.labels).tolist()) - {0}
        for label, surface in surfaces.items():
            measured = vtkMassProperties()
            measured.SetInputData(surface)
            mm3 = int((self.segmentation.labels == label).sum()) * geometry.voxel_mm3
            assert measured.GetVolume() == pytest.approx(mm3, rel=0.02)


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    made = Watched(tmp_path / "journals")
    yield made
    made.maker.close()
    made.one.close()


def test_only_the_surface_of_the_segment_that_was_edited_is_made_anew(watched: Watched) -> None:
    first = watched.wait()
    watched.check(first)
    watched.stroke(35, 50, 65, 2)
    second = watched.wait()
    watched.check(second)
    assert second[1] is first[1]
    assert second[2] is not first[2]
    watched.stroke(22, 50, 65, 1)
    third = watched.wait()
    watched.check(third)
    assert third[1] is not second[1]
    assert third[2] is not second[2], "what was painted over lost voxels"
    watched.one.correction.undo()
    watched.one.correction.undo()
    watched.check(watched.wait())
    watched.one.correction.redo()
    watched.check(watched.wait())


def test_a_segment_that_comes_or_goes_gets_or_loses_its_surface(watched: Watched) -> None:
    watched.stroke(36, 6, 82, 3)
    made = watched.wait()
    assert set(made) == {1, 2, 3}
    watched.check(made)
    watched.stroke(36, 6, 82, 3, erase=True)
    assert set(watched.wait()) == {1, 2}
    watched.one.correction.remove_segment(1)
    assert set(watched.wait()) == {2}
    watched.check(watched.shown[-1])


def test_a_stroke_that_was_broken_off_makes_nothing_anew(watched: Watched) -> None:
    first = watched.wait()
    watched.one.correction.begin_stroke(watched.one.at(12, 20, 20), Plane.AXIAL, erase=True)
    watched.one.correction.abort_stroke()
    count = len(watched.shown)
    watched.wait()
    assert len(watched.shown) == count
    assert watched.shown[-1] == first


def test_what_is_written_past_the_steps_makes_all_anew(watched: Watched) -> None:
    first = watched.wait()
    watched.segmentation.write(Box((0, 0, 0), (4, 8, 8)), np.full((4, 8, 8), 1, np.uint8))
    second = watched.wait()
    watched.check(second)
    assert second[2] is not first[2]


def test_nothing_is_shown_or_made_while_somebody_paints(watched: Watched) -> None:
    watched.stroke(35, 50, 65, 2)
    watched.maker.request()
    watched.one.correction.begin_stroke(watched.one.at(12, 20, 20), Plane.AXIAL, erase=True)
    count = len(watched.shown)
    watched.wait()
    watched.one.correction.stroke_to(watched.one.at(12, 25, 25))
    watched.maker.request()
    assert watched.one.jobs.open_jobs == ()
    assert len(watched.shown) == count
    watched.one.correction.end_stroke()
    watched.maker.go_on()
    watched.check(watched.wait())
