"""The inference configuration of a MONAI bundle, read as data.

A bundle's configuration is a program: values that begin with `$` are Python, and `_target_` may name any function. Of
it MedView takes the four parts that say how to segment, `network_def`, `preprocessing`, `inferer` and
`postprocessing`, and what these refer to; loaders and savers in them are left out, for MedView owns files. Nothing is
run here. Expressions inside the grammar of `expressions` are worked out by MedView itself; a part that needs more of
Python, or a class outside MONAI's networks, transforms and inferers and torch's layers, needs the user's trust.

The syntax is MONAI's (monai.bundle, "MONAI Bundle Configuration"): `@id` refers to an entry, `#` or `::` to what is
inside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medview.catalog import bundle_files, expressions
from medview.core.errors import PluginNotTrustedError, PluginUnavailableError
from medview.core.text import Text

PARTS = ("network_def", "preprocessing", "inferer", "postprocessing")
OWNED_BY_HOST = ("device", "bundle_root", "output_dir", "dataset_dir", "ckpt_dir")
"""Entries whose value MedView decides; what the bundle writes there is not read."""

ALLOWED_MODULES = ("monai.networks.nets", "monai.transforms", "monai.inferers", "torch.nn")
_FILE_WORDS = ("load", "save", "write")
_BARE_LOADERS = ("LoadImage",)
_CLASS_NAME = re.compile(r"^[A-Z][A-Za-z0-9_]*$")
_DEEPEST = 60
_SHOWN = "image"
"""What MONAI's engines call the image that they show to the network."""


@dataclass(frozen=True, slots=True)
class LoaderSettings:
    """What a bundle's loader, which MedView replaces, would have done.

    Attributes:
        key: The name that the transforms know the image by; of several, the first one.
        adds_channel: Whether it puts the channel axis first itself.
        others: The names of further images, where each is loaded by itself.
        is_bare: Whether the transforms hand on the image itself, and not a table with it.
    """

    key: str = "image"
    adds_channel: bool = False
    others: tuple[str, ...] = ()
    is_bare: bool = False

    @property
    def network_key(self) -> str:
        """The name of what the network is shown: images that are loaded each by itself become one on the way."""
        return _SHOWN if self.others else self.key


@dataclass(frozen=True, slots=True)
class BundleConfig:
    """What of a bundle's configuration is used; every value is plain data.

    Attributes:
        entries: The whole configuration, without loaders and savers in the parts used.
        loader: What the loader would have done.
    """

    entries: Mapping[str, Any]
    loader: LoaderSettings


def read(bundle: Path, *, trusted: bool = False, regions: bool = False) -> BundleConfig:
    """Read and check the configuration of a bundle.

    Args:
        bundle: Its folder.
        trusted: Whether the user trusts it: then it may name any class and hold any expression.
        regions: Whether its structures may overlap. Steps of its own that would make one label map of them, behind the
            threshold, are then left out.

    Raises:
        PluginUnavailableError: It is missing, unreadable or incomplete.
        PluginNotTrustedError: It needs the user's trust.
    """
    entries = bundle_files.entries(bundle)
    for part in ("network_def", "preprocessing", "inferer"):
        if part not in entries:
            raise PluginUnavailableError(
                Text.of(
                    "The bundle's configuration {file} has no {key}.",
                    file=bundle_files.config_file(bundle).relative_to(bundle).as_posix(),
                    key=part,
                ),
                Text("It is not a segmentation bundle that MedView can run."),
            )
    used = {key: value for key, value in entries.items() if key not in OWNED_BY_HOST}
    chains: dict[str, Any] = {
        part: _listed(entries, used[part]) for part in ("preprocessing", "postprocessing") if part in used
    }
    loader = _loader({**used, **chains})
    used |= {part: _without_files(steps) for part, steps in chains.items()}
    if regions and "postprocessing" in used:
        used["postprocessing"] = _up_to_threshold(used["postprocessing"])
    config = BundleConfig(used, loader)
    if not trusted:
        for place, value in closure(config):
            _check(place, value)
    return config


def loader_of(bundle: Path) -> LoaderSettings:
    """What a bundle's loader would do.

    Raises:
        PluginUnavailableError: The configuration cannot be read, or has no preprocessing.
    """
    entries = bundle_files.entries(bundle)
    return _loader({**entries, "preprocessing": _listed(entries, entries.get("preprocessing"))})


def steps_of(bundle: Path, part: str) -> tuple[str, ...]:
    """What the transforms of a part are called, each by its last name.

    Raises:
        PluginUnavailableError: The configuration cannot be read.
    """
    entries = bundle_files.entries(bundle)
    steps = _transforms(_listed(entries, entries.get(part)))
    return tuple(str(one.get("_target_")).rpartition(".")[2] for one in steps if isinstance(one, dict))


def has_regions(bundle: Path) -> bool:
    """Whether a bundle decides on each of its structures by itself, so that they may overlap."""
    entries = bundle_files.entries(bundle)
    steps = _transforms(_listed(entries, entries.get("postprocessing")))
    return any(_is_threshold(one) for one in steps)


def closure(config: BundleConfig) -> Iterator[tuple[str, Any]]:
    """Every value that the parts used are made of, with its place, as "preprocessing#transforms#0#keys"."""
    waiting = [part for part in PARTS if part in config.entries]
    seen: set[str] = set()
    while waiting:
        key = waiting.pop()
        if key in seen:
            continue
        seen.add(key)
        for place, value in _walk(key, find(config.entries, key)):
            yield place, value
            waiting += [one for one in _references(value) if one.partition("#")[0] not in OWNED_BY_HOST]


def reference_of(value: Any) -> str | None:
    """The id that a value refers to, with `#` between its parts; None when it is no reference."""
    return value[1:].replace("::", "#") if isinstance(value, str) and value.startswith("@") else None


def find(entries: Mapping[str, Any], id: str) -> Any:
    """What stands at an id such as "preprocessing#transforms#0".

    Raises:
        PluginUnavailableError: Nothing does.
    """
    value: Any = entries
    for part in id.split("#"):
        if isinstance(value, Mapping) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            raise PluginUnavailableError(
                Text.of("The bundle's configuration refers to {key}, which it does not have.", key=f"@{id}"),
                Text("Tell the plugin's author."),
            )
    return value


def needs_trust(place: str, detail: str) -> PluginNotTrustedError:
    """The refusal of a value that could run a program."""
    return PluginNotTrustedError(
        Text.of("The bundle needs trust: {key} runs code ({detail}).", key=place, detail=detail[:80]),
        Text("Trust it if you know who made it, or ask its author for a configuration that is plain data."),
    )


def _references(value: Any) -> tuple[str, ...]:
    """The ids that a value refers to, by itself or in an expression."""
    reference = reference_of(value)
    if reference is not None:
        return (reference,)
    if isinstance(value, str) and value.startswith("$"):
        try:
            return tuple(expressions.parse(value).references.values())
        except expressions.NotPlainError:
            return ()
    return ()


def _listed(entries: Mapping[str, Any], part: Any) -> Any:
    """A chain of transforms with its steps in place, where they are only referred to, or put together from pieces."""
    part = _settled(entries, part)
    if isinstance(part, dict):
        return {**part, "transforms": _settled(entries, part.get("transforms"))}
    return part


def _settled(entries: Mapping[str, Any], value: Any, depth: int = 0) -> Any:
    """What a reference or an expression of plain data comes to; the value itself where it comes to nothing yet."""
    if depth > _DEEPEST or not isinstance(value, str):
        return value
    reference = reference_of(value)
    try:
        if reference is not None:
            return _settled(entries, find(entries, reference), depth + 1)
        if value.startswith("$"):
            found = expressions.parse(value)
            return expressions.evaluate(found, lambda id: _settled(entries, find(entries, id), depth + 1), _unnamed)
    except (expressions.NotPlainError, PluginUnavailableError):
        return value
    return value


def _unnamed(name: str) -> Any:
    raise expressions.NotPlainError(name)


def _transforms(part: Any) -> list[Any]:
    listed = part.get("transforms") if isinstance(part, dict) else part
    return listed if isinstance(listed, list) else []


def _handles_files(transform: Any) -> bool:
    target = transform.get("_target_") if isinstance(transform, dict) else None
    return isinstance(target, str) and any(word in target.rpartition(".")[2].lower() for word in _FILE_WORDS)


def _without_files(part: Any) -> Any:
    kept = [one for one in _transforms(part) if not _handles_files(one)]
    return {**part, "transforms": kept} if isinstance(part, dict) else kept


def _is_threshold(transform: Any) -> bool:
    if not isinstance(transform, dict) or str(transform.get("_target_")).rpartition(".")[2] != "AsDiscreted":
        return False
    return transform.get("threshold") is not None and not transform.get("argmax")


def _up_to_threshold(part: Any) -> Any:
    steps = _transforms(part)
    end = next((number + 1 for number, one in enumerate(steps) if _is_threshold(one)), len(steps))
    return {**part, "transforms": steps[:end]} if isinstance(part, dict) else steps[:end]


def _loader(entries: Mapping[str, Any]) -> LoaderSettings:
    for transform in _transforms(entries["preprocessing"]):
        if _handles_files(transform):
            is_bare = str(transform["_target_"]).rpartition(".")[2] in _BARE_LOADERS
            keys = _settled(entries, transform.get("keys", _SHOWN))
            listed = [str(_settled(entries, one)) for one in keys] if isinstance(keys, list) else [str(keys)]
            first, *others = listed or [_SHOWN]
            return LoaderSettings(first, transform.get("ensure_channel_first") is True, tuple(others), is_bare)
    return LoaderSettings()


def _walk(place: str, value: Any, depth: int = 0) -> Iterator[tuple[str, Any]]:
    if depth > _DEEPEST:
        raise needs_trust(place, "nested too deeply")
    yield place, value
    if isinstance(value, Mapping):
        for key, child in value.items():
            yield from _walk(f"{place}#{key}", child, depth + 1)
    elif isinstance(value, list):
        for number, child in enumerate(value):
            yield from _walk(f"{place}#{number}", child, depth + 1)


def _check(place: str, value: Any) -> None:
    """Refuse what is not plain data or one of the allowed classes."""
    key = place.rpartition("#")[2]
    if isinstance(value, str) and value.startswith("%"):
        raise needs_trust(place, value)
    if isinstance(value, str) and value.startswith("$"):
        try:
            expressions.parse(value)
        except expressions.NotPlainError as error:
            raise needs_trust(place, value) from error
    if key == "_target_" and not (isinstance(value, str) and _is_allowed(value)):
        raise needs_trust(place, str(value))
    if key == "_mode_" and value != "default":
        raise needs_trust(place, str(value))
    if key in ("pretrained", "progress") and value not in (False, None):
        raise needs_trust(place, key)


def _is_allowed(target: str) -> bool:
    name = target.rpartition(".")[2]
    if not _CLASS_NAME.match(name) or any(word in name.lower() for word in _FILE_WORDS):
        return False
    return "." not in target or any(target.startswith(module + ".") for module in ALLOWED_MODULES)
