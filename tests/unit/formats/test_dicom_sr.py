"""Structured reports, read by highdicom and dcmtk, and spoiled in every way that a proof has to see."""

from __future__ import annotations

import subprocess
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from medview.core.errors import InputError, StorageError, UnreadableFileError
from medview.core.geometry import Geometry
from medview.core.measurement import MeasurementKind
from medview.core.proof import Proof
from medview.core.report import Report
from medview.core.segmentation import Segmentation
from medview.core.text import Text
from medview.core.volume import Volume
from medview.formats import dicom_seg, dicom_sr, sr_proof
from medview.formats.seg_source import completed, images_on
from tests.support import reports, source_series

GRID = Geometry.from_parts((5, 40, 36), (2.5, 0.7, 0.8), (-31.5, 12.25, 700.5))
DOUBT = Text("the slices lie unevenly")


class Written:
    """A report with everything in it, and what it was made of."""

    def __init__(self, folder: Path) -> None:
        self.volume, self.files = source_series.make(folder / "ct", GRID)
        self.mask: Segmentation = reports.mask_on(self.volume)
        self.seg, self.path = folder / "seg.dcm", folder / "sr.dcm"
        dicom_seg.write(self.mask, self.volume, self.files, self.seg)
        self.report = reports.report_on(self.volume, self.mask, doubtful=DOUBT)
        self.proof = dicom_sr.write(self.report, self.volume, self.files, self.path, mask=self.seg)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    return Written(tmp_path_factory.mktemp("report"))


def walk(item: Dataset) -> Iterator[Dataset]:
    for one in item.get("ContentSequence") or []:
        yield one
        yield from walk(one)


def of(dataset: Dataset, meaning: str) -> list[Dataset]:
    """Items by the meaning of their name."""
    return [one for one in walk(dataset) if one.ConceptNameCodeSequence[0].CodeMeaning == meaning]


def opened(path: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return highdicom.sr.srread(path)


def test_highdicom_reads_every_group(written: Written) -> None:
    assert written.proof.ok
    content = opened(written.path).content
    volumes = content.get_volumetric_roi_measurement_groups()
    regions = content.get_planar_roi_measurement_groups()
    others = content.get_image_measurement_groups()
    no_region = (MeasurementKind.LENGTH, MeasurementKind.ANGLE, MeasurementKind.POINT)
    drawn = [one for one in written.report.measurements if one.kind in no_region and one.values]
    assert len(volumes) == 2
    assert len(regions) == len(written.report.measurements) - len(drawn)
    assert len(others) == len(drawn) + len(written.report.findings)
    seg = dcmread(written.seg)
    for number, group in enumerate(volumes, start=1):
        assert group.referenced_segment.referenced_sop_instance_uid == seg.SOPInstanceUID
        assert group.referenced_segment.referenced_segment_numbers == [number]
        (volume,) = group.get_measurements(codes.SCT.Volume)
        assert (volume.value, volume.unit.value) == (1.5 * number, "ml")
        first, *_ = group.get_measurements(codes.DCM.AttenuationCoefficient)
        assert first.value == pytest.approx(0.1 * number)
        assert (first.unit, first.derivation) == (codes.UCUM.HounsfieldUnit, codes.SCT.Mean)
    assert volumes[0].finding_type.value == "39607008"
    ellipse = next(one for one in regions if one.roi.graphic_type.value == "ELLIPSE")
    meant = next(one for one in written.report.measurements if one.kind is MeasurementKind.ELLIPSE)
    np.testing.assert_allclose(ellipse.roi.value, meant.points, atol=1e-3)


def test_the_document_says_who_and_on_what(written: Written) -> None:
    dataset = dcmread(written.path)
    first = dcmread(written.files[0])
    assert dataset.StudyInstanceUID == first.StudyInstanceUID
    assert dataset.PatientID == first.PatientID
    assert str(of(dataset, "Person Observer Name")[0].PersonName) == "Reader^One"
    assert of(dataset, "Device Observer Name")[0].TextValue == "MedView"
    assert {one.TextValue for one in of(dataset, "Algorithm Name")} == {"lung_finder"}
    assert {one.TextValue for one in of(dataset, "Algorithm Version")} == {"2.1"}
    listed = {uid for _, _, uid, _ in opened(written.path).get_evidence()}
    meant = {dcmread(path).SOPInstanceUID for path in written.files} | {dcmread(written.seg).SOPInstanceUID}
    assert listed == meant


def test_probabilities_and_verdicts_are_there(written: Written) -> None:
    dataset = dcmread(written.path)
    found = of(dataset, "Certainty of Finding")
    assert [float(one.MeasuredValueSequence[0].NumericValue) for one in found] == [87.0, 12.5]
    units = {one.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue for one in found}
    assert units == {"%"}
    verdicts = [one.ConceptCodeSequence[0].CodeMeaning for one in of(dataset, "Finding context")]
    assert verdicts == ["Confirmed present", "Definitely not present"]


def test_the_warning_stands_beside_every_number_that_it_is_about(written: Written) -> None:
    warned = [
        (one.ConceptNameCodeSequence[0].CodeMeaning, [child.TextValue for child in of(one, "Comment")])
        for one in walk(dcmread(written.path))
        if one.ValueType == "NUM" and of(one, "Comment")
    ]
    of_segments = [str(DOUBT)]
    assert [comments for name, comments in warned if name == "Volume"] == [of_segments, of_segments]
    assert ("Long axis", ["interpolated over up to 7.0 mm"]) in warned
    assert not any(name == "Angle" for name, _ in warned)


def test_points_name_the_image_that_they_lie_on(written: Written) -> None:
    dataset = dcmread(written.path)
    middle = next(one for one in map(dcmread, written.files) if one.InstanceNumber == GRID.shape[0] // 2 + 1)
    group = next(
        one
        for one in of(dataset, "Measurement Group")
        if any(t.TextValue == "Node" for t in of(one, "Tracking Identifier"))
    )
    named = {one.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for one in walk(group) if one.ValueType == "IMAGE"}
    assert named == {middle.SOPInstanceUID}


@reports.needs_dciodvfy
def test_a_validator_finds_no_error(written: Written) -> None:
    assert reports.errors_of(written.path) == []


@reports.needs_dsrdump
def test_dcmtk_reads_the_tree(written: Written) -> None:
    told = subprocess.run(["dsrdump", str(written.path)], capture_output=True, text=True, check=False)
    assert told.returncode == 0
    assert told.stdout.count('"Measurement Group"') == 2 + len(written.report.measurements) + len(reports.FINDINGS)
    assert '"Reader^One"' in told.stdout
    assert "E: " not in told.stderr


# Damage


def numbers(dataset: Dataset, meaning: str) -> Dataset:
    item: Dataset = of(dataset, meaning)[0].MeasuredValueSequence[0]
    return item


def change_number(dataset: Dataset) -> None:
    item = numbers(dataset, "Volume")
    item.NumericValue, item.FloatingPointValue = "1.6", 1.6


def change_written_number(dataset: Dataset) -> None:
    numbers(dataset, "Volume").NumericValue = "1.6"


def change_unit(dataset: Dataset) -> None:
    numbers(dataset, "Volume").MeasurementUnitsCodeSequence[0].CodeValue = "mm3"


def change_statistic(dataset: Dataset) -> None:
    of(dataset, "Derivation")[0].ConceptCodeSequence[0].CodeValue = "373099004"


def change_quantity(dataset: Dataset) -> None:
    of(dataset, "Volume")[0].ConceptNameCodeSequence[0].CodeValue = "42798000"


def lose_number(dataset: Dataset) -> None:
    group = of(dataset, "Measurement Group")[0]
    group.ContentSequence = [one for one in group.ContentSequence if one.ValueType != "NUM"]


def swap_segments(dataset: Dataset) -> None:
    one, two = of(dataset, "Referenced Segment")
    one.ReferencedSOPSequence[0].ReferencedSegmentNumber = 2
    two.ReferencedSOPSequence[0].ReferencedSegmentNumber = 1


def other_mask(dataset: Dataset) -> None:
    of(dataset, "Referenced Segment")[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID = "1.2.3"


def other_series(dataset: Dataset) -> None:
    of(dataset, "Source Series for Segmentation")[0].UID = "1.2.3"


def flip_axis(dataset: Dataset) -> None:
    for item in walk(dataset):
        if item.ValueType == "SCOORD3D":
            item.GraphicData = [-value if at % 3 == 0 else value for at, value in enumerate(item.GraphicData)]


def shift_region(dataset: Dataset) -> None:
    item = of(dataset, "Image Region")[0]
    item.GraphicData = [value + 0.5 for value in item.GraphicData]


def other_space(dataset: Dataset) -> None:
    of(dataset, "Image Region")[0].ReferencedFrameOfReferenceUID = "1.2.3"


def other_image(dataset: Dataset) -> None:
    images = of(dataset, "Source of Measurement")
    along = next(one for one in reversed(images))  # of the length that runs through all slices
    images[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID = along.ReferencedSOPSequence[
        0
    ].ReferencedSOPInstanceUID


def lose_images(dataset: Dataset) -> None:
    for item in [dataset, *walk(dataset)]:
        kept = [
            one
            for one in item.get("ContentSequence") or []
            if one.ConceptNameCodeSequence[0].CodeMeaning != "Source of Measurement"
        ]
        if "ContentSequence" in item:
            item.ContentSequence = kept


def lose_evidence(dataset: Dataset) -> None:
    del dataset.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]


def other_reader(dataset: Dataset) -> None:
    of(dataset, "Person Observer Name")[0].PersonName = "Somebody^Else"


def other_author(dataset: Dataset) -> None:
    of(dataset, "Person Observer Name")[1].PersonName = "Somebody^Else"


def other_time(dataset: Dataset) -> None:
    drawn = next(one for one in of(dataset, "Measurement Group") if "ObservationDateTime" in one)
    drawn.ObservationDateTime = "20240506070911+0000"


def other_algorithm(dataset: Dataset) -> None:
    of(dataset, "Algorithm Name")[-1].TextValue = "other"


def other_weights(dataset: Dataset) -> None:
    of(dataset, "Algorithm Parameters")[0].TextValue = "sha256=0"


def lose_warning(dataset: Dataset) -> None:
    number = of(dataset, "Volume")[0]
    number.ContentSequence = []


def change_probability(dataset: Dataset) -> None:
    item = numbers(dataset, "Certainty of Finding")
    item.NumericValue, item.FloatingPointValue = "78", 78.0


def change_verdict(dataset: Dataset) -> None:
    of(dataset, "Finding context")[0].ConceptCodeSequence[0].CodeValue = "410594000"


def change_code(dataset: Dataset) -> None:
    of(dataset, "Finding")[0].ConceptCodeSequence[0].CodeValue = "1"


def rename(dataset: Dataset) -> None:
    of(dataset, "Tracking Identifier")[0].TextValue = "Right lung"


def lose_group(dataset: Dataset) -> None:
    container = of(dataset, "Imaging Measurements")[0]
    del container.ContentSequence[3]


def other_patient(dataset: Dataset) -> None:
    dataset.PatientID = "SOMEBODY-ELSE"


def other_study(dataset: Dataset) -> None:
    dataset.StudyInstanceUID = "1.2.3"


def no_tree(dataset: Dataset) -> None:
    del dataset.ContentSequence


DAMAGE = [
    change_number, change_written_number, change_unit, change_statistic, change_quantity, lose_number, swap_segments,
    other_mask, other_series, flip_axis, shift_region, other_space, other_image, lose_images, lose_evidence,
    other_reader, other_author, other_time, other_algorithm, other_weights, lose_warning, change_probability,
    change_verdict, change_code, rename, lose_group, other_patient, other_study, no_tree,
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_found(written: Written, tmp_path: Path, damage: Callable[[Dataset], None]) -> None:
    dataset = dcmread(written.path)
    damage(dataset)
    dataset.save_as(tmp_path / "sr.dcm")
    images, _ = images_on(GRID, written.files)
    headers = completed(images, GRID, written.volume.series_uid)
    mask = dcmread(written.seg, stop_before_pixels=True)
    assert sr_proof.prove(written.path, written.report, written.volume, headers, mask).differences == ()
    assert not sr_proof.prove(tmp_path / "sr.dcm", written.report, written.volume, headers, mask).ok


def test_a_spoiled_report_is_not_saved(written: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is spoiled between writing and reading back: it is refused, and nothing is left."""
    real = sr_proof.prove

    def spoiled(path: Path, *others: Any) -> Proof:
        dataset = dcmread(path)
        flip_axis(dataset)
        dataset.save_as(path)
        return real(path, *others)

    monkeypatch.setattr(dicom_sr, "prove", spoiled)
    with pytest.raises(StorageError, match="written wrongly"):
        dicom_sr.write(written.report, written.volume, written.files, tmp_path / "sr.dcm", mask=written.seg)
    assert list(tmp_path.glob("*.dcm")) == []


# Refusals


def test_an_empty_report_is_refused(written: Written, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing to report"):
        dicom_sr.write(Report("Reader"), written.volume, written.files, tmp_path / "sr.dcm")


def test_segments_need_the_mask_that_holds_them(written: Written, tmp_path: Path) -> None:
    def attempt(report: Report, mask: Path | None) -> None:
        dicom_sr.write(report, written.volume, written.files, tmp_path / "sr.dcm", mask=mask)

    with pytest.raises(InputError, match="there is none"):
        attempt(written.report, None)
    with pytest.raises(InputError, match="does not hold"):
        attempt(written.report, written.files[0])
    one = written.report.segments[0]
    other = replace(written.report, segments=(replace(one, segment=replace(one.segment, label=2)),))
    with pytest.raises(InputError, match="does not hold"):
        attempt(other, written.seg)
    (tmp_path / "broken.dcm").write_bytes(b"no DICOM")
    with pytest.raises(UnreadableFileError, match="cannot be read"):
        attempt(written.report, tmp_path / "broken.dcm")
    assert not (tmp_path / "sr.dcm").exists()


def test_measurements_alone_need_no_mask(written: Written, tmp_path: Path) -> None:
    report = replace(written.report, segments=(), findings=())
    assert dicom_sr.write(report, written.volume, written.files, tmp_path / "sr.dcm").ok
    assert len(opened(tmp_path / "sr.dcm").content.get_volumetric_roi_measurement_groups()) == 0


def test_many_segments_are_reported(tmp_path: Path) -> None:
    volume, files = source_series.make(tmp_path / "ct", GRID)
    labels = (np.arange(np.prod(GRID.shape)).reshape(GRID.shape) % 118).astype(np.uint8)
    mask = Segmentation(GRID, labels, ())
    dicom_seg.write(mask, volume, files, tmp_path / "seg.dcm")
    report = replace(reports.report_on(volume, mask), measurements=(), findings=())
    assert len(report.segments) == 117
    assert dicom_sr.write(report, volume, files, tmp_path / "sr.dcm", mask=tmp_path / "seg.dcm").ok
    assert len(opened(tmp_path / "sr.dcm").content.get_volumetric_roi_measurement_groups()) == 117


@pytest.mark.parametrize("name", ["", "Doe=John", "李^明", "A\\B", "x" * 200])
def test_any_name_of_a_reader_is_written(written: Written, tmp_path: Path, name: str) -> None:
    volume: Volume = written.volume
    report = replace(written.report, reader=name)
    assert dicom_sr.write(report, volume, written.files, tmp_path / "sr.dcm", mask=written.seg).ok
