"""Growing a region from a seed: what hangs together with it and has similar values."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from medview.core.geometry import Box, Index
from medview.core.progress import NoProgress, Progress
from medview.editing import rules
from medview.editing.brush import Stamp

_NOTHING = Box((0, 0, 0), (0, 0, 0))


def grown(
    voxels: NDArray[Any],
    seed: Index,
    lowest: float,
    highest: float,
    axis: int | None = None,
    progress: Progress | None = None,
) -> Stamp:
    """The voxels within a range of values that hang together with a seed over their faces.

    Args:
        voxels: (k, j, i) numbers.
        seed: A voxel (k, j, i); when its own value is out of the range, nothing is found.
        lowest: The range; both ends belong to it.
        highest: The other end.
        axis: Stay in the slice across this index axis; None: in all three dimensions.
        progress: May cancel between steps.

    Returns:
        The smallest box, maybe empty, and (k, j, i) bool of its shape.

    Source: Adams R., Bischof L., Seeded region growing, IEEE Trans. Pattern Analysis 16(6), 1994; with a fixed range.
    """
    import SimpleITK

    progress = progress or NoProgress()
    box = Box.whole((voxels.shape[0], voxels.shape[1], voxels.shape[2]))
    if axis is not None:
        box = box.narrowed(axis, seed[axis], seed[axis] + 1)
    similar = rules.within(voxels[box.slices], lowest, highest)
    k, j, i = (int(a - b) for a, b in zip(seed, box.start, strict=True))
    if not similar[k, j, i]:
        return _NOTHING, np.zeros((0, 0, 0), dtype=np.bool_)
    progress.report(0.3)
    progress.raise_if_cancelled()
    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(similar).view(np.uint8))
    # all parts in several threads are found much faster than the one around the seed by its own filter
    parts = SimpleITK.ConnectedComponent(image, False)
    found = SimpleITK.GetArrayViewFromImage(parts) == parts[i, j, k]
    progress.report(0.8)
    progress.raise_if_cancelled()
    inner = Box.around(found)
    return inner.shifted(box.start), found[inner.slices]
