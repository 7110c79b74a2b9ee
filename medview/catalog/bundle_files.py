"""The files of a MONAI bundle, read as data: its configurations (JSON or YAML), its metadata, and its weights.

YAML is read with the safe loader, which makes lists, tables, text and numbers and nothing else. `%file.json#id` stands
for a part of another file of the same bundle; it is put in place here, and never leads out of the bundle.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from medview.catalog.archives import check_name
from medview.catalog.weights import DATA_SUFFIXES
from medview.core.errors import PluginNotTrustedError, PluginUnavailableError
from medview.core.text import Text

CONFIGS = Path("configs")
CONFIG_FILES = tuple(CONFIGS / f"inference.{suffix}" for suffix in ("json", "yaml", "yml"))
METADATA_FILE = CONFIGS / "metadata.json"
WEIGHTS_FILES = (Path("models") / "model.safetensors", Path("models") / "model.pt")
TORCHSCRIPT_FILE = Path("models") / "model.ts"

_LARGEST_BYTES = 8 * 2**20
_MOST_VALUES = 500_000
_DEEPEST = 60


def config_file(bundle: Path) -> Path:
    """The inference configuration of a bundle.

    Raises:
        PluginUnavailableError: There is none.
    """
    for name in CONFIG_FILES:
        if (bundle / name).is_file():
            return bundle / name
    raise PluginUnavailableError(
        Text.of("The bundle has no {file}.", file=CONFIG_FILES[0].as_posix()),
        Text("MedView reads the inference configuration of a MONAI bundle in JSON or YAML."),
    )


def entries(bundle: Path) -> dict[str, Any]:
    """A bundle's inference configuration, with what it takes from other files of the bundle.

    Raises:
        PluginUnavailableError: It is missing or cannot be read.
    """
    path = config_file(bundle)
    data = load(path)
    return {key: _with_macros(value, data, bundle, 0) for key, value in data.items()}


def metadata(bundle: Path) -> dict[str, Any]:
    """What a bundle says of itself; empty when it says nothing that can be read."""
    try:
        return load(bundle / METADATA_FILE)
    except PluginUnavailableError:
        return {}


def load(path: Path) -> dict[str, Any]:
    """A configuration file as plain data.

    Raises:
        PluginUnavailableError: It is missing, too large, or neither JSON nor YAML of plain values.
    """
    yaml = path.suffix in (".yaml", ".yml")
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise ValueError("too large")
        text = path.read_text(encoding="utf-8")
        data = _yaml(text) if yaml else json.loads(text)
        if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
            raise ValueError("not an object")
        _count(data)
    except FileNotFoundError as error:
        raise PluginUnavailableError(
            Text.of("The bundle has no {file}.", file=path.name), Text("Install the plugin again.")
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        template = "{file} cannot be read as YAML." if yaml else "{file} cannot be read as JSON."
        raise PluginUnavailableError(Text.of(template, file=str(path)), Text("Install the plugin again.")) from error
    return data


def weights_file(bundle: Path, named: str = "") -> Path:
    """The file of a bundle's weights: the one that is named, or the usual ones, or the only one there is.

    Raises:
        PluginUnavailableError: There is none, or none of a kind that can be run.
        PluginNotTrustedError: It is a program.
    """
    path = bundle / named if named else usual_weights(bundle)
    if not path.is_file():
        raise PluginUnavailableError(
            Text.of("The bundle's weights {file} are missing.", file=str(path)),
            Text("Install the plugin again, with its weights."),
        )
    if path.suffix not in (*DATA_SUFFIXES, TORCHSCRIPT_FILE.suffix):
        raise PluginUnavailableError(
            Text.of("The weights {file} are of a kind that MedView does not run.", file=path.name),
            Text("Ask its author for a state dict (.pt) or .safetensors."),
        )
    if path.suffix not in DATA_SUFFIXES:
        raise PluginNotTrustedError(
            Text.of("The weights {file} are of a kind that may hold a program.", file=path.name),
            Text("Ask its author for a state dict (.pt) or .safetensors."),
        )
    return path


def usual_weights(bundle: Path) -> Path:
    """Where a bundle's weights are, or should be, when nobody names them; TorchScript where there is nothing else."""
    for name in WEIGHTS_FILES:
        if (bundle / name).is_file():
            return bundle / name
    others = [one for one in sorted((bundle / "models").glob("*")) if one.suffix in DATA_SUFFIXES]
    if len(others) == 1:
        return others[0]
    script = bundle / TORCHSCRIPT_FILE
    return script if script.is_file() else bundle / WEIGHTS_FILES[0]


def _yaml(text: str) -> Any:
    import yaml

    # Aliases let a short text stand for a huge one; no bundle uses them.
    try:
        for token in yaml.scan(text, Loader=yaml.SafeLoader):
            if isinstance(token, yaml.AliasToken):
                raise ValueError("aliases")
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def _count(data: Any) -> None:
    waiting, count = [(data, 0)], 0
    while waiting:
        value, depth = waiting.pop()
        count += 1
        if count > _MOST_VALUES or depth > _DEEPEST:
            raise ValueError("too large")
        if isinstance(value, dict):
            waiting += [(one, depth + 1) for one in value.values()]
        elif isinstance(value, list):
            waiting += [(one, depth + 1) for one in value]


def _with_macros(value: Any, own: Mapping[str, Any], bundle: Path, depth: int) -> Any:
    """A value with every macro in it replaced; one that cannot be is left, and refused where it is needed."""
    if depth > _DEEPEST:
        return value
    if isinstance(value, dict):
        return {key: _with_macros(one, own, bundle, depth + 1) for key, one in value.items()}
    if isinstance(value, list):
        return [_with_macros(one, own, bundle, depth + 1) for one in value]
    if not isinstance(value, str) or not value.startswith("%"):
        return value
    file, _, id = value[1:].replace("::", "#").partition("#")
    if not id and not file.endswith((".json", ".yaml", ".yml")):
        file, id = "", file
    try:
        source = own if not file else load(_inside(bundle, file))
        found: Any = source
        for part in id.split("#") if id else ():
            found = found[int(part)] if isinstance(found, list) else found[part]
    except (PluginUnavailableError, LookupError, TypeError, ValueError):
        return value
    return _with_macros(copy.deepcopy(found), source, bundle, depth + 1)


def _inside(bundle: Path, name: str) -> Path:
    """A file of the bundle, given from its root or from its `configs`.

    Raises:
        ValueError: It lies elsewhere, or is a link that leads elsewhere.
    """
    relative = Path(*check_name(str(PurePosixPath(name))).parts)
    root = bundle.resolve()
    for folder in (bundle, bundle / CONFIGS):
        path = (folder / relative).resolve()
        if path.is_file() and path.is_relative_to(root):
            return path
    raise ValueError(name)
