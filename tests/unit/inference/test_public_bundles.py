"""Bundles with the structure of MONAI's public ones are installed as they are published, and run."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from medview.catalog.installing import install
from medview.catalog.plugins import PluginRecord, PluginState, inspect
from medview.core.progress import NoProgress
from medview.core.volume import Modality, Volume
from medview.inference import runner
from medview.phantom.chest import Phantom
from tests.support import zoo
from tests.support.volumes import volume

Made = Callable[[], tuple[dict[str, Any], nn.Module]]
_NAMES = {"brats_mri_segmentation": ["Tumor core", "Whole tumor", "Enhancing tumor"]}


def _installed(tmp_path: Path, name: str, config: dict[str, Any], network: nn.Module, suffix: str, count: int) -> Path:
    names = _NAMES.get(name) or ["background", *(f"structure {number}" for number in range(1, count))]
    bundle = zoo.write(tmp_path / name, config, network, suffix, names=names)
    return install(bundle, tmp_path / "plugins").folder


def _trusted(folder: Path) -> PluginRecord:
    record = inspect(folder)
    assert record.state is PluginState.NEEDS_TRUST, record.reason
    return replace(record, state=PluginState.READY, trusted=True)


@pytest.mark.parametrize("name", [one for one in zoo.RUN_AS_DATA if one != "brats_mri_segmentation"])
def test_a_public_bundle_runs_as_data(tmp_path: Path, name: str, small_phantom: Phantom) -> None:
    torch.manual_seed(3)
    make, suffix = zoo.RUN_AS_DATA[name]
    config, network = make()
    count = {"wholeBody_ct_segmentation": 5, "spleen_ct_segmentation": 2}.get(name, 4)
    count = 3 if name in ("swin_unetr_btcv_segmentation", "prostate_mri_anatomy") else count
    record = inspect(_installed(tmp_path, name, config, network, suffix, count))
    assert record.state is PluginState.READY, record.reason
    assert record.manifest is not None
    assert len(record.manifest.label) == count - 1
    result = runner.run(record, small_phantom.volume, NoProgress(), device="cpu", exact=True)
    assert result.labels.shape == small_phantom.volume.geometry.shape
    assert len(np.unique(result.labels)) > 1
    assert result.layers == ()


def _sequences() -> dict[str, Volume]:
    random = np.random.default_rng(4)
    shape = (20, 40, 44)
    return {
        name: volume(random.normal(100 * n, 30, shape).astype(np.float32), modality=Modality.MR, unit="")
        for n, name in enumerate(("t1c", "t1", "t2", "flair"), 1)
    }


def test_several_images_are_channels_in_their_order_and_regions_that_overlap_are_layers(tmp_path: Path) -> None:
    torch.manual_seed(5)
    config, network = zoo.brats()
    folder = _installed(tmp_path, "brats_mri_segmentation", config, network, "json", 3)
    record = inspect(folder)
    assert record.state is PluginState.READY, record.reason
    assert record.manifest is not None
    assert [one.name for one in record.manifest.input] == ["t1c", "t1", "t2", "flair"]
    assert record.manifest.has_regions
    images = _sequences()
    others = {name: one for name, one in images.items() if name != "t1c"}
    result = runner.run(record, images["t1c"], NoProgress(), device="cpu", exact=True, others=others)

    # the same with nothing but torch
    stack = np.stack([one.voxels.transpose(2, 1, 0) for one in images.values()])
    normal = (stack - stack.mean((1, 2, 3), keepdims=True)) / stack.std((1, 2, 3), keepdims=True)
    padded = np.zeros((4, 48, 48, 32), np.float32)
    padded[:, 2:46, 4:44, 6:26] = normal
    with torch.no_grad():
        values = network.eval()(torch.from_numpy(padded)[None])[0].sigmoid().numpy()[:, 2:46, 4:44, 6:26]
    wanted = (values >= 0.5).transpose(0, 3, 2, 1)
    assert len(result.layers) == 3
    for number, (layer, expected) in enumerate(zip(result.layers, wanted, strict=True), 1):
        assert set(np.unique(layer)) <= {0, number}
        agreement = ((layer > 0) == expected).mean()
        assert agreement > 0.999, number
    covered = np.any(np.stack(result.layers) > 0, axis=0)
    assert ((result.labels > 0) == covered).all()
    assert (np.sum(np.stack(result.layers) > 0, axis=0) > 1).any()


def test_an_image_on_another_grid_is_interpolated_onto_the_first(tmp_path: Path) -> None:
    torch.manual_seed(5)
    config, network = zoo.brats()
    record = inspect(_installed(tmp_path, "brats_mri_segmentation", config, network, "json", 3))
    images = _sequences()
    first = images.pop("t1c")

    def ramp(steps: int, step_mm: float) -> Volume:
        values = np.broadcast_to((100 + np.arange(steps) * step_mm * 5)[:, None, None], (steps, 40, 44)).astype(
            np.float32
        )
        return volume(values.copy(), spacing_mm=(step_mm, 1.0, 1.0), modality=Modality.MR, unit="")

    # a ramp is the same after linear interpolation, whatever grid it comes on
    same = runner.run(
        record, first, NoProgress(), device="cpu", exact=True, others=dict.fromkeys(images, ramp(20, 1.0))
    )
    thick = runner.run(
        record, first, NoProgress(), device="cpu", exact=True, others=dict.fromkeys(images, ramp(11, 2.0))
    )
    assert (thick.labels == same.labels).mean() > 0.999
    plain = runner.run(record, first, NoProgress(), device="cpu", exact=True, others=images)
    assert (plain.labels == same.labels).mean() < 0.99


def test_a_network_in_the_bundles_own_code_runs_once_it_is_trusted(tmp_path: Path, small_phantom: Phantom) -> None:
    torch.manual_seed(3)
    config, network = zoo.with_own_code()
    folder = _installed(tmp_path, "renalStructures_UNEST_segmentation", config, network, "json", 2)
    code = folder / "bundle" / "scripts" / "networks"
    code.mkdir(parents=True)
    (folder / "bundle" / "scripts" / "__init__.py").write_text("", encoding="utf-8")
    (code / "unest.py").write_text(
        "from monai.networks.nets import UNet\n"
        "class UNesT(UNet):\n"
        "    def __init__(self, in_channels, out_channels):\n"
        "        super().__init__(spatial_dims=3, in_channels=in_channels, out_channels=out_channels,\n"
        "                         channels=[4, 8, 16], strides=[2, 2], num_res_units=2, norm='batch')\n",
        encoding="utf-8",
    )
    plain_config, _ = zoo.spleen()
    plain = inspect(_installed(tmp_path, "spleen_ct_segmentation", plain_config, network, "json", 2))
    wanted = runner.run(plain, small_phantom.volume, NoProgress(), device="cpu", exact=True)
    for _ in range(2):
        found = runner.run(_trusted(folder), small_phantom.volume, NoProgress(), device="cpu", exact=True)
        np.testing.assert_array_equal(found.labels, wanted.labels)
    assert not list(folder.rglob("__pycache__"))


def test_a_searched_network_runs_once_it_is_trusted(tmp_path: Path, small_phantom: Phantom) -> None:
    from monai.networks.nets import DiNTS, TopologyInstance

    torch.manual_seed(3)
    codes = {
        "arch_code_a": torch.ones(6, 7).numpy(),
        "arch_code_c": torch.full((6, 7), 2).numpy(),
        "node_a": torch.ones(7, 3),
    }
    space = TopologyInstance(
        channel_mul=0.2,
        num_blocks=6,
        num_depths=3,
        use_downsample=True,
        arch_code=[codes["arch_code_a"], codes["arch_code_c"]],
    )
    network = DiNTS(space, 1, 2, use_downsample=True, node_a=codes["node_a"])
    folder = _installed(tmp_path, "pancreas_ct_dints_segmentation", zoo.with_searched_network(), network, "yaml", 2)
    torch.save(codes, folder / "bundle" / "models" / "search_code.pt")
    result = runner.run(_trusted(folder), small_phantom.volume, NoProgress(), device="cpu", exact=True)
    assert result.labels.shape == small_phantom.volume.geometry.shape


def test_torchscript_and_a_pickle_run_once_they_are_trusted(tmp_path: Path, small_phantom: Phantom) -> None:
    torch.manual_seed(3)
    config, network = zoo.spleen()
    network.eval()
    plain = _installed(tmp_path, "spleen_ct_segmentation", config, network, "json", 2)
    wanted = runner.run(inspect(plain), small_phantom.volume, NoProgress(), device="cpu", exact=True)
    with pytest.deprecated_call():
        script = torch.jit.trace(network, torch.zeros(1, 1, 32, 32, 32))
    for kind in ("model.ts", "model.pt"):
        bundle = zoo.write(tmp_path / kind / "b", config, network, "json", names=["background", "spleen"])
        (bundle / "models" / "model.pt").unlink()
        if kind == "model.ts":
            with warnings.catch_warnings(action="ignore"):
                script.save(str(bundle / "models" / kind))
        else:
            torch.save({"state_dict": network.state_dict(), "made_by": Path("somewhere")}, bundle / "models" / kind)
        folder = install(bundle, tmp_path / kind / "plugins").folder
        found = runner.run(_trusted(folder), small_phantom.volume, NoProgress(), device="cpu", exact=True)
        np.testing.assert_array_equal(found.labels, wanted.labels)
