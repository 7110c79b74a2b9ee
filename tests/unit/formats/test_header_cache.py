from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from medview.core.errors import Cancelled
from medview.core.progress import NoProgress
from medview.core.text import Text
from medview.formats import dicom_files, header_cache, header_columns
from medview.formats.dicom_files import Scan
from medview.formats.dicom_header import Header
from medview.formats.dicom_writer import SeriesOptions, write_series
from medview.formats.file_walk import Stamp, list_folder
from medview.formats.header_cache import HeaderCache
from medview.formats.header_columns import KnownFiles
from medview.phantom.chest import Phantom

LONG_AGO_NS = 1_000_000_000_000_000_000


@pytest.fixture
def folder(small_series_folder: Path, tmp_path: Path) -> Path:
    """Forty files."""
    return copied(small_series_folder, tmp_path / "series")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "home" / "headers.sqlite"


def copied(folder: Path, to: Path) -> Path:
    shutil.copytree(folder, to)
    for path in to.iterdir():
        os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS))
    return to


def cache_of(store: Path) -> HeaderCache:
    """Trusts files however young they are: every change of them here takes longer than a tick of the clock."""
    return HeaderCache(store, racy_ns=0)


def scan(folder: Path, store: Path) -> Scan:
    with cache_of(store) as cache:
        return dicom_files.scan([folder], NoProgress(), None, cache)


def known(folder: Path, store: Path) -> dict[str, Header]:
    """What is remembered of the files as they are now."""
    listing = list_folder(folder, NoProgress(), lambda path, error: None)
    with HeaderCache(store) as cache:
        return cache.known(listing, NoProgress())


def rows(store: Path) -> int:
    with closing(sqlite3.connect(store)) as connection:
        return int(connection.execute("SELECT COUNT(*) FROM blocks").fetchone()[0])


def test_what_is_remembered_is_what_was_read(folder: Path, store: Path) -> None:
    truth = dicom_files.scan([folder], NoProgress())
    assert scan(folder, store) == truth
    assert len(known(folder, store)) == 40
    assert scan(folder, store) == truth


def test_every_real_header_comes_back_as_it_was(real_data: Path) -> None:
    found = dicom_files.scan([real_data], NoProgress()).headers
    assert len(found) > 1000
    together = KnownFiles(
        [str(one.path.relative_to(real_data)) for one in found], [Stamp(1, 2, 3, 4)] * len(found), list(found)
    )
    content = header_columns.packed(real_data, together)
    assert header_columns.unpacked(content, real_data, real_data).headers == list(found)


def test_a_file_that_was_changed_in_place_is_no_longer_known(folder: Path, store: Path) -> None:
    before = scan(folder, store)
    path = folder / "00007.dcm"
    status = path.stat()
    with path.open("r+b") as file:  # other bytes, and the same stamp but for the time that cannot be set
        file.write(b"\xff" * 400)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    remembered = known(folder, store)
    assert set(remembered) == {one.path.name for one in before.headers} - {"00007.dcm"}
    assert {remembered[name].path for name in remembered} < {one.path for one in before.headers}


def test_a_file_that_was_replaced_by_one_of_equal_size_and_time_is_read_again(
    folder: Path, store: Path, small_phantom: Phantom, tmp_path: Path
) -> None:
    scan(folder, store)
    other = tmp_path / "other"
    write_series(small_phantom.volume, other, SeriesOptions(series_uid="1.2.3.4"))
    path = folder / "00007.dcm"
    content = (other / "00007.dcm").read_bytes()
    path.write_bytes(content.ljust(path.stat().st_size, b"\0"))
    os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS))
    found = {one.path.name: one for one in scan(folder, store).headers}
    assert found["00007.dcm"].series_uid == "1.2.3.4"


def test_files_that_were_just_written_are_not_remembered(
    small_series_folder: Path, tmp_path: Path, store: Path
) -> None:
    fresh = tmp_path / "fresh"
    shutil.copytree(small_series_folder, fresh, copy_function=shutil.copyfile)
    with HeaderCache(store) as cache:
        assert len(dicom_files.scan([fresh], NoProgress(), None, cache).headers) == 40
    assert known(fresh, store) == {}


def test_files_of_the_future_are_not_remembered(folder: Path, store: Path) -> None:
    ahead = time.time_ns() + 3_600_000_000_000
    os.utime(folder / "00001.dcm", ns=(ahead, ahead))
    scan(folder, store)
    assert "00001.dcm" not in known(folder, store)


def test_new_and_gone_files_are_noticed(folder: Path, store: Path, small_phantom: Phantom, tmp_path: Path) -> None:
    scan(folder, store)
    (folder / "00001.dcm").unlink()
    write_series(small_phantom.volume, tmp_path / "other", SeriesOptions(series_uid="1.2.3.4"))
    shutil.copy(tmp_path / "other" / "00002.dcm", folder / "new.dcm")
    found = scan(folder, store).headers
    assert len(found) == 40
    assert {one.path.name for one in found if one.series_uid == "1.2.3.4"} == {"new.dcm"}


def test_a_folder_that_changes_for_ever_does_not_grow_for_ever(folder: Path, store: Path) -> None:
    files = sorted(folder.iterdir())
    for turn in range(12):
        for path in files:
            os.utime(path, ns=(LONG_AGO_NS + turn, LONG_AGO_NS + turn))
        assert len(scan(folder, store).headers) == 40
    assert rows(store) <= 3


def test_another_reader_forgets(folder: Path, store: Path) -> None:
    scan(folder, store)
    with closing(sqlite3.connect(store)) as connection:
        connection.execute("PRAGMA user_version = 5")
    assert known(folder, store) == {}
    scan(folder, store)
    assert len(known(folder, store)) == 40


def test_the_same_reader_has_the_same_number_in_every_process() -> None:
    code = "from medview.formats import header_cache as one; print(one.reader_version())"
    numbers = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert numbers == {f"{header_cache.reader_version()}\n"}


@pytest.mark.parametrize("damage", ["no database", "cut off", "holes"])
def test_a_damaged_store_is_made_anew(damage: str, folder: Path, store: Path, caplog: pytest.LogCaptureFixture) -> None:
    truth = scan(folder, store)
    content = store.read_bytes()
    if damage == "no database":
        store.write_bytes(b"these are no tables" * 500)
    elif damage == "cut off":
        store.write_bytes(content[: len(content) // 2])
    else:
        store.write_bytes(content[:100] + b"\xa5" * (len(content) - 100))
    with caplog.at_level(logging.WARNING):
        assert scan(folder, store) == truth
    assert caplog.records
    scan(folder, store)
    assert len(known(folder, store)) == 40


def test_a_damaged_block_is_read_from_the_files(folder: Path, store: Path) -> None:
    truth = scan(folder, store)
    with closing(sqlite3.connect(store)) as connection, connection:
        (content,) = connection.execute("SELECT content FROM blocks").fetchone()
        for broken in (content[:-9], content[:40] + b"\0" + content[41:], b"", b"[]"):
            connection.execute("UPDATE blocks SET content = ?", (broken,))
            connection.commit()
            assert scan(folder, store) == truth
            connection.execute("DELETE FROM blocks WHERE id > 1")
            connection.commit()


def test_values_of_another_type_are_not_believed(folder: Path) -> None:
    headers = dicom_files.scan([folder], NoProgress()).headers
    files = KnownFiles([one.path.name for one in headers], [Stamp(1, 2, 3, 4)] * 40, list(headers))
    content = header_columns.packed(folder, files)
    assert header_columns.unpacked(content, folder, folder) == files
    with pytest.raises(ValueError, match="no headers"):
        header_columns.unpacked(content, folder.parent, folder)
    with pytest.raises(ValueError, match="no headers"):
        header_columns.unpacked(b"cos\nsystem\n(S'true'\ntR.", folder, folder)


@pytest.mark.skipif(os.name != "posix", reason="rights of POSIX")
def test_only_its_owner_may_read_it(folder: Path, store: Path) -> None:
    store.parent.mkdir()
    store.touch(mode=0o644)
    store.chmod(0o644)
    with cache_of(store) as cache:
        dicom_files.scan([folder], NoProgress(), None, cache)
        rights = {path.name: stat.S_IMODE(path.stat().st_mode) for path in store.parent.iterdir()}
    assert set(rights.values()) == {0o600}
    assert "headers.sqlite-wal" in rights


def test_a_store_that_cannot_be_made_stops_nothing(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert len(scan(folder, tmp_path / "file" / "headers.sqlite").headers) == 40
    (tmp_path / "directory.sqlite").mkdir()
    assert len(scan(folder, tmp_path / "directory.sqlite").headers) == 40


@pytest.mark.skipif(os.name != "posix", reason="limits of POSIX")
def test_a_full_disk_stops_nothing(folder: Path, store: Path) -> None:
    code = (
        "import resource, signal, sys; from pathlib import Path; from medview.core.progress import NoProgress\n"
        "from medview.formats import dicom_files; from medview.formats.header_cache import HeaderCache\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "with HeaderCache(Path(sys.argv[2]), racy_ns=0) as cache:\n"
        "    assert len(dicom_files.scan([Path(sys.argv[1])], NoProgress(), None, cache).headers) == 40\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folder), str(store)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "not used" in done.stderr
    assert len(scan(folder, store).headers) == 40
    assert len(known(folder, store)) == 40


def test_another_program_that_writes_stops_nothing(folder: Path, store: Path) -> None:
    truth = scan(folder, store)
    with closing(sqlite3.connect(store, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("DELETE FROM blocks")
        assert scan(folder, store) == truth
        other.execute("ROLLBACK")
    assert len(known(folder, store)) == 40


def test_two_programs_at_once(folder: Path, store: Path, tmp_path: Path) -> None:
    second = tmp_path / "second"
    copied(folder, second)
    code = (
        "import sys; from pathlib import Path; from medview.core.progress import NoProgress\n"
        "from medview.formats import dicom_files; from medview.formats.header_cache import HeaderCache\n"
        "for _ in range(5):\n"
        "    with HeaderCache(Path(sys.argv[2]), racy_ns=0) as cache:\n"
        "        assert len(dicom_files.scan([Path(sys.argv[1])], NoProgress(), None, cache).headers) == 40\n"
    )
    programs = [
        subprocess.Popen([sys.executable, "-c", code, str(one), str(store)], stderr=subprocess.PIPE, text=True)
        for one in (folder, second)
    ]
    for program in programs:
        _, errors = program.communicate(timeout=120)
        assert program.returncode == 0, errors
    scan(folder, store)
    scan(second, store)
    assert len(known(folder, store)) == 40
    assert len(known(second, store)) == 40


def test_the_oldest_goes_when_there_is_too_much(folder: Path, store: Path, tmp_path: Path) -> None:
    scan(folder, store)
    size = store.stat().st_size
    with closing(sqlite3.connect(store)) as connection, connection:
        connection.execute("UPDATE blocks SET used_at = used_at - 1000000")
        (one,) = connection.execute("SELECT SUM(LENGTH(content)) FROM blocks").fetchone()
    second = tmp_path / "second"
    copied(folder, second)
    with HeaderCache(store, limit_bytes=int(1.5 * one), racy_ns=0) as cache:
        dicom_files.scan([second], NoProgress(), None, cache)
    assert len(known(second, store)) == 40
    assert known(folder, store) == {}
    assert store.stat().st_size <= 2 * size


class StopAfter:
    """A progress that is told to stop once so many files have been looked at."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._stopped = False

    def report(self, fraction: float | None, message: Text | str = "") -> None:
        self._stopped = fraction is not None and fraction >= self._share

    def raise_if_cancelled(self) -> None:
        if self._stopped:
            raise Cancelled


def test_what_was_read_before_a_stop_stays_known(folder: Path, store: Path) -> None:
    with pytest.raises(Cancelled), cache_of(store) as cache:
        dicom_files.scan([folder], StopAfter(0.4), None, cache)
    remembered = known(folder, store)
    assert 16 <= len(remembered) < 40
    assert len(scan(folder, store).headers) == 40
    assert len(known(folder, store)) == 40


def test_a_single_file_brings_its_series_from_what_is_known(folder: Path, store: Path) -> None:
    scan(folder, store)
    with HeaderCache(store) as cache:
        found = dicom_files.scan([folder / "00003.dcm"], NoProgress(), None, cache)
    assert {one.path.name for one in found.headers} == {one.name for one in folder.iterdir()}


def test_relative_and_absolute_paths_mean_the_same_folder(
    folder: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan(folder, store)
    monkeypatch.chdir(folder.parent)
    relative = scan(Path(folder.name), store).headers
    assert {one.path for one in relative} == {Path(folder.name) / one.name for one in folder.iterdir()}
    assert len(known(Path(folder.name), store)) == 40


@pytest.fixture(autouse=True)
def _no_store_is_left_open() -> Iterator[None]:
    yield
    import gc

    gc.collect()  # an open connection would warn, and warnings are errors
