"""Windows over an image, one batch after the other, with what is finished handed on while the others still run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from monai.inferers import Inferer

from medview.core.errors import PluginFailedError
from medview.core.progress import Progress
from medview.core.text import Text
from medview.inference.front import Front
from medview.inference.windows import Lattice, Size, WindowRules, fill_up, importance

Network = Callable[..., torch.Tensor]
"""Takes (window, channel, x, y, z) float32 and gives as many windows of values, of the same size."""


class Finished(Protocol):
    """Whoever takes finished slices."""

    def __call__(self, front: Front, start: int, stop: int) -> object:
        """Slices [start, stop) of the filled-up image hold their final sums; the one before is still held as well."""


def slide(
    image: torch.Tensor,
    network: Network,
    rules: WindowRules,
    finished: Finished,
    progress: Progress,
    *,
    device: torch.device | str = "cpu",
) -> None:
    """Run a network in windows over an image.

    Args:
        image: (channel, x, y, z) float32, as the model wants it.
        network: What gives the values; on `device`.
        rules: Size, overlap and blending of the windows.
        finished: Called with slices in order, as soon as no window to come touches them.
        progress: Told of every batch, and asked before each whether to go on.
        device: Where the network computes, and sums are kept.

    Raises:
        PluginFailedError: The network gives something else than values of its windows.
        Cancelled: The progress says so.
    """
    x, y, z = image.shape[1:]
    lattice = Lattice.over((x, y, z), rules)
    padded = fill_up(image, lattice, rules)
    weights = importance(lattice.roi, rules).to(device)
    axis = lattice.front_axis
    front: Front | None = None
    base, done = 0, 0
    for start, places in lattice.along(axis):
        if front is not None:
            finished(front, base, start)
            front.release(max(0, base - 1), start - 1)
            base = start
        for first in range(0, len(places), rules.batch):
            batch = places[first : first + rules.batch]
            progress.raise_if_cancelled()
            progress.report(done / lattice.count, Text("Running the network"))
            values = _values(network, padded, batch, lattice.roi, device)
            front = front or _front(values.shape[1], lattice, axis, device)
            for one, place in zip(values, batch, strict=True):
                front.add(one, weights, place)
            done += len(batch)
    assert front is not None
    finished(front, base, lattice.padded[axis])


def whole(
    image: torch.Tensor,
    network: Network,
    rules: WindowRules,
    progress: Progress,
    *,
    device: torch.device | str = "cpu",
) -> torch.Tensor:
    """All values of an image at once, for models whose next steps ask for them: (channel, x, y, z) float32."""
    x, y, z = image.shape[1:]
    lattice = Lattice.over((x, y, z), rules)
    inner = [slice(b, b + n) for b, n in zip(lattice.before, lattice.image, strict=True)]
    found: list[torch.Tensor] = []

    def finished(front: Front, start: int, stop: int) -> None:
        if not found:
            found.append(torch.empty((front.values.shape[0], *lattice.padded)))
        into = found[0].movedim(front.axis + 1, 1)
        for run, slices in front.runs(start, stop):
            into[:, slices] = (front.values[:, run] / front.weights[run]).cpu()

    slide(image, network, rules, finished, progress, device=device)
    return found[0][(slice(None), *inner)]


def by_inferer(
    inferer: Inferer,
    image: torch.Tensor,
    network: Network,
    progress: Progress,
    *,
    device: torch.device | str = "cpu",
) -> torch.Tensor:
    """All values of an image, (channel, x, y, z), by an inferer that cuts no windows that MedView knows."""

    def watched(*inputs: torch.Tensor, **further: torch.Tensor) -> torch.Tensor:
        progress.raise_if_cancelled()
        return network(*inputs, **further)

    progress.report(0.0, Text("Running the network"))
    with torch.inference_mode():
        found = inferer(image[None].to(device), watched)
    if not isinstance(found, torch.Tensor):
        raise _several_values()
    progress.report(1.0, Text("Running the network"))
    return found[0].cpu()


def _several_values() -> PluginFailedError:
    return PluginFailedError(Text("The network returns more than one value."), Text("Tell the plugin's author."))


def _front(channels: int, lattice: Lattice, axis: int, device: torch.device | str) -> Front:
    a, b = (lattice.padded[one] for one in range(3) if one != axis)
    return Front(channels, lattice.roi[axis], (a, b), axis, device)


def _values(
    network: Network, image: torch.Tensor, places: tuple[Size, ...], roi: Size, device: torch.device | str
) -> torch.Tensor:
    cut = [
        image[(slice(None), *(slice(at, at + size) for at, size in zip(place, roi, strict=True)))] for place in places
    ]
    with torch.inference_mode():
        values = network(torch.stack(cut).to(device))
    if not isinstance(values, torch.Tensor):
        raise _several_values()
    if values.ndim != 5 or values.shape[0] != len(places) or tuple(values.shape[2:]) != roi:
        raise PluginFailedError(
            Text.of("The network returns {found} for windows of {roi}.", found=tuple(values.shape), roi=roi),
            Text("Tell the plugin's author."),
        )
    return values
