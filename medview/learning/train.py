"""Train the network of a segmentation bundle from a folder of images and masks, by the recipe in the bundle.

    python -m medview.learning.train --bundle plugins/mr_hippocampus --data Task04_Hippocampus --run runs/hippocampus

Stopped at any time, the same command goes on where it stopped and ends with the weights of an unbroken run on the same
machine: every random choice follows from the seed and the number of the step.
"""

from __future__ import annotations

import argparse
import copy
import io
import json
import math
import pickle
import sys
from pathlib import Path
from typing import Any

import torch
from monai import losses
from torch import nn

from medview.core.errors import Cancelled, InputError, MedViewError
from medview.core.files import write_bytes
from medview.core.progress import PartOf, Progress
from medview.core.text import Text
from medview.inference import device as devices
from medview.learning import augmentation, bundle, recipe, training_data
from medview.learning.console import ConsoleProgress
from medview.learning.recipe import Recipe
from medview.learning.training_data import TrainingCase


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
        self._network = nn.utils.convert_conv3d_weight_memory_format(network.to(device), torch.channels_last_3d)
        self._mean = copy.deepcopy(self._network).requires_grad_(False)
        self._optimizer = torch.optim.AdamW(
            self._network.parameters(), lr=how.learning_rate, weight_decay=how.weight_decay
        )
        self._loss = _loss(how)

    def advance(self) -> float:
        """Do one step and give its loss.

        Raises:
            InputError: When the training has diverged; what was learned before stays.
        """
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate(self._how, self.step)
        images, labels = self._batch()
        self._network.train()
        with torch.autocast(self._device.type, torch.bfloat16, enabled=_bfloat16_is_fast(self._device)):
            output = self._network(images)
        loss = self._supervise(output.float(), labels)
        if not bool(torch.isfinite(loss)):
            raise InputError(
                Text.of("The training broke down in step {step}: its loss is not a number.", step=self.step + 1),
                "Start anew with a lower learning rate.",
            )
        self._optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
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
        write_bytes(path, _serialised(state))

    def restore(self, path: Path) -> None:
        """Go on from what `save` wrote.

        Raises:
            InputError: When it is damaged, or belongs to another recipe or to other cases.
        """
        try:
            state: dict[str, Any] = torch.load(path, map_location=self._device, weights_only=True)
            how, cases = Recipe.model_validate_json(state["recipe"]), state["cases"]
        except (OSError, RuntimeError, ValueError, KeyError, TypeError, EOFError, pickle.UnpicklingError) as error:
            raise InputError(
                Text.of("{path} is not the state of a training.", path=str(path)), "Choose an empty folder."
            ) from error
        if how != self._how or cases != [case.name for case in self._cases]:
            raise InputError(
                Text.of(
                    "The training in {folder} was started with another recipe or other data.", folder=str(path.parent)
                ),
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
        for mean, weight in zip(self._mean.parameters(), self._network.parameters(), strict=True):
            mean.lerp_(weight, 1 - decay)
        for kept, value in zip(self._mean.buffers(), self._network.buffers(), strict=True):
            kept.copy_(value)


def learning_rate(how: Recipe, step: int) -> float:
    """A linear rise over the warm-up, then a half cosine down to the last one."""
    if step < how.warm_up:
        return how.learning_rate * (step + 1) / how.warm_up
    done = (step - how.warm_up) / max(1, how.iterations - how.warm_up)
    last = how.last_learning_rate_share
    return how.learning_rate * (last + (1 - last) * 0.5 * (1 + math.cos(math.pi * done)))


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
    training = Training(parts.new_network(), cases, how, torch.device(device))
    state, weights = run_folder / "state.pt", run_folder / "model.pt"
    run_folder.mkdir(parents=True, exist_ok=True)
    if state.is_file():
        training.restore(state)
    _run(training, how, state, PartOf(progress, 0.02, 1.0), save_every)
    write_bytes(weights, _serialised(training.weights()))
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
    except Cancelled:
        training.save(state)
        raise
    training.save(state)


def _serialised(state: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def _bfloat16_is_fast(device: torch.device) -> bool:
    """Whether the device has instructions for it; emulated, it would be slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    ask = getattr(torch.cpu, "get_capabilities", None)  # not in every version of torch
    found = ask() if ask is not None else {}
    return device.type == "cpu" and any(bool(found.get(name)) for name in ("avx512_bf16", "amx_bf16"))


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
    progress = ConsoleProgress()
    try:
        with progress.stopped_by_signals():
            weights = train(chosen.bundle, chosen.data, chosen.run, progress, device=devices.choose(chosen.device))
        if chosen.install:
            write_bytes(chosen.bundle / bundle.WEIGHTS, weights.read_bytes())
    except MedViewError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except Cancelled:
        sys.stderr.write("Stopped; the same command goes on from here.\n")
        return 130
    sys.stdout.write(json.dumps({"weights": str(weights)}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
