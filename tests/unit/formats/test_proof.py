"""A proof that cannot fail proves nothing: every kind of damage has to turn it red."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset

from medview.core.errors import StorageError
from medview.core.geometry import Geometry
from medview.core.proof import Proof
from medview.core.segmentation import ModelRef, Provenance, Segment, Segmentation
from medview.formats import dicom_seg
from medview.formats.proof import prove_image, prove_labels, prove_segmentation
from tests.support import source_series

GRID = Geometry.from_parts((5, 16, 8), (2.5, 0.7, 0.8), (-31.5, 12.25, 700.5))

SEGMENTS = (Segment(1, "Left lung", (86, 180, 233)), Segment(2, "Liver", (221, 130, 101)))

MADE = Provenance(ModelRef("lungs", "2.0", "ab" * 32), reviewer="Reader^One")


def labels() -> NDArray[np.uint8]:
    drawn = np.zeros(GRID.shape, dtype=np.uint8)
    drawn[0, 1:4, 2:7] = 1
    drawn[3, 5:9, 1:3] = 2
    return drawn


def frames(dataset: Dataset) -> NDArray[np.uint8]:
    stack: NDArray[np.uint8] = dataset.pixel_array.copy()
    return stack


def put(dataset: Dataset, stack: NDArray[np.uint8]) -> None:
    dataset.PixelData = np.packbits(stack.ravel(), bitorder="little").tobytes()


def flip(dataset: Dataset) -> None:
    put(dataset, frames(dataset)[:, ::-1])


def mirror(dataset: Dataset) -> None:
    put(dataset, frames(dataset)[:, :, ::-1])


def lose_a_voxel(dataset: Dataset) -> None:
    stack = frames(dataset)
    stack[tuple(np.argwhere(stack)[0])] = 0
    put(dataset, stack)


def swap_frames(dataset: Dataset) -> None:
    put(dataset, frames(dataset)[::-1])


def shift(dataset: Dataset) -> None:
    for group in dataset.PerFrameFunctionalGroupsSequence:
        position = group.PlanePositionSequence[0].ImagePositionPatient
        position[0] = float(position[0]) + 0.8


def half_a_voxel(dataset: Dataset) -> None:
    for group in dataset.PerFrameFunctionalGroupsSequence:
        position = group.PlanePositionSequence[0].ImagePositionPatient
        position[1] = float(position[1]) + 0.34


def turn(dataset: Dataset) -> None:
    orientation = dataset.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0]
    orientation.ImageOrientationPatient = [-1, 0, 0, 0, 1, 0]


def lose_a_segment(dataset: Dataset) -> None:
    del dataset.SegmentSequence[1]


def rename(dataset: Dataset) -> None:
    dataset.SegmentSequence[0].SegmentLabel = "Right lung"


def recode(dataset: Dataset) -> None:
    dataset.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0].CodeValue = "1"


def recolour(dataset: Dataset) -> None:
    dataset.SegmentSequence[0].RecommendedDisplayCIELabValue = [0, 0, 0]


def exchange_numbers(dataset: Dataset) -> None:
    for group in dataset.PerFrameFunctionalGroupsSequence:
        item = group.SegmentIdentificationSequence[0]
        item.ReferencedSegmentNumber = 3 - item.ReferencedSegmentNumber


def refer_elsewhere(dataset: Dataset) -> None:
    one, two = (
        group.DerivationImageSequence[0].SourceImageSequence[0] for group in dataset.PerFrameFunctionalGroupsSequence
    )
    one.ReferencedSOPInstanceUID = two.ReferencedSOPInstanceUID


def lose_references(dataset: Dataset) -> None:
    del dataset.ReferencedSeriesSequence


def other_patient(dataset: Dataset) -> None:
    dataset.PatientID = "SOMEBODY-ELSE"


def other_frame(dataset: Dataset) -> None:
    dataset.FrameOfReferenceUID = "1.2.3"


def other_algorithm(dataset: Dataset) -> None:
    dataset.SegmentSequence[1].SegmentationAlgorithmIdentificationSequence[0].AlgorithmName = "other"


def other_version(dataset: Dataset) -> None:
    dataset.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence[0].AlgorithmVersion = "3"


def by_hand(dataset: Dataset) -> None:
    dataset.SegmentSequence[0].SegmentAlgorithmType = "MANUAL"


def other_reader(dataset: Dataset) -> None:
    dataset.ContentCreatorName = "Somebody^Else"


def no_pixels(dataset: Dataset) -> None:
    del dataset.PixelData


def short(dataset: Dataset) -> None:
    dataset.PixelData = dataset.PixelData[:10]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[Dataset, ...]]:
    folder = tmp_path_factory.mktemp("written")
    volume, files = source_series.make(folder / "ct", GRID)
    drawn = Segmentation(GRID, labels(), SEGMENTS, provenance=MADE)
    assert dicom_seg.write(drawn, volume, files, folder / "seg.dcm").ok
    return folder / "seg.dcm", tuple(dcmread(path) for path in files)


def prove(path: Path, sources: tuple[Dataset, ...]) -> Proof:
    segments = dicom_seg.described_segments(labels(), SEGMENTS)
    return prove_segmentation(path, labels(), GRID, segments, sources, provenance=MADE)


def test_what_was_written_is_proved(written: tuple[Path, tuple[Dataset, ...]]) -> None:
    assert prove(*written).differences == ()


@pytest.mark.parametrize(
    "damage",
    [
        flip, mirror, lose_a_voxel, swap_frames, shift, half_a_voxel, turn, lose_a_segment, rename, recode, recolour,
        exchange_numbers, other_algorithm, other_version, by_hand, other_reader,
        refer_elsewhere, lose_references, other_patient, other_frame, no_pixels, short,
    ],
)  # fmt: skip
def test_damage_is_found(
    written: tuple[Path, tuple[Dataset, ...]], tmp_path: Path, damage: Callable[[Dataset], None]
) -> None:
    dataset = dcmread(written[0])
    damage(dataset)
    dataset.save_as(tmp_path / "damaged.dcm")
    proof = prove(tmp_path / "damaged.dcm", written[1])
    assert not proof.ok
    with pytest.raises(StorageError, match="damaged"):
        proof.require()


def itk(voxels: NDArray[np.generic], geometry: Geometry) -> SimpleITK.Image:
    image = SimpleITK.GetImageFromArray(voxels)
    image.SetOrigin(geometry.origin_mm)
    image.SetSpacing(geometry.spacing_mm[::-1])
    image.SetDirection(geometry.direction[:, ::-1].ravel().tolist())
    return image


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_image_files_are_proved(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"labels{suffix}"
    SimpleITK.WriteImage(itk(labels(), GRID), str(path))
    assert prove_labels(path, labels(), GRID).ok
    other = labels()
    other[0, 0, 0] = 1
    assert not prove_labels(path, other, GRID).ok
    assert not prove_labels(path, np.ascontiguousarray(labels()[::-1]), GRID).ok
    assert not prove_labels(path, labels()[1:], GRID).ok
    moved = GRID.affine.copy()
    moved[0, 3] += 0.1
    assert not prove_labels(path, labels(), Geometry(GRID.shape, moved)).ok
    path.write_bytes(path.read_bytes()[:60])
    assert not prove_labels(path, labels(), GRID).ok


def test_float_images_with_nan_are_proved(tmp_path: Path) -> None:
    voxels = np.linspace(-1, 1, int(np.prod(GRID.shape)), dtype=np.float32).reshape(GRID.shape)
    voxels[0, 0, 0] = np.nan
    SimpleITK.WriteImage(itk(voxels, GRID), str(tmp_path / "image.nrrd"))
    assert prove_image(tmp_path / "image.nrrd", voxels, GRID).ok
    assert not prove_image(tmp_path / "image.nrrd", np.nan_to_num(voxels), GRID).ok


def test_several_proofs_are_one(tmp_path: Path) -> None:
    good = Proof(tmp_path)
    assert Proof.of_all(tmp_path, [good, good]).ok
    assert good.require() is good
