from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from medview.catalog.fit import fit_volume
from medview.catalog.plugins import PluginRecord, PluginState, inspect
from medview.catalog.terminology import load as load_terminology
from medview.core.errors import PluginUnavailableError
from medview.core.folders import shipped_plugins_folder
from medview.core.geometry import Box, Geometry
from medview.core.hint import Hint
from medview.core.progress import NoProgress
from medview.core.volume import Modality, Volume
from medview.formats import image_files
from medview.inference import boxing, python_engine, runner
from medview.inference.hint_session import HintSession
from medview.learning import boxed_data, boxed_plugin, boxed_recipe, boxed_scores, evaluate_boxed, training_data
from medview.learning.boxed_training import BoxedCase
from tests.support.threads import one_thread
from tests.support.volumes import oblique, orientations, volume

__all__ = ["one_thread"]

FOLDER = shipped_plugins_folder() / "pet_lesion"
_LIMIT_BYTES = 10 * 10**6


@pytest.fixture(scope="module")
def plugin() -> PluginRecord:
    record = inspect(FOLDER)
    assert record.state is PluginState.READY, record.reason
    return record


@pytest.fixture(scope="module")
def lesion() -> Iterator[Any]:
    with python_engine.package_of(FOLDER) as name:
        yield importlib.import_module(f"{name}.lesion")


@pytest.fixture(scope="module")
def model(lesion: Any) -> nn.Module:
    found: nn.Module = lesion.load(FOLDER)
    return found


@pytest.fixture(scope="module")
def sarcomas(real_data: Path) -> Path:
    folder = real_data / "labelled-pet-sarcoma-36"
    if not folder.is_dir():
        pytest.skip("the labelled sarcomas are not on this machine")
    return folder


def _lesion(spacing_mm: tuple[float, float, float], direction: Any = None) -> tuple[Volume, np.ndarray]:
    """A warm ellipsoid of 24 x 30 x 36 mm around 10, 20, 30 in cold surroundings, and its mask."""
    middle = np.array([10.0, 20.0, 30.0])
    shape = tuple(round(100 / one) for one in spacing_mm)
    base = Geometry.from_parts(shape, spacing_mm, (0.0, 0.0, 0.0), direction)  # type: ignore[arg-type]
    origin = middle - np.asarray(base.center_mm)
    geometry = Geometry.from_parts(shape, spacing_mm, tuple(origin), direction)  # type: ignore[arg-type]
    axes = [np.arange(length, dtype=np.float64) for length in geometry.shape]
    points = geometry.to_patient(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1))
    inside = (((points - middle) / (12.0, 15.0, 18.0)) ** 2).sum(-1) <= 1
    made = volume(np.where(inside, 6.0, 0.7).astype(np.float32), modality=Modality.PT, unit="SUVbw")
    return replace(made, geometry=geometry), inside


_BOX = (np.array([-4.0, 3.0, 10.0]), np.array([24.0, 37.0, 50.0]))


def _dice(first: np.ndarray, second: np.ndarray) -> float:
    return float(2 * (first & second).sum() / (first.sum() + second.sum()))


def test_a_clear_lesion_is_found_whatever_the_size_and_order_of_voxels(lesion: Any, model: nn.Module) -> None:
    for spacing in ((2.0, 2.0, 2.0), (3.3, 5.0, 5.0), (1.0, 3.0, 2.0)):
        image, truth = _lesion(spacing)
        found = lesion.segment(image.voxels, image.geometry.affine, _BOX, model)
        assert found.dtype == np.bool_
        assert _dice(found, truth) > 0.8
    for direction in orientations()[::7]:
        image, truth = _lesion((3.0, 3.0, 3.0), direction)
        found = lesion.segment(image.voxels, image.geometry.affine, _BOX, model)
        assert _dice(found, truth) > 0.8


def test_the_way_voxels_are_stored_does_not_change_the_answer(lesion: Any, model: nn.Module) -> None:
    image, _ = _lesion((4.0, 3.0, 2.0))
    straight = lesion.segment(image.voxels, image.geometry.affine, _BOX, model)
    turned = np.ascontiguousarray(image.voxels.transpose(2, 0, 1)[::-1])
    affine = image.geometry.affine[:, [2, 0, 1, 3]].copy()
    affine[:3, 3] += affine[:3, 0] * (turned.shape[0] - 1)
    affine[:3, 0] *= -1
    found = lesion.segment(turned, affine, _BOX, model)
    assert straight.any()
    assert np.mean(found[::-1].transpose(1, 2, 0) == straight) > 0.9999


def test_only_what_lies_in_the_box_is_looked_at_and_labelled(lesion: Any, model: nn.Module) -> None:
    image, _ = _lesion((3.0, 3.0, 3.0), oblique())
    found = lesion.segment(image.voxels, image.geometry.affine, _BOX, model)
    places = image.geometry.to_patient(np.argwhere(found).astype(float))
    assert len(places) > 100
    assert ((places >= _BOX[0]) & (places <= _BOX[1])).all()
    upright, _ = _lesion((3.0, 3.0, 3.0))
    index = upright.geometry.to_index(np.stack(_BOX))
    hot = upright.voxels.copy()
    outside = np.ones(hot.shape, dtype=bool)
    outside[tuple(slice(int(np.floor(a)) - 1, int(np.ceil(b)) + 2) for a, b in zip(*index, strict=True))] = False
    hot[outside] = 50.0
    before, after = (lesion.segment(one, upright.geometry.affine, _BOX, model) for one in (upright.voxels, hot))
    np.testing.assert_array_equal(before, after)


def test_uptake_in_any_unit_gives_the_same_lesion(lesion: Any, model: nn.Module) -> None:
    image, _ = _lesion((3.0, 3.0, 3.0))
    suv = lesion.segment(image.voxels, image.geometry.affine, _BOX, model)
    activity = lesion.segment(image.voxels * 5300, image.geometry.affine, _BOX, model)
    assert np.mean(suv == activity) > 0.9999


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ((np.zeros(3), np.array([3.0, 30.0, 30.0])), "too small"),
        ((np.zeros(3), np.array([np.nan, 30.0, 30.0])), "too small"),
        ((np.full(3, -300.0), np.full(3, 300.0)), "too large"),
        ((np.full(3, 200.0), np.full(3, 230.0)), "outside"),
    ],
)
def test_a_box_that_cannot_hold_a_lesion_is_refused(lesion: Any, model: nn.Module, box: Any, words: str) -> None:
    image, _ = _lesion((4.0, 4.0, 4.0))
    with pytest.raises(PluginUnavailableError, match=words):
        lesion.segment(image.voxels, image.geometry.affine, box, model)


def test_uptake_that_is_none_is_refused(lesion: Any, model: nn.Module) -> None:
    image, _ = _lesion((4.0, 4.0, 4.0))
    with pytest.raises(PluginUnavailableError, match="no uptake"):
        lesion.segment(image.voxels * 0, image.geometry.affine, _BOX, model)
    with pytest.raises(PluginUnavailableError, match="not a number"):
        lesion.segment(image.voxels * np.nan, image.geometry.affine, _BOX, model)


def test_the_program_runs_it_on_the_image_inside_the_box(plugin: PluginRecord, lesion: Any, model: nn.Module) -> None:
    image, truth = _lesion((3.0, 3.0, 3.0))
    index = image.geometry.to_index(np.stack(_BOX))
    first, last = ((round(k), round(j), round(i)) for k, j, i in index.tolist())
    box = Box(first, last)
    part = replace(
        image,
        geometry=image.geometry.cropped(box),
        voxels=np.ascontiguousarray(image.voxels[box.slices]),
    )
    result = runner.run(plugin, part, NoProgress(), device="cpu")
    assert _dice(result.labels == 1, truth[box.slices]) > 0.8
    assert result.notes == ()
    faces = lesion.faces_of(part.geometry)
    whole = lesion.segment(image.voxels, image.geometry.affine, faces, model)
    assert _dice(whole[box.slices], result.labels == 1) > 0.97
    without = runner.run(plugin, replace(part, unit=""), NoProgress(), device="cpu")
    assert "SUV" in str(without.notes[0])


def test_a_box_of_tilted_slices_is_searched_as_one_of_straight_ones(lesion: Any, model: nn.Module) -> None:
    image, _ = _lesion((4.0, 3.0, 2.0))
    for direction in (oblique(), *orientations()[::5]):
        tilted = Geometry.from_parts(image.geometry.shape, image.geometry.spacing_mm, (5.0, 6.0, 7.0), direction)
        upright = lesion.upright_affine(tilted)
        turn = upright[:3, :3] @ np.linalg.inv(tilted.affine[:3, :3])
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-9)
        assert np.count_nonzero(np.abs(upright[:3, :3]) > 1e-9) == 3
        assert np.trace(turn) > 2.4  # by less than 46 degrees
        low, high = lesion.faces_of(Geometry(tilted.shape, upright))
        np.testing.assert_allclose(sorted(high - low), sorted(tilted.extent_mm))


def test_whole_bodies_and_other_images_do_not_fit(plugin: PluginRecord) -> None:
    assert plugin.manifest is not None
    body = volume(np.zeros((40, 60, 60), np.float32), spacing_mm=(20.0, 10.0, 10.0), modality=Modality.PT, unit="SUVbw")
    fit = fit_volume(plugin.manifest, body)
    assert not fit.ok
    assert "at most" in str(fit.reasons[0])
    computed = volume(np.zeros((20, 20, 20), np.int16), spacing_mm=(5.0, 5.0, 5.0))
    assert not fit_volume(plugin.manifest, computed).ok


def test_manifest_weights_and_terminology_agree(plugin: PluginRecord, lesion: Any) -> None:
    assert plugin.manifest is not None
    assert plugin.manifest.license.weights == "CC-BY-3.0"
    assert "7GO2GSKS" in plugin.manifest.license.attribution
    (segment,) = plugin.manifest.segments
    term = load_terminology().find(segment.name)
    assert term is not None
    assert (segment.code, segment.category) == (term.code, term.category)
    path = FOLDER / boxed_plugin.WEIGHTS
    assert 0 < path.stat().st_size < _LIMIT_BYTES
    state = torch.load(path, map_location="cpu", weights_only=True)
    assert all(bool(value.isfinite().all()) for value in state.values())


def test_the_shipped_weights_reach_what_is_said_of_them(sarcomas: Path) -> None:
    scores = evaluate_boxed.score(FOLDER, sarcomas, NoProgress())
    card = (FOLDER / "docs" / "README.md").read_text(encoding="utf-8")
    network, threshold, difference = boxed_scores.summary(scores)
    for one in (network, threshold, difference):
        assert f"{one.value:.2f} | {one.low:.2f} to {one.high:.2f}" in card
    assert difference.low > 0


def test_real_boxes_hold_every_lesion_within_the_extent_that_the_plugin_takes(
    plugin: PluginRecord, sarcomas: Path
) -> None:
    assert plugin.manifest is not None
    how = boxed_recipe.read(FOLDER / boxed_plugin.RECIPE)
    limits = plugin.manifest.input[0].maximum_extent_mm
    assert limits is not None
    for patient in sorted(sarcomas.iterdir()):
        labels, geometry = image_files.read_labels(patient / "PET_mask.nii.gz")
        case = BoxedCase.of(patient.name, geometry, labels, labels)
        for low, high in boxed_scores.boxes_of(case, how):
            assert (high - low <= np.array(limits) * 1.02).all(), patient.name


def _middle_of(region: NDArray[np.bool_], geometry: Geometry) -> Hint:
    """A short scribble in the middle of the slice in which most of a region lies."""
    k = int(region.sum(axis=(1, 2)).argmax())
    rows = np.argwhere(region[k])
    j = int(np.median(rows[:, 0]))
    columns = np.flatnonzero(region[k, j])
    ends = [(k, j, int(columns[len(columns) * n // 4])) for n in (1, 3)]
    return Hint.scribble([tuple(float(v) for v in geometry.to_patient(np.array(e, dtype=float))) for e in ends])  # type: ignore[misc]


def test_two_scribbles_correct_what_the_box_gave(plugin: PluginRecord, sarcomas: Path) -> None:
    how = boxed_recipe.read(FOLDER / boxed_plugin.RECIPE)
    held_out = training_data.divide(boxed_data.find_pairs(sarcomas), how.split)[1]
    gained = []
    for case in boxed_data.load_cases(held_out[:3], NoProgress()):
        image = replace(
            volume(case.voxels, modality=Modality.PT, unit="SUVbw"), geometry=case.geometry, voxels=case.voxels
        )
        low, high = boxed_scores.boxes_of(case, how)[0]
        drawn = boxing.voxels_between(case.geometry, (low[0], low[1], low[2]), (high[0], high[1], high[2]))
        ends = [case.geometry.to_patient(np.array(n, dtype=float)) for n in (drawn.start, np.array(drawn.stop) - 1)]
        hints = [Hint.box(*((float(x), float(y), float(z)) for x, y, z in ends))]
        session = HintSession(plugin, image, device="cpu")
        answer = session.answer(hints, None, NoProgress())
        assert answer.box == drawn
        truth = case.mask[drawn.slices]
        scores = [_share(answer.inside, truth)]
        for _ in range(2):
            missed, wrong = truth & ~answer.inside, answer.inside & ~truth
            error = missed if missed.sum() >= wrong.sum() else wrong
            scribble = _middle_of(error, case.geometry.cropped(drawn))
            hints.append(replace(scribble, positive=bool(missed.sum() >= wrong.sum())))
            answer = session.answer(hints, answer, NoProgress())
            scores.append(_share(answer.inside, truth))
        gained.append(scores[-1] - scores[0])
    assert min(gained) > -0.01
    assert max(gained) > 0.02


def _share(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    return 2 * float((found & truth).sum()) / float(found.sum() + truth.sum())
