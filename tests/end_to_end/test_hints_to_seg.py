"""A lesion on a DICOM PET: boxed, previewed, corrected with two scribbles, accepted and saved as SEG."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import highdicom
import numpy as np
import pytest
import SimpleITK
from numpy.typing import NDArray

from medview.core.geometry import Geometry, Point
from medview.core.hint import HintKind
from medview.core.planes import Plane
from medview.views import surface_files
from medview.workstation.saving import SaveFormat
from medview.workstation.station import Workstation

Mask = NDArray[np.bool_]


@pytest.fixture
def patient(real_data: Path) -> Path:
    folder = real_data / "rtstruct-sarcoma-ct-pet-mr" / "STS_025"
    if not folder.is_dir():
        pytest.skip("the PET with an outline is not on this machine")
    return folder


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Workstation]:
    made = Workstation(tmp_path / "home")
    yield made
    made.close()


def waiting(station: Workstation) -> Callable[[Callable[[], bool]], None]:
    def wait(done: Callable[[], bool]) -> None:
        for _ in range(3000):
            station.queue.drain(0.02)
            if done():
                return
        raise AssertionError("it takes too long")

    return wait


def point(geometry: Geometry, *index: float) -> Point:
    x, y, z = (float(value) for value in geometry.to_patient((index[0], index[1], index[2])))
    return x, y, z


def middle_of(error: Mask, geometry: Geometry) -> tuple[list[Point], int]:
    """The ends of a short scribble in the middle of an error, in the slice in which most of it lies."""
    k = int(error.sum(axis=(1, 2)).argmax())
    j = int(np.median(np.argwhere(error[k])[:, 0]))
    columns = np.flatnonzero(error[k, j])
    return [point(geometry, k, j, columns[len(columns) * share // 4]) for share in (1, 3)], k


def dice(one: Mask, other: Mask) -> float:
    return 2 * float((one & other).sum()) / float(one.sum() + other.sum())


def test_from_a_box_to_a_file(station: Workstation, patient: Path, tmp_path: Path) -> None:
    wait = waiting(station)
    opened = station.importing.open_paths([patient / "dicom" / "PET" / "image"])
    wait(lambda: opened.state.is_final and station.workspace.active_volume is not None)
    wait(lambda: not station.jobs.open_jobs)
    volume = station.workspace.active_volume
    assert volume is not None
    image = SimpleITK.ReadImage(str(patient / "nifti" / "PET_mask.nii.gz"))
    truth: Mask = SimpleITK.GetArrayFromImage(image) > 0
    geometry, hinting = volume.geometry, station.hinting
    assert truth.shape == geometry.shape
    hinting.choose("pet_lesion")
    places = np.argwhere(truth)
    low, high = places.min(axis=0) - 1, places.max(axis=0) + 1
    k = int(places[:, 0].mean())
    # a rectangle in an axial slice, then one in a coronal slice that says how deep it is
    hinting.drawn(
        [point(geometry, k, low[1], low[2]), point(geometry, k, high[1], high[2])], Plane.AXIAL, positive=True
    )
    j = (low[1] + high[1]) / 2
    hinting.use_shape(HintKind.BOX)
    hinting.drawn(
        [point(geometry, low[0], j, low[2]), point(geometry, high[0], j, high[2])], Plane.CORONAL, positive=True
    )
    wait(lambda: hinting.is_current)

    def shown() -> Mask:
        answer, whole = hinting.preview, np.zeros(geometry.shape, dtype=bool)
        assert answer is not None
        whole[answer.box.slices] = answer.inside
        return whole

    assert len(hinting.hints) == 1
    scores = [dice(shown(), truth)]
    assert not any(case.segmentations for case in station.workspace.cases)
    for _ in range(2):
        missed, wrong = truth & ~shown(), shown() & ~truth
        positive = bool(missed.sum() >= wrong.sum())
        ends, _ = middle_of(missed if positive else wrong, geometry)
        hinting.drawn(ends, Plane.AXIAL, positive=positive)
        wait(lambda: hinting.is_current)
        scores.append(dice(shown(), truth))
    assert scores[-1] > scores[0] - 0.01
    assert scores[-1] > 0.7
    final = shown()
    assert hinting.accept()
    segmentation = station.workspace.active_segmentation
    assert segmentation is not None
    job = station.save_masks(segmentation, [SaveFormat.SEG], tmp_path, "lesion", surface_files.make_meshes)
    wait(lambda: job.state.is_final)
    assert job.result is not None
    assert [one.ok for one in job.result] == [True]
    (path,) = tmp_path.glob("lesion*.dcm")
    seg = highdicom.seg.segread(path)
    read = np.asarray(seg.get_volume(combine_segments=True).array)
    assert int((read > 0).sum()) == int(final.sum())
    assert [one.name for one in segmentation.segments] == ["Lesion"]
    described = seg.SegmentSequence[0]
    assert described.SegmentAlgorithmType == "SEMIAUTOMATIC"
    assert described.SegmentationAlgorithmIdentificationSequence[0].AlgorithmName == "pet_lesion"
    (edit,) = segmentation.provenance.hinted
    assert edit.engine.plugin_id == "pet_lesion"
    assert [one.kind for one in edit.hints] == ["box", "scribble", "scribble"]
