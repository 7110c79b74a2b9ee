"""The manifest of a MONAI bundle that came without one, made from what the bundle says of itself.

What the bundle does not say is written down as unknown. The bundle's own files stay as they are: the manifest lies
beside its folder.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medview.catalog import bundle_files
from medview.catalog.bundle_config import has_regions
from medview.catalog.bundle_task import Looks, classes_of, looks_of, numbered, task_of
from medview.catalog.terminology import Terminology
from medview.core.errors import PluginUnavailableError
from medview.core.segmentation import Code
from medview.core.text import Text
from medview.core.volume import Modality

UNKNOWN = "unknown"
_LICENSE_FILES = ("LICENSE", "LICENSE.txt", "LICENSE.md", "docs/license.txt", "docs/LICENSE")
_KNOWN_LICENSES = (
    ("Apache License", "Apache-2.0"),
    ("Attribution-NonCommercial-ShareAlike 4.0", "CC-BY-NC-SA-4.0"),
    ("Attribution-NonCommercial 4.0", "CC-BY-NC-4.0"),
    ("Attribution-ShareAlike 4.0", "CC-BY-SA-4.0"),
    ("Attribution 4.0 International", "CC-BY-4.0"),
    ("MIT License", "MIT"),
    ("Permission is hereby granted, free of charge", "MIT"),
    ("Redistribution and use in source and binary forms", "BSD-3-Clause"),
)
_MOST_LABELS = 1000


@dataclass(frozen=True, slots=True)
class _Channel:
    """An output of the network that is a structure: its value in the labels, and its name."""

    value: int
    name: str


def is_bundle(folder: Path) -> bool:
    """Whether a folder is a MONAI bundle that segments: it has an inference configuration and a place for weights."""
    return (folder / "models").is_dir() and any((folder / name).is_file() for name in bundle_files.CONFIG_FILES)


def manifest_text(bundle: Path, id: str, path: str, terms: Terminology) -> str:
    """The text of a `plugin.toml` for a bundle.

    Args:
        bundle: Its folder.
        id: What it shall be called on the command line.
        path: Where the bundle will lie in the plugin's folder.
        terms: The structures that have a code and a colour.

    Raises:
        PluginUnavailableError: It does not say what it segments, or its configuration cannot be read.
    """
    said = bundle_files.metadata(bundle)
    task, looks = task_of(bundle), looks_of(bundle)
    regions = task == "segment" and has_regions(bundle)
    channels = _structures(said, bundle, regions) if task == "segment" else []
    inputs = _inputs(said, looks)
    weights = bundle_files.usual_weights(bundle).relative_to(bundle).as_posix()
    use = _words(said, "intended_use") or "Its authors do not say what it is for."
    name = _words(said, "name") or id.replace("_", " ").replace("-", " ")
    lines = [
        "# Made by MedView from what the bundle says of itself; correct what is unknown.",
        "schema = 1",
        f"id = {toml(id)}",
        f"version = {toml(_version(said))}",
        f"name = {toml(name[:200])}",
        f"task = {toml(task)}",
        f"summary = {toml((_words(said, 'description') or _words(said, 'task') or name)[:1000])}",
        f"license = {{ code = {toml(license_of(bundle))}, weights = {toml(UNKNOWN)}, data = {toml(UNKNOWN)} }}",
        f'intended-use = {{ level = "research", text = {toml(use[:1000])} }}',
        f"trained-on = {toml((_words(said, 'data_source') or UNKNOWN)[:1000])}",
        "",
        "[engine]",
        'kind = "bundle"',
        f"path = {toml(path)}",
        f"weights = {toml(weights)}",
    ]
    for one, modality in inputs:
        lines += ["", "[[input]]", f"name = {toml(one)}", f"modality = {toml(modality)}"]
        lines += [f"dims = {looks.dims}"] if looks.dims != 3 else []
        lines += ["color = true"] if looks.color else []
    for channel in channels:
        lines += ["", "[[label]]", *label_lines(channel.value, channel.name, terms, overlap=regions)]
    for number, one in enumerate(classes_of(bundle, task) if task != "segment" else ()):
        lines += ["", "[[class]]", f"value = {number}", f"name = {toml(one)}"]
    if task == "segment" and looks.dims == 3 and not regions:
        lines += _hints(looks)
    for metric, value in _scores(said):
        lines += ["", "[[score]]", f"name = {toml(metric)}", f"value = {value!r}"]
        lines.append('data = "As the bundle\'s authors state; on which patients is unknown."')
    return "\n".join(lines) + "\n"


def _hints(looks: Looks) -> list[str]:
    """The table that says how a bundle takes hints; empty where it takes none."""
    if not (looks.adds_clicks or looks.takes_points):
        return []
    lines = ["", "[hints]", 'kinds = ["point", "scribble"]']
    lines.append(f"given-as = {toml('channels' if looks.adds_clicks else 'points')}")
    if looks.takes_points and looks.sees_mm:
        lines.append(f"margin-mm = {max(looks.sees_mm) / 2:g}")
    return lines


def id_from(name: str) -> str:
    """A plugin's id made from a name, as of a folder."""
    cleaned = re.sub(r"[^a-z0-9_.-]+", "_", name.lower()).strip("_.-")
    if not cleaned or not cleaned[0].isalpha():
        cleaned = f"bundle_{cleaned}".rstrip("_")
    return cleaned[:100]


def license_of(bundle: Path) -> str:
    """The licence that lies beside a bundle.

    Returns:
        Its SPDX name; the name of its file where the text is none that is known; "unknown" where there is none.
    """
    for name in _LICENSE_FILES:
        try:
            text = (bundle / name).read_text(encoding="utf-8", errors="replace")[:20_000]
        except OSError:
            continue
        flat = " ".join(text.split())
        return next((spdx for words, spdx in _KNOWN_LICENSES if words in flat), f"see {name}")
    return UNKNOWN


def _structures(said: Mapping[str, Any], bundle: Path, regions: bool) -> list[_Channel]:
    outputs = _specifications(said, "outputs")
    named = {} if not outputs else _channel_names(outputs[0][1])
    count = len(named) or _channel_count(outputs, bundle)
    if not 0 < count <= _MOST_LABELS:
        raise PluginUnavailableError(
            Text.of("{file} does not say which structures the bundle finds.", file=str(bundle_files.METADATA_FILE)),
            Text("Write a plugin.toml that names them, and put it beside the bundle."),
        )
    names = {number: named.get(number, f"Structure {number} (name unknown)") for number in range(count)}
    if regions:
        return [_Channel(number + 1, name) for number, name in names.items() if name.lower() != "background"]
    # The largest channel wins, and the first one is what belongs to no structure, whatever it is called.
    return [_Channel(number, name) for number, name in names.items() if number] or [_Channel(1, names[0])]


def _channel_names(output: Mapping[str, Any]) -> dict[int, str]:
    found = numbered(output.get("channel_def"))
    return {key: name or f"Structure {key} (name unknown)" for key, name in found.items()}


def _channel_count(outputs: Sequence[tuple[str, Mapping[str, Any]]], bundle: Path) -> int:
    network = bundle_files.entries(bundle).get("network_def")
    candidates = [outputs[0][1].get("num_channels")] if outputs else []
    if isinstance(network, dict):
        candidates += [network.get("out_channels"), network.get("num_classes")]
    return next((one for one in candidates if isinstance(one, int) and not isinstance(one, bool)), 0)


def _inputs(said: Mapping[str, Any], looks: Looks) -> list[tuple[str, list[str]]]:
    """The inputs' names, and the modalities that each may have: all of them where the bundle does not say."""
    given = _specifications(said, "inputs")
    name, first = given[0] if given else ("image", {})
    modality = _modality(first.get("modality"))
    if looks.names:
        return [(_input_name(one, number), modality) for number, one in enumerate(looks.names)]
    if not given or looks.color or looks.adds_clicks:
        return [(_input_name(name, 0), modality)]
    channels = first.get("num_channels")
    names = _channel_names(first)
    if isinstance(channels, int) and 1 < channels == len(names) <= 16:
        made = [_input_name(names[number], number) for number in range(channels)]
        if len(set(made)) == channels:
            return [(one, modality) for one in made]
    if isinstance(channels, int) and 1 < channels <= 16:
        return [(f"channel_{number + 1}", modality) for number in range(channels)]
    return [(_input_name(name, 0), modality)]


def _input_name(words: str, number: int) -> str:
    cleaned = re.sub(r"[^a-z0-9_]+", "_", words.lower()).strip("_")
    return cleaned if cleaned and cleaned[0].isalpha() else f"channel_{number + 1}"


def _modality(said: Any) -> list[str]:
    spellings = {"MRI": "MR", "PET": "PT", "MAMMOGRAM": "MG"}
    words = [spellings.get(one, one) for one in re.findall(r"[A-Z]+", str(said).upper())]
    known = [one.value for one in Modality if one is not Modality.OTHER and one.value in words]
    return known or [one.value for one in Modality]


def _specifications(said: Mapping[str, Any], side: str) -> list[tuple[str, Mapping[str, Any]]]:
    form = said.get("network_data_format")
    given = form.get(side) if isinstance(form, Mapping) else None
    if not isinstance(given, Mapping):
        return []
    return [(str(name), one) for name, one in given.items() if isinstance(one, Mapping)]


def _scores(said: Mapping[str, Any]) -> list[tuple[str, float]]:
    given = said.get("eval_metrics")
    if not isinstance(given, Mapping):
        return []
    numbers = {key: value for key, value in given.items() if isinstance(value, int | float)}
    return [
        (" ".join(str(key).replace("_", " ").split())[:200], float(value))
        for key, value in numbers.items()
        if not isinstance(value, bool) and float(value) - float(value) == 0
    ]


def label_lines(value: int, name: str, terms: Terminology, *, overlap: bool = False) -> list[str]:
    """The entries of a `[[label]]`, with the code and the colour of a structure that has them."""
    term = terms.find(name)
    color = term.color if term is not None else terms.color(value)
    lines = [f"value = {value}", f"name = {toml(name)}", f"color = {toml('#' + bytes(color).hex())}"]
    if term is not None:
        lines += [f"code = {_code(term.code)}", f"category = {_code(term.category)}"]
        if term.laterality is not None:
            lines.append(f"laterality = {_code(term.laterality)}")
    if overlap:
        lines.append("overlap = true")
    return lines


def _code(code: Code) -> str:
    return toml([code.scheme, code.value, code.meaning])


def _version(said: Mapping[str, Any]) -> str:
    version = str(said.get("version", ""))
    return version if re.fullmatch(r"\d+\.\d+\.\d+([-+.][0-9A-Za-z.+-]+)?", version) else "0.0.0"


def _words(said: Mapping[str, Any], key: str) -> str:
    value = said.get(key)
    return " ".join(value.split()) if isinstance(value, str) else ""


def toml(value: str | list[str]) -> str:
    """Text, or a list of it, as TOML writes it: as JSON does, but for one control character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
