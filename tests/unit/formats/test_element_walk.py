from __future__ import annotations

import ast
import random
import tracemalloc
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.tag import Tag
from pydicom.uid import UID, CTImageStorage, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from medview.core.progress import NoProgress
from medview.formats import dicom_files, header_cache
from medview.formats.dicom_header import WANTED
from medview.formats.element_walk import NotOrdinary, Walk
from medview.formats.raw_elements import read_elements
from tests.fuzz import mutations

FORMATS = Path(header_cache.__file__).parent


def nested(*, depth: int) -> Dataset:
    one = Dataset()
    one.CodeValue, one.TextValue = "1", "x" * 70_000 if depth == 0 else "inner"
    if depth:
        one.ConceptCodeSequence = [nested(depth=depth - 1), Dataset()]
        one["ConceptCodeSequence"].is_undefined_length = depth % 2 == 0
        for item in one.ConceptCodeSequence:
            item.is_undefined_length_sequence_item = depth % 2 == 1
    return one


def written(path: Path, syntax: str) -> Path:
    """A file whose header is longer than a block, with sequences of both kinds of length inside each other."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, "1.2.3"
    dataset.ReferencedStudySequence = [nested(depth=4), nested(depth=3)]
    dataset["ReferencedStudySequence"].is_undefined_length = True
    dataset.SeriesDescription, dataset.Modality = "after sequences", "CT"
    dataset.ImageComments = "y" * 9_000
    dataset.Rows, dataset.Columns, dataset.BitsAllocated, dataset.BitsStored = 2, 3, 16, 12
    dataset.SamplesPerPixel, dataset.PixelRepresentation = 1, 0
    dataset.PixelData = bytes(range(12))
    dataset["PixelData"].VR = "OW"
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, UID("1.2.3")
    meta.TransferSyntaxUID = UID(syntax)
    dcmwrite(path, FileDataset(path, dataset, preamble=b"\0" * 128, file_meta=meta), enforce_file_format=True)
    return path


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_sequences_of_every_kind_are_passed_over(syntax: str, tmp_path: Path) -> None:
    path = written(tmp_path / "one.dcm", syntax)
    with path.open("rb") as file:
        found = Walk(file).elements(WANTED)
    assert found.syntax == syntax
    assert found.values[Tag("SeriesDescription")] == b"after sequences "
    assert found.values[Tag("Rows")] == (2).to_bytes(2, "little" if found.little else "big")
    assert found.pixels is not None
    assert path.read_bytes()[found.pixels.offset :][: found.pixels.length] == bytes(range(12))


def test_a_file_that_ends_in_the_middle_is_not_ordinary(tmp_path: Path) -> None:
    content = written(tmp_path / "one.dcm", ExplicitVRLittleEndian).read_bytes()
    at = content.index(b"after sequences")
    (tmp_path / "cut.dcm").write_bytes(content[: at + 4])
    with (tmp_path / "cut.dcm").open("rb") as file, pytest.raises(NotOrdinary):
        Walk(file).elements(WANTED)


@pytest.mark.parametrize("preamble", [True, False])
def test_what_unpacks_without_end_is_not_walked_through_and_not_unpacked(preamble: bool, tmp_path: Path) -> None:
    sound = written(tmp_path / "one.dcm", ExplicitVRLittleEndian).read_bytes()
    bomb = mutations.deflate_bomb(sound, random.Random(0))
    (tmp_path / "bomb.dcm").write_bytes(bomb if preamble else bomb[132:])
    with (tmp_path / "bomb.dcm").open("rb") as file:
        if preamble:
            with pytest.raises(NotOrdinary):
                Walk(file).elements(WANTED)
        with pytest.raises(ValueError, match="without end"):
            read_elements(file, WANTED, has_preamble=preamble)


def test_a_length_that_lies_takes_no_memory(tmp_path: Path) -> None:
    content = bytearray(written(tmp_path / "one.dcm", ImplicitVRLittleEndian).read_bytes())
    at = content.index(b"after sequences") - 4
    content[at : at + 4] = (0xFFFFFFF0).to_bytes(4, "little")
    (tmp_path / "lie.dcm").write_bytes(content)
    with (tmp_path / "lie.dcm").open("rb") as file:
        tracemalloc.start()
        try:
            with pytest.raises(NotOrdinary):
                Walk(file).elements(WANTED)
            assert tracemalloc.get_traced_memory()[1] < 1 << 20
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
def test_sequences_without_end_are_no_header(syntax: str, tmp_path: Path) -> None:
    """Ten thousand of them inside each other."""
    content = written(tmp_path / "one.dcm", syntax).read_bytes()
    kind = b"SQ\0\0" if syntax == ExplicitVRLittleEndian else b""
    start = b"\x08\x00\x10\x11" + kind + b"\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    at = content.index(start[:4])
    path = tmp_path / "deep.dcm"
    path.write_bytes(content[:at] + start * 10_000 + content[at:])
    with path.open("rb") as file, pytest.raises(NotOrdinary):
        Walk(file).elements(WANTED)
    ((rejected, reason),) = [(one.path, str(one.reason)) for one in dicom_files.scan([path], NoProgress()).rejects]
    assert rejected == path
    assert "damaged" in reason


def test_real_files_are_taken_apart_as_pydicom_does(real_data: Path) -> None:
    compared = placed = 0
    for path in sorted(real_data.rglob("*"))[::3]:
        if not path.is_file() or path.stat().st_size > 1 << 24:
            continue
        with path.open("rb") as file:
            if file.read(132)[128:] != b"DICM":
                continue
            try:
                found = Walk(file).elements(WANTED)
            except NotOrdinary:
                continue
        try:
            truth = dcmread(path)
        except Exception:  # pydicom cannot read what is damaged
            continue
        plain = {tag for tag in found.values if found.values[tag]}
        for tag in plain:
            element = truth.get_item(tag)
            if isinstance(getattr(element, "value", None), bytes):
                assert found.values[tag] == element.value, (path, Tag(tag))
        assert {tag for tag in WANTED if tag in truth} == set(found.values), path
        offset = getattr(truth.get_item("PixelData"), "value_tell", None)
        if found.pixels is not None and found.pixels.length and offset is not None:
            assert found.pixels.offset == offset, path
            placed += 1
        compared += 1
    assert compared > 400
    assert placed > 300


def test_whatever_reads_and_judges_counts_for_what_is_remembered() -> None:
    """A module that `dicom_files` or `search_record` uses, and that is not in the list, would leave stale headers."""
    not_of_files = {"decoders", "image_files", "itk_geometry", "nifti", "dicom_pixels", "pixel_decoding", "file_walk"}
    wanted, seen = ["dicom_files", "search_record"], set[str]()
    while wanted:
        name = wanted.pop()
        if name in seen or name in not_of_files:
            continue
        seen.add(name)
        for node in ast.walk(ast.parse((FORMATS / f"{name}.py").read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "medview.formats":
                wanted += [one.name for one in node.names]
            elif isinstance(node, ast.ImportFrom) and str(node.module).startswith("medview.formats."):
                wanted.append(str(node.module).rpartition(".")[2])
    assert seen == set(header_cache.READERS)
