"""The labels at the beginning, copied in a thread of their own: whatever is painted at once comes too late for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medview.core.planes import Plane
from medview.core.segmentation import Segment, Segmentation
from medview.editing import journal_records
from medview.editing.brush import BrushShape
from medview.workstation import first_copy
from medview.workstation.first_copy import FirstCopy
from medview.workstation.stroke import BrushOptions
from tests.support import editing_run


@pytest.mark.parametrize("at_once", [True, False])
def test_a_copy_is_what_was_and_is_counted(monkeypatch: pytest.MonkeyPatch, at_once: bool) -> None:
    monkeypatch.setattr(first_copy, "_AT_ONCE_BYTES", 2**30 if at_once else 0)
    labels = np.random.default_rng(1).integers(0, 4, (40, 50, 60)).astype(np.uint8)
    expected = labels.copy()
    copy = FirstCopy(labels)
    copy.wait_until_taken()
    labels[...] = 9
    taken = copy.take()
    assert taken is not None
    np.testing.assert_array_equal(taken, expected)
    while copy.counts is None:
        pass
    assert copy.counts[:10].tolist() == np.bincount(expected.ravel(), minlength=10).tolist()
    assert FirstCopy(np.zeros((3, 4, 5), np.uint8)).take() is None


def test_a_copy_without_room_holds_nobody_up_and_is_not_taken_for_background() -> None:
    too_large = np.broadcast_to(np.uint8(1), (2**20, 2**20, 2**10))
    copy = FirstCopy(too_large)
    copy.wait_until_taken()
    for _ in range(2):
        with pytest.raises(MemoryError):
            copy.take()


def test_who_paints_at_once_on_a_large_answer_loses_nothing(tmp_path: Path) -> None:
    shape = (64, 256, 512)
    one = editing_run.station(tmp_path, shape)
    labels = np.random.default_rng(2).integers(0, 3, shape).astype(np.uint8)
    segmentation = Segmentation(
        one.volume.geometry, labels.copy(), (Segment(1, "A", (1, 2, 3)), Segment(2, "B", (4, 5, 6)))
    )
    one.case.add_segmentation(segmentation, on=one.volume.id)
    one.workspace.activate(one.case, one.volume, segmentation)
    one.correction.set_options(BrushOptions(shape=BrushShape.SPHERE, radius_mm=20.0))
    one.correction.begin_stroke(one.at(5, 60, 60), Plane.AXIAL)
    one.correction.stroke_to(one.at(60, 200, 400))
    one.correction.end_stroke()
    painted = one.labels.copy()
    ml = one.volume.geometry.voxel_mm3 / 1000
    expected = {label: int((painted == label).sum()) * ml for label in (1, 2)}
    assert dict(one.correction.volumes_ml(segmentation)) == pytest.approx(expected)
    one.close()
    (folder,) = tmp_path.iterdir()
    np.testing.assert_array_equal(journal_records.read(folder).base_labels(), labels)
    two = editing_run.station(tmp_path, shape)
    (recovery,) = two.correction.recovering.recoveries()
    two.finish(two.correction.recovering.restore(recovery))
    np.testing.assert_array_equal(two.labels, painted)
    assert dict(two.correction.volumes_ml(two.segmentation)) == pytest.approx(expected)
    two.correction.undo()
    np.testing.assert_array_equal(two.labels, labels)
    two.close()
