"""The manifest of an nnU-Net model folder that came without one, made from what its files say."""

from __future__ import annotations

import re
from pathlib import Path

from medview.catalog import nnunet_folder
from medview.catalog.bundle_manifest import UNKNOWN, label_lines, toml
from medview.catalog.nnunet_folder import Dataset
from medview.catalog.terminology import Terminology
from medview.core.volume import Modality

_MARKS = ("plans.json", "dataset.json")
_SPELLINGS = {"CT": Modality.CT, "MR": Modality.MR, "MRI": Modality.MR, "PET": Modality.PT, "PT": Modality.PT}
_OF_MR = ("t1", "t2", "flair", "adc", "dwi")


def is_model_folder(folder: Path) -> bool:
    """Whether a folder is a trained model of nnU-Net v2: its plans, its dataset, and at least one fold."""
    return all((folder / name).is_file() for name in _MARKS) and any(folder.glob("fold_*"))


def name_of(model: Path) -> str:
    """What the model's training images are called; empty when nothing says so.

    Raises:
        PluginUnavailableError: It is no model folder, or damaged.
    """
    return nnunet_folder.read(model).plans.dataset_name


def manifest_text(model: Path, id: str, path: str, terms: Terminology) -> str:
    """The text of a `plugin.toml` for a model folder.

    Args:
        model: The folder.
        id: What it shall be called on the command line.
        path: Where the model will lie in the plugin's folder.
        terms: The structures that have a code and a colour.

    Raises:
        PluginUnavailableError: It is none, or damaged.
    """
    read = nnunet_folder.read(model)
    name = id.replace("_", " ").replace("-", " ")
    lines = [
        "# Made by MedView from what the model's files say; correct what is unknown.",
        "schema = 1",
        f"id = {toml(id)}",
        'version = "0.0.0"',
        f"name = {toml(name[:200])}",
        'task = "segment"',
        f"summary = {toml(f'nnU-Net model {model.name}')}",
        f"license = {{ code = {toml(UNKNOWN)}, weights = {toml(UNKNOWN)}, data = {toml(UNKNOWN)} }}",
        'intended-use = { level = "research", text = "Its authors do not say what it is for." }',
        f"trained-on = {toml(UNKNOWN)}",
        "",
        "[engine]",
        'kind = "nnunet"',
        f"path = {toml(path)}",
    ]
    for number in sorted(read.dataset.channel_names):
        channel = read.dataset.channel_names[number]
        lines += ["", "[[input]]", f"name = {toml(_input_name(channel, number, read.dataset))}"]
        lines.append(f"modality = {toml(_modality(channel))}")
    for value, structure in structures(read.dataset):
        lines += ["", "[[label]]", *label_lines(value, structure, terms)]
    return "\n".join(lines) + "\n"


def structures(dataset: Dataset) -> list[tuple[int, str]]:
    """The labels that the model writes, each with its name; of a region, what its labels are called together."""
    if not dataset.has_regions:
        named = {value: name for name, value in dataset.labels.items() if isinstance(value, int)}
        return [(value, named.get(value) or f"Structure {value} (name unknown)") for value in dataset.written]
    regions = [name for name, value in dataset.labels.items() if name != "ignore" and value != 0 and value != (0,)]
    return sorted(zip(dataset.written, regions, strict=True))


def _input_name(channel: str, number: int, dataset: Dataset) -> str:
    made = [re.sub(r"[^a-z0-9_]+", "_", one.lower()).strip("_") for _, one in sorted(dataset.channel_names.items())]
    name = made[number] if number < len(made) else ""
    return name if name and name[0].isalpha() and made.count(name) == 1 else f"channel_{number + 1}"


def _modality(channel: str) -> list[str]:
    words = re.findall(r"[A-Z]+", channel.upper())
    known = [_SPELLINGS[one].value for one in words if one in _SPELLINGS]
    if not known and any(one in channel.lower() for one in _OF_MR):
        known = [Modality.MR.value]
    return known or [one.value for one in Modality]
