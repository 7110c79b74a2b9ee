"""The training of a classifier of pictures."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from medview.learning.labelled_pictures import LabelledPictures
from medview.learning.picture_recipe import PictureRecipe
from medview.learning.picture_variation import varied
from medview.learning.training_loop import Training, generator_of


class ClassifierTraining(Training[PictureRecipe]):
    """The training of a network that answers (n, member, class) to (n, 1, y, x): every member learns for itself.

    Args:
        network: The network to train.
        known: What it learns from.
        classes: How many classes there are.
        how: The recipe.
        device: Where it runs.
    """

    def __init__(
        self, network: nn.Module, known: LabelledPictures, classes: int, how: PictureRecipe, device: torch.device
    ) -> None:
        super().__init__(network.to(device), [known.sha256], how, device)
        self._pictures = torch.from_numpy(known.pictures)[:, None]
        self._labels = torch.from_numpy(known.labels)
        self._classes = classes
        counts = np.bincount(known.labels, minlength=classes)
        shares = (1 - how.balance) * counts / counts.sum() + how.balance / np.count_nonzero(counts)
        self._chances = torch.from_numpy(shares / np.maximum(counts, 1))[self._labels]

    def _batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        how = self._how
        generator = generator_of(how, self.step)
        chosen = torch.multinomial(self._chances, how.batch_size, replacement=True, generator=generator)
        answers = functional.one_hot(self._labels[chosen], self._classes).float()
        answers = answers * (1 - how.label_smoothing) + how.label_smoothing / self._classes
        pictures, answers = varied(self._pictures[chosen].float() / 255, answers, how.variation, generator)
        return pictures.to(self._device), answers.to(self._device)

    def _supervise(self, output: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        """The mean cross-entropy of all members."""
        return -(wanted[:, None] * output.log_softmax(-1)).sum(-1).mean()
