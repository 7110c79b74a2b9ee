"""Comparing the labels as they are with those that a model, or somebody else, gave."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medview.core.events import Event
from medview.core.geometry import Box
from medview.core.planes import Plane, slice_plane
from medview.core.segmentation import Drawn, Labels, Segment, Segmentation
from medview.core.text import Text
from medview.editing.difference import ADDED, EXCHANGED, REMOVED, Difference, map_of
from medview.editing.first_labels import FirstLabels
from medview.workstation.correction import Correction
from medview.workstation.view_state import Compared, Viewing
from medview.workstation.workspace import ActiveChanged, Workspace, WorkspaceChange

LEGEND: tuple[tuple[int, Text, tuple[int, int, int]], ...] = (
    (ADDED, Text("added"), (0, 158, 115)),
    (REMOVED, Text("removed"), (213, 94, 0)),
    (EXCHANGED, Text("given to another segment"), (86, 180, 233)),
)
"""What is drawn of a difference, in colours that colour-blind readers tell apart (Okabe and Ito 2008)."""

_ORDER = tuple(Compared)
_ML = 1000.0


@dataclass(frozen=True, slots=True)
class Change:
    """What a segment gained and lost, in ml."""

    label: int
    name: str
    added_ml: float
    removed_ml: float


@dataclass(frozen=True, slots=True)
class ChangedSlice:
    """A slice on which labels differ, with what they gained and lost there, in ml."""

    index: int
    added_ml: float
    removed_ml: float


class Comparing:
    """Turns the views between the labels as they are, as they came, and the difference. Main thread only.

    Args:
        workspace: Says what is active.
        viewing: Says what is drawn, and where the slices run.
        correction: Knows what was corrected.

    Attributes:
        changed: Emitted when something differs otherwise than before.
    """

    def __init__(self, workspace: Workspace, viewing: Viewing, correction: Correction) -> None:
        self.changed: Event[None] = Event()
        self._workspace = workspace
        self._viewing = viewing
        self._correction = correction
        self._connections = (
            workspace.changed.connect(self._on_workspace),
            correction.changed.connect(self._on_correction),
        )

    @property
    def is_of_model(self) -> bool:
        """Whether what the labels are compared with came from a model."""
        active = self._workspace.active_segmentation
        return active is not None and active.provenance.model is not None

    def show(self, compared: Compared) -> None:
        """Draw the labels as they are, as they came, or the difference; the masks are shown for it."""
        if compared is Compared.MINE or self._workspace.active_segmentation is not None:
            self._correction.end_stroke()
            self._viewing.update(compared=compared, labels_shown=self._viewing.state.labels_shown or compared != "mine")

    def turn(self) -> None:
        """Draw the next of the three."""
        self.show(_ORDER[(_ORDER.index(self._viewing.state.compared) + 1) % len(_ORDER)])

    def drawn(self, segmentation: Segmentation, compared: Compared) -> Drawn | None:
        """What is to be drawn in place of a segmentation's labels; None: these themselves."""
        first = self._first(segmentation)
        if first is None or compared is Compared.MINE:
            return None
        if compared is Compared.MODEL:
            return Drawn(first.segments, first.within)
        labels = segmentation.labels

        def within(box: Box) -> Labels:
            difference: Labels = map_of(first.within(box), labels[box.slices]).astype(labels.dtype, copy=False)
            return difference

        return Drawn(
            tuple(Segment(label, str(name), color) for label, name, color in LEGEND), within, of_segments=False
        )

    def counted(self, limit_s: float) -> bool:
        """Count what differs in the active segmentation, for no longer than some time; whether all is counted."""
        active = self._workspace.active_segmentation
        work = self._correction.work.find(active)
        return work is None or work.tally.difference.refresh(limit_s)

    @property
    def difference(self) -> Difference | None:
        """What differs in the active segmentation; None where nothing is being corrected."""
        active = self._workspace.active_segmentation
        work = self._correction.work.find(active)
        return work.tally.difference.result() if work is not None else None

    def changes(self) -> tuple[Change, ...]:
        """What the segments gained and lost, those that did; first the listed ones, then those that are gone."""
        active, found = self._workspace.active_segmentation, self.difference
        if active is None or found is None:
            return ()
        ml = active.geometry.voxel_mm3 / _ML
        first = self._first(active)
        known = (*active.segments, *(first.segments if first is not None else ()))
        names = {one.label: one.name for one in reversed(known)}
        order = list(dict.fromkeys(one.label for one in known))
        return tuple(
            Change(label, names[label], found.added.get(label, 0) * ml, found.removed.get(label, 0) * ml)
            for label in order
            if label in found.added or label in found.removed
        )

    def changed_slices(self, plane: Plane) -> tuple[ChangedSlice, ...]:
        """The slices of a plane on which something differs, in rising order."""
        active, found = self._workspace.active_segmentation, self.difference
        if active is None or found is None:
            return ()
        axis, ml = slice_plane(active.geometry, plane).axis, active.geometry.voxel_mm3 / _ML
        return tuple(
            ChangedSlice(int(one), float(found.gained[axis][one]) * ml, float(found.lost[axis][one]) * ml)
            for one in found.slices(axis)
        )

    @property
    def plane(self) -> Plane:
        """The plane whose slices are meant: of the active view; of the 3D view, the axial one."""
        return self._viewing.state.active_view.plane or Plane.AXIAL

    @property
    def place(self) -> tuple[int, int]:
        """Which of the changed slices of the plane is shown, from 1, or 0 for none of them; and how many there are."""
        active, found = self._workspace.active_segmentation, self.difference
        if active is None or found is None:
            return 0, 0
        axis = slice_plane(active.geometry, self.plane).axis
        slices = found.slices(axis)
        here = np.flatnonzero(slices == active.geometry.nearest_voxel(self._viewing.state.cursor)[axis])
        return (int(here[0]) + 1 if here.size else 0), len(slices)

    def go_to_slice(self, plane: Plane, index: int) -> None:
        """Bring the views to a slice of a plane, at the middle of what differs there."""
        active = self._workspace.active_segmentation
        first = self._first(active)
        if active is None or first is None:
            return
        axis, found = slice_plane(active.geometry, plane).axis, self.difference
        cursor = list(active.geometry.nearest_voxel(self._viewing.state.cursor))
        cursor[axis] = index
        box = found.box.narrowed(axis, index, index + 1) if found is not None else Box((0, 0, 0), (0, 0, 0))
        where = np.argwhere(map_of(first.within(box), active.labels[box.slices])) + np.asarray(box.start)
        if len(where):
            middle = where.mean(axis=0)
            cursor = [int(one) for one in where[((where - middle) ** 2).sum(axis=1).argmin()]]
        x, y, z = (float(one) for one in active.geometry.to_patient((cursor[0], cursor[1], cursor[2])))
        self._viewing.update(cursor=(x, y, z))

    def go_to_changed_slice(self, steps: int) -> None:
        """To the next slice with a difference in the plane of the active view, or with -1 to the one before.

        The ends meet. Nothing happens where nothing differs.
        """
        active = self._workspace.active_segmentation
        found = [one.index for one in self.changed_slices(self.plane)]
        if active is None or not found:
            return
        axis = slice_plane(active.geometry, self.plane).axis
        here = active.geometry.nearest_voxel(self._viewing.state.cursor)[axis]
        if steps > 0:
            self.go_to_slice(self.plane, next((one for one in found if one > here), found[0]))
        else:
            self.go_to_slice(self.plane, next((one for one in reversed(found) if one < here), found[-1]))

    def _first(self, segmentation: Segmentation | None) -> FirstLabels | None:
        work = self._correction.work.find(segmentation)
        return work.tally.first if work is not None else None

    def _on_workspace(self, change: WorkspaceChange) -> None:
        if isinstance(change, ActiveChanged):
            self._viewing.update(compared=Compared.MINE)
            self.changed.emit(None)

    def _on_correction(self, _: None) -> None:
        if not self._correction.is_painting:
            self.changed.emit(None)
