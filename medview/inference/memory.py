"""What an error of a network means for the machine, in the words of everybody who may say so."""

from __future__ import annotations

_WORDS = ("out of memory", "not enough memory", "can't allocate memory", "cannot allocate memory")
"""CUDA's, oneDNN's, torch's and the system's."""
_LOST = ("cuda error", "cudnn_status", "cublas_status", "device-side assert", "unspecified launch failure")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether there was not enough memory, on the graphics card or in the machine."""
    said = str(error).lower()
    return isinstance(error, MemoryError) or any(words in said for words in _WORDS)


def is_lost_card(error: BaseException) -> bool:
    """Whether the graphics card stopped answering; nothing computes on it any more until the program starts anew."""
    said = str(error).lower()
    return not is_out_of_memory(error) and any(words in said for words in _LOST)
