from __future__ import annotations

import itertools
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread

from medview.core.errors import GridMismatchError, InputError, UnreadableFileError
from medview.core.geometry import Geometry
from medview.core.segmentation import Code, Labels, ModelRef, Provenance, Segment, Segmentation
from medview.formats import dicom_seg
from tests.support import source_series
from tests.support.source_series import direction

LUNG = Segment(1, "Left lung", (86, 180, 233))
LIVER = Segment(2, "Liver", (221, 130, 101))
IDENTITY = direction((1, 0, 0), (0, 1, 0))
SHAPE = (5, 11, 13)

_ORIENTATIONS = {
    "feet first": direction((1, 0, 0), (0, 1, 0), reverse=True),
    "prone": direction((-1, 0, 0), (0, -1, 0)),
    "right-left mirrored": direction((-1, 0, 0), (0, 1, 0)),
    "front-back mirrored": direction((1, 0, 0), (0, -1, 0)),
    "front-back mirrored, reversed": direction((1, 0, 0), (0, -1, 0), reverse=True),
    "coronal": direction((1, 0, 0), (0, 0, -1)),
    "sagittal": direction((0, 1, 0), (0, 0, -1), reverse=True),
    "oblique": direction((0.9, 0.3, 0.1), (-0.3, 0.9, 0.0)),
    "steep oblique": direction((0.6, -0.5, 0.62), (0.64, 0.77, 0.0), reverse=True),
}


def grid(axes: NDArray[np.float64] = IDENTITY, shape: tuple[int, int, int] = SHAPE) -> Geometry:
    across, down = axes[:, 2], axes[:, 1] - axes[:, 2] * (axes[:, 1] @ axes[:, 2])
    sign = np.sign(np.cross(across, down) @ axes[:, 0])
    exact = direction(tuple(across), tuple(down), reverse=bool(sign < 0))
    return Geometry.from_parts(shape, (2.5, 0.7, 0.8), (-31.5, 12.25, 700.5), exact)


def blobs(shape: tuple[int, int, int] = SHAPE) -> Labels:
    """Lopsided in every axis, so that any flip or shift shows."""
    labels = np.zeros(shape, dtype=np.uint8)
    labels[0, 1:4, 2:9] = 1
    labels[1, 2, 3] = 1
    labels[3, 5:9, 1:3] = 2
    return labels


def segmentation(geometry: Geometry, labels: Labels | None = None, *segments: Segment) -> Segmentation:
    return Segmentation(geometry, blobs(geometry.shape) if labels is None else labels, segments or (LUNG, LIVER))


def in_patient(path: Path) -> dict[int, NDArray[np.float64]]:
    """The points of every segment, by the formula of PS3.3 C.7.6.2.1.1 for each frame: no code of the program."""
    dataset = dcmread(path)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    across, down = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, dtype=float).reshape(2, 3)
    between_rows, between_columns = shared.PixelMeasuresSequence[0].PixelSpacing
    frames = dataset.pixel_array.reshape(-1, dataset.Rows, dataset.Columns)
    points: dict[int, list[NDArray[np.float64]]] = {}
    for frame, group in zip(frames, dataset.PerFrameFunctionalGroupsSequence, strict=True):
        first = np.array(group.PlanePositionSequence[0].ImagePositionPatient, dtype=float)
        identification = group.get("SegmentIdentificationSequence") or shared.SegmentIdentificationSequence
        for row, column in np.argwhere(frame):
            points.setdefault(int(identification[0].ReferencedSegmentNumber), []).append(
                first + row * between_rows * down + column * between_columns * across
            )
    return {number: np.array(values) for number, values in points.items()}


def sorted_points(points: NDArray[np.float64]) -> NDArray[np.float64]:
    rounded = np.round(points, 3) + 0.0
    return rounded[np.lexsort(rounded.T)]


@pytest.mark.parametrize("name", _ORIENTATIONS)
def test_labels_lie_where_they_were_drawn_in_any_orientation(tmp_path: Path, name: str) -> None:
    geometry = grid(_ORIENTATIONS[name])
    volume, files = source_series.make(tmp_path / "ct", geometry)
    proof = dicom_seg.write(segmentation(geometry), volume, files, tmp_path / "seg.dcm")
    assert proof.ok
    points = in_patient(tmp_path / "seg.dcm")
    for number, label in ((1, 1), (2, 2)):
        meant = geometry.to_patient(np.argwhere(blobs() == label).astype(float))
        np.testing.assert_allclose(sorted_points(points[number]), sorted_points(meant), atol=2e-3)
    again = dicom_seg.read(tmp_path / "seg.dcm", geometry)
    np.testing.assert_array_equal(again.labels, blobs())


@pytest.mark.parametrize(("x", "y"), list(itertools.product((1, -1), (1, -1))))
def test_every_frame_refers_to_the_image_at_its_place(tmp_path: Path, x: int, y: int) -> None:
    geometry = grid(direction((x, 0, 0), (0, y, 0)))
    volume, files = source_series.make(tmp_path / "ct", geometry)
    dicom_seg.write(segmentation(geometry), volume, files, tmp_path / "seg.dcm")
    position_of = {str(one.SOPInstanceUID): one.ImagePositionPatient for one in map(dcmread, files)}
    dataset = dcmread(tmp_path / "seg.dcm")
    assert {
        str(one.ReferencedSOPInstanceUID) for one in dataset.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    } == set(position_of)
    assert len(dataset.PerFrameFunctionalGroupsSequence) == 3
    for group in dataset.PerFrameFunctionalGroupsSequence:
        uid = str(group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID)
        assert group.PlanePositionSequence[0].ImagePositionPatient == position_of[uid]


def test_a_grid_that_runs_against_its_images_is_matched_by_place(tmp_path: Path) -> None:
    geometry = grid()
    volume, files = source_series.make(tmp_path / "ct", geometry)
    affine = geometry.affine.copy()
    affine[:3, 3] = geometry.to_patient((SHAPE[0] - 1.0, 0.0, SHAPE[2] - 1.0))
    affine[:3, 0] *= -1
    affine[:3, 2] *= -1
    mirrored = Geometry(SHAPE, affine)
    labels = np.ascontiguousarray(blobs()[::-1, :, ::-1])
    assert dicom_seg.write(segmentation(mirrored, labels), volume, files, tmp_path / "seg.dcm").ok
    np.testing.assert_array_equal(dicom_seg.read(tmp_path / "seg.dcm", geometry).labels, blobs())
    np.testing.assert_array_equal(dicom_seg.read(tmp_path / "seg.dcm", mirrored).labels, labels)


def test_the_study_patient_and_frame_are_the_sources(tmp_path: Path) -> None:
    volume, files = source_series.make(tmp_path / "ct", grid())
    dicom_seg.write(segmentation(grid()), volume, files, tmp_path / "seg.dcm")
    source, dataset = dcmread(files[0]), dcmread(tmp_path / "seg.dcm")
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "PatientName", "PatientBirthDate",
                    "PatientSex", "StudyID", "AccessionNumber", "StudyDate", "StudyTime"):  # fmt: skip
        assert dataset[keyword].value == source[keyword].value, keyword
    assert dataset.SeriesInstanceUID != source.SeriesInstanceUID
    assert dataset.Modality == "SEG"


def test_segments_carry_codes_colours_and_who_made_them(tmp_path: Path) -> None:
    volume, files = source_series.make(tmp_path / "ct", grid())
    own = Segment(5, "Thing", (1, 200, 3), Code("T-1", "99SITE", "Site's own"), Code("85756007", "SCT", "Tissue"))
    labels = blobs()
    labels[4, 0, 0] = 5
    model = Provenance(ModelRef("ct_lungs", "1.0", "ab12"), reviewer="Reader^One")
    drawn = Segmentation(grid(), labels, (LIVER, own, LUNG), provenance=model, title="Lungs")
    dicom_seg.write(drawn, volume, files, tmp_path / "seg.dcm")
    items = dcmread(tmp_path / "seg.dcm").SegmentSequence
    assert [(item.SegmentNumber, item.SegmentLabel) for item in items] == [(1, "Left lung"), (2, "Liver"), (3, "Thing")]
    kinds = [item.SegmentedPropertyTypeCodeSequence[0] for item in items]
    assert [(kind.CodeValue, kind.CodingSchemeDesignator) for kind in kinds] == [
        ("39607008", "SCT"),
        ("10200004", "SCT"),
        ("T-1", "99SITE"),
    ]
    assert kinds[0].SegmentedPropertyTypeModifierCodeSequence[0].CodeMeaning == "Left"
    assert {item.SegmentAlgorithmType for item in items} == {"SEMIAUTOMATIC"}
    algorithm = items[0].SegmentationAlgorithmIdentificationSequence[0]
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("ct_lungs", "1.0")
    again = dicom_seg.read(tmp_path / "seg.dcm", grid())
    assert [segment.name for segment in again.segments] == ["Left lung", "Liver", "Thing"]
    assert again.provenance.model == ModelRef("ct_lungs", "1.0")
    assert again.provenance.reviewer == "Reader^One"
    for before, after in zip((LUNG, LIVER, own), again.segments, strict=True):
        assert max(abs(a - b) for a, b in zip(before.color, after.color, strict=True)) <= 1
    assert again.segments[2].code == own.code


@pytest.mark.parametrize(
    ("provenance", "kind"),
    [
        (Provenance(), "MANUAL"),
        (Provenance(ModelRef("a", "1")), "AUTOMATIC"),
        (Provenance(ModelRef("a", ""), reviewer="x"), "SEMIAUTOMATIC"),
    ],
)
def test_the_kind_of_algorithm_follows_the_provenance(tmp_path: Path, provenance: Provenance, kind: str) -> None:
    volume, files = source_series.make(tmp_path / "ct", grid())
    drawn = Segmentation(grid(), blobs(), (LUNG, LIVER), provenance=provenance)
    dicom_seg.write(drawn, volume, files, tmp_path / "seg.dcm")
    assert {item.SegmentAlgorithmType for item in dcmread(tmp_path / "seg.dcm").SegmentSequence} == {kind}


_TYPE_2 = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID",
           "AccessionNumber", "ReferringPhysicianName")  # fmt: skip


@pytest.mark.parametrize("keyword", [*_TYPE_2, "FrameOfReferenceUID", "StudyInstanceUID", "SeriesNumber", "Modality"])
def test_an_attribute_that_the_source_lacks_is_no_reason_to_fail(tmp_path: Path, keyword: str) -> None:
    volume, files = source_series.make(tmp_path / "ct", grid(), without=(keyword,))
    before = [path.read_bytes() for path in files]
    assert dicom_seg.write(segmentation(grid()), volume, files, tmp_path / "seg.dcm").ok
    assert keyword in dcmread(tmp_path / "seg.dcm")
    assert [path.read_bytes() for path in files] == before


def test_a_source_that_lacks_all_of_them(tmp_path: Path) -> None:
    volume, files = source_series.make(tmp_path / "ct", grid(), without=(*_TYPE_2, "SpecificCharacterSet"))
    dicom_seg.write(segmentation(grid()), volume, files, tmp_path / "seg.dcm")
    dataset = dcmread(tmp_path / "seg.dcm")
    assert [dataset.get(keyword) for keyword in _TYPE_2 if dataset.get(keyword)] == []
    assert all(keyword in dataset for keyword in _TYPE_2)


def test_wrong_values_in_the_source_are_no_reason_to_fail(tmp_path: Path) -> None:
    volume, files = source_series.make(tmp_path / "ct", grid())
    for path in files:
        header = dcmread(path)
        for keyword, value in (("PatientBirthDate", b"unknown "), ("PatientSex", b"FEMALE"), ("StudyTime", b"noon")):
            element = header[keyword]
            element._value = value.decode().strip()
        header.save_as(path)
    assert dicom_seg.write(segmentation(grid()), volume, files, tmp_path / "seg.dcm").ok
    dataset = dcmread(tmp_path / "seg.dcm")
    assert (dataset.PatientBirthDate, dataset.PatientSex, dataset.StudyTime) == ("", "", "")


@pytest.mark.parametrize(
    ("character_set", "name", "segment", "expected"),
    [
        ("ISO_IR 100", "Müller^Jörg", "Left lung", "ISO_IR 100"),
        ("GB18030", "王^小东", "左肺", "GB18030"),
        ("ISO_IR 100", "Müller^Jörg", "左肺", "ISO_IR 192"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎", "Left lung", ["", "ISO 2022 IR 87"]),
        (None, "Phantom^Chest", "Left lung", None),
        (None, "Phantom^Chest", "左肺", "ISO_IR 192"),
    ],
)
def test_names_keep_their_character_set(
    tmp_path: Path, character_set: str | list[str] | None, name: str, segment: str, expected: str | list[str] | None
) -> None:
    changes: dict[str, object] = {"PatientName": name}
    if character_set is not None:
        changes = {"SpecificCharacterSet": character_set, **changes}
    volume, files = source_series.make(tmp_path / "ct", grid(), changes=changes)
    drawn = segmentation(grid(), None, Segment(1, segment, (1, 2, 3)), LIVER)
    assert dicom_seg.write(drawn, volume, files, tmp_path / "seg.dcm").ok
    dataset = dcmread(tmp_path / "seg.dcm")
    assert dataset.get("SpecificCharacterSet") == expected
    assert str(dataset.PatientName) == name
    assert dataset.SegmentSequence[0].SegmentLabel == segment
    assert dataset.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0].CodeValue == "39607008"


def test_empty_segments_are_described(tmp_path: Path) -> None:
    volume, files = source_series.make(tmp_path / "ct", grid())
    labels = np.where(blobs() == 1, blobs(), 0)
    assert dicom_seg.write(segmentation(grid(), labels), volume, files, tmp_path / "one.dcm").ok
    again = dicom_seg.read(tmp_path / "one.dcm", grid())
    assert [segment.name for segment in again.segments] == ["Left lung", "Liver"]
    assert dicom_seg.write(segmentation(grid(), np.zeros_like(labels)), volume, files, tmp_path / "none.dcm").ok
    assert not dicom_seg.read(tmp_path / "none.dcm", grid()).labels.any()


def test_no_segments_is_an_error_and_unknown_labels_are_kept(tmp_path: Path) -> None:
    volume, files = source_series.make(tmp_path / "ct", grid())
    with pytest.raises(InputError, match="no segment"):
        dicom_seg.write(Segmentation(grid()), volume, files, tmp_path / "seg.dcm")
    assert not (tmp_path / "seg.dcm").exists()
    dicom_seg.write(segmentation(grid(), None, LUNG), volume, files, tmp_path / "seg.dcm")
    again = dicom_seg.read(tmp_path / "seg.dcm", grid())
    assert [segment.name for segment in again.segments] == ["Left lung", "Segment 2"]
    np.testing.assert_array_equal(again.labels, blobs())


def test_odd_names_are_made_to_fit(tmp_path: Path) -> None:
    volume, files = source_series.make(tmp_path / "ct", grid())
    names = ("x" * 100, "a\\b\nc", "")
    drawn = segmentation(grid(), None, *(Segment(n, name, (9, 9, 9)) for n, name in enumerate(names, 1)))
    assert dicom_seg.write(drawn, volume, files, tmp_path / "seg.dcm").ok
    labels = [item.SegmentLabel for item in dcmread(tmp_path / "seg.dcm").SegmentSequence]
    assert labels == ["x" * 64, "a/b c", "Segment 3"]


def test_odd_codes_are_made_to_fit(tmp_path: Path) -> None:
    volume, files = source_series.make(tmp_path / "ct", grid())
    long = Code("123456789012345678", "99A-LONG-SCHEME-NAME", "m" * 100)
    segments = (Segment(1, "A", (1, 2, 3), long, Code("", "", "")), Segment(2, "B", (1, 2, 3), Code("", "SCT", "x")))
    assert dicom_seg.write(segmentation(grid(), None, *segments), volume, files, tmp_path / "seg.dcm").ok
    first, second = dicom_seg.read(tmp_path / "seg.dcm", grid()).segments
    assert first.code == Code("123456789012345678", "99A-LONG-SCHEME-", "m" * 64)
    assert first.category == second.code == Code("85756007", "SCT", "Tissue")


def test_files_that_are_gone_are_named_before_anything_is_lost(tmp_path: Path) -> None:
    volume, files = source_series.make(tmp_path / "ct", grid())
    target = tmp_path / "seg.dcm"
    target.write_bytes(b"older")
    at_slice_3 = next(path for path in files if dcmread(path).InstanceNumber == 4)
    at_slice_3.unlink()
    with pytest.raises(GridMismatchError, match="8 labelled voxels"):
        dicom_seg.write(segmentation(grid()), volume, files, target)
    for path in files:
        path.unlink(missing_ok=True)
    with pytest.raises(GridMismatchError, match="gone"):
        dicom_seg.write(segmentation(grid()), volume, files, target)
    assert target.read_bytes() == b"older"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["seg.dcm"]


def test_an_image_that_never_was_dicom_is_told_so(tmp_path: Path) -> None:
    volume, _ = source_series.make(tmp_path / "ct", grid())
    (tmp_path / "image.nii.gz").write_bytes(b"\x1f\x8b" + bytes(500))
    with pytest.raises(GridMismatchError, match="did not come from DICOM"):
        dicom_seg.write(segmentation(grid()), volume, [tmp_path / "image.nii.gz"], tmp_path / "seg.dcm")


def test_other_files_among_the_source_do_no_harm(tmp_path: Path) -> None:
    volume, files = source_series.make(tmp_path / "ct", grid())
    _, localiser = source_series.make(tmp_path / "other", grid(_ORIENTATIONS["coronal"]))
    (tmp_path / "notes.txt").write_text("no image")
    everything = (*localiser, tmp_path / "notes.txt", *files, *files)
    assert dicom_seg.write(segmentation(grid()), volume, everything, tmp_path / "seg.dcm").ok
    with pytest.raises(GridMismatchError):
        dicom_seg.write(segmentation(grid()), volume, localiser, tmp_path / "seg.dcm")


def test_a_segmentation_of_another_grid_is_refused(tmp_path: Path) -> None:
    volume, files = source_series.make(tmp_path / "ct", grid())
    dicom_seg.write(segmentation(grid()), volume, files, tmp_path / "seg.dcm")
    shifted = Geometry.from_parts(SHAPE, (2.5, 0.7, 0.8), (-31.1, 12.25, 700.5))
    with pytest.raises(GridMismatchError, match="grid"):
        dicom_seg.read(tmp_path / "seg.dcm", shifted)
    elsewhere = Geometry(SHAPE, grid().affine, "1.2.3.4")
    with pytest.raises(GridMismatchError, match="frame of reference"):
        dicom_seg.read(tmp_path / "seg.dcm", elsewhere)


def test_without_a_volume_the_grid_is_the_segmentations_own(tmp_path: Path) -> None:
    geometry = grid(_ORIENTATIONS["oblique"])
    volume, files = source_series.make(tmp_path / "ct", geometry)
    dicom_seg.write(segmentation(geometry), volume, files, tmp_path / "seg.dcm")
    again = dicom_seg.read(tmp_path / "seg.dcm")
    assert again.geometry.shape == (4, 11, 13)
    meant = geometry.to_patient(np.argwhere(blobs()).astype(float))
    found = again.geometry.to_patient(np.argwhere(again.labels).astype(float))
    np.testing.assert_allclose(sorted_points(found), sorted_points(meant), atol=2e-3)


def test_what_is_no_segmentation_is_refused(tmp_path: Path) -> None:
    _, files = source_series.make(tmp_path / "ct", grid())
    (tmp_path / "broken.dcm").write_bytes(b"DICM" * 100)
    for path in (files[0], tmp_path / "broken.dcm", tmp_path / "missing.dcm"):
        with pytest.raises(UnreadableFileError, match=path.name):
            dicom_seg.read(path, grid())


def test_damaged_files_are_clear_errors(tmp_path: Path) -> None:
    volume, files = source_series.make(tmp_path / "ct", grid())
    dicom_seg.write(segmentation(grid()), volume, files, tmp_path / "seg.dcm")
    whole = (tmp_path / "seg.dcm").read_bytes()
    random = np.random.default_rng(5)
    refused = 0
    for _ in range(150):
        damaged = bytearray(whole)
        for position in random.integers(132, len(whole), size=random.choice([1, 4, 20])):
            damaged[position] = random.integers(256)
        kept = len(whole) if random.random() < 0.5 else int(random.integers(len(whole)))
        (tmp_path / "damaged.dcm").write_bytes(damaged[:kept])
        try:
            dicom_seg.read(tmp_path / "damaged.dcm", grid())
        except InputError:
            refused += 1
    assert refused > 50


def test_twenty_segments(tmp_path: Path) -> None:
    shape = (12, 16, 8)
    labels = (np.arange(np.prod(shape)) % 21).reshape(shape).astype(np.uint8)
    volume, files = source_series.make(tmp_path / "ct", grid(shape=shape))
    segments = tuple(Segment(n, f"Structure {n}", (n, 200, 9)) for n in range(1, 21))
    assert dicom_seg.write(segmentation(grid(shape=shape), labels, *segments), volume, files, tmp_path / "s.dcm").ok
    again = dicom_seg.read(tmp_path / "s.dcm", grid(shape=shape))
    np.testing.assert_array_equal(again.labels, labels)
    assert [segment.name for segment in again.segments] == [segment.name for segment in segments]


def test_more_than_255_labels(tmp_path: Path) -> None:
    labels = blobs().astype(np.uint16) * 300
    volume, files = source_series.make(tmp_path / "ct", grid())
    drawn = segmentation(grid(), labels, Segment(300, "A", (1, 2, 3)), Segment(600, "B", (1, 2, 3)))
    assert dicom_seg.write(drawn, volume, files, tmp_path / "s.dcm").ok
    np.testing.assert_array_equal(dicom_seg.read(tmp_path / "s.dcm", grid()).labels, blobs())


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy is not installed")
@pytest.mark.parametrize("without", [(), _TYPE_2])
def test_dciodvfy_finds_no_error(tmp_path: Path, without: tuple[str, ...]) -> None:
    volume, files = source_series.make(tmp_path / "ct", grid(), without=without)
    model = Provenance(ModelRef("ct_lungs", "1.0", "ab12"), reviewer="Reader One")
    drawn = Segmentation(grid(), blobs(), (LUNG, LIVER), provenance=model)
    dicom_seg.write(drawn, volume, files, tmp_path / "seg.dcm")
    answer = subprocess.run(["dciodvfy", tmp_path / "seg.dcm"], capture_output=True, text=True, check=False)
    assert [line for line in answer.stderr.splitlines() if line.startswith("Error")] == []
    assert "Segmentation" in answer.stderr
