"""Sets of labelled pictures in the layout of MedMNIST: one file with training, validation and test parts."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medview.core.errors import InputError
from medview.core.text import Text
from medview.learning.splits import Split

_PARTS = {Split.TRAINING: "train", Split.VALIDATION: "val", Split.TEST: "test"}


@dataclass(frozen=True, slots=True, eq=False)
class LabelledPictures:
    """One part of a set.

    Attributes:
        pictures: (n, y, x) uint8, grey.
        labels: (n,) int64, the class of each.
    """

    pictures: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def sha256(self) -> str:
        """Which pictures and labels these are."""
        return hashlib.sha256(self.pictures.tobytes() + self.labels.tobytes()).hexdigest()


def read(path: Path, part: Split) -> LabelledPictures:
    """Read one part; the others are not looked at.

    Raises:
        InputError: When the file is not such a set, or its pictures and labels do not belong together.
    """
    try:
        # opened here: what numpy opens, it leaves open when the file is damaged
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            pictures, labels = file[f"{_PARTS[part]}_images"], file[f"{_PARTS[part]}_labels"]
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise _not_a_set(path) from error
    if not _belong_together(pictures, labels):
        raise _not_a_set(path)
    return LabelledPictures(pictures, labels.reshape(-1).astype(np.int64))


def _belong_together(pictures: NDArray[Any], labels: NDArray[Any]) -> bool:
    return bool(
        pictures.ndim == 3
        and pictures.dtype == np.uint8
        and labels.dtype.kind in "iu"
        and labels.size == len(pictures) > 0
        and labels.min() >= 0
    )


def _not_a_set(path: Path) -> InputError:
    return InputError(
        Text.of("{path} is not a set of labelled grey pictures.", path=str(path)),
        "Choose a file of MedMNIST with pictures and labels for training, validation and test.",
    )
