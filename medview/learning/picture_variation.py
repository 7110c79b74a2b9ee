"""Varied training pictures: a batch at a time."""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from medview.learning.optimisation import Range
from medview.learning.picture_recipe import PictureVariation


def varied(
    pictures: torch.Tensor, answers: torch.Tensor, how: PictureVariation, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """A batch of pictures, each varied by itself.

    Args:
        pictures: (n, 1, y, x) float32, 0..1.
        answers: (n, class) float32, summing up to 1.
        how: The variations.
        generator: The source of every random choice.

    Returns:
        The varied pictures and, where pictures were mixed, answers.
    """
    pictures = _moved(pictures, how, generator)
    pictures = _coarser(pictures, how, generator)
    pictures = _other_greys(pictures, how, generator)
    pictures = _erased(pictures, how, generator)
    return _mixed(pictures, answers, how, generator)


def _moved(pictures: torch.Tensor, how: PictureVariation, generator: torch.Generator) -> torch.Tensor:
    n = len(pictures)
    happens = _happens(n, how.affine_chance, generator)
    turn, shear = (
        torch.where(happens, _uniform((-math.radians(most), math.radians(most)), n, generator), 0.0)
        for most in (how.rotation_degrees, how.shear_degrees)
    )
    low, high = (math.log(value) for value in how.scale)
    size = torch.where(happens, torch.exp(_uniform((low, high), n, generator)), 1.0)
    mirror = torch.where(_happens(n, how.mirror_chance, generator), -1.0, 1.0)
    # grid coordinates run over -1..1: a share of the width is twice as much there
    shift = torch.where(happens[:, None], (torch.rand(n, 2, generator=generator) * 4 - 2) * how.translation_share, 0.0)
    cosine, sine = torch.cos(turn), torch.sin(turn)
    first = torch.stack([mirror * cosine, -sine + cosine * torch.tan(shear), shift[:, 0] * size], 1)
    second = torch.stack([mirror * sine, cosine + sine * torch.tan(shear), shift[:, 1] * size], 1)
    matrices = torch.stack([first, second], 1) / size[:, None, None]
    grid = functional.affine_grid(matrices, list(pictures.shape), align_corners=False)
    return functional.grid_sample(pictures, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _coarser(pictures: torch.Tensor, how: PictureVariation, generator: torch.Generator) -> torch.Tensor:
    happens = _happens(len(pictures), how.low_resolution_chance, generator)
    share = float(_uniform(how.low_resolution, 1, generator))
    if not bool(happens.any()):
        return pictures
    size = list(pictures.shape[2:])
    small = [max(1, round(length * share)) for length in size]
    coarse = functional.interpolate(pictures, size=small, mode="bilinear", antialias=True)
    coarse = functional.interpolate(coarse, size=size, mode="bilinear")
    return torch.where(happens[:, None, None, None], coarse, pictures)


def _other_greys(pictures: torch.Tensor, how: PictureVariation, generator: torch.Generator) -> torch.Tensor:
    n = len(pictures)
    happens = _happens(n, how.contrast_chance, generator)
    factor = torch.where(happens, _uniform(how.contrast, n, generator), 1.0)[:, None, None, None]
    shift = torch.where(happens, _uniform((-how.brightness, how.brightness), n, generator), 0.0)[:, None, None, None]
    mean = pictures.mean((1, 2, 3), keepdim=True)
    pictures = ((pictures - mean) * factor + mean + shift).clamp(0, 1)
    low, high = (math.log(value) for value in how.gamma)
    bent = torch.exp(_uniform((low, high), n, generator))
    power = torch.where(_happens(n, how.gamma_chance, generator), bent, 1.0)
    pictures = pictures.clamp(min=1e-6) ** power[:, None, None, None]
    sigma = _uniform((0.0, how.noise_sigma), n, generator)
    sigma = torch.where(_happens(n, how.noise_chance, generator), sigma, 0.0)[:, None, None, None]
    return (pictures + torch.randn(pictures.shape, generator=generator) * sigma).clamp(0, 1)


def _erased(pictures: torch.Tensor, how: PictureVariation, generator: torch.Generator) -> torch.Tensor:
    n, _, rows, columns = pictures.shape
    happens = _happens(n, how.erase_chance, generator)
    inside = happens[:, None, None]
    for axis, length in enumerate((rows, columns)):
        size = _uniform(how.erase_share, n, generator)
        start = torch.rand(n, generator=generator) * (1 - size)
        places = (torch.arange(length) + 0.5) / length
        hit = (places >= start[:, None]) & (places < (start + size)[:, None])
        inside = inside & (hit[:, :, None] if axis == 0 else hit[:, None, :])
    return torch.where(inside[:, None], pictures.mean((1, 2, 3), keepdim=True), pictures)


def _mixed(
    pictures: torch.Tensor, answers: torch.Tensor, how: PictureVariation, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    n = len(pictures)
    share = torch.where(_happens(n, how.mix_chance, generator), torch.rand(n, generator=generator) * 0.5, 0.0)
    other = torch.randperm(n, generator=generator)
    part = share[:, None, None, None]
    return pictures * (1 - part) + pictures[other] * part, answers * (1 - share[:, None]) + answers[other] * share[
        :, None
    ]


def _happens(count: int, chance: float, generator: torch.Generator) -> torch.Tensor:
    return torch.rand(count, generator=generator) < chance


def _uniform(limits: Range, count: int, generator: torch.Generator) -> torch.Tensor:
    low, high = limits
    return low + (high - low) * torch.rand(count, generator=generator)
