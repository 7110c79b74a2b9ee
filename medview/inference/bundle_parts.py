"""Builds the objects that a bundle's configuration names, without running what the bundle says.

Only a class of MONAI's networks, transforms and inferers, or a layer of torch, is ever called, and only when it is
what it says: its last name is looked up in the public names of the allowed module, so that a path such as
`monai.transforms.utils.os.system` leads nowhere. Expressions are worked out by `catalog.expressions`. What a trusted
bundle asks for beyond that is built by MONAI's own parser.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from monai.inferers import Inferer
from monai.transforms import Transform
from torch import nn

from medview.catalog import expressions
from medview.catalog.bundle_config import ALLOWED_MODULES, OWNED_BY_HOST, BundleConfig, find, needs_trust, reference_of
from medview.core.errors import PluginUnavailableError
from medview.core.text import Text
from medview.inference.python_engine import reason_of

_KINDS: dict[str, type] = {
    "monai.networks.nets": nn.Module,
    "monai.transforms": Transform,
    "monai.inferers": Inferer,
    "torch.nn": nn.Module,
}
_NO_LONGER_KNOWN = {"SwinUNETR": ("img_size",)}
"""Arguments that older bundles give and MONAI no longer takes; they say nothing that the weights do not."""
_NOT_FOR_THE_CLASS = ("_target_", "_requires_", "_disabled_", "_desc_", "_mode_")


class Building(Protocol):
    """Builds what a configuration names."""

    def build(self, id: str) -> Any:
        """The object or value at an id."""


class Parts:
    """The objects of one bundle; an entry that is referred to twice is one object.

    Args:
        config: What the bundle says, checked.
        device: What `@device` stands for.
    """

    def __init__(self, config: BundleConfig, device: str) -> None:
        self._config = config
        self._device = device
        self._built: dict[str, Any] = {}
        self._being_built: list[str] = []

    def build(self, id: str) -> Any:
        """The object or value at an id.

        Raises:
            PluginUnavailableError: The entry is missing, refers to itself, needs trust, or its class refuses it.
        """
        if id in OWNED_BY_HOST:
            return self._device if id == "device" else ""
        if id in self._being_built:
            raise needs_trust(id, "a reference to itself")
        if id not in self._built:
            self._being_built.append(id)
            self._built[id] = self._value(id, find(self._config.entries, id))
            self._being_built.pop()
        return self._built[id]

    def _value(self, place: str, value: Any) -> Any:
        reference = reference_of(value)
        if reference is not None:
            return self.build(reference)
        if isinstance(value, str) and value.startswith("$"):
            return self._worked_out(place, value)
        if isinstance(value, list):
            return [
                built for n, one in enumerate(value) if (built := self.build_item(f"{place}#{n}", one)) is not _LEFT_OUT
            ]
        if isinstance(value, dict):
            if "_target_" in value:
                return self._object(place, value)
            items = {key: self.build_item(f"{place}#{key}", one) for key, one in value.items()}
            return {key: one for key, one in items.items() if one is not _LEFT_OUT}
        return value

    def build_item(self, place: str, value: Any) -> Any:
        """An item of a list or a table, remembered by its place, so that it is built once."""
        if isinstance(value, dict) and self._value(place, value.get("_disabled_")) in (True, "true", "True"):
            return _LEFT_OUT
        if place not in self._built:
            self._built[place] = self._value(place, value)
        return self._built[place]

    def _worked_out(self, place: str, text: str) -> Any:
        """The value of an expression.

        Raises:
            PluginUnavailableError: It has none, or needs trust.
        """
        try:
            expression = expressions.parse(text)
        except expressions.NotPlainError as error:
            raise needs_trust(place, text) from error
        try:
            return expressions.evaluate(expression, self.build, self._named)
        except expressions.NotPlainError as error:
            raise PluginUnavailableError(
                Text.of("{key} of the bundle cannot be worked out: {reason}.", key=place, reason=text[:80]),
                Text("Tell the plugin's author."),
            ) from error

    def _named(self, name: str) -> Any:
        if name == expressions.DEVICE:
            return torch.device(self._device)
        if name == expressions.HAS_GRAPHICS_CARD:
            return self._device.startswith("cuda")
        return getattr(torch, name.partition(".")[2])

    def _object(self, place: str, value: dict[str, Any]) -> Any:
        factory = _class_of(place, value["_target_"])
        left_out = (*_NOT_FOR_THE_CLASS, *_NO_LONGER_KNOWN.get(value["_target_"].rpartition(".")[2], ()))
        arguments = {key: self.build_item(f"{place}#{key}", one) for key, one in value.items() if key not in left_out}
        try:
            with without_notices():
                return factory(**arguments)
        except Exception as error:
            raise PluginUnavailableError(
                Text.of("{key} of the bundle cannot be made: {reason}.", key=place, reason=reason_of(error)),
                Text("The bundle was made for another version of MONAI, or its configuration is wrong."),
            ) from error


@contextmanager
def without_notices() -> Iterator[None]:
    """Say nothing of what will change in MONAI: the bundle's author may want to know, its user cannot help it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


_LEFT_OUT = object()


def _class_of(place: str, target: str) -> Callable[..., Any]:
    path, _, name = target.rpartition(".")
    for module_name in ALLOWED_MODULES:
        if path and not (path == module_name or path.startswith(module_name + ".")):
            continue
        found = getattr(importlib.import_module(module_name), name, None)
        if isinstance(found, type) and issubclass(found, _KINDS[module_name]):
            return found
    raise needs_trust(f"{place}#_target_", target)
