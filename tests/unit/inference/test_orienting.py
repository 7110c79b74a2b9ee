"""Images are turned where they lie as MONAI turns them into new memory."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, EnsureChannelFirstd, Orientationd, Spacingd

from medview.inference.orienting import flip_in_place
from medview.inference.resampling import prepare


@pytest.mark.parametrize("size", [(2, 5, 4, 7), (1, 6, 1, 3), (1, 1, 1, 9)])
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 3, 2, 1), (3, 2, 1, 0)])
def test_axes_are_reversed_whatever_their_order_in_memory(size: tuple[int, ...], order: tuple[int, ...]) -> None:
    lying = torch.randn([size[axis] for axis in order], generator=torch.Generator().manual_seed(0))
    for axes in [[], [1], [3], [1, 2], [1, 2, 3]]:
        values = lying.clone().permute([order.index(axis) for axis in range(4)])
        wanted = values.flip(axes)
        flip_in_place(values, axes)
        assert torch.equal(values, wanted)


def test_large_axes_are_reversed_part_by_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medview.inference.orienting._MOST_AT_ONCE", 30)
    for length, axes in product((6, 7, 11), ([1], [1, 3], [2, 3])):
        values = torch.randn((1, length, 4, 3), generator=torch.Generator().manual_seed(0))
        wanted = values.flip(axes)
        flip_in_place(values, axes)
        assert torch.equal(values, wanted)


def image(signs: tuple[int, int, int], turned: bool) -> MetaTensor:
    steps = np.array([1.0, 1.5, 2.0])
    matrix = np.diag(steps * signs)
    if turned:
        matrix = matrix[:, [1, 0, 2]]
    affine = np.eye(4)
    affine[:3, :3] = matrix
    affine[:3, 3] = [10, -20, 30]
    values = torch.randn((5, 6, 7), generator=torch.Generator().manual_seed(0))
    return MetaTensor(values, affine=torch.from_numpy(affine), meta={"original_channel_dim": float("nan")})


@pytest.mark.parametrize("signs", list(product((1, -1), repeat=3)))
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("codes", ["RAS", "LPS", "PIR"])
def test_the_image_its_place_and_the_way_back_are_monais(signs: tuple[int, int, int], turned: bool, codes: str) -> None:
    chain = Compose([EnsureChannelFirstd("image"), Orientationd("image", axcodes=codes, labels=None)])
    wanted, found = chain({"image": image(signs, turned)}), prepare(chain, {"image": image(signs, turned)}, "image")
    assert torch.equal(wanted["image"].as_tensor(), found["image"].as_tensor())
    assert torch.allclose(wanted["image"].affine, found["image"].affine)

    def back(one: dict[str, MetaTensor]) -> MetaTensor:
        turned_back: MetaTensor = chain.inverse(one)["image"]
        return turned_back

    one, other = back(wanted), back(found)
    assert torch.equal(one.as_tensor(), other.as_tensor())
    assert torch.allclose(one.affine, other.affine)


def test_an_image_with_two_names_is_turned_for_one_of_them_only() -> None:
    chain = Compose([EnsureChannelFirstd(["image", "other"]), Orientationd("image", axcodes="RAS", labels=None)])
    one = image((-1, 1, 1), turned=False)
    kept = one.clone()
    found = prepare(chain, {"image": one, "other": one}, "image")
    assert torch.equal(found["other"].as_tensor(), kept.as_tensor()[None])
    assert torch.equal(found["image"].as_tensor(), kept.as_tensor()[None].flip(1))


@pytest.mark.parametrize("spacing", [(1.3, 0.9, 2.5), (3.0, 3.0, 0.7), (1.0, 1.5, 2.0)])
def test_resampling_in_slabs_is_monais_resampling(
    spacing: tuple[float, float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medview.inference.resampling._MOST_AT_ONCE", 100)
    chain = Compose([EnsureChannelFirstd("image"), Spacingd("image", pixdim=spacing, mode="bilinear")])
    wanted = chain({"image": image((-1, 1, 1), turned=False)})["image"]
    found = prepare(chain, {"image": image((-1, 1, 1), turned=False)}, "image")["image"]
    assert torch.allclose(wanted.as_tensor(), found.as_tensor(), atol=1e-5)
    assert torch.equal(wanted.affine, found.affine)
