"""Augmented training patches, drawn straight from the whole case with one resampling.

The variations and their order follow nnU-Net (Isensee et al., Nature Methods 2021, supplementary note 4): rotation,
scaling, a smooth elastic field, noise, blur, brightness, contrast, simulated low resolution and gamma.
"""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from medview.learning.optimisation import Range
from medview.learning.recipe import AugmentationRecipe, Recipe
from medview.learning.training_data import TrainingCase


def patch(case: TrainingCase, recipe: Recipe, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw one patch.

    Args:
        case: Where it is drawn from.
        recipe: Size and variations.
        generator: The source of every random choice.

    Returns:
        The image, (channel, x, y, z) float32, zero outside the case; and the labels, (1, x, y, z) int64.
    """
    how = recipe.augmentation
    grid = _centred_grid(recipe.patch_size)
    grid = _elastic(grid, how, generator)
    grid = _affine(grid, how, generator)
    grid = grid + _centre(case, recipe, generator)
    size = torch.tensor(case.image.shape[1:], dtype=torch.float32)
    # grid_sample wants (z, y, x) order and -1..1 between the centres of the first and last voxel
    where = (grid / (size - 1).clamp(min=1) * 2 - 1).flip(-1)[None]
    both = torch.cat([case.image, case.labels])[None]
    drawn = functional.grid_sample(both, where, mode="bilinear", padding_mode="zeros", align_corners=True)[0]
    channels = case.image.shape[0]
    image, soft = drawn[:channels], drawn[channels:]
    background = 1.0 - soft.sum(0, keepdim=True)
    labels = torch.cat([background, soft]).argmax(0, keepdim=True)
    return vary_intensity(image, how, generator), labels


def _centred_grid(size: tuple[int, int, int]) -> torch.Tensor:
    axes = [torch.arange(length, dtype=torch.float32) - (length - 1) / 2 for length in size]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)


def _elastic(grid: torch.Tensor, how: AugmentationRecipe, generator: torch.Generator) -> torch.Tensor:
    if not _happens(how.elastic_chance, generator):
        return grid
    size = grid.shape[:3]
    knots = [max(4, math.ceil(length / how.elastic_spacing_voxels) + 1) for length in size]
    field = torch.randn((1, 3, *knots), generator=generator) * how.elastic_voxels
    smooth = functional.interpolate(field, size=size, mode="trilinear", align_corners=True)
    return grid + smooth[0].movedim(0, -1)


def _affine(grid: torch.Tensor, how: AugmentationRecipe, generator: torch.Generator) -> torch.Tensor:
    matrix = torch.eye(3)
    shift = torch.zeros(3)
    if _happens(how.affine_chance, generator):
        limit = math.radians(how.rotation_degrees)
        for axis in range(3):
            matrix = matrix @ _rotation(axis, _uniform((-limit, limit), generator))
        low, high = (math.log(value) for value in how.scale)
        matrix = matrix / math.exp(_uniform((low, high), generator))
        shift = (torch.rand(3, generator=generator) * 2 - 1) * how.translation_voxels
    if how.mirror_axes and _happens(how.mirror_chance, generator):
        for axis in how.mirror_axes:
            matrix[:, axis] *= -1
    return grid @ matrix.T + shift


def _rotation(axis: int, angle: float) -> torch.Tensor:
    first, second = [other for other in range(3) if other != axis]
    matrix = torch.eye(3)
    matrix[first, first] = matrix[second, second] = math.cos(angle)
    matrix[first, second] = -math.sin(angle)
    matrix[second, first] = math.sin(angle)
    return matrix


def _centre(case: TrainingCase, recipe: Recipe, generator: torch.Generator) -> torch.Tensor:
    size = torch.tensor(case.image.shape[1:], dtype=torch.float32)
    half = torch.tensor(recipe.patch_size, dtype=torch.float32) / 2
    low = torch.minimum(half, size / 2) - 0.5
    high = torch.maximum(size - half, size / 2) - 0.5
    if _happens(recipe.foreground_share, generator):
        places = case.labels.sum(0).nonzero()
        if len(places):
            chosen = places[int(torch.randint(len(places), (1,), generator=generator))].float()
            return torch.minimum(torch.maximum(chosen, low), high)
    return low + torch.rand(3, generator=generator) * (high - low)


def vary_intensity(image: torch.Tensor, how: AugmentationRecipe, generator: torch.Generator) -> torch.Tensor:
    """The image, (channel, x, y, z) float32, with its intensities varied; labels do not change with it."""
    if _happens(how.noise_chance, generator):
        sigma = _uniform((0.0, how.noise_sigma), generator)
        image = image + torch.randn(image.shape, generator=generator) * sigma
    if _happens(how.blur_chance, generator):
        image = _blur(image, _uniform(how.blur_sigma, generator))
    if _happens(how.brightness_chance, generator):
        image = image * _uniform(how.brightness, generator)
    if _happens(how.contrast_chance, generator):
        low, high, mean = image.min(), image.max(), image.mean()
        image = ((image - mean) * _uniform(how.contrast, generator) + mean).clamp(low, high)
    if _happens(how.low_resolution_chance, generator):
        image = _low_resolution(image, _uniform(how.low_resolution, generator))
    if _happens(how.inverted_gamma_chance, generator):
        image = -_gamma(-image, how.gamma, generator)
    if _happens(how.gamma_chance, generator):
        image = _gamma(image, how.gamma, generator)
    return image


def _blur(image: torch.Tensor, sigma: float) -> torch.Tensor:
    reach = max(1, math.ceil(3 * sigma))
    weights = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2)
    weights = (weights / weights.sum()).to(image.dtype)
    blurred = image[:, None]
    for axis in range(3):
        shape = [1, 1, 1, 1, 1]
        shape[2 + axis] = len(weights)
        padding = [0] * 6
        padding[2 * (2 - axis)] = padding[2 * (2 - axis) + 1] = reach
        blurred = functional.conv3d(functional.pad(blurred, padding, mode="replicate"), weights.reshape(shape))
    return blurred[:, 0]


def _low_resolution(image: torch.Tensor, zoom: float) -> torch.Tensor:
    size = image.shape[1:]
    small = [max(1, round(length * zoom)) for length in size]
    coarse = functional.interpolate(image[None], size=small, mode="nearest-exact")
    return functional.interpolate(coarse, size=size, mode="trilinear", align_corners=False)[0]


def _gamma(image: torch.Tensor, limits: Range, generator: torch.Generator) -> torch.Tensor:
    """Gamma on the range of the image; its mean and deviation stay."""
    mean, deviation, low = image.mean(), image.std(), image.min()
    extent = (image.max() - low).clamp(min=1e-7)
    curved = ((image - low) / extent) ** _uniform(limits, generator)
    return (curved - curved.mean()) / curved.std().clamp(min=1e-7) * deviation + mean


def _happens(chance: float, generator: torch.Generator) -> bool:
    return chance > 0 and float(torch.rand(1, generator=generator)) < chance


def _uniform(limits: Range, generator: torch.Generator) -> float:
    low, high = limits
    return low + (high - low) * float(torch.rand(1, generator=generator))
