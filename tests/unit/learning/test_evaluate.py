from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.metrics import DiceMetric
from monai.networks.utils import one_hot

from medview.catalog import plugins
from medview.core.errors import GridMismatchError, InputError
from medview.core.progress import NoProgress
from medview.core.segmentation import Labels
from medview.formats import image_files
from medview.inference import runner
from medview.learning import bundle, evaluate
from medview.learning.evaluate import CaseScore
from tests.support import training_set


def _by_monai(found: Labels, drawn: Labels) -> list[float]:
    first, second = (one_hot(torch.from_numpy(one.astype(np.int64))[None, None], 3) for one in (found, drawn))
    return [float(value) for value in DiceMetric(include_background=False)(first, second)[0]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = training_set.write_bundle(tmp_path / "bundle")
    torch.manual_seed(5)
    torch.save(bundle.load(made).new_network().state_dict(), made / bundle.WEIGHTS)
    return made


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return training_set.write_set(tmp_path / "data", cases=6)


@pytest.mark.parametrize("seed", range(8))
def test_dice_is_that_of_monai(seed: int) -> None:
    random = np.random.default_rng(seed)
    highest = 2 if seed % 2 else 1  # in half of the cases nobody drew label 2
    found = random.integers(0, 3, (7, 6, 5)).astype(np.uint8)
    drawn = random.integers(0, highest + 1, (7, 6, 5)).astype(np.uint8)
    for value, expected in enumerate(_by_monai(found, drawn), start=1):
        scored = evaluate.dice(found, drawn, value)
        assert (scored is None) == np.isnan(expected)
        assert scored is None or scored == pytest.approx(expected)


def test_a_missed_structure_scores_nothing() -> None:
    drawn = np.ones((3, 3, 3), np.uint8)
    assert evaluate.dice(np.zeros_like(drawn), drawn, 1) == 0
    assert evaluate.dice(drawn, drawn, 1) == 1


def test_cases_are_scored_on_their_own_grid_as_monai_scores_them(folder: Path, data: Path) -> None:
    record = plugins.inspect(folder)
    pairs = evaluate.held_out_pairs(folder, data, everyone=True)[:2]
    for pair, scored in zip(pairs, evaluate.score(record, pairs, NoProgress(), device="cpu"), strict=True):
        volume = image_files.read_volume(pair.image, NoProgress())
        found = runner.run(record, volume, NoProgress(), device="cpu").labels
        drawn = np.asarray(nib.Nifti1Image.from_filename(pair.mask).dataobj).transpose(2, 1, 0)
        assert list(scored.dice.values()) == pytest.approx(_by_monai(found, drawn))


def test_summary_is_over_cases_and_its_interval_over_patients() -> None:
    scores = [
        CaseScore("1", "a", {"One": 0.9, "Two": None}),
        CaseScore("2", "a", {"One": 0.8, "Two": 0.5}),
        CaseScore("3", "b", {"One": 0.7, "Two": None}),
    ]
    one = evaluate.summarise(scores, "One")
    assert one.cases == 3
    assert [one.mean, one.sd] == pytest.approx([0.8, np.std([0.9, 0.8, 0.7], ddof=1)])
    # of two patients a resample is (a, a), (a, b) or (b, b): a's two cases come and go together
    assert [one.low, one.high] == pytest.approx([0.7, 0.85])
    two = evaluate.summarise(scores, "Two")
    assert (two.cases, two.mean, two.sd, two.low, two.high) == (1, 0.5, None, 0.5, 0.5)


def test_the_interval_covers_the_mean_as_often_as_it_says() -> None:
    random = np.random.default_rng(1)
    covered = 0
    for _ in range(100):
        values = random.normal(0.85, 0.03, 40)
        found = evaluate.summarise([CaseScore(str(n), str(n), {"One": v}) for n, v in enumerate(values)], "One")
        covered += found.low <= 0.85 <= found.high
    assert covered >= 86  # 95 expected; fewer than 86 once in 10 000


def test_a_structure_that_nobody_drew_has_no_summary() -> None:
    with pytest.raises(InputError, match="Two"):
        evaluate.summarise([CaseScore("1", "a", {"Two": None})], "Two")


def test_a_mask_on_another_grid_is_refused(folder: Path, data: Path) -> None:
    pair = evaluate.held_out_pairs(folder, data, everyone=True)[0]
    mask = nib.Nifti1Image.from_filename(pair.mask)
    nib.save(mask.slicer[2:], pair.mask)
    with pytest.raises(GridMismatchError, match=pair.name):
        evaluate.score(plugins.inspect(folder), [pair], NoProgress(), device="cpu")


def test_the_command_prints_held_out_patients_or_all(
    folder: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--bundle", str(folder), "--data", str(data), "--device", "cpu"]
    assert evaluate.main([*arguments, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    held_out = [pair.name for pair in evaluate.held_out_pairs(folder, data)]
    assert [case["name"] for case in answer["cases"]] == held_out
    assert [one["structure"] for one in answer["summary"]] == ["One", "Two"]
    assert 0 < len(held_out) < 6
    assert evaluate.main([*arguments, "--all"]) == 0
    assert "6 images of 6 patients" in capsys.readouterr().out


def test_the_command_says_what_is_wrong(tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bare = training_set.write_bundle(tmp_path / "bare")
    assert evaluate.main(["--bundle", str(bare), "--data", str(data)]) == 1
    assert "weights" in capsys.readouterr().err
