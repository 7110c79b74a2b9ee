from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medview.catalog.plugins import PluginRecord, PluginState, inspect
from medview.core.errors import PluginUnavailableError
from medview.core.folders import shipped_plugins_folder
from medview.core.progress import NoProgress
from medview.core.volume import Modality
from medview.formats import dicom_files, dicom_series, dicom_volume
from medview.inference import runner
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
