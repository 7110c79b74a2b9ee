"""A workstation without a screen on an empty CT, and a long scripted run of corrections on it.

As a program it takes the journals' folder, prints a line with a hash of the labels and segments after every finished
step, and ends when it is killed.
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medview.core.case import Case, Patient, Series, Study
from medview.core.geometry import Geometry, Index, Point
from medview.core.planes import Plane
from medview.core.segmentation import Labels, Segment, Segmentation
from medview.core.volume import Modality, Volume, VolumeId
from medview.editing.brush import BrushShape
from medview.workstation.correction import Correction
from medview.workstation.edit_tools import EditTools
from medview.workstation.editing import Editing
from medview.workstation.hinting import Hinting
from medview.workstation.jobs import Job, JobQueue
from medview.workstation.main_queue import MainQueue
from medview.workstation.shaping import SHAPES, Shaping
from medview.workstation.stroke import BrushOptions
from medview.workstation.view_state import Viewing
from medview.workstation.workspace import Workspace

SERIES_UID = "1.2.826.0.1.3680043.10.999.1.1"
SHAPE = (40, 70, 90)


@dataclass
class Station:
    """What a test of correcting needs."""

    queue: MainQueue
    workspace: Workspace
    viewing: Viewing
    jobs: JobQueue
    case: Case
    volume: Volume
    correction: Correction
    shaping: Shaping
    tools: EditTools
    editing: Editing

    def finish(self, job: Job[Any] | None) -> None:
        """Wait for a job to come home."""
        assert job is not None
        until = time.monotonic() + 30
        while not job.state.is_final and time.monotonic() < until:
            self.queue.drain(0.05)
        assert job.state.is_final

    def close(self) -> None:
        self.correction.close()
        self.jobs.close()
        self.queue.drain()

    @property
    def segmentation(self) -> Segmentation:
        found = self.workspace.active_segmentation
        assert found is not None
        return found

    @property
    def labels(self) -> Labels:
        return self.segmentation.labels

    def at(self, k: float, j: float, i: float) -> Point:
        x, y, z = (float(value) for value in self.volume.geometry.to_patient((k, j, i)))
        return x, y, z


def station(
    journals: Path,
    shape: Index = SHAPE,
    *,
    complete: bool = True,
    spacing_mm: tuple[float, float, float] = (2.0, 1.0, 1.0),
    undo_limit_bytes: int = 2**26,
) -> Station:
    queue = MainQueue()
    workspace, viewing, jobs = Workspace(), Viewing(), JobQueue(queue)
    geometry = Geometry.from_parts(shape, spacing_mm, (-12.0, 30.0, 7.0))
    study = Study("1.2.826.0.1.3680043.10.999.1", Patient("P-1", "Phantom^Chest", "19600101", "F"), "2024-05-06")
    case = workspace.case_of(study)
    files = (Path("scan") / "1.dcm", Path("scan") / "2.dcm")
    case.put_series(Series(SERIES_UID, study, Modality.CT, "Chest", 2, "CHEST", files, shape[0], geometry))
    volume = Volume(VolumeId("volume"), geometry, np.zeros(shape, np.int16), Modality.CT, "HU", SERIES_UID, "Chest")
    case.add_volume(volume, complete=complete)
    workspace.activate(case, volume)
    correction = Correction(workspace, viewing, jobs, journals, undo_limit_bytes)
    shaping = Shaping(workspace, jobs, correction)
    tools = EditTools()
    editing = Editing(workspace, viewing, jobs, correction, tools, Hinting(workspace, jobs, correction))
    return Station(queue, workspace, viewing, jobs, case, volume, correction, shaping, tools, editing)


def fingerprint(segmentation: Segmentation) -> str:
    """A hash of every voxel and of the list of segments."""
    digest = hashlib.sha256(segmentation.labels.tobytes())
    digest.update(repr(segmentation.segments).encode())
    return digest.hexdigest()


def adopted_labels() -> Labels:
    """(k, j, i) uint8: what a model might have found."""
    k, j, i = np.indices(SHAPE)
    inside: Labels = (((k - 20) / 12) ** 2 + ((j - 30) / 20) ** 2 + ((i - 40) / 25) ** 2 < 1).astype(np.uint8)
    return inside


def steps(one: Station, count: int, on_the_way: Callable[[], None] | None = None) -> Iterator[None]:
    """Correct an adopted segmentation, one finished step at a time; always in the same way.

    Args:
        one: Where.
        count: How many steps.
        on_the_way: Called between the single steps of a jump in the history, which is one step here.
    """
    rng = np.random.default_rng(2024)
    segmentation = Segmentation(one.volume.geometry, adopted_labels(), (Segment(1, "Liver", (200, 90, 60)),))
    one.case.add_segmentation(segmentation, on=one.volume.id)
    one.workspace.activate(one.case, one.volume, segmentation)
    one.correction.adopt(segmentation)
    for number in range(count):
        _step(one, number, rng, on_the_way)
        yield


def _step(one: Station, number: int, rng: np.random.Generator, on_the_way: Callable[[], None] | None) -> None:
    if number % 13 == 9:
        jump(one, int(rng.integers(-6, 3)), on_the_way)
    elif number % 17 == 11:
        shape = SHAPES[int(rng.integers(0, len(SHAPES)))]
        one.finish(one.shaping.apply(shape, shape.amount.usual if shape.amount is not None else 0.0))
    elif number % 29 == 19:
        one.finish(one.shaping.fill_between_slices(Plane.AXIAL))
    else:
        _small_step(one, number, rng)


def _small_step(one: Station, number: int, rng: np.random.Generator) -> None:
    correction = one.correction
    if number % 37 == 23:
        correction.rename_segment(one.segmentation.segments[0].label, f"Structure {number}")
    elif number % 11 == 7:
        correction.undo()
    elif number % 11 == 8:
        correction.redo()
    elif number % 23 == 5:
        correction.add_segment()
    elif number % 46 == 33:
        correction.remove_segment(one.segmentation.segments[-1].label)
    elif number % 31 == 17:
        correction.recolour_segment(one.segmentation.segments[0].label, (number % 256, 1, 2))
    else:
        erase = bool(rng.random() < 0.3)
        correction.set_options(
            BrushOptions(
                BrushShape.SPHERE if rng.random() < 0.5 else BrushShape.DISK,
                float(rng.uniform(1, 8)),
                erases_all=bool(rng.random() < 0.5),
            )
        )
        where = rng.uniform((0, 0, 0), SHAPE)
        correction.begin_stroke(one.at(*where), Plane.AXIAL, erase=erase)
        for _ in range(6):
            where[1:] += rng.uniform(-8, 8, 2)
            correction.stroke_to(one.at(*where))
        correction.end_stroke()


def jump(one: Station, by: int, on_the_way: Callable[[], None] | None) -> None:
    """Go some steps back or forth in the history, in one go; somebody who looks on the way sees every one."""
    step_list = one.correction.steps
    goal = min(max(step_list.done + by, 0), len(step_list.all()))
    way = 1 if goal > step_list.done else -1
    while on_the_way is not None and abs(goal - step_list.done) > 1:
        step_list.go_to(step_list.done + way)
        on_the_way()
    step_list.go_to(goal)


def main() -> None:
    one = station(Path(sys.argv[1]))
    for _ in steps(one, 100_000):
        sys.stdout.write(fingerprint(one.segmentation) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
