"""From images as they came to the tensor that an nnU-Net network sees, and the way back.

In nnU-Net's order (nnunetv2/preprocessing/preprocessors/default_preprocessor.py): axes turned, what is zero all around
cut away, intensities normalised, resampled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import torch
from numpy.typing import NDArray

from medview.catalog.nnunet_folder import Configuration, Intensities, Plans
from medview.core.errors import PluginUnavailableError
from medview.core.geometry import Box, Geometry
from medview.core.segmentation import Labels
from medview.core.text import Text
from medview.core.volume import Volume
from medview.inference.grid_map import AxisMap, GridMap
from medview.inference.nnunet_resampling import Size, Spacing, resample, resample_labels, rule_of

_READERS = {"NibabelIOWithReorient": "RAS"}
"""What turns every image the same way; the others leave its axes as the file has them."""
_TOWARDS = {"L": (0, 1), "R": (0, -1), "P": (1, 1), "A": (1, -1), "S": (2, 1), "I": (2, -1)}
"""Patient axis (x, y, z), and whether it grows that way."""
_LEAST_DEVIATION = 1e-8


@dataclass(frozen=True, slots=True)
class Turn:
    """How the axes of the network's image run along those of the image as it came.

    Attributes:
        axes: For each axis of the network, which of (k, j, i).
        flipped: Whether it runs the other way.
    """

    axes: tuple[int, int, int]
    flipped: tuple[bool, bool, bool]

    def apply(self, values: NDArray[np.generic]) -> NDArray[np.generic]:
        """A view of (k, j, i) values along the network's axes."""
        turned = values.transpose(self.axes)
        return turned[tuple(slice(None, None, -1) if flip else slice(None) for flip in self.flipped)]


@dataclass(frozen=True, slots=True)
class Prepared:
    """An image as the network wants it.

    Attributes:
        image: (channel, x, y, z) float32 along the network's axes; with labels of an earlier stage, one channel more.
        grid: The way back to the grid that the image came on.
    """

    image: torch.Tensor
    grid: GridMap


def turn_of(geometry: Geometry, plans: Plans, orientation: str) -> Turn:
    """How an image has to be turned for a model.

    Args:
        geometry: Where its voxels lie.
        plans: Whose axes are wanted.
        orientation: Where the axes (i, j, k) of the training images pointed, as "RAS"; "": what the plans' reader says.
    """
    letters = orientation or _READERS.get(plans.image_reader_writer, "")
    axes, flipped = [0, 1, 2], [False, False, False]
    if letters:
        wanted = [_TOWARDS[letter] for letter in reversed(letters)]
        direction = geometry.direction
        x, y, z = max(permutations(range(3)), key=lambda one: sum(abs(direction[row, one[row]]) for row in range(3)))
        axes = [(x, y, z)[row] for row, _ in wanted]
        flipped = [direction[row, axis] * sign < 0 for (row, sign), axis in zip(wanted, axes, strict=True)]
    a, b, c = plans.transpose_forward
    return Turn((axes[a], axes[b], axes[c]), (bool(flipped[a]), bool(flipped[b]), bool(flipped[c])))


def prepare(
    volumes: Sequence[Volume],
    plans: Plans,
    configuration: Configuration,
    orientation: str,
    stage: Labels | None,
    check: Callable[[], None],
) -> Prepared | None:
    """Do what the plans say before the network runs.

    Args:
        volumes: One for each channel, on the same grid.
        plans: The model's.
        configuration: Which of its ways to run.
        orientation: See `turn_of`.
        stage: (k, j, i) labels of the stage before; None for a model that has none.
        check: Is called between steps, and may raise.

    Returns:
        None for an image that is zero everywhere.

    Raises:
        PluginUnavailableError: The images do not lie on one grid, or the plans ask for what is not known here.
    """
    geometry = volumes[0].geometry
    if not all(one.geometry.same_grid(geometry) for one in volumes):
        raise PluginUnavailableError(
            Text("The images do not lie on one grid."), Text("Choose series of the same slices, or another plugin.")
        )
    turn = turn_of(geometry, plans, orientation)
    images = [turn.apply(one.voxels) for one in volumes]
    any_ = images[0] != 0
    for image in images[1:]:
        any_ |= image != 0
    box = Box.around(any_)
    if box.is_empty:
        return None
    spacing = _three(geometry.spacing_mm[axis] for axis in turn.axes)
    wanted = _three((spacing[0], *configuration.spacing) if configuration.is_flat else configuration.spacing)
    size = _size(round(old / new * n) for old, new, n in zip(spacing, wanted, box.shape, strict=True))
    inside = _filled(any_[box.slices])
    rule = rule_of(configuration.resampling_fn_data, configuration.resampling_fn_data_kwargs, spacing, wanted)
    size = box.shape if rule is None else size
    channels = len(images) + (stage is not None)
    found = torch.empty((channels, *size), dtype=torch.float32)
    for number, image in enumerate(images):
        check()
        values = np.array(image[box.slices], dtype=np.float32, order="C")
        _normalise(values, configuration, number, plans, inside)
        check()
        found[number] = resample(torch.from_numpy(values), size, rule)
    if stage is not None:
        check()
        labels = turn.apply(stage)[box.slices].astype(np.int16)
        labels[(labels == 0) & ~inside] = -1
        kind = rule_of(configuration.resampling_fn_seg, configuration.resampling_fn_seg_kwargs, spacing, wanted)
        found[-1] = torch.from_numpy(resample_labels(labels, size, kind).astype(np.float32))
    name, settings = configuration.resampling_fn_probabilities, configuration.resampling_fn_probabilities_kwargs
    back = rule_of(name, settings, wanted, spacing)
    orders = (1, 1, 1) if back is None else back.orders
    if max(orders) > 1:
        raise PluginUnavailableError(
            Text.of("The model resamples by {name}, which MedView does not know.", name=f"{name}(order={max(orders)})"),
            Text("Tell the plugin's author."),
        )
    a, b, c = (_axis(turn, axis, geometry, box, size[axis], steps=orders[axis] == 0) for axis in range(3))
    return Prepared(found, GridMap((a, b, c)))


def _axis(turn: Turn, axis: int, geometry: Geometry, box: Box, length: int, *, steps: bool) -> AxisMap:
    """Where the voxels of the image as it came lie along one axis of the network's."""
    own = turn.axes[axis]
    whole, start = geometry.shape[own], box.start[axis]
    scale = length / (box.stop[axis] - start)
    first = whole - 1 if turn.flipped[axis] else 0
    offset = (first - start + 0.5) * scale - 0.5
    return AxisMap(2 - own, whole, length, -scale if turn.flipped[axis] else scale, offset, steps)


def _normalise(
    values: NDArray[np.float32], configuration: Configuration, channel: int, plans: Plans, inside: NDArray[np.bool_]
) -> None:
    """Change a channel's values as its scheme says, in place."""
    scheme = configuration.normalization_schemes[channel]
    if scheme == "CTNormalization":
        known = plans.foreground_intensity_properties_per_channel.get(channel, Intensities())
        np.clip(values, known.percentile_00_5, known.percentile_99_5, out=values)
        values -= np.float32(known.mean)
        values /= np.float32(max(known.std, _LEAST_DEVIATION))
    elif scheme == "ZScoreNormalization":
        masked = channel < len(configuration.use_mask_for_norm) and configuration.use_mask_for_norm[channel]
        where = inside if masked and not inside.all() else ...
        chosen = values[where]
        mean, deviation = chosen.mean(dtype=np.float64), chosen.std(dtype=np.float64)
        values[where] = (chosen - np.float32(mean)) / np.float32(max(deviation, _LEAST_DEVIATION))
    elif scheme == "RescaleTo01Normalization":
        values -= values.min()
        values /= max(values.max(), np.float32(_LEAST_DEVIATION))
    elif scheme == "RGBTo01Normalization":
        values /= np.float32(255)
    elif scheme != "NoNormalization":
        raise PluginUnavailableError(
            Text.of("The model normalises by {name}, which MedView does not know.", name=scheme[:100]),
            Text("Tell the plugin's author."),
        )


def _filled(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A mask with the holes in it: (x, y, z)."""
    if mask.all():
        return mask
    import SimpleITK

    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(mask, dtype=np.uint8))
    filled: NDArray[np.bool_] = SimpleITK.GetArrayFromImage(SimpleITK.BinaryFillhole(image, False, 1)).astype(np.bool_)
    return filled


def _three(values: Iterable[float]) -> Spacing:
    x, y, z = (float(value) for value in values)
    return x, y, z


def _size(values: Iterable[int]) -> Size:
    x, y, z = (int(value) for value in values)
    return x, y, z
