"""The parts of a Python plugin that segments inside a box, for its training: what learns is what will answer.

The plugin's folder has a module `network` with `make()`, a module `crop` that makes what the network sees of a box, and
the module of its entry with `load(folder)` and `segment(voxels, affine, box, model)`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medview.catalog import manifest
from medview.catalog.manifest_engines import PythonEngine
from medview.core.errors import InputError
from medview.core.text import Text
from medview.inference import python_engine

WEIGHTS = Path("models") / "model.pt"
RECIPE = Path("configs") / "recipe.json"


@dataclass(frozen=True, slots=True)
class BoxedPlugin:
    """A plugin's modules."""

    network: Any
    crop: Any
    entry: Any


@contextmanager
def loaded(folder: Path) -> Iterator[BoxedPlugin]:
    """The plugin in a folder, whose program is run.

    Raises:
        ManifestError: It has no manifest, or a wrong one.
        InputError: When it is none that can be trained.
    """
    engine = manifest.load(folder).engine
    if not isinstance(engine, PythonEngine):
        raise _not_one(folder)
    with python_engine.package_of(folder) as package:
        try:
            modules = [importlib.import_module(f"{package}.{name}") for name in ("network", "crop", engine.module)]
        except ImportError as error:
            raise _not_one(folder) from error
        yield BoxedPlugin(*modules)


def _not_one(folder: Path) -> InputError:
    return InputError(
        Text.of("{folder} is no plugin that segments inside a box.", folder=str(folder)),
        "Choose a folder with the modules network.py and crop.py beside its entry.",
    )
