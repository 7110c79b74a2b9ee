"""What is odd comes out of what is remembered as it came out of the files: refused, missing or unpacked."""

from __future__ import annotations

import random
import shutil
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.fileset import FileSet
from pydicom.uid import RLELossless

from medview.core.case import Severity
from medview.core.errors import Cancelled, UnreadableFileError, UnsupportedSeriesError
from medview.core.progress import NoProgress
from medview.formats import dicom_files, dicom_series, dicom_volume, dicomdir, search_record, thumbnails
from medview.formats.dicom_series import DicomSeries
from medview.formats.dicom_writer import SeriesOptions, write_series
from medview.formats.file_walk import list_folder
from medview.formats.header_cache import HeaderCache
from medview.phantom.chest import Phantom
from medview.workstation.searching import Found
from tests.fuzz import mutations, seeds
from tests.fuzz.mutations import mutate
from tests.support.searches import assert_same, dicom, forget_searches, look, remembered_searches, settled

SPOILT = 100


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "headers.sqlite"


def changed(path: Path, **values: object) -> Path:
    dataset = dcmread(path)
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    dataset.save_as(path)
    return path


def assert_known(folder: Path, store: Path) -> None:
    """The same from the files, from what is known of the search, and from what is known of each file."""
    truth = look(folder, None)
    assert_same(look(folder, store), truth)
    assert remembered_searches(store) == 1
    assert_same(look(folder, store), truth)
    forget_searches(store)
    assert_same(look(folder, store), truth)


def test_files_that_cannot_be_true_are_refused_again(small_series_folder: Path, tmp_path: Path, store: Path) -> None:
    folder = tmp_path / "study"
    lies = write_series(seeds.volume(), folder, SeriesOptions(transfer_syntax=RLELossless))
    changed(lies[0], Rows=60000, Columns=60000)
    changed(lies[1], NumberOfFrames=1_000_000)
    lies[2].write_bytes(mutations.deflate_bomb(lies[2].read_bytes(), random.Random(0)))
    sound = shutil.copy(small_series_folder / "00001.dcm", folder / "sound.dcm")
    cut = folder / "cut.dcm"
    cut.write_bytes((small_series_folder / "00002.dcm").read_bytes()[:-100])
    settled(folder)
    truth = look(folder, None)
    assert {one.path for one in truth.rejects} == {*lies[:3], cut}
    assert_known(folder, store)
    listing = list_folder(folder, NoProgress(), lambda path, error: None)
    with HeaderCache(store) as cache:
        assert set(cache.known(listing, NoProgress())) == {Path(sound).name, lies[3].name}


def test_whatever_is_spoilt_is_known_as_it_was_read(tmp_path: Path, store: Path) -> None:
    folder = tmp_path / "study"
    files = [one for one in seeds.written(tmp_path / "seeds") if one.suffix == ".dcm"]
    folder.mkdir()
    for number in range(SPOILT):
        chosen = files[number % len(files)]
        ways = [one for one in chosen.mutations if one is not mutations.deflate_bomb]  # they take seconds
        (folder / f"{number:03}.dcm").write_bytes(mutate(chosen.data, ways, number)[1])
    settled(folder)
    found = look(folder, None)
    assert len(found.series) > 10
    assert len(found.rejects) > SPOILT // 10
    truth = look(folder, store)
    assert_same(truth, found)
    assert_same(look(folder, store), truth)
    with HeaderCache(store) as cache:
        again = dicom_files.scan([folder], NoProgress(), None, cache)
    assert again == dicom_files.scan([folder], NoProgress())
    sources = [source for _, source in found.sources if isinstance(source, DicomSeries)]
    series, rejects = search_record.unpacked(search_record.packed(sources, found.rejects), store)
    assert rejects == found.rejects
    assert_same(Found(tuple((one.facts, one) for one in series), rejects), found)


def test_a_series_that_contradicts_itself_is_refused_every_time(tmp_path: Path, store: Path) -> None:
    folder = tmp_path / "study"
    for path in write_series(seeds.volume(), folder, SeriesOptions()):
        changed(path, PixelSpacing=["1e-300", "1e-300"])
    settled(folder)
    for _ in range(3):
        (series,) = dicom(look(folder, store)).values()
        assert series.facts.refusal is not None
        assert series.facts.refusal.severity is Severity.REFUSED
        assert "contradicts itself" in str(series.facts.refusal.text)
        assert {frame.header.path for frame in series.frames} == set(folder.iterdir()) == set(series.facts.files)
        with pytest.raises(UnsupportedSeriesError, match="contradicts itself"):
            dicom_volume.read(series, NoProgress())
    assert remembered_searches(store) == 0


def test_a_series_that_came_to_contradict_itself_is_not_shown_in_the_order_of_before(
    tmp_path: Path, store: Path
) -> None:
    """It was found whole, and its images are asked for when they can no longer be put in order."""
    folder = tmp_path / "study"
    paths = write_series(seeds.volume(), folder, SeriesOptions())
    settled(folder)
    look(folder, store)
    (series,) = dicom(look(folder, store)).values()
    for path in paths:
        changed(path, PixelSpacing=["1e-300", "1e-300"])
    for _ in range(2):
        with pytest.raises(UnreadableFileError, match="have changed"):
            dicom_volume.read(series, NoProgress())
    assert thumbnails.of_series(series) is None


def test_files_of_an_earlier_drop_that_are_gone_stop_no_other(tmp_path: Path, store: Path) -> None:
    parts = tmp_path / "a", tmp_path / "b"
    for part in parts:
        for path in write_series(seeds.volume(), part, SeriesOptions(series_uid="1.2.3.4")):
            number = int(path.stem)
            if (number > 2) is (part is parts[0]):
                path.unlink()
        settled(part)
    look(parts[0], store)
    earlier = look(parts[0], store)
    shutil.rmtree(parts[0])
    found = look(parts[1], store, {facts.uid: source for facts, source in earlier.sources})
    assert set(found.series[0].files) == set(parts[1].iterdir())


def test_judging_stops_when_it_is_told_to(small_series_folder: Path) -> None:
    """A stop is no contradiction."""
    headers = dicom_files.scan([small_series_folder], NoProgress()).headers
    for asked in range(3):
        with pytest.raises(Cancelled):
            dicom_series.group(headers, StopAt(asked))


class StopAt(NoProgress):
    """Is told to stop when it has been asked so often."""

    def __init__(self, asked: int) -> None:
        self._left = asked

    def raise_if_cancelled(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise Cancelled


def test_a_file_that_cannot_be_read_now_may_be_read_later(
    small_series_folder: Path, tmp_path: Path, store: Path
) -> None:
    """A broken link stands for a disk that is away."""
    folder, away = tmp_path / "study", tmp_path / "away.dcm"
    shutil.copytree(small_series_folder, folder)
    shutil.move(folder / "00007.dcm", away)
    (folder / "00007.dcm").symlink_to(away)
    settled(folder)
    assert len(look(folder, store).series[0].files) == 40
    away.rename(tmp_path / "elsewhere.dcm")
    for _ in range(2):
        found = look(folder, store)
        assert [one.path.name for one in found.rejects] == ["00007.dcm"]
        assert len(found.series[0].files) == 39


@pytest.mark.skipif(not Path("/proc/self/mem").is_file(), reason="a file of Linux that gives an error when it is read")
def test_what_cannot_be_read_counts_as_passing(small_series_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    shutil.copytree(small_series_folder, folder)
    assert not dicom_files.scan([folder], NoProgress()).is_passing
    (folder / "bad.dcm").symlink_to("/proc/self/mem")
    found = dicom_files.scan([folder], NoProgress())
    assert found.is_passing
    assert [str(one.reason) for one in found.rejects] == ["It cannot be read: Input/output error."]


@pytest.fixture
def archive(small_series_folder: Path, tmp_path: Path) -> Path:
    path = tmp_path / "drop" / "patient.zip"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as made:
        for one in sorted(small_series_folder.iterdir()):
            made.write(one, f"images/{one.name}")
    return settled(path.parent) / path.name


@pytest.mark.parametrize("dropped", ["the archive", "its folder"])
@pytest.mark.parametrize("lost", ["nothing", "one file", "everything"])
def test_an_archive_gives_its_series_again(
    dropped: str, lost: str, archive: Path, small_phantom: Phantom, store: Path, medview_home: Path
) -> None:
    drop = archive if dropped == "the archive" else archive.parent
    first = look(drop, store)
    settled(medview_home / "unpacked")
    assert_same(look(drop, store), first)
    if lost == "everything":
        shutil.rmtree(medview_home / "unpacked")
    elif lost == "one file":
        first.series[0].files[7].unlink()
    again = look(drop, store)
    assert again.rejects == ()
    assert again.series[0].files == first.series[0].files
    (series,) = dicom(again).values()
    np.testing.assert_array_equal(dicom_volume.read(series, NoProgress()).voxels, small_phantom.volume.voxels)
    assert remembered_searches(store) == 0


def test_a_spoilt_archive_is_said_so_again(archive: Path, store: Path) -> None:
    archive.write_bytes(archive.read_bytes()[:-200])
    settled(archive.parent)
    for _ in range(3):
        found = look(archive.parent, store)
        assert [(one.path, str(one.reason)) for one in found.rejects] == [(archive, "The archive is damaged.")]


@pytest.fixture
def disc(small_series_folder: Path, tmp_path: Path) -> Path:
    """The small phantom as pydicom writes it onto a disc."""
    import gc

    made = FileSet()
    for path in sorted(small_series_folder.iterdir()):
        made.add(path)
    made.write(tmp_path / "disc")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # it leaves its temporary folder to the collector
        del made
        gc.collect()
    return tmp_path / "disc"


@pytest.mark.parametrize("dropped", ["the list", "the disc"])
def test_what_a_disc_lacks_is_said_again_until_it_is_there(dropped: str, disc: Path, store: Path) -> None:
    drop = disc / "DICOMDIR" if dropped == "the list" else disc
    directory = dicomdir.read(disc / "DICOMDIR")
    assert directory is not None
    lost, aside = directory.files[7], disc.parent / "aside"
    lost.rename(aside)
    settled(disc)
    for _ in range(2):
        found = look(drop, store)
        assert [(one.path, str(one.reason)) for one in found.rejects] == [
            (lost, "It is missing, although DICOMDIR names it.")
        ]
        assert len(found.series[0].files) == 39
    assert remembered_searches(store) == 1
    aside.rename(lost)
    settled(disc)
    for _ in range(2):
        found = look(drop, store)
        assert found.rejects == ()
        assert len(found.series[0].files) == 40
    lost.unlink()
    assert [one.path for one in look(drop, store).rejects] == [lost]


def test_a_list_that_was_replaced_is_read_again(disc: Path, store: Path) -> None:
    (disc / "DICOMDIR").rename(disc.parent / "list")
    settled(disc)
    assert look(disc, store).rejects == ()
    sound = dcmread(disc.parent / "list")
    record = next(one for one in sound.DirectoryRecordSequence if one.DirectoryRecordType == "IMAGE")
    record.ReferencedFileID = ["NOT", "THERE"]
    sound.save_as(disc / "DICOMDIR")
    for _ in range(2):
        assert [one.path for one in look(disc, store).rejects] == [disc / "NOT" / "THERE"]
        settled(disc)
