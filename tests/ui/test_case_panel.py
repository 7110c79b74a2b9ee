from __future__ import annotations

import gc
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QTreeWidgetItem
from pytestqt.qtbot import QtBot

from medview.core.case import Case, Patient, Remark, Series, SeriesKind, Severity, Study
from medview.core.segmentation import Segment, Segmentation
from medview.core.text import Text
from medview.core.volume import Modality
from medview.ui.case_panel import CasePanel
from medview.ui.case_tree import ROW_ROLE, Row
from tests.support.bench import Bench, bench, speaking_chinese


@pytest.fixture
def desk(qtbot: QtBot, medview_home: Path) -> Iterator[Bench]:
    with bench(qtbot, medview_home) as made:
        yield made


@pytest.fixture
def panel(desk: Bench) -> Iterator[CasePanel]:
    made = CasePanel(desk.station)
    desk.show(made)
    yield made
    made.close_down()


def rows(panel: CasePanel) -> dict[str, QTreeWidgetItem]:
    """Every row that is not hidden, by its title."""
    found: dict[str, QTreeWidgetItem] = {}

    def walk(parent: QTreeWidgetItem) -> None:
        for number in range(parent.childCount()):
            item = parent.child(number)
            assert item is not None
            if not item.isHidden():
                found[row(item).title] = item
                walk(item)

    walk(panel.tree.invisibleRootItem())
    return found


def row(item: QTreeWidgetItem) -> Row:
    value = item.data(0, ROW_ROLE)
    assert isinstance(value, Row)
    return value


def click(desk: Bench, panel: CasePanel, item: QTreeWidgetItem, column: int = 0) -> None:
    index = panel.tree.indexFromItem(item, column)
    place: QPoint = panel.tree.visualRect(index).center()
    QTest.mouseClick(panel.tree.viewport(), Qt.MouseButton.LeftButton, pos=place)
    desk.qtbot.wait(1)


def put(case: Case, uid: str, description: str, *remarks: Remark) -> None:
    case.put_series(
        Series(uid, case.study, Modality.MR, description, 9, "BRAIN", (), 3, geometry=None, remarks=remarks)
    )


def test_an_opened_series_is_listed_with_its_picture_and_is_highlighted(
    desk: Bench, panel: CasePanel, small_series_folder: Path
) -> None:
    assert not panel.search.isEnabled()
    case, _ = desk.open(small_series_folder)
    (series,) = case.series
    desk.until(lambda: row(rows(panel)[series.description]).picture is not None)

    shown = row(rows(panel)[series.description])
    assert case.study.patient.name in rows(panel)
    assert "CT" in shown.facts
    assert str(series.slices) in shown.facts
    assert shown.active


def test_a_click_opens_a_series_and_shows_it_again_later(
    desk: Bench, panel: CasePanel, small_series_folder: Path
) -> None:
    desk.finish(desk.station.importing.find([small_series_folder]))
    (case,) = desk.station.workspace.cases
    (series,) = case.series
    assert not row(rows(panel)[series.description]).active

    click(desk, panel, rows(panel)[series.description])
    desk.until(lambda: desk.station.workspace.active_volume is not None and not desk.station.jobs.open_jobs)
    desk.qtbot.wait(1)

    assert row(rows(panel)[series.description]).active


def test_pending_and_refused_series_look_so_and_do_not_open(
    desk: Bench, panel: CasePanel, small_series_folder: Path
) -> None:
    case, volume = desk.open(small_series_folder)
    why = Text("Every slice has another size.")
    put(case, "1.2.3", "Still coming")
    put(case, "1.2.4", "Mixed", Remark(Severity.REFUSED, "sizes", why))
    desk.qtbot.wait(1)

    pending, refused = rows(panel)["Still coming"], rows(panel)["Mixed"]
    assert row(pending).quiet
    assert pending.icon(1).isNull()
    assert row(refused).facts == str(why)
    click(desk, panel, refused)
    assert desk.station.workspace.active_volume is volume
    assert panel.health.isVisible()


def test_documents_stand_below_images_and_say_what_they_are(
    desk: Bench, panel: CasePanel, small_series_folder: Path
) -> None:
    case, _ = desk.open(small_series_folder)
    what = Text.of("This is {thing}: choose it to read it.", thing=Text("a selection of key images"))
    remark = Remark(Severity.NOTE, "document", what)
    document = Series("1.2.0", case.study, Modality.OTHER, "", 1, "", (), 1, None, (remark,), kind=SeriesKind.DOCUMENT)
    case.put_series(document)
    desk.qtbot.wait(1)

    shown = row(rows(panel)["A selection of key images"])
    assert shown.facts == "document"
    assert shown.symbol
    parent = rows(panel)["A selection of key images"].parent()
    assert parent is not None
    assert parent.indexOfChild(rows(panel)["A selection of key images"]) == 1
    menu = panel.menu_of(rows(panel)["A selection of key images"])
    assert menu is not None
    assert menu.actions()[0].isEnabled()


def test_the_words_of_the_health_mark_open_on_hover_and_on_click(
    desk: Bench, panel: CasePanel, small_series_folder: Path
) -> None:
    case, _ = desk.open(small_series_folder)
    put(
        case,
        "1.2.5",
        "Gaps",
        Remark(Severity.WARNING, "missing-slices", Text.of("{count} slices are missing.", count=3)),
    )
    desk.qtbot.wait(1)

    item = rows(panel)["Gaps"]
    assert "3 slices are missing." in item.toolTip(1)
    click(desk, panel, item, column=1)
    assert panel.health.isVisible()
    click(desk, panel, item, column=1)
    assert not panel.health.isVisible()


def test_a_segmentation_stands_under_its_series_and_a_click_works_on_it(
    desk: Bench, panel: CasePanel, small_series_folder: Path
) -> None:
    case, volume = desk.open(small_series_folder)
    first, second = (
        Segmentation(volume.geometry, segments=(Segment(1, "Liver", (200, 80, 60)),), title=title)
        for title in ("By hand", "By machine")
    )
    case.add_segmentation(first, on=volume.id)
    case.add_segmentation(second, on=volume.id)
    desk.qtbot.wait(1)
    (series,) = case.series
    assert rows(panel)["By hand"].parent() is rows(panel)[series.description]

    click(desk, panel, rows(panel)["By machine"])

    assert desk.station.workspace.active_segmentation is second
    assert desk.station.viewing.state.segmentation_id == second.id
    assert row(rows(panel)["By machine"]).active
    assert not row(rows(panel)["By hand"]).active


def test_rows_stay_the_same_objects_when_something_else_comes(
    desk: Bench, panel: CasePanel, small_series_folder: Path
) -> None:
    case, _ = desk.open(small_series_folder)
    desk.qtbot.wait(1)
    (series,) = case.series
    before = rows(panel)[series.description]
    put(case, "1.2.6", "Another")
    case.put_thumbnail("1.2.6", np.zeros((8, 4), dtype=np.uint8))
    desk.qtbot.wait(1)
    assert rows(panel)[series.description] is before
    assert row(rows(panel)["Another"]).picture is not None


def test_the_search_finds_series_by_any_word(desk: Bench, panel: CasePanel, small_series_folder: Path) -> None:
    case, _ = desk.open(small_series_folder)
    put(case, "1.2.7", "Axial T2")
    desk.qtbot.wait(1)
    (other,) = (one for one in case.series if one.uid != "1.2.7")

    QTest.keyClicks(panel.search, "brain t2")
    assert "Axial T2" in rows(panel)
    assert other.description not in rows(panel)
    panel.search.setText("nothing like this")
    assert not rows(panel)
    panel.search.clear()
    assert other.description in rows(panel)


def test_useless_files_are_counted_and_listed_with_the_reason(
    desk: Bench, panel: CasePanel, small_series_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "mixed"
    shutil.copytree(small_series_folder, folder)
    (folder / "broken.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"not a data set" * 20)
    desk.open(folder)
    desk.until(lambda: panel.rejects.isVisible())
    assert not panel.rejects.list.isVisible()

    QTest.mouseClick(panel.rejects.button, Qt.MouseButton.LeftButton)

    assert panel.rejects.list.isVisible()
    (reject,) = desk.station.workspace.rejects
    assert panel.rejects.list.count() == 1
    item = panel.rejects.list.item(0)
    assert item.text().splitlines() == ["broken.dcm", str(reject.reason)]


def test_the_cross_and_the_menu_close_the_case(desk: Bench, panel: CasePanel, small_series_folder: Path) -> None:
    for by_menu in (False, True):
        case, _ = desk.open(small_series_folder)
        desk.qtbot.wait(1)
        (series,) = case.series
        item = rows(panel)[series.description]
        if by_menu:
            menu = panel.menu_of(item)
            assert menu is not None
            menu.actions()[-1].trigger()
        else:
            study = item.parent()
            assert study is not None
            click(desk, panel, study, column=1)
        desk.until(lambda: not rows(panel))
        assert desk.station.workspace.cases == ()


def test_one_of_several_studies_of_a_patient_can_be_closed(desk: Bench, panel: CasePanel) -> None:
    patient = Patient("P1", "Twice, Here")
    for number in (1, 2):
        case = desk.station.workspace.case_of(Study(f"1.{number}", patient, f"2020-01-0{number}"))
        put(case, f"1.{number}.1", f"series {number}")
    desk.qtbot.wait(20)
    first = next(item for name, item in rows(panel).items() if "2020-01-01" in name)
    place: QPoint = panel.tree.visualRect(panel.tree.indexFromItem(first, 1)).center()
    del first  # a row that somebody holds on to does not go when it is taken away
    gc.collect()
    QTest.mouseClick(panel.tree.viewport(), Qt.MouseButton.LeftButton, pos=place)
    desk.qtbot.wait(20)
    assert [case.id for case in desk.station.workspace.cases] == ["1.2"]
    assert "series 1" not in rows(panel)
    assert "series 2" in rows(panel)


def test_the_language_can_change_while_it_is_open(desk: Bench, panel: CasePanel, small_series_folder: Path) -> None:
    case, _ = desk.open(small_series_folder)
    (series,) = case.series
    with speaking_chinese():
        desk.until(lambda: "层" in row(rows(panel)[series.description]).facts)
        assert panel.search.placeholderText() == "搜索患者和序列"
    desk.until(lambda: "slices" in row(rows(panel)[series.description]).facts)
