from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from medview.catalog import plugins
from medview.core.errors import Cancelled, InputError
from medview.core.progress import NoProgress
from medview.learning import bundle, evaluate, recipe, train, training_loop
from tests.support import training_set
from tests.support.progresses import StopAfter


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return training_set.write_set(tmp_path_factory.mktemp("set") / "data")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return training_set.write_bundle(tmp_path / "bundle")


def _state(path: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(path, weights_only=True)
    return state


def test_training_learns_what_held_out_patients_show(data: Path, folder: Path, tmp_path: Path) -> None:
    weights = folder / bundle.WEIGHTS
    torch.manual_seed(3)
    torch.save(bundle.load(folder).new_network().state_dict(), weights)
    pairs = evaluate.held_out_pairs(folder, data)
    before = evaluate.score(plugins.inspect(folder), pairs, NoProgress(), device="cpu")
    arguments = ["--bundle", str(folder), "--data", str(data), "--run", str(tmp_path / "run"), "--install"]
    assert train.main([*arguments, "--device", "cpu"]) == 0
    after = evaluate.score(plugins.inspect(folder), pairs, NoProgress(), device="cpu")
    for name in ("One", "Two"):
        assert evaluate.summarise(before, name).mean < 0.5
        assert evaluate.summarise(after, name).mean > 0.8
    assert list(tmp_path.rglob(".part-*")) == []


def test_an_interrupted_training_ends_with_the_weights_of_an_unbroken_one(
    data: Path, folder: Path, tmp_path: Path
) -> None:
    how = training_set.recipe(iterations=6)
    whole = train.train(folder, data, tmp_path / "whole", NoProgress(), how=how)
    for _ in range(2):
        with pytest.raises(Cancelled):
            train.train(folder, data, tmp_path / "broken", StopAfter(2), how=how)
    assert torch.load(tmp_path / "broken" / "state.pt", weights_only=True)["step"] == 4
    broken = train.train(folder, data, tmp_path / "broken", NoProgress(), how=how)
    first, second = _state(whole), _state(broken)
    assert first.keys() == second.keys()
    assert all(first[name].equal(second[name]) for name in first)


def test_a_state_of_another_recipe_or_a_damaged_one_is_refused(data: Path, folder: Path, tmp_path: Path) -> None:
    how = training_set.recipe(iterations=1)
    train.train(folder, data, tmp_path / "run", NoProgress(), how=how)
    with pytest.raises(InputError, match="another recipe"):
        train.train(folder, data, tmp_path / "run", NoProgress(), how=how.model_copy(update={"seed": 4}))
    state = tmp_path / "run" / "state.pt"
    state.write_bytes(state.read_bytes()[:200])
    with pytest.raises(InputError, match="not the state"):
        train.train(folder, data, tmp_path / "run", NoProgress(), how=how)


def test_nothing_is_trained_on_patients_held_out(data: Path, folder: Path, tmp_path: Path) -> None:
    train.train(folder, data, tmp_path / "run", NoProgress(), how=training_set.recipe(iterations=1))
    seen = set(torch.load(tmp_path / "run" / "state.pt", weights_only=True)["cases"])
    held_out = {pair.name for pair in evaluate.held_out_pairs(folder, data)}
    assert held_out
    assert not seen & held_out
    assert len(seen | held_out) == 8


@pytest.mark.parametrize(
    "loss", [{"_target_": "os.system", "command": "true"}, {"_target_": "$1"}, {}, {"_target_": "DiceLoss", "x": 1}]
)
def test_a_loss_that_is_not_one_of_monai_is_refused(
    data: Path, folder: Path, tmp_path: Path, loss: dict[str, object]
) -> None:
    with pytest.raises(InputError, match="loss"):
        train.train(folder, data, tmp_path / "run", NoProgress(), how=training_set.recipe(loss=loss))


def test_a_training_that_breaks_down_says_so(data: Path, folder: Path, tmp_path: Path) -> None:
    wild = training_set.recipe(learning_rate=1e30, gradient_limit=1e30, warm_up=0, iterations=20)
    with pytest.raises(InputError, match="not a number"):
        train.train(folder, data, tmp_path / "run", NoProgress(), how=wild)


def test_the_learning_rate_rises_and_falls() -> None:
    how = training_set.recipe(iterations=100, warm_up=10, learning_rate=0.1)
    rates = np.array([training_loop.learning_rate(how, step) for step in range(101)])
    assert rates[9] == rates[10] == pytest.approx(0.1)
    assert (np.diff(rates[:10]) > 0).all()
    assert (np.diff(rates[10:]) < 0).all()
    assert rates[55] == pytest.approx(0.05)
    assert rates[100] == pytest.approx(0)


def test_the_command_says_what_is_wrong_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = training_set.write_bundle(tmp_path / "bundle")
    status = train.main(["--bundle", str(folder), "--data", str(tmp_path), "--run", str(tmp_path / "run")])
    assert status == 1
    assert "imagesTr" in capsys.readouterr().err
    assert recipe.read(folder / bundle.RECIPE) == training_set.recipe()
