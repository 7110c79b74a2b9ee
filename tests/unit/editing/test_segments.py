from __future__ import annotations

import numpy as np
import pytest

from medview.catalog import terminology
from medview.core.errors import MedViewError
from medview.core.geometry import Geometry
from medview.core.segmentation import Segment, Segmentation
from medview.core.text import Text
from medview.editing import segments
from medview.editing.history import Recorder

TERMS = terminology.load()


def test_a_nameless_segment_is_numbered_and_has_a_colour_of_its_own() -> None:
    made: tuple[Segment, ...] = ()
    for _ in range(6):
        made += (segments.new_segment(TERMS, made, 255),)
    assert [segment.label for segment in made] == [1, 2, 3, 4, 5, 6]
    assert [segment.name for segment in made][:2] == ["Segment 1", "Segment 2"]
    assert len({segment.color for segment in made}) == 6


def test_a_known_name_brings_codes() -> None:
    term = TERMS.find("Left kidney")
    assert term is not None
    assert segments.new_segment(TERMS, (), 255, " Left kidney ") == term.segment(1, "Left kidney")
    renamed = segments.renamed(TERMS, Segment(4, "Segment 4", (1, 2, 3)), "Left kidney")
    assert (renamed.label, renamed.color, renamed.code) == (4, (1, 2, 3), term.code)
    lost = segments.renamed(TERMS, renamed, "something else")
    assert (lost.name, lost.code, lost.category, lost.laterality) == ("something else", None, None, None)


def test_labels_run_out() -> None:
    full = tuple(Segment(n, str(n), (0, 0, 0)) for n in range(1, 256))
    with pytest.raises(MedViewError, match="255"):
        segments.new_segment(TERMS, full, 255)
    assert segments.new_segment(TERMS, full[:9] + full[10:], 255).label == 10


def test_removing_takes_the_voxels_of_that_segment_only() -> None:
    geometry = Geometry.from_parts((70, 40, 50), (1.0, 1.0, 1.0))
    labels = np.random.default_rng(0).integers(0, 4, geometry.shape).astype(np.uint8)
    labels[33:40] = 0
    before = labels.copy()
    one, two = Segment(1, "one", (0, 0, 0)), Segment(2, "two", (0, 0, 0))
    target = Segmentation(geometry, labels, (one, two))
    recorder = Recorder(target)
    segments.remove(recorder, 2)
    np.testing.assert_array_equal(target.labels, np.where(before == 2, 0, before))
    assert [segment.label for segment in target.segments] == [1]
    edit = recorder.finish(Text("Remove"))
    assert edit is not None
    edit.swap()
    np.testing.assert_array_equal(target.labels, before)
    assert target.segments == (one, two)
