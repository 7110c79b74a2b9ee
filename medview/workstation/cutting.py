"""Cutting the segment in work with scissors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from medview.core.geometry import Box, Floats, Index
from medview.core.progress import Progress
from medview.editing import outline, scissors
from medview.editing.brush import Stamp
from medview.editing.reshape import Proposal
from medview.workstation.correction import Correction
from medview.workstation.edit_tools import TOOL_WORDS, EditTool, EditTools, InWork
from medview.workstation.jobs import Job, JobQueue, Lane
from medview.workstation.settled_labels import settled
from medview.workstation.view_state import Viewing
from medview.workstation.workspace import Workspace


class Cutting:
    """Main thread only.

    Args:
        workspace: Says what is active.
        viewing: Says where the reader is.
        jobs: Compute.
        correction: Takes what is found.
        tools: Hold which side goes, and how thick the slab is.
    """

    def __init__(
        self, workspace: Workspace, viewing: Viewing, jobs: JobQueue, correction: Correction, tools: EditTools
    ) -> None:
        self._workspace = workspace
        self._viewing = viewing
        self._jobs = jobs
        self._correction = correction
        self._tools = tools

    def on_slice(self, curve: Floats, axis: int, index: int, *, other_side: bool) -> Stamp | None:
        """What a cut would take from the slice that it is drawn on; None when there is nothing."""
        segmentation, label = self._workspace.active_segmentation, self._correction.active_label
        if segmentation is None or not label:
            return None
        box, inside = outline.inside(segmentation.geometry, curve, axis, index)
        if self._tools.options.scissors.outside is other_side:
            return (box, inside & (segmentation.labels[box.slices] == label)) if not box.is_empty else None
        k, j, i = segmentation.geometry.shape
        whole = _slice_box((k, j, i), axis, index)
        lost = segmentation.labels[whole.slices] == label
        if not box.is_empty:
            offset = (-whole.start[0], -whole.start[1], -whole.start[2])
            lost[box.shifted(offset).slices] &= ~inside
        return whole, lost

    def cut(self, curve: Floats, axis: int, index: int, *, other_side: bool) -> Job[Any] | None:
        """Cut through the slices of a plane.

        Args:
            curve: (n, 3) x, y, z, LPS, mm, drawn on a slice.
            axis: The index axis that the slice stands on.
            index: Which slice along it.
            other_side: Whether the side goes that stays otherwise.

        Returns:
            The job; None when there is no segment.

        Raises:
            MedViewError: The segment is locked, or the series is still loading.
        """
        found = self._in_work()
        if found is None:
            return None
        options, geometry, label = self._tools.options.scissors, found.segmentation.geometry, found.label
        segmentation, outside = found.segmentation, options.outside is not other_side
        return self._submit(
            found,
            lambda progress: scissors.cut(
                settled(segmentation, 0, (0, 0, 0), progress)[1], geometry, label, curve, axis, index,
                outside=outside, slab_mm=options.slab_mm, progress=progress,
            ),
        )  # fmt: skip

    def cut_along_sight(
        self, to_screen: Floats, size: tuple[int, int], curve: Floats, *, other_side: bool
    ) -> Job[Any] | None:
        """Cut into the depth of a 3D view; arguments as for `scissors.cut_along_sight` and `cut`."""
        found = self._in_work()
        if found is None:
            return None
        geometry, label = found.segmentation.geometry, found.label
        segmentation, outside = found.segmentation, self._tools.options.scissors.outside is not other_side
        return self._submit(
            found,
            lambda progress: scissors.cut_along_sight(
                settled(segmentation, 0, (0, 0, 0), progress)[1],
                geometry, label, to_screen, size, curve, outside=outside, progress=progress,
            ),
        )  # fmt: skip

    def _in_work(self) -> InWork | None:
        if self._workspace.active_segmentation is None or not self._correction.active_label:
            return None
        return self._correction.in_work(self._viewing.state.cursor, adds=False)

    def _submit(self, found: InWork, compute: Callable[[Progress], Proposal]) -> Job[Any]:
        name = TOOL_WORDS[EditTool.SCISSORS].name
        return self._jobs.submit(
            name,
            compute,
            lane=Lane.DISK,
            then=lambda proposal: self._correction.put(found.segmentation, found.label, name, proposal),
        )


def _slice_box(shape: Index, axis: int, index: int) -> Box:
    return Box.whole(shape).narrowed(axis, index, index + 1)
