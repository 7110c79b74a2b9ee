"""Asks a classifier's network where it looked, by MONAI's Grad-CAM, Grad-CAM++ and occlusion sensitivity.

The values are those of the image that the network is shown; who calls carries them back to the image that they came of.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from monai.visualize import GradCAM, GradCAMpp, OcclusionSensitivity
from monai.visualize.visualizer import default_upsampler
from numpy.typing import NDArray
from torch import nn
from torch.nn.modules.conv import _ConvNd

from medview.core.errors import Cancelled, MedViewError, PluginFailedError, PluginUnavailableError
from medview.core.evidence import EvidenceMethod, cover_of, placements
from medview.core.progress import Progress
from medview.core.text import Text

Activate = Callable[[torch.Tensor], torch.Tensor]
"""What makes probabilities, (n, class), of a network's values, (n, class)."""

_MOST_VOXELS_AT_ONCE = 2**22
_MOST_AT_ONCE = 16
_OVERLAP = 0.5
_LEAST_FALL = 0.001
"""A probability that falls by less has not been changed by what was covered."""


@dataclass(frozen=True, slots=True, eq=False)
class Explained:
    """Where a network looked.

    Attributes:
        values: As the image that it was shown without batch and channel, (x, y) or (x, y, z): float32, 0..1, where 1 is
            what mattered most; all 0 where nothing did.
        note: What else there is to say.
    """

    values: NDArray[np.float32]
    note: Text | None = None

    @property
    def tensor(self) -> torch.Tensor:
        """The values, for transforms."""
        return torch.from_numpy(self.values)


def explain(
    network: nn.Module,
    shown: torch.Tensor,
    value: int,
    method: EvidenceMethod,
    *,
    activate: Activate,
    progress: Progress,
    layers: Sequence[str] = (),
    call: Callable[[torch.Tensor, nn.Module], Any] | None = None,
) -> Explained:
    """Ask a network where it looked.

    Args:
        network: In evaluation mode; gives (1, class), or what can be flattened to that, for what it is shown.
        shown: (1, channel, x, y) or (1, channel, x, y, z) float32, on the network's device.
        value: The class, by its place among the network's values.
        method: How.
        activate: What makes probabilities of the values.
        progress: Told of every call; asked before every layer whether to go on.
        layers: For Grad-CAM, the names of the layers that are looked at, and added up; empty: the last convolution.
        call: How the network is called, as inferers are; None: directly.

    Raises:
        PluginUnavailableError: The network has no convolution, or not this layer.
        PluginFailedError: It gives no number for the class, or its gradient cannot be had.
        Cancelled: The user has cancelled.
    """
    flat = _Flat(network, call).eval()
    with _watched(flat, progress):
        if method is EvidenceMethod.OCCLUSION:
            return _covered(flat, shown, value, activate, progress)
        progress.report(0.0, Text("Looking for what spoke for the class"))
        return _weighted(flat, shown, value, method, layers)


class _Flat(nn.Module):
    """A network whose values are (n, class), whatever further axes of length 1 they have."""

    def __init__(self, inner: nn.Module, call: Callable[[torch.Tensor, nn.Module], Any] | None) -> None:
        super().__init__()
        self.inner = inner
        self._call = call

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        values = self.inner(images) if self._call is None else self._call(images, self.inner)
        if not isinstance(values, torch.Tensor):
            raise PluginFailedError(Text("The network returns more than one value."), Text("Tell the plugin's author."))
        return values.reshape(len(images), -1)


def _weighted(
    network: _Flat, shown: torch.Tensor, value: int, method: EvidenceMethod, layers: Sequence[str]
) -> Explained:
    known = {name for name, _ in network.named_modules()}
    names = [f"inner.{one}" for one in layers] or [_last_convolution(network, shown)]
    missing = next((one.removeprefix("inner.") for one in names if one not in known), None)
    if missing is not None:
        raise PluginUnavailableError(
            Text.of("The network has no layer {name}.", name=missing),
            Text("Let the plugin's author correct evidence-layer in plugin.toml, or choose occlusion."),
        )
    for weight in network.parameters():
        weight.requires_grad_(False)  # what the values depend on is asked, not how to change them
    for module in network.modules():
        if getattr(module, "inplace", False) is True:
            module.inplace = False  # type: ignore[assignment]  # what is changed in place has no gradient
    kind = GradCAM if method is EvidenceMethod.GRAD_CAM else GradCAMpp
    found = np.zeros(tuple(shown.shape[2:]), dtype=np.float32)
    try:
        for name in names:
            asked = kind(network, name, upsampler=default_upsampler, postprocessing=_as_it_is)
            seen = asked(shown.detach().clone().requires_grad_(True), class_idx=value)
            found += seen.detach().float().cpu().numpy()[0, 0]
    except (MedViewError, Cancelled, torch.OutOfMemoryError, MemoryError):
        raise
    except (RuntimeError, IndexError, KeyError, AttributeError) as error:
        raise PluginFailedError(
            Text("The network does not tell how its values depend on its layers."),
            Text("Choose occlusion: it asks the network again with parts of the image covered."),
        ) from error
    return _scaled(found, Text("No part of the image spoke for this class."))


def _as_it_is(values: torch.Tensor) -> torch.Tensor:
    return values


def _last_convolution(network: nn.Module, shown: torch.Tensor) -> str:
    """The convolution that is called last of those that still tell places apart."""
    called: list[str] = []

    def note(name: str) -> Callable[..., None]:
        def seen(_module: nn.Module, _given: Any, values: torch.Tensor) -> None:
            if values[0, 0].numel() > 1:
                called.append(name)

        return seen

    convolutions = [(name, one) for name, one in network.named_modules() if isinstance(one, _ConvNd)]
    hooks = [one.register_forward_hook(note(name)) for name, one in convolutions]
    try:
        with torch.no_grad():
            network(shown)
    finally:
        for hook in hooks:
            hook.remove()
    if not called:
        raise PluginUnavailableError(
            Text("Grad-CAM looks at a network's last convolution, and this network has none that can be looked at."),
            Text("Choose occlusion: it asks the network again with parts of the image covered."),
        )
    return called[-1]


def _covered(network: _Flat, shown: torch.Tensor, value: int, activate: Activate, progress: Progress) -> Explained:
    shape = tuple(shown.shape[2:])
    total, done = placements(shape), 0

    def told(_module: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        nonlocal done
        progress.report(
            min(1.0, done / total),
            Text.of("Covering part {number} of {count}", number=min(done + 1, total), count=total),
        )
        done += len(given[0])

    with torch.inference_mode():
        before = activate(network(shown))
        if before.shape[1] <= value:
            raise PluginFailedError(
                Text.of("It gives {found} values for its classes.", found=before.shape[1]),
                Text("Tell the plugin's author."),
            )
        hook = network.register_forward_pre_hook(told)
        try:
            asked = OcclusionSensitivity(
                network, cover_of(shape), max(1, min(_MOST_AT_ONCE, _MOST_VOXELS_AT_ONCE // shown.numel())),
                verbose=False, mode="mean_img", overlap=_OVERLAP, activate=activate,
            )  # fmt: skip
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Using a non-tuple sequence", UserWarning)  # it is MONAI that does
                after, _ = asked(shown)
        finally:
            hook.remove()
    first = float(before[0, value])
    fall = (first - torch.as_tensor(after)[0, value].float()).cpu().numpy()
    lowest = first - float(fall.max())
    note = Text.of(
        "Where it matters most, covering lowers the probability from {before} % to {after} %.",
        before=f"{100 * first:.1f}", after=f"{100 * lowest:.1f}",
    )  # fmt: skip
    if fall.max() < _LEAST_FALL:
        fall = np.zeros_like(fall) if np.isfinite(fall).all() else fall
        note = Text("Whatever part is covered, the probability stays as it is.")
    return _scaled(fall, note, note)


def _scaled(found: NDArray[np.float32], nothing: Text, something: Text | None = None) -> Explained:
    if not np.isfinite(found).all():
        raise PluginFailedError(
            Text("The evidence holds values that are not numbers."),
            Text("Nothing was changed. Tell the plugin's author."),
        )
    found = np.maximum(found, 0)
    most = float(found.max())
    return Explained(found / most, something) if most > 0 else Explained(found, nothing)


@contextmanager
def _watched(network: nn.Module, progress: Progress) -> Iterator[None]:
    """Meanwhile no layer begins without asking whether to go on."""

    def ask(_module: nn.Module, _given: Any) -> None:
        progress.raise_if_cancelled()

    hooks = []
    for module in network.modules():
        if not isinstance(module, torch.jit.ScriptModule):
            hooks.append(module.register_forward_pre_hook(ask))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
