"""What is in an archive, told by hand, and the limits to what comes out of it."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from pathlib import Path
from typing import Literal

import pytest

from medview.core.archives import (
    BROKEN,
    Budget,
    Limits,
    MemberKind,
    OverfullError,
    is_archive,
    opened,
    parts_within,
    pieces,
)


def told(path: Path, most: int = 100) -> list[tuple[str, MemberKind, int]]:
    with opened(path, most) as members:
        return [(one.name, one.kind, one.size) for one in members]


def content(path: Path) -> dict[str, bytes]:
    with opened(path, 100) as members:
        return {one.name: b"".join(pieces(one.open())) for one in members if one.kind is MemberKind.FILE}


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_members_of_a_tar(mode: Literal["w", "w:gz", "w:bz2", "w:xz"], tmp_path: Path) -> None:
    path = tmp_path / "a"
    with tarfile.open(path, mode) as archive:
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        file = tarfile.TarInfo("folder/one.txt")
        file.size = 3
        archive.addfile(file, io.BytesIO(b"one"))
        for kind, name in ((tarfile.SYMTYPE, "link"), (tarfile.LNKTYPE, "hard"), (tarfile.CHRTYPE, "device")):
            other = tarfile.TarInfo(name)
            other.type, other.linkname = kind, "folder/one.txt"
            archive.addfile(other)
    assert is_archive(path)
    assert told(path) == [
        ("folder", MemberKind.FOLDER, 0),
        ("folder/one.txt", MemberKind.FILE, 3),
        ("link", MemberKind.OTHER, 0),
        ("hard", MemberKind.OTHER, 0),
        ("device", MemberKind.OTHER, 0),
    ]
    assert content(path) == {"folder/one.txt": b"one"}
    assert len(told(path, most=2)) == 3  # one more than there may be, so that it is noticed


def test_members_of_a_zip(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("folder")
        archive.writestr("folder/one.txt", "one")
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "folder/one.txt")
        archive.writestr("x", "two")
    raw = path.read_bytes().replace(b"link", "检".encode("gb18030") + b"nk")  # a name in GBK, unmarked
    path.write_bytes(raw)
    assert told(path) == [
        ("folder/", MemberKind.FOLDER, 0),
        ("folder/one.txt", MemberKind.FILE, 3),
        ("检nk", MemberKind.OTHER, 14),
        ("x", MemberKind.FILE, 3),
    ]
    assert content(path) == {"folder/one.txt": b"one", "x": b"two"}


def test_a_packed_file_is_its_only_member(tmp_path: Path) -> None:
    path = tmp_path / "one.dcm.gz"
    path.write_bytes(gzip.compress(b"what it holds" * 1000))
    assert not is_archive(path)
    assert told(path) == [("one.dcm", MemberKind.FILE, 0)]
    assert content(path) == {"one.dcm": b"what it holds" * 1000}


@pytest.mark.parametrize("damaged", [b"", b"PK\x03\x04 and nothing more", b"words"])
def test_what_is_no_archive_is_refused(damaged: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(damaged)
    assert not is_archive(path)
    with pytest.raises(BROKEN):
        told(path)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("a/b.txt", ("a", "b.txt")),
        ("./a//b.txt", ("a", "b.txt")),
        ("a\\b.txt", ("a", "b.txt")),
        ("a..b/..c", ("a..b", "..c")),
        ("/etc/passwd", None),
        ("\\\\server\\share", None),
        ("C:\\x", None),
        ("c:x", None),
        ("a/../b", None),
        ("a\\..\\..\\b", None),
        ("..", None),
        ("", None),
        (".", None),
        ("/", None),
    ],
)
def test_paths_stay_within(name: str, parts: tuple[str, ...] | None) -> None:
    assert parts_within(name) == parts


def test_a_budget_ends(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(100))
    small = Budget(path, Limits(members=1, always_bytes=50, ratio=3, most_bytes=10_000))
    small.take(300)
    with pytest.raises(OverfullError) as caught:
        small.take(1)
    assert not caught.value.is_disk
    capped = Budget(path, Limits(members=1, always_bytes=50, ratio=3, most_bytes=200))
    with pytest.raises(OverfullError):
        capped.take(201)
    Budget(path, Limits(members=1, always_bytes=5000, ratio=3, most_bytes=10_000)).take(5000)
    full = Budget(
        path, Limits(members=1, always_bytes=50, ratio=3, most_bytes=10_000, kept_free_bytes=1 << 60), tmp_path
    )
    with pytest.raises(OverfullError) as caught:
        full.take(1)
    assert caught.value.is_disk
