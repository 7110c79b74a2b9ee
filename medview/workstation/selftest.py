"""The main job done by the program itself, on a made-up patient: every step with its verdict.

It uses what the window uses, in a folder of its own, and compares with what is known of the patient. The second part
runs a MONAI bundle on a made-up MR image: that shows that bundles run here, not that their answers are right.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medview.core.case import Patient, Study
from medview.core.errors import Cancelled, MedViewError
from medview.core.planes import Plane
from medview.core.progress import NoProgress
from medview.core.segmentation import Labels, Segmentation
from medview.core.text import Text
from medview.core.volume import Volume
from medview.editing import measure
from medview.formats import dicom_writer
from medview.inference.plugin import SegmentationResult
from medview.learning.exporters import ExportKind
from medview.phantom import chest, hippocampus
from medview.workstation import results, sample_study
from medview.workstation.station import Workstation
from medview.workstation.waiting import wait_for, wait_for_all

_log = logging.getLogger(__name__)
_LEAST_DICE = 0.95
_STROKE_MM = 8.0
_MR_STUDY = Study(
    uid="1.2.826.0.1.3680043.8.498.2",
    patient=Patient("PHANTOM-HEAD", "Phantom^Head", "1970-01-01", "O"),
    date="2020-01-02",
    time="12:00:00",
    description="Sample of the self-test",
)

Picture = Callable[[Volume, Segmentation], NDArray[np.uint8]]
"""Draws the four views of a volume with a segmentation: (row, column, 3) uint8."""
Action = Callable[[], str]


class Verdict(StrEnum):
    """How a step went; SKIPPED: it needs what a step before it failed to make."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the job.

    Attributes:
        name: What was done.
        verdict: How it went.
        found: What was found, or why it failed.
        seconds: How long it took.
    """

    name: Text
    verdict: Verdict
    found: str
    seconds: float


class WrongError(Exception):
    """A step did something else than it should; the message says what."""


class SelfTest:
    """Runs the job once, in a folder that is empty.

    Args:
        folder: Where everything is kept that the job makes.
        picture: Draws; None: the step of drawing is left out.
    """

    def __init__(self, folder: Path, *, picture: Picture | None) -> None:
        self._folder = folder
        self._picture = picture

    def run(self, tell: Callable[[Step], None]) -> tuple[Step, ...]:
        """Do every step, and tell each verdict as it falls."""
        station = Workstation(self._folder / "home")
        try:
            steps = _do(_ChestCase(station, self._folder, self._picture).actions(), tell)
            return (*steps, *_do(_HippocampusCase(station, self._folder).actions(), tell))
        finally:
            station.close()


def _do(actions: Sequence[tuple[Text, Action]], tell: Callable[[Step], None]) -> list[Step]:
    steps: list[Step] = []
    for name, action in actions:
        if steps and steps[-1].verdict is not Verdict.PASSED:
            step = Step(name, Verdict.SKIPPED, "", 0.0)
        else:
            step = _done(name, action)
        steps.append(step)
        tell(step)
    return steps


def _done(name: Text, action: Action) -> Step:
    started = time.monotonic()
    try:
        verdict, found = Verdict.PASSED, action()
    except (WrongError, MedViewError) as error:
        verdict, found = Verdict.FAILED, str(error)
        _log.warning("Self-test: %s", name, exc_info=True)
    except Cancelled:
        raise
    except Exception as error:  # whatever breaks is the answer to the question
        verdict, found = Verdict.FAILED, f"{type(error).__name__}: {error}"
        _log.exception("Self-test: %s", name)
    return Step(name, verdict, found, time.monotonic() - started)


def _check(holds: bool, otherwise: str) -> None:
    if not holds:
        raise WrongError(otherwise)


class _Case:
    """What both parts of the job do."""

    def __init__(self, station: Workstation, folder: Path) -> None:
        self._station = station
        self._folder = folder

    def _open(self, folder: Path) -> Volume:
        station = self._station
        opened = wait_for(station.queue, station.importing.open_paths([folder]))
        wait_for_all(station.queue, station.jobs)
        _check(opened is not None and len(opened.series) == 1, "the folder does not hold one series")
        volume = station.workspace.active_volume
        _check(volume is not None and station.workspace.active_case is not None, "no volume is open")
        assert volume is not None
        return volume

    def _run_plugin(self, plugin: str) -> tuple[SegmentationResult, Segmentation]:
        station = self._station
        wait_for(station.queue, station.analysis.run(plugin))
        wait_for_all(station.queue, station.jobs)
        finished = station.analysis.last
        if finished is None or finished.segmentation is None:
            raise WrongError("there is no answer")
        return finished.result, finished.segmentation


class _ChestCase(_Case):
    """The chest CT: lungs by the Python plugin, corrected, kept and exported."""

    def __init__(self, station: Workstation, folder: Path, picture: Picture | None) -> None:
        super().__init__(station, folder)
        self._picture = picture
        self._study = Path()
        self._volume: Volume
        self._segmentation: Segmentation
        self._proposed: Labels
        self._corrected: Labels

    def actions(self) -> list[tuple[Text, Action]]:
        """The steps, in their order."""
        steps: list[tuple[Text, Action]] = [
            (Text("Make the sample study"), self._make),
            (Text("Find and open its series"), self._load),
            (Text("Find the lungs (ct_lungs)"), self._analyse),
        ]
        if self._picture is not None:
            steps.append((Text("Draw the four views"), self._draw))
        return [
            *steps,
            (Text("Correct by a stroke"), self._stroke),
            (Text("Undo and redo"), self._undo_redo),
            (Text("Find the work again after a crash"), self._journal),
            (Text("Save as a training example"), self._save),
            *((Text.of("Export as {kind}", kind=kind.value), self._exporting(kind)) for kind in ExportKind),
        ]

    def _make(self) -> str:
        self._study = sample_study.ensure(self._folder / "home", NoProgress())
        files = [path for path in self._study.rglob("*") if path.is_file()]
        return f"{len(files)} files"

    def _load(self) -> str:
        self._volume = self._open(self._study)
        self._truth = chest.make()
        meant = self._truth.volume
        _check(self._volume.geometry.same_grid(meant.geometry), "the series lies elsewhere than it was made")
        _check(np.array_equal(self._volume.voxels, meant.voxels), "the voxels are not those that were made")
        k, j, i = self._volume.geometry.shape
        return f"{k} x {j} x {i}, every voxel as made"

    def _analyse(self) -> str:
        result, self._segmentation = self._run_plugin("ct_lungs")
        self._proposed = self._segmentation.labels.copy()
        scores = {}
        for segment in result.segments:
            same = next((one for one in self._truth.segments if one.name.lower() == segment.name.lower()), None)
            if same is not None and "lung" in segment.name.lower():
                truth = (self._truth.labels == same.label).astype(np.uint8)
                scores[segment.name] = measure.dice((self._proposed == segment.label).astype(np.uint8), truth, 1)
        found = ", ".join(f"{name} Dice {score:.3f}" for name, score in scores.items())
        _check(len(scores) == 2, "the two lungs are not among the answers")
        _check(min(scores.values()) >= _LEAST_DICE, f"{found}: less than {_LEAST_DICE}")
        return found

    def _draw(self) -> str:
        assert self._picture is not None
        picture = self._picture(self._volume, self._segmentation)
        _check(picture.ndim == 3 and picture.shape[2] == 3, "the picture has a wrong form")
        _check(int(picture.max()) - int(picture.min()) > 100, "the picture is empty")
        height, width, _ = picture.shape
        return f"{width} x {height}"

    def _stroke(self) -> str:
        correction, geometry = self._station.correction, self._volume.geometry
        label = self._segmentation.segments[0].label
        correction.select_segment(label)
        inside = np.argwhere(self._segmentation.labels == label)
        start = geometry.to_patient(inside[len(inside) // 2].astype(np.float64))
        correction.begin_stroke((float(start[0]), float(start[1]), float(start[2])), Plane.AXIAL, erase=True)
        correction.stroke_to((float(start[0]) + _STROKE_MM, float(start[1]), float(start[2])))
        correction.end_stroke()
        wait_for_all(self._station.queue, self._station.jobs)
        self._corrected = self._segmentation.labels.copy()
        changed = int(np.count_nonzero(self._corrected != self._proposed))
        _check(changed > 0, "nothing was erased")
        return f"{changed} voxels erased"

    def _undo_redo(self) -> str:
        correction = self._station.correction
        correction.undo()
        _check(np.array_equal(self._segmentation.labels, self._proposed), "undo does not bring the labels back")
        correction.redo()
        _check(np.array_equal(self._segmentation.labels, self._corrected), "redo does not bring the stroke back")
        return "every voxel as before"

    def _journal(self) -> str:
        """What lies on disk now is what a killed program would leave: another workstation must restore from it."""
        left = self._folder / "after-crash"
        shutil.copytree(self._folder / "home", left)
        station = Workstation(left)
        try:
            volume = _Case(station, self._folder)._open(self._study)
            recoveries = station.correction.recovering.recoveries()
            _check(len(recoveries) == 1, f"{len(recoveries)} pieces of work are offered, not one")
            wait_for(station.queue, station.correction.recovering.restore(recoveries[0]))
            segmentation = station.workspace.active_segmentation
            _check(station.workspace.active_volume is volume and segmentation is not None, "nothing came back")
            assert segmentation is not None
            _check(np.array_equal(segmentation.labels, self._corrected), "the labels came back changed")
        finally:
            station.close()
        return f"edits brought back: {recoveries[0].strokes}, every voxel as before"

    def _save(self) -> str:
        station = self._station
        first = wait_for(station.queue, station.save_example())
        again = wait_for(station.queue, station.save_example())
        wait_for_all(station.queue, station.jobs)
        assert first is not None
        assert again is not None
        for saved in (first, again):
            saved.proof.require()
        _check((first.example.revision, again.example.revision) == (1, 2), "saving again made no new revision")
        _check(first.example.example_id == again.example.example_id, "saving again made another example")
        kept = station.teaching.store.labels(again.example)
        _check(np.array_equal(kept, self._corrected), "the labels kept are not the corrected ones")
        return f"example {again.example.example_id}, revisions 1 and 2"

    def _exporting(self, kind: ExportKind) -> Action:
        def export() -> str:
            station = self._station
            folder = self._folder / "exports" / ("Dataset501_Lungs" if kind is ExportKind.NNUNET else kind.value)
            folder.parent.mkdir(exist_ok=True)
            exported = wait_for(station.queue, station.teaching.export(kind, (), folder))
            assert exported is not None
            exported.proof.require()
            _check(exported.count == 1 and not exported.skipped, "the example was left out")
            files = [path for path in folder.rglob("*") if path.is_file()]
            return f"{len(files)} files, read back, identical"

        return export


class _HippocampusCase(_Case):
    """A made-up MR crop: the MONAI bundle runs, twice the same, on the image's grid, with labels that it names."""

    def actions(self) -> list[tuple[Text, Action]]:
        """The steps, in their order."""
        return [
            (Text("Make and open an MR series"), self._load),
            (Text("Run the MONAI bundle (mr_hippocampus)"), self._analyse),
            (Text("Write its answer"), self._write),
        ]

    def _load(self) -> str:
        folder = self._folder / "mr"
        self._files = dicom_writer.write_series(hippocampus.make(), folder, dicom_writer.SeriesOptions())
        self._volume = self._open(folder)
        _check(
            np.array_equal(self._volume.voxels, hippocampus.make().voxels), "the voxels are not those that were made"
        )
        return f"{len(self._files)} files"

    def _analyse(self) -> str:
        first, segmentation = self._run_plugin("mr_hippocampus")
        _, again = self._run_plugin("mr_hippocampus")
        named = {0, *(segment.label for segment in first.segments)}
        _check(first.labels.shape == self._volume.geometry.shape, "the answer does not lie on the image's grid")
        _check(set(np.unique(first.labels).tolist()) <= named, "the answer has labels that the plugin does not name")
        _check(np.array_equal(segmentation.labels, again.labels), "the second answer differs from the first")
        return f"{first.seconds:.1f} s on {first.device}, twice the same"

    def _write(self) -> str:
        folder = self._folder / "answer"
        finished = self._station.analysis.last
        assert finished is not None
        written = results.write(folder, finished, self._files, NoProgress())
        return f"{', '.join(written.files)}: read back, identical"
