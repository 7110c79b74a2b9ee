"""A classifier's answer corrected by its reader: kept for training, read back by the trainer, reported."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import highdicom
import numpy as np
import pytest

from medview.core.errors import InputError
from medview.core.finding import Verdict
from medview.core.folders import shipped_plugins_folder
from medview.core.progress import NoProgress
from medview.learning import classifier_plugin, decided_pictures
from medview.learning.examples import ExampleStore
from medview.learning.exporters import ExportKind, export
from medview.workstation import dataset
from tests.support import radiographs
from tests.support.reader import Reader

PLUGIN = "cxr_pneumonia"


@pytest.fixture
def reader(medview_home: Path, tmp_path: Path) -> Iterator[Reader]:
    radiographs.write(tmp_path / "chest.dcm", radiographs.chest(), WindowCenter=1800, WindowWidth=3600)
    made = Reader(medview_home, tmp_path / "chest.dcm")
    yield made
    made.close()


def test_a_correction_is_found_again_by_the_trainer_and_in_the_report(reader: Reader, tmp_path: Path) -> None:
    station = reader.station
    with pytest.raises(InputError, match="Nothing was decided"):
        station.save_decisions()
    reader.finish(station.analysis.run(PLUGIN))
    wrong = reader.named("Normal")
    station.findings.correct(wrong.id, "Pneumonia")
    reader.finish(station.save_decisions())

    store = ExampleStore(station.teaching.store.folder)
    (example,) = store.examples()
    said = {(one.name, one.verdict): one for one in example.classes}
    assert set(said) == {("Normal", Verdict.REJECTED), ("Pneumonia", Verdict.CONFIRMED)}
    own, rejected = said["Pneumonia", Verdict.CONFIRMED], said["Normal", Verdict.REJECTED]
    assert (own.corrects, own.model, own.reader) == ("Normal", None, "A. Reader")
    assert own.code is not None
    assert own.code.value == "233604007"
    assert rejected.model is not None
    assert rejected.model.plugin_id == PLUGIN
    assert rejected.probability == wrong.finding.probability

    volume = station.workspace.active_volume
    assert volume is not None
    with classifier_plugin.loaded(shipped_plugins_folder() / PLUGIN) as plugin:
        found = decided_pictures.read(store.folder, example.split, plugin)
        seen = plugin.picture_of(volume)
    assert found.labels.tolist() == [1]
    assert np.array_equal(found.pictures[0], seen)

    reader.finish(station.save_example())  # what Teach saves where nothing is outlined: the next revision
    assert store.examples()[0].revision == 2
    assert not dataset.verify(store.folder, NoProgress())
    counted = dataset.stats(store.folder)
    assert counted.classes == (("Pneumonia", 1),)
    assert counted.models == ((PLUGIN, 1),)
    everything = b"".join(path.read_bytes() for path in (store.folder / "examples").rglob("*") if path.is_file())
    assert b"Kestrel" not in everything

    report = tmp_path / "report.dcm"
    told: list[str] = []
    reader.finish(station.save_findings(report, told.append, lambda error: told.append(str(error))))
    read = highdicom.sr.srread(report)
    (reference,) = read.CurrentRequestedProcedureEvidenceSequence
    assert reference.StudyInstanceUID == station.workspace.active_case.study.uid  # type: ignore[union-attr]
    words = json.dumps(read.to_json_dict(), default=str)
    assert "Pneumonia" in words
    assert "233604007" in words


def test_it_leaves_in_the_forms_that_have_a_place_for_it(reader: Reader, tmp_path: Path) -> None:
    station = reader.station
    reader.finish(station.analysis.run(PLUGIN))
    station.findings.confirm(reader.named("Pneumonia").id)
    station.findings.reject(reader.named("Normal").id, "Nothing there")
    reader.finish(station.save_decisions())
    store = station.teaching.store
    (example,) = store.examples()
    export(store, [example], ExportKind.NIFTI, tmp_path / "nifti")
    (told,) = (tmp_path / "nifti").rglob("classes.json")
    assert [(one["name"], one["verdict"]) for one in json.loads(told.read_text())["classes"]] == [
        (one.name, one.verdict.value) for one in example.classes
    ]
    export(store, [example], ExportKind.MONAI, tmp_path / "monai")
    listed = json.loads((tmp_path / "monai" / "classification.json").read_text())
    (item,) = listed[example.split.value]
    assert item["label"] == {"Normal": 0, "Pneumonia": 1}
    assert (tmp_path / "monai" / item["image"]).is_file()
    for kind, name in ((ExportKind.NNUNET, "Dataset501_X"), (ExportKind.DICOM_SEG, "seg")):
        with pytest.raises(InputError, match="nothing is outlined"):
            export(store, [example], kind, tmp_path / name)
