"""The way of a clinical case: series written, read by the program, segmented, saved as DICOM SEG and read again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import JPEGLSLossless

from medview.core.progress import NoProgress
from medview.core.segmentation import Segment, Segmentation
from medview.formats import dicom_seg, dicom_volume
from medview.formats.dicom_writer import SeriesOptions, write_series
from medview.phantom.chest import Phantom
from tests.support import volumes
from tests.support.phantom_study import series_in

_TYPE_2 = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID",
           "AccessionNumber", "ReferringPhysicianName")  # fmt: skip


@pytest.mark.parametrize(
    "options",
    [
        SeriesOptions(),
        SeriesOptions(shuffled=3, preamble=False, left_out=_TYPE_2),
        SeriesOptions(transfer_syntax=JPEGLSLossless, signed=True, bits_stored=16, intercept=0.0),
    ],
)
def test_the_truth_of_the_phantom_round_trips(small_phantom: Phantom, tmp_path: Path, options: SeriesOptions) -> None:
    write_series(small_phantom.volume, tmp_path / "ct", options)
    series = series_in(tmp_path / "ct")
    volume = dicom_volume.read(series, NoProgress())
    truth = Segmentation(volume.geometry, small_phantom.labels.copy(), small_phantom.segments)
    assert dicom_seg.write(truth, volume, series.facts.files, tmp_path / "seg.dcm").ok
    again = dicom_seg.read(tmp_path / "seg.dcm", volume.geometry)
    order = sorted(segment.label for segment in truth.segments)
    for number, label in enumerate(order, start=1):
        np.testing.assert_array_equal(again.labels == number, small_phantom.labels == label)
    named = {segment.label: segment.name for segment in truth.segments}
    assert [segment.name for segment in again.segments] == [named[label] for label in order]


def test_every_way_in_which_a_grid_can_lie(tmp_path: Path) -> None:
    """The labelled points of the patient, from the file alone, are those that were meant."""
    labels = np.zeros((3, 4, 5), dtype=np.uint8)
    labels[0, 1, 1:4] = 1
    labels[2, 3, 0] = 1
    for number, direction in enumerate([*volumes.orientations(), volumes.oblique()]):
        folder = tmp_path / str(number)
        voxels = np.zeros((3, 4, 5), dtype=np.int16)
        volume = volumes.volume(voxels, spacing_mm=(3.0, 1.5, 2.0), direction=direction)
        geometry = volume.geometry
        write_series(volume, folder)
        series = series_in(folder)
        read = dicom_volume.read(series, NoProgress())
        points = geometry.to_patient(np.argwhere(labels).astype(float))
        drawn = np.zeros(read.geometry.shape, dtype=np.uint8)
        drawn[tuple(np.rint(read.geometry.to_index(points)).astype(int).T)] = 1
        segmentation = Segmentation(read.geometry, drawn, (Segment(1, "Hippocampus", (1, 2, 3)),))
        dicom_seg.write(segmentation, read, series.facts.files, folder / "seg.seg")
        assert _points(folder / "seg.seg") == {tuple(point) for point in np.round(points, 2) + 0.0}, direction


def _points(path: Path) -> set[tuple[float, ...]]:
    dataset = dcmread(path)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    across, down = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, dtype=float).reshape(2, 3)
    rows, columns = (float(value) for value in shared.PixelMeasuresSequence[0].PixelSpacing)
    found = set()
    frames = dataset.pixel_array.reshape(-1, dataset.Rows, dataset.Columns)
    for frame, group in zip(frames, dataset.PerFrameFunctionalGroupsSequence, strict=True):
        first = np.array(group.PlanePositionSequence[0].ImagePositionPatient, dtype=float)
        for row, column in np.argwhere(frame):
            found.add(tuple(np.round(first + row * rows * down + column * columns * across, 2) + 0.0))
    return found
