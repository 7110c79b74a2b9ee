"""The network: a few small residual networks side by side, each with an answer of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

SIDE = 28
CLASSES = ("Normal", "Pneumonia")

_MEMBERS = 2
EVIDENCE_LAYERS = tuple(f"members.{number}.body.5" for number in range(_MEMBERS))
"""The last layers that still tell places apart."""
_WIDTHS = (16, 32, 64)
_DROPOUT = 0.3
_AT_ONCE = 256


class _Block(nn.Module):
    """Two convolutions around which the values also pass unchanged (He et al., CVPR 2016)."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.first_norm = nn.GroupNorm(4, after)
        self.second = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.second_norm = nn.GroupNorm(4, after)
        self.beside = nn.Identity() if before == after and stride == 1 else nn.Conv2d(before, after, 1, stride)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        inner = torch.relu(self.first_norm(self.first(values)))
        return torch.relu(self.second_norm(self.second(inner)) + self.beside(values))


class _Member(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        first, second, third = _WIDTHS
        self.body = nn.Sequential(
            nn.Conv2d(1, first, 5, 1, 2),
            nn.ReLU(),
            _Block(first, second, 2),
            _Block(second, second, 1),
            _Block(second, third, 2),
            _Block(third, third, 1),
        )
        self.dropout = nn.Dropout(_DROPOUT)
        self.head = nn.Linear(third, len(CLASSES))

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = self.body(pictures).mean((2, 3))
        return self.head(self.dropout(features)), features


class Network(nn.Module):
    """All members. Every picture is brought to mean 0 and deviation 1 first: a window of the display is no finding."""

    def __init__(self) -> None:
        super().__init__()
        self.members = nn.ModuleList(_Member() for _ in range(_MEMBERS))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """(n, 1, y, x) float32, 0..1 -> (n, member, class) float32: what each member answers, before the softmax."""
        return torch.stack([member(_standardised(pictures))[0] for member in self.members], 1)

    def answers_and_features(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The mean answer (n, class), and the features of all members side by side, (n, feature)."""
        answers, features = zip(*(member(_standardised(pictures)) for member in self.members), strict=True)
        return torch.stack(answers).mean(0), torch.cat(features, 1)


class Asked(nn.Module):
    """The network as it is asked where it looked: (n, 1, y, x) -> (n, class).

    Args:
        model: The network.
        both_ways: Whether the mirror image counts as well, as it does for the answer; then places in it are mirrored.
    """

    def __init__(self, model: Network, *, both_ways: bool) -> None:
        super().__init__()
        self.model = model
        self._both_ways = both_ways

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """The mean answer of all members, before the softmax."""
        if self._both_ways:
            return _both_ways(self.model, pictures)[0]
        return self.model.answers_and_features(pictures)[0]


def make() -> Network:
    """A network with the weights that it begins with."""
    return Network()


def all_answers(model: Network, pictures: torch.Tensor, times: int = 0) -> torch.Tensor:
    """What every member answers to pictures (n, 1, y, x) and to their mirror images, before the softmax.

    Args:
        model: The network, as it answers in use.
        pictures: 0..1.
        times: How many more times it is asked with dropout left on; the same values are left out whenever it is asked.

    Returns:
        (n, answer, class).
    """

    def asked() -> torch.Tensor:
        return torch.cat([model(pictures), model(pictures.flip(-1))], 1)

    layers = [one for one in model.modules() if isinstance(one, nn.Dropout)]
    with torch.inference_mode(), torch.random.fork_rng([pictures.device] if pictures.is_cuda else []):
        torch.manual_seed(0)
        found = [asked()]
        for one in layers:
            one.train()
        found += [asked() for _ in range(times)]
        for one in layers:
            one.eval()
    return torch.cat(found, 1)


def _both_ways(model: Network, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    answers, features = model.answers_and_features(pictures)
    mirrored, seen = model.answers_and_features(pictures.flip(-1))
    return (answers + mirrored) / 2, (features + seen) / 2


def _standardised(pictures: torch.Tensor) -> torch.Tensor:
    mean = pictures.mean((1, 2, 3), keepdim=True)
    deviation = pictures.std((1, 2, 3), keepdim=True)
    return (pictures - mean) / (deviation + 0.01)


def look(model: Network, pictures: NDArray[np.uint8]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """What the network makes of pictures.

    Args:
        model: The network; it is asked as it answers in use, not as it learns.
        pictures: (n, y, x).

    Returns:
        The answer before the softmax, (n, class), and its features, (n, feature), both the mean over a picture and its
        mirror image; and the pictures themselves, each brought to mean 0 and deviation 1, (n, pixel).
    """
    device = next(model.parameters()).device
    tensor = torch.from_numpy(np.ascontiguousarray(pictures))[:, None].to(device).float() / 255
    model.eval()
    with torch.inference_mode():
        parts = [_both_ways(model, part) for part in torch.split(tensor, _AT_ONCE)]
        answers, features = (torch.cat(list(values)).float().cpu().numpy() for values in zip(*parts, strict=True))
        plain = _standardised(tensor).flatten(1).cpu().numpy()
    return answers, features, plain
