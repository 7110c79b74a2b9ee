"""What a reader decided, as a class to learn; and a training that learns from it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from medview.core.errors import InputError, StorageError
from medview.core.finding import Verdict
from medview.core.progress import NoProgress
from medview.core.segmentation import Provenance
from medview.core.volume import Modality, Volume, VolumeId, Window
from medview.learning import classifier_plugin, decided_pictures, train_classifier
from medview.learning.draft import Draft
from medview.learning.example_record import ClassDecision, Example
from medview.learning.examples import ExampleStore
from medview.learning.splits import Split
from tests.support import drafts, picture_set
from tests.support.threads import one_thread

__all__ = ["one_thread"]
CLASSES = ("Normal", "Pneumonia")


def said(name: str, there: bool, **more: object) -> ClassDecision:
    made = ClassDecision(name=name, verdict=Verdict.CONFIRMED, decided_at=datetime(2026, 1, 1, tzinfo=UTC))
    return made.model_copy(update={"verdict": Verdict.CONFIRMED if there else Verdict.REJECTED, **more})


def case(number: int, *classes: ClassDecision) -> Draft:
    """A picture with a bright square, above for pneumonia and below for none."""
    above = any(one.name == "Pneumonia" and one.verdict is Verdict.CONFIRMED for one in classes)
    random = np.random.default_rng(number)
    picture = random.normal(900, 100, (1, 56, 56))
    row, column = random.integers(4, 12) + (0 if above else 24), random.integers(4, 36)
    picture[0, row : row + 16, column : column + 16] += 900
    made = drafts.draft(f"PATIENT-{number}", series=f"1.2.{number}")
    voxels = np.clip(picture, 0, 4095).astype(np.uint16)
    geometry = drafts.geometry((1, 56, 56))
    geometry = type(geometry).from_parts((1, 56, 56), (1.0, 0.5, 0.5), (0.0, 0.0, 0.0))
    window = (Window(1500.0, 3000.0),)
    volume = Volume(VolumeId(str(number)), geometry, voxels, Modality.DX, "", f"1.2.{number}", "", window)
    return replace(made, volume=volume, labels=None, segments=(), provenance=Provenance(), classes=classes)


@pytest.fixture
def store(tmp_path: Path) -> ExampleStore:
    made = ExampleStore(tmp_path / "store")
    made.folder.mkdir()
    (made.folder / "site.key").write_bytes(b"a secret that puts some patients into every part")
    for number in range(24):
        made.save(case(number, said("Normal", number % 2 == 0), said("Pneumonia", number % 2 == 1)))
    return made


@pytest.mark.parametrize(
    ("decisions", "wanted"),
    [
        ((said("Pneumonia", True), said("Normal", False)), 1),
        ((said("Normal", True),), 0),
        ((said("Pneumonia", False),), 0),  # the only one left
        ((said("Normal", False), said("Normal", True)), 0),  # a second opinion
        ((said("Normal", True), said("Pneumonia", True)), None),
        ((said("Fracture", True),), None),
        ((said("Pneumonia", True, place=(1.0, 2.0, 3.0)),), None),  # a place, not the image
        ((said("Pneumonia", True, frame=3),), None),  # a picture of a film
        ((), None),
    ],
)
def test_which_class_was_decided(decisions: tuple[ClassDecision, ...], wanted: int | None) -> None:
    example = Example.model_construct(classes=decisions)
    assert decided_pictures.class_of(example, CLASSES) == wanted


def test_a_classifier_learns_from_what_was_decided(store: ExampleStore, tmp_path: Path) -> None:
    folder = picture_set.write_plugin(tmp_path / "plugin", picture_set.recipe(iterations=12, picture_directions=4))
    with classifier_plugin.loaded(folder) as plugin:
        parts = {part: decided_pictures.read(store.folder, part, plugin) for part in (Split.TRAINING, Split.VALIDATION)}
        first = next(one for one in store.examples() if one.split is Split.TRAINING)
        number = next(n for n in range(24) if store.source(first).series_uid == f"1.2.{n}")  # type: ignore[union-attr]
        assert np.array_equal(parts[Split.TRAINING].pictures[0], plugin.picture_of(case(number, *first.classes).volume))
    assert sum(len(one) for one in parts.values()) < 24  # the test part is not looked at
    found = train_classifier.train(folder, [store.folder], tmp_path / "run", NoProgress())
    assert found.data_sha256 == parts[Split.VALIDATION].sha256
    assert found.cases == len(parts[Split.VALIDATION])
    together = picture_set.write_set(tmp_path / "set.npz")
    with pytest.raises(InputError, match="differ in size"):
        train_classifier.train(folder, [together, store.folder], tmp_path / "both", NoProgress())


def test_a_store_without_such_cases_and_a_damaged_image_are_told(store: ExampleStore, tmp_path: Path) -> None:
    folder = picture_set.write_plugin(tmp_path / "plugin")
    empty = ExampleStore(tmp_path / "empty")
    empty.save(drafts.draft())
    with pytest.raises(InputError, match="was decided to be one of Normal, Pneumonia"):
        train_classifier.train(folder, [empty.folder], tmp_path / "run", NoProgress())
    path = store.image_path(store.examples()[0])
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1])
    damaged = store.examples()[0].split
    with classifier_plugin.loaded(folder) as plugin, pytest.raises(StorageError, match="damaged or gone"):
        decided_pictures.read(store.folder, damaged, plugin)
