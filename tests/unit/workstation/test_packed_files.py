"""What is packed opens like what is not, and a malicious archive gets one sentence."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medview.core.errors import Cancelled
from medview.core.progress import NoProgress, Progress
from medview.formats import archives, dicom_volume, image_files
from medview.formats.dicom_series import DicomSeries
from medview.phantom.chest import Phantom
from medview.workstation.searching import Found, nothing_to_open, search


def found_in(*paths: Path) -> Found:
    return search(paths, {}, NoProgress(), lambda series: None)


def reasons(found: Found) -> dict[str, str]:
    return {one.path.name: str(one.reason) for one in found.rejects}


def zipped(folder: Path, into: Path, prefix: str = "") -> Path:
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, f"{prefix}{path.name}")
    return into


def test_a_packed_tar_opens_with_its_values_and_its_links_are_told(
    small_series_folder: Path, small_phantom: Phantom, tmp_path: Path
) -> None:
    path = tmp_path / "patient.tgz"
    with tarfile.open(path, "w:gz") as archive:
        for one in sorted(small_series_folder.iterdir()):
            archive.add(one, f"patient/{one.name}")
        link = tarfile.TarInfo("patient/link.dcm")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        outside = tarfile.TarInfo("../outside.dcm")
        archive.addfile(outside, io.BytesIO())
    found = found_in(path)
    ((_, source),) = found.sources
    assert isinstance(source, DicomSeries)
    volume = dicom_volume.read(source, NoProgress())
    np.testing.assert_array_equal(volume.voxels, small_phantom.volume.voxels)
    assert reasons(found) == {
        "link.dcm": "It is a link or a device: it was left out.",
        "outside.dcm": "Its name leads out of the archive: it was left out.",
    }
    assert not any(tmp_path.rglob("outside.dcm"))


def test_a_zipped_series_opens_with_its_values(
    small_series_folder: Path, small_phantom: Phantom, tmp_path: Path
) -> None:
    path = zipped(small_series_folder, tmp_path / "patient.zip", "一月/检查 1/")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("一月/readme.txt", "words")
        archive.writestr("__MACOSX/._x.dcm", "what macOS leaves")
    found = found_in(path)
    ((facts, source),) = found.sources
    assert isinstance(source, DicomSeries)
    assert found.rejects == ()
    volume = dicom_volume.read(source, NoProgress())
    np.testing.assert_array_equal(volume.voxels, small_phantom.volume.voxels)
    again = found_in(path)
    assert again.series[0].files == facts.files  # unpacked once
    assert {file.suffix for file in facts.files[0].parents[1].rglob("*") if file.is_file()} == {".dcm"}


def test_a_zip_in_a_folder_and_a_nifti_in_a_zip_open(small_phantom: Phantom, tmp_path: Path) -> None:
    image_files.write_volume(small_phantom.volume, tmp_path / "chest.nii.gz")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(tmp_path / "chest.nii.gz", "inner/胸.nii.gz")
    (tmp_path / "chest.nii.gz").unlink()
    found = found_in(tmp_path)
    (facts,) = found.series
    assert facts.description == "胸.nii.gz"
    read = image_files.read_volume(facts.files[0], NoProgress())
    np.testing.assert_array_equal(read.voxels, small_phantom.volume.voxels)


def test_a_packed_file_and_a_packed_file_in_a_zip_open(small_series_folder: Path, tmp_path: Path) -> None:
    data = (small_series_folder / "00001.dcm").read_bytes()
    (tmp_path / "one.dcm.gz").write_bytes(gzip.compress(data))
    with zipfile.ZipFile(tmp_path / "many.zip", "w") as archive:
        archive.writestr("00002.gz", gzip.compress((small_series_folder / "00002.dcm").read_bytes()))
    found = found_in(tmp_path)
    assert found.rejects == ()
    assert [one.slices for one in found.series] == [2]


def test_archives_within_archives_within_archives_are_left_packed(small_series_folder: Path, tmp_path: Path) -> None:
    inner = zipped(small_series_folder, tmp_path / "1.zip").read_bytes()
    for name in ("2.zip", "3.zip"):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr(f"in-{name}", inner)
        inner = buffer.getvalue()
    (tmp_path / "1.zip").unlink()
    (tmp_path / "3.zip").write_bytes(inner)
    found = found_in(tmp_path)
    assert found.series == ()
    assert reasons(found) == {"in-2.zip": "It is packed within a packed file: unpack it first."}
    assert found.rejects[0].path == tmp_path / "3.zip" / "in-3.zip" / "in-2.zip"


def test_names_that_lead_out_of_the_archive_are_left_out(small_series_folder: Path, tmp_path: Path) -> None:
    data = (small_series_folder / "00001.dcm").read_bytes()
    with zipfile.ZipFile(tmp_path / "slip.zip", "w") as archive:
        for name in ("../../escaped.dcm", "/tmp/absolute.dcm", "C:\\windows.dcm", "a/../../b.dcm", "good.dcm"):
            archive.writestr(name, data)
    before = {path for path in tmp_path.rglob("*") if "unpacked" not in path.parts}
    found = found_in(tmp_path / "slip.zip")
    after = {path for path in tmp_path.rglob("*") if "unpacked" not in path.parts}
    assert {path.name for path in after - before} <= {"medview-home"}
    assert [path.name for one in found.series for path in one.files] == ["good.dcm"]
    assert list(reasons(found).values()) == ["Its name leads out of the archive: it was left out."] * 4


def test_a_bomb_is_stopped_and_what_came_before_it_opens(
    small_series_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "LIMITS", replace(archives.LIMITS, always_bytes=32 << 20))
    head = (small_series_folder / "00001.dcm").read_bytes()
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.dcm", head)
        with archive.open("b.dcm", "w", force_zip64=True) as file:
            file.write(head)
            for _ in range(100):
                file.write(bytes(1 << 20))
    assert (tmp_path / "bomb.zip").stat().st_size < 1 << 18
    found = found_in(tmp_path / "bomb.zip")
    assert "It unpacks to far more than such files hold: the rest was left out." in reasons(found).values()
    assert "a.dcm" in {path.name for one in found.series for path in one.files}


@pytest.mark.parametrize("spoil", [lambda data: data[:-200], lambda data: data[: len(data) // 2], lambda _: b"PK\3\4"])
def test_a_damaged_archive_gets_a_sentence(spoil: object, small_series_folder: Path, tmp_path: Path) -> None:
    assert callable(spoil)
    path = zipped(small_series_folder, tmp_path / "x.zip")
    path.write_bytes(spoil(path.read_bytes()))
    found = found_in(path)
    assert reasons(found) == {"x.zip": "The archive is damaged."}
    error = nothing_to_open(found)
    assert error is not None
    assert "x.zip cannot be opened. The archive is damaged." in str(error)


def test_an_entry_with_a_wrong_checksum_is_named(small_series_folder: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(small_series_folder.iterdir())[:3]:
            archive.write(path, path.name)
    data = bytearray((tmp_path / "x.zip").read_bytes())
    data[data.index(b"00002.dcm") + 5000] ^= 0xFF
    (tmp_path / "x.zip").write_bytes(data)
    found = found_in(tmp_path / "x.zip")
    assert reasons(found) == {"00002.dcm": "It is damaged in the archive."}
    assert len(found.series[0].files) == 2


def test_an_archive_without_images_is_not_unpacked(tmp_path: Path, medview_home: Path) -> None:
    with zipfile.ZipFile(tmp_path / "report.docx", "w") as archive:
        archive.writestr("[Content_Types].xml", "<xml/>")
        archive.writestr("word/document.xml", "<xml/>")
    assert reasons(found_in(tmp_path)) == {"report.docx": "There is no image in it."}
    assert not any((medview_home / "unpacked").iterdir())


def test_a_changed_archive_is_unpacked_anew(small_series_folder: Path, tmp_path: Path) -> None:
    path = zipped(small_series_folder, tmp_path / "x.zip")
    assert found_in(path).series[0].slices == 40
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(small_series_folder / "00001.dcm", "00001.dcm")
    assert found_in(path).series[0].slices == 1


def test_a_stopped_search_leaves_nothing_half_unpacked(
    small_series_folder: Path, tmp_path: Path, medview_home: Path
) -> None:
    class Stopped(NoProgress):
        def __init__(self) -> None:
            self.asked = 0

        def raise_if_cancelled(self) -> None:
            self.asked += 1
            if self.asked > 12:
                raise Cancelled

    path = zipped(small_series_folder, tmp_path / "x.zip")
    stopped: Progress = Stopped()
    with pytest.raises(Cancelled):
        archives.unpack(path, medview_home / "unpacked", lambda name, start: True, stopped)
    assert list((medview_home / "unpacked").iterdir()) == []


def test_names_in_chinese_code_pages_are_read(tmp_path: Path, small_series_folder: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.write(small_series_folder / "00001.dcm", "abcdef.dcm")
    raw = (tmp_path / "x.zip").read_bytes().replace(b"abcdef", "张三丰".encode("gbk"))
    (tmp_path / "x.zip").write_bytes(raw)
    assert found_in(tmp_path / "x.zip").series[0].files[0].name == "张三丰.dcm"
