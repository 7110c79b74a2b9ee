"""The labels as they are when correcting begins, copied and counted without holding up the window."""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

from medview.core.segmentation import Labels
from medview.editing import measure

_AT_ONCE_BYTES = 4 * 2**20
"""What is smaller is copied in a millisecond."""


class FirstCopy:
    """A copy of labels that nobody else may write to until it is taken.

    Args:
        labels: (k, j, i) uint8 or uint16.
    """

    def __init__(self, labels: Labels) -> None:
        self._labels: Labels | None = None
        self._counts: NDArray[np.int64] | None = None
        self._failed = False
        self._taken = threading.Event()
        if labels.nbytes <= _AT_ONCE_BYTES:
            self._take(labels)
        else:
            threading.Thread(target=self._take, args=(labels,), name="first-copy", daemon=True).start()

    def wait_until_taken(self) -> None:
        """Until the labels may be written to: a tenth of a second for a large volume, and mostly none."""
        self._taken.wait()

    def take(self) -> Labels | None:
        """(k, j, i), for one thread and once: the copy, which is let go here; None when all of it is background.

        Raises:
            MemoryError: There was too little memory for a copy.
        """
        self._taken.wait()
        if self._failed:
            raise MemoryError
        labels, self._labels = self._labels, None
        return labels if labels is not None and labels.any() else None

    @property
    def counts(self) -> NDArray[np.int64] | None:
        """(label,) int64: how many voxels every label had; None while that is being counted."""
        return self._counts

    def _take(self, labels: Labels) -> None:
        try:
            self._labels = copy = labels.copy()
        except MemoryError:
            # the journal says so; the window must not wait for a copy that never comes
            self._failed = True
            return
        finally:
            self._taken.set()
        self._counts = measure.count_voxels(copy)
