from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from medview.core.errors import StorageError
from medview.core.files import file_hash, put_once, rename_folder, whole_file, whole_folder, write_bytes


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_there_whole_or_as_it_was(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "labels.nii.gz"
    write_bytes(target, b"first")
    assert target.read_bytes() == b"first"

    def fail() -> None:
        with whole_file(target) as temporary:
            assert temporary.name.endswith(".nii.gz")
            assert temporary.parent == target.parent
            temporary.write_bytes(b"half")
            assert target.read_bytes() == b"first"
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        fail()
    assert target.read_bytes() == b"first"
    assert names(target.parent) == ["labels.nii.gz"]


def test_what_the_system_refuses_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="could not be written"):
        write_bytes(tmp_path / "file" / "below.txt", b"x")


def test_a_folder_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    def fail() -> None:
        with whole_folder(tmp_path / "export") as temporary:
            (temporary / "one.txt").write_text("1")
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        fail()
    assert names(tmp_path) == []
    with whole_folder(tmp_path / "export") as temporary:
        (temporary / "one.txt").write_text("1")
        assert rename_folder(temporary, tmp_path / "export")
    assert names(tmp_path) == ["export"]
    with whole_folder(tmp_path / "export") as temporary:
        (temporary / "two.txt").write_text("2")
        assert not rename_folder(temporary, tmp_path / "export")
    assert names(tmp_path / "export") == ["one.txt"]
    assert names(tmp_path) == ["export"]


def test_the_first_of_two_wins(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / "part").write_text(str(number))
        put_once(tmp_path / "part", tmp_path / "key")
        (tmp_path / "part").unlink()
    assert (tmp_path / "key").read_text() == "1"


def test_the_hash_of_a_file(tmp_path: Path) -> None:
    content = bytes(range(256)) * 20_000
    (tmp_path / "big").write_bytes(content)
    assert file_hash(tmp_path / "big") == hashlib.sha256(content).hexdigest()
