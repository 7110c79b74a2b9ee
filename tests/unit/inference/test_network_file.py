"""A network in one file, TorchScript or ONNX, is a plugin by its manifest alone."""

from __future__ import annotations

import importlib.util
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from medview.catalog.plugins import PluginRecord, PluginState, inspect
from medview.catalog.trust import TrustBook, files_sha256
from medview.core.errors import PluginNotTrustedError, PluginUnavailableError
from medview.core.progress import NoProgress
from medview.core.volume import Volume
from medview.inference import runner
from medview.workstation.plugin_check import Grade, check
from tests.support import onnx_models
from tests.support.bundles import MANIFEST
from tests.support.volumes import volume

_WEIGHT = np.array([[0.0], [1.0], [2.0]], np.float32)
_BIAS = np.array([0.25, 0.0, -0.75], np.float32)
"""Of values x in 0..1: the first is the largest below 0.25, the last above 0.75."""
_HAS_ONNX = importlib.util.find_spec("onnxruntime") is not None


class _Pointwise(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(1, 3, 1)
        with torch.no_grad():
            self.conv.weight.copy_(torch.from_numpy(_WEIGHT).reshape(3, 1, 1, 1, 1))
            self.conv.bias.copy_(torch.from_numpy(_BIAS))  # type: ignore[union-attr]  # it has one

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(self.conv(x))


def _plugin(folder: Path, kind: str, file: str, settings: str = "clip = [0.0, 1000.0]") -> Path:
    folder.mkdir()
    engine = f'kind = "{kind}"\npath = "{file}"\n{settings}'
    (folder / "plugin.toml").write_text(MANIFEST.format(id="network", engine=engine), encoding="utf-8")
    return folder


def _script(folder: Path, settings: str = "clip = [0.0, 1000.0]") -> Path:
    made = _plugin(folder, "torchscript", "model.ts", settings)
    with warnings.catch_warnings(action="ignore"):  # torch says that TorchScript will go
        torch.jit.trace(_Pointwise().eval(), torch.zeros(1, 1, 4, 4, 4)).save(str(made / "model.ts"))
    return made


def _onnx(folder: Path, data: bytes, settings: str = "clip = [0.0, 1000.0]") -> Path:
    made = _plugin(folder, "onnx", "model.onnx", settings)
    (made / "model.onnx").write_bytes(data)
    return made


def _trusted(record: PluginRecord) -> PluginRecord:
    return replace(record, state=PluginState.READY, trusted=True)


@pytest.fixture
def image() -> Volume:
    values = np.random.default_rng(8).integers(-200, 1200, (12, 18, 20), dtype=np.int16)
    return volume(values, spacing_mm=(2.0, 1.0, 1.5))


def _wanted(image: Volume) -> np.ndarray:
    share = np.clip(image.voxels.astype(np.float32) / 1000, 0, 1)
    return np.where(share > 0.75, 2, np.where(share < 0.25, 0, 1))


_SETTINGS = {
    "whole": "clip = [0.0, 1000.0]",
    "in windows": "clip = [0.0, 1000.0]\nwindow = [8, 8, 8]\noverlap = 0.5",
    "turned": 'clip = [0.0, 1000.0]\norientation = "SAR"\nspacing-mm = [2.0, 1.0, 1.5]\nwindow = [8, 8, 8]',
}


@pytest.mark.parametrize("settings", _SETTINGS.values(), ids=_SETTINGS.keys())
def test_torchscript_gives_what_its_numbers_say(tmp_path: Path, image: Volume, settings: str) -> None:
    record = inspect(_script(tmp_path / "p", settings))
    result = runner.run(_trusted(record), image, NoProgress(), device="cpu", exact=True)
    differing = result.labels != _wanted(image)
    assert differing.mean() < 1e-3  # a value on a border may fall on either side


def test_torchscript_waits_for_trust_in_its_very_bytes(tmp_path: Path, image: Volume) -> None:
    folder = _script(tmp_path / "p")
    book = TrustBook(tmp_path / "trust.json")
    record = inspect(folder, book)
    assert record.state is PluginState.NEEDS_TRUST
    assert "TorchScript, a program" in str(record.reason)
    with pytest.raises(PluginNotTrustedError):
        runner.run(record, image, NoProgress(), device="cpu")
    book.trust(folder, "network", files_sha256(folder))
    record = inspect(folder, book, read_files=True)
    assert record.state is PluginState.READY
    runner.run(record, image, NoProgress(), device="cpu")
    (folder / "model.ts").write_bytes((folder / "model.ts").read_bytes() + b"\0")
    with pytest.raises(PluginNotTrustedError, match="have changed"):
        runner.run(record, image, NoProgress(), device="cpu")


@pytest.mark.parametrize("batch", ["n", 1])
def test_onnx_gives_what_its_numbers_say_or_says_what_is_missing(
    tmp_path: Path, image: Volume, batch: str | int
) -> None:
    settings = "clip = [0.0, 1000.0]\nwindow = [8, 8, 8]"
    record = inspect(_onnx(tmp_path / "p", onnx_models.pointwise(_WEIGHT, _BIAS, batch=batch), settings))
    assert record.state is PluginState.READY, record.reason
    assert not record.trusted
    if not _HAS_ONNX:
        with pytest.raises(PluginUnavailableError, match="onnxruntime is not installed") as caught:
            runner.run(record, image, NoProgress(), device="cpu")
        assert "pip install onnxruntime" in str(caught.value.remedy)
        return
    result = runner.run(record, image, NoProgress(), device="cpu", exact=True)
    assert (result.labels != _wanted(image)).mean() < 1e-3


def test_onnx_that_keeps_weights_elsewhere_is_refused(tmp_path: Path) -> None:
    there = onnx_models.elsewhere("v", "../../secret")
    hidden = {
        "initializer": onnx_models.piece(5, there),
        "attribute": onnx_models.piece(1, onnx_models.piece(5, onnx_models.piece(5, there))),
        "inner graph": onnx_models.piece(1, onnx_models.piece(5, onnx_models.piece(6, onnx_models.piece(5, there)))),
        "sparse": onnx_models.piece(15, onnx_models.piece(1, there)),
    }
    for name, more in hidden.items():
        data = onnx_models.pointwise(_WEIGHT, _BIAS, more=more)
        record = inspect(_onnx(tmp_path / name, data))
        assert record.state is PluginState.BLOCKED, name
        assert "keeps weights in another file" in str(record.reason)


@pytest.mark.parametrize("data", [b"", b"no protocol buffers at all", b"\x3a\xff\x01ab", b"\x08\x08"])
def test_what_is_no_onnx_is_refused(tmp_path: Path, data: bytes) -> None:
    record = inspect(_onnx(tmp_path / "p", data))
    assert record.state is PluginState.BLOCKED
    assert "damaged, or no ONNX" in str(record.reason)


def test_a_missing_file_and_a_bad_line_are_told(tmp_path: Path) -> None:
    record = inspect(_plugin(tmp_path / "p", "onnx", "model.onnx"))
    assert "is missing" in str(record.reason)
    broken = inspect(_plugin(tmp_path / "q", "onnx", "model.onnx", "windows = [8, 8, 8]"))
    assert "Did you mean window?" in str(broken.reason)
    outside = inspect(_plugin(tmp_path / "r", "torchscript", "../model.ts"))
    assert "leads out of the plugin's folder" in str(outside.reason)


def test_check_looks_at_it(tmp_path: Path) -> None:
    found = check(_script(tmp_path / "p"), NoProgress(), run=True, device="cpu")
    assert [str(one.text) for one in found if one.grade is Grade.ERROR] == []
    assert any("must trust it" in str(one.text) for one in found)
