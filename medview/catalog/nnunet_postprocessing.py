"""What nnU-Net found best to do with labels behind a network, read as data.

`nnUNetv2_find_best_configuration` tries whether labels get better when only the largest connected part of a structure
is kept, and writes what it found: `postprocessing.json`, for people, and `postprocessing.pkl`, a pickle of functions
(nnunetv2/postprocessing/remove_connected_components.py). Of the pickle only plain values are made here; the one
function that nnU-Net knows stays a name, and any other is refused.
"""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medview.core.errors import PluginUnavailableError
from medview.core.text import Text

KEEPS_LARGEST = "remove_all_but_largest_component_from_segmentation"
_MODULE = "nnunetv2.postprocessing.remove_connected_components"
_NAMES = ("postprocessing.json", "postprocessing.pkl")
_LARGEST_BYTES = 16 * 2**20

Labels = tuple[int, ...]
"""Of which together only the largest connected part is kept."""


def read(model: Path) -> tuple[Labels, ...]:
    """The steps of a model folder, in their order: for each, of which labels the largest part is kept.

    They lie in the folder itself, or in the one of its cross-validation, `crossval_results_folds_...`.

    Raises:
        PluginUnavailableError: They are damaged, or others than nnU-Net's own.
    """
    folders = (model, *sorted(model.glob("crossval_results_folds_*")))
    path = next((file for folder in folders for file in (folder / name for name in _NAMES) if file.is_file()), None)
    if path is None:
        return ()
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise ValueError("too large")
        names, settings = _of_json(path) if path.suffix == ".json" else _of_pickle(path)
        if len(names) != len(settings):
            raise ValueError("uneven")
        return tuple(_labels(name, one) for name, one in zip(names, settings, strict=True))
    except PluginUnavailableError:
        raise
    except Exception as error:
        raise PluginUnavailableError(
            Text.of("{file} is damaged, or holds another program than nnU-Net writes there.", file=str(path)),
            Text("Take it away, or write postprocessing = false into plugin.toml."),
        ) from error


def _of_json(path: Path) -> tuple[Sequence[Any], Sequence[Any]]:
    data = json.loads(path.read_text(encoding="utf-8"))
    return data["postprocessing_fns"], data["postprocessing_kwargs"]


def _of_pickle(path: Path) -> tuple[Sequence[Any], Sequence[Any]]:
    names, settings = _PlainValues(io.BytesIO(path.read_bytes())).load()
    return names, settings


class _PlainValues(pickle.Unpickler):
    """Makes plain values only: the one known function becomes its name, which cannot be called."""

    def find_class(self, module: str, name: str) -> str:
        if (module, name) != (_MODULE, KEEPS_LARGEST):
            raise pickle.UnpicklingError(f"{module} {name}")
        return name

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError(str(pid))


def _labels(name: Any, settings: Any) -> Labels:
    if name != KEEPS_LARGEST or not isinstance(settings, dict) or settings.get("background_label", 0) != 0:
        raise PluginUnavailableError(
            Text.of("The model asks for the step {name}, which MedView does not know.", name=str(name)[:80]),
            Text("Write postprocessing = false into plugin.toml to run it without."),
        )
    found: list[int] = []
    waiting = [settings["labels_or_regions"]]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list | tuple):
            waiting += one
        elif isinstance(one, int) and not isinstance(one, bool) and 0 <= one <= 65535:
            found.append(one)
        else:
            raise ValueError("no label")
    if not found:
        raise ValueError("no labels")
    return tuple(sorted(set(found)))
