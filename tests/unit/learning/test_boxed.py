from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from medview.core.errors import Cancelled, GridMismatchError, InputError
from medview.core.geometry import Geometry
from medview.core.progress import NoProgress
from medview.formats import image_files
from medview.learning import (
    box_drawing,
    boxed_data,
    boxed_plugin,
    boxed_recipe,
    boxed_scores,
    boxed_training,
    evaluate_boxed,
    train_boxed,
)
from medview.learning.boxed_recipe import BoxedVariation
from medview.learning.boxed_scores import BoxedScore
from medview.learning.boxed_training import BoxedCase, BoxedTraining
from tests.support import boxed_set
from tests.support.progresses import StopAfter
from tests.support.threads import one_thread

__all__ = ["one_thread"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return boxed_set.write_set(tmp_path_factory.mktemp("set") / "data")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return boxed_set.write_plugin(tmp_path / "plugin")


def test_what_is_learned_beats_the_threshold_on_patients_that_were_not_seen(
    data: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--plugin", str(folder), "--data", str(data)]
    assert train_boxed.main([*arguments, "--run", str(tmp_path / "run"), "--install", "--device", "cpu"]) == 0
    capsys.readouterr()
    assert evaluate_boxed.main([*arguments, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    seen = set(torch.load(tmp_path / "run" / "state.pt", weights_only=True)["cases"])
    scored = {case["name"] for case in told["cases"]}
    assert scored
    assert not seen & scored
    assert len(seen | scored) == 8
    assert told["summary"]["network"]["value"] > 0.7
    assert told["summary"]["threshold"]["value"] < 0.3
    wanted = np.mean([case["dice"] - case["threshold_dice"] for case in told["cases"]])
    assert told["summary"]["difference"]["value"] == pytest.approx(wanted)


def test_an_interrupted_training_ends_with_the_weights_of_an_unbroken_one(
    data: Path, folder: Path, tmp_path: Path
) -> None:
    how = boxed_set.recipe(iterations=4, batch_size=2, variation=BoxedVariation(mirror=True, rotation_degrees=20))
    whole = train_boxed.train(folder, data, tmp_path / "whole", NoProgress(), how=how)
    with pytest.raises(Cancelled):
        train_boxed.train(folder, data, tmp_path / "broken", StopAfter(3), how=how)
    broken = train_boxed.train(folder, data, tmp_path / "broken", NoProgress(), how=how)
    first, second = (torch.load(one, weights_only=True) for one in (whole, broken))
    assert all(first[name].equal(second[name]) for name in first)


def test_a_part_of_the_training_patients_is_left_out_to_choose_recipes(data: Path) -> None:
    how = boxed_set.recipe()
    everyone = {pair.name for pair in boxed_data.find_pairs(data)}
    learned, nobody = train_boxed.patients(data, how, None, 3)
    assert not nobody
    parts = [train_boxed.patients(data, how, fold, 3) for fold in range(3)]
    left_out = [pair.name for _, part in parts for pair in part]
    assert sorted(left_out) == sorted(pair.name for pair in learned)
    assert len(learned) < len(everyone)
    for training, part in parts:
        assert not {pair.name for pair in training} & {pair.name for pair in part}


def test_drawn_boxes_miss_the_smallest_box_by_shares_of_its_sides() -> None:
    low, high = np.array([0.0, -10.0, 5.0]), np.array([10.0, 10.0, 105.0])
    random = np.random.default_rng(0)
    drawn = np.array([box_drawing.drawn_around(low, high, (-0.1, 0.3), random) for _ in range(400)])
    outward = np.concatenate([low - drawn[:, 0], drawn[:, 1] - high], axis=1) / np.tile(high - low, 2)
    assert outward.min() >= -0.1
    assert outward.max() <= 0.3
    np.testing.assert_allclose(outward.mean(axis=0), 0.1, atol=0.03)
    assert len(np.unique(outward[0].round(6))) == 6


def test_the_smallest_box_reaches_to_the_faces_of_voxels() -> None:
    mask = np.zeros((6, 5, 4), dtype=bool)
    mask[2:4, 1:4, 0:2] = True
    case = BoxedCase("a", Geometry.from_parts(mask.shape, (3.0, 2.0, 1.0)), mask.astype(np.float32), mask)
    low, high = box_drawing.extent_of(case.points_mm, case.half_voxel_mm)
    np.testing.assert_allclose(low, (-0.5, 1.0, 4.5))
    np.testing.assert_allclose(high, (1.5, 7.0, 10.5))


def test_the_threshold_takes_what_is_hot_enough_inside_the_box_alone() -> None:
    values = np.ones((4, 4, 4), np.float32)
    values[1, 1, 1], values[2, 2, 2], values[3, 3, 3], values[1, 2, 1] = 10.0, 4.2, 9.0, 4.0
    case = BoxedCase("a", Geometry.from_parts((4, 4, 4), (1.0, 1.0, 1.0)), values, values > 4)
    found = boxed_scores.by_threshold(case, (np.full(3, 0.5), np.full(3, 2.5)))
    assert {tuple(place) for place in np.argwhere(found).tolist()} == {(1, 1, 1), (2, 2, 2)}


def test_boxes_for_scores_are_the_same_every_time_and_differ_between_cases() -> None:
    mask = np.ones((4, 4, 4), dtype=bool)
    geometry = Geometry.from_parts(mask.shape, (3.0, 2.0, 1.0))
    first, second = (BoxedCase(name, geometry, mask.astype(np.float32), mask) for name in ("a", "b"))
    how = boxed_set.recipe()
    np.testing.assert_array_equal(boxed_scores.boxes_of(first, how), boxed_scores.boxes_of(first, how))
    assert not np.array_equal(boxed_scores.boxes_of(first, how), boxed_scores.boxes_of(second, how))


def test_the_difference_is_that_within_patients() -> None:
    scores = [BoxedScore(str(number), 0.5 + 0.04 * number, 0.4 + 0.04 * number) for number in range(10)]
    network, threshold, difference = boxed_scores.summary(scores)
    np.testing.assert_allclose((network.value, threshold.value), (0.68, 0.58))
    np.testing.assert_allclose((difference.value, difference.low, difference.high), 0.1)
    assert network.high - network.low > 0.1
    assert "Difference         0.100  (0.100 to 0.100)" in boxed_scores.table(scores)


def test_a_turned_crop_shows_image_and_mask_turned_alike(data: Path, folder: Path) -> None:
    how = boxed_set.recipe(variation=BoxedVariation(mirror=True, rotation_degrees=40), drawn=(0.1, 0.1))
    case = boxed_data.load_cases(boxed_data.find_pairs(data)[:1], NoProgress())[0]
    same = BoxedCase("a", case.geometry, case.mask.astype(np.float32), case.mask)
    with boxed_plugin.loaded(folder) as plugin:
        training = BoxedTraining(plugin.network.make(), plugin.crop, [same], how, torch.device("cpu"))
        images, masks = training._batch()
    torch.testing.assert_close(images[:, 0], masks[:, 0], atol=1e-5, rtol=0)
    filled = [np.argwhere(mask[0].numpy() > 0.5) for mask in masks]
    assert all((places.min(0) >= 1).all() and (places.max(0) <= 22).all() for places in filled)
    shares = masks.mean((1, 2, 3, 4))
    assert (shares > 0.1).all()
    assert shares.std() > 1e-4  # each is turned by its own angles


def test_uptake_is_varied_without_a_change_of_order() -> None:
    values = torch.linspace(0, 10, 125).reshape(5, 5, 5)
    how = BoxedVariation(uptake=(0.5, 2.0), gamma_chance=1.0, gamma=(0.7, 1.4))
    found = boxed_training.varied_uptake(values, how, torch.Generator().manual_seed(1)).flatten()
    assert (found.diff() > 0).all()
    assert 5 <= float(found.max()) <= 20
    still = boxed_training.varied_uptake(values, BoxedVariation(), torch.Generator().manual_seed(1))
    torch.testing.assert_close(still, values)


def test_data_that_cannot_be_used_are_refused(data: Path, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no folders"):
        boxed_data.find_pairs(tmp_path / "nowhere")
    pair = boxed_data.find_pairs(data)[0]
    labels, geometry = image_files.read_labels(pair.mask)
    (tmp_path / "p").mkdir()
    for name, mask, error in (("empty", labels * 0, InputError), ("cut", labels[:-1], GridMismatchError)):
        path = tmp_path / "p" / f"{name}_mask.nii.gz"
        image_files.write_labels(mask, Geometry(mask.shape, geometry.affine), path)
        broken = type(pair)(name, pair.image, path, name)
        with pytest.raises(error, match=name):
            boxed_data.load_cases([broken], NoProgress())
    nobody = boxed_set.recipe(split={"salt": "test", "held_out_share": 1.0})
    with pytest.raises(InputError, match="held out"):
        train_boxed.train(folder, data, tmp_path / "run", NoProgress(), how=nobody)
    (folder / "crop.py").unlink()
    with pytest.raises(InputError, match="inside a box"), boxed_plugin.loaded(folder):
        pass
    assert boxed_recipe.read(folder / boxed_plugin.RECIPE) == boxed_set.recipe()
