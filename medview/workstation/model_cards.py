"""What a plugin says of itself, kept beside what it found: the answer may outlive the plugin."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from medview.catalog.manifest import PluginManifest
from medview.core.files import write_bytes
from medview.core.segmentation import ModelRef
from medview.core.text import Text

_ENTRIES = ("id", "version", "name", "summary", "task", "license", "intended-use", "trained-on", "score")


def card(manifest: PluginManifest) -> dict[str, Any]:
    """A plugin's model card: what it is for and not for, its licences, what it was trained on, how good it is."""
    told = manifest.model_dump(mode="json", by_alias=True)
    return {**{key: told[key] for key in _ENTRIES}, "finds": list(manifest.names)}


def sentences(manifest: PluginManifest) -> Iterator[Text]:
    """The card in lines, for whoever is about to run the plugin for the first time."""
    use = manifest.intended_use
    yield Text.of("For: {use} ({level})", use=use.text, level=use.level)
    if use.not_for:
        yield Text.of("Not for: {uses}", uses="; ".join(use.not_for))
    if manifest.trained_on:
        yield Text.of("Trained on: {data}", data=manifest.trained_on)
    for one in manifest.score:
        yield Text.of("Measured: {name} {value} ({data})", name=one.name, value=f"{one.value:g}", data=one.data)
    if not manifest.score:
        yield Text("Its authors do not say how good it is.")
    yield Text.of("Licences: {licenses}", licenses=manifest.license.short)


def keep(folder: Path, model: ModelRef, manifest: PluginManifest) -> Path:
    """Keep the card of a model that has answered; where it is kept already nothing is written.

    Args:
        folder: Of all cards that were kept.
        model: The model as results name it.
        manifest: The plugin's, as it ran.

    Returns:
        The file: named after plugin, version and the hash over the plugin's files, which every result names too.

    Raises:
        StorageError: It could not be written.
    """
    name = re.sub(r"[^A-Za-z0-9_.+-]", "_", f"{model.plugin_id}-{model.version}-{model.sha256[:16]}")
    path = folder / f"{name}.json"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, json.dumps({**card(manifest), "sha256": model.sha256}, indent=1, ensure_ascii=False).encode())
    return path
