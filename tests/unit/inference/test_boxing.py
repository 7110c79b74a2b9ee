"""A run inside a box is a run on that part of the image, put back where it belongs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.networks.nets import UNet

from medview.catalog.fit import fit_input
from medview.catalog.manifest import Input
from medview.catalog.plugins import inspect
from medview.core.errors import InputError, PluginUnavailableError
from medview.core.geometry import Box, Geometry
from medview.core.progress import NoProgress
from medview.core.segmentation import Labels
from medview.core.volume import Volume
from medview.inference import boxing, runner
from medview.inference.earlier_runs import EarlierRuns
from medview.inference.options import RunOptions
from medview.inference.plugin import SegmentationResult
from tests.support import grids
from tests.support.bundles import bundle_config, bundle_plugin, python_plugin
from tests.support.volumes import oblique, volume

SHAPE = (18, 34, 30)
BOX = Box((3, 6, 5), (15, 28, 27))


@pytest.fixture
def image() -> Volume:
    voxels = np.random.default_rng(5).normal(0, 200, SHAPE).astype(np.int16)
    return volume(voxels, spacing_mm=(3.0, 1.5, 1.4), direction=oblique())


def alone(image: Volume, box: Box) -> Volume:
    """The part of an image as a volume of its own, made by hand."""
    affine = image.geometry.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ np.asarray(box.start, dtype=np.float64)
    cut = image.voxels[box.start[0] : box.stop[0], box.start[1] : box.stop[1], box.start[2] : box.stop[2]]
    made = volume(cut)
    return Volume(made.id, Geometry(box.shape, affine), made.voxels, made.modality, made.unit, made.series_uid)


def bundle(folder: Path) -> Path:
    bundle_plugin(folder, bundle_config())
    torch.manual_seed(3)
    made = UNet(spatial_dims=3, in_channels=1, out_channels=3, channels=[4, 8], strides=[2], num_res_units=0)
    torch.save(made.state_dict(), folder / "models" / "model.pt")
    return folder


def test_a_bundle_in_a_box_says_what_it_says_of_that_part_alone(tmp_path: Path, image: Volume) -> None:
    record = inspect(bundle(tmp_path / "b"))
    shown = np.zeros(SHAPE, dtype=np.uint16)

    def seen(box: Box, labels: Labels) -> None:
        shown[box.slices] = labels

    options = RunOptions(uncertainty=True, probability=1, box=BOX)
    found = runner.run(record, image, NoProgress(), device="cpu", exact=True, options=options, preview=seen)
    plain = RunOptions(uncertainty=True, probability=1)
    wanted = runner.run(record, alone(image, BOX), NoProgress(), device="cpu", exact=True, options=plain)
    assert len(np.unique(wanted.labels)) > 1
    pairs = zip((found.labels, shown, *(one.values for one in found.maps)),
                (wanted.labels, wanted.labels, *(one.values for one in wanted.maps)), strict=True)  # fmt: skip
    for whole, part in pairs:
        expected = np.zeros(SHAPE, dtype=part.dtype)
        expected[BOX.slices] = part
        np.testing.assert_array_equal(whole, expected)
    whole_image = runner.run(record, image, NoProgress(), device="cpu", exact=True).labels
    assert (whole_image[BOX.slices] != wanted.labels).any()


LOOKS = """def run(case, context):
    image = case["image"]
    context.note("It saw {found}.".replace("{found}", str((image.voxels.shape, image.geometry.origin_mm))))
    return image.voxels > 0
"""


def test_a_python_plugin_sees_the_box_alone_and_where_it_lies(tmp_path: Path, image: Volume) -> None:
    record = inspect(python_plugin(tmp_path / "p", LOOKS))
    found = runner.run(record, image, NoProgress(), options=RunOptions(box=BOX))
    expected = np.zeros(SHAPE, dtype=np.uint8)
    expected[BOX.slices] = image.voxels[BOX.slices] > 0
    np.testing.assert_array_equal(found.labels, expected)
    origin = alone(image, BOX).geometry.origin_mm
    assert str(found.notes[0]) == f"It saw {(BOX.shape, origin)}."


def test_an_answer_in_a_box_is_not_that_of_another(tmp_path: Path, image: Volume) -> None:
    record = inspect(python_plugin(tmp_path / "p", LOOKS))
    kept = EarlierRuns(tmp_path / "answers", 2**20)

    def ask(box: Box | None) -> SegmentationResult:
        return runner.run(record, image, NoProgress(), options=RunOptions(box=box), earlier=kept)

    first = ask(BOX)
    assert ask(None).earlier is None
    assert ask(Box(BOX.start, (14, 28, 27))).earlier is None
    again = ask(BOX)
    assert again.earlier is not None
    np.testing.assert_array_equal(again.labels, first.labels)


@pytest.mark.parametrize("box", [Box((0, 0, 0), (5, 5, 31)), Box((-1, 0, 0), (5, 5, 5)), Box((4, 4, 4), (4, 8, 8))])
def test_a_box_that_does_not_lie_in_the_image_is_refused(tmp_path: Path, image: Volume, box: Box) -> None:
    record = inspect(python_plugin(tmp_path / "p", LOOKS))
    with pytest.raises(PluginUnavailableError, match="does not lie in the image"):
        runner.run(record, image, NoProgress(), options=RunOptions(box=box))


@pytest.mark.parametrize("name", grids.ALL)
def test_a_box_in_patient_space_holds_the_voxels_whose_centres_it_holds(name: str) -> None:
    geometry = grids.ALL[name]
    middle = np.asarray(geometry.center_mm)
    low, high = middle - np.array((4.2, 5.1, 6.3)), middle + np.array((5.3, 3.9, 7.7))
    centers = grids.centers(geometry)
    inside = ((centers >= low) & (centers <= high)).all(axis=-1)
    assert inside.any()
    first, second = (float(low[0]), float(high[1]), float(low[2])), (float(high[0]), float(low[1]), float(high[2]))
    box = boxing.voxels_between(geometry, first, second)
    held = np.zeros(geometry.shape, dtype=np.bool_)
    held[box.slices] = True
    assert (held >= inside).all()
    if name != "oblique":
        np.testing.assert_array_equal(held, inside)


def test_a_box_beside_the_image_is_refused_with_where_the_image_is() -> None:
    geometry = grids.ISOTROPIC
    with pytest.raises(InputError, match="holds nothing of the image") as caught:
        boxing.voxels_between(geometry, (500, 500, 500), (520, 520, 520))
    x = geometry.origin_mm[0]
    assert f"{x:.0f}..{x + geometry.shape[2] - 1:.0f}" in str(caught.value.remedy)


def test_another_image_is_cut_to_the_same_place() -> None:
    first = volume(np.zeros((20, 20, 20), np.int16), spacing_mm=(2, 2, 2))
    finer = volume(np.zeros((50, 50, 50), np.int16), spacing_mm=(1, 1, 1), direction=oblique())
    elsewhere = volume(np.zeros((4, 4, 4), np.int16))
    box = Box((2, 3, 4), (6, 8, 9))
    case = boxing.cropped({"a": first, "b": finer}, first, box)
    assert case["a"].geometry.shape == box.shape
    # every corner of the box that lies in the other image lies in what was cut of it
    corners = np.array([[k, j, i] for k in (1.5, 5.5) for j in (2.5, 7.5) for i in (3.5, 8.5)])
    points = first.geometry.to_patient(corners)
    there = [point for point in points if finer.geometry.voxel_at(point) is not None]
    assert there
    assert all(case["b"].geometry.voxel_at(point) is not None for point in there)
    assert case["b"].geometry.shape < finer.geometry.shape
    with pytest.raises(InputError, match="holds nothing of the image"):
        boxing.cropped({"a": first, "b": elsewhere}, first, Box((15, 15, 15), (20, 20, 20)))


def test_a_fit_says_when_a_box_is_all_that_is_needed() -> None:
    wanted = Input.model_validate_json(
        json.dumps({"name": "i", "modality": ["CT"], "maximum-extent-mm": [30, 40, 50], "minimum-slices": 5})
    )
    large = volume(np.zeros((60, 60, 60), np.int16))
    fit = fit_input(wanted, large)
    assert (fit.ok, fit.needs_box) == (False, True)
    assert str(fit.reasons[-1]) == "Set a box around what it looks for, of at most 30 × 40 × 50 mm."
    assert fit_input(wanted, large, box=Box((0, 0, 0), (50, 40, 30))).ok
    assert fit_input(wanted, large, box=Box((0, 0, 0), (50, 40, 40))).needs_box
    few = fit_input(wanted, large, box=Box((0, 0, 0), (3, 60, 60)))
    assert (few.ok, few.needs_box) == (False, False)


def test_a_plugin_that_looks_at_one_thing_asks_for_a_box_and_can_do_without() -> None:
    wanted = Input.model_validate_json(json.dumps({"name": "pet", "modality": ["CT"], "wants-box": True}))
    image = volume(np.zeros((20, 30, 40), dtype=np.int16))
    without = fit_input(wanted, image)
    assert (without.ok, without.needs_box) == (True, True)
    assert "Set a box" in str(without.reasons[-1])
    inside = fit_input(wanted, image, box=Box((2, 2, 2), (12, 12, 12)))
    assert (inside.ok, inside.needs_box, inside.reasons) == (True, False, ())
