"""What is wrong with a plugin is found before a reader finds it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from medview.core.errors import MedViewError
from medview.core.folders import shipped_plugins_folder
from medview.core.progress import NoProgress
from medview.workstation import plugin_templates
from medview.workstation.plugin_check import Finding, Grade, check
from tests.support import zoo, zoo_tasks
from tests.support.bundles import python_plugin


def _errors(found: tuple[Finding, ...]) -> list[str]:
    return [str(one.text) for one in found if one.grade is Grade.ERROR]


def _warnings(found: tuple[Finding, ...]) -> list[str]:
    return [str(one.text) for one in found if one.grade is Grade.WARNING]


def test_the_plugin_to_begin_with_passes_every_trial(tmp_path: Path) -> None:
    folder = plugin_templates.from_python("My bones", tmp_path)
    assert folder == tmp_path / "my_bones"
    found = check(folder, NoProgress(), run=True, device="cpu")
    assert _errors(found) == []
    said = " ".join(str(one.text) for one in found)
    assert all(one in said for one in ("mirrored", "tilted", "three times as thick", "same answer"))
    with pytest.raises(MedViewError, match="is there already"):
        plugin_templates.from_python("my_bones", tmp_path)


def test_the_shipped_plugins_pass_every_trial() -> None:
    for name in ("ct_lungs", "mr_hippocampus"):
        assert _errors(check(shipped_plugins_folder() / name, NoProgress(), run=True, device="cpu")) == [], name


def test_one_that_takes_the_order_of_voxels_for_the_body_is_found_out(tmp_path: Path) -> None:
    source = (
        "import numpy as np\n"
        "def run(case, context):\n"
        "    found = np.zeros(case['image'].voxels.shape, np.uint8)\n"
        "    found[: len(found) // 3, :, : found.shape[2] // 2] = 1\n"
        "    return found\n"
    )
    found = check(python_plugin(tmp_path / "p", source), NoProgress(), run=True, device="cpu")
    (mirrored,) = [one for one in _warnings(found) if "mirrored" in one]
    assert "agreement 0.000" in mirrored


def test_one_that_rolls_dice_is_found_out(tmp_path: Path) -> None:
    source = (
        "import numpy as np\n"
        "def run(case, context):\n"
        "    return np.random.default_rng().random(case['image'].voxels.shape) > 0.5\n"
    )
    found = check(python_plugin(tmp_path / "p", source), NoProgress(), run=True, device="cpu")
    assert _errors(found) == ["The same image gave two different answers."]


def test_mistakes_in_a_module_are_named_with_their_line(tmp_path: Path) -> None:
    broken = python_plugin(tmp_path / "a", "x = 1\ndef run(case, context)\n    pass\n")
    assert "tiny.py, line 2: this is not Python" in _errors(check(broken, NoProgress()))[0]
    other = python_plugin(tmp_path / "b", "import medview.core.volume\ndef go(case, context): ...\n")
    found = check(other, NoProgress())
    assert _errors(found) == ["tiny.py has no function run."]
    assert any("line 1: import medview.api alone; medview.core.volume" in one for one in _warnings(found))


def test_mistakes_in_a_bundle_are_named(tmp_path: Path) -> None:
    config, network = zoo.spleen()
    bundle = zoo.write(tmp_path / "b", config, network, "json", names=["background", "spleen"])
    folder = plugin_templates.from_bundle("Spleen", bundle, tmp_path)
    found = check(folder, NoProgress())
    assert _errors(found) == []
    assert any("licence of its weights is unknown" in one for one in _warnings(found))
    assert "Every weight fits the network." in [str(one.text) for one in found]

    text = (folder / "plugin.toml").read_text(encoding="utf-8")
    (folder / "plugin.toml").write_text(text.replace("value = 1", "value = 2"), encoding="utf-8")
    assert _errors(check(folder, NoProgress())) == ["Its label 2 cannot come out of a network with 2 channels."]
    (folder / "plugin.toml").write_text(text, encoding="utf-8")
    state = dict(network.state_dict())
    state.pop(next(iter(state)))
    torch.save(state, folder / "bundle" / "models" / "model.pt")
    assert "do not fit the bundle's network" in _errors(check(folder, NoProgress()))[0]
    path = folder / "bundle" / "configs" / "inference.json"
    path.write_text(json.dumps({**config, "inferer": {"_target_": "SlidingWindowInferer"}}), encoding="utf-8")
    assert "inferer of the bundle cannot be made" in _errors(check(folder, NoProgress()))[0]


def test_a_bundle_that_classifies_pictures_is_tried_on_pictures(tmp_path: Path) -> None:
    config, network, said = zoo_tasks.classification_template()
    bundle = zoo_tasks.write(tmp_path / "b", config, network, said)
    folder = plugin_templates.from_bundle("Shapes", bundle, tmp_path)
    found = check(folder, NoProgress(), run=True, device="cpu")
    assert _errors(found) == []
    texts = [str(one.text) for one in found]
    assert "A run on made-up images ended." in texts
    assert "The same image gives the same answer." in texts
    text = (folder / "plugin.toml").read_text(encoding="utf-8")
    (folder / "plugin.toml").write_text(text.replace("value = 3", "value = 4"), encoding="utf-8")
    found = check(folder, NoProgress(), run=True, device="cpu")
    assert any("4 values for its classes" in one for one in _errors(found))
