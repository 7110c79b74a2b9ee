"""The same question gets the same answer from the disk; another question never does, and nor does a damaged entry."""

from __future__ import annotations

import os
import stat
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medview.catalog.plugins import inspect
from medview.core.errors import Cancelled
from medview.core.geometry import Geometry
from medview.core.progress import NoProgress
from medview.core.segmentation import ModelRef
from medview.core.text import Text
from medview.core.volume import Modality, Volume
from medview.inference import runner
from medview.inference.earlier_runs import EarlierRuns
from medview.inference.maps import MapKind, SideMap
from medview.inference.options import RunOptions
from medview.inference.plugin import SegmentationResult
from tests.support.bundles import python_plugin
from tests.support.volumes import volume

SHAPE = (6, 7, 8)
SOURCE = """import time


def run(case, context):
    context.note("Look at it: {moment}.".replace("{moment}", str(time.monotonic_ns())))
    return (case["image"].voxels > 0).astype("uint8")
"""


@pytest.fixture
def image() -> Volume:
    return volume(np.random.default_rng(1).normal(0, 9, SHAPE).astype(np.int16))


@pytest.fixture
def kept(tmp_path: Path) -> EarlierRuns:
    return EarlierRuns(tmp_path / "answers", 2**20)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return python_plugin(tmp_path / "p", SOURCE)


def ask(
    folder: Path, image: Volume, kept: EarlierRuns, *, device: str = "cpu", exact: bool = False
) -> SegmentationResult:
    return runner.run(inspect(folder), image, NoProgress(), device=device, exact=exact, earlier=kept)


def test_the_same_question_is_answered_by_the_earlier_run(folder: Path, image: Volume, kept: EarlierRuns) -> None:
    first = ask(folder, image, kept)
    again = ask(folder, image, EarlierRuns(kept._folder, 2**20))
    assert first.earlier is None
    assert again.earlier is not None
    np.testing.assert_array_equal(again.labels, first.labels)
    assert again.labels.flags.writeable
    assert again.labels.dtype == first.labels.dtype
    assert (again.notes, again.segments, again.model) == (first.notes, first.segments, first.model)
    assert (again.device, again.seconds) == (first.device, first.seconds)
    anew = runner.run(inspect(folder), image, NoProgress(), device="cpu", earlier=kept, anew=True)
    assert anew.earlier is None
    assert anew.notes != first.notes
    assert ask(folder, image, kept).notes == anew.notes


def moved(image: Volume) -> Volume:
    affine = image.geometry.affine.copy()
    affine[0, 3] += 0.25
    return replace(image, geometry=Geometry(image.geometry.shape, affine))


def one_voxel_more(image: Volume) -> Volume:
    voxels = image.voxels.copy()
    voxels[3, 3, 3] += 1
    return replace(image, voxels=voxels)


OTHER_IMAGES: dict[str, Callable[[Volume], Volume]] = {
    "a voxel": one_voxel_more,
    "the place": moved,
    "the unit": lambda image: replace(image, unit=""),
    "the modality": lambda image: replace(image, modality=Modality.MR),
    "the type": lambda image: replace(image, voxels=image.voxels.astype(np.int32)),
    "the series": lambda image: replace(image, series_uid="1.2.9"),
    "what it is called": lambda image: replace(image, description="Another"),
}


@pytest.mark.parametrize("what", OTHER_IMAGES)
def test_another_image_is_another_question(folder: Path, image: Volume, kept: EarlierRuns, what: str) -> None:
    ask(folder, image, kept)
    assert ask(folder, OTHER_IMAGES[what](image), kept).earlier is None


def test_other_files_settings_and_wishes_are_another_question(
    tmp_path: Path, folder: Path, image: Volume, kept: EarlierRuns
) -> None:
    ask(folder, image, kept)
    assert ask(folder, image, kept, exact=True).earlier is None
    assert ask(folder, image, kept, device="auto").earlier is None
    other = runner.run(
        inspect(folder), image, NoProgress(), device="cpu", earlier=kept, options=RunOptions(mirroring=False)
    )
    assert other.earlier is None
    (folder / "tiny.py").write_text(SOURCE + "\n", encoding="utf-8")
    assert ask(folder, image, kept).earlier is None
    (folder / "readme.txt").write_text("new", encoding="utf-8")
    assert ask(folder, image, kept).earlier is None
    assert ask(folder, image, kept).earlier is not None


def result(size: int = 0, *, seed: int = 0) -> SegmentationResult:
    rng = np.random.default_rng(seed)
    shape = (4, 5, 6 + size)
    layers = tuple(rng.integers(0, 3, shape).astype(np.uint16) for _ in range(2))
    maps = (SideMap(MapKind.PROBABILITY, 3, rng.random(shape).astype(np.float16)),)
    note = Text.of("{what} of {count}", what=Text.of("One {thing}", thing="left"), count=5)
    labels = rng.integers(0, 9, shape).astype(np.uint16)
    return SegmentationResult(labels, (), ModelRef("id", "1.0.0", "abc"), "cpu", 2.5, (note,), layers, maps=maps)


def test_everything_of_an_answer_comes_back(kept: EarlierRuns) -> None:
    one = result()
    kept.keep("k", one, NoProgress())
    found = kept.find("k", one.labels.shape, ())
    assert found is not None
    np.testing.assert_array_equal(found.labels, one.labels)
    for first, second in zip((*found.layers, found.maps[0].values), (*one.layers, one.maps[0].values), strict=True):
        np.testing.assert_array_equal(first, second)
        assert first.dtype == second.dtype
    assert (found.maps[0].kind, found.maps[0].label) == (MapKind.PROBABILITY, 3)
    assert found.model == one.model
    assert found.notes == (Text.of("{what} of {count}", what=Text.of("One {thing}", thing="left"), count="5"),)
    file = next(kept._folder.iterdir())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 or os.name == "nt"
    assert kept.find("other", one.labels.shape, ()) is None


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def with_other_numbers(path: Path) -> None:
    """A sound archive whose labels are not those that were written."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["labels.npy"] = members["labels.npy"][:-2] + b"\xee\xee"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def of_another_question(path: Path) -> None:
    other = EarlierRuns(path.parent, 2**20)
    other.keep("other", result(seed=5), NoProgress())
    (path.parent / "other.answer").replace(path)


DAMAGES: list[Callable[[Path], object]] = [
    cut, flipped, with_other_numbers, of_another_question, lambda path: path.write_bytes(b""),
    lambda path: path.write_bytes(b"PK\x03\x04 nothing"),
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES, ids=["cut", "flipped", "numbers", "another", "empty", "no archive"])
def test_a_damaged_entry_is_thrown_away(kept: EarlierRuns, damage: Callable[[Path], object]) -> None:
    one = result()
    kept.keep("k", one, NoProgress())
    path = kept._folder / "k.answer"
    damage(path)
    found = kept.find("k", one.labels.shape, ())
    assert found is None
    assert not path.exists()


def test_no_flipped_byte_gets_through(kept: EarlierRuns) -> None:
    one = result()
    kept.keep("k", one, NoProgress())
    path = kept._folder / "k.answer"
    sound = path.read_bytes()
    for place in range(0, len(sound), max(1, len(sound) // 150)):
        path.write_bytes(sound[:place] + bytes([sound[place] ^ 0x5A]) + sound[place + 1 :])
        found = kept.find("k", one.labels.shape, ())
        if found is not None:  # a byte that says nothing, as of a file's time
            np.testing.assert_array_equal(found.labels, one.labels)
            np.testing.assert_array_equal(found.maps[0].values, one.maps[0].values)
            assert found.notes[0].template == one.notes[0].template


def test_an_answer_of_another_size_is_not_used(kept: EarlierRuns) -> None:
    kept.keep("k", result(), NoProgress())
    assert kept.find("k", (4, 5, 7), ()) is None


def test_the_oldest_answers_go_when_there_is_no_room(tmp_path: Path) -> None:
    kept = EarlierRuns(tmp_path, 10**9)
    shape = result().labels.shape
    for number in range(4):
        kept.keep(f"k{number}", result(seed=number), NoProgress())
        past = time.time() - 1000 + number
        os.utime(tmp_path / f"k{number}.answer", (past, past))
    assert kept.find("k0", shape, ()) is not None  # who is asked for is the youngest
    kept.limit_bytes = int(2.5 * (tmp_path / "k0.answer").stat().st_size)
    kept.make_room()
    assert sorted(path.stem for path in tmp_path.glob("*.answer")) == ["k0", "k3"]
    kept.limit_bytes = 0
    assert kept.find("k0", shape, ()) is None
    kept.keep("k9", result(), NoProgress())
    assert not (tmp_path / "k9.answer").exists()


def test_nothing_half_written_stays_and_a_full_disk_costs_no_answer(
    tmp_path: Path, folder: Path, image: Volume, kept: EarlierRuns
) -> None:
    class Stopping(NoProgress):
        def raise_if_cancelled(self) -> None:
            raise Cancelled

    with pytest.raises(Cancelled):
        kept.keep("k", result(), Stopping())
    assert list(kept._folder.iterdir()) == []
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be", encoding="utf-8")
    assert ask(folder, image, EarlierRuns(blocked, 2**20)).labels.any()
