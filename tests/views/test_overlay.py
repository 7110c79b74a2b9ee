"""Labels over a slice: their colours, and nothing but their colours."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from vtkmodules.vtkRenderingCore import vtkActor

from medview.core.geometry import Box
from medview.core.planes import Plane, slice_plane
from medview.core.segmentation import Labels, LabelsChanged
from medview.views.overlay import LabelOverlay
from tests.support.screens import PLAIN, colors_in, labelled, point, screen
from tests.support.volumes import oblique, orientations, volume

SHAPE = (10, 16, 20)
RED, BLUE = (200, 40, 30), (20, 60, 220)
GREY = (128, 128, 128)
IMAGE = volume(np.full(SHAPE, 50, np.int16))
STATE = replace(PLAIN, cursor=point(IMAGE.geometry, 5, 8, 10), outlined=False)
SIZE = (200, 160)


def two_neighbours(kind: type = np.uint8) -> Labels:
    labels: Labels = np.zeros(SHAPE, dtype=kind)
    labels[:, 4:12, 4:10] = 1
    labels[:, 4:12, 10:16] = 2
    return labels


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("outlined", [False, True])
def test_two_neighbours_at_full_strength_give_two_colours_and_no_third(kind: type, outlined: bool) -> None:
    with screen(*SIZE) as one:
        view = one.slices(Plane.AXIAL, IMAGE, replace(STATE, fill_opacity=1.0, outlined=outlined))
        view.set_segmentation(labelled(IMAGE, two_neighbours(kind), RED, BLUE))
        assert colors_in(one.frame()) == {(0, 0, 0), GREY, RED, BLUE}


def test_a_translucent_fill_is_the_mean_of_picture_and_colour_and_the_outline_is_the_colour() -> None:
    with screen(*SIZE) as one:
        view = one.slices(Plane.AXIAL, IMAGE, replace(STATE, fill_opacity=0.4, outlined=True))
        view.set_segmentation(labelled(IMAGE, two_neighbours(), RED, BLUE))
        frame = one.frame()
        x, y = view.pixel_of(point(IMAGE.geometry, 5, 8, 7))
    fill = np.array(RED) * 0.4 + 0.6 * 128
    assert np.abs(frame[int(y), int(x)] - fill).max() <= 1.5
    assert {RED, BLUE} <= colors_in(frame)
    assert len(colors_in(frame)) == 6


def test_fill_without_outline_has_no_pure_colour() -> None:
    with screen(*SIZE) as one:
        view = one.slices(Plane.AXIAL, IMAGE, replace(STATE, fill_opacity=0.4))
        view.set_segmentation(labelled(IMAGE, two_neighbours(), RED, BLUE))
        assert not {RED, BLUE} & colors_in(one.frame())


def test_hidden_segments_are_gone_and_so_are_all_with_the_labels_off() -> None:
    segmentation = labelled(IMAGE, two_neighbours(), RED, BLUE)
    state = replace(STATE, fill_opacity=1.0)
    with screen(*SIZE) as one:
        view = one.slices(Plane.AXIAL, IMAGE, state)
        view.set_segmentation(segmentation)
        one.frame()
        view.apply(state.with_hidden(segmentation.id, frozenset({1})))
        assert colors_in(one.frame()) == {(0, 0, 0), GREY, BLUE}
        view.apply(replace(state, labels_shown=False))
        assert colors_in(one.frame()) == {(0, 0, 0), GREY}
        view.apply(state)
        assert colors_in(one.frame()) == {(0, 0, 0), GREY, RED, BLUE}


def test_a_label_without_a_segment_is_not_drawn_and_a_new_colour_is() -> None:
    segmentation = labelled(IMAGE, two_neighbours(), RED)
    with screen(*SIZE) as one:
        view = one.slices(Plane.AXIAL, IMAGE, replace(STATE, fill_opacity=1.0))
        view.set_segmentation(segmentation)
        assert colors_in(one.frame()) == {(0, 0, 0), GREY, RED}
        segmentation.set_segments((replace(segmentation.segments[0], color=(1, 200, 3)),))
        view.segments_changed()
        assert colors_in(one.frame()) == {(0, 0, 0), GREY, (1, 200, 3)}


@pytest.mark.parametrize("plane", Plane)
def test_labels_lie_on_their_voxels_however_the_grid_lies(plane: Plane) -> None:
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[2:6, 3:8, 4:9] = 1
    voxels = np.where(labels > 0, 100, 0).astype(np.int16)
    with screen(*SIZE) as one:
        for direction in (*orientations()[::5], oblique(), oblique() @ np.diag([1.0, -1.0, 1.0])):
            shown = volume(voxels, spacing_mm=(2.0, 1.1, 0.9), direction=direction)
            view = one.slices(plane, shown, replace(STATE, fill_opacity=1.0, cursor=point(shown.geometry, 4, 5, 6)))
            bare = one.frame()[..., 0] > 128
            view.set_segmentation(labelled(shown, labels, RED))
            covered = (one.frame() == RED).all(axis=-1)
            view.close()
            assert bare.sum() > 100
            # The borders of the two may differ by a pixel where a voxel's edge falls between two.
            assert (bare != covered).sum() <= 0.08 * bare.sum()


def test_an_edit_is_in_the_next_frame_and_only_its_box_is_fetched() -> None:
    labels = np.zeros(SHAPE, dtype=np.uint8)
    segmentation = labelled(IMAGE, labels, RED, BLUE)
    with screen(*SIZE) as one:
        view = one.slices(Plane.AXIAL, IMAGE, replace(STATE, fill_opacity=1.0))
        view.set_segmentation(segmentation)
        assert colors_in(one.frame()) == {(0, 0, 0), GREY}
        # Both places change; only one of them is told of.
        labels[5, 2:4, 2:4] = 1
        labels[5, 10:12, 10:12] = 2
        assert view.labels_changed(Box((5, 2, 2), (6, 4, 4)))
        assert colors_in(one.frame()) == {(0, 0, 0), GREY, RED}
        assert not view.labels_changed(Box((6, 0, 0), (7, 16, 20)))
        assert view.labels_changed(Box((0, 10, 10), (10, 12, 12)))
        assert colors_in(one.frame()) == {(0, 0, 0), GREY, RED, BLUE}


def test_writing_shows_at_once() -> None:
    segmentation = labelled(IMAGE, np.zeros(SHAPE, dtype=np.uint8), RED)
    with screen(*SIZE) as one:
        view = one.slices(Plane.CORONAL, IMAGE, replace(STATE, fill_opacity=1.0))
        view.set_segmentation(segmentation)
        one.frame()

        def follow(change: object) -> None:
            if isinstance(change, LabelsChanged):
                view.labels_changed(change.box)

        segmentation.changed.connect(follow)
        segmentation.write(Box((4, 8, 9), (6, 9, 12)), np.ones((2, 1, 3), np.uint8))
        drawn = (one.frame() == RED).all(axis=-1)
        pixel = view.camera.mm_per_pixel
    assert abs(drawn.sum() * pixel**2 - 2 * 3) < 0.6


def test_only_one_slice_of_the_labels_is_ever_copied() -> None:
    labels = two_neighbours()
    overlay = LabelOverlay()
    overlay.show(labelled(IMAGE, labels, RED, BLUE), slice_plane(IMAGE.geometry, Plane.SAGITTAL))
    overlay.move_to(3, 0.1)
    actor: vtkActor = overlay.actor
    assert actor.GetTexture().GetInput().GetNumberOfPoints() == SHAPE[0] * SHAPE[1]
