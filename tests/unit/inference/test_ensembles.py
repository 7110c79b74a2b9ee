"""Mirrored windows and several weights: what MONAI says when its predictor is the mean that is described."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

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

from medview.catalog.effort import Effort, effort_of
from medview.catalog.plugins import PluginState, inspect
from medview.core.errors import PluginUnavailableError
from medview.core.progress import NoProgress
from medview.core.text import Text
from medview.core.volume import Volume
from medview.inference import runner, tensors
from medview.inference.options import RunOptions
from medview.inference.plugin import SegmentationResult
from tests.support import nnunet_folders as folders
from tests.support.bundles import bundle_config, bundle_plugin, python_plugin
from tests.support.volumes import oblique, volume


def network(seed: int, classes: int = 3) -> UNet:
    torch.manual_seed(seed)
    return UNet(
        spatial_dims=3, in_channels=1, out_channels=classes, channels=[4, 8], strides=[2], num_res_units=0
    ).eval()


@pytest.fixture
def image() -> Volume:
    voxels = np.random.default_rng(5).normal(0, 200, (12, 30, 27)).astype(np.int16)
    return volume(voxels, spacing_mm=(4.0, 1.3, 1.1), direction=oblique())


def plugin(folder: Path, *lines: str, regions: bool = False) -> Path:
    config = bundle_config()
    if regions:
        steps = config["postprocessing"]["transforms"]
        steps[0] = {"_target_": "Activationsd", "keys": "pred", "sigmoid": True}
        steps[2] = {"_target_": "AsDiscreted", "keys": "pred", "threshold": 0.5}
        config["network_def"]["out_channels"] = 2
    bundle_plugin(folder, config, lines=lines)
    classes = 2 if regions else 3
    torch.save(network(3, classes).state_dict(), folder / "models" / "model.pt")
    torch.save(network(8, classes).state_dict(), folder / "models" / "fold1.pt")
    if regions:
        manifest = folder / "plugin.toml"
        text = manifest.read_text(encoding="utf-8")
        manifest.write_text(text.replace("\nvalue =", "\noverlap = true\nvalue ="), encoding="utf-8")
    return folder


def by_monai(image: Volume, seeds: Sequence[int], axes: Sequence[int], *, regions: bool = False) -> np.ndarray:
    """(k, j, i) labels, or layers."""
    before = Compose(
        [
            EnsureChannelFirstd(keys="image"),
            Orientationd(keys="image", axcodes="RAS", labels=None),
            Spacingd(keys="image", pixdim=[2.0, 2.0, 2.0], mode="bilinear"),
            NormalizeIntensityd(keys="image"),
        ]
    )
    data = before({"image": tensors.to_tensor(image)})
    networks = [network(seed, 2 if regions else 3) for seed in seeds]
    turns = [[one + 2 for one in turn] for count in range(len(axes) + 1) for turn in combinations(axes, count)]

    alone = len(networks) * len(turns) == 1  # then it is as ever: windows are blended first, and activated after that

    def mean(windows: torch.Tensor) -> torch.Tensor:
        found = []
        for turn in turns:
            for one in networks:
                values = one(torch.flip(windows, turn))
                if not alone:
                    values = torch.sigmoid(values) if regions else torch.softmax(values, dim=1)
                found.append(torch.flip(values, turn))
        return torch.stack(found).mean(0)

    with torch.no_grad():
        found = SlidingWindowInferer([16, 16, 16], 2, 0.5, "gaussian")(data["image"].as_tensor()[None], mean)
    data["pred"] = MetaTensor(torch.softmax(found[0], dim=0) if alone else found[0])
    data = Invertd(keys="pred", transform=before, orig_keys="image", nearest_interp=False)(data)
    rule = {"threshold": 0.5} if regions else {"argmax": True}
    labels = AsDiscreted(keys="pred", **rule)(data)["pred"]
    assert isinstance(labels, torch.Tensor)
    if regions:
        return np.stack([tensors.to_labels(one).astype(np.uint8) for one in labels])
    return tensors.to_labels(labels).astype(np.uint8)


def run(
    folder: Path, image: Volume, *, mirroring: bool | None = None, ensemble: bool | None = None
) -> SegmentationResult:
    record = inspect(folder)
    assert record.state is PluginState.READY, record.reason
    options = RunOptions(mirroring=mirroring, ensemble=ensemble)
    return runner.run(record, image, NoProgress(), device="cpu", exact=True, options=options)


def same(first: np.ndarray, second: np.ndarray) -> None:
    """Up to single voxels, where the last bit of a sum in another order decides."""
    assert len(np.unique(second)) > 1
    assert np.count_nonzero(first != second) <= 3


@pytest.mark.parametrize(("mirroring", "ensemble"), [(True, False), (False, True), (True, True), (False, False)])
def test_mirrored_windows_and_further_weights_are_averaged_after_the_activation(
    tmp_path: Path, image: Volume, mirroring: bool, ensemble: bool
) -> None:
    folder = plugin(tmp_path / "b", "mirror-axes = [0, 2]", 'further-weights = ["models/fold1.pt"]')
    found = run(folder, image, mirroring=mirroring, ensemble=ensemble)
    wanted = by_monai(image, (3, 8) if ensemble else (3,), (0, 2) if mirroring else ())
    same(found.labels, wanted)
    assert found.options == RunOptions(mirroring=mirroring, ensemble=ensemble)
    if mirroring or ensemble:
        assert np.count_nonzero(wanted != by_monai(image, (3,), ())) > 100


def test_what_the_manifest_says_holds_when_nobody_says_anything(tmp_path: Path, image: Volume) -> None:
    lines = ("mirror-axes = [1]", 'further-weights = ["models/fold1.pt"]')
    same(run(plugin(tmp_path / "a", *lines), image).labels, by_monai(image, (3, 8), ()))
    other = plugin(tmp_path / "b", *lines, "ensemble = false", "mirroring = true")
    same(run(other, image).labels, by_monai(image, (3,), (1,)))


def test_structures_that_overlap_are_averaged_each_for_itself(tmp_path: Path, image: Volume) -> None:
    folder = plugin(tmp_path / "b", "mirror-axes = [1]", 'further-weights = ["models/fold1.pt"]', regions=True)
    found = run(folder, image, mirroring=True)
    wanted = by_monai(image, (3, 8), (1,), regions=True)
    assert wanted.shape == (2, *image.geometry.shape)
    for number, layer in enumerate(found.layers):
        same((layer > 0).astype(np.uint8), wanted[number])


def test_a_bundle_whose_end_is_its_own_says_that_it_ran_once(tmp_path: Path, image: Volume) -> None:
    folder = plugin(tmp_path / "b", "mirror-axes = [0]", 'further-weights = ["models/fold1.pt"]')
    config = bundle_config()
    config["postprocessing"]["transforms"].insert(0, {"_target_": "CopyItemsd", "keys": "pred", "names": "raw"})
    (folder / "configs" / "inference.json").write_text(json.dumps(config), encoding="utf-8")
    found = run(folder, image, mirroring=True)
    same(found.labels, by_monai(image, (3,), ()))
    assert any("ran once for every window" in str(note) for note in found.notes)


def test_the_cost_is_known_before_the_run(tmp_path: Path, image: Volume) -> None:
    lines = ("mirror-axes = [0, 1, 2]", 'further-weights = ["models/fold1.pt"]')
    effort = effort_of(inspect(plugin(tmp_path / "b", *lines)))
    assert effort == Effort(8, False, 2, False, True, True)
    assert RunOptions().calls(effort) == 2
    assert RunOptions(mirroring=True).calls(effort) == 16
    assert RunOptions(mirroring=True, ensemble=False).calls(effort) == 8
    said: list[str] = []

    class Listening(NoProgress):
        def report(self, fraction: float | None, message: Text | str = "") -> None:
            said.append(str(message))

    large = volume(np.zeros((16, 30, 20), np.int16), spacing_mm=(4.0, 1.3, 1.1))
    runner.run(inspect(tmp_path / "b"), large, Listening(), device="cpu", options=RunOptions(mirroring=True))
    assert any("windows, 16 times each" in one for one in said)
    assert effort_of(inspect(python_plugin(tmp_path / "p", "def run(case, context): ..."))) == Effort()


def test_an_nnunet_folder_uses_one_fold_or_all_and_mirrors_when_asked(tmp_path: Path) -> None:
    settings = folders.configuration((2.0, 2.0, 2.0), (16, 16, 16))
    networks = [folders.network(settings["architecture"], (16, 16, 16), 1, 3, seed) for seed in (5, 6)]
    names = {"background": 0, "one": 1, "two": 2}
    plans = folders.plans({"3d_fullres": settings})
    path = folders.model_folder(tmp_path, plans, "3d_fullres", folders.dataset(names), networks, mirrored=(0, 2))
    engines = {"plain": "", "mirrored": "mirroring = true", "one": "folds = [0]"}
    image = volume(np.random.default_rng(3).normal(0, 100, (16, 16, 20)).astype(np.int16), spacing_mm=(2, 2, 2))
    answers = {}
    for name, line in engines.items():
        text = folders.manifest(f'path = "{path.name}"\n{line}', [1, 2])
        (tmp_path / "plugin.toml").write_text(text, encoding="utf-8")
        answers[name] = run(tmp_path, image).labels
    (tmp_path / "plugin.toml").write_text(folders.manifest(f'path = "{path.name}"', [1, 2]), encoding="utf-8")
    assert effort_of(inspect(tmp_path)) == Effort(8, True, 2, False, True, True)
    np.testing.assert_array_equal(run(tmp_path, image, mirroring=True).labels, answers["mirrored"])
    np.testing.assert_array_equal(run(tmp_path, image, ensemble=False).labels, answers["one"])
    assert (answers["plain"] != answers["one"]).any()
    assert (answers["plain"] != answers["mirrored"]).any()


def test_further_weights_that_hold_a_program_need_trust(tmp_path: Path) -> None:
    folder = plugin(tmp_path / "b", 'further-weights = ["models/more.pt"]')
    torch.save({"weights": Path("x")}, folder / "models" / "more.pt")
    record = inspect(folder)
    assert record.state is PluginState.NEEDS_TRUST
    assert "more.pt" in str(record.reason)


def test_what_a_plugin_cannot_do_is_refused(tmp_path: Path, image: Volume) -> None:
    folder = plugin(tmp_path / "b")
    with pytest.raises(PluginUnavailableError, match="along which axes"):
        run(folder, image, mirroring=True)
    with pytest.raises(PluginUnavailableError, match="no further weights"):
        run(folder, image, ensemble=True)
    missing = plugin(tmp_path / "c", 'further-weights = ["models/fold7.pt"]')
    assert inspect(missing).state is PluginState.BLOCKED
