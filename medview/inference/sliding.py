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
from medview.inference.memory import is_out_of_memory
from medview.inference.windows import Lattice, Size, WindowRules, fill_up, importance

_CERTAIN = 30.0
"""A value that every activation takes to 1, and its negative to 0."""

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
    retreat: Callable[[], bool] = lambda: False,
    lattice: Lattice | None = None,
    layered: bool = False,
) -> None:
    """Run a network in windows over an image.

    Where memory runs out the batch is halved, then the sums go to the machine's memory, then the network retreats; each
    time the run goes on with the window at which it stopped.

    Args:
        image: (channel, x, y, z) float32, as the model wants it.
        network: What gives the values.
        rules: Size, overlap and blending of the windows.
        finished: Called with slices in order, as soon as no window to come touches them; their values may be no
            numbers.
        progress: Told of every batch, and asked before each whether to go on.
        device: Where sums are kept.
        retreat: Takes the network to where there is more memory; False when there is no such place.
        lattice: The windows, where some of them are not run; None: all that the rules say.
        layered: Whether background is what no channel claims, and not what the first one does. What no window covers is
            background.

    Raises:
        PluginFailedError: The network gives something else than values of its windows.
        Cancelled: The progress says so.
        MemoryError: There is not enough memory even for one window on the processor.
    """
    if lattice is None:
        x, y, z = image.shape[1:]
        lattice = Lattice.over((x, y, z), rules)
    run = _Run(fill_up(image, lattice, rules), network, lattice, rules, torch.device(device), retreat)
    base, done = 0, 0
    for start, places in lattice.along(lattice.front_axis):
        if run.front is None:
            base = start  # nothing was run up to here, and what is never handed on is background
        elif start > base:
            _hand_on(run.front, base, start, finished, lattice, layered)
            run.front.release(max(0, base - 1), start - 1)
            base = start
        first = 0
        while first < len(places):
            progress.raise_if_cancelled()
            progress.report(done / lattice.count, Text("Running the network"))
            count = run.take(places[first:])
            first, done = first + count, done + count
        run.count_weights(start, places)
    if run.front is not None:
        _hand_on(run.front, base, lattice.padded[lattice.front_axis], finished, lattice, layered)


def _hand_on(front: Front, start: int, stop: int, finished: Finished, lattice: Lattice, layered: bool) -> None:
    """Hand finished slices on; where windows were left out, what none of the others covers is background."""
    if lattice.skipped:
        for run, _ in front.runs(start, min(stop, start + front.slots)):
            bare = front.weights[run] == 0
            if layered:
                front.values[:, run].masked_fill_(bare, -_CERTAIN)
            else:
                front.values[0, run].masked_fill_(bare, _CERTAIN)
            front.weights[run].masked_fill_(bare, 1.0)
    finished(front, start, stop)


class _Run:
    """One run over an image: what is open of it, and how much is done at once."""

    def __init__(
        self,
        image: torch.Tensor,
        network: Network,
        lattice: Lattice,
        rules: WindowRules,
        device: torch.device,
        retreat: Callable[[], bool],
    ) -> None:
        self.front: Front | None = None
        self._image = image
        self._network = network
        self._lattice = lattice
        self._batch = rules.batch
        self._device = device
        self._retreat = retreat
        self._weights = importance(lattice.roi, rules).to(device)
        self._section_weights: torch.Tensor | None = None

    def take(self, places: tuple[Size, ...]) -> int:
        """Run the first of some windows; says how many they were, 0 when memory ran out and another try is due."""
        batch = places[: self._batch]
        try:
            values = self._values(batch)
            if self.front is None:
                self.front = self._new_front(values.shape[1])
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            if not self._spare():
                raise MemoryError from error
            return 0
        for one, place in zip(values, batch, strict=True):
            self.front.add(one, self._weights, place)
        return len(batch)

    def count_weights(self, start: int, places: tuple[Size, ...]) -> None:
        """Count the weights of the windows that start at a slice: where all are run they are the same at each."""
        if self.front is None or not places:
            return
        lattice, axis = self._lattice, self._lattice.front_axis
        a, b = (one for one in range(3) if one != axis)
        is_whole = len(places) == len(lattice.starts[a]) * len(lattice.starts[b])
        total = self._section_weights if is_whole else None
        if total is None:
            weights = self._weights.movedim(axis, 0).cpu()
            total = torch.zeros((lattice.roi[axis], lattice.padded[a], lattice.padded[b]))
            for place in places:
                first, second = place[a], place[b]
                total[:, first : first + lattice.roi[a], second : second + lattice.roi[b]] += weights
        total = total.to(self.front.weights.device)
        self._section_weights = total if is_whole else self._section_weights
        self.front.add_weights(total, start)

    def _spare(self) -> bool:
        """Make do with less memory; False when there is nothing left to spare."""
        if self._batch > 1:
            self._batch //= 2
        elif self._device.type != "cpu":
            self._device = torch.device("cpu")
            self._weights = self._weights.cpu()
            if self.front is not None:
                self.front.to_processor()
        elif not self._retreat():
            return False
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return True

    def _new_front(self, channels: int) -> Front:
        lattice = self._lattice
        axis = lattice.front_axis
        a, b = (one for one in range(3) if one != axis)
        return Front(
            channels, lattice.roi[axis], (lattice.image[a], lattice.image[b]), axis, self._device,
            origin=(lattice.before[a], lattice.before[b]),
        )  # fmt: skip

    def _values(self, places: tuple[Size, ...]) -> torch.Tensor:
        roi = self._lattice.roi
        cut = [
            self._image[(slice(None), *(slice(at, at + size) for at, size in zip(place, roi, strict=True)))]
            for place in places
        ]
        with torch.inference_mode():
            values = self._network(torch.stack(cut))
        if not isinstance(values, torch.Tensor):
            raise _several_values()
        if values.ndim != 5 or values.shape[0] != len(places) or tuple(values.shape[2:]) != roi:
            raise PluginFailedError(
                Text.of("The network returns {found} for windows of {roi}.", found=tuple(values.shape), roi=roi),
                Text("Tell the plugin's author."),
            )
        # of later windows, who takes the slices looks: there every voxel is looked at once, and not in every window
        if self.front is None:
            _require_numbers(values)
        return values


def whole(
    image: torch.Tensor,
    network: Network,
    rules: WindowRules,
    progress: Progress,
    *,
    device: torch.device | str = "cpu",
    retreat: Callable[[], bool] = lambda: False,
) -> torch.Tensor:
    """All values of an image at once, for models whose next steps ask for them: (channel, x, y, z) float32."""
    x, y, z = image.shape[1:]
    lattice = Lattice.over((x, y, z), rules)
    along = lattice.front_axis
    inner = slice(lattice.before[along], lattice.before[along] + lattice.image[along])
    found: list[torch.Tensor] = []

    def finished(front: Front, start: int, stop: int) -> None:
        if not found:
            size = [lattice.padded[one] if one == along else lattice.image[one] for one in range(3)]
            found.append(torch.empty((front.values.shape[0], *size)))
        into = found[0].movedim(front.axis + 1, 1)
        for run, slices in front.runs(start, stop):
            into[:, slices] = (front.values[:, run] / front.weights[run]).cpu()
            _require_numbers(into[:, slices])

    slide(image, network, rules, finished, progress, device=device, retreat=retreat)
    return found[0].movedim(along + 1, 0)[inner].movedim(0, along + 1)


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


def _require_numbers(values: torch.Tensor) -> None:
    # a sum that is no number has a value in it that is none
    if bool(torch.isnan(values.sum())):
        raise PluginFailedError(
            Text("The network gives values that are not numbers."),
            Text("Its weights are damaged, or the image holds such values. Install the plugin again."),
        )


def _several_values() -> PluginFailedError:
    return PluginFailedError(Text("The network returns more than one value."), Text("Tell the plugin's author."))
