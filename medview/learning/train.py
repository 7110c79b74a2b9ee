"""Train the network of a segmentation bundle from a folder of images and masks, by the recipe in the bundle.

    python -m medview.learning.train --bundle plugins/mr_hippocampus --data Task04_Hippocampus --run runs/hippocampus

Stopped at any time, the same command goes on where it stopped and ends with the weights of an unbroken run: every
random choice follows from the seed and the number of the step.
"""

from __future__ import annotations

import argparse
import copy
import io
import json
import logging
import math
import sys
from pathlib import Path
from typing import Any

import torch
from monai.bundle.config_parser import ConfigParser
from torch import nn

from medview.core.errors import InputError, MedViewError
from medview.core.progress import PartOf, Progress
from medview.core.text import Text
from medview.learning import augmentation, bundle, recipe, training_data
from medview.learning.atomic import write_atomically
from medview.learning.console import ConsoleProgress
from medview.learning.recipe import Recipe
from medview.learning.training_data import TrainingCase

_log = logging.getLogger(__name__)


class Training:
    """The state of one training: network, running mean of its weights, optimiser and the number of steps done.

    Args:
        network: The network to train; with deep supervision it gives (batch, head, class, x, y, z).
        cases: What it learns from.
        how: The recipe.
        device: Where it runs.
    """

    def __init__(self, network: nn.Module, cases: tuple[TrainingCase, ...], how: Recipe, device: torch.device) -> None:
        self.step = 0
        self._cases = cases
        self._how = how
        self._device = device
        self._network = network.to(device=device, memory_format=torch.channels_last_3d)
        self._mean = copy.deepcopy(self._network).requires_grad_(False)
        self._optimizer = torch.optim.AdamW(
            self._network.parameters(), lr=how.learning_rate, weight_decay=how.weight_decay
        )
        self._loss: nn.Module = ConfigParser({"loss": how.loss}).get_parsed_content("loss")

    def advance(self) -> float:
        """Do one step and give its loss."""
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate(self._how, self.step)
        images, labels = self._batch()
        self._network.train()
        with torch.autocast(self._device.type, torch.bfloat16, enabled=_bfloat16_is_fast(self._device)):
            output = self._network(images)
        loss = self._supervise(output.float(), labels)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self._network.parameters(), self._how.gradient_limit)
        self._optimizer.step()
        self.step += 1
        self._follow()
        return float(loss.detach())

    def weights(self) -> dict[str, torch.Tensor]:
        """The state dict of the running mean, on the CPU, in the usual memory order."""
        # cloned once per tensor: networks may list one tensor under several names, and files keep it once
        clones: dict[int, torch.Tensor] = {}
        state = {}
        for name, value in self._mean.state_dict(keep_vars=True).items():
            if id(value) not in clones:
                clones[id(value)] = value.detach().to("cpu", copy=True).contiguous()
            state[name] = clones[id(value)]
        return state

    def save(self, path: Path) -> None:
        """Write everything that is needed to go on, whole or not at all."""
        state = {
            "step": self.step,
            "recipe": self._how.model_dump_json(),
            "cases": [case.name for case in self._cases],
            "network": self._network.state_dict(),
            "mean": self._mean.state_dict(),
            "optimizer": self._optimizer.state_dict(),
        }
        write_atomically(path, _serialised(state))

    def restore(self, path: Path) -> None:
        """Go on from what `save` wrote.

        Raises:
            InputError: When it belongs to another recipe or to other cases.
        """
        state: dict[str, Any] = torch.load(path, map_location=self._device, weights_only=True)
        if Recipe.model_validate_json(state["recipe"]) != self._how or state["cases"] != [c.name for c in self._cases]:
            raise InputError(
                Text.of("The training in {folder} was started with another recipe or other data.", folder=path.parent),
                "Choose an empty folder to start a new one.",
            )
        self._network.load_state_dict(state["network"])
        self._mean.load_state_dict(state["mean"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]

    def _batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        how = self._how
        generator = torch.Generator().manual_seed(how.seed * 1_000_003 + self.step)
        first = self.step * how.batch_size
        chosen = training_data.order_of_cases(len(self._cases), first, how.batch_size, how.seed)
        patches = [augmentation.patch(self._cases[index], how, generator) for index in chosen]
        images = torch.stack([image for image, _ in patches])
        labels = torch.stack([mask for _, mask in patches])
        return images.to(self._device, memory_format=torch.channels_last_3d), labels.to(self._device)

    def _supervise(self, output: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The loss; with deep supervision every head counts half of the one before it."""
        heads = output.unbind(1) if output.ndim == labels.ndim + 1 else (output,)
        shares = [0.5**place for place in range(len(heads))]
        losses = [share * self._loss(head, labels) for share, head in zip(shares, heads, strict=True)]
        return torch.stack(losses).sum() / sum(shares)

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the running mean; in the first steps it forgets faster, so that the start leaves no trace."""
        decay = min(self._how.ema_decay, self.step / (self.step + 10))
        for mean, value in zip(self._mean.parameters(), self._network.parameters(), strict=True):
            mean.lerp_(value, 1 - decay)
        for mean, value in zip(self._mean.buffers(), self._network.buffers(), strict=True):
            mean.copy_(value)


def learning_rate(how: Recipe, step: int) -> float:
    """A linear rise over the warm-up, then a half cosine down to zero."""
    if step < how.warm_up:
        return how.learning_rate * (step + 1) / how.warm_up
    done = (step - how.warm_up) / max(1, how.iterations - how.warm_up)
    return how.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


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
        InputError: When the bundle, the recipe or the data cannot be used.
        Cancelled: When it was stopped.
    """
    parts = bundle.load(bundle_folder)
    how = how or recipe.read(bundle_folder / "configs" / "recipe.json")
    pairs, _ = training_data.divide(training_data.find_pairs(data_folder, how.split.images_per_patient), how.split)
    label_count = len(parts.label_names)
    cases = training_data.load_cases(pairs, parts.preprocessing, label_count, PartOf(progress, 0.0, 0.02))
    torch.manual_seed(how.seed)
    training = Training(bundle.load(bundle_folder).network, cases, how, torch.device(device))
    state, weights = run_folder / "state.pt", run_folder / "model.pt"
    run_folder.mkdir(parents=True, exist_ok=True)
    if state.is_file():
        training.restore(state)
    _run(training, how, state, PartOf(progress, 0.02, 1.0), save_every)
    write_atomically(weights, _serialised(training.weights()))
    return weights


def _run(training: Training, how: Recipe, state: Path, progress: Progress, save_every: int) -> None:
    shown = math.nan
    try:
        while training.step < how.iterations:
            progress.raise_if_cancelled()
            loss = training.advance()
            shown = loss if math.isnan(shown) else 0.98 * shown + 0.02 * loss
            progress.report(
                training.step / how.iterations,
                Text.of(
                    "Step {step} of {steps}, loss {loss}", step=training.step, steps=how.iterations, loss=f"{shown:.4f}"
                ),
            )
            if training.step % save_every == 0:
                training.save(state)
    finally:
        training.save(state)


def _serialised(state: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def _bfloat16_is_fast(device: torch.device) -> bool:
    if device.type == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported())
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


def main(arguments: list[str] | None = None) -> int:
    """The command; gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m medview.learning.train", description=__doc__.split("\n\n")[0])
    parser.add_argument("--bundle", type=Path, required=True, help="folder of the MONAI bundle")
    parser.add_argument("--data", type=Path, required=True, help="folder with imagesTr and labelsTr")
    parser.add_argument("--run", type=Path, required=True, help="folder for the state of the training")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--threads", type=int, default=0, help="processor threads; 0 leaves it to torch")
    parser.add_argument("--install", action="store_true", help="put the weights into the bundle when done")
    chosen = parser.parse_args(arguments)
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    try:
        weights = train(chosen.bundle, chosen.data, chosen.run, ConsoleProgress(), device=chosen.device)
        if chosen.install:
            write_atomically(chosen.bundle / "models" / "model.pt", weights.read_bytes())
    except MedViewError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps({"weights": str(weights)}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
