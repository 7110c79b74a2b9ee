"""Whether an error says that memory ran out, in the words of everybody who may say so."""

from __future__ import annotations

_WORDS = ("out of memory", "not enough memory", "can't allocate memory", "cannot allocate memory")
"""CUDA's, oneDNN's, torch's and the system's."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether there was not enough memory, on the graphics card or in the machine."""
    said = str(error).lower()
    return isinstance(error, MemoryError) or any(words in said for words in _WORDS)
