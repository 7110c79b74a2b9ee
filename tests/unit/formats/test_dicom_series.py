from __future__ import annotations

import random
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from medview.core.case import SeriesKind, Use
from medview.core.geometry import Geometry
from medview.core.progress import NoProgress
from medview.core.volume import Modality, Volume, VolumeId
from medview.formats import dicom_files, dicom_series, dicom_volume
from medview.formats.dicom_writer import SeriesOptions, write_series
from medview.phantom.chest import Phantom
from tests.support.phantom_study import series_in

ORIENTATIONS = [
    np.array([[sign[row] if axes[row] == column else 0.0 for column in range(3)] for row in range(3)])
    for axes in permutations(range(3))
    for sign in product((1.0, -1.0), repeat=3)
]


def small_volume(direction: np.ndarray | None = None) -> Volume:
    voxels = np.random.default_rng(1).integers(-1000, 2000, (4, 5, 6)).astype(np.int16)
    geometry = Geometry.from_parts((4, 5, 6), (3.0, 0.7, 1.1), (-20.0, 30.0, 5.5), direction)
    return Volume(VolumeId("v"), geometry, voxels, Modality.CT, "HU", "s")


@pytest.mark.parametrize("direction", ORIENTATIONS, ids=range(48))
def test_every_orientation_keeps_every_voxel_at_its_place(direction: np.ndarray, tmp_path: Path) -> None:
    truth = small_volume(direction)
    write_series(truth, tmp_path, SeriesOptions(shuffled=3))
    volume = dicom_volume.read(series_in(tmp_path), NoProgress())
    assert volume.geometry.is_right_handed
    indices = np.argwhere(np.ones(truth.geometry.shape))
    found = volume.geometry.to_index(truth.geometry.to_patient(indices.astype(float)))
    assert np.abs(found - np.rint(found)).max() < 1e-6
    k, j, i = np.rint(found).astype(int).T
    assert np.array_equal(volume.voxels[k, j, i], truth.voxels.reshape(-1))


def test_oblique_slices_with_unequal_pixels(tmp_path: Path) -> None:
    turn, _ = np.linalg.qr(np.random.default_rng(4).normal(size=(3, 3)))
    truth = small_volume(turn * np.sign(np.linalg.det(turn)) * -1)
    write_series(truth, tmp_path)
    volume = dicom_volume.read(series_in(tmp_path), NoProgress())
    assert volume.geometry.same_grid(truth.geometry, 1e-4) == truth.geometry.is_right_handed
    assert sorted(volume.geometry.spacing_mm) == pytest.approx(sorted(truth.geometry.spacing_mm))


def test_any_permutation_of_the_files_gives_the_same_volume(small_series_folder: Path) -> None:
    headers = list(dicom_files.scan([small_series_folder], NoProgress()).headers)
    (first,) = dicom_series.group(headers)
    for seed in range(20):
        random.Random(seed).shuffle(headers)
        (again,) = dicom_series.group(headers)
        assert repr(again.facts) == repr(first.facts)
        assert [one.path for one in again.headers] == [one.path for one in first.headers]


def test_names_and_numbers_of_files_do_not_matter(small_phantom: Phantom, tmp_path: Path) -> None:
    write_series(small_phantom.volume, tmp_path, SeriesOptions(shuffled=11))
    series = series_in(tmp_path)
    assert [one.instance_number for one in series.headers] != list(range(1, 41))
    volume = dicom_volume.read(series, NoProgress())
    assert np.array_equal(volume.voxels, small_phantom.volume.voxels)
    assert volume.geometry.same_grid(small_phantom.volume.geometry)


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (SeriesOptions(multi_frame=True), "no-position", ("40 of its 40",)),
        (SeriesOptions(left_out=("ImagePositionPatient",)), "no-position", ("40 of its 40",)),
        (SeriesOptions(left_out=("PixelSpacing",)), "no-spacing", ("pixels",)),
    ],
)
def test_slices_without_a_place_are_shown_as_pictures(
    options: SeriesOptions, code: str, words: tuple[str, ...], small_phantom: Phantom, tmp_path: Path
) -> None:
    write_series(small_phantom.volume, tmp_path, options)
    series = series_in(tmp_path)
    assert series.facts.kind is SeriesKind.PICTURES
    assert series.facts.remarks[0].code == code
    assert all(word in str(series.facts.remarks[0].text) for word in words)
    assert all(series.facts.unsafe_for(use) for use in (Use.MEASURE, Use.VOLUME, Use.ANALYSE))
    volume = dicom_volume.read(series, NoProgress())
    assert not volume.is_spatial
    assert np.array_equal(volume.voxels, small_phantom.volume.voxels)


def test_every_image_in_a_space_of_its_own_is_still_one_stack(small_phantom: Phantom, tmp_path: Path) -> None:
    for number, path in enumerate(write_series(small_phantom.volume, tmp_path)):
        dataset = dcmread(path)
        dataset.FrameOfReferenceUID = f"1.2.3.{number + 1}"
        dataset.save_as(path)
    assert np.array_equal(dicom_volume.read(series_in(tmp_path), NoProgress()).voxels, small_phantom.volume.voxels)


@pytest.mark.parametrize(
    ("options", "code", "words", "numbers_are_safe"),
    [
        (SeriesOptions(missing=(7, 20, 21)), "missing-slices", ("3", "10.00", "7 - 8", "19 - 20"), False),
        (SeriesOptions(missing=(1,)), "missing-slices", ("1 - 2",), False),
        (SeriesOptions(doubled=(4,)), "duplicate-positions", ("5 + 6", "1 of its 40"), True),
        (SeriesOptions(moved_mm=((5, 2.0),)), "uneven-spacing", ("8.00", "12.00"), False),
        (SeriesOptions(tilt_degrees=12.0), "tilt", ("12.0",), True),
        (SeriesOptions(tilt_degrees=-3.0), "tilt", ("3.0",), True),
        (SeriesOptions(phases=3), "four-dimensional", ("3 volumes",), True),
    ],
)
def test_what_was_assumed_of_an_odd_series_is_said(
    options: SeriesOptions,
    code: str,
    words: tuple[str, ...],
    numbers_are_safe: bool,
    small_phantom: Phantom,
    tmp_path: Path,
) -> None:
    write_series(small_phantom.volume, tmp_path, options)
    series = series_in(tmp_path)
    assert series.facts.geometry is not None
    assert [remark.code for remark in series.facts.remarks] == [code]
    assert all(word in str(series.facts.remarks[0].text) for word in words)
    assert (series.facts.unsafe_for(Use.MEASURE) is None) == numbers_are_safe
    assert (series.caution is None) == numbers_are_safe


def test_two_faults_are_both_named(small_phantom: Phantom, tmp_path: Path) -> None:
    write_series(small_phantom.volume, tmp_path, SeriesOptions(missing=(7,), tilt_degrees=9.0))
    assert [remark.code for remark in series_in(tmp_path).facts.remarks] == ["missing-slices", "tilt"]


def test_a_localiser_under_the_same_uid_becomes_a_series_of_its_own(small_phantom: Phantom, tmp_path: Path) -> None:
    write_series(small_phantom.volume, tmp_path, SeriesOptions(with_localizer=True, shuffled=2))
    slices, localiser = dicom_series.group(dicom_files.scan([tmp_path], NoProgress()).headers)
    assert [len(slices.frames), len(localiser.frames)] == [40, 1]
    assert localiser.facts.uid == f"{slices.facts.uid}#2"
    assert localiser.facts.instance_uid == slices.facts.uid
    assert [remark.code for remark in slices.facts.remarks] == ["split"]
    assert np.array_equal(dicom_volume.read(slices, NoProgress()).voxels, small_phantom.volume.voxels)


def test_slices_far_apart_are_not_filled_up(small_phantom: Phantom, tmp_path: Path) -> None:
    write_series(small_phantom.volume, tmp_path, SeriesOptions(missing=tuple(range(12, 28))))
    parts = dicom_series.group(dicom_files.scan([tmp_path], NoProgress()).headers)
    assert [part.facts.geometry and part.facts.geometry.shape[0] for part in parts] == [12, 12]


@pytest.mark.parametrize("shuffled", [None, 5])
def test_every_phase_is_a_volume(shuffled: int | None, small_phantom: Phantom, tmp_path: Path) -> None:
    write_series(small_phantom.volume, tmp_path, SeriesOptions(phases=3, shuffled=shuffled, with_acquisitions=True))
    series = series_in(tmp_path)
    assert [str(name) for name in series.facts.phases] == [f"acquisition {n}" for n in (1, 2, 3)]
    for phase in range(3):
        volume = dicom_volume.read(series, NoProgress(), phase=phase)
        assert volume.phase == phase
        assert np.array_equal(volume.voxels, small_phantom.volume.voxels + phase)


def test_a_phase_that_is_not_complete_is_left_out(small_phantom: Phantom, tmp_path: Path) -> None:
    files = write_series(small_phantom.volume, tmp_path, SeriesOptions(phases=3, with_acquisitions=True))
    for path in files[100:]:
        path.unlink()
    series = series_in(tmp_path)
    assert len(series.facts.phases) == 2
    assert "20 of its images" in str(next(one for one in series.facts.remarks if one.code == "incomplete-phase").text)
    assert np.array_equal(dicom_volume.read(series, NoProgress(), phase=1).voxels, small_phantom.volume.voxels + 1)


def test_positions_that_are_rounded_to_a_tenth_are_even(small_phantom: Phantom, tmp_path: Path) -> None:
    jitter = tuple((k, round(k * 0.37 % 0.1 - 0.05, 3)) for k in range(40))
    write_series(small_phantom.volume, tmp_path, SeriesOptions(moved_mm=jitter))
    facts = series_in(tmp_path).facts
    assert facts.geometry is not None
    assert facts.geometry.spacing_mm[0] == pytest.approx(10.0, abs=0.01)


def test_copies_of_files_are_left_out_and_said(small_series_folder: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(small_series_folder, tmp_path / "a")
    shutil.copytree(small_series_folder, tmp_path / "b")
    facts = series_in(tmp_path).facts
    assert facts.geometry is not None
    assert [remark.code for remark in facts.remarks] == ["copies"]
    assert "40" in str(facts.remarks[0].text)


def test_a_single_slice_opens_and_says_so(tmp_path: Path) -> None:
    write_series(small_volume(), tmp_path, SeriesOptions(missing=(0, 1, 3)))
    facts = series_in(tmp_path).facts
    assert facts.geometry is not None
    assert facts.geometry.shape == (1, 5, 6)
    assert facts.geometry.spacing_mm == pytest.approx((3.0, 0.7, 1.1))
    assert [remark.code for remark in facts.remarks] == ["single-slice"]


def test_facts_of_a_series(small_series_folder: Path) -> None:
    facts = series_in(small_series_folder).facts
    assert facts.study.patient.name == "Phantom, Chest"
    assert (facts.study.date, facts.study.time) == ("2020-01-01", "12:00:00")
    assert dict(facts.acquisition)["kV"] == "120"
    assert dict(facts.acquisition)["Thickness"] == "10"
    assert facts.modality is Modality.CT
    assert facts.slices == 40


def test_what_is_no_image_is_named(real_data: Path) -> None:
    found = dicom_series.group(
        dicom_files.scan([real_data / "mr-dwi-4d-with-presentation-state"], NoProgress()).headers
    )
    assert {one.facts.refusal.code for one in found if one.facts.refusal} == {"no-pixels"}


def test_the_real_head_ct_names_its_tilt(real_data: Path) -> None:
    (series,) = dicom_series.group(
        dicom_files.scan([real_data / "ct-head-tilt-variable-spacing"], NoProgress()).headers
    )
    texts = [str(remark.text) for remark in series.facts.remarks]
    assert any("18.5 degrees" in text for text in texts)
    assert any("7.00 mm" in text for text in texts)
