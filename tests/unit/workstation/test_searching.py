"""Searches: known and new ones give the same, and what is said of a drop that holds nothing to look at."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from medview.core.errors import UnreadableFileError
from medview.core.progress import NoProgress
from medview.formats import dicom_series, dicom_volume
from medview.formats.dicom_writer import SeriesOptions, write_series
from medview.phantom.chest import Phantom
from medview.workstation.searching import Found, nothing_to_open, search
from tests.support.searches import assert_same, dicom, look, settled

TWO_STACKS = SeriesOptions(with_localizer=True)


@pytest.fixture
def folder(small_phantom: Phantom, tmp_path: Path) -> Path:
    """A series of two stacks and a file of no use, left alone for so long that they are remembered."""
    made = tmp_path / "study"
    write_series(small_phantom.volume, made, TWO_STACKS)
    (made / "words.txt").write_text("no image")
    return settled(made)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "headers.sqlite"


def test_the_same_folder_gives_the_same_again(folder: Path, store: Path) -> None:
    truth = look(folder, None)
    assert len(truth.series) == 2
    assert len(truth.rejects) == 1
    assert_same(look(folder, store), truth)
    assert_same(look(folder, store), truth)


def test_what_is_known_is_not_judged_again_and_its_files_are_read_when_they_are_wanted(
    folder: Path, store: Path, small_phantom: Phantom
) -> None:
    look(folder, store)
    first, second = look(folder, store), look(folder, store)
    uid = first.series[0].uid
    voxels = dicom_volume.read(dicom(first)[uid], NoProgress()).voxels
    assert (voxels == small_phantom.volume.voxels).all()
    shutil.rmtree(folder)
    with pytest.raises(UnreadableFileError, match="have changed"):
        dicom(second)[uid].frames  # noqa: B018 - asking is what fails


def test_a_change_is_judged(folder: Path, store: Path) -> None:
    look(folder, store)
    (folder / "00011.dcm").unlink()
    found = look(folder, store)
    assert_same(found, look(folder, None))
    assert any(remark.code == "missing-slices" for remark in found.series[0].remarks)


def test_files_of_an_earlier_drop_join_those_of_a_known_search(
    small_phantom: Phantom, tmp_path: Path, store: Path
) -> None:
    parts = tmp_path / "a", tmp_path / "b"
    for part, missing in zip(parts, (range(20, 40), range(20)), strict=True):
        write_series(small_phantom.volume, part, SeriesOptions(missing=tuple(missing), series_uid="1.2.3.4"))
        settled(part)
        look(part, store)
    earlier = look(parts[0], store)
    together = look(parts[1], store, {facts.uid: source for facts, source in earlier.sources})
    assert together.series[0].geometry is not None
    assert together.series[0].geometry.shape[0] == 40


def test_a_damaged_record_is_found_anew(folder: Path, store: Path) -> None:
    truth = look(folder, store)
    for broken in (b"", b"{}", b"x\x9c\x8b\x8e\x05\x00\x01\x15\x00\xb9"):
        with closing(sqlite3.connect(store)) as connection, connection:
            assert connection.execute("UPDATE searches SET content = ?", (broken,)).rowcount == 1
        assert_same(look(folder, store), truth)


def test_every_real_series_is_the_same_again(real_data: Path, store: Path) -> None:
    folders = [path for path in sorted(real_data.iterdir()) if not any(path.rglob("*.nii*"))]
    for folder in folders:
        truth = look(folder, None)
        look(folder, store)
        assert_same(look(folder, store), truth)


def test_series_are_announced_before_they_are_judged(folder: Path) -> None:
    (facts,) = {one.facts.uid.partition("#")[0]: one.facts for one in dicom(look(folder, None)).values()}.values()
    headers = [header for one in dicom(look(folder, None)).values() for header in one.headers]
    early = dicom_series.unjudged(headers)
    assert (early.uid, early.study, early.slices) == (facts.instance_uid, facts.study, 41)
    assert early.geometry is None


def found_in(*paths: Path) -> Found:
    return search(paths, {}, NoProgress(), lambda series: None)


def test_reports_alone_are_worth_opening_and_masks_alone_want_their_images(real_data: Path) -> None:
    report = real_data / "sr-tid1500-dcmqi" / "sr.dcm"
    assert nothing_to_open(found_in(report)) is None
    error = nothing_to_open(found_in(real_data / "sr-tid1500-dcmqi" / "seg.dcm"))
    assert error is not None
    assert "no images" in str(error)
