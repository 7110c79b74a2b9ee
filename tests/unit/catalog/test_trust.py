from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from medview.catalog.plugins import PluginState, inspect
from medview.catalog.trust import TrustBook, files_sha256
from medview.core.errors import PluginNotTrustedError, StorageError
from medview.core.folders import shipped_plugins_folder
from medview.core.progress import NoProgress
from medview.inference import runner
from tests.support.bundles import python_plugin
from tests.support.volumes import volume

RUN = "def run(case, context):\n    return case['image'].voxels > 0\n"


@pytest.fixture
def book(tmp_path: Path) -> TrustBook:
    return TrustBook(tmp_path / "home" / "trust.json")


def test_python_waits_for_trust_and_any_change_asks_again(tmp_path: Path, book: TrustBook) -> None:
    folder = python_plugin(tmp_path / "p", RUN)
    record = inspect(folder, book)
    assert record.state is PluginState.NEEDS_TRUST
    assert "Python program" in str(record.reason)
    book.trust(folder, "tiny", files_sha256(folder))
    assert inspect(folder, book).state is PluginState.READY
    again = TrustBook(tmp_path / "home" / "trust.json")
    assert inspect(folder, again).state is PluginState.READY

    for change in ("altered", "added", "hidden"):
        other = tmp_path / change
        shutil.copytree(folder, other)
        book.trust(other, "tiny", files_sha256(other))
        name = {"altered": "tiny.py", "added": "more.py", "hidden": ".hidden.py"}[change]
        with (other / name).open("a", encoding="utf-8") as file:
            file.write("# changed\n")
        assert inspect(other, book).state is PluginState.FOUND
        judged = inspect(other, book, read_files=True)
        assert judged.state is PluginState.NEEDS_TRUST
        assert "have changed" in str(judged.reason)


def test_touched_files_that_are_the_same_are_trusted_still(tmp_path: Path, book: TrustBook) -> None:
    folder = python_plugin(tmp_path / "p", RUN)
    book.trust(folder, "tiny", files_sha256(folder))
    os.utime(folder / "tiny.py", (1, 1))
    assert inspect(folder, book).state is PluginState.FOUND
    assert inspect(folder, book, read_files=True).state is PluginState.READY


def test_a_copy_elsewhere_and_another_id_are_not_trusted(tmp_path: Path, book: TrustBook) -> None:
    folder = python_plugin(tmp_path / "p", RUN)
    book.trust(folder, "tiny", files_sha256(folder))
    shutil.copytree(folder, tmp_path / "q")
    assert inspect(tmp_path / "q", book).state is PluginState.NEEDS_TRUST
    book.forget("tiny")
    assert inspect(folder, book).state is PluginState.NEEDS_TRUST


def test_files_that_change_without_a_trace_are_found_before_they_run(tmp_path: Path, book: TrustBook) -> None:
    folder = python_plugin(tmp_path / "p", RUN)
    book.trust(folder, "tiny", files_sha256(folder))
    status = (folder / "tiny.py").stat()
    (folder / "tiny.py").write_text(RUN.replace(">", "<"), encoding="utf-8")
    os.utime(folder / "tiny.py", ns=(status.st_atime_ns, status.st_mtime_ns))
    record = inspect(folder, book)
    assert record.state is PluginState.READY  # the same size and time: nobody can tell without reading
    with pytest.raises(PluginNotTrustedError, match="have changed since you trusted it"):
        runner.run(record, volume(np.ones((3, 4, 5), np.int16)), NoProgress())


def test_a_compiled_copy_is_neither_read_nor_left(tmp_path: Path, book: TrustBook) -> None:
    import importlib.util
    import py_compile

    folder = python_plugin(tmp_path / "p", RUN)
    book.trust(folder, "tiny", files_sha256(folder))
    image = volume(np.ones((3, 4, 5), np.int16))
    assert runner.run(inspect(folder, book), image, NoProgress()).labels.all()
    assert not (folder / "__pycache__").exists()
    evil = tmp_path / "evil.py"
    evil.write_text("def run(case, context):\n    return case['image'].voxels * 0\n", encoding="utf-8")
    compiled = Path(importlib.util.cache_from_source(str(folder / "tiny.py")))
    py_compile.compile(str(evil), str(compiled), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    assert runner.run(inspect(folder, book), image, NoProgress()).labels.all()


def test_what_came_with_the_program_is_trusted(tmp_path: Path) -> None:
    book = TrustBook(tmp_path / "t.json", vouched=(shipped_plugins_folder(),))
    assert inspect(shipped_plugins_folder() / "ct_lungs", book).state is PluginState.READY
    untold = TrustBook(tmp_path / "t.json")
    assert inspect(shipped_plugins_folder() / "ct_lungs", untold).state is PluginState.NEEDS_TRUST
    # data alone: nobody is asked
    assert inspect(shipped_plugins_folder() / "mr_hippocampus", untold).state is PluginState.READY


def test_a_damaged_book_trusts_nobody(tmp_path: Path) -> None:
    folder = python_plugin(tmp_path / "p", RUN)
    path = tmp_path / "t.json"
    TrustBook(path).trust(folder, "tiny", files_sha256(folder))
    path.write_text(path.read_text(encoding="utf-8")[:-20], encoding="utf-8")
    assert inspect(folder, TrustBook(path)).state is PluginState.NEEDS_TRUST


def test_a_folder_that_is_a_link_is_no_part_of_what_is_trusted(tmp_path: Path) -> None:
    folder = python_plugin(tmp_path / "p", RUN)
    (tmp_path / "elsewhere").mkdir()
    (folder / "more").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    with pytest.raises(StorageError, match="link to another folder"):
        files_sha256(folder)
