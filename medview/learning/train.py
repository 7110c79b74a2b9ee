"""Train the network of a segmentation bundle from a folder of images and masks, by the recipe in the bundle.

    python -m medview.learning.train --bundle plugins/mr_hippocampus --data Task04_Hippocampus --run runs/hippocampus

Stopped at any time, the same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch
from monai import losses
from torch import nn

from medview.core.errors import InputError
from medview.core.files import write_bytes
from medview.core.progress import PartOf, Progress
from medview.core.text import Text
from medview.inference import device as devices
from medview.learning import augmentation, bundle, console, recipe, training_data
from medview.learning.recipe import Recipe
from medview.learning.training_data import TrainingCase
from medview.learning.training_loop import Training, generator_of


class SegmentationTraining(Training[Recipe]):
    """The training of a segmentation network.

    Args:
        network: The network to train; with deep supervision it gives (batch, head, class, x, y, z).
        cases: What it learns from.
        how: The recipe.
        device: Where it runs.
    """

    def __init__(self, network: nn.Module, cases: tuple[TrainingCase, ...], how: Recipe, device: torch.device) -> None:
        quick = nn.utils.convert_conv3d_weight_memory_format(network.to(device), torch.channels_last_3d)
        super().__init__(quick, [case.name for case in cases], how, device)
        self._cases = cases
        self._loss = _loss(how)

    def _batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        how = self._how
        generator = generator_of(how, self.step)
        first = self.step * how.batch_size
        chosen = training_data.order_of_cases(len(self._cases), first, how.batch_size, how.seed)
        patches = [augmentation.patch(self._cases[index], how, generator) for index in chosen]
        images = torch.stack([image for image, _ in patches])
        labels = torch.stack([mask for _, mask in patches])
        return images.to(self._device, memory_format=torch.channels_last_3d), labels.to(self._device)

    def _supervise(self, output: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        """The loss; with deep supervision every head counts half of the one before it."""
        heads = output.unbind(1) if output.ndim == wanted.ndim + 1 else (output,)
        shares = [0.5**place for place in range(len(heads))]
        losses = [share * self._loss(head, wanted) for share, head in zip(shares, heads, strict=True)]
        return torch.stack(losses).sum() / sum(shares)


def train(
    bundle_folder: Path,
    data_folder: Path,
    run_folder: Path,
    progress: Progress,
    *,
    how: Recipe | None = None,
    device: str = "cpu",
    save_every: int = 250,
) -> Path:
    """Train the network of a bundle on the patients that are not held out.

    Args:
        bundle_folder: The bundle; it is not changed.
        data_folder: Images in `imagesTr`, masks in `labelsTr`.
        run_folder: Where the state is kept; a training that it holds is carried on.
        progress: Told of every step, and asked for cancellation; what is done is saved before it stops.
        how: Another recipe than the bundle's own.
        device: "cpu" or "cuda".
        save_every: Steps between two savings.

    Returns:
        The file with the weights, `model.pt` in the run folder: a plain state dict.

    Raises:
        MedViewError: When the bundle, the recipe, the data or the device cannot be used.
        Cancelled: When it was stopped.
    """
    parts = bundle.load(bundle_folder)
    how = how or recipe.read(bundle_folder / bundle.RECIPE)
    pairs, _ = training_data.divide(training_data.find_pairs(data_folder, how.split.images_per_patient), how.split)
    if not pairs:
        raise InputError("Every patient of this folder is held out.", "Train on more patients, or hold out fewer.")
    cases = training_data.load_cases(pairs, parts, PartOf(progress, 0.0, 0.02))
    torch.manual_seed(how.seed)
    training = SegmentationTraining(parts.new_network(), cases, how, torch.device(device))
    return training.finish(run_folder, PartOf(progress, 0.02, 1.0), save_every)


def _loss(how: Recipe) -> nn.Module:
    arguments = {key: value for key, value in how.loss.items() if key != "_target_"}
    kind = getattr(losses, str(how.loss.get("_target_")), None)
    if not (isinstance(kind, type) and issubclass(kind, nn.Module)):
        raise InputError(
            Text.of("MONAI has no loss {name}.", name=str(how.loss.get("_target_"))), "Choose one of monai.losses."
        )
    try:
        return kind(**arguments)
    except (TypeError, ValueError) as error:
        raise InputError(
            Text.of("The loss {name} does not take these arguments.", name=kind.__name__), "Correct the recipe."
        ) from error


def main(arguments: list[str] | None = None) -> int:
    """The command; gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m medview.learning.train", description=__doc__.split("\n\n")[0])
    parser.add_argument("--bundle", type=Path, required=True, help="folder of the MONAI bundle")
    parser.add_argument("--data", type=Path, required=True, help="folder with imagesTr and labelsTr")
    parser.add_argument("--run", type=Path, required=True, help="folder for the state of the training")
    parser.add_argument("--device", default="cpu", choices=devices.CHOICES)
    parser.add_argument("--threads", type=int, default=0, help="processor threads; 0 leaves it to torch")
    parser.add_argument("--install", action="store_true", help="put the weights into the bundle when done")
    chosen = parser.parse_args(arguments)
    if chosen.threads:
        torch.set_num_threads(chosen.threads)

    def work(progress: Progress) -> str:
        weights = train(chosen.bundle, chosen.data, chosen.run, progress, device=devices.choose(chosen.device))
        if chosen.install:
            write_bytes(chosen.bundle / bundle.WEIGHTS, weights.read_bytes())
        return json.dumps({"weights": str(weights)})

    return console.answered(work, stopped=console.STOPPED)


if __name__ == "__main__":
    sys.exit(main())
