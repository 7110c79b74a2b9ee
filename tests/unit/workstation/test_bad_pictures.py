"""Pictures that a classifier does not know, and answers that are none: told in words, nothing accepted by itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from medview.catalog.plugins import inspect
from medview.core.errors import PluginFailedError
from medview.core.finding import Verdict
from medview.core.folders import shipped_plugins_folder
from medview.core.geometry import Geometry
from medview.core.progress import NoProgress
from medview.core.volume import Volume
from medview.formats import dicom_files, dicom_series, dicom_volume
from medview.inference import runner
from tests.support import blob_classifier, radiographs
from tests.support.blob_classifier import SHOWN_2D, radiograph
from tests.support.finding_plugin import write_finding_plugin
from tests.support.reader import Reader

PLUGIN = "cxr_pneumonia"
UNLIKE = "It does not look like the radiographs that the model has learned from."


def _read(path: Path) -> Volume:
    scan = dicom_files.scan((path,), NoProgress())
    return dicom_volume.read(dicom_series.group(scan.headers)[0], NoProgress())


def _answer(image: Volume) -> tuple[float, list[str]]:
    result = runner.run(inspect(shipped_plugins_folder() / PLUGIN), image, NoProgress(), device="cpu")
    return result.findings.classes[1].probability, [str(one) for one in result.remarks]


@pytest.fixture
def reader(medview_home: Path, tmp_path: Path) -> Iterator[Reader]:
    radiographs.write(tmp_path / "chest.dcm", radiographs.chest(), ViewPosition="LL")
    made = Reader(medview_home, tmp_path / "chest.dcm")
    yield made
    made.close()


@pytest.mark.parametrize("bits", [10, 12, 16])
def test_depth_and_photometric_interpretation_change_nothing(tmp_path: Path, bits: int) -> None:
    picture, most = radiographs.chest(bits=bits), 2**bits - 1
    plain = _read(radiographs.write(tmp_path / "plain.dcm", picture, bits=bits))
    turned = _read(
        radiographs.write(
            tmp_path / "turned.dcm",
            (most - picture).astype(np.uint16),
            bits=bits,
            PhotometricInterpretation="MONOCHROME1",
        )
    )
    assert np.array_equal(plain.voxels[0], picture)
    assert np.array_equal(turned.voxels, plain.voxels)  # larger is brighter in both
    assert _answer(turned) == _answer(plain)
    of_eight = _read(radiographs.write(tmp_path / "eight.dcm", radiographs.chest(bits=12), bits=12))
    assert _answer(plain)[0] == pytest.approx(_answer(of_eight)[0], abs=0.02)


def test_a_photograph_in_colour_is_doubted(tmp_path: Path) -> None:
    grey = (radiographs.chest(bits=8)[..., None] * np.array([1.0, 0.8, 0.6])).astype(np.uint8)
    image = _read(radiographs.write(tmp_path / "photo.dcm", grey))
    assert image.colors is not None
    assert "This is a picture in colour, and the plugin looks at grey ones." in _answer(image)[1]


@pytest.mark.parametrize(
    ("view", "wanted"),
    [("LL", "lateral"), ("LATERAL", "lateral"), ("RLD", "lateral"), ("LLO", "another view"), ("PA", ""), ("", "")],
)
def test_a_view_from_the_side_is_doubted(tmp_path: Path, view: str, wanted: str) -> None:
    image = _read(radiographs.write(tmp_path / "view.dcm", radiographs.chest(), ViewPosition=view))
    assert image.view == view
    said = [one for one in _answer(image)[1] if "view" in one]
    assert len(said) == bool(wanted)
    assert all(wanted in one for one in said)


def test_a_chest_that_is_turned_or_inverted_is_unlike_what_is_known(real_data: Path) -> None:
    path = real_data / "radiographs-cr-dx" / "CR-MONO1-10-chest"
    if not path.is_file():
        pytest.skip("this radiograph is not on this machine")
    image = _read(path)
    assert UNLIKE not in _answer(image)[1]
    for quarters in (1, 2, 3):
        voxels = np.ascontiguousarray(np.rot90(image.voxels, quarters, (1, 2)))
        turned = replace(image, voxels=voxels, geometry=Geometry.from_parts(voxels.shape, (1.0, 1.0, 1.0)))
        assert UNLIKE in _answer(turned)[1]
    inverted = (int(image.voxels.max()) - image.voxels.astype(int)).astype(image.voxels.dtype)
    assert UNLIKE in _answer(replace(image, voxels=inverted, windows=()))[1]


def test_doubts_stand_with_the_findings_and_nothing_is_accepted_by_itself(reader: Reader) -> None:
    reader.finish(reader.station.analysis.run(PLUGIN))
    assert len(reader.entries) == 2
    for one in reader.entries:
        assert "This is a lateral view, and the plugin looks at frontal ones." in one.notes
        assert (one.finding.verdict, one.decided_at, one.reader) == (Verdict.OPEN, None, "")
    assert not reader.station.findings.any_decided


def test_before_it_is_run_the_view_is_doubted_too(reader: Reader) -> None:
    volume = reader.station.workspace.active_volume
    assert volume is not None
    (fit,) = [fit for record, fit in reader.station.analysis.fitting(volume) if record.id == PLUGIN]
    assert fit.ok
    assert any("lateral" in str(one) for one in fit.reasons)


@pytest.mark.parametrize("score", ["float('nan')", "float('inf')", "1.5", "-0.1"])
def test_scores_that_are_no_probabilities_give_no_finding(
    medview_home: Path, small_series_folder: Path, tmp_path: Path, score: str
) -> None:
    folder = write_finding_plugin(tmp_path / "verdicts")
    source = (folder / "verdicts.py").read_text(encoding="utf-8").replace('"Normal", 0.25)', f'"Normal", {score})')
    (folder / "verdicts.py").write_text(source, encoding="utf-8")
    reader = Reader(medview_home, small_series_folder)
    job = reader.station.analysis.run(reader.station.shelf.lend(folder).id)
    reader.until(lambda: job.state.is_final)
    assert job.error is not None
    assert "no probabilities" in str(job.error.what)
    assert reader.entries == ()
    reader.close()


def _one_output(folder: Path, **ending: Any) -> Path:
    """The blob classifier with one value: that of the blob."""
    made = blob_classifier.write(
        folder,
        SHOWN_2D,
        network_def={
            "_target_": "Classifier", "in_shape": [1, *SHOWN_2D], "classes": 1, "channels": [1, 1], "strides": [2, 1],
            "num_res_units": 0, "act": "relu", "norm": None,
        },
        postprocessing={"_target_": "Compose", "transforms": [{"_target_": "Activationsd", "keys": "pred", **ending}]},
    )  # fmt: skip
    state = torch.load(made / "models" / "model.pt", weights_only=True)
    for name in [one for one in state if one.startswith("final")]:
        state[name] = state[name][1:]
    torch.save(state, made / "models" / "model.pt")
    text = (made / "plugin.toml").read_text(encoding="utf-8")
    first, _, rest = text.partition('[[class]]\nvalue = 0\nname = "No blob"\n')
    (made / "plugin.toml").write_text(first + rest.replace("value = 1", "value = 0"), encoding="utf-8")
    return made


def test_a_model_with_one_output_answers_by_a_sigmoid_and_not_by_a_softmax(tmp_path: Path) -> None:
    image, _ = radiograph(((0, 0.25, 0.8), 1.0))
    two = runner.run(
        inspect(blob_classifier.write(tmp_path / "two", SHOWN_2D)), image, NoProgress(), device="cpu"
    ).findings.classes[1]
    one = runner.run(
        inspect(_one_output(tmp_path / "one", sigmoid=True)), image, NoProgress(), device="cpu"
    ).findings.classes
    # the other class of two has the value 0, so that its softmax is this one's sigmoid
    assert [found.name for found in one] == ["Blob"]
    assert one[0].probability == pytest.approx(two.probability, abs=1e-5)
    record = inspect(_one_output(tmp_path / "wrong", softmax=True))
    with pytest.raises(PluginFailedError, match="softmax of one value is always 1"):
        runner.run(record, image, NoProgress(), device="cpu")


def test_a_network_whose_values_are_no_numbers_gives_no_answer(tmp_path: Path) -> None:
    image, _ = radiograph(((0, 0.25, 0.8), 1.0))
    folder = blob_classifier.write(tmp_path / "blobs", SHOWN_2D)
    state = torch.load(folder / "models" / "model.pt", weights_only=True)
    state = {name: torch.full_like(one, float("nan")) if "final" in name else one for name, one in state.items()}
    torch.save(state, folder / "models" / "model.pt")
    with pytest.raises(PluginFailedError, match="no probabilities"):
        runner.run(inspect(folder), image, NoProgress(), device="cpu")
