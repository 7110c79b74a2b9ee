from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK
from numpy.typing import NDArray

from medview.core.case import Severity
from medview.core.errors import Cancelled, StorageError, UnreadableFileError, UnsupportedSeriesError
from medview.core.geometry import Geometry
from medview.core.progress import NoProgress
from medview.core.volume import Modality, Volume, VolumeId
from medview.formats import image_files

ENDINGS = [".nii", ".nii.gz", ".nrrd", ".mha"]
RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def turned(seed: int = 2) -> NDArray[np.float64]:
    turn, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return turn


def volume_of(voxels: NDArray[Any], direction: NDArray[np.float64] | None = None) -> Volume:
    geometry = Geometry.from_parts(voxels.shape, (3.0, 0.7, 1.1), (-20.0, 30.0, 5.5), direction)
    return Volume(VolumeId("v"), geometry, voxels, Modality.CT, "HU", "s")


def random_voxels(dtype: type[np.generic] = np.int16) -> NDArray[Any]:
    return np.random.default_rng(1).integers(-1000, 2000, (4, 5, 6)).astype(dtype)


def save_nifti(path: Path, array_ijk: NDArray[Any], affine: NDArray[Any], **header: Any) -> Path:
    image = nibabel.Nifti1Image(array_ijk, affine)
    for name, value in header.items():
        image.header[name] = value
    nibabel.save(image, path)
    return path


def loaded(path: Path) -> Any:
    return nibabel.load(path)


def read(path: Path) -> Volume:
    return image_files.read_volume(path, NoProgress())


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("direction", [None, turned(2), turned(3)], ids=["straight", "oblique", "mirrored"])
def test_what_is_written_is_read_back(ending: str, direction: NDArray[np.float64] | None, tmp_path: Path) -> None:
    volume = volume_of(random_voxels(), direction)
    path = tmp_path / f"a{ending}"
    image_files.write_volume(volume, path)
    again = read(path)
    assert np.array_equal(again.voxels, volume.voxels)
    assert again.voxels.dtype == np.int16
    assert again.geometry.same_grid(volume.geometry, 1e-4)
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("ending", ENDINGS)
def test_simpleitk_reads_the_same(ending: str, tmp_path: Path) -> None:
    volume = volume_of(random_voxels(), turned())
    path = tmp_path / f"a{ending}"
    image_files.write_volume(volume, path)
    image = SimpleITK.ReadImage(str(path))
    assert np.array_equal(SimpleITK.GetArrayFromImage(image), volume.voxels)
    there = image.TransformIndexToPhysicalPoint((5, 4, 3))
    assert np.abs(volume.geometry.to_patient((3.0, 4.0, 5.0)) - there).max() < 1e-4


def test_nibabel_reads_the_same(tmp_path: Path) -> None:
    volume = volume_of(random_voxels(), turned())
    path = tmp_path / "a.nii.gz"
    image_files.write_volume(volume, path)
    image = loaded(path)
    assert np.array_equal(np.asarray(image.dataobj).transpose(2, 1, 0), volume.voxels)
    there = (RAS @ image.affine @ [5, 4, 3, 1])[:3]
    assert np.abs(volume.geometry.to_patient((3.0, 4.0, 5.0)) - there).max() < 1e-4


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (np.uint8, np.int16),
        (np.int16, np.int16),
        (np.uint16, np.uint16),
        (np.int32, np.int32),
        (np.float32, np.float32),
        (np.float64, np.float32),
        (np.int8, np.int16),
        (np.int64, np.int32),
    ],
)
def test_every_type_of_number(dtype: type[np.generic], expected: type[np.generic], tmp_path: Path) -> None:
    values = np.arange(120).reshape(6, 5, 4)
    if expected is np.uint16:
        values = values + 60000
    if expected is np.int32:
        values = values - 100000
    array = values.astype(dtype) + np.array(0.25 if expected is np.float32 else 0, dtype)
    nibabel.save(nibabel.Nifti1Image(array.astype(dtype), np.eye(4), dtype=dtype), tmp_path / "a.nii.gz")
    volume = read(tmp_path / "a.nii.gz")
    assert volume.voxels.dtype == expected
    assert np.allclose(volume.voxels, array.transpose(2, 1, 0))


def test_stored_slope_and_intercept_are_applied(tmp_path: Path) -> None:
    path = save_nifti(tmp_path / "a.nii", random_voxels().transpose(2, 1, 0), np.eye(4))
    raw = bytearray(path.read_bytes())
    raw[112:120] = np.array([2.0, -5.0], np.float32).tobytes()
    path.write_bytes(raw)
    volume = read(path)
    assert np.array_equal(volume.voxels, random_voxels() * 2 - 5)
    assert np.array_equal(volume.voxels, loaded(path).get_fdata().transpose(2, 1, 0))


def test_the_sform_is_used_and_else_the_qform(tmp_path: Path) -> None:
    first, second = np.diag([2.0, 2.0, 2.0, 1.0]), np.diag([-2.0, 2.0, 2.0, 1.0])
    second[:3, 3] = 7, 8, 9
    for sform, qform in ((1, 1), (0, 1), (1, 0)):
        image = nibabel.Nifti1Image(random_voxels(), np.eye(4))
        image.set_sform(first, sform)
        image.set_qform(second, qform)
        nibabel.save(image, tmp_path / "a.nii")
        geometry = read(tmp_path / "a.nii").geometry
        theirs = RAS @ loaded(tmp_path / "a.nii").affine
        assert np.allclose(geometry.affine, theirs[:, [2, 1, 0, 3]], atol=1e-5)


def test_a_file_without_orientation_warns(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(random_voxels(), None)
    nibabel.save(image, tmp_path / "a.nii")
    (remark,) = image_files.describe(tmp_path / "a.nii").remarks
    assert (remark.severity, remark.code) == (Severity.WARNING, "no-orientation")


def test_axes_that_are_nearly_at_right_angles_are_straightened_and_it_is_said(tmp_path: Path) -> None:
    affine = np.diag([1.0, 1.0, 1.0, 1.0])
    affine[0, 1] = 0.02
    path = save_nifti(tmp_path / "a.nii.gz", np.zeros((20, 20, 20), np.int16), affine)
    series = image_files.describe(path)
    assert series.geometry is not None
    assert [remark.code for remark in series.remarks] == ["straightened"]
    corner = (RAS @ affine @ [19, 19, 19, 1])[:3]
    moved = float(np.linalg.norm(series.geometry.to_patient((19.0, 19.0, 19.0)) - corner))
    assert 0.01 < moved < 0.3
    assert read(path).voxels.shape == (20, 20, 20)


def test_sheared_axes_are_refused(tmp_path: Path) -> None:
    affine = np.eye(4)
    affine[0, 1] = 0.3
    path = save_nifti(tmp_path / "a.nii.gz", np.zeros((20, 20, 20), np.int16), affine)
    refusal = image_files.describe(path).refusal
    assert refusal is not None
    assert "right angles" in str(refusal.text)
    with pytest.raises(UnsupportedSeriesError, match="right angles"):
        read(path)


def test_several_volumes_vectors_and_colours_are_refused(tmp_path: Path) -> None:
    save_nifti(tmp_path / "4d.nii.gz", np.zeros((4, 4, 4, 3), np.int16), np.eye(4))
    save_nifti(tmp_path / "one.nii.gz", np.zeros((4, 4, 4, 1), np.int16), np.eye(4))
    rgb = np.zeros((4, 4, 4), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    save_nifti(tmp_path / "rgb.nii.gz", rgb, np.eye(4))
    SimpleITK.WriteImage(SimpleITK.Image([4, 4, 4], SimpleITK.sitkVectorUInt8, 3), str(tmp_path / "rgb.nrrd"))
    SimpleITK.WriteImage(SimpleITK.Image([4, 4, 4, 2], SimpleITK.sitkUInt8), str(tmp_path / "4d.nrrd"))
    for name in ("4d.nii.gz", "rgb.nii.gz", "rgb.nrrd", "4d.nrrd"):
        assert image_files.describe(tmp_path / name).refusal is not None, name
        with pytest.raises(UnsupportedSeriesError):
            read(tmp_path / name)
    assert read(tmp_path / "one.nii.gz").voxels.shape == (4, 4, 4)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd", "a.mha"])
def test_damaged_files_are_named(name: str, tmp_path: Path) -> None:
    image_files.write_volume(volume_of(np.zeros((20, 20, 20), np.int16) + random_voxels()[:1, :1, :1]), tmp_path / name)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) - 40 if name.endswith(".nii") else len(data) // 2])
    with pytest.raises(UnreadableFileError):
        read(tmp_path / name)
    (tmp_path / name).write_bytes(b"not at all")
    with pytest.raises(UnreadableFileError):
        image_files.describe(tmp_path / name)


def test_values_that_are_no_number_become_the_lowest(tmp_path: Path) -> None:
    array = np.full((3, 3, 3), 0.5, np.float32)
    array[0, 0, 0], array[1, 1, 1], array[2, 2, 2] = np.nan, np.inf, -3.5
    volume = read(save_nifti(tmp_path / "a.nii", array, np.eye(4)))
    assert np.isfinite(volume.voxels).all()
    assert volume.voxels.min() == -3.5
    assert volume.voxels[0, 0, 0] == -3.5


@pytest.mark.parametrize(
    ("name", "lowest", "modality"),
    [
        ("a.nii", -1024, Modality.CT),
        ("a.nii", 0, Modality.MR),
        ("liver_CT_3.nii", 0, Modality.CT),
        ("sub-01_T1w.nii", 0, Modality.MR),
        ("spectrum.nii", 0, Modality.MR),
        ("PET_image.nii", 0, Modality.PT),
        ("lesion_suv.nii", 0, Modality.PT),
        ("petra.nii", 0, Modality.MR),
        ("PET_CT.nii", -1024, Modality.CT),
    ],
)
def test_the_modality_is_guessed_and_it_is_said(name: str, lowest: int, modality: Modality, tmp_path: Path) -> None:
    array = np.full((3, 3, 3), 100, np.int16)
    array[0, 0, 0] = lowest
    path = save_nifti(tmp_path / name, array, np.eye(4))
    volume = read(path)
    assert volume.modality is modality
    assert volume.unit == ("HU" if modality is Modality.CT else "SUVbw" if "suv" in name else "")
    series = image_files.with_guess(image_files.describe(path), volume)
    assert series.modality is modality
    assert modality.value in str(series.remarks[-1].text)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_labels_keep_numbers_type_and_grid(ending: str, dtype: type[np.generic], tmp_path: Path) -> None:
    labels = np.zeros((4, 5, 6), dtype)
    labels[1, 2, 3], labels[3, 4, 5] = 7, 255 if dtype is np.uint8 else 65535
    geometry = volume_of(random_voxels(), turned()).geometry
    image_files.write_labels(labels, geometry, tmp_path / f"l{ending}")
    again, grid = image_files.read_labels(tmp_path / f"l{ending}")
    assert again.dtype == dtype
    assert np.array_equal(again, labels)
    assert grid.same_grid(geometry)


def test_float_labels_that_are_whole_are_labels_and_others_are_not(tmp_path: Path) -> None:
    save_nifti(tmp_path / "a.nii", np.full((3, 3, 3), 2.0), np.eye(4))
    assert image_files.read_labels(tmp_path / "a.nii")[0].dtype == np.uint8
    for value in (0.5, -1.0, 70000.0):
        save_nifti(tmp_path / "b.nii", np.full((3, 3, 3), value), np.eye(4))
        with pytest.raises(UnsupportedSeriesError, match="label map"):
            image_files.read_labels(tmp_path / "b.nii")


def test_writing_where_nothing_can_be_written(tmp_path: Path) -> None:
    volume = volume_of(random_voxels())
    with pytest.raises(StorageError, match=r"\.nii\.gz"):
        image_files.write_volume(volume, tmp_path / "a.png")
    with pytest.raises(StorageError):
        image_files.write_volume(volume, tmp_path / "missing" / "a.nii.gz")
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    volume = volume_of(random_voxels())
    path = tmp_path / "a.nii.gz"
    image_files.write_volume(volume, path)
    before = path.read_bytes()

    def full(number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError):
        image_files.write_volume(replace(volume, voxels=volume.voxels + 1), path)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["a.nii.gz"]


def test_reading_can_be_cancelled(tmp_path: Path) -> None:
    class Stop(NoProgress):
        def raise_if_cancelled(self) -> None:
            raise Cancelled

    for name in ("a.nii.gz", "a.nrrd"):
        image_files.write_volume(volume_of(random_voxels()), tmp_path / name)
        with pytest.raises(Cancelled):
            image_files.read_volume(tmp_path / name, Stop())


def test_header_and_image_pairs(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Pair(random_voxels(), np.eye(4)), tmp_path / "a.img")
    assert np.array_equal(read(tmp_path / "a.hdr").voxels, random_voxels().transpose(2, 1, 0))
    (tmp_path / "a.img").unlink()
    with pytest.raises(UnreadableFileError, match=r"\.img"):
        read(tmp_path / "a.hdr")


def test_nifti_2_and_big_endian(tmp_path: Path) -> None:
    affine = np.diag([-1.0, 2.0, 3.0, 1.0])
    affine[:3, 3] = 5, 6, 7
    nibabel.save(nibabel.Nifti2Image(random_voxels(), affine), tmp_path / "a.nii.gz")
    header = nibabel.Nifti1Header(endianness=">")
    header.set_data_dtype(np.int16)
    nibabel.save(nibabel.Nifti1Image(random_voxels(), affine, header), tmp_path / "b.nii")
    for name in ("a.nii.gz", "b.nii"):
        volume = read(tmp_path / name)
        assert np.array_equal(volume.voxels, random_voxels().transpose(2, 1, 0))
        assert np.allclose(volume.geometry.affine, (RAS @ affine)[:, [2, 1, 0, 3]])


def test_real_files_equal_nibabel_and_simpleitk(real_data: Path) -> None:
    paths = [
        *sorted((real_data / "labelled-hippocampus-200").glob("*/*_00[1-9].nii.gz"))[:4],
        *(real_data / "image-mask-pairs").rglob("*.nrrd"),
        *(real_data / "image-mask-pairs").rglob("*.nii.gz"),
    ]
    assert len(paths) > 6
    for path in paths:
        volume = read(path)
        image = SimpleITK.ReadImage(str(path))
        assert np.allclose(SimpleITK.GetArrayFromImage(image), volume.voxels, rtol=1e-6)
        k, j, i = (size - 1 for size in volume.geometry.shape)
        there = image.TransformIndexToPhysicalPoint((i, j, k))
        assert np.abs(volume.geometry.to_patient((float(k), float(j), float(i))) - there).max() < 0.01
