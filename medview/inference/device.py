"""Where models run, and how many of the machine's cores they may have."""

from __future__ import annotations

import os
import sys
import threading

from medview.core.errors import PluginUnavailableError
from medview.core.text import Text

CHOICES = ("auto", "cpu", "cuda")
_BACKGROUND_NICENESS = 5
_FIRST_UNSOUND_CUDNN, _FIRST_SOUND_CUDNN = 90800, 91500


def choose(wanted: str = "auto") -> str:
    """The device for a run: "cuda" where there is a usable one and it is wanted or left open, else "cpu".

    Args:
        wanted: "auto", "cpu" or "cuda".

    Raises:
        PluginUnavailableError: "cuda" is wanted and there is none, or the word is unknown.
    """
    if wanted not in CHOICES:
        raise PluginUnavailableError(
            Text.of("There is no device “{name}”.", name=wanted),
            Text.of("Choose one of {choices}.", choices=", ".join(CHOICES)),
        )
    if wanted == "cpu":
        return "cpu"
    if _cuda_works():
        return "cuda"
    if wanted == "cuda":
        raise PluginUnavailableError(
            Text("This machine has no graphics card that PyTorch can compute on."),
            Text("Run on the processor: choose the device “auto” or “cpu”."),
        )
    return "cpu"


def describe() -> str:
    """What models run on here, for people: the graphics card and its memory, or the processor's threads."""
    import torch

    if choose() == "cpu":
        return f"CPU, {torch.get_num_threads()} threads, PyTorch {torch.__version__}"
    card = torch.cuda.get_device_properties(0)
    return f"{card.name}, {card.total_memory / 2**30:.0f} GiB, CUDA {torch.version.cuda}, PyTorch {torch.__version__}"


def be_considerate() -> None:
    """Let a background thread's computations yield to the window.

    Where the system can rank single threads (Linux), all cores compute at a lower rank; elsewhere one core of more than
    two is left free. Must be called in the thread that computes, before its first computation.
    """
    import torch

    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    in_background = threading.current_thread() is not threading.main_thread()
    if in_background and sys.platform == "linux":
        if os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) < _BACKGROUND_NICENESS:
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _BACKGROUND_NICENESS)
    elif in_background and cores > 2:
        cores -= 1
    torch.set_num_threads(cores)


def short_numbers_are_sound(cudnn: int | None) -> bool:
    """Whether a graphics card's library computes convolutions of volumes in 16 bits rightly, and in good time.

    cuDNN 9.8 to 9.10 gives wrong values without saying so (pytorch/pytorch issue 163539), and up to 9.14 it takes four
    times as long and more memory (issues 166122 and 166643).

    Args:
        cudnn: Its version as `torch.backends.cudnn.version()` has it, 91002 for 9.10.2; None where there is none.
    """
    return cudnn is None or not _FIRST_UNSOUND_CUDNN <= cudnn < _FIRST_SOUND_CUDNN


def _cuda_works() -> bool:
    import torch

    if not torch.cuda.is_available():
        return False
    try:
        torch.zeros(1, device="cuda").add_(1).cpu()
    except RuntimeError:
        return False
    return True
