"""Names go, and everything that is not a name stays, in real files: other readers and a validator say so."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from medview.core.errors import UnreadableFileError
from medview.formats.confidentiality_profile import Options
from medview.formats.deidentify import Deidentifier, Outcome
from tests.support.named_files import dumped, errors_of

SECRET = b"of this place"

needs_dcmtk = pytest.mark.skipif(shutil.which("dcmdump") is None, reason="dcmtk is not installed")
needs_dciodvfy = pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy is not installed")


def copy(source: Path, folder: Path, options: Options | None = None) -> Path:
    outcome = Deidentifier(SECRET, options or Options()).copy(source, folder)
    assert outcome.target is not None, str(outcome.reason)
    return outcome.target


@pytest.mark.parametrize("name", ["character-sets", "broken-and-odd-files", "seg-sr-highdicom", "sr-tid1500-dcmqi"])
def test_real_files_lose_their_names_or_stay_back(name: str, real_data: Path, tmp_path: Path) -> None:
    worker = Deidentifier(SECRET, Options(keep_risky=True))
    seen = 0
    for source in sorted(path for path in (real_data / name).rglob("*") if path.is_file()):
        try:
            outcome = worker.copy(source, tmp_path / "out")
        except UnreadableFileError:
            continue
        if outcome.target is None:
            assert "same UID" in str(outcome.reason) or "document" in str(outcome.reason)
            continue
        seen += 1
        before, after = dcmread(source, force=True), dcmread(outcome.target)
        person = str(before.get("PatientName", ""))
        assert str(after.PatientName) == str(after.PatientID) != person
        for part in person.replace("=", "^").split("^"):
            if len(part) > 3:
                assert part.encode("utf-8") not in outcome.target.read_bytes()
    assert seen >= 3


REAL = {
    "ct": "ct-chest-lidc-0314",
    "ct, compressed": "compressed-syntaxes/same-4-slice-volume",
    "mr": "mr-brain-t1-studyforrest",
    "mr, enhanced": "enhanced-multiframe",
    "seg": "seg-dcmqi",
    "rtstruct": "rtstruct-rt-utils-phantom",
    "pet and rtstruct": "rtstruct-sarcoma-ct-pet-mr/STS_025/dicom",
    "sr": "sr-tid1500-dcmqi",
    "gsps": "mr-dwi-4d-with-presentation-state",
}


_MOST_FILES = 8


def copies_of(folder: Path, target: Path, options: Options) -> list[Outcome]:
    """Some files of each folder below a folder, and among them every object that is no image."""
    worker, outcomes = Deidentifier(SECRET, options), []
    for place in sorted({path.parent for path in folder.rglob("*") if path.is_file()}):
        files = sorted(path for path in place.iterdir() if path.is_file())
        chosen = dict.fromkeys(
            [*files[:_MOST_FILES], *(path for path in files if path.name.startswith(("PS", "rt", "sr", "seg")))]
        )
        for path in chosen:
            try:
                outcome = worker.copy(path, target)
            except UnreadableFileError:
                continue
            if outcome.target is not None:
                outcomes.append(outcome)
    return outcomes


@needs_dciodvfy
@pytest.mark.parametrize("options", [Options(keep_risky=True), Options(True, False, True, True, True, True)])
@pytest.mark.parametrize("kind", sorted(REAL))
def test_a_validator_finds_no_new_error(kind: str, options: Options, real_data: Path, tmp_path: Path) -> None:
    outcomes = copies_of(real_data / REAL[kind], tmp_path, options)
    assert outcomes
    for outcome in outcomes:
        assert outcome.target is not None
        assert errors_of(outcome.target) - errors_of(outcome.source) == set(), outcome.source


@needs_dcmtk
@pytest.mark.parametrize("kind", sorted(REAL))
def test_another_reader_finds_none_of_the_original_values(kind: str, real_data: Path, tmp_path: Path) -> None:
    outcomes = copies_of(real_data / REAL[kind], tmp_path, Options(keep_risky=True))
    names = ("0010,0010", "0010,0020", "0008,0050", "0010,0030", "0008,0080", "0008,0090", "0008,0081", "0020,000d")
    dates = ("0008,0020", "0008,0021", "0008,0022", "0008,0023", "0040,a032")
    uids = ("0020,000e", "0008,0018", "0020,0052", "0008,1155")
    nobody = {"ANONYMOUS", "NONE", "UNKNOWN", "ANONYMIZED"}
    for outcome in outcomes:
        assert outcome.target is not None
        content = outcome.target.read_bytes()
        sought = {one for one in dumped(outcome.source, *names, *dates, *uids) if len(one) > 4}
        assert sought
        # what the standard itself calls something, and a date that the replacement happens to be
        sought -= {one for one in sought if one.startswith("1.2.840.10008.") or one == "19000101"}
        for one in sought:
            if one.upper() not in nobody:
                assert one.encode("latin-1") not in content, (outcome.source, one)


@pytest.mark.parametrize(
    "name",
    [
        "JPEG2000.dcm",
        "SC_rgb_rle.dcm",
        "MR_small_bigendian.dcm",
        "image_dfl.dcm",
        "SC_rgb_jpeg_dcmtk.dcm",
    ],
)
def test_pixels_stay_as_they_are_stored(name: str, real_data: Path, tmp_path: Path) -> None:
    source = real_data / "compressed-syntaxes" / "single-files-pydicom" / name
    before, after = dcmread(source), dcmread(copy(source, tmp_path, Options(keep_risky=True)))
    assert after.file_meta.TransferSyntaxUID == before.file_meta.TransferSyntaxUID
    assert after.PixelData == before.PixelData


def test_a_report_keeps_its_codes_and_numbers_and_loses_its_people(real_data: Path, tmp_path: Path) -> None:
    source = real_data / "sr-tid1500-dcmqi" / "sr.dcm"
    before, after = dcmread(source), dcmread(copy(source, tmp_path))
    assert "113104" in {one.CodeValue for one in after.DeidentificationMethodCodeSequence}

    def leaves(dataset: Dataset, kind: str) -> list[str]:
        found = []
        for item in dataset.get("ContentSequence", []):
            if item.ValueType == kind:
                inner = {"NUM": lambda one: one.MeasuredValueSequence[0].NumericValue,
                         "CODE": lambda one: one.ConceptCodeSequence[0].CodeValue,
                         "PNAME": lambda one: one.PersonName,
                         "TEXT": lambda one: one.TextValue,
                         "UIDREF": lambda one: one.UID}[kind](item)  # fmt: skip
                found.append(str(inner))
            found += leaves(item, kind)
        return found

    assert leaves(after, "NUM") == leaves(before, "NUM") != []
    assert leaves(after, "CODE") == leaves(before, "CODE") != []
    assert set(leaves(after, "PNAME")) <= {"Removed"}
    assert set(leaves(after, "TEXT")) <= {"REMOVED"}
    assert not set(leaves(after, "UIDREF")) & set(leaves(before, "UIDREF"))


def test_a_presentation_state_keeps_what_it_must_have_and_refers_to_the_copies(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "mr-dwi-4d-with-presentation-state" / "dicom"
    state = next(path for path in folder.rglob("PS*"))
    images = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name.startswith("IM")]
    worker = Deidentifier(SECRET)
    outcomes = [worker.copy(path, tmp_path) for path in [state, *images[:30]]]
    after = dcmread(outcomes[0].target)  # type: ignore[arg-type]
    assert after.PresentationCreationDate == "19000101"
    referred = {
        image.ReferencedSOPInstanceUID
        for series in after.ReferencedSeriesSequence
        for image in series.ReferencedImageSequence
    }
    copied = {dcmread(one.target, stop_before_pixels=True).SOPInstanceUID for one in outcomes[1:] if one.target}
    assert len(copied) == 30
    assert copied <= referred
