"""A DICOMDIR stands for the files that it names; what is missing of them is said."""

from __future__ import annotations

import gc
import shutil
import warnings
from pathlib import Path

import pytest
from pydicom.fileset import FileSet

from medview.core.progress import NoProgress
from medview.formats import dicom_files, dicomdir
from medview.formats.dicom_files import Scan


def scan(*paths: Path) -> Scan:
    return dicom_files.scan(paths, NoProgress())


@pytest.fixture
def disc(small_series_folder: Path, tmp_path: Path) -> Path:
    """The small phantom as pydicom writes it onto a disc."""
    made = FileSet()
    for path in sorted(small_series_folder.iterdir()):
        made.add(path)
    made.write(tmp_path / "disc")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # it leaves its temporary folder to the collector
        del made
        gc.collect()
    return tmp_path / "disc"


def test_the_files_that_it_names_are_opened_and_no_others(disc: Path, small_series_folder: Path) -> None:
    shutil.copy(next(small_series_folder.iterdir()), disc / "not-named.dcm")
    found = scan(disc / "DICOMDIR")
    assert len(found.headers) == 40
    assert found.rejects == ()
    assert {header.path.name for header in scan(disc).headers} >= {"not-named.dcm"}


def test_names_in_small_letters_are_found(disc: Path) -> None:
    for path in sorted(disc.rglob("*"), key=lambda one: -len(one.parts)):
        path.rename(path.with_name(path.name.lower()))
    found = scan(disc / "dicomdir")
    assert len(found.headers) == 40
    assert found.rejects == ()


@pytest.mark.parametrize("dropped", ["the list", "the disc"])
def test_what_is_missing_is_said_and_the_rest_opens(disc: Path, dropped: str) -> None:
    directory = dicomdir.read(disc / "DICOMDIR")
    assert directory is not None
    lost = directory.files[7]
    lost.unlink()
    found = scan(disc / "DICOMDIR" if dropped == "the list" else disc)
    assert len(found.headers) == 39
    ((path, reason),) = [(one.path, str(one.reason)) for one in found.rejects]
    assert path == lost
    assert reason == "It is missing, although DICOMDIR names it."


def test_a_damaged_list_gives_way_to_its_folder(disc: Path) -> None:
    (disc / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM" + b"nothing that could be read")
    assert len(scan(disc / "DICOMDIR").headers) == 40


def test_the_real_discs_open_by_their_lists(real_data: Path) -> None:
    folder = real_data / "dicomdir"
    by_list = scan(folder / "DICOMDIR")
    (folders,) = [{path.name for path in folder.iterdir() if path.is_dir()} - {"TINY_ALPHA"}]
    assert len(by_list.headers) == sum(1 for name in folders for path in (folder / name).rglob("*") if path.is_file())
    tiny = scan(folder / "TINY_ALPHA" / "DICOMDIR")
    assert (len(tiny.headers), len(tiny.rejects)) == (50, 0)
