"""Keeps the largest connected part of structures, as nnU-Net does behind a network where that made labels better.

nnunetv2/postprocessing/remove_connected_components.py, and acvl_utils/morphology/morphology_helper.py: voxels that
touch in a corner belong together; of several parts of the same largest size all are kept.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medview.core.segmentation import Labels


def keep_largest(labels: Labels, steps: Sequence[Sequence[int]]) -> Labels:
    """Labels without the smaller parts.

    Args:
        labels: (k, j, i); not changed.
        steps: For each, of which labels together the largest part is kept.
    """
    from skimage.measure import label

    found = labels.copy()
    for step in steps:
        mask = np.isin(found, step)
        parts, count = label(mask, return_num=True)
        if count < 2:
            continue
        sizes = np.bincount(parts.ravel(), minlength=count + 1)
        sizes[0] = 0
        found[mask & (sizes < sizes.max())[parts]] = 0
    return found
