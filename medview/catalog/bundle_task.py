"""What a MONAI bundle does, as far as its files show: its task, what it looks at, its classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from medview.catalog import bundle_config, bundle_files

Task = Literal["segment", "classify", "detect", "landmark"]

_MOST_CLASSES = 1000
_COLORS = 3


@dataclass(frozen=True, slots=True)
class Looks:
    """What a bundle looks at.

    Attributes:
        dims: 2: pictures, each by itself; 3: volumes; 4: a film, its pictures along the fourth axis.
        color: Whether a picture is red, green and blue.
        names: Of its images, where they are loaded each by itself; empty: it has one, or several in one.
        adds_clicks: Whether it makes channels of its own out of the reader's clicks.
        takes_points: Whether its inferer can be given the reader's clicks as lists.
        sees_mm: How much of the image its network sees at once, along its axes; empty: it does not say.
    """

    dims: Literal[2, 3, 4]
    color: bool
    names: tuple[str, ...]
    adds_clicks: bool
    takes_points: bool = False
    sees_mm: tuple[float, ...] = ()


def task_of(bundle: Path) -> Task:
    """What comes out of a bundle.

    Raises:
        PluginUnavailableError: Its configuration cannot be read.
    """
    if "detector" in bundle_files.entries(bundle):
        return "detect"
    output = _specification(bundle, "outputs")
    if output.get("format") == "points":
        return "landmark"
    shape, channels = output.get("spatial_shape"), output.get("num_channels")
    if output.get("format") == "classes" or (channels is not None and shape == [1, channels]):
        return "classify"
    return "segment"


def looks_of(bundle: Path) -> Looks:
    """What a bundle looks at.

    Raises:
        PluginUnavailableError: Its configuration cannot be read.
    """
    entries = bundle_files.entries(bundle)
    steps = bundle_config.steps_of(bundle, "preprocessing")
    loader = bundle_config.loader_of(bundle)
    inferer = entries.get("inferer")
    by_slices = isinstance(inferer, dict) and str(inferer.get("_target_")).rpartition(".")[2] == "SliceInferer"
    image = _specification(bundle, "inputs")
    shape = image.get("spatial_shape")
    network = entries.get("network_def")
    flat = isinstance(shape, list) and len(shape) == 2
    if not isinstance(shape, list) and isinstance(network, dict):
        flat = network.get("spatial_dims") == 2
    dims: Literal[2, 3, 4] = 2 if flat and not by_slices else 3
    if dims == 2 and loader.is_bare and "Transpose" in steps:
        dims = 4
    color = dims == 2 and image.get("num_channels") == _COLORS
    names = (loader.key, *loader.others) if loader.others else ()
    takes_points = "VistaPreTransformd" in steps
    return Looks(dims, color, names, any("guidance" in one.lower() for one in steps), takes_points, _sees(entries))


def _sees(entries: Mapping[str, Any]) -> tuple[float, ...]:
    """The size of a window in the patient, where a bundle names both its voxels and their spacing."""
    size, spacing = entries.get("patch_size"), entries.get("resample_spacing")
    if not isinstance(size, list) or not isinstance(spacing, list) or len(size) != len(spacing):
        return ()
    if not all(isinstance(one, int | float) and one > 0 for one in (*size, *spacing)):
        return ()
    return tuple(float(count * step) for count, step in zip(size, spacing, strict=True))


def classes_of(bundle: Path, task: Task) -> tuple[str, ...]:
    """The names of what a bundle that does not segment finds, in the order of its values; unknown ones are numbered."""
    said = bundle_files.metadata(bundle)
    output = _specification(bundle, "outputs")
    given = said.get("coordinate_meanings") if task == "landmark" else output.get("channel_def")
    named = numbered(given)
    count = len(named)
    if task == "detect":
        network = bundle_files.entries(bundle).get("network_def")
        found = network.get("num_classes") if isinstance(network, dict) else None
        count = found if isinstance(found, int) and not isinstance(found, bool) else 1
        if count == 1 and len(named) != 1:
            what = said.get("name") or said.get("task")
            return (" ".join(str(what).split())[:200] if isinstance(what, str) and what.strip() else "Finding",)
    shape = output.get("spatial_shape")
    if not count and isinstance(shape, list) and shape and isinstance(shape[-1], int):
        count = shape[-1]
    noun = {"landmark": "Point", "detect": "Finding"}.get(task, "Class")
    return tuple(
        named.get(number) or f"{noun} {number + 1} (name unknown)" for number in range(min(count, _MOST_CLASSES))
    )


def numbered(given: Any) -> dict[int, str]:
    """A table of names by number, as "0": "background"; empty when a number is missing, or it is something else."""
    if not isinstance(given, Mapping):
        return {}
    digits = [str(key) for key in given if str(key).isdigit() and int(str(key)) < _MOST_CLASSES]
    found = {int(key): " ".join(str(given.get(key, "")).split())[:200] for key in digits}
    return found if sorted(found) == list(range(len(found))) else {}


def _specification(bundle: Path, side: str) -> Mapping[str, Any]:
    form = bundle_files.metadata(bundle).get("network_data_format")
    given = form.get(side) if isinstance(form, Mapping) else None
    first = next(iter(given.values()), None) if isinstance(given, Mapping) else None
    return first if isinstance(first, Mapping) else {}
