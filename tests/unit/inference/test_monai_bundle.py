from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.inferers import SlidingWindowInferer
from monai.networks.nets import UNet
from monai.transforms import (
    AsDiscreted,
    Compose,
    EnsureChannelFirstd,
    Invertd,
    NormalizeIntensityd,
    Orientationd,
    Spacingd,
)
from safetensors.torch import save_file

from medview.catalog.plugins import PluginState, inspect
from medview.core.errors import Cancelled, PluginFailedError, PluginUnavailableError
from medview.core.geometry import Box
from medview.core.progress import NoProgress
from medview.core.segmentation import Labels
from medview.core.text import Text
from medview.core.volume import Volume
from medview.inference import runner, tensors
from tests.support.bundles import bundle_config, bundle_plugin
from tests.support.volumes import oblique, volume


def _network(seed: int = 3) -> UNet:
    torch.manual_seed(seed)
    return UNet(spatial_dims=3, in_channels=1, out_channels=3, channels=[4, 8], strides=[2], num_res_units=0).eval()


@pytest.fixture
def image() -> Volume:
    voxels = np.random.default_rng(5).normal(0, 200, (14, 33, 30)).astype(np.int16)
    return volume(voxels, spacing_mm=(4.0, 1.3, 1.1), direction=oblique())


def _plugin(folder: Path, config: dict[str, Any]) -> Path:
    bundle_plugin(folder, config)
    torch.save(_network().state_dict(), folder / "models" / "model.pt")
    return folder


def _with_monai_alone(image: Volume) -> np.ndarray:
    before = Compose(
        [
            EnsureChannelFirstd(keys="image"),
            Orientationd(keys="image", axcodes="RAS", labels=None),
            Spacingd(keys="image", pixdim=[2.0, 2.0, 2.0], mode="bilinear"),
            NormalizeIntensityd(keys="image"),
        ]
    )
    data = before({"image": tensors.to_tensor(image)})
    with torch.no_grad():
        logits = SlidingWindowInferer([16, 16, 16], 2, 0.5, "gaussian")(data["image"].as_tensor()[None], _network())
    data["pred"] = MetaTensor(torch.softmax(logits[0], dim=0))
    data = Invertd(keys="pred", transform=before, orig_keys="image", nearest_interp=False)(data)
    found = AsDiscreted(keys="pred", argmax=True)(data)["pred"]
    assert isinstance(found, torch.Tensor)
    return tensors.to_labels(found).astype(np.uint8)


def test_a_bundle_gives_what_monai_gives(tmp_path: Path, image: Volume) -> None:
    record = inspect(_plugin(tmp_path / "b", bundle_config()))
    assert record.state is PluginState.READY, record.reason
    result = runner.run(record, image, NoProgress(), device="cpu")
    wanted = _with_monai_alone(image)
    assert len(np.unique(wanted)) > 1
    np.testing.assert_array_equal(result.labels, wanted)
    assert result.device == "cpu"
    assert result.model.plugin_id == "bundle"
    assert len(result.model.sha256) == 64


def test_slabs_are_shown_as_they_are_finished(tmp_path: Path, image: Volume) -> None:
    shown = np.full(image.geometry.shape, 99, dtype=np.uint16)
    slabs: list[Box] = []

    def seen(box: Box, labels: Labels) -> None:
        assert (shown[box.slices] == 99).all()
        shown[box.slices] = labels
        slabs.append(box)

    result = runner.run(inspect(_plugin(tmp_path / "b", bundle_config())), image, NoProgress(), preview=seen)
    assert len(slabs) > 1
    np.testing.assert_array_equal(shown, result.labels)


def test_weights_in_safetensors_and_a_loader_that_adds_the_channel(tmp_path: Path, image: Volume) -> None:
    config = bundle_config()
    steps = config["preprocessing"]["transforms"]
    steps[0] = {"_target_": "LoadImaged", "keys": ["@image_key"], "ensure_channel_first": True}
    del steps[1]
    folder = bundle_plugin(tmp_path / "b", config)
    save_file(_network().state_dict(), folder / "models" / "model.safetensors")
    result = runner.run(inspect(folder), image, NoProgress(), device="cpu")
    np.testing.assert_array_equal(result.labels, _with_monai_alone(image))


def test_without_an_inversion_of_its_own_the_result_still_comes_back(tmp_path: Path, image: Volume) -> None:
    config = bundle_config()
    del config["postprocessing"]["transforms"][1]
    result = runner.run(inspect(_plugin(tmp_path / "b", config)), image, NoProgress(), device="cpu")
    np.testing.assert_array_equal(result.labels, _with_monai_alone(image))


def test_without_postprocessing_the_largest_value_wins(tmp_path: Path, image: Volume) -> None:
    config = bundle_config()
    del config["postprocessing"]
    result = runner.run(inspect(_plugin(tmp_path / "b", config)), image, NoProgress(), device="cpu")
    same = (result.labels == _with_monai_alone(image)).mean()
    assert same > 0.98  # values are interpolated before instead of after softmax


HOSTILE: dict[str, dict[str, Any]] = {
    "an expression": {"network_def": "$__import__('pathlib').Path('CANARY').touch()"},
    "an expression deep inside": {
        "inferer": {"_target_": "SlidingWindowInferer", "roi_size": "$__import__('pathlib').Path('CANARY').touch()"}
    },
    "an expression behind a reference": {
        "size": "$__import__('pathlib').Path('CANARY').touch()",
        "inferer": {"_target_": "SlidingWindowInferer", "roi_size": "@size"},
    },
    "a function of the system": {"network_def": {"_target_": "os.system", "command": "touch CANARY"}},
    "a function behind an allowed name": {
        "network_def": {"_target_": "monai.transforms.io.array.Path.touch", "self": "CANARY"}
    },
    "a path through an allowed module": {
        "network_def": {"_target_": "monai.transforms.utils.os.system", "command": "touch CANARY"}
    },
    "a function of MONAI": {"network_def": {"_target_": "monai.bundle.run", "config_file": "x.json"}},
    "a macro": {"network_def": "%other.json#network_def"},
    "the debugger": {"network_def": {"_target_": "UNet", "_mode_": "debug"}},
    "weights from the network": {"network_def": {"_target_": "ResNet", "pretrained": True}},
    "a loader inside": {"inferer": {"_target_": "SimpleInferer", "x": {"_target_": "LoadImage"}}},
    "code of the bundle": {"network_def": {"_target_": "scripts.net.Net"}},
    "a reference to itself": {"network_def": "@network_def"},
}


@pytest.mark.parametrize("changes", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_configuration_that_runs_code_is_refused_and_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, image: Volume, changes: dict[str, Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = _plugin(tmp_path / "b", json.loads(json.dumps(bundle_config(**changes))))
    record = inspect(folder)
    with pytest.raises(PluginUnavailableError) as caught:
        runner.run(record, image, NoProgress(), device="cpu")
    assert "trust" in str(caught.value)
    assert not (tmp_path / "CANARY").exists()


class _Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("CANARY"),)


def test_weights_that_are_a_program_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, image: Volume) -> None:
    monkeypatch.chdir(tmp_path)
    folder = bundle_plugin(tmp_path / "b", bundle_config())
    torch.save({"model": _Bomb()}, folder / "models" / "model.pt")
    with pytest.raises(PluginUnavailableError, match="trust"):
        runner.run(inspect(folder), image, NoProgress(), device="cpu")
    assert not (tmp_path / "CANARY").exists()


def test_weights_of_another_network_are_refused(tmp_path: Path, image: Volume) -> None:
    folder = _plugin(tmp_path / "b", bundle_config())
    state = dict(_network().state_dict())
    state.pop(next(iter(state)))
    torch.save(state, folder / "models" / "model.pt")
    with pytest.raises(PluginUnavailableError, match="do not fit"):
        runner.run(inspect(folder), image, NoProgress(), device="cpu")


def test_values_that_are_no_numbers_are_no_answer(tmp_path: Path, image: Volume) -> None:
    folder = _plugin(tmp_path / "b", bundle_config())
    state = dict(_network().state_dict())
    last = list(state)[-1]
    state[last] = torch.full_like(state[last], float("nan"))
    torch.save(state, folder / "models" / "model.pt")
    with pytest.raises(PluginFailedError, match="values that are not numbers"):
        runner.run(inspect(folder), image, NoProgress(), device="cpu")


def test_missing_weights_and_missing_parts_block_the_plugin(tmp_path: Path) -> None:
    record = inspect(bundle_plugin(tmp_path / "no-weights", bundle_config()))
    assert record.state is PluginState.BLOCKED
    assert "model.safetensors are missing" in str(record.reason)
    config = bundle_config()
    del config["inferer"]
    record = inspect(_plugin(tmp_path / "no-inferer", config))
    assert record.state is PluginState.BLOCKED
    assert "has no inferer" in str(record.reason)


class _StopsAfter:
    """Cancels when the network has been called this often."""

    def __init__(self, windows: int) -> None:
        self.left = windows
        self.fractions: list[float] = []

    def report(self, fraction: float | None, message: Text | str = "") -> None:
        if str(message) == "Running the network":
            self.left -= 1
            self.fractions.append(fraction or 0.0)

    def raise_if_cancelled(self) -> None:
        if self.left < 0:
            raise Cancelled


def test_a_run_ends_between_two_windows_when_cancelled(tmp_path: Path, image: Volume) -> None:
    record = inspect(_plugin(tmp_path / "b", bundle_config()))
    everything = _StopsAfter(10_000)
    runner.run(record, image, everything, device="cpu")
    assert len(everything.fractions) > 4
    assert everything.fractions == sorted(everything.fractions)
    assert everything.fractions[0] == pytest.approx(0.1)
    assert everything.fractions[-1] == pytest.approx(0.95 - 0.85 / len(everything.fractions))
    stopped = _StopsAfter(2)
    with pytest.raises(Cancelled):
        runner.run(record, image, stopped, device="cpu")
    assert len(stopped.fractions) == 3
