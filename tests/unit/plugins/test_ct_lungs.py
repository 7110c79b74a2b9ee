from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from medview.catalog.plugins import PluginRecord, PluginState, inspect
from medview.core.errors import PluginUnavailableError
from medview.core.folders import shipped_plugins_folder
from medview.core.geometry import Box, Geometry
from medview.core.progress import NoProgress
from medview.core.volume import Volume
from medview.formats import dicom_files, dicom_series, dicom_volume
from medview.inference import runner
from medview.inference.plugin import SegmentationResult
from medview.phantom import chest
from medview.phantom.chest import Phantom

LEFT, RIGHT, AIRWAYS = 1, 2, 3


@pytest.fixture(scope="module")
def plugin() -> PluginRecord:
    record = inspect(shipped_plugins_folder() / "ct_lungs")
    assert record.state is PluginState.READY, record.reason
    return record


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return chest.make((120, 176, 176))


@pytest.fixture(scope="module")
def answer(plugin: PluginRecord, phantom: Phantom) -> SegmentationResult:
    return runner.run(plugin, phantom.volume, NoProgress())


def _truth(phantom: Phantom) -> NDArray[np.uint8]:
    """The phantom's truth with the plugin's numbers."""
    truth = np.zeros_like(phantom.labels)
    names = {"Left lung": LEFT, "Right lung": RIGHT, "Trachea and main bronchi": AIRWAYS}
    for segment in phantom.segments:
        truth[phantom.labels == segment.label] = names.get(segment.name, 0)
    for nodule in phantom.nodules:
        truth[phantom.labels == nodule.label] = LEFT if nodule.center_mm[0] > 0 else RIGHT
    return truth


def _dice(found: NDArray[np.uint8], truth: NDArray[np.uint8], label: int) -> float:
    one, other = found == label, truth == label
    return 2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other))


def _agrees(found: NDArray[np.uint8], truth: NDArray[np.uint8]) -> None:
    assert _dice(found, truth, LEFT) > 0.95
    assert _dice(found, truth, RIGHT) > 0.95
    assert _dice(found, truth, AIRWAYS) > 0.8


def _on(volume: Volume, voxels: NDArray[np.generic], geometry: Geometry) -> Volume:
    return replace(volume, voxels=np.ascontiguousarray(voxels), geometry=geometry)


def test_lungs_and_airways_of_the_phantom(answer: SegmentationResult, phantom: Phantom) -> None:
    _agrees(answer.labels, _truth(phantom))
    assert answer.notes == ()
    assert [segment.name for segment in answer.segments] == ["Left lung", "Right lung", "Trachea and main bronchi"]


def test_gas_in_the_gut_is_no_lung(answer: SegmentationResult, phantom: Phantom) -> None:
    """The phantom has pockets of gas below its lungs: nothing is found far from the true lungs."""
    near = np.argwhere(np.isin(_truth(phantom), (LEFT, RIGHT)))
    low, high = near.min(axis=0) - 5, near.max(axis=0) + 6
    beyond = np.isin(answer.labels, (LEFT, RIGHT))
    beyond[tuple(slice(max(0, a), b) for a, b in zip(low, high, strict=True))] = False
    assert not beyond.any()


def test_the_order_of_storage_does_not_matter(
    plugin: PluginRecord, phantom: Phantom, answer: SegmentationResult
) -> None:
    """Stored from the feet, right to left, with the slices last: the same patient, the same answer."""
    volume = phantom.volume
    affine = volume.geometry.affine.copy()
    for axis in (0, 2):
        affine[:3, 3] += affine[:3, axis] * (volume.geometry.shape[axis] - 1)
        affine[:3, axis] *= -1
    voxels = volume.voxels[::-1, :, ::-1].transpose(1, 2, 0)
    result = runner.run(plugin, _on(volume, voxels, Geometry(voxels.shape, affine[:, [1, 2, 0, 3]])), NoProgress())
    np.testing.assert_array_equal(result.labels, answer.labels[::-1, :, ::-1].transpose(1, 2, 0))


def test_other_voxel_types_and_padding_beyond_the_field_of_view(plugin: PluginRecord, phantom: Phantom) -> None:
    volume = phantom.volume
    voxels = volume.voxels.astype(np.float32)
    _, rows, columns = voxels.shape
    j, i = np.mgrid[:rows, :columns]
    beyond = (j - rows / 2) ** 2 + (i - columns / 2) ** 2 > (rows / 2) ** 2
    voxels[:, beyond] = -3024
    _agrees(runner.run(plugin, _on(volume, voxels, volume.geometry), NoProgress()).labels, _truth(phantom))


def test_lungs_that_reach_all_sides_of_the_image(plugin: PluginRecord, phantom: Phantom) -> None:
    volume, truth = phantom.volume, _truth(phantom)
    (k, j, i), (k_end, j_end, i_end) = (edge for edge in (Box.around(truth > 0).start, Box.around(truth > 0).stop))
    box = Box((k + 4, j + 5, i + 5), (k_end - 4, j_end - 5, i_end - 5))
    cut = _on(volume, volume.voxels[box.slices], volume.geometry.cropped(box))
    result = runner.run(plugin, cut, NoProgress())
    assert _dice(result.labels, truth[box.slices], LEFT) > 0.95
    assert _dice(result.labels, truth[box.slices], RIGHT) > 0.95


def test_a_lung_without_air_is_said_to_be_missing(plugin: PluginRecord, phantom: Phantom) -> None:
    volume, truth = phantom.volume, _truth(phantom)
    voxels = volume.voxels.copy()
    voxels[truth == LEFT] = 15
    result = runner.run(plugin, _on(volume, voxels, volume.geometry), NoProgress())
    assert not (result.labels == LEFT).any()
    assert _dice(result.labels, truth, RIGHT) > 0.95
    assert any("Only the right lung" in str(note) for note in result.notes)


def test_arms_and_thick_slices(plugin: PluginRecord) -> None:
    phantom = chest.make((80, 160, 160), arms=True)
    _agrees(runner.run(plugin, phantom.volume, NoProgress()).labels, _truth(phantom))


def test_what_holds_no_lung_is_refused(plugin: PluginRecord, phantom: Phantom) -> None:
    volume, truth = phantom.volume, _truth(phantom)
    below = Box((0, 0, 0), (int(np.nonzero(truth)[0].min()), *volume.geometry.shape[1:]))
    abdomen = _on(volume, volume.voxels[below.slices], volume.geometry.cropped(below))
    with pytest.raises(PluginUnavailableError, match="No lungs were found"):
        runner.run(plugin, abdomen, NoProgress())
    empty = _on(volume, np.full_like(volume.voxels, -1000), volume.geometry)
    with pytest.raises(PluginUnavailableError, match="No lungs were found"):
        runner.run(plugin, empty, NoProgress())


def _read(folder: Path) -> Volume:
    headers = dicom_files.scan([folder], NoProgress()).headers
    return dicom_volume.read(max(dicom_series.group(headers), key=lambda one: one.facts.slices), NoProgress())


def test_a_real_chest(plugin: PluginRecord, real_data: Path) -> None:
    """A patient whose right upper lobe has collapsed: plausible volumes, sides, densities, and no leak."""
    volume = _read(real_data / "ct-chest-lidc-0314" / "dicom")
    result = runner.run(plugin, volume, NoProgress())
    ml = {label: np.count_nonzero(result.labels == label) * volume.geometry.voxel_mm3 / 1000 for label in (1, 2, 3)}
    assert 1200 < ml[LEFT] < 4000
    assert 700 < ml[RIGHT] < 4000
    assert 15 < ml[AIRWAYS] < 80
    assert -900 < float(volume.voxels[result.labels == LEFT].mean()) < -700
    assert float(volume.voxels[result.labels == AIRWAYS].mean()) < -900
    middle = {
        label: volume.geometry.to_patient(np.argwhere(result.labels == label).mean(axis=0)) for label in (1, 2, 3)
    }
    assert middle[LEFT][0] > middle[AIRWAYS][0] + 40
    assert middle[RIGHT][0] < middle[AIRWAYS][0] - 40
