"""What nnU-Net notes beside a model is done, and read as data; several series are channels of one model."""

from __future__ import annotations

import json
import pickle
import sys
import types
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from medview.catalog.nnunet_postprocessing import KEEPS_LARGEST, read
from medview.catalog.plugins import PluginState, inspect
from medview.core.errors import PluginUnavailableError
from medview.core.progress import NoProgress
from medview.core.volume import Volume
from medview.inference import runner
from medview.inference.nnunet_postprocessing import keep_largest
from medview.workstation.plugin_check import Grade, check
from tests.support import nnunet_folders as folders
from tests.support.volumes import volume

LABELS = {"background": 0, "one": 1, "two": 2}
_NAME = "nnUNetTrainer__nnUNetPlans__3d_fullres"


@pytest.fixture
def function() -> Iterator[Any]:
    """A function that pickles under the name of nnU-Net's, and fails when it is called or imported for real."""
    names = ["nnunetv2", "nnunetv2.postprocessing", "nnunetv2.postprocessing.remove_connected_components"]
    before = {name: sys.modules.get(name) for name in names}
    for name in names:
        sys.modules[name] = types.ModuleType(name)

    def called(*_: Any, **__: Any) -> None:
        raise AssertionError("it was called")

    called.__module__, called.__qualname__, called.__name__ = names[-1], KEEPS_LARGEST, KEEPS_LARGEST
    setattr(sys.modules[names[-1]], KEEPS_LARGEST, called)
    yield called
    for name, module in before.items():
        if module is None:
            del sys.modules[name]
        else:
            sys.modules[name] = module


def _pickle(folder: Path, content: Any, protocol: int = 4) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "postprocessing.pkl").write_bytes(pickle.dumps(content, protocol=protocol))
    return folder


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_pickle_and_its_json_say_the_same(tmp_path: Path, function: Any, protocol: int) -> None:
    settings = [{"labels_or_regions": [1, 2, 3]}, {"labels_or_regions": 2}, {"labels_or_regions": (1, 3)}]
    made = _pickle(tmp_path / "p", ([function] * 3, settings), protocol)
    assert read(made) == ((1, 2, 3), (2,), (1, 3))
    results = tmp_path / "j" / "crossval_results_folds_0_1_2_3_4"
    results.mkdir(parents=True)
    text = json.dumps({"postprocessing_fns": [KEEPS_LARGEST] * 3, "postprocessing_kwargs": settings, "mean": {}})
    (results / "postprocessing.json").write_text(text, encoding="utf-8")
    assert read(tmp_path / "j") == read(made)
    assert read(tmp_path) == ()


class _Harm:
    def __init__(self, canary: Path) -> None:
        self._canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self._canary,)


def test_nothing_in_a_pickle_runs(tmp_path: Path, function: Any) -> None:
    canary = tmp_path / "CANARY"

    class Calls:
        def __reduce__(self) -> tuple[Any, ...]:
            return function, (1,)

    harmful: tuple[Any, ...] = (
        ([_Harm(canary)], [{}]),
        ([function], [{"labels_or_regions": _Harm(canary)}]),
        ([Calls()], [{}]),
        ([print], [{}]),
        ([function], [{"labels_or_regions": "1"}]),
        ([function], []),
        (function,),
        7,
    )
    for number, content in enumerate(harmful):
        with pytest.raises(PluginUnavailableError, match=r"postprocessing\.pkl is damaged, or holds another program"):
            read(_pickle(tmp_path / str(number), content))
    for data in (b"", b"\x80\x04.", b"cposix\nsystem\n(S'touch CANARY'\ntR."):
        (tmp_path / "0" / "postprocessing.pkl").write_bytes(data)
        with pytest.raises(PluginUnavailableError):
            read(tmp_path / "0")
    assert not canary.exists()


def test_a_step_that_is_not_known_is_refused(tmp_path: Path) -> None:
    text = json.dumps({"postprocessing_fns": ["fill_holes"], "postprocessing_kwargs": [{"labels_or_regions": 1}]})
    (tmp_path / "postprocessing.json").write_text(text, encoding="utf-8")
    with pytest.raises(PluginUnavailableError, match="the step fill_holes") as caught:
        read(tmp_path)
    assert "postprocessing = false" in str(caught.value.remedy)


def _largest(labels: np.ndarray, step: tuple[int, ...]) -> np.ndarray:
    """By scipy: all but the largest part becomes background."""
    mask = np.isin(labels, step)
    parts, count = ndimage.label(mask, np.ones((3, 3, 3)))
    sizes = ndimage.sum_labels(mask, parts, range(1, count + 1))
    kept = np.isin(parts, 1 + np.flatnonzero(sizes == sizes.max()))
    return np.where(mask & ~kept, 0, labels)


def test_the_largest_part_is_kept_as_scipy_finds_it() -> None:
    random = np.random.default_rng(6)
    smooth = ndimage.gaussian_filter(random.normal(size=(24, 30, 28)), 1.5)
    labels = (np.digitize(smooth, [0.02, 0.1])).astype(np.uint8)
    before = labels.copy()
    for step in ((1,), (2,), (1, 2)):
        np.testing.assert_array_equal(keep_largest(labels, [step]), _largest(labels, step))
    both = keep_largest(labels, [(1, 2), (2,)])
    np.testing.assert_array_equal(both, _largest(_largest(labels, (1, 2)), (2,)))
    np.testing.assert_array_equal(labels, before)
    corner = np.zeros((4, 4, 4), np.uint8)
    corner[0, 0, 0] = corner[1, 1, 1] = corner[3, 3, 3] = 1
    np.testing.assert_array_equal(np.argwhere(keep_largest(corner, [(1,)])), [[0, 0, 0], [1, 1, 1]])
    assert not keep_largest(np.zeros((2, 2, 2), np.uint8), [(1,)]).any()


def _model(folder: Path, channels: int = 1) -> Path:
    schemes = ["ZScoreNormalization"] * channels
    settings = folders.configuration((2.0, 2.0, 2.0), (16, 24, 24), schemes=schemes)
    made = folders.network(settings["architecture"], settings["patch_size"], channels, 3, 5)
    data = folders.dataset(LABELS, channels=channels)
    return folders.model_folder(folder, folders.plans({"3d_fullres": settings}), "3d_fullres", data, [made])


def _image(seed: int, shape: tuple[int, int, int] = (20, 28, 24)) -> Volume:
    values = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 2) * 2000
    return volume(np.where(values.astype(np.int16) == 0, 1, values.astype(np.int16)), spacing_mm=(2.0, 2.0, 2.0))


def test_a_model_does_what_is_noted_beside_it_unless_the_manifest_says_otherwise(tmp_path: Path) -> None:
    path = _model(tmp_path)
    text = folders.manifest(f'path = "{path.name}"\n', [1, 2])
    (tmp_path / "plugin.toml").write_text(text, encoding="utf-8")
    image = _image(1)
    plain = runner.run(inspect(tmp_path), image, NoProgress(), device="cpu", exact=True)
    noted = {"postprocessing_fns": [KEEPS_LARGEST], "postprocessing_kwargs": [{"labels_or_regions": 1}]}
    (path / "postprocessing.json").write_text(json.dumps(noted), encoding="utf-8")
    kept = runner.run(inspect(tmp_path), image, NoProgress(), device="cpu", exact=True)
    np.testing.assert_array_equal(kept.labels, _largest(plain.labels, (1,)))
    assert (kept.labels != plain.labels).any()
    assert any("largest connected parts" in str(note) for note in kept.notes)
    (tmp_path / "plugin.toml").write_text(text.replace("\n[[input", "\npostprocessing = false\n[[input", 1), "utf-8")
    off = runner.run(inspect(tmp_path), image, NoProgress(), device="cpu", exact=True)
    np.testing.assert_array_equal(off.labels, plain.labels)
    (path / "postprocessing.json").write_text("{", encoding="utf-8")
    (tmp_path / "plugin.toml").write_text(text, encoding="utf-8")
    record = inspect(tmp_path)
    assert record.state is PluginState.BLOCKED
    assert "postprocessing = false" in str(record.reason)


def test_several_series_are_the_channels_of_a_model_whatever_grid_they_come_on(tmp_path: Path) -> None:
    path = _model(tmp_path, channels=2)
    text = folders.manifest(f'path = "{path.name}"\n', [1, 2], inputs=("t1", "t2"))
    (tmp_path / "plugin.toml").write_text(text, encoding="utf-8")
    record = inspect(tmp_path)
    assert record.state is PluginState.READY, record.reason

    def ramp(steps: int, step_mm: float) -> Volume:
        values = np.broadcast_to((50 + np.arange(steps) * step_mm * 5)[:, None, None], (steps, 28, 24))
        return volume(np.ascontiguousarray(values, dtype=np.float32), spacing_mm=(step_mm, 2.0, 2.0))

    first = _image(1)

    def run(other: Volume) -> np.ndarray:
        return runner.run(record, first, NoProgress(), device="cpu", exact=True, others={"t2": other}).labels

    same, finer, other = run(ramp(20, 2.0)), run(ramp(39, 1.0)), run(_image(2))
    # a ramp is the same after linear interpolation, whatever grid it comes on
    assert (finer == same).mean() > 0.99
    assert (other != same).mean() > 0.05
    swapped = runner.run(
        record, _image(2), NoProgress(), device="cpu", exact=True, others={"t2": replace(first)}
    ).labels
    assert (swapped != other).any()


def test_check_finds_weights_that_do_not_fit(tmp_path: Path) -> None:
    path = _model(tmp_path)
    (tmp_path / "plugin.toml").write_text(folders.manifest(f'path = "{path.name}"\n', [1, 2]), encoding="utf-8")
    found = check(tmp_path, NoProgress())
    assert [str(one.text) for one in found if one.grade is Grade.ERROR] == []
    assert "Every weight fits the network." in [str(one.text) for one in found]
    plans = json.loads((path / "plans.json").read_text(encoding="utf-8"))
    architecture = plans["configurations"]["3d_fullres"]["architecture"]["arch_kwargs"]
    architecture["features_per_stage"] = [6, 10, 14]
    (path / "plans.json").write_text(json.dumps(plans), encoding="utf-8")
    (error,) = [str(one.text) for one in check(tmp_path, NoProgress()) if one.grade is Grade.ERROR]
    assert "do not fit the network of its plans" in error


def test_check_looks_at_every_part(tmp_path: Path) -> None:
    for number in (291, 292):
        _model(tmp_path / f"Dataset{number}")
    engine = "".join(f'[[engine.paths]]\npath = "Dataset{number}/{_NAME}"\n' for number in (291, 292))
    (tmp_path / "plugin.toml").write_text(folders.manifest(engine, [1, 2]), encoding="utf-8")
    assert [one for one in check(tmp_path, NoProgress()) if one.grade is Grade.ERROR] == []
    checkpoint = tmp_path / "Dataset292" / _NAME / "fold_0" / "checkpoint_final.pth"
    checkpoint.write_bytes(checkpoint.read_bytes()[:2000])
    (error,) = [str(one.text) for one in check(tmp_path, NoProgress()) if one.grade is Grade.ERROR]
    assert "Dataset292" in error
