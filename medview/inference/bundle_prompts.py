"""Bundles whose network is told which structures to look for, as VISTA3D is: all that the manifest names, in turns."""

from __future__ import annotations

import inspect
from collections.abc import Sequence

import torch
from monai.inferers import Inferer
from torch import nn

from medview.core.errors import PluginFailedError
from medview.core.progress import Progress
from medview.core.text import Text

PROMPT = "class_vector"
_MOST_BYTES = 2 * 2**30
"""Of the values of all structures that are asked for at once."""


def is_told_classes(inferer: Inferer) -> bool:
    """Whether an inferer wants to be told which structures to look for."""
    return PROMPT in inspect.signature(inferer.__call__).parameters


def labels(
    inferer: Inferer,
    image: torch.Tensor,
    network: nn.Module,
    wanted: Sequence[int],
    progress: Progress,
    *,
    device: str,
) -> torch.Tensor:
    """Ask for every structure, and give each voxel to the one that is surest of it.

    Args:
        inferer: The bundle's own, `inferer(inputs=, network=, point_coords=, point_labels=, class_vector=)`.
        image: (channel, x, y, z) float32, prepared.
        network: On its device, in evaluation mode.
        wanted: The structures' numbers.
        progress: Told how far it is, and asked before every call of the network whether to go on.
        device: Where the network is.

    Returns:
        (1, x, y, z) float32: a structure's number, or 0 where no value is above 0.

    Raises:
        PluginFailedError: The bundle gives something else than a value for each structure.
    """
    shape = tuple(image.shape[1:])
    at_once = max(1, _MOST_BYTES // (4 * max(1, image[0].numel())))
    best = torch.zeros(shape)
    found = torch.zeros(shape)
    hook = network.register_forward_pre_hook(lambda *_: progress.raise_if_cancelled())
    try:
        for first in range(0, len(wanted), at_once):
            progress.raise_if_cancelled()
            progress.report(first / len(wanted), Text("Running the network"))
            asked = torch.tensor(list(wanted[first : first + at_once]), device=device)
            with torch.inference_mode():
                values = inferer(
                    inputs=image[None].to(device), network=network, point_coords=None, point_labels=None,
                    class_vector=asked[:, None],
                )  # fmt: skip
            if not isinstance(values, torch.Tensor) or tuple(values.shape[1:]) != (len(asked), *shape):
                raise PluginFailedError(
                    Text("The bundle does not give one value for each structure that it is asked for."),
                    Text("Tell the plugin's author."),
                )
            highest, place = values[0].float().cpu().max(0)
            better = highest > best
            best = torch.where(better, highest, best)
            found = torch.where(better, asked.cpu()[place].float(), found)
    finally:
        hook.remove()
    return found[None]
