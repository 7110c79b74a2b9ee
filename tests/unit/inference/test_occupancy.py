"""Windows that hold nothing are not run, and the labels are the same as when all are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.inferers import SlidingWindowInferer
from monai.transforms import (
    AsDiscreted,
    Compose,
    EnsureChannelFirstd,
    Invertd,
    Orientationd,
    ScaleIntensityRanged,
    Spacingd,
)
from torch import nn

from medview.catalog.manifest import Crop, Input
from medview.catalog.plugins import inspect
from medview.core.geometry import Box
from medview.core.progress import NoProgress
from medview.core.segmentation import Labels
from medview.core.text import Text
from medview.core.volume import Volume
from medview.inference import runner, tensors
from medview.inference.grid_map import AxisMap, GridMap
from medview.inference.occupancy import Occupancy, blocks_above, body_of, occupancy_of, only_inside
from tests.support import nnunet_folders as folders
from tests.support.bundles import bundle_config, bundle_plugin
from tests.support.volumes import oblique, volume

SHAPE = (24, 90, 84)


class Watching:
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def report(self, fraction: float | None, message: Text | str = "") -> None:
        self.said.append(str(message))

    def raise_if_cancelled(self) -> None:
        pass

    @property
    def plan(self) -> str:
        return next(one for one in self.said if "windows" in one)


def body(*, with_a_thing_beside: bool = False) -> Volume:
    """(k, j, i) int16, HU: something like a body with two brighter things in it, in air; turned in the patient."""
    k, j, i = np.indices(SHAPE)
    voxels = np.full(SHAPE, -1000.0)
    voxels[((k - 11) / 9) ** 2 + ((j - 22) / 15) ** 2 + ((i - 20) / 14) ** 2 < 1] = 40
    voxels[((k - 11) / 4) ** 2 + ((j - 22) / 6) ** 2 + ((i - 18) / 6) ** 2 < 1] = 300
    voxels[((k - 13) / 3) ** 2 + ((j - 30) / 3) ** 2 + ((i - 26) / 3) ** 2 < 1] = 600
    if with_a_thing_beside:
        voxels[8:16, 68:76, 60:70] = 300
    noise = np.random.default_rng(2).normal(0, 20, SHAPE)
    return volume((voxels + noise).astype(np.int16), spacing_mm=(3.0, 1.6, 1.7), direction=oblique())


def network() -> nn.Conv3d:
    """Means over 27 voxels against two limits; air, and what lies around a window, is 0 and stays below both."""
    made = nn.Conv3d(1, 3, 3, padding=1)
    with torch.no_grad():
        made.weight.zero_()
        made.weight[1] = 20 / 27
        made.weight[2] = 40 / 27
        made.bias = nn.Parameter(torch.tensor([0.0, -10.0, -24.0]))
    return made.eval()


def config() -> dict[str, Any]:
    found = bundle_config(
        network_def={
            "_target_": "torch.nn.Conv3d", "in_channels": 1, "out_channels": 3, "kernel_size": 3, "padding": 1,
        }
    )  # fmt: skip
    found["preprocessing"]["transforms"][-1] = {
        "_target_": "ScaleIntensityRanged", "keys": "@image_key", "a_min": -950, "a_max": 550, "b_min": 0, "b_max": 1,
        "clip": True,
    }  # fmt: skip
    return found


def plugin(folder: Path, *lines: str) -> Path:
    bundle_plugin(folder, config())
    torch.save(network().state_dict(), folder / "models" / "model.pt")
    manifest = folder / "plugin.toml"
    text = manifest.read_text(encoding="utf-8").replace(
        'modality = ["CT", "MR"]', "\n".join(('modality = ["CT"]', *lines))
    )
    manifest.write_text(text, encoding="utf-8")
    return folder


def by_monai(image: Volume) -> np.ndarray:
    before = Compose(
        [
            EnsureChannelFirstd(keys="image"),
            Orientationd(keys="image", axcodes="RAS", labels=None),
            Spacingd(keys="image", pixdim=[2.0, 2.0, 2.0], mode="bilinear"),
            ScaleIntensityRanged(keys="image", a_min=-950, a_max=550, b_min=0, b_max=1, clip=True),
        ]
    )
    data = before({"image": tensors.to_tensor(image)})
    with torch.no_grad():
        logits = SlidingWindowInferer([16, 16, 16], 2, 0.5, "gaussian")(data["image"].as_tensor()[None], network())
    data["pred"] = MetaTensor(torch.softmax(logits[0], dim=0))
    data = Invertd(keys="pred", transform=before, orig_keys="image", nearest_interp=False)(data)
    found = AsDiscreted(keys="pred", argmax=True)(data)["pred"]
    assert isinstance(found, torch.Tensor)
    return tensors.to_labels(found).astype(np.uint8)


def run(folder: Path, image: Volume, watching: Watching | None = None) -> Labels:
    return runner.run(inspect(folder), image, watching or NoProgress(), device="cpu", exact=True).labels


@pytest.mark.parametrize("line", ["background-below = -900", "crop = { above = -500, margin-mm = 6 }"])
def test_labels_are_those_of_monai_though_windows_of_air_are_not_run(tmp_path: Path, line: str) -> None:
    image = body()
    wanted = by_monai(image)
    assert set(np.unique(wanted)) == {0, 1, 2}
    watching = Watching()
    np.testing.assert_array_equal(run(plugin(tmp_path / "b", line), image, watching), wanted)
    count, everything = watching.plan.split(" windows")[0].split(" of ")
    assert 0 < int(count) < 0.6 * int(everything)


def test_an_image_of_air_alone_has_no_labels(tmp_path: Path) -> None:
    image = volume(np.full(SHAPE, -1000, np.int16), spacing_mm=(3.0, 1.6, 1.7))
    assert not run(plugin(tmp_path / "b", "background-below = -900"), image).any()


def test_what_lies_away_from_the_body_is_not_searched(tmp_path: Path) -> None:
    image = body(with_a_thing_beside=True)
    wanted = by_monai(image)
    beside = np.s_[:, 55:, 50:]
    assert wanted[beside].any()
    shown = np.zeros(SHAPE, dtype=np.uint16)

    def seen(box: Box, labels: Labels) -> None:
        shown[box.slices] = labels

    folder = plugin(tmp_path / "b", "crop = { above = -500, margin-mm = 6 }")
    found = runner.run(inspect(folder), image, NoProgress(), device="cpu", exact=True, preview=seen).labels
    wanted[beside] = 0
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(shown, wanted)


def test_an_nnunet_folder_spares_windows_too(tmp_path: Path) -> None:
    settings = folders.configuration((2.0, 2.0, 2.0), (8, 16, 16), schemes=["CTNormalization"])
    made = folders.network(settings["architecture"], settings["patch_size"], 1, 3, 5)
    path = folders.model_folder(
        tmp_path, folders.plans({"3d_fullres": settings}), "3d_fullres",
        folders.dataset({"background": 0, "one": 1, "two": 2}), [made],
    )  # fmt: skip
    text = folders.manifest(f'path = "{path.name}"', [1, 2])
    k, j, i = np.indices((12, 44, 40))
    inside = ((k - 6) / 5) ** 2 + ((j - 12) / 8) ** 2 + ((i - 12) / 8) ** 2 < 1
    voxels = np.where(inside, np.random.default_rng(1).normal(50, 200, inside.shape), -1000).astype(np.int16)
    image = volume(voxels, spacing_mm=(2, 2, 2))
    (tmp_path / "plugin.toml").write_text(text, encoding="utf-8")
    everything = run(tmp_path, image)
    line = "crop = { above = -999, margin-mm = 4 }"
    (tmp_path / "plugin.toml").write_text(text.replace("[[input]]", f"[[input]]\n{line}"), encoding="utf-8")
    watching = Watching()
    found = run(tmp_path, image, watching)
    around = Box.around(inside).grown(2).clipped(inside.shape)
    assert len(np.unique(everything[around.slices])) > 1
    wanted = np.zeros_like(everything)
    wanted[around.slices] = everything[around.slices]
    np.testing.assert_array_equal(found, wanted)
    assert " of " in watching.plan


def test_no_window_is_left_out_that_something_reaches() -> None:
    rng = np.random.default_rng(4)
    for _ in range(60):
        k, j, i = (int(n) for n in rng.integers(9, 60, 3))
        shape = (k, j, i)
        order = rng.permutation(3)
        axes = []
        for axis in order:
            source = shape[2 - axis]
            scale = float(rng.uniform(0.4, 1.8)) * (1 if rng.random() < 0.5 else -1)
            length = max(4, round(source * abs(scale)))
            offset = float(rng.uniform(-2, 2)) + (0 if scale > 0 else length - 1)
            axes.append(AxisMap(int(axis), source, length, scale, offset))
        grid = GridMap((axes[0], axes[1], axes[2]))
        before = [int(n) for n in rng.integers(0, 3, 3)]
        roi = [int(rng.integers(3, 1 + axis.length)) for axis in axes]
        starts = tuple(
            tuple(sorted({int(n) for n in rng.integers(0, axis.length - size + 1, 4)}))
            for axis, size in zip(axes, roi, strict=True)
        )
        voxels = np.zeros(shape, dtype=np.int16)
        voxels[tuple(rng.integers(0, shape, (2, 3)).T)] = 5
        blocks = blocks_above(voxels, 1.0, NoProgress())
        assert (
            np.repeat(np.repeat(np.repeat(blocks, 4, 0), 4, 1), 4, 2)[tuple(map(slice, shape))] >= (voxels > 0)
        ).all()
        runs = Occupancy(shape, blocks).windows(grid, before, roi, (starts[0], starts[1], starts[2]))
        for index in np.ndindex(*runs.shape):
            reached = []
            for axis in range(3):
                first = starts[axis][index[axis]] - before[axis]
                low, high = max(first, 0), min(first + roi[axis], axes[axis].length)
                where = axes[axis].scale * np.arange(axes[axis].source_length) + axes[axis].offset
                # a voxel counts for all between whose neighbours it lies; at the border the last one stands for all
                near = (where > low - 1) & (where < high)
                clipped = np.clip(where, 0, axes[axis].length - 1)
                reached.append(np.flatnonzero(near | ((clipped >= low) & (clipped <= high - 1))))
            at: list[Any] = [None] * 3
            for axis in range(3):
                at[2 - axes[axis].source_axis] = reached[axis]
            if voxels[np.ix_(*at)].any():
                assert runs[index]


def test_the_body_is_the_largest_thing_with_its_margin() -> None:
    voxels = np.full((30, 40, 50), -1000, dtype=np.int16)
    voxels[5:20, 10:30, 12:40] = 0
    voxels[25:28, 2:38, 1:49] = 50  # flat, and smaller
    image = volume(voxels, spacing_mm=(2.0, 1.0, 0.5))
    found = body_of(image, Crop.model_validate({"above": -500, "margin-mm": 3.0}), NoProgress())
    assert found == Box((3, 7, 6), (22, 33, 46))
    assert body_of(image, Crop.model_validate({"above": 500}), NoProgress()) is None


def test_what_the_inputs_say_together() -> None:
    ct, pet = volume(np.full((9, 9, 20), -1000, np.int16)), volume(np.zeros((9, 9, 20), np.int16))
    voxels = np.array(ct.voxels)
    voxels[0, 0, 0] = 0
    ct = volume(voxels)

    def wanted(name: str, **more: object) -> Input:
        return Input.model_validate_json(json.dumps({"name": name, "modality": ["CT"], **more}))

    assert occupancy_of([wanted("ct")], {"ct": ct}, NoProgress()) is None
    case = {"ct": ct, "pet": pet}
    one = occupancy_of([wanted("ct", **{"background-below": -900}), wanted("pet")], case, NoProgress())
    assert one is not None
    assert one.blocks is not None
    assert one.blocks.sum() == 1
    both = [wanted("ct", **{"background-below": -900}), wanted("pet", **{"background-below": -1})]
    found = occupancy_of(both, case, NoProgress())
    assert found is not None
    assert found.blocks is not None
    assert found.blocks.all()
    elsewhere = {"ct": ct, "pet": volume(np.full((9, 9, 19), -50, np.int16))}
    found = occupancy_of(both, elsewhere, NoProgress())
    assert found is not None
    assert found.blocks is not None
    assert found.blocks.all()


def test_outside_of_a_box_nothing_stays() -> None:
    rng = np.random.default_rng(0)
    for _ in range(40):
        at = Box(tuple(rng.integers(0, 9, 3)), tuple(rng.integers(9, 14, 3)))
        body = Box(tuple(rng.integers(0, 9, 3)), tuple(rng.integers(5, 14, 3)))
        whole = np.zeros((14, 14, 14), dtype=np.uint8)
        whole[body.slices] = 7
        labels = np.full(at.shape, 7, dtype=np.uint8)
        only_inside(labels, at, body)
        np.testing.assert_array_equal(labels, whole[at.slices])
