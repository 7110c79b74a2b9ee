"""From a bundle's network to one label map: its last steps, with the inversion done by the host."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import AsDiscrete, AsDiscreted, Compose, Invertd
from numpy.typing import NDArray

from medview.core.errors import PluginFailedError
from medview.core.text import Text
from medview.core.volume import Volume
from medview.inference import tensors
from medview.inference.bundle_steps import Ending
from medview.inference.labelling import Labelling
from medview.inference.plugin import Context

_PREDICTION = "pred"


@dataclass(frozen=True, slots=True)
class Prepared:
    """An image as a bundle's preprocessing left it, and what the bundle does afterwards.

    Attributes:
        items: What the transforms work on.
        key: The name of the image among them.
        preprocessing: What was done.
        after: What the bundle does with the network's values.
        volume: The image as it came.
        regions: Whether structures may overlap: the answer is then a layer for each, (structure, k, j, i).
        shown: The name of what the network is shown; empty: it is the image.
    """

    items: dict[str, Any]
    key: str
    preprocessing: Compose
    after: tuple[Any, ...]
    volume: Volume
    regions: bool = False
    shown: str = ""

    @property
    def image(self) -> MetaTensor:
        """(channel, x, y, z) with its RAS affine and what was done to it."""
        image = self.items[self.key]
        if not isinstance(image, MetaTensor):
            raise PluginFailedError(
                Text("The bundle's transforms do not end with an image."), Text("Tell the plugin's author.")
            )
        return image

    @property
    def tensor(self) -> torch.Tensor:
        """(channel, x, y, z) float32, nothing but values."""
        found = self.items[self.shown] if self.shown else self.image
        plain = found.as_tensor() if isinstance(found, MetaTensor) else torch.as_tensor(found)
        return plain.to(torch.float32)


def from_labels(prepared: Prepared, ending: Ending, labelling: Labelling, context: Context) -> NDArray[Any]:
    """The labels that were decided window by window, after the bundle's further steps: (k, j, i), or layers."""
    labels = labelling.labels
    layered = ending.decision.threshold is not None
    if not ending.rest:
        if layered and prepared.regions:
            return np.stack([(labels >> channel & 1).astype(np.uint8) for channel in range(labelling.channels)])
        return _exclusive(labels) if layered else labels
    found = torch.from_numpy(labels).permute(2, 1, 0)[None]
    if layered:
        found = torch.cat([(found >> channel) & 1 for channel in range(labelling.channels)])
    elif ending.one_hot:
        found = torch.cat([found == value for value in range(ending.one_hot)])
    affine = prepared.image.affine if not ending.on_source else tensors.ras_affine(prepared.volume.geometry)
    items = dict(prepared.items)
    items[_PREDICTION] = MetaTensor(found.float(), affine=torch.as_tensor(affine))
    for step in ending.rest:
        context.check()
        # Whatever a bundle writes there, what lies between two labels is no label.
        take: Callable[..., Any] = _inversion(prepared, nearest=True) if isinstance(step, Invertd) else step
        items = take(items)
    return _answer(prepared, items[_PREDICTION])


def as_written(prepared: Prepared, values: torch.Tensor, check: Callable[[], None]) -> NDArray[Any]:
    """The bundle's own steps on all values at once: (k, j, i), or layers; of a picture (j, i), or layers.

    The inversion is done where the bundle has one, or else before the values become labels, so that borders stay
    smooth.

    Args:
        prepared: The image.
        values: (channel, x, y, z) or (channel, x, y), the network's.
        check: Asked before every step whether to go on.
    """
    steps = prepared.after
    written = next((one for one in steps if isinstance(one, Invertd)), None)
    place = next((n for n, one in enumerate(steps) if isinstance(one, Invertd | AsDiscreted | AsDiscrete)), len(steps))
    rest = [one for one in steps[place:] if not isinstance(one, Invertd)]
    nearest = written is not None and bool(written.nearest_interp[0])
    ordered: list[Callable[..., Any]] = [*steps[:place], _inversion(prepared, nearest=nearest), *rest]
    items = {**prepared.items, _PREDICTION: MetaTensor(values)}
    for step in ordered:
        check()
        items = step(items)
    return _answer(prepared, items[_PREDICTION])


def carried_back(prepared: Prepared, values: torch.Tensor) -> NDArray[Any]:
    """Values of a prepared image, (x, y, z) or (x, y), on the grid of the image as it came: (k, j, i) or (j, i).

    Raises:
        PluginFailedError: The way back leads to another grid.
    """
    items: dict[Hashable, Any] = {_PREDICTION: MetaTensor(values[None])}
    items.update(prepared.items)
    found = tensors.to_labels(_inversion(prepared, nearest=False)(items)[_PREDICTION][0])
    shape = prepared.volume.geometry.shape
    if found.shape != shape[3 - found.ndim :]:
        raise PluginFailedError(
            Text.of(
                "What the model saw cannot be carried back to the image: it has the shape {found}.", found=found.shape
            ),
            Text("Tell the plugin's author."),
        )
    return found


def _answer(prepared: Prepared, values: torch.Tensor) -> NDArray[Any]:
    if not prepared.regions:
        return tensors.to_labels(_one_label_map(values)[0])
    return np.stack([tensors.to_labels(values[channel]) for channel in range(values.shape[0])])


def _inversion(prepared: Prepared, *, nearest: bool) -> Invertd:
    return Invertd(
        keys=_PREDICTION,
        transform=prepared.preprocessing,
        orig_keys=prepared.key,
        nearest_interp=nearest,
        to_tensor=True,
    )


def _exclusive(bits: NDArray[Any]) -> NDArray[Any]:
    """Layers as bits -> labels 1, 2, ...; one voxel can belong to one structure only."""
    if bool((bits & (bits - (bits > 0)).astype(bits.dtype)).any()):
        raise _overlap()
    found = np.zeros(bits.shape, dtype=np.uint8)
    for channel in range(bits.itemsize * 8 - (bits.dtype.kind == "i")):
        found[(bits >> channel) & 1 == 1] = channel + 1
    return found


def _overlap() -> PluginFailedError:
    return PluginFailedError(
        Text("The bundle's structures overlap, and one label map cannot hold them."),
        Text("Say so in the plugin's manifest: overlap = true for each of its labels."),
    )


def _one_label_map(values: torch.Tensor) -> torch.Tensor:
    """(channel, x, y, z) values or labels -> (1, x, y, z) labels."""
    whole = bool((values == values.round()).all())
    if values.shape[0] == 1:
        if whole:
            return values
        raise PluginFailedError(
            Text("The bundle returns values and does not say from which value on they are a structure."),
            Text("Its author can add AsDiscreted to its postprocessing."),
        )
    covered = values.sum(dim=0, keepdim=True)
    if whole and bool((covered > 1).any()):
        raise _overlap()
    winner = values.argmax(dim=0, keepdim=True)
    if whole and bool((covered == 0).any()):
        return torch.where(covered > 0, winner + 1, 0)
    return winner
