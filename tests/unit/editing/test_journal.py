from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from medview.core.case import Patient, Study
from medview.core.errors import StorageError
from medview.core.geometry import Geometry, Index
from medview.core.segmentation import Code, Labels, ModelRef, Provenance, Segment, SegmentationId
from medview.core.text import Text
from medview.core.volume import Modality
from medview.editing import blocks, journal_records
from medview.editing.file_lock import FileLock
from medview.editing.journal import Journal
from medview.editing.journal_records import FORMAT, LOCK, STROKES, Grid, Head, Header, Step
from tests.support import grids

WHEN = datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)
SEGMENTS = (
    Segment(1, "肝", (1, 2, 3), Code("10200004", "SCT", "Liver"), Code("123037004", "SCT", "Anatomical Structure")),
    Segment(7, "", (255, 0, 9)),
)


def header(dtype: str = "uint8", geometry: Geometry = grids.OBLIQUE) -> Header:
    study = Study("1.2", Patient("ID 1", "山田^太郎", "19500101", "M"), "2024-01-02", "10:11", 'Abdomen "x"', "", "A1")
    provenance = Provenance(ModelRef("liver", "1.2", "ab" * 32), WHEN, "Reader^One", WHEN)
    return Header(
        FORMAT,
        SegmentationId("abc"),
        Text.of("Segmentation {number}", number=3),
        study,
        "1.2.3",
        "Café",
        Modality.MR,
        (Path("/data/ä b/1.dcm"),),
        Grid.of(geometry),
        dtype,
        SEGMENTS,
        provenance,
        WHEN,
    )


@pytest.fixture
def writer() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


class Ears:
    def __init__(self) -> None:
        self.heard: list[StorageError | None] = []

    def hear(self, problem: StorageError | None) -> None:
        self.heard.append(problem)


def random_blocks(count: int, seed: int, dtype: str = "uint8") -> dict[Index, Labels]:
    """Some blocks of a 14 x 18 x 22 grid: there is just one."""
    rng = np.random.default_rng(seed)
    box = blocks.box_of((0, 0, 0), grids.SHAPE)
    return {(0, 0, 0): rng.integers(0, 5, box.shape).astype(dtype)} if count else {}


def begun(folder: Path, writer: ThreadPoolExecutor, steps: int) -> Journal:
    journal = Journal(folder, writer, Ears().hear)
    journal.begin(header(), lambda: None)
    for number in range(steps):
        journal.append(Head(Step.EDIT, Text.of("Add {name}", name="肝"), WHEN, number), random_blocks(1, number))
    assert journal.wait_until_synced(20)
    return journal


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_what_is_written_comes_back(tmp_path: Path, writer: ThreadPoolExecutor, dtype: str) -> None:
    rng = np.random.default_rng(1)
    geometry = Geometry.from_parts((40, 33, 65), (2.0, 1.0, 1.0), frame_of_reference_uid="1.9")
    base = rng.integers(0, 3 if dtype == "uint8" else 60_000, geometry.shape).astype(dtype)
    base[:32] = 0
    journal = Journal(tmp_path / "a" / "b", writer, Ears().hear)
    written = header(dtype, geometry)
    journal.begin(written, lambda: base)
    values = {(1, 1, 2): np.full((8, 1, 1), 4, dtype), (0, 0, 0): rng.integers(0, 9, (32, 32, 32)).astype(dtype)}
    journal.append(Head(Step.EDIT, Text("Brush"), WHEN, 1.5, SEGMENTS), values)
    journal.append(Head(Step.SAVED, Text(""), WHEN, 2.5), {})
    journal.close(keep=True)
    stored = journal_records.read(journal.folder)
    assert stored.header == written
    assert stored.header.grid.geometry.same_grid(geometry, 1e-9)
    assert stored.header.grid.geometry.frame_of_reference_uid == "1.9"
    np.testing.assert_array_equal(stored.base_labels(), base)
    assert stored.base_labels().dtype == dtype
    assert [record.head.step for record in stored.records] == [Step.EDIT, Step.SAVED]
    first = stored.records[0]
    assert (first.head.name, first.head.at, first.head.seconds, first.head.segments) == (
        Text("Brush"),
        WHEN,
        1.5,
        SEGMENTS,
    )
    assert set(first.images) == set(values)
    for block, image in first.images.items():
        np.testing.assert_array_equal(blocks.unpack(image, values[block].shape, dtype), values[block])
    assert stored.strokes == 1
    assert not stored.is_unsaved


def test_a_record_cut_off_anywhere_does_not_count(tmp_path: Path, writer: ThreadPoolExecutor) -> None:
    journal = begun(tmp_path / "j", writer, 3)
    strokes = journal.folder / STROKES
    whole = strokes.read_bytes()
    ends = []
    for count in (1, 2, 3):
        other = begun(tmp_path / f"of {count}", writer, count)
        ends.append((other.folder / STROKES).stat().st_size)
    assert ends[-1] == len(whole)
    cuts = {*range(0, len(whole), 97), *ends, *(end - 1 for end in ends), *(end + 1 for end in ends[:-1]), 1, 7, 8, 9}
    for cut in sorted(cuts):
        strokes.write_bytes(whole[:cut])
        stored = journal_records.read(journal.folder)
        expected = sum(end <= cut for end in ends)
        assert len(stored.records) == expected
        assert stored.length == (ends[expected - 1] if expected else 0)


def test_a_changed_byte_costs_its_own_record_and_no_other(tmp_path: Path, writer: ThreadPoolExecutor) -> None:
    journal = begun(tmp_path / "j", writer, 4)
    strokes = journal.folder / STROKES
    whole = strokes.read_bytes()
    ends = [0]
    for count in (1, 2, 3, 4):
        other = begun(tmp_path / f"of {count}", writer, count)
        ends.append((other.folder / STROKES).stat().st_size)
    places = (0, 3, 4, 7, 8, 11, 12, 15, 40, 200, 999)
    for number in range(4):
        for place in places:
            changed = bytearray(whole)
            changed[ends[number] + place] ^= 0x40
            strokes.write_bytes(changed)
            stored = journal_records.read(journal.folder)
            left = [step for step in range(4) if step != number]
            assert [round(record.head.seconds) for record in stored.records] == left
            is_last = number == 3
            assert stored.damaged == (0 if is_last else 1), "the last record may just not be finished"
            assert stored.length == (ends[3] if is_last else ends[4])
    for gap in ((ends[1] + 5, ends[3] - 5), (ends[1], ends[2] + 17), (3, ends[3])):
        strokes.write_bytes(whole[: gap[0]] + bytes(gap[1] - gap[0]) + whole[gap[1] :])
        stored = journal_records.read(journal.folder)
        expected = [n for n in range(4) if ends[n + 1] <= gap[0] or ends[n] >= gap[1]]
        assert [round(record.head.seconds) for record in stored.records] == expected
        assert stored.damaged == 1
    strokes.write_bytes(whole[: ends[2] - 9] + whole[ends[2] :])
    assert [round(record.head.seconds) for record in journal_records.read(journal.folder).records] == [0, 2, 3]


def test_zeros_after_the_last_record_do_not_count(tmp_path: Path, writer: ThreadPoolExecutor) -> None:
    journal = begun(tmp_path / "j", writer, 2)
    with (journal.folder / STROKES).open("ab") as file:
        length = file.tell()
        file.write(bytes(4096))
    stored = journal_records.read(journal.folder)
    assert (len(stored.records), stored.length) == (2, length)


def test_one_goes_on_after_a_record_that_was_cut_off(tmp_path: Path, writer: ThreadPoolExecutor) -> None:
    journal = begun(tmp_path / "j", writer, 2)
    strokes = journal.folder / STROKES
    journal.close(keep=True)
    strokes.write_bytes(strokes.read_bytes()[:-5])
    stored = journal_records.read(journal.folder)
    again = Journal(journal.folder, writer, Ears().hear)
    again.go_on(stored.length)
    again.append(Head(Step.UNDO, Text("Brush"), WHEN), random_blocks(1, 9))
    again.close(keep=True)
    assert [record.head.step for record in journal_records.read(journal.folder).records] == [Step.EDIT, Step.UNDO]


def test_without_keeping_nothing_is_left(tmp_path: Path, writer: ThreadPoolExecutor) -> None:
    journal = begun(tmp_path / "j", writer, 2)
    journal.close(keep=False)
    assert not journal.folder.exists()


def test_a_journal_is_locked_while_it_is_written(tmp_path: Path, writer: ThreadPoolExecutor) -> None:
    journal = begun(tmp_path / "j", writer, 1)
    other = FileLock(journal.folder / LOCK)
    assert not other.acquire()
    journal.close(keep=True)
    assert other.acquire()
    assert other.acquire()
    other.release()
    other.release()


def test_a_folder_that_cannot_be_made_is_said_once_and_made_good_later(
    tmp_path: Path, writer: ThreadPoolExecutor
) -> None:
    in_the_way = tmp_path / "journals"
    in_the_way.write_text("a file where the folder should be")
    ears = Ears()
    journal = Journal(in_the_way / "j", writer, ears.hear)
    journal.begin(header(), lambda: None)
    for number in range(3):
        journal.append(Head(Step.EDIT, Text("Brush"), WHEN, number), random_blocks(1, number))
    assert not journal.wait_until_synced(20)
    assert len(ears.heard) == 1
    problem = ears.heard[0]
    assert problem is not None
    assert "cannot be saved to disk" in str(problem)
    assert problem.remedy
    in_the_way.unlink()
    journal.append(Head(Step.EDIT, Text("Brush"), WHEN, 3), random_blocks(1, 3))
    assert journal.wait_until_synced(20)
    assert ears.heard == [problem, None]
    seconds = [record.head.seconds for record in journal_records.read(journal.folder).records]
    assert seconds == [0, 1, 2, 3]


def test_waiting_has_an_end(tmp_path: Path, writer: ThreadPoolExecutor) -> None:
    hold = threading.Event()
    writer.submit(hold.wait, 20)
    journal = Journal(tmp_path / "j", writer, Ears().hear)
    journal.begin(header(), lambda: None)
    assert journal.wait_until_written(0.01)
    journal.append(Head(Step.EDIT, Text("Brush"), WHEN), random_blocks(1, 0))
    assert not journal.wait_until_written(0.01)
    assert not journal.wait_until_synced(0.01)
    hold.set()
    assert journal.wait_until_synced(20)
    assert journal.wait_until_written(20)


def test_what_is_no_journal_is_refused(tmp_path: Path, writer: ThreadPoolExecutor) -> None:
    with pytest.raises(StorageError):
        journal_records.read(tmp_path)
    journal = begun(tmp_path / "j", writer, 1)
    for name, content in (
        (journal_records.HEADER, b"{}"),
        (journal_records.BASE, b""),
        (journal_records.BASE, b"\xff" * 100),
    ):
        path = journal.folder / name
        good = path.read_bytes()
        path.write_bytes(content)
        with pytest.raises(StorageError):
            journal_records.read(journal.folder)
        path.write_bytes(good)
    assert len(journal_records.read(journal.folder).records) == 1


def test_a_journal_of_a_newer_program_is_left_to_it(tmp_path: Path, writer: ThreadPoolExecutor) -> None:
    journal = Journal(tmp_path / "j", writer, Ears().hear)
    journal.begin(replace(header(), format=FORMAT + 1), lambda: None)
    journal.close(keep=True)
    with pytest.raises(StorageError, match="newer MedView"):
        journal_records.read(journal.folder)
