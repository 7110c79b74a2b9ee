"""Growing regions from a seed: shown on a slice while the mouse moves, done in the slice or through all of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from medview.core.geometry import Point
from medview.core.volume import Volume
from medview.editing import growing
from medview.editing.brush import Stamp
from medview.editing.reshape import Proposal
from medview.workstation.correction import Correction
from medview.workstation.edit_tools import TOOL_WORDS, EditTool, EditTools
from medview.workstation.jobs import Job, JobQueue, Lane
from medview.workstation.view_state import Viewing

_WINDOW_SHARE = 0.04
_SMALLEST = 1e-6


class Growing:
    """Grows regions. Main thread only.

    Args:
        jobs: Compute what goes through all slices.
        correction: Takes what is found.
        tools: Hold the tolerance.
        viewing: A small part of its window is the tolerance as long as none was chosen.
    """

    def __init__(self, jobs: JobQueue, correction: Correction, tools: EditTools, viewing: Viewing) -> None:
        self._jobs = jobs
        self._correction = correction
        self._tools = tools
        self._viewing = viewing

    @property
    def tolerance(self) -> float:
        """How far values may be from that of the seed."""
        chosen = self._tools.options.grow.tolerance
        return chosen if chosen is not None else _WINDOW_SHARE * self._viewing.state.window.width

    def set_tolerance(self, tolerance: float) -> None:
        """Choose how far values may be from that of the seed."""
        options = self._tools.options
        self._tools.set_options(replace(options, grow=replace(options.grow, tolerance=max(tolerance, _SMALLEST))))

    def found_in_slice(self, volume: Volume, point: Point, axis: int, tolerance: float) -> Stamp | None:
        """What would be found in the slice of a point.

        Args:
            volume: The image.
            point: The seed: x, y, z, LPS, mm.
            axis: The index axis that the slice stands on.
            tolerance: How far values may be from that of the seed.

        Returns:
            None where there is no voxel, or one without a value.
        """
        seed = volume.geometry.voxel_at(point)
        if seed is None or not np.isfinite(volume.voxels[seed]):
            return None
        value = float(volume.voxels[seed])
        return growing.grown(volume.voxels, seed, value - tolerance, value + tolerance, axis)

    def grow(self, point: Point, axis: int | None, tolerance: float, *, adds: bool) -> Job[Any] | None:
        """Add the region around a seed to the segment in work, or take it away.

        Args:
            point: The seed: x, y, z, LPS, mm.
            axis: The index axis that the slice stands on, for that slice alone; None: through all slices.
            tolerance: How far values may be from that of the seed.
            adds: Add, or take away.

        Returns:
            The job; None when nothing is to be done, or it is done already.

        Raises:
            MedViewError: No volume is open, it is still loading, or the segment in work is locked.
        """
        found = self._correction.in_work(point, adds=adds)
        if found is None:
            return None
        volume, segmentation, label = found.volume, found.segmentation, found.label
        seed = volume.geometry.voxel_at(point)
        if seed is None or not np.isfinite(volume.voxels[seed]):
            return None
        value, name = float(volume.voxels[seed]), TOOL_WORDS[EditTool.GROW].name
        lowest, highest = value - tolerance, value + tolerance

        def put(stamp: Stamp) -> None:
            box, mask = stamp
            nothing = np.zeros_like(mask)
            proposal = Proposal(box, mask, nothing) if adds else Proposal(box, nothing, mask)
            self._correction.put(segmentation, label, name, proposal, drawn=True)

        if axis is not None:
            put(growing.grown(volume.voxels, seed, lowest, highest, axis))
            return None
        return self._jobs.submit(
            name,
            lambda progress: growing.grown(volume.voxels, seed, lowest, highest, None, progress),
            lane=Lane.DISK,
            then=put,
        )
