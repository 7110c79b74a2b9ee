from __future__ import annotations

import numpy as np
import pytest

from medview.core.geometry import Box, Geometry
from medview.core.hint import HintKind, HintRecord
from medview.core.segmentation import (
    HintedEdit,
    LabelsChanged,
    ModelRef,
    Provenance,
    Segment,
    Segmentation,
    SegmentsChanged,
)

GEOMETRY = Geometry.from_parts((8, 9, 10), (1.0, 1.0, 1.0))


def test_write_changes_the_box_and_says_so() -> None:
    segmentation = Segmentation(GEOMETRY)
    heard: list[object] = []
    segmentation.changed.connect(heard.append)
    box = Box((1, 2, 3), (4, 5, 6))
    segmentation.write(box, np.full(box.shape, 7, np.uint8))
    expected = np.zeros(GEOMETRY.shape, np.uint8)
    expected[1:4, 2:5, 3:6] = 7
    np.testing.assert_array_equal(segmentation.labels, expected)
    assert heard == [LabelsChanged(box)]
    assert segmentation.revision == 1


def test_labels_are_read_only_and_follow_writes() -> None:
    segmentation = Segmentation(GEOMETRY)
    view = segmentation.labels
    with pytest.raises(ValueError, match="read-only"):
        view[0, 0, 0] = 1
    segmentation.write(Box((0, 0, 0), (1, 1, 1)), np.ones((1, 1, 1), np.uint8))
    assert view[0, 0, 0] == 1


def test_a_box_outside_the_grid_is_refused() -> None:
    with pytest.raises(ValueError, match="outside"):
        Segmentation(GEOMETRY).write(Box((7, 0, 0), (9, 1, 1)), np.ones((2, 1, 1), np.uint8))


def test_label_numbers_are_unique() -> None:
    segmentation = Segmentation(GEOMETRY)
    heard: list[object] = []
    segmentation.changed.connect(heard.append)
    one = Segment(1, "one", (1, 2, 3))
    segmentation.set_segments((one,))
    segmentation.set_segments((one,))
    assert heard == [SegmentsChanged()]
    with pytest.raises(ValueError, match="unique"):
        segmentation.set_segments((one, one))
    with pytest.raises(ValueError, match="within"):
        segmentation.set_segments((Segment(256, "too far", (0, 0, 0)),))


def test_a_segment_that_hints_made_is_half_the_readers() -> None:
    tool, model = ModelRef("random-walker", "1"), ModelRef("ct_organs", "2")
    hinted = (HintedEdit(2, tool, (HintRecord(HintKind.POINT, True, ((1.0, 2.0, 3.0),), 0.0),)),)
    by_hand = Provenance(hinted=hinted)
    assert [by_hand.algorithm_of(label) for label in (1, 2)] == ["MANUAL", "SEMIAUTOMATIC"]
    assert [by_hand.engine_of(label) for label in (1, 2)] == [None, tool]
    by_model = Provenance(model, hinted=hinted)
    assert [by_model.algorithm_of(label) for label in (1, 2)] == ["AUTOMATIC", "SEMIAUTOMATIC"]
    assert by_model.engine_of(2) == model
    assert Provenance(model, reviewer="R").algorithm_of(1) == "SEMIAUTOMATIC"
