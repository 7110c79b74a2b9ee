"""An nnU-Net v2 folder gives what a slow reference gives, written here from nnU-Net's description of what it does."""

from __future__ import annotations

import itertools
import json
import math
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from medview.catalog.manifest_engines import NnunetEngine
from medview.catalog.nnunet_folder import Architecture
from medview.catalog.plugins import PluginState, inspect
from medview.core.errors import Cancelled, PluginUnavailableError
from medview.core.geometry import Box
from medview.core.progress import NoProgress
from medview.core.segmentation import Labels
from medview.core.text import Text
from medview.core.volume import Volume
from medview.inference import nnunet, nnunet_checkpoint, nnunet_networks, runner
from medview.inference.plugin import Context
from tests.support import nnunet_folders as folders
from tests.support.volumes import volume

Floats = NDArray[np.float32]
LABELS = {"background": 0, "one": 1, "two": 2}
SHAPE = (20, 50, 44)


def picture(seed: int = 0, shape: tuple[int, int, int] = SHAPE) -> NDArray[np.int16]:
    """(k, j, i), smooth, HU; air at one side."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn((1, 1, 9, 8, 7), generator=generator)
    values = functional.interpolate(coarse, size=shape, mode="trilinear")[0, 0].numpy() * 200
    found: NDArray[np.int16] = values.round().astype(np.int16)
    found[found == 0] = 1
    found[:, :4] = 0
    return found


def cubic(values: Floats, size: Sequence[int]) -> Floats:
    """Cubic splines by ITK, through an image that goes on with its border's values; kept in the image's range."""
    margin = 14
    padded = SimpleITK.GetImageFromArray(np.pad(values.astype(np.float64), margin, mode="edge"))
    steps = [old / new for old, new in zip(values.shape, size, strict=True)][::-1]
    grid = SimpleITK.Image([int(n) for n in size][::-1], SimpleITK.sitkFloat64)
    grid.SetSpacing(steps)
    grid.SetOrigin([margin + step / 2 - 0.5 for step in steps])
    made = SimpleITK.GetArrayFromImage(SimpleITK.Resample(padded, grid, SimpleITK.Transform(), SimpleITK.sitkBSpline))
    found: Floats = np.clip(made, values.min(), values.max()).astype(np.float32)
    return found


def to_model(values: Floats, size: Sequence[int], alone: int | None) -> Floats:
    if tuple(size) == values.shape:
        return values
    if alone is None:
        return cubic(values, size)
    assert alone == 0
    flat = np.stack([cubic(one, size[1:]) if one.shape != tuple(size[1:]) else one for one in values])
    return functional.interpolate(torch.from_numpy(flat)[None, None], size=tuple(size), mode="nearest-exact")[
        0, 0
    ].numpy()


def to_image(logits: torch.Tensor, size: Sequence[int], alone: int | None) -> torch.Tensor:
    if alone is None:
        return functional.interpolate(logits[None], size=tuple(size), mode="trilinear")[0]
    assert alone == 0
    flat = functional.interpolate(logits.transpose(0, 1), size=tuple(size[1:]), mode="bilinear").transpose(0, 1)
    return functional.interpolate(flat[None], size=tuple(size), mode="nearest-exact")[0]


def starts(length: int, patch: int) -> list[int]:
    count = math.ceil((length - patch) / (patch * 0.5)) + 1
    return [round((length - patch) / max(1, count - 1) * number) for number in range(count)]


def weights(patch: Sequence[int]) -> torch.Tensor:
    lines = [np.exp(-0.5 * ((np.arange(n) - n // 2) / (n / 8)) ** 2) for n in patch]
    half = (10 * np.einsum("i,j,k->ijk", *lines)).astype(np.float16)
    half[half == 0] = half[half > 0].min()
    return torch.from_numpy(half.astype(np.float32))


def by_windows(image: torch.Tensor, call: Callable[[torch.Tensor], torch.Tensor], patch: Sequence[int]) -> torch.Tensor:
    """(channel, x, y, z) -> (head, x, y, z)."""
    missing = [max(0, p - n) for p, n in zip(patch, image.shape[1:], strict=True)]
    sides = [(m // 2, m - m // 2) for m in missing]
    padded = functional.pad(image, [n for side in reversed(sides) for n in side])
    weight, total = weights(patch), torch.zeros(padded.shape[1:])
    found: torch.Tensor | None = None
    for place in itertools.product(*(starts(n, p) for n, p in zip(padded.shape[1:], patch, strict=True))):
        where = tuple(slice(a, a + p) for a, p in zip(place, patch, strict=True))
        with torch.no_grad():
            values = call(padded[(slice(None), *where)][None])[0]
        if found is None:
            found = torch.zeros((values.shape[0], *padded.shape[1:]))
        found[(slice(None), *where)] += values * weight
        total[where] += weight
    assert found is not None
    inner = tuple(slice(a, a + n) for (a, _), n in zip(sides, image.shape[1:], strict=True))
    return (found / total)[(slice(None), *inner)]


def reference(
    voxels: Sequence[NDArray[Any]],
    spacing: Sequence[float],
    wanted: Sequence[float],
    patch: Sequence[int],
    call: Callable[[torch.Tensor], torch.Tensor],
    *,
    alone: int | None = None,
    further: NDArray[Any] | None = None,
) -> tuple[torch.Tensor, tuple[slice, ...]]:
    """Values on the image's grid where it is not zero, and where that is; z-score for each channel."""
    box = Box.around(np.any([one != 0 for one in voxels], axis=0))
    size = [round(old / new * n) for old, new, n in zip(spacing, wanted, box.shape, strict=True)]
    channels = []
    for one in voxels:
        inner = one[box.slices].astype(np.float32)
        channels.append(to_model((inner - inner.mean()) / inner.std(), size, alone))
    if further is not None:
        channels += [(further[box.slices] == label).astype(np.float32) for label in (1, 2)]
    logits = by_windows(torch.from_numpy(np.stack(channels)), call, patch)
    return to_image(logits, box.shape, alone), box.slices


def filled(found: torch.Tensor, where: tuple[slice, ...]) -> NDArray[np.int64]:
    labels = np.zeros(SHAPE, dtype=np.int64)
    labels[where] = found.numpy()
    return labels


def ours(root: Path, volumes: Sequence[Volume], context: Context | None = None, **engine: Any) -> NDArray[Any]:
    made = NnunetEngine.model_validate_json(json.dumps({"kind": "nnunet", **engine}))
    given = context or Context(root, NoProgress(), lambda: "cpu", volumes[0].geometry.shape, exact=True)
    return nnunet.run(root, made, {f"i{number}": one for number, one in enumerate(volumes)}, given)


def same(first: NDArray[Any], second: NDArray[Any]) -> None:
    """Up to single voxels: where two classes have the same value, the last bit of a float decides."""
    assert len(np.unique(first)) > 2
    assert np.count_nonzero(first != second) <= 3


def build(settings: dict[str, Any], inputs: int = 1, heads: int = 3, seed: int = 5) -> nn.Module:
    return folders.network(settings["architecture"], settings["patch_size"], inputs, heads, seed)


@pytest.mark.parametrize("kind", ["PlainConvUNet", "ResidualEncoderUNet", "ResidualUNet"])
def test_a_folder_gives_what_the_description_says(tmp_path: Path, kind: str) -> None:
    settings = folders.configuration((1.5, 1.5, 1.5), (16, 24, 24), network=kind)
    made = build(settings, seed=6)
    path = folders.model_folder(
        tmp_path, folders.plans({"3d_fullres": settings}), "3d_fullres", folders.dataset(LABELS), [made]
    )
    spacing = (2.0, 1.2, 1.1)
    found = ours(tmp_path, [volume(picture(), spacing_mm=spacing)], path=path.name)
    values, where = reference([picture()], spacing, settings["spacing"], settings["patch_size"], made)
    same(filled(values.argmax(0), where), found)


def test_along_thick_slices_nothing_is_interpolated(tmp_path: Path) -> None:
    settings = folders.configuration((3.5, 1.0, 1.0), (8, 24, 24))
    made = build(settings)
    path = folders.model_folder(
        tmp_path, folders.plans({"3d_fullres": settings}), "3d_fullres", folders.dataset(LABELS), [made]
    )
    spacing = (7.0, 0.8, 0.9)  # twice the slices: every second place lies in the middle between two
    found = ours(tmp_path, [volume(picture(), spacing_mm=spacing)], path=path.name)
    values, where = reference([picture()], spacing, settings["spacing"], settings["patch_size"], made, alone=0)
    same(filled(values.argmax(0), where), found)


def test_single_slices(tmp_path: Path) -> None:
    settings = folders.configuration((1.3, 1.2), (24, 24))
    made = build(settings)
    path = folders.model_folder(tmp_path, folders.plans({"2d": settings}), "2d", folders.dataset(LABELS), [made])
    spacing = (3.0, 1.3, 1.2)
    found = ours(tmp_path, [volume(picture(), spacing_mm=spacing)], path=path.name)

    def call(window: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = made(window[:, :, 0])[:, :, None]
        return answer

    values, where = reference([picture()], spacing, spacing, (1, 24, 24), call)
    same(filled(values.argmax(0), where), found)


def test_regions_in_their_order_folds_and_mirrors(tmp_path: Path) -> None:
    settings = folders.configuration((1.5, 1.5, 1.5), (16, 24, 24), schemes=("ZScoreNormalization",) * 2)
    nets = [build(settings, 2, 2, seed) for seed in (3, 4)]
    labels = {"background": 0, "whole": [1, 2], "core": 2, "ignore": 3}
    dataset = folders.dataset(labels, channels=2, order=[1, 2])
    path = folders.model_folder(
        tmp_path, folders.plans({"3d_fullres": settings}), "3d_fullres", dataset, nets, mirrored=(0, 2)
    )
    images = [picture(1), picture(2)]
    volumes = [volume(one, spacing_mm=(1.5, 1.5, 1.5)) for one in images]
    found = ours(tmp_path, volumes, path=path.name, mirroring=True)

    def call(window: torch.Tensor) -> torch.Tensor:
        turns: list[list[int]] = [[], [2], [4], [2, 4]]
        return torch.stack([net(window.flip(turn)).flip(turn) for net in nets for turn in turns]).mean(0)

    values, where = reference(images, (1.5,) * 3, (1.5,) * 3, (16, 24, 24), call)
    wanted = torch.where(values[1] > 0, 2, torch.where(values[0] > 0, 1, 0))
    same(filled(wanted, where), found)


def test_a_cascade_sees_the_labels_of_its_first_stage(tmp_path: Path) -> None:
    low = folders.configuration((3.0, 2.0, 2.0), (8, 16, 16))
    high = {**folders.configuration((1.5, 1.5, 1.5), (16, 24, 24)), "previous_stage": "3d_lowres"}
    plans = folders.plans({"3d_lowres": low, "3d_cascade_fullres": high})
    dataset = folders.dataset({**LABELS, "ignore": 3})
    first = folders.model_folder(tmp_path, plans, "3d_lowres", dataset, [build(low, seed=1)])
    made = build(high, inputs=3, seed=2)
    path = folders.model_folder(tmp_path, plans, "3d_cascade_fullres", dataset, [made])
    image = volume(picture(), spacing_mm=(1.5, 1.5, 1.5))
    stage = ours(tmp_path, [image], path=first.name)
    found = ours(tmp_path, [image], path=path.name)
    assert len(np.unique(stage)) == 3
    values, where = reference([picture()], (1.5,) * 3, (1.5,) * 3, (16, 24, 24), made, further=stage)
    same(filled(values.argmax(0), where), found)


def test_axes_are_turned_to_where_the_training_images_pointed(tmp_path: Path) -> None:
    settings = folders.configuration((1.5, 1.5, 1.5), (16, 24, 24))
    path = folders.model_folder(
        tmp_path, folders.plans({"3d_fullres": settings}, (1, 2, 0)), "3d_fullres", folders.dataset(LABELS),
        [build(settings)],
    )  # fmt: skip
    voxels = picture()
    plain = ours(tmp_path, [volume(voxels, spacing_mm=(2, 1.2, 1.1))], path=path.name)
    # the same patient, with columns that run to the right and rows to the front, slices innermost
    turned = np.ascontiguousarray(voxels[:, ::-1, ::-1].transpose(1, 2, 0))
    direction = np.array([[0.0, -1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    other = volume(turned, spacing_mm=(1.2, 1.1, 2), direction=direction)
    found = ours(tmp_path, [other], path=path.name, orientation="LPS")
    same(plain, found.transpose(2, 0, 1)[:, ::-1, ::-1])


def test_several_models_are_one_plugin(tmp_path: Path) -> None:
    settings = folders.configuration((2.0, 2.0, 2.0), (16, 24, 24))
    plans = folders.plans({"3d_fullres": settings})
    for number in (1, 2):
        folders.model_folder(
            tmp_path / f"Dataset{number}", plans, "3d_fullres", folders.dataset(LABELS), [build(settings, seed=number)]
        )
    name = "nnUNetTrainer__nnUNetPlans__3d_fullres"
    engine = (
        f'[[engine.paths]]\npath = "Dataset1/{name}"\nlabels = {{ 1 = 5, 2 = 3 }}\n'
        f'[[engine.paths]]\npath = "Dataset2/{name}"\nlabels = {{ 2 = 9 }}'
    )
    (tmp_path / "plugin.toml").write_text(folders.manifest(engine, [3, 5, 9]), encoding="utf-8")
    image = volume(picture(), spacing_mm=(2, 2, 2))
    one, two = (ours(tmp_path, [image], path=f"Dataset{number}/{name}") for number in (1, 2))
    wanted = np.select([two == 2, one == 1, one == 2], [9, 5, 3], 0)
    assert set(np.unique(wanted)) >= {3, 5, 9}
    record = inspect(tmp_path)
    assert record.state is PluginState.READY, record.reason
    shown = np.zeros(image.geometry.shape, dtype=np.uint16)
    boxes: list[Box] = []

    def seen(box: Box, labels: Labels) -> None:
        boxes.append(box)
        shown[box.slices] = labels

    result = runner.run(record, image, NoProgress(), device="cpu", exact=True, preview=seen)
    np.testing.assert_array_equal(result.labels, wanted)
    np.testing.assert_array_equal(shown, wanted)
    assert len(boxes) > 2


class Watching:
    def __init__(self, stop_at: float = 2.0) -> None:
        self.said: list[str] = []
        self.fractions: list[float] = []
        self._stop_at = stop_at

    def report(self, fraction: float | None, message: Text | str = "") -> None:
        self.said.append(str(message))
        self.fractions.append(fraction or 0.0)

    def raise_if_cancelled(self) -> None:
        if self.fractions and self.fractions[-1] >= self._stop_at:
            raise Cancelled


def small_plugin(folder: Path) -> Path:
    settings = folders.configuration((2.0, 2.0, 2.0), (16, 16, 16))
    path = folders.model_folder(
        folder, folders.plans({"3d_fullres": settings}), "3d_fullres", folders.dataset(LABELS), [build(settings)]
    )
    text = folders.manifest(f'path = "{path.name}"\nmirroring = true', [1, 2])
    (folder / "plugin.toml").write_text(text, encoding="utf-8")
    return path


def test_the_plan_says_what_mirroring_costs_and_a_run_can_be_cancelled(tmp_path: Path) -> None:
    small_plugin(tmp_path)
    record, watching = inspect(tmp_path), Watching()
    image = volume(picture(shape=(40, 28, 24)), spacing_mm=(2, 2, 2))
    runner.run(record, image, watching, device="cpu")
    assert any("8 times each" in said for said in watching.said)
    assert watching.fractions == sorted(watching.fractions)
    stopping = Watching(stop_at=0.5)
    with pytest.raises(Cancelled):
        runner.run(record, image, stopping, device="cpu")
    assert max(stopping.fractions) < 0.7


def test_an_image_of_nothing_has_no_labels(tmp_path: Path) -> None:
    small_plugin(tmp_path)
    result = runner.run(inspect(tmp_path), volume(np.zeros((9, 9, 9), np.int16)), NoProgress(), device="cpu")
    assert not result.labels.any()


PLAIN_KEYS = [
    "encoder.stages.0.0.convs.0.conv",
    "encoder.stages.0.0.convs.0.norm",
    "encoder.stages.0.0.convs.1.conv",
    "encoder.stages.0.0.convs.1.norm",
    "encoder.stages.1.0.convs.0.conv",
    "encoder.stages.1.0.convs.0.norm",
    "decoder.stages.0.convs.0.conv",
    "decoder.stages.0.convs.0.norm",
    "decoder.transpconvs.0",
    "decoder.seg_layers.0",
]
RESIDUAL_KEYS = [
    "encoder.stem.convs.0.conv",
    "encoder.stem.convs.0.norm",
    "encoder.stages.0.blocks.0.conv1.conv",
    "encoder.stages.0.blocks.0.conv1.norm",
    "encoder.stages.0.blocks.0.conv2.conv",
    "encoder.stages.0.blocks.0.conv2.norm",
    "encoder.stages.1.blocks.0.conv1.conv",
    "encoder.stages.1.blocks.0.conv1.norm",
    "encoder.stages.1.blocks.0.conv2.conv",
    "encoder.stages.1.blocks.0.conv2.norm",
    "encoder.stages.1.blocks.0.skip.1.norm",
    "decoder.stages.0.convs.0.conv",
    "decoder.stages.0.convs.0.norm",
    "decoder.transpconvs.0",
    "decoder.seg_layers.0",
]


@pytest.mark.parametrize(
    ("name", "depths", "keys", "without_bias"),
    [
        ("PlainConvUNet", {"n_conv_per_stage": [2, 1]}, PLAIN_KEYS, []),
        ("ResidualEncoderUNet", {"n_blocks_per_stage": 1}, RESIDUAL_KEYS, ["encoder.stages.1.blocks.0.skip.1.conv"]),
    ],
)
def test_parameters_have_the_names_of_published_checkpoints(
    name: str, depths: dict[str, Any], keys: list[str], without_bias: list[str]
) -> None:
    settings = folders.architecture(name, (16, 16, 16), (4, 6))
    settings["arch_kwargs"] |= {**depths, "n_conv_per_stage_decoder": 1, "kernel_sizes": 3, "strides": [1, 2]}
    made = nnunet_networks.build(Architecture.model_validate(settings), 3, 1, 2)
    wanted = {f"{key}.{kind}" for key in keys for kind in ("weight", "bias")}
    assert set(made.state_dict()) == wanted | {f"{key}.weight" for key in without_bias}


def test_a_checkpoint_with_a_program_in_it_is_refused(tmp_path: Path) -> None:
    path = small_plugin(tmp_path)
    canary = tmp_path / "canary"

    class Program:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (canary,)

    file = path / "fold_0" / "checkpoint_final.pth"
    torch.save({"network_weights": {}, "init_args": {"x": Program()}}, file)
    record = inspect(tmp_path)
    assert record.state is PluginState.READY
    with pytest.raises(PluginUnavailableError, match="holds a program") as caught:
        runner.run(record, volume(picture()), NoProgress(), device="cpu")
    assert "trust" in str(caught.value.remedy)
    file.write_bytes(pickle.dumps({"network_weights": Program()}))
    with pytest.raises(PluginUnavailableError, match="holds a program"):
        nnunet_checkpoint.load(file)
    assert not canary.exists()


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    path = small_plugin(tmp_path)
    other = build(folders.configuration((2, 2, 2), (16, 16, 16)), heads=5)
    torch.save({"network_weights": folders.published(other.state_dict())}, path / "fold_0" / "checkpoint_final.pth")
    with pytest.raises(PluginUnavailableError, match="do not fit"):
        runner.run(inspect(tmp_path), volume(picture()), NoProgress(), device="cpu")


def test_safetensors(tmp_path: Path) -> None:
    path = small_plugin(tmp_path)
    image = volume(picture(), spacing_mm=(2, 2, 2))
    wanted = ours(tmp_path, [image], path=path.name)
    checkpoint = nnunet_checkpoint.load(path / "fold_0" / "checkpoint_final.pth")
    assert (checkpoint.configuration, checkpoint.mirrored_axes) == ("3d_fullres", (0, 1, 2))
    weights_ = {key: value.clone() for key, value in checkpoint.weights.items()}
    save_file(weights_, path / "fold_0" / "checkpoint_final.safetensors")
    (path / "fold_0" / "checkpoint_final.pth").unlink()
    np.testing.assert_array_equal(ours(tmp_path, [image], path=path.name), wanted)


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("network_class_name", "os.system"),
        ("network_class_name", "somebody.PlainConvUNet"),
        ("conv_op", "os.Conv3d"),
        ("conv_op", "torch.nn.Conv2d"),
        ("norm_op", "torch.nn.modules.module.Module"),
        ("nonlin", "builtins.eval"),
        ("squeeze_excitation", True),
        ("strides", [[1, 1, 1]]),
        ("n_stages", "many"),
    ],
)
def test_networks_that_are_not_known_are_refused(entry: str, value: Any) -> None:
    settings = folders.architecture("PlainConvUNet", (16, 16, 16))
    (settings if entry in settings else settings["arch_kwargs"])[entry] = value
    with pytest.raises(PluginUnavailableError, match="none that MedView can build"):
        nnunet_networks.build(Architecture.model_validate(settings), 3, 1, 2)


@pytest.mark.parametrize(
    "change",
    [
        {"normalization_schemes": ["MyNormalization"]},
        {"resampling_fn_data": "my_function"},
        {"resampling_fn_probabilities_kwargs": {"order": 3}},
        {"resampling_fn_data_kwargs": {"order": 5}},
    ],
)
def test_what_plans_ask_for_and_is_not_known_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    settings = folders.configuration((2, 2, 2), (16, 16, 16)) | change
    path = folders.model_folder(
        tmp_path, folders.plans({"3d_fullres": settings}), "3d_fullres", folders.dataset(LABELS), [build(settings)]
    )
    with pytest.raises(PluginUnavailableError, match="which MedView does not know"):
        ours(tmp_path, [volume(picture())], path=path.name)
