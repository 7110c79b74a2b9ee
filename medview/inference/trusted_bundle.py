"""A bundle that the user trusts: its expressions, its own code and its pickles run as MONAI would run them."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.bundle import ConfigParser

from medview.catalog.bundle_config import BundleConfig, needs_trust
from medview.core.errors import Cancelled, MedViewError, PluginUnavailableError
from medview.core.text import Text
from medview.inference.bundle_parts import without_notices
from medview.inference.older_names import older_names
from medview.inference.python_engine import reason_of
from medview.inference.source_modules import SourceModules

_GRAPHICS_CARD = re.compile(r"torch\.device\(\s*(?:device\s*=\s*)?(['\"])cuda(?::\d+)?\1\s*\)")
_one_at_a_time = threading.Lock()
"""Two bundles may both bring modules called `scripts`."""


class TrustedParts:
    """The objects of a trusted bundle, built by MONAI's own parser; expressions in them are run.

    Args:
        config: What the bundle says.
        device: What `@device` stands for.
        bundle: Its folder, which is what `@bundle_root` stands for.
    """

    def __init__(self, config: BundleConfig, device: str, bundle: Path) -> None:
        self._parser = ConfigParser(
            {
                **_on(device, dict(config.entries)),
                "device": f"$torch.device('{device}')",
                "bundle_root": str(bundle),
                "output_dir": "",
                "dataset_dir": "",
                "ckpt_dir": str(bundle / "models"),
            }
        )

    def build(self, id: str) -> Any:
        """The object or value at an id.

        Raises:
            PluginUnavailableError: It cannot be made.
        """
        try:
            with without_notices():
                return self._parser.get_parsed_content(id)
        except (Cancelled, MedViewError, MemoryError):
            raise
        except (Exception, SystemExit) as error:
            raise PluginUnavailableError(
                Text.of("{key} of the bundle cannot be made: {reason}.", key=id, reason=reason_of(error)),
                Text("The bundle was made for another version of MONAI, or its configuration is wrong."),
            ) from error


def _on(device: str, value: Any) -> Any:
    """A configuration in which every graphics card that it names is the device that was chosen."""
    if isinstance(value, dict):
        return {key: _on(device, one) for key, one in value.items()}
    if isinstance(value, list):
        return [_on(device, one) for one in value]
    if isinstance(value, str) and value.startswith("$"):
        return _GRAPHICS_CARD.sub(f"torch.device('{device}')", value)
    return value


@contextmanager
def own_modules(bundle: Path) -> Iterator[None]:
    """Let a bundle find its own modules (`scripts`), and forget them afterwards: another bundle's have the same names.

    Raises:
        PluginUnavailableError: Another bundle's modules are in use.
    """
    if not _one_at_a_time.acquire(blocking=False):
        raise PluginUnavailableError(
            Text("Another bundle with code of its own is running."), Text("Wait until it is done.")
        )
    modules = SourceModules(bundle)
    sys.meta_path.insert(0, modules)
    try:
        with torch.serialization.safe_globals(_arrays()), older_names():
            yield
    finally:
        sys.meta_path.remove(modules)
        for name in modules.found:
            sys.modules.pop(name, None)
        _one_at_a_time.release()


def _arrays() -> list[Any]:
    """What `torch.load` needs to know for arrays of numpy, which searched networks are described by."""
    types = [type(np.dtype(kind)) for kind in (np.float32, np.float64, np.int32, np.int64, np.uint8, np.bool_)]
    return [np.ndarray, np.dtype, np.zeros(0).__reduce__()[0], *types]


def load_program(path: Path) -> Mapping[str, Any]:
    """What a pickle of a trusted bundle holds; it runs while it is loaded.

    Raises:
        PluginUnavailableError: It is damaged, or no state dict.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=False)
    except Exception as error:
        raise PluginUnavailableError(
            Text.of("The weights {file} are damaged.", file=path.name), Text("Install the plugin again.")
        ) from error
    if not isinstance(state, Mapping):
        raise needs_trust(path.name, type(state).__name__)
    return state


def load_torchscript(path: Path, device: str) -> torch.nn.Module:
    """The network of a trusted bundle as TorchScript.

    Raises:
        PluginUnavailableError: It is damaged.
    """
    try:
        with without_notices():
            loaded: torch.nn.Module = torch.jit.load(str(path), map_location=device)
    except Exception as error:
        raise PluginUnavailableError(
            Text.of("The weights {file} are damaged.", file=path.name), Text("Install the plugin again.")
        ) from error
    return loaded
