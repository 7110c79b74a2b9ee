"""Labels decided slab by slab are those of MONAI's own chain: sliding window, activation, inversion, decision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.inferers import SimpleInferer, SliceInferer, SlidingWindowInferer
from monai.transforms import (
    Activationsd,
    AsDiscreted,
    Compose,
    CropForegroundd,
    DivisiblePadd,
    EnsureChannelFirstd,
    Invertd,
    NormalizeIntensityd,
    Orientationd,
    Resized,
    RotateD,
    Spacingd,
    SpatialPadd,
)
from torch import nn

from medview.core.errors import PluginFailedError
from medview.core.progress import NoProgress
from medview.inference import sliding
from medview.inference.bundle_steps import ending_of, rules_of, way_back
from medview.inference.front import Front
from medview.inference.labelling import Activation, Decision, Labelling
from medview.inference.resampling import prepare
from medview.inference.windows import Lattice, WindowRules

Affine = np.ndarray
RAS = Orientationd("image", axcodes="RAS", labels=(("L", "R"), ("P", "A"), ("I", "S")))


def spacing(*steps: float) -> Spacingd:
    return Spacingd("image", pixdim=steps, mode="bilinear")


def straight() -> Affine:
    return np.array([[-0.7, 0, 0, 10], [0, 0.8, 0, 5], [0, 0, 2.5, -3], [0, 0, 0, 1]])


def oblique() -> Affine:
    c, s = np.cos(0.2), np.sin(0.2)
    found = np.eye(4)
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    found[:3, :3] = turn @ np.array([[0, 0, 2.0], [0.8, 0, 0], [0, -0.9, 0]])
    found[:3, 3] = (3, -7, 11)
    return found


def network(channels: int, dimensions: int = 3) -> nn.Module:
    """Sees around corners, so that windows that overlap disagree."""
    torch.manual_seed(channels)
    kind: type[nn.Module] = nn.Conv3d if dimensions == 3 else nn.Conv2d
    made = nn.Sequential(kind(1, 6, 5, padding=2), nn.Tanh(), kind(6, channels, 3, padding=1)).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(4)
    return made


def picture(shape: tuple[int, int, int], affine: Affine) -> MetaTensor:
    generator = torch.Generator().manual_seed(sum(shape))
    coarse = torch.randn((1, 1, 9, 8, 7), generator=generator)
    values = nn.functional.interpolate(coarse, size=shape, mode="trilinear")[0, 0]
    meta: dict[str, Any] = {
        "original_channel_dim": float("nan"),
        "original_affine": torch.from_numpy(affine),
        "spatial_shape": np.array(shape),
        "space": "RAS",
    }
    return MetaTensor(values, affine=torch.from_numpy(affine), meta=meta)


def both(
    before: Sequence[Callable[..., Any]],
    after: Sequence[Callable[..., Any]],
    inferer: Any,
    made: nn.Module,
    *,
    shape: tuple[int, int, int] = (50, 42, 34),
    affine: Affine | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """(x, y, z) labels by MONAI alone, and by the engine; with a threshold, bits of the channels."""
    affine = straight() if affine is None else affine
    chain = Compose([EnsureChannelFirstd("image"), *before])
    data = chain({"image": picture(shape, affine)})
    image = data["image"]
    assert isinstance(image, MetaTensor)
    with torch.no_grad():
        values = inferer(image.as_tensor()[None], made)[0]
    steps = [*after]
    for number, step in enumerate(steps):
        if isinstance(step, Invertd):
            steps[number] = Invertd("pred", transform=chain, orig_keys="image", nearest_interp=step.nearest_interp[0])
    meant: Any = {**data, "pred": MetaTensor(values)}
    for step in steps:
        meant = step(meant)
    wanted = meant["pred"].as_tensor().int()
    if wanted.shape[0] > 1:
        wanted = torch.stack([layer << channel for channel, layer in enumerate(wanted)]).sum(0, keepdim=True)

    known = rules_of(inferer)
    assert known is not None
    rules, axis = known
    ending, back = ending_of(steps), way_back(image, affine, shape)
    assert ending is not None
    assert back is not None
    grid, padding = back
    x, y, z = image.shape[1:]
    filled = Lattice.over((x, y, z), rules).before
    labelling = Labelling(
        grid, (padding[0] + filled[0], padding[1] + filled[1], padding[2] + filled[2]), ending.decision
    )

    def call(windows: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = made(windows) if axis is None else made(windows.squeeze(axis + 2)).unsqueeze(axis + 2)
        return found

    sliding.slide(image.as_tensor(), call, rules, labelling.take, NoProgress())
    return wanted[0], torch.from_numpy(labelling.labels).permute(2, 1, 0).int()


SOFTMAX = Activationsd("pred", softmax=True)
SIGMOID = Activationsd("pred", sigmoid=True)
ARGMAX = AsDiscreted("pred", argmax=True)
SMOOTH = Invertd("pred", transform=Compose([]), orig_keys="image", nearest_interp=False)
NEAREST = Invertd("pred", transform=Compose([]), orig_keys="image", nearest_interp=True)

CASES: dict[str, tuple[list[Any], list[Any], Any, int]] = {
    "finer": ([RAS, spacing(1, 1, 1)], [SOFTMAX, SMOOTH, ARGMAX], SlidingWindowInferer((32,) * 3, 4, 0.25), 4),
    "coarser": (
        [RAS, spacing(1.5, 1.5, 2)],
        [SOFTMAX, SMOOTH, ARGMAX],
        SlidingWindowInferer((24, 20, 16), 3, 0.5, "gaussian"),
        4,
    ),
    "many windows over each other": (
        [RAS, spacing(1, 1, 1)],
        [SOFTMAX, SMOOTH, ARGMAX],
        SlidingWindowInferer((32,) * 3, 1, (0.625, 0.5, 0.25), "gaussian"),
        3,
    ),
    "values without an activation": ([RAS, spacing(2, 2, 2)], [SMOOTH, ARGMAX], SlidingWindowInferer((16,) * 3, 4), 5),
    "one structure by a threshold": (
        [RAS, spacing(1, 1, 1)],
        [SIGMOID, SMOOTH, AsDiscreted("pred", threshold=0.5)],
        SlidingWindowInferer((32,) * 3, 4, 0.25, "gaussian"),
        1,
    ),
    "structures that overlap": (
        [RAS, spacing(1, 1, 1)],
        [SIGMOID, SMOOTH, AsDiscreted("pred", threshold=0.3)],
        SlidingWindowInferer((32,) * 3, 4, 0.5, "gaussian"),
        3,
    ),
    "more layers than a byte has bits": (
        [RAS, spacing(2, 2, 2)],
        [SIGMOID, SMOOTH, AsDiscreted("pred", threshold=0.5)],
        SlidingWindowInferer((16,) * 3, 4),
        11,
    ),
    "turned and mirrored only": ([RAS], [SOFTMAX, SMOOTH, ARGMAX], SlidingWindowInferer((32,) * 3, 4, 0.25), 4),
    "from the nearest voxel": (
        [RAS, spacing(1.5, 1.5, 1.7)],
        [SOFTMAX, NEAREST, ARGMAX],
        SlidingWindowInferer((24,) * 3, 4),
        4,
    ),
    "windows larger than the image": (
        [RAS, spacing(1.5, 1.5, 2)],
        [SOFTMAX, SMOOTH, ARGMAX],
        SlidingWindowInferer((70, 20, 70), 4, 0.25, "gaussian"),
        4,
    ),
    "windows filled up by repetition": (
        [RAS, spacing(1.5, 1.5, 2)],
        [SOFTMAX, SMOOTH, ARGMAX],
        SlidingWindowInferer((32, 28, 56), 4, 0.25, padding_mode="replicate"),
        4,
    ),
    "to a fixed size": ([RAS, Resized("image", (48, 40, 56), mode="trilinear")], [SOFTMAX, SMOOTH, ARGMAX],
                        SimpleInferer(), 4),
    "cut to what is bright": (
        [RAS, CropForegroundd("image", "image", select_fn=lambda x: x > 0.8, margin=2), spacing(1.5, 1.5, 2)],
        [SOFTMAX, SMOOTH, ARGMAX],
        SlidingWindowInferer((24,) * 3, 4, 0.25, "gaussian"),
        4,
    ),
    "filled up by the bundle": (
        [RAS, spacing(1.5, 1.5, 2), SpatialPadd("image", (48, 70, 40)), NormalizeIntensityd("image"),
         DivisiblePadd("image", 16)],
        [SOFTMAX, SMOOTH, ARGMAX],
        SlidingWindowInferer((32,) * 3, 4, 0.25, "gaussian"),
        4,
    ),
    "slice by slice": ([RAS], [SOFTMAX, SMOOTH, ARGMAX], SliceInferer(2, (32, 32), 4, 0.25), 4),
}  # fmt: skip


@pytest.mark.parametrize("affine", [straight, oblique])
@pytest.mark.parametrize("name", CASES)
def test_labels_are_those_of_monai(name: str, affine: Callable[[], Affine]) -> None:
    before, after, inferer, channels = CASES[name]
    made = network(channels, 2 if isinstance(inferer, SliceInferer) else 3)
    wanted, found = both(before, after, inferer, made, affine=affine())
    assert len(np.unique(wanted)) > 1
    assert int((wanted != found).sum()) <= 1e-5 * wanted.numel()


@pytest.mark.parametrize("shape", [(60, 50, 1), (1, 40, 30), (3, 2, 2)])
def test_thin_images(shape: tuple[int, int, int]) -> None:
    before, after, inferer, channels = [RAS], [SOFTMAX, SMOOTH, ARGMAX], SlidingWindowInferer((32, 32, 1), 4), 4
    wanted, found = both(before, after, inferer, network(channels), shape=shape)
    assert torch.equal(wanted, found)


def test_whole_values_are_those_of_monai() -> None:
    made = network(3)
    image = picture((40, 30, 50), straight()).as_tensor()[None]
    inferer = SlidingWindowInferer((24, 40, 16), 2, 0.5, "gaussian")
    known = rules_of(inferer)
    assert known is not None
    with torch.no_grad():
        wanted = inferer(image[None], made)[0]
    found = sliding.whole(image, made, known[0], NoProgress())
    assert torch.allclose(found, wanted, atol=1e-5)


def test_slabs_come_in_order_and_each_slice_of_the_image_once() -> None:
    image = picture((90, 20, 20), straight()).as_tensor()[None]
    rules = WindowRules((16, 16, 16), overlap=(0.5, 0.5, 0.5))
    slabs: list[tuple[int, int]] = []
    sliding.slide(image, network(2), rules, lambda _, start, stop: slabs.append((start, stop)), NoProgress())
    assert len(slabs) > 8
    assert slabs[0][0] == 0
    assert slabs[-1][1] == 90
    assert all(first[1] == second[0] for first, second in pairwise(slabs))


def test_what_is_held_does_not_grow_with_the_image() -> None:
    held = []
    for length in (64, 256):
        image = torch.zeros((1, length, 20, 20))
        largest = 0

        def look(front: Front, start: int, stop: int) -> None:
            nonlocal largest
            largest = max(largest, front.values.numel())

        sliding.slide(image, network(3), WindowRules((16, 16, 16)), look, NoProgress())
        held.append(largest)
    assert held[0] == held[1] == 3 * 17 * 20 * 20


def test_values_that_are_not_numbers_are_refused() -> None:
    image = picture((40, 20, 20), straight()).as_tensor()[None]
    back = way_back(MetaTensor(image, affine=torch.from_numpy(straight())), straight(), (40, 20, 20))
    assert back is not None
    labelling = Labelling(back[0], back[1], Decision(Activation.SOFTMAX))

    def broken(windows: torch.Tensor) -> torch.Tensor:
        values = torch.zeros((len(windows), 2, 16, 16, 16))
        values[:, 1, 3, 3, 3] = torch.nan
        return values

    with pytest.raises(PluginFailedError, match="not numbers"):
        sliding.slide(image, broken, WindowRules((16, 16, 16)), labelling.take, NoProgress())


def test_windows_of_another_size_are_refused() -> None:
    with pytest.raises(PluginFailedError, match="returns"):
        sliding.slide(
            torch.zeros((1, 20, 20, 20)), lambda windows: windows[..., :8], WindowRules((16, 16, 16)),
            lambda *_: None, NoProgress(),
        )  # fmt: skip


def test_a_turned_grid_has_no_way_back_axis_by_axis() -> None:
    chain = Compose([EnsureChannelFirstd("image"), RotateD("image", angle=0.3)])
    image = chain({"image": picture((30, 30, 20), straight())})["image"]
    assert isinstance(image, MetaTensor)
    assert way_back(image, straight(), (30, 30, 20)) is None


@pytest.mark.parametrize(
    "steps",
    [
        [Activationsd("pred", other=torch.relu), ARGMAX],
        [SOFTMAX, SMOOTH, AsDiscreted("pred", rounding="torchrounding")],
        [SOFTMAX, SMOOTH, AsDiscreted("pred", argmax=True, threshold=0.5)],
        [SOFTMAX, SMOOTH, ARGMAX, NEAREST],
        [NormalizeIntensityd("pred")],
    ],
)
def test_endings_that_the_engine_does_not_know(steps: list[Any]) -> None:
    assert ending_of(steps) is None


def test_labels_decided_before_the_inversion_stay_on_the_models_grid() -> None:
    ending = ending_of([SOFTMAX, ARGMAX, NEAREST])
    assert ending is not None
    assert not ending.on_source
    assert ending.rest == (NEAREST,)


class Scarce:
    """A network on a machine with little memory: it fails for more windows at once than there is room for."""

    def __init__(self, made: nn.Module, room: int, fails_at: int = 0) -> None:
        self.made, self.room, self.fails_at = made, room, fails_at
        self.done = 0

    def __call__(self, windows: torch.Tensor) -> torch.Tensor:
        if len(windows) > self.room or (self.fails_at and self.done >= self.fails_at):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        self.done += len(windows)
        found: torch.Tensor = self.made(windows)
        return found

    def retreat(self) -> bool:
        there_is_room, self.room, self.fails_at = self.fails_at > 0, 99, 0
        return there_is_room


@pytest.mark.parametrize("room", [1, 3])
def test_where_memory_is_scarce_the_answer_is_the_same(room: int) -> None:
    image = picture((60, 30, 30), straight()).as_tensor()[None]
    rules = WindowRules((16, 16, 16), overlap=(0.5, 0.5, 0.5), batch=8)
    made = network(3)
    scarce = Scarce(made, room)
    found = sliding.whole(image, scarce, rules, NoProgress())
    assert torch.allclose(found, sliding.whole(image, made, rules, NoProgress()), atol=1e-5)
    assert scarce.done == Lattice.over((60, 30, 30), rules).count


def test_a_network_that_retreats_goes_on_where_it_stopped() -> None:
    image = picture((60, 30, 30), straight()).as_tensor()[None]
    rules = WindowRules((16, 16, 16), overlap=(0.5, 0.5, 0.5), batch=2)
    made = network(3)
    scarce = Scarce(made, 2, fails_at=20)
    found = sliding.whole(image, scarce, rules, NoProgress(), retreat=scarce.retreat)
    assert torch.allclose(found, sliding.whole(image, made, rules, NoProgress()), atol=1e-5)
    assert scarce.done == Lattice.over((60, 30, 30), rules).count


def test_where_nothing_is_left_to_spare_memory_is_what_is_missing() -> None:
    scarce = Scarce(network(2), 0)
    with pytest.raises(MemoryError):
        sliding.slide(torch.zeros((1, 20, 20, 20)), scarce, WindowRules((16,) * 3), lambda *_: None, NoProgress())


def test_other_errors_of_a_network_are_its_own() -> None:
    def broken(windows: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1"):
        sliding.slide(torch.zeros((1, 20, 20, 20)), broken, WindowRules((16,) * 3), lambda *_: None, NoProgress())


@pytest.mark.parametrize("affine", [straight, oblique])
def test_resampling_axis_by_axis_is_monais_resampling(affine: Callable[[], Affine]) -> None:
    chain = Compose([EnsureChannelFirstd("image"), RAS, spacing(1.5, 1.1, 2.0), NormalizeIntensityd("image")])
    wanted = chain({"image": picture((50, 42, 34), affine())})["image"]
    found = prepare(chain, {"image": picture((50, 42, 34), affine())}, "image")["image"]
    assert isinstance(wanted, MetaTensor)
    assert isinstance(found, MetaTensor)
    assert torch.allclose(wanted.as_tensor(), found.as_tensor(), atol=1e-5)
    assert torch.equal(wanted.affine, found.affine)
    back = [chain.inverse({"image": one})["image"] for one in (wanted, found)]
    assert torch.allclose(back[0], back[1], atol=1e-5)
