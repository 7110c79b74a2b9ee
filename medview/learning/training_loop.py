"""The loop that every training shares: steps, a running mean of the weights, and a state to go on from.

Stopped at any time, a training goes on where it stopped and ends with the weights of an unbroken run on the same
machine: every random choice follows from the seed and the number of the step.
"""

from __future__ import annotations

import copy
import io
import math
import pickle
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import nn

from medview.core.errors import Cancelled, InputError
from medview.core.files import write_bytes
from medview.core.progress import Progress
from medview.core.text import Text
from medview.learning.optimisation import Optimisation

How = TypeVar("How", bound=Optimisation)


class Training(ABC, Generic[How]):
    """The state of one training: network, running mean of its weights, optimiser and the number of steps done.

    Args:
        network: The network to train, on its device.
        names: Of the cases that it learns from; another training does not go on from this one's state.
        how: The recipe.
        device: Where it runs.
    """

    def __init__(self, network: nn.Module, names: Sequence[str], how: How, device: torch.device) -> None:
        self.step = 0
        self._names = list(names)
        self._how = how
        self._device = device
        self._network = network
        self._mean = copy.deepcopy(self._network).requires_grad_(False)
        self._optimizer = torch.optim.AdamW(
            self._network.parameters(), lr=how.learning_rate, weight_decay=how.weight_decay
        )

    @abstractmethod
    def _batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        """What the network sees in this step, and what it should answer."""

    @abstractmethod
    def _supervise(self, output: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        """The loss of an answer, float32."""

    def advance(self) -> float:
        """Do one step and give its loss.

        Raises:
            InputError: When the training has diverged; what was learned before stays.
        """
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate(self._how, self.step)
        images, wanted = self._batch()
        self._network.train()
        torch.manual_seed(self._how.seed * 1_000_003 + self.step)  # for what the network itself draws, as dropout
        with torch.autocast(self._device.type, torch.bfloat16, enabled=_bfloat16_is_fast(self._device)):
            output = self._network(images)
        loss = self._supervise(output.float(), wanted)
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
            "cases": self._names,
            "network": self._network.state_dict(),
            "mean": self._mean.state_dict(),
            "optimizer": self._optimizer.state_dict(),
        }
        write_bytes(path, serialised(state))

    def restore(self, path: Path) -> None:
        """Go on from what `save` wrote.

        Raises:
            InputError: When it is damaged, or belongs to another recipe or to other cases.
        """
        try:
            state: dict[str, Any] = torch.load(path, map_location=self._device, weights_only=True)
            how, cases = type(self._how).model_validate_json(state["recipe"]), state["cases"]
        except (OSError, RuntimeError, ValueError, KeyError, TypeError, EOFError, pickle.UnpicklingError) as error:
            raise InputError(
                Text.of("{path} is not the state of a training.", path=str(path)), "Choose an empty folder."
            ) from error
        if how != self._how or cases != self._names:
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

    def finish(self, run_folder: Path, progress: Progress, save_every: int) -> Path:
        """Do the steps that are left, from the state in the run folder if there is one.

        Returns:
            The file with the weights, `model.pt` in the run folder: a plain state dict.

        Raises:
            InputError: When the state in the folder is of another training, or this one diverged.
            Cancelled: When it was stopped; what is done is saved.
        """
        state, weights = run_folder / "state.pt", run_folder / "model.pt"
        run_folder.mkdir(parents=True, exist_ok=True)
        if state.is_file():
            self.restore(state)
        try:
            self._steps(state, progress, save_every)
        except Cancelled:
            self.save(state)
            raise
        self.save(state)
        write_bytes(weights, serialised(self.weights()))
        return weights

    def _steps(self, state: Path, progress: Progress, save_every: int) -> None:
        shown = math.nan
        while self.step < self._how.iterations:
            progress.raise_if_cancelled()
            loss = self.advance()
            shown = loss if math.isnan(shown) else 0.98 * shown + 0.02 * loss
            progress.report(
                self.step / self._how.iterations,
                Text.of(
                    "Step {step} of {steps}, loss {loss}",
                    step=self.step,
                    steps=self._how.iterations,
                    loss=f"{shown:.4f}",
                ),
            )
            if self.step % save_every == 0:
                self.save(state)

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the running mean; in the first steps it forgets faster, so that the start leaves no trace."""
        decay = min(self._how.ema_decay, self.step / (self.step + 10))
        for mean, weight in zip(self._mean.parameters(), self._network.parameters(), strict=True):
            mean.lerp_(weight, 1 - decay)
        for kept, value in zip(self._mean.buffers(), self._network.buffers(), strict=True):
            kept.copy_(value)


def learning_rate(how: Optimisation, step: int) -> float:
    """A linear rise over the warm-up, then a half cosine down to the last one."""
    if step < how.warm_up:
        return how.learning_rate * (step + 1) / how.warm_up
    done = (step - how.warm_up) / max(1, how.iterations - how.warm_up)
    last = how.last_learning_rate_share
    return how.learning_rate * (last + (1 - last) * 0.5 * (1 + math.cos(math.pi * done)))


def generator_of(how: Optimisation, step: int) -> torch.Generator:
    """The source of a step's random choices."""
    return torch.Generator().manual_seed(how.seed * 1_000_003 + step)


def serialised(state: dict[str, Any]) -> bytes:
    """What torch would write into a file."""
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
