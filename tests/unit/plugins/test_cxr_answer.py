from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medview.catalog.plugins import PluginRecord, PluginState, inspect
from medview.core.errors import PluginUnavailableError
from medview.core.evidence import Evidence, EvidenceMethod
from medview.core.folders import shipped_plugins_folder
from medview.core.progress import NoProgress
from medview.core.volume import Modality
from medview.formats import dicom_files, dicom_series, dicom_volume
from medview.inference import python_engine, runner
from medview.inference.options import RunOptions
from tests.support.volumes import volume


@pytest.fixture(scope="module")
def plugin() -> PluginRecord:
    record = inspect(shipped_plugins_folder() / "cxr_pneumonia")
    assert record.state is PluginState.READY, record.reason
    return record


def test_an_answer_names_both_classes_and_noise_is_doubted(plugin: PluginRecord) -> None:
    values = np.random.default_rng(0).integers(0, 4096, (1, 300, 280), dtype=np.uint16)
    image = replace(volume(values, modality=Modality.DX, unit=""), is_spatial=False)
    result = runner.run(plugin, image, NoProgress(), device="cpu")
    assert [(one.value, one.name) for one in result.findings.classes] == [(0, "Normal"), (1, "Pneumonia")]
    assert sum(one.probability for one in result.findings.classes) == pytest.approx(1)
    assert any("does not look like" in str(note) for note in result.notes)
    assert not result.labels.any()


def test_a_chest_is_answered_without_a_doubt_and_ct_is_refused(plugin: PluginRecord, real_data: Path) -> None:
    path = real_data / "radiographs-cr-dx" / "CR-MONO1-10-chest"
    if not path.is_file():
        pytest.skip("this radiograph is not on this machine")
    scan = dicom_files.scan((path,), NoProgress())
    image = dicom_volume.read(dicom_series.group(scan.headers)[0], NoProgress())
    result = runner.run(plugin, image, NoProgress(), device="cpu")
    assert len(result.findings.classes) == 2
    assert not any("does not look like" in str(note) for note in result.notes)
    with pytest.raises(PluginUnavailableError, match="CR"):
        runner.run(plugin, replace(image, modality=Modality.CT), NoProgress(), device="cpu")


@pytest.mark.parametrize("shape", [(1, 310, 180), (1, 150, 260)])
def test_what_the_network_saw_is_carried_back_to_where_it_was(
    plugin: PluginRecord, shape: tuple[int, int, int]
) -> None:
    values = np.zeros(shape, dtype=np.uint16)
    place = (0, shape[1] // 2 + 40, shape[2] // 2 - 35)
    values[0, place[1] - 4 : place[1] + 5, place[2] - 4 : place[2] + 5] = 1000
    image = replace(volume(values, modality=Modality.DX, unit=""), is_spatial=False)
    with python_engine.package_of(plugin.folder) as package:
        radiograph = importlib.import_module(f"{package}.radiograph")
        seen = radiograph.picture_of(image)
        back = radiograph.on_image(seen.astype(np.float32) / 255, image)
    assert back.shape == shape
    hottest = np.argwhere(back >= back.max()).mean(axis=0)
    assert np.abs(hottest - place).max() <= min(shape[1:]) / 28


@pytest.mark.parametrize("method", list(EvidenceMethod))
def test_it_shows_where_it_looked(plugin: PluginRecord, method: EvidenceMethod) -> None:
    values = np.random.default_rng(5).integers(0, 4096, (1, 120, 90), dtype=np.uint16)
    image = replace(volume(values, modality=Modality.DX, unit=""), is_spatial=False)
    options = RunOptions(evidence=Evidence(1, method))
    result = runner.run(plugin, image, NoProgress(), device="cpu", options=options)
    (found,) = result.maps
    assert found.values.shape == image.geometry.shape
    assert 0 <= found.values.min() <= found.values.max() <= 1
    assert result.measured is not None
    assert result.measured.shape == (28, 28)
    # above and below the middle square it did not look
    assert not found.values[0, :15].any()
    assert not found.values[0, -15:].any()
