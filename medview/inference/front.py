"""The part of a sliding-window result that is still open: what windows to come may change, and one slice more.

Windows come in order along one axis. As soon as none of the coming ones touches a slice any more it is finished; so
only as many slices are held as a window is deep, and one more, whatever the length of the image. Slices lie in a ring:
nothing is moved when the front advances.
"""

from __future__ import annotations

import torch


class Front:
    """Sums of weighted values, (channel, slice, a, b), of the slices that are open.

    Slices are counted along the axis of the front; `a` and `b` are the other two axes of the image, in their order.
    Along these only a part of the image is held: what windows say beyond it is not asked for.

    Args:
        channels: How many values a voxel has.
        depth: How many slices a window has along the front's axis.
        section: How much of a slice is held.
        origin: Where that begins in a slice.
        axis: Of the image, along which the front moves.
        device: Where the sums are kept.
    """

    def __init__(
        self,
        channels: int,
        depth: int,
        section: tuple[int, int],
        axis: int,
        device: torch.device | str = "cpu",
        *,
        origin: tuple[int, int] = (0, 0),
    ) -> None:
        self.axis = axis
        self.origin = origin
        self.slots = depth + 1
        self.values = torch.zeros((channels, self.slots, *section), dtype=torch.float32, device=device)
        self.weights = torch.zeros((self.slots, *section), dtype=torch.float32, device=device)

    def to_processor(self) -> bool:
        """Keep the sums in the machine's memory from now on; False when they are there already."""
        if self.values.device.type == "cpu":
            return False
        self.values, self.weights = self.values.cpu(), self.weights.cpu()
        return True

    def add(self, values: torch.Tensor, weights: torch.Tensor, start: tuple[int, int, int]) -> None:
        """Add the weighted values of a window.

        Args:
            values: (channel, x, y, z), any float type.
            weights: (x, y, z) float32.
            start: Of the window, in the image.
        """
        values = values.to(self.values.device).movedim(self.axis + 1, 1)
        weights = weights.movedim(self.axis, 0)
        first = start[self.axis]
        others = [one for one in range(3) if one != self.axis]
        here, there = [], []
        for one, origin, held, size in zip(others, self.origin, self.weights.shape[1:], weights.shape[1:], strict=True):
            low, high = max(start[one], origin), min(start[one] + size, origin + held)
            if high <= low:
                return
            here.append(slice(low - origin, high - origin))
            there.append(slice(low - start[one], high - start[one]))
        depth, done = len(weights), 0
        while done < depth:
            slot = (first + done) % self.slots
            count = min(depth - done, self.slots - slot)
            into = self.values[(slice(None), slice(slot, slot + count), *here)]
            part = (slice(done, done + count), *there)
            into.addcmul_(values[(slice(None), *part)].to(self.values.dtype), weights[part])
            done += count

    def add_weights(self, weights: torch.Tensor, start: int) -> None:
        """Count the weights of all windows that start at one slice: (slice, a, b) float32, of whole slices."""
        held = [slice(at, at + size) for at, size in zip(self.origin, self.weights.shape[1:], strict=True)]
        for run, slices in self.runs(start, start + len(weights)):
            self.weights[run].add_(weights[(slice(slices.start - start, slices.stop - start), *held)])

    def release(self, start: int, stop: int) -> None:
        """Let slices [start, stop) go; their room is taken by others."""
        for slice_ in range(start, stop):
            self.values[:, slice_ % self.slots].zero_()
            self.weights[slice_ % self.slots].zero_()

    def runs(self, start: int, stop: int) -> list[tuple[slice, slice]]:
        """Slices [start, stop) as they lie in the ring: pieces of it, each with the slices that it holds."""
        found = []
        while start < stop:
            slot = start % self.slots
            count = min(stop - start, self.slots - slot)
            found.append((slice(slot, slot + count), slice(start, start + count)))
            start += count
        return found
