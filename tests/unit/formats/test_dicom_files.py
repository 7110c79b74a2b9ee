from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import pytest
from pydicom.uid import ImplicitVRLittleEndian

from medview.core.errors import Cancelled
from medview.core.progress import NoProgress
from medview.core.text import Text
from medview.formats import dicom_files
from medview.formats.dicom_files import Scan
from medview.formats.dicom_header import Header
from medview.formats.dicom_text import iso_date, iso_time, written_name
from medview.formats.dicom_writer import SAMPLE_STUDY, SeriesOptions, write_series
from medview.phantom.chest import Phantom


def scan(*paths: Path) -> Scan:
    return dicom_files.scan(paths, NoProgress())


def reasons(found: Scan) -> dict[str, str]:
    return {reject.path.name: str(reject.reason) for reject in found.rejects}


def test_what_systems_leave_in_folders_is_passed_over(small_series_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(small_series_folder, tmp_path / "a")
    one = next(small_series_folder.iterdir())
    for name in (".DS_Store", "._00001.dcm", "Thumbs.db", "DICOMDIR", "desktop.ini"):
        shutil.copy(one, tmp_path / "a" / name)
    (tmp_path / ".hidden").mkdir()
    shutil.copy(one, tmp_path / ".hidden" / "x.dcm")
    found = scan(tmp_path)
    assert len(found.headers) == 40
    assert found.rejects == ()


def test_every_unusable_file_gets_its_reason(small_series_folder: Path, tmp_path: Path) -> None:
    good = (small_series_folder / "00001.dcm").read_bytes()
    files = {
        "empty": b"",
        "text.txt": b"nothing to see here, only words",
        "packed.gz": gzip.compress(good),
        "report.pdf": b"%PDF-1.7 ...",
        "secret.dcm": bytes.fromhex("308006092a864886f70d010703a0803080") + bytes(200),
        "short.dcm": good[:-100],
        "cut-in-header.dcm": good[:400],
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    everything = scan(tmp_path)
    found = reasons(everything)
    assert found["empty"] == "The file is empty."
    assert found["text.txt"] == "It is not a DICOM file."
    assert everything.archives == (tmp_path / "packed.gz",)
    assert "PDF" in found["report.pdf"]
    assert found["secret.dcm"] == "The file is encrypted."
    assert found["short.dcm"] == "The file is cut off: its pixels are not all there."
    assert {*found, "packed.gz"} == files.keys()


def test_one_file_stands_for_its_series(small_phantom: Phantom, tmp_path: Path) -> None:
    write_series(small_phantom.volume, tmp_path / "a", SeriesOptions(series_uid="1.2.3"))
    others = write_series(small_phantom.volume, tmp_path / "b", SeriesOptions(series_uid="1.2.4"))
    for path in others:
        path.rename(tmp_path / "a" / f"other-{path.name}")
    (tmp_path / "a" / "notes.txt").write_text("words")
    found = scan(tmp_path / "a" / "00007.dcm")
    assert len(found.headers) == 40
    assert {header.series_uid for header in found.headers} == {"1.2.3"}
    assert found.rejects == ()


def test_a_dicomdir_stands_for_its_folder(small_series_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(small_series_folder, tmp_path / "IMAGES")
    (tmp_path / "DICOMDIR").write_bytes(b"whatever")
    assert len(scan(tmp_path / "DICOMDIR").headers) == 40


def test_a_folder_that_is_called_dicomdir_is_a_folder(small_series_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(small_series_folder, tmp_path / "DICOMDIR")
    (tmp_path / "other.txt").write_text("words")
    assert scan(tmp_path / "DICOMDIR").rejects == ()


def test_files_without_preamble_and_ending_are_read(small_phantom: Phantom, tmp_path: Path) -> None:
    paths = write_series(
        small_phantom.volume, tmp_path, SeriesOptions(preamble=False, transfer_syntax=ImplicitVRLittleEndian)
    )
    for path in paths:
        path.rename(path.with_suffix(""))
    found = scan(tmp_path)
    assert len(found.headers) == 40
    assert {header.transfer_syntax for header in found.headers} == {ImplicitVRLittleEndian}


def test_a_file_given_twice_is_read_once(small_series_folder: Path) -> None:
    assert len(scan(small_series_folder, small_series_folder, small_series_folder / "00001.dcm").headers) == 40


def test_batches_hold_every_header_once(small_series_folder: Path) -> None:
    batches: list[tuple[Header, ...]] = []
    found = dicom_files.scan([small_series_folder], NoProgress(), batches.append)
    assert tuple(header for batch in batches for header in batch) == found.headers


def test_a_scan_can_be_cancelled(small_series_folder: Path) -> None:
    class Stop(NoProgress):
        def raise_if_cancelled(self) -> None:
            raise Cancelled

    with pytest.raises(Cancelled):
        dicom_files.scan([small_series_folder], Stop())


def test_image_files_are_kept_apart_from_their_data_files(tmp_path: Path) -> None:
    for name in ("a.nii.gz", "b.nrrd", "c.mhd", "c.raw", "d.hdr", "d.img"):
        (tmp_path / name).write_bytes(b"x" * 400)
    found = scan(tmp_path)
    assert [path.name for path in found.image_files] == ["a.nii.gz", "b.nrrd", "c.mhd", "d.hdr"]
    assert found.rejects == ()


@pytest.mark.parametrize(
    ("stored", "written"),
    [
        ("Doe^Jane^M", "Doe, Jane M"),
        ("Doe", "Doe"),
        ("", ""),
        ("Wang^XiaoDong=王^小东", "王 小东 (Wang, XiaoDong)"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "山田 太郎 (Yamada, Tarou)"),
        ("=王^小东", "王 小东"),
    ],
)
def test_names_are_written_as_people_write_them(stored: str, written: str) -> None:
    assert written_name(stored) == written


def test_dates_and_times() -> None:
    assert [iso_date(value) for value in ("20200119", "2020.01.19", "", "20201399")] == ["2020-01-19"] * 2 + [""] * 2
    assert [iso_time(value) for value in ("010313.25", "0103", "", "99")] == ["01:03:13", "01:03:00", "00:00:00", ""]


@pytest.mark.parametrize("charset", ["ISO_IR 192", "GB18030"])
def test_chinese_names_survive_writing_and_reading(charset: str, small_phantom: Phantom, tmp_path: Path) -> None:
    from dataclasses import replace

    study = replace(SAMPLE_STUDY, patient=replace(SAMPLE_STUDY.patient, name="Wang^XiaoDong=王^小东"))
    write_series(small_phantom.volume, tmp_path, SeriesOptions(character_set=charset), study=study)
    assert {header.study.patient.name for header in scan(tmp_path).headers} == {"王 小东 (Wang, XiaoDong)"}


def test_real_names_in_twelve_character_sets(real_data: Path) -> None:
    names = {header.study.patient.name for header in scan(real_data / "character-sets").headers}
    assert {
        *("قباني, لنزار", "Διονυσιος", "Люкceмбypг", "שרון, דבורה", "Äneas, Rüdiger", "Buc, Jérôme"),
        *("王 小東 (Wang, XiaoDong)", "王 小东 (Wang, XiaoDong)", "张 小东 (Zhang, XiaoDong)"),
        *("洪 吉洞 (Hong, Gildong)", "山田 太郎 (Yamada, Tarou)", "山田 太郎 (ﾔﾏﾀﾞ, ﾀﾛｳ)"),
    } == names


def test_real_broken_files_never_crash(real_data: Path) -> None:
    folder = real_data / "broken-and-odd-files"
    found = scan(folder)
    assert len(found.headers) + len(found.rejects) + len(found.archives) == len(list(folder.iterdir()))
    assert reasons(found)["MR_truncated.dcm"] == "The file is cut off: its pixels are not all there."
    assert all(isinstance(reject.reason, Text) and reject.reason for reject in found.rejects)
