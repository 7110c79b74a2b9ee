"""Masks that come with a study land on the series that they were drawn on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from medview.core.case import SeriesKind
from medview.core.progress import NoProgress
from medview.core.segmentation import Segment, Segmentation
from medview.formats.dicom_writer import SeriesOptions, write_series
from medview.phantom.chest import Phantom
from medview.workstation import masks
from medview.workstation.jobs import JobState
from medview.workstation.masks import DicomMask
from medview.workstation.station import Workstation
from tests.support.phantom_study import series_in


def finish_all(station: Workstation) -> None:
    # a job that has ended may submit the next one when its answer comes home
    for _ in range(5):
        while station.jobs.open_jobs:
            station.queue.drain(0.1)
        station.queue.drain()


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Workstation]:
    one = Workstation(tmp_path / "home")
    yield one
    one.close()


@pytest.mark.parametrize("form", list(DicomMask))
def test_masks_open_on_the_series_that_they_name(
    form: DicomMask, station: Workstation, small_phantom: Phantom, tmp_path: Path
) -> None:
    study = tmp_path / "study"
    write_series(small_phantom.volume, study / "a", SeriesOptions(series_uid="1.2.3"))
    write_series(small_phantom.volume, study / "b", SeriesOptions(series_uid="1.2.4", missing=(0,)))
    labels = np.zeros(small_phantom.volume.geometry.shape, dtype=np.uint8)
    labels[10:14, 20:30, 8:20] = 1
    mask = Segmentation(small_phantom.volume.geometry, labels, (Segment(1, "Block", (200, 10, 10)),))
    files = series_in(study / "a").facts.files
    masks.write_mask(mask, small_phantom.volume, files, study / "mask.dcm", NoProgress(), dicom=form)
    station.importing.find([study])
    finish_all(station)
    (case,) = station.workspace.cases
    (facts,) = [one for one in case.series if one.kind is SeriesKind.MASK]
    job = station.attaching.open(facts.uid)
    assert job is not None
    finish_all(station)
    assert job.state is JobState.DONE
    active = station.workspace.active_segmentation
    assert active is not None
    assert station.workspace.active_volume is case.volume_of_series("1.2.3")
    assert np.array_equal(active.labels, labels)
    assert active.segments[0].name == "Block"
    assert station.attaching.open(facts.uid) is None
    assert len(case.segmentations) == 1


def test_masks_without_their_images_say_so(station: Workstation, small_phantom: Phantom, tmp_path: Path) -> None:
    write_series(small_phantom.volume, tmp_path / "a")
    mask = Segmentation(
        small_phantom.volume.geometry,
        np.ones(small_phantom.volume.geometry.shape, dtype=np.uint8),
        (Segment(1, "All", (200, 10, 10)),),
    )
    (tmp_path / "masks").mkdir()
    files = series_in(tmp_path / "a").facts.files
    masks.write_mask(mask, small_phantom.volume, files, tmp_path / "masks" / "m.dcm", NoProgress())
    station.importing.find([tmp_path / "masks"])
    finish_all(station)
    (case,) = station.workspace.cases
    job = station.attaching.open(case.series[0].uid)
    assert job is not None
    finish_all(station)
    assert job.state is JobState.FAILED
    assert "not open" in str(job.error)
