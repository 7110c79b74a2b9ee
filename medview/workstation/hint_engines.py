"""What can answer hints: plugins that take them, and the tool that needs no trained model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

import medview
from medview.catalog.fit import fit_volume
from medview.catalog.plugins import PluginRecord, PluginState
from medview.core.case import Case
from medview.core.geometry import Box
from medview.core.hint import Hint, HintAnswer, HintKind
from medview.core.hint_marks import box_around
from medview.core.progress import Progress
from medview.core.segmentation import Labels, ModelRef
from medview.core.text import Text
from medview.core.volume import Volume
from medview.editing import hint_tool
from medview.editing.hint_grid import Belief
from medview.inference import runner
from medview.inference.hint_session import HintSession
from medview.workstation.analysis import Analysis
from medview.workstation.jobs import Lane

TOOL_ID = "random-walker"
_IS_MARKED, _IS_NOT = 0.9, 0.35
"""How likely what is marked already, and what is not, is thought to belong to the structure before anybody looks."""


@dataclass(frozen=True, slots=True)
class HintChoice:
    """Something that can answer hints.

    Attributes:
        id: The plugin's, or `TOOL_ID`.
        name: What people call it.
        kinds: The hints that it takes.
        negative: Whether they may say what does not belong to the structure.
        needs_box: Whether it wants a box first.
        structures: What the hints can be on: a label of the plugin's, and its name; empty where there is one only.
        only: The name of the only structure; empty where there are several, or any can be found.
    """

    id: str
    name: Text
    kinds: tuple[HintKind, ...]
    negative: bool
    needs_box: bool = False
    structures: tuple[tuple[int, str], ...] = ()
    only: str = ""

    def name_of(self, structure: int) -> str:
        """What a new segment for a structure is called; empty where nobody knows."""
        return next((name for value, name in self.structures if value == structure), self.only)


TOOL = HintChoice(TOOL_ID, Text("Edges and values, without a model"), tuple(HintKind), negative=True)


def choice_of(record: PluginRecord) -> HintChoice | None:
    """A plugin as a choice; None where it takes no hints."""
    manifest = record.manifest
    if manifest is None or manifest.hints is None:
        return None
    several = tuple((one.value, one.name) for one in manifest.label) if len(manifest.label) > 1 else ()
    only = manifest.label[0].name if len(manifest.label) == 1 else ""
    needs_box = manifest.input[0].wants_box
    kinds, negative = manifest.hints.kinds, manifest.hints.negative
    return HintChoice(record.id, Text(manifest.name), kinds, negative, needs_box, several, only)


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """What is asked.

    Attributes:
        hints: All that were given, in their order.
        before: What was answered to the earlier ones.
        labels: (k, j, i) of the segmentation in work; None where there is none yet.
        label: The segment in work.
    """

    hints: tuple[Hint, ...]
    before: HintAnswer | None
    labels: Labels | None
    label: int


class HintEngine(Protocol):
    """Answers hints on one image. Asked in a job's thread, one question at a time."""

    lane: Lane
    knows_marked: bool
    """Whether its answer says of what is marked already whether it belongs to the structure."""

    @property
    def model(self) -> ModelRef:
        """Who answers."""

    def answer(self, question: Question, progress: Progress) -> HintAnswer:
        """Find the structure; raises `MedViewError` in words, or `Cancelled`."""

    def close(self) -> None:
        """Let go of what is held ready."""


class ToolEngine:
    """The tool that needs no trained model, on one image."""

    lane = Lane.DISK
    knows_marked = True

    def __init__(self, volume: Volume) -> None:
        self._volume = volume

    @property
    def model(self) -> ModelRef:
        """MedView itself."""
        return ModelRef(TOOL_ID, medview.__version__)

    def answer(self, question: Question, progress: Progress) -> HintAnswer:
        """As `HintEngine.answer`."""
        geometry, labels, label = self._volume.geometry, question.labels, question.label
        belief = None
        if labels is not None:
            around = box_around(question.hints, geometry, hint_tool.FARTHEST_MM)
            if bool((labels[around.slices] == label).any()):
                belief = _belief(labels, label)
        return hint_tool.by_hints(
            self._volume.voxels, geometry, question.hints, belief=belief, before=question.before, progress=progress
        )

    def close(self) -> None:
        """There is nothing to let go."""


class PluginEngine:
    """A plugin on one image."""

    lane = Lane.GPU
    knows_marked = False

    def __init__(self, session: HintSession) -> None:
        self._session = session

    @property
    def model(self) -> ModelRef:
        """The plugin."""
        return self._session.model

    def answer(self, question: Question, progress: Progress) -> HintAnswer:
        """As `HintEngine.answer`."""
        return self._session.answer(question.hints, question.before, progress)

    def close(self) -> None:
        """Let the plugin go."""
        self._session.close()


class HintPlugins:
    """The plugins that take hints. Main thread only.

    Args:
        analysis: Knows the plugins, their inputs, and where they compute.
    """

    def __init__(self, analysis: Analysis) -> None:
        self._analysis = analysis

    def choices(self, volume: Volume) -> tuple[HintChoice, ...]:
        """Those that can be asked about a volume."""
        found = []
        for record in self._analysis.shelf.records():
            choice = choice_of(record)
            if choice is None or record.state is not PluginState.READY or record.manifest is None:
                continue
            fit = fit_volume(record.manifest, volume)
            if fit.ok or fit.needs_box:
                found.append(choice)
        return tuple(found)

    def engine(self, plugin_id: str, case: Case, volume: Volume, structure: int) -> HintEngine:
        """One of them, for a volume of a case.

        Raises:
            PluginUnavailableError: It cannot be had, or needs series that are not there.
        """
        analysis = self._analysis
        record = analysis.shelf.record(plugin_id)
        manifest = runner.ready_manifest(record)
        others = analysis.inputs.volumes(manifest, case, volume)
        others.pop(manifest.input[0].name, None)
        session = HintSession(
            record, volume, others=others, device=analysis.device, exact=analysis.exact, structure=structure
        )
        return PluginEngine(session)


def _belief(labels: Labels, label: int) -> Belief:
    # A stroke that is painted meanwhile may be seen or not; what comes of it is shown before anybody takes it.
    def belief(box: Box) -> NDArray[np.float32]:
        return np.where(labels[box.slices] == label, np.float32(_IS_MARKED), np.float32(_IS_NOT))

    return belief


def replaced(hints: Sequence[Hint], new: Hint) -> tuple[Hint, ...]:
    """Hints with one more; a structure lies in one box, so a new box takes the place of the one before."""
    if new.kind is HintKind.BOX and new.positive:
        hints = [one for one in hints if not (one.kind is HintKind.BOX and one.positive)]
    return (*hints, new)
