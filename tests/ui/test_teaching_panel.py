from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from nibabel.nifti1 import Nifti1Image
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from medview.core.geometry import Box
from medview.core.proof import Proof
from medview.core.segmentation import Segment, Segmentation
from medview.core.text import Text
from medview.learning.examples import Saved
from medview.learning.exporters import ExportKind
from medview.ui.banner import Kind
from medview.ui.case_tree import ROW_ROLE, Row
from medview.ui.teaching_panel import TeachingPanel
from tests.support.bench import Bench, bench, speaking_chinese


@pytest.fixture
def desk(qtbot: QtBot, medview_home: Path, small_series_folder: Path) -> Iterator[Bench]:
    with bench(qtbot, medview_home) as made:
        made.open(small_series_folder)
        yield made


@pytest.fixture
def panel(desk: Bench) -> Iterator[TeachingPanel]:
    made = TeachingPanel(desk.station)
    desk.show(made)
    yield made
    made.close_down()


def draw(desk: Bench, name: str) -> Segmentation:
    """A cuboid on the open series, and work on it."""
    case, volume = desk.station.workspace.active_case, desk.station.workspace.active_volume
    assert case is not None
    assert volume is not None
    labels = np.zeros(volume.geometry.shape, np.uint8)
    labels[5:20, 10:30, 12:40] = 1
    drawn = Segmentation(volume.geometry, labels, (Segment(1, name, (200, 80, 60)),), title=name)
    case.add_segmentation(drawn, on=volume.id)
    desk.station.workspace.activate(case, volume, drawn)
    desk.station.correction.adopt(drawn)
    desk.qtbot.wait(5)
    return drawn


def save(desk: Bench, panel: TeachingPanel) -> None:
    before = panel.list.count()
    desk.until(panel.save_button.isEnabled)
    QTest.mouseClick(panel.save_button, Qt.MouseButton.LeftButton)
    desk.until(lambda: not desk.station.jobs.open_jobs and panel.banner.isVisible())
    desk.until(lambda: panel.list.count() >= max(before, 1) and panel.save_button.isEnabled())


def row(panel: TeachingPanel, place: int) -> Row:
    value = panel.list.item(place).data(ROW_ROLE)
    assert isinstance(value, Row)
    return value


def test_there_is_nothing_to_save_before_something_is_drawn(desk: Bench, panel: TeachingPanel) -> None:
    desk.qtbot.wait(5)
    assert not panel.save_button.isEnabled()
    assert not panel.export_button.isEnabled()
    draw(desk, "Liver")
    assert panel.save_button.isEnabled()


def test_a_saved_example_is_announced_with_its_proof_and_listed(desk: Bench, panel: TeachingPanel) -> None:
    segmentation = draw(desk, "Liver")
    save(desk, panel)
    (example,) = desk.station.teaching.examples()
    message = panel.banner.message
    assert message is not None
    assert message.kind is Kind.DONE
    assert example.example_id[:8] in str(message.what)
    assert "revision 1" in str(message.what)
    assert "proved" in str(message.remedy)
    assert row(panel, 0).title == "Liver"

    segmentation.write(Box((0, 0, 0), (1, 1, 1)), np.ones((1, 1, 1), np.uint8))
    save(desk, panel)
    desk.until(lambda: "rev. 2" in row(panel, 0).facts)
    assert panel.list.count() == 1


def test_the_button_waits_while_an_example_is_saved(desk: Bench, panel: TeachingPanel) -> None:
    draw(desk, "Liver")
    QTest.mouseClick(panel.save_button, Qt.MouseButton.LeftButton)
    desk.qtbot.wait(1)
    if desk.station.jobs.open_jobs:
        assert not panel.save_button.isEnabled()
    desk.until(lambda: panel.save_button.isEnabled() and not panel.bar.isVisible())


def test_the_newest_come_first_and_the_chosen_ones_are_exported(
    desk: Bench, panel: TeachingPanel, tmp_path: Path
) -> None:
    for name in ("Liver", "Spleen"):
        draw(desk, name)
        save(desk, panel)
    desk.until(lambda: panel.list.count() == 2)
    assert [row(panel, 0).title, row(panel, 1).title] == ["Spleen", "Liver"]

    place = panel.list.visualItemRect(panel.list.item(1)).center()
    QTest.mouseClick(panel.list.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert "1" in panel.export_button.text()
    panel.export(ExportKind.NIFTI, tmp_path)
    desk.until(lambda: panel.banner.isVisible() and not desk.station.jobs.open_jobs)

    message = panel.banner.message
    assert message is not None
    assert message.kind is Kind.DONE
    assert "proved" in str(message.remedy)
    images = list((tmp_path / "medview-nifti").rglob("*.nii.gz"))
    assert len(images) == 2
    sums = {int(np.count_nonzero(np.asanyarray(Nifti1Image.from_filename(path).dataobj) == 1)) for path in images}
    assert 15 * 20 * 28 in sums


def test_every_form_of_export_is_in_the_menu(desk: Bench, panel: TeachingPanel, tmp_path: Path) -> None:
    draw(desk, "Liver")
    save(desk, panel)
    assert set(panel.actions_of) == set(ExportKind)
    assert all(action.text() for action in panel.actions_of.values())
    panel.export(ExportKind.NNUNET, tmp_path)
    desk.until(lambda: panel.banner.isVisible() and not desk.station.jobs.open_jobs)
    (folder,) = tmp_path.glob("Dataset501_*")
    assert json.loads((folder / "dataset.json").read_text())["labels"]["Liver"] == 1
    assert len(list(folder.glob("labels*/*.nii.gz"))) == 1


def test_errors_and_differences_are_told_in_place(desk: Bench, panel: TeachingPanel, tmp_path: Path) -> None:
    panel.export(ExportKind.MONAI, tmp_path)
    desk.until(panel.banner.isVisible)
    message = panel.banner.message
    assert message is not None
    assert message.kind is Kind.ERROR

    draw(desk, "Liver")
    save(desk, panel)
    (example,) = desk.station.teaching.examples()
    panel.tell(Saved(example, Proof(tmp_path, (Text("7 voxels differ."),))))
    assert panel.banner.message is not None
    assert panel.banner.message.kind is Kind.ERROR
    assert panel.verdict.text() == "7 voxels differ."
    assert panel.verdict.property("role") == "danger"


def test_it_speaks_chinese(desk: Bench, panel: TeachingPanel) -> None:
    draw(desk, "Liver")
    save(desk, panel)
    with speaking_chinese():
        desk.until(lambda: "修订" in row(panel, 0).facts)
        assert panel.save_button.text() == "保存为训练样本"
    desk.until(lambda: "rev." in row(panel, 0).facts)
