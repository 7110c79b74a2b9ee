"""Bundles whose network is told what to look for, as VISTA3D is: structures by their numbers, or points on one."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Sequence

import torch
from monai.inferers import Inferer
from monai.transforms.utils import keep_components_with_positive_points
from torch import nn

from medview.core.errors import PluginFailedError
from medview.core.progress import Progress
from medview.core.text import Text

PROMPT = "class_vector"
POINTS = "point_coords"
_SPECIAL = 2
"""VISTA3D: what is added to the sign of points on a structure that its makers call special, as tumours."""
_MOST_BYTES = 2 * 2**30
"""Of the values of all structures that are asked for at once."""


def is_told_classes(inferer: Inferer) -> bool:
    """Whether an inferer wants to be told which structures to look for."""
    return PROMPT in inspect.signature(inferer.__call__).parameters


def is_told_points(inferer: Inferer) -> bool:
    """Whether an inferer can be given points."""
    return POINTS in inspect.signature(inferer.__call__).parameters


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


def at_points(
    inferer: Inferer,
    image: torch.Tensor,
    network: nn.Module,
    points: torch.Tensor,
    positive: torch.Tensor,
    structure: int,
    progress: Progress,
    *,
    device: str,
    special: bool = False,
) -> torch.Tensor:
    """Ask what hangs together with some points, and not with others.

    Args:
        inferer: As for `labels`.
        image: (channel, x, y, z) float32, prepared.
        network: On its device, in evaluation mode.
        points: (point, 3) float, x, y, z in voxels of the image.
        positive: (point,) bool.
        structure: Its number; 0: whatever the points are on.
        progress: Asked before every call of the network whether to go on.
        device: Where the network is.
        special: Whether points on this structure are marked as VISTA3D's makers mark those on tumours and vessels.

    Returns:
        (1, x, y, z) float32: 1 where it is, 0 where it is not or was not looked.

    Raises:
        PluginFailedError: The bundle gives something else than one value for each voxel, or none that is a number.
    """
    signs = positive.long() + (_SPECIAL if special else 0)
    hook = network.register_forward_pre_hook(lambda *_: progress.raise_if_cancelled())
    progress.report(0.0, Text("Running the network"))
    try:
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Setting affine")  # MONAI's own window does so, and means it
            values = inferer(
                inputs=image[None].to(device), network=network, point_coords=points[None].to(device),
                point_labels=signs[None].to(device),
                class_vector=torch.tensor([[structure]], device=device) if structure else None,
            )  # fmt: skip
    finally:
        hook.remove()
    if not isinstance(values, torch.Tensor) or tuple(values.shape[1:]) != (1, *image.shape[1:]):
        raise PluginFailedError(
            Text("The bundle does not give one value for each voxel that it is asked about."),
            Text("Tell the plugin's author."),
        )
    plain = torch.as_tensor(values.detach().float().cpu().numpy())
    if bool(torch.isnan(plain).all()):  # where no window lay there are no numbers; somewhere there must be
        raise PluginFailedError(
            Text("The network gives values that are not numbers."),
            Text("Its weights are damaged, or the image holds such values. Install the plugin again."),
        )
    if not structure:
        plain = keep_components_with_positive_points(plain, points[None], positive.long()[None])
    return (torch.nan_to_num(plain[0]) > 0).float()
