from __future__ import annotations

import json
from pathlib import Path

import pytest

from medview.core.errors import InputError
from medview.core.folders import shipped_plugins_folder
from medview.learning import recipe as recipes
from tests.support import training_set


def test_the_shipped_recipe_can_be_read_and_holds_patients_out() -> None:
    read = recipes.read(shipped_plugins_folder() / "mr_hippocampus" / "configs" / "recipe.json")
    assert read.split.held_out_share > 0
    assert read.split.images_per_patient == 2


def test_a_recipe_survives_its_file(tmp_path: Path) -> None:
    path = tmp_path / "recipe.json"
    path.write_text(training_set.recipe().model_dump_json(), encoding="utf-8")
    assert recipes.read(path) == training_set.recipe()


@pytest.mark.parametrize(
    ("place", "value"), [("iterations", 0), ("learning_rate", "fast"), ("patch_size", [8, 8, 0]), ("cheat", True)]
)
def test_what_is_wrong_is_named_by_its_place(tmp_path: Path, place: str, value: object) -> None:
    content = json.loads(training_set.recipe().model_dump_json()) | {place: value}
    (tmp_path / "recipe.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InputError, match=place):
        recipes.read(tmp_path / "recipe.json")


@pytest.mark.parametrize("content", [None, "", "[1]", '{"seed": '])
def test_a_file_that_is_no_recipe_is_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "recipe.json").write_text(content, encoding="utf-8")
    with pytest.raises(InputError):
        recipes.read(tmp_path / "recipe.json")
