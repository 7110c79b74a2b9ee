"""Plans and datasets of nnU-Net v2 are read as data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from medview.catalog import nnunet_folder
from medview.catalog.plugins import PluginState, inspect
from medview.core.errors import PluginUnavailableError
from tests.support import nnunet_folders

FULL = nnunet_folders.configuration((1.5, 1.0, 1.0), (16, 24, 24))
LABELS = {"background": 0, "liver": 1, "tumour": 2}


def written(folder: Path, plans: dict[str, Any], dataset: dict[str, Any], name: str = "3d_fullres") -> Path:
    path = folder / f"nnUNetTrainer__nnUNetPlans__{name}"
    (path / "fold_0").mkdir(parents=True)
    (path / "plans.json").write_text(json.dumps(plans), encoding="utf-8")
    (path / "dataset.json").write_text(json.dumps(dataset), encoding="utf-8")
    (path / "fold_0" / "checkpoint_final.pth").touch()
    return path


def test_a_configuration_has_what_it_inherits(tmp_path: Path) -> None:
    plans = nnunet_folders.plans(
        {"3d_fullres": FULL, "large": {"inherits_from": "3d_fullres", "patch_size": [32, 48, 48]}}
    )
    model = nnunet_folder.read(written(tmp_path, plans, nnunet_folders.dataset(LABELS), "large"))
    assert model.configuration_name == "large"
    found = model.configuration("large")
    assert found.patch_size == (32, 48, 48)
    assert found.spacing == (1.5, 1.0, 1.0)
    assert not found.is_flat


@pytest.mark.parametrize("entry", [{"inherits_from": "large"}, {"inherits_from": "elsewhere"}])
def test_a_configuration_that_inherits_from_nothing_is_refused(tmp_path: Path, entry: dict[str, Any]) -> None:
    plans = nnunet_folders.plans({"3d_fullres": FULL, "large": entry})
    model = nnunet_folder.read(written(tmp_path, plans, nnunet_folders.dataset(LABELS)))
    with pytest.raises(PluginUnavailableError, match="no configuration"):
        model.configuration("large")


def test_plans_of_before_2_3_describe_the_same_network(tmp_path: Path) -> None:
    """Kept from an older release's plans: the network was fixed there, and only its sizes were written."""
    older = {key: value for key, value in FULL.items() if key != "architecture"} | {
        "UNet_class_name": "PlainConvUNet", "UNet_base_num_features": 32, "unet_max_num_features": 100,
        "n_conv_per_stage_encoder": [2, 2, 2], "n_conv_per_stage_decoder": [2, 2],
        "num_pool_per_axis": [1, 2, 2], "pool_op_kernel_sizes": [[1, 1, 1], [1, 2, 2], [2, 2, 2]],
        "conv_kernel_sizes": [[1, 3, 3], [3, 3, 3], [3, 3, 3]],
    }  # fmt: skip
    model = nnunet_folder.read(
        written(tmp_path, nnunet_folders.plans({"3d_fullres": older}), nnunet_folders.dataset(LABELS))
    )
    found = model.configuration("3d_fullres").architecture
    assert found.network_class_name == "PlainConvUNet"
    assert found.arch_kwargs["features_per_stage"] == [32, 64, 100]
    assert found.arch_kwargs["strides"] == ((1, 1, 1), (1, 2, 2), (2, 2, 2))
    assert found.arch_kwargs["conv_bias"] is True
    assert found.arch_kwargs["norm_op"] == "torch.nn.InstanceNorm3d"


def test_labels_regions_and_what_was_not_annotated() -> None:
    plain = nnunet_folder.Dataset.model_validate({"channel_names": {"0": "CT"}, "labels": {**LABELS, "ignore": 3}})
    assert (plain.heads, plain.foreground, plain.written, plain.has_regions) == (3, (1, 2), (1, 2), False)
    regions = nnunet_folder.Dataset.model_validate(
        {
            "channel_names": {"0": "T1", "1": "T2"},
            "labels": {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": 3, "ignore": 4},
            "regions_class_order": [1, 2, 3],
        }
    )
    assert (regions.heads, regions.foreground, regions.written) == (3, (1, 2, 3), (1, 2, 3))
    assert regions.has_regions


def test_folds(tmp_path: Path) -> None:
    path = written(tmp_path, nnunet_folders.plans({"3d_fullres": FULL}), nnunet_folders.dataset(LABELS))
    for name in ("fold_3", "fold_all", "fold_4"):
        (path / name).mkdir()
        if name != "fold_4":
            (path / name / "checkpoint_final.pth").touch()
    model = nnunet_folder.read(path)
    assert [file.parent.name for file in model.checkpoints()] == ["fold_0", "fold_3"]
    assert [file.parent.name for file in model.checkpoints(("all",))] == ["fold_all"]
    (path / "fold_0" / "checkpoint_final.safetensors").touch()
    assert model.checkpoints((0,))[0].suffix == ".safetensors"
    with pytest.raises(PluginUnavailableError, match="no weights of fold 4"):
        model.checkpoints((4,))
    with pytest.raises(PluginUnavailableError, match="no weights of fold 0"):
        model.checkpoints((0,), "checkpoint_best.pth")


def _without(key: str) -> dict[str, Any]:
    return {name: value for name, value in FULL.items() if name != key}


DAMAGED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "no spacing": ({"3d_fullres": _without("spacing")}, LABELS, "spacing"),
    "a size of nothing": ({"3d_fullres": {**FULL, "patch_size": [0, 24, 24]}}, LABELS, "patch_size"),
    "sizes that differ": ({"3d_fullres": {**FULL, "patch_size": [24, 24]}}, LABELS, "damaged"),
    "no configuration": ({}, LABELS, "damaged"),
    "labels that are none": ({"3d_fullres": FULL}, {"background": "black"}, "labels"),
    "regions without an order": ({"3d_fullres": FULL}, {"background": 0, "whole": [1, 2]}, "damaged"),
    "a first stage outside": ({"3d_fullres": {**FULL, "previous_stage": "../../x"}}, LABELS, "damaged"),
    "a first stage that is missing": (
        {"3d_fullres": {**FULL, "previous_stage": "3d_lowres"}, "3d_lowres": FULL}, LABELS, "3d_lowres is missing",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGED)
def test_what_is_damaged_is_blocked_with_a_sentence(tmp_path: Path, name: str) -> None:
    configurations, labels, said = DAMAGED[name]
    path = written(tmp_path, nnunet_folders.plans(configurations), nnunet_folders.dataset(labels))
    (tmp_path / "plugin.toml").write_text(nnunet_folders.manifest(f'path = "{path.name}"', [1, 2]), encoding="utf-8")
    record = inspect(tmp_path)
    assert record.state is PluginState.BLOCKED
    assert said in str(record.reason)


@pytest.mark.parametrize("content", ["{", "[]", ""])
@pytest.mark.parametrize("file", ["plans.json", "dataset.json"])
def test_a_file_that_is_none_is_named(tmp_path: Path, file: str, content: str) -> None:
    path = written(tmp_path, nnunet_folders.plans({"3d_fullres": FULL}), nnunet_folders.dataset(LABELS))
    (path / file).write_text(content, encoding="utf-8")
    with pytest.raises(PluginUnavailableError, match=file):
        nnunet_folder.read(path)
    (path / file).unlink()
    with pytest.raises(PluginUnavailableError, match=f"it has no {file}"):
        nnunet_folder.read(path)


@pytest.mark.parametrize(
    ("labels", "inputs", "said"),
    [([1], ["image"], "does not name the labels 2"), ([1, 2], ["ct"], ""), ([1, 2, 3], ["image"], "")],
)
def test_the_manifest_names_what_the_model_finds(
    tmp_path: Path, labels: list[int], inputs: list[str], said: str
) -> None:
    path = written(tmp_path, nnunet_folders.plans({"3d_fullres": FULL}), nnunet_folders.dataset(LABELS))
    text = nnunet_folders.manifest(f'path = "{path.name}"', labels, inputs)
    (tmp_path / "plugin.toml").write_text(text, encoding="utf-8")
    record = inspect(tmp_path)
    assert record.state is (PluginState.BLOCKED if said else PluginState.READY), record.reason
    assert said in str(record.reason)


def test_a_model_of_two_channels_does_not_run_on_one_image(tmp_path: Path) -> None:
    two = nnunet_folders.configuration((1, 1, 1), (16, 16, 16), schemes=("NoNormalization",) * 2)
    dataset = nnunet_folders.dataset(LABELS, channels=2)
    path = written(tmp_path, nnunet_folders.plans({"3d_fullres": two}), dataset)
    (tmp_path / "plugin.toml").write_text(nnunet_folders.manifest(f'path = "{path.name}"', [1, 2]), encoding="utf-8")
    assert "needs 2 images and gets 1" in str(inspect(tmp_path).reason)
