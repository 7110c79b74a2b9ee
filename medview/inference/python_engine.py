"""Runs a plugin that is one Python function `run(case, context)`."""

from __future__ import annotations

import hashlib
import importlib
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from medview.catalog.manifest_engines import PythonEngine
from medview.catalog.plugins import entry_file
from medview.core.errors import Cancelled, MedViewError, PluginUnavailableError
from medview.core.text import Text
from medview.inference.plugin import Case, Context
from medview.inference.source_modules import SourceModules


def run(folder: Path, engine: PythonEngine, case: Case, context: Context) -> Any:
    """Load the plugin's function and call it once.

    The plugin's folder is a package of its own while it runs: its modules find each other by relative imports
    (`from .airways import grow`), no search path changes, two plugins may use the same module names, and the next run
    reads the files afresh.

    Returns:
        What the plugin returned: labels (k, j, i) on the grid of the case's volume, unchecked.

    Raises:
        PluginUnavailableError: The module or the function is missing or cannot be imported.
        Exception: Whatever the plugin raises.
    """
    entry_file(folder, engine)
    with package_of(folder) as package:
        try:
            module = importlib.import_module(f"{package}.{engine.module}")
        except (Cancelled, MedViewError, MemoryError):
            raise
        except (Exception, SystemExit) as error:
            raise PluginUnavailableError(
                Text.of("The plugin's program cannot be loaded: {reason}.", reason=reason_of(error)),
                Text("Tell the plugin's author; the log has the details."),
            ) from error
        function = getattr(module, engine.function, None)
        if not callable(function):
            raise PluginUnavailableError(
                Text.of("The plugin's program has no function {name}.", name=engine.function),
                Text("Tell the plugin's author."),
            )
        return function(case, context)


def reason_of(error: BaseException) -> str:
    """An exception in one short line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200].rstrip('.')}" if lines else type(error).__name__


@contextmanager
def package_of(folder: Path) -> Iterator[str]:
    """Meanwhile the plugin's folder is a package that can be imported from; gives the package's name."""
    name = "_medview_plugin_" + hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    package = types.ModuleType(name)
    package.__path__ = [str(folder)]
    sys.modules[name] = package
    modules = SourceModules(folder, name)
    sys.meta_path.insert(0, modules)
    try:
        yield name
    finally:
        sys.meta_path.remove(modules)
        for module in [one for one in sys.modules if one == name or one.startswith(name + ".")]:
            del sys.modules[module]
