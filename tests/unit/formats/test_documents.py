"""What comes with a study as words, compared with what DCMTK prints of it."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian

from medview.core.case import SeriesKind
from medview.core.errors import UnreadableFileError
from medview.core.progress import NoProgress
from medview.formats import clinical_documents, dicom_files, dicom_series, documents

REPORTS = [
    "sr-tid1500-dcmqi/sr.dcm",
    "seg-sr-highdicom/sr_document.dcm",
    "seg-sr-highdicom/sr_document_with_multiple_groups.dcm",
]


def found(real_data: Path, name: str) -> Path:
    folder, _, file = name.partition("/")
    return next((real_data / folder).rglob(file))


@pytest.mark.skipif(shutil.which("dsrdump") is None, reason="DCMTK is not installed")
@pytest.mark.parametrize("name", REPORTS)
def test_a_report_says_what_dcmtk_prints(name: str, real_data: Path) -> None:
    path = found(real_data, name)
    printed = subprocess.run(["dsrdump", "-Ec", "-Er", str(path)], capture_output=True, text=True, check=True).stdout
    document = documents.read(path)
    items = re.findall(r"^\s*<(?:contains|has|inferred|selected)[^>]*? (\w+):\(,,\"(.*?)\"\)", printed, re.MULTILINE)
    assert len(items) > 10
    assert [line.name for line in document.lines if line.name] == [heading for _, heading in items]
    numbers = re.findall(r"NUM:\(,,\"(.*?)\"\)=\"(.*?)\"", printed)
    assert numbers
    said = [(line.name, line.value.split(" ")[0]) for line in document.lines]
    assert all((heading, value) in said for heading, value in numbers)


def test_a_presentation_state_lists_its_images_and_windows(real_data: Path) -> None:
    path = found(real_data, "mr-dwi-4d-with-presentation-state/PS_0545")
    document = documents.read(path)
    assert str(document.kind) == "a presentation state"
    assert [(str(line.name), line.value) for line in document.lines[1:2]] == [("Images", "544")]
    items = dcmread(path).SoftcopyVOILUTSequence
    widths, centers = [float(one.WindowWidth) for one in items], [float(one.WindowCenter) for one in items]
    (window,) = [line.value for line in document.lines if str(line.name) == "W / L"]
    assert window == f"{min(widths):g} ... {max(widths):g} / {min(centers):g} ... {max(centers):g}"
    assert len(document.lines) < 10


def test_documents_are_listed_to_be_read(real_data: Path) -> None:
    for folder, count in (("sr-tid1500-dcmqi", 1), ("mr-dwi-4d-with-presentation-state", 1)):
        series = dicom_series.group(dicom_files.scan([real_data / folder], NoProgress()).headers)
        assert sum(one.facts.kind is SeriesKind.DOCUMENT and one.facts.refusal is None for one in series) == count


def saved(dataset: Dataset, path: Path) -> Path:
    dataset.SOPInstanceUID = UID("1.2.3.4")
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = dataset.SOPClassUID, UID("1.2.3.4")
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = FileDataset(path, dataset, preamble=b"\0" * 128, file_meta=meta)
    file.save_as(path, enforce_file_format=True)
    return path


def test_a_pdf_comes_out_whole(tmp_path: Path) -> None:
    dataset = Dataset()
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.104.1"
    dataset.DocumentTitle = "Discharge letter"
    content = b"%PDF-1.4 nothing much\n%%EOF\n!"
    dataset.EncapsulatedDocument = content + b"\0" * (len(content) % 2)
    dataset.EncapsulatedDocumentLength = len(content)
    document = documents.read(saved(dataset, tmp_path / "a.dcm"))
    assert (document.title, document.suffix, document.attachment) == ("Discharge letter", ".pdf", content)


CDA = """<?xml version="1.0"?>
<ClinicalDocument xmlns="urn:hl7-org:v3"><id root="1.2.3"/><title>Discharge letter</title>
<component><structuredBody>
<component><section><code code="1"/><title>Findings</title>
<text>Nothing of <content>note</content> in the chest.<br/>No mass.
<list><item>First</item><item>Second</item></list>
<table><tr><th>Size</th><th>Unit</th></tr><tr><td>12</td><td>mm</td></tr></table></text>
<component><section><title>Bones</title><text><paragraph>Intact.</paragraph></text></section></component>
</section></component></structuredBody></component></ClinicalDocument>"""


def test_a_clinical_document_is_read_in_paragraphs(tmp_path: Path) -> None:
    dataset = Dataset()
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.104.2"
    content = CDA.encode()
    dataset.EncapsulatedDocument = content + b"\0" * (len(content) % 2)
    document = documents.read(saved(dataset, tmp_path / "a.dcm"))
    assert [(line.level, line.name, line.value) for line in document.lines] == [
        (0, "Discharge letter", ""),
        (0, "Findings", ""),
        (1, "", "Nothing of note in the chest."),
        (1, "", "No mass."),
        (1, "", "First"),
        (1, "", "Second"),
        (1, "", "Size  Unit"),
        (1, "", "12  mm"),
        (1, "Bones", ""),
        (2, "", "Intact."),
    ]


def test_a_clinical_document_with_entities_is_not_taken_apart() -> None:
    entities = b'<!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;&b;">]>'
    bomb = entities + b"<ClinicalDocument><title>&c;</title></ClinicalDocument>"
    assert clinical_documents.lines_of(bomb) == ()
    assert clinical_documents.lines_of(b"<ClinicalDocument><title>cut off") == ()
    assert clinical_documents.lines_of(b"") == ()


@pytest.mark.parametrize("depth", [3, 150, 3000])
def test_a_deep_tree_is_read_or_refused_in_words(depth: int, tmp_path: Path) -> None:
    item = Dataset()
    item.ValueType, item.TextValue = "TEXT", "at the bottom"
    for _ in range(min(depth, 150)):
        outer = Dataset()
        outer.ValueType = "CONTAINER"
        outer.ContentSequence = Sequence([item])
        item = outer
    item.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.33"
    path = saved(item, tmp_path / "deep.dcm")
    if depth > 150:
        # pydicom cannot write a deeper one: the opening of the innermost sequence is repeated by hand
        whole = path.read_bytes()
        opening = whole.rfind(b"\x40\x00\x30\xa7")
        path.write_bytes(whole[:opening] + whole[opening : opening + 20] * depth + whole[opening:])
        with pytest.raises(UnreadableFileError):
            documents.read(path)
        return
    lines = documents.read(path).lines
    assert lines[-1].value == "at the bottom"
    assert lines[-1].level == depth - 1


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_that_is_cut_off_is_refused_in_words_or_read_as_far_as_it_goes(
    name: str, real_data: Path, tmp_path: Path
) -> None:
    whole = found(real_data, name).read_bytes()
    path = tmp_path / "cut.dcm"
    path.write_bytes(whole[: len(whole) // 2])
    with contextlib.suppress(UnreadableFileError):
        assert len(documents.read(path).lines) < len(documents.read(found(real_data, name)).lines)
