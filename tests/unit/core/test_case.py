from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medview.core.case import (
    Case,
    CaseChange,
    Patient,
    SegmentationAdded,
    Series,
    SlicesArrived,
    Study,
    VolumeAdded,
    VolumeComplete,
    VolumeRemoved,
)
from medview.core.geometry import Geometry
from medview.core.segmentation import Segmentation
from medview.core.volume import Modality, Volume, VolumeId

GEOMETRY = Geometry.from_parts((4, 5, 6), (2.0, 1.0, 1.0))
STUDY = Study("1.2.3", Patient("P1", "Phantom^Chest"))


def volume(name: str = "v") -> Volume:
    return Volume(VolumeId(name), GEOMETRY, np.zeros(GEOMETRY.shape, np.int16), Modality.CT, "HU", "1.2.3.4")


def series(uid: str, number: int | None) -> Series:
    return Series(uid, STUDY, Modality.CT, "chest", number, "CHEST", (Path("a"),), 1, None)


def test_a_loading_volume_becomes_complete_once() -> None:
    case = Case(STUDY)
    heard: list[CaseChange] = []
    case.changed.connect(heard.append)
    one = volume()
    case.add_volume(one, complete=False)
    case.slices_arrived(one.id, 0, 2)
    assert not case.is_complete(one.id)
    case.complete_volume(one.id)
    case.complete_volume(one.id)
    assert case.is_complete(one.id)
    assert heard == [VolumeAdded(one.id), SlicesArrived(one.id, 0, 2), VolumeComplete(one.id)]


def test_removing_a_volume_takes_its_segmentations_along() -> None:
    case = Case(STUDY)
    one = volume()
    case.add_volume(one)
    segmentation = Segmentation(GEOMETRY)
    heard: list[CaseChange] = []
    case.changed.connect(heard.append)
    case.add_segmentation(segmentation, one.id)
    assert case.volume_under(segmentation.id) is one
    assert case.segmentations_on(one.id) == (segmentation,)
    case.remove_volume(one.id)
    assert dict(case.segmentations) == {}
    assert heard == [SegmentationAdded(segmentation.id), VolumeRemoved(one.id)]


def test_labels_of_another_grid_are_refused() -> None:
    case = Case(STUDY)
    one = volume()
    case.add_volume(one)
    moved = Geometry.from_parts(GEOMETRY.shape, GEOMETRY.spacing_mm, (0.0, 0.0, 1.0))
    with pytest.raises(ValueError, match="grid"):
        case.add_segmentation(Segmentation(moved), one.id)


def test_series_are_listed_by_number_and_replaced_by_uid() -> None:
    case = Case(STUDY)
    for uid, number in (("a", None), ("b", 7), ("c", 2)):
        case.put_series(series(uid, number))
    case.put_series(series("b", 1))
    assert [one.uid for one in case.series] == ["b", "c", "a"]


def test_voxels_are_read_only_and_fill_the_grid() -> None:
    voxels = np.zeros(GEOMETRY.shape, np.int16)
    one = Volume(VolumeId("v"), GEOMETRY, voxels, Modality.CT, "HU", "1")
    assert np.shares_memory(one.voxels, voxels)
    with pytest.raises(ValueError, match="read-only"):
        one.voxels[0, 0, 0] = 1
    with pytest.raises(ValueError, match="fill"):
        Volume(VolumeId("v"), GEOMETRY, np.zeros((1, 2, 3), np.int16), Modality.CT, "HU", "1")
