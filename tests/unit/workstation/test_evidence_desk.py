"""Evidence of a finding: offered with its cost, asked in the background, drawn over the image."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from medview.core.errors import MedViewError, PluginUnavailableError
from medview.core.evidence import NOT_THE_DISEASE, EvidenceMethod, placements
from medview.formats.image_files import write_volume
from medview.workstation.evidence_desk import Asked, EvidenceDesk
from medview.workstation.finding_record import Entry
from tests.support import blob_classifier
from tests.support.blob_classifier import SHOWN_3D, scan
from tests.support.finding_plugin import write_finding_plugin
from tests.support.reader import Reader


@pytest.fixture
def reader(medview_home: Path, tmp_path: Path) -> Iterator[Reader]:
    image, _ = scan(((0.7, 0.3, 0.65), 1.0), ((0.3, 0.7, 0.3), 0.6))
    write_volume(image, tmp_path / "scan.nii.gz")
    made = Reader(medview_home, tmp_path / "scan.nii.gz")
    yield made
    made.close()


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    return blob_classifier.write(tmp_path / "blobs", SHOWN_3D, modalities='["CT", "MR", "OT"]')


def _blob(reader: Reader) -> Entry:
    return reader.named("Blob")


def _shown(reader: Reader) -> Asked | None:
    return reader.station.evidence.shown


def _asked(reader: Reader) -> Asked | None:
    return reader.station.evidence.asked


def test_it_is_offered_with_its_cost_and_drawn_where_the_blob_is(reader: Reader, plugin: Path) -> None:
    desk: EvidenceDesk = reader.station.evidence
    reader.ask(plugin)
    offers = {one.method: one.cost for one in desk.offers(_blob(reader))}
    assert set(offers) == set(EvidenceMethod)
    assert offers[EvidenceMethod.OCCLUSION].passes == placements(SHOWN_3D) + 1
    assert offers[EvidenceMethod.GRAD_CAM].seconds is not None
    assert _shown(reader) is None
    lines = reader.entries
    reader.finish(desk.ask(_blob(reader).id, EvidenceMethod.GRAD_CAM))
    shown, volume = _shown(reader), reader.station.workspace.active_volume
    assert shown is not None
    assert volume is not None
    assert (shown.name, shown.method) == ("Blob", EvidenceMethod.GRAD_CAM)
    case = reader.station.workspace.active_case
    assert case is not None
    assert shown.map_id is not None
    drawn = case.volumes[shown.map_id]
    assert drawn.geometry.same_grid(volume.geometry)
    assert drawn.voxels.max() == 100
    assert drawn.caution == NOT_THE_DISEASE
    hottest = np.argwhere(drawn.voxels == 100).mean(axis=0)
    brightest = np.argwhere(volume.voxels == volume.voxels.max()).mean(axis=0)
    away = volume.geometry.to_patient(hottest) - volume.geometry.to_patient(brightest)
    assert np.linalg.norm(away) < 8
    # it is no answer of its own: nothing was found again, and the image is still the one that is read
    assert reader.entries == lines
    assert reader.station.workspace.active_volume is volume
    desk.hide()
    assert _shown(reader) is None
    assert shown.map_id in case.volumes


def test_it_can_be_cancelled(reader: Reader, plugin: Path) -> None:
    reader.ask(plugin)
    desk = reader.station.evidence
    job = desk.ask(_blob(reader).id, EvidenceMethod.OCCLUSION)
    assert _asked(reader) is not None
    with pytest.raises(PluginUnavailableError, match="asked already"):
        desk.ask(_blob(reader).id, EvidenceMethod.GRAD_CAM)
    desk.cancel()
    reader.until(lambda: job.state.is_final)
    assert _asked(reader) is None
    assert _shown(reader) is None


def test_another_model_than_the_one_that_found_it_is_not_asked(reader: Reader, plugin: Path) -> None:
    reader.ask(plugin)
    (plugin / "LICENSE").write_text("changed", encoding="utf-8")
    problems: list[MedViewError] = []
    job = reader.station.evidence.ask(_blob(reader).id, EvidenceMethod.GRAD_CAM, problems.append)
    reader.until(lambda: job.state.is_final)
    reader.station.queue.drain(0.02)
    assert "not the same" in str(problems[0].what)
    assert reader.station.evidence.shown is None


def test_what_cannot_be_asked_is_not_offered(reader: Reader, tmp_path: Path) -> None:
    folder = write_finding_plugin(tmp_path / "verdicts")
    text = (folder / "plugin.toml").read_text(encoding="utf-8").replace('"PT"]', '"PT", "OT"]')
    (folder / "plugin.toml").write_text(text, encoding="utf-8")
    reader.ask(folder)
    desk = reader.station.findings
    desk.add("Old fracture")
    assert all(not reader.station.evidence.offers(one) for one in reader.entries)
    with pytest.raises(PluginUnavailableError, match="nobody to ask"):
        reader.station.evidence.ask(reader.named("Old fracture").id, EvidenceMethod.GRAD_CAM)
