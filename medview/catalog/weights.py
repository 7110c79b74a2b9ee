"""Whether a file of weights holds numbers alone, found without loading it.

A `.pt` file is a pickle, and a pickle is a program. One that `torch.save` made of a state dict names a handful of
functions that put tensors together; whatever names others needs the user's trust. What this finds is told before a run;
the run itself loads with `weights_only=True` and does not rely on it.
"""

from __future__ import annotations

import pickle
import pickletools
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import IO

DATA_SUFFIXES = (".safetensors", ".pt", ".pth")

_ALLOWED = frozenset(
    {
        "collections OrderedDict",
        "torch._utils _rebuild_tensor",
        "torch._utils _rebuild_tensor_v2",
        "torch._utils _rebuild_parameter",
        "torch._utils _rebuild_qtensor",
        "torch._tensor _rebuild_from_type_v2",
        "torch Size",
        "torch device",
        "torch.nn.parameter Parameter",
        "torch.storage UntypedStorage",
    }
)
_STORAGES = ("torch ", "Storage")
_LARGEST_PICKLE = 64 * 2**20
_OLD_HEADER = 3
"""Pickles that stand before the state dict in files of torch before 1.6: a magic number, a version, a system."""


def is_torchscript(path: Path) -> bool:
    """Whether a file is TorchScript, a program; unreadable files are not."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any("/code/" in name or name.endswith("/constants.pkl") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def program_in(path: Path) -> str:
    """What in a file of weights could run, as "os system"; empty when it holds numbers alone.

    A file that cannot be read as weights says so too: nobody knows what it would do.
    """
    if path.suffix == ".safetensors":
        return ""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                found = [one for one in archive.infolist() if one.filename.rpartition("/")[2] == "data.pkl"]
                if is_torchscript(path):
                    return "TorchScript"
                if len(found) != 1 or found[0].file_size > _LARGEST_PICKLE:
                    return "an unknown layout"
                with archive.open(found[0]) as stream:
                    # whole, for it is gone through byte by byte; what is longer than it says it is ends early
                    return next(_foreign(BytesIO(stream.read(_LARGEST_PICKLE)), 1), "")
        with path.open("rb") as stream:
            return next(_foreign(stream, _OLD_HEADER + 1), "")
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, NotImplementedError, pickle.UnpicklingError):
        return "an unknown layout"


def _foreign(stream: IO[bytes], pickles: int) -> Iterator[str]:
    for _ in range(pickles):
        for operation, argument, _ in pickletools.genops(stream):
            name = operation.name
            if name in ("GLOBAL", "INST") and not _is_allowed(str(argument)):
                yield str(argument)
            elif name in ("STACK_GLOBAL", "EXT1", "EXT2", "EXT4"):
                yield "names that are put together while loading"


def _is_allowed(name: str) -> bool:
    before, after = _STORAGES
    return name in _ALLOWED or (name.startswith(before) and name.endswith(after) and name.count(" ") == 1)
