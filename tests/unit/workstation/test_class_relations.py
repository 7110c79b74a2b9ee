"""Classes that relate in other ways, a part of the image that the reader chose, and one picture of a film."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from medview.core.evidence import EvidenceMethod
from medview.core.finding import Relation
from medview.core.geometry import Box
from medview.formats.image_files import write_volume
from medview.inference.options import RunOptions
from medview.workstation.finding_groups import groups
from medview.workstation.findings_desk import alternatives
from tests.support import blob_classifier
from tests.support.blob_classifier import SHOWN_2D, SHOWN_3D, radiograph, scan
from tests.support.finding_plugin import write_finding_plugin
from tests.support.reader import Reader

ANY = '["CT", "MR", "OT"]'


@pytest.fixture
def reader(medview_home: Path, small_series_folder: Path) -> Iterator[Reader]:
    made = Reader(medview_home, small_series_folder)
    yield made
    made.close()


def _related(folder: Path, relation: str) -> Path:
    made = write_finding_plugin(folder)
    text = (made / "plugin.toml").read_text(encoding="utf-8")
    changed = text.replace("[translations.zh_CN]", f'[classify]\nrelation = "{relation}"\n[translations.zh_CN]')
    (made / "plugin.toml").write_text(changed, encoding="utf-8")
    return made


def test_grades_stand_in_their_order_and_may_be_corrected(reader: Reader, tmp_path: Path) -> None:
    reader.ask(_related(tmp_path / "grades", "ordinal"))
    assert [one.finding.name for one in reader.entries[:2]] == ["Normal", "Nodule"]  # not by probability
    assert reader.entries[0].relation is Relation.ORDINAL
    assert alternatives(reader.entries)[reader.entries[0].id] == ("Nodule",)
    assert groups(reader.entries)[0].relation is Relation.ORDINAL


def test_classes_that_hold_by_themselves_are_not_each_others_alternatives(reader: Reader, tmp_path: Path) -> None:
    reader.ask(_related(tmp_path / "several", "independent"))
    assert [one.finding.name for one in reader.entries[:2]] == ["Nodule", "Normal"]
    assert all(not others for others in alternatives(reader.entries).values())
    reader.station.findings.confirm(reader.named("Nodule").id)
    reader.station.findings.confirm(reader.named("Normal").id)
    assert len([one for one in reader.entries if one.decided_at is not None]) == 2


def test_probabilities_that_do_not_add_up_are_told(reader: Reader, tmp_path: Path) -> None:
    folder = _related(tmp_path / "wrong", "exclusive")
    source = (folder / "verdicts.py").read_text(encoding="utf-8").replace('"Normal", 0.25)', '"Normal", 0.55)')
    (folder / "verdicts.py").write_text(source, encoding="utf-8")
    reader.ask(folder)
    assert any("do not add up to 100 %" in note for note in reader.entries[0].notes)


def test_what_was_said_of_a_part_is_kept_and_asked_about_there(medview_home: Path, tmp_path: Path) -> None:
    image, _ = scan(((0.7, 0.3, 0.65), 1.0), ((0.2, 0.8, 0.2), 1.0))
    write_volume(image, tmp_path / "scan.nii.gz")
    reader = Reader(medview_home, tmp_path / "scan.nii.gz")
    plugin = blob_classifier.write(tmp_path / "blobs", SHOWN_3D, modalities=ANY)
    station, volume = reader.station, reader.station.workspace.active_volume
    assert volume is not None
    box = Box((8, 5, 20), (19, 50, 60))
    corners = volume.geometry.to_patient(np.array([box.start, box.stop], dtype=np.float64) - [[0.0], [1.0]])
    station.analysis.search.set_between(*((float(x), float(y), float(z)) for x, y, z in corners))
    chosen = station.analysis.search.box
    assert chosen is not None
    reader.ask(plugin)
    station.analysis.search.clear()
    found = reader.named("Blob")
    assert found.region == chosen
    assert groups(reader.entries)[0].region == chosen
    reader.finish(station.evidence.ask(found.id, EvidenceMethod.GRAD_CAM))
    shown, case = station.evidence.shown, station.workspace.active_case
    assert shown is not None
    assert case is not None
    assert shown.map_id is not None
    outside = case.volumes[shown.map_id].voxels.copy()
    assert outside.any()
    outside[chosen.slices] = 0
    assert not outside.any()
    station.findings.correct(found.id, "Vessel")
    assert reader.named("Vessel").region == chosen
    before = reader.entries
    reader.close()
    again = Reader(medview_home, tmp_path / "scan.nii.gz")
    again.until(lambda: len(again.entries) == len(before))
    assert again.entries == before
    again.close()


def test_one_picture_of_a_film(medview_home: Path, tmp_path: Path) -> None:
    from tests.support import radiographs

    one, _ = radiograph(((0, 0.25, 0.8), 1.0))
    two, _ = radiograph(((0, 0.6, 0.3), 1.0), ((0, 0.2, 0.7), 1.0))
    film = radiographs.write_film(tmp_path / "film.dcm", [one.voxels[0], two.voxels[0], one.voxels[0]])
    reader = Reader(medview_home, film)
    plugin = blob_classifier.write(tmp_path / "blobs", SHOWN_2D)
    station = reader.station
    reader.ask(plugin)
    assert reader.named("Blob").finding.frame == 1  # where it is most probable
    volume = station.workspace.active_volume
    assert volume is not None
    assert not volume.is_spatial
    station.findings.go_to(reader.named("Blob").id)
    assert volume.geometry.nearest_voxel(station.viewing.state.cursor)[0] == 1
    station.analysis.choose("blobs", RunOptions(one_picture=True))
    x, y, z = (float(n) for n in volume.geometry.to_patient((2, 5, 5)))
    station.viewing.update(cursor=(x, y, z))
    reader.ask(plugin)
    found = reader.named("Blob")
    assert found.finding.frame == 2
    assert found.region == Box((2, 0, 0), (3, 97, 180))
    reader.finish(station.evidence.ask(found.id, EvidenceMethod.GRAD_CAM))
    shown, case = station.evidence.shown, station.workspace.active_case
    assert shown is not None
    assert case is not None
    assert shown.map_id is not None
    assert [bool(plane.any()) for plane in case.volumes[shown.map_id].voxels] == [False, False, True]
    reader.close()
