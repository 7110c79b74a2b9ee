from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from medview.core.errors import Cancelled, InputError
from medview.core.progress import NoProgress
from medview.learning import (
    calibration,
    classifier_plugin,
    evaluate_classifier,
    labelled_pictures,
    picture_recipe,
    picture_variation,
    probabilities,
    train_classifier,
)
from medview.learning.picture_recipe import PictureVariation
from medview.learning.splits import Split
from tests.support import picture_set
from tests.support.progresses import StopAfter
from tests.support.threads import one_thread

__all__ = ["one_thread"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return picture_set.write_set(tmp_path_factory.mktemp("set") / "set.npz")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return picture_set.write_plugin(tmp_path / "plugin")


def test_what_is_learned_is_right_on_pictures_that_were_not_seen(
    data: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--plugin", str(folder), "--data", str(data)]
    assert train_classifier.main([*arguments, "--run", str(tmp_path / "run"), "--install", "--device", "cpu"]) == 0
    rule = calibration.read(folder / classifier_plugin.CALIBRATION)
    assert json.loads(capsys.readouterr().out) == rule.model_dump()
    assert evaluate_classifier.main([*arguments, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["auc"]["value"] > 0.95
    assert told["auc"]["low"] <= told["auc"]["value"] <= told["auc"]["high"]
    assert (told["cases"], told["positive"]) == (40, 26)
    with classifier_plugin.loaded(folder) as plugin:
        answers = plugin.classifier.Classifier(folder).answers
        test = labelled_pictures.read(data, Split.TEST)
        shares, _ = answers(test.pictures)
        noise = np.random.default_rng(9).integers(0, 256, (20, picture_set.SIDE, picture_set.SIDE), dtype=np.uint8)
        assert answers(noise)[1].all()
        np.testing.assert_allclose(answers(test.pictures[..., ::-1])[0], shares, atol=1e-4)  # left is as good as right
        known = answers(labelled_pictures.read(data, Split.VALIDATION).pictures)[1]
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    right = np.mean((shares[:, 1] >= rule.threshold) == (test.labels == 1))
    assert told["accuracy"]["value"] == pytest.approx(right)
    assert known.sum() <= 2  # of 40, by each distance the one that is farthest away


def test_the_calibration_follows_from_the_validation_part_alone(data: Path, folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.npz"
    with np.load(data) as file:
        parts = {name: file[name] for name in file.files}
    np.savez(other, **{**parts, "test_images": parts["test_images"][:1] * 0, "test_labels": parts["test_labels"][:1]})
    how = picture_set.recipe(iterations=3)
    found = [train_classifier.train(folder, [one], tmp_path / one.stem, NoProgress(), how=how) for one in (data, other)]
    assert found[0] == found[1]
    validation = labelled_pictures.read(data, Split.VALIDATION)
    assert found[0].data_sha256 == validation.sha256
    with classifier_plugin.loaded(folder) as plugin:
        model = plugin.network.make()
        model.load_state_dict(torch.load(tmp_path / "set" / "model.pt", weights_only=True))
        looked = plugin.look(model, validation.pictures)
    shares = probabilities.softmax(looked.logits, found[0].temperature)[:, 1]
    positive = shares >= found[0].threshold
    assert found[0].sensitivity == pytest.approx(positive[validation.labels == 1].mean())
    assert found[0].specificity == pytest.approx(1 - positive[validation.labels == 0].mean())
    assert found[0].error_after == pytest.approx(probabilities.calibration_error(shares, validation.labels == 1))


def test_an_interrupted_training_ends_with_the_weights_of_an_unbroken_one(
    data: Path, folder: Path, tmp_path: Path
) -> None:
    how = picture_set.recipe(iterations=5)
    whole = train_classifier.train(folder, [data], tmp_path / "whole", NoProgress(), how=how)
    for _ in range(2):
        with pytest.raises(Cancelled):
            train_classifier.train(folder, [data], tmp_path / "broken", StopAfter(2), how=how)
    assert torch.load(tmp_path / "broken" / "state.pt", weights_only=True)["step"] == 4
    assert train_classifier.train(folder, [data], tmp_path / "broken", NoProgress(), how=how) == whole
    first, second = (torch.load(tmp_path / one / "model.pt", weights_only=True) for one in ("whole", "broken"))
    assert all(first[name].equal(second[name]) for name in first)


def test_another_set_does_not_go_on_from_a_state(data: Path, folder: Path, tmp_path: Path) -> None:
    how = picture_set.recipe(iterations=1)
    train_classifier.train(folder, [data], tmp_path / "run", NoProgress(), how=how)
    other = picture_set.write_set(tmp_path / "other.npz", (50, 40, 40))
    with pytest.raises(InputError, match="other data"):
        train_classifier.train(folder, [other], tmp_path / "run", NoProgress(), how=how)


def test_a_file_that_is_no_set_is_refused(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "set.npz"
    for content in (b"", b"PK\x03\x04 broken"):
        path.write_bytes(content)
        with pytest.raises(InputError, match="not a set"):
            labelled_pictures.read(path, Split.TRAINING)
    np.savez(path, train_images=np.zeros((3, 28, 28, 3), np.uint8), train_labels=np.zeros(3, np.uint8))
    with pytest.raises(InputError, match="not a set"):
        labelled_pictures.read(path, Split.TRAINING)
    np.savez(path, train_images=np.zeros((3, 28, 28), np.uint8), train_labels=np.zeros(2, np.uint8))
    with pytest.raises(InputError, match="not a set"):
        labelled_pictures.read(path, Split.TRAINING)
    arguments = ["--plugin", str(folder), "--data", str(path), "--run", str(tmp_path / "run")]
    assert train_classifier.main(arguments) == 1
    assert "MedMNIST" in capsys.readouterr().err
    with pytest.raises(InputError, match="classifies"), classifier_plugin.loaded(tmp_path):
        pass


def test_a_recipe_survives_its_file(tmp_path: Path) -> None:
    path = tmp_path / "recipe.json"
    path.write_text(picture_set.recipe().model_dump_json(), encoding="utf-8")
    assert picture_recipe.read(path) == picture_set.recipe()
    path.write_text(path.read_text(encoding="utf-8").replace('"balance":1.0', '"balance":7'), encoding="utf-8")
    with pytest.raises(InputError, match="balance"):
        picture_recipe.read(path)


def _batch() -> tuple[torch.Tensor, torch.Tensor]:
    pictures = torch.from_numpy(np.random.default_rng(0).random((64, 1, 28, 28), dtype=np.float32))
    return pictures, torch.nn.functional.one_hot(torch.arange(64) % 2, 2).float()


def test_without_variations_a_picture_stays_as_it_is() -> None:
    pictures, answers = _batch()
    same, still = picture_variation.varied(pictures, answers, PictureVariation(), torch.Generator().manual_seed(1))
    torch.testing.assert_close(same, pictures, atol=1e-4, rtol=0)
    assert still.equal(answers)


def test_a_mirrored_picture_is_the_mirror_image() -> None:
    pictures, answers = _batch()
    how = PictureVariation(mirror_chance=1.0)
    found, _ = picture_variation.varied(pictures, answers, how, torch.Generator().manual_seed(1))
    torch.testing.assert_close(found, pictures.flip(-1), atol=1e-4, rtol=0)


def test_a_quarter_turn_and_double_size_move_pixels_where_they_belong() -> None:
    pictures, answers = _batch()
    how = PictureVariation(affine_chance=1.0, scale=(2.0, 2.0))
    found, _ = picture_variation.varied(pictures, answers, how, torch.Generator().manual_seed(1))
    middle = torch.nn.functional.interpolate(pictures[:, :, 7:21, 7:21], size=(28, 28), mode="bilinear")
    torch.testing.assert_close(found[..., 2:-2, 2:-2], middle[..., 2:-2, 2:-2], atol=1e-4, rtol=0)


def test_a_mixed_answer_is_mixed_as_its_picture() -> None:
    answers = torch.nn.functional.one_hot(torch.arange(64) % 2, 2).float()
    pictures = answers[:, 1, None, None, None].expand(64, 1, 28, 28).contiguous()
    how = PictureVariation(mix_chance=1.0)
    found, mixed = picture_variation.varied(pictures, answers, how, torch.Generator().manual_seed(1))
    torch.testing.assert_close(found.mean((1, 2, 3)), mixed[:, 1], atol=1e-4, rtol=0)
    torch.testing.assert_close(mixed.sum(1), torch.ones(64))
    assert ((mixed[:, 1] > 0.01) & (mixed[:, 1] < 0.99)).any()
