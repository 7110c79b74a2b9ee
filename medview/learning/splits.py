"""Which patients a model learns from, which choose between models, and which judge them."""

from __future__ import annotations

import hashlib
from enum import StrEnum

_SALT = "medview split 1"
"""Fixed for ever: another salt would move patients between the parts, and scores would flatter."""
_TRAINING = 0.70
_VALIDATION = 0.15


class Split(StrEnum):
    """A part of the patients."""

    TRAINING = "training"
    VALIDATION = "validation"
    TEST = "test"


def split_of(patient_key: str) -> Split:
    """The part that a patient belongs to: 70, 15 and 15 of a hundred.

    It depends on nothing but the patient's key, so it never changes, whatever is added, and every example of a patient
    is in the same part.
    """
    share = place_of(f"{_SALT}|{patient_key}")
    if share < _TRAINING:
        return Split.TRAINING
    return Split.VALIDATION if share < _TRAINING + _VALIDATION else Split.TEST


def place_of(key: str) -> float:
    """A place between 0 and 1 that follows from a text alone; over many texts the places are spread evenly."""
    digest = hashlib.sha256(key.encode("utf-8")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
