"""What a reader may ask of a run: on the card, with its cost, and what comes of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
import torch
from monai.networks.nets import UNet
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from medview.core.case import Patient, Study
from medview.core.volume import Modality, Volume
from medview.inference.options import RunOptions
from medview.ui import quantities
from medview.ui.analysis_panel import AnalysisPanel
from medview.ui.plugin_card import PluginCard
from medview.ui.settings_dialog import SettingsDialog
from tests.support.bench import Bench, bench, speaking_chinese
from tests.support.bundles import bundle_config, bundle_plugin
from tests.support.volumes import volume


@pytest.fixture
def desk(qtbot: QtBot, medview_home: Path) -> Iterator[Bench]:
    lines = ('further-weights = ["models/fold1.pt"]', "ensemble = false", "mirror-axes = [0, 2]")
    folder = bundle_plugin(medview_home / "plugins" / "tiny", bundle_config(), id="tiny", lines=lines)
    for seed, name in enumerate(("model.pt", "fold1.pt")):
        torch.manual_seed(seed)
        made = UNet(spatial_dims=3, in_channels=1, out_channels=3, channels=[4, 8], strides=[2], num_res_units=0)
        torch.save(made.state_dict(), folder / "models" / name)
    with bench(qtbot, medview_home) as made_bench:
        yield made_bench


@pytest.fixture
def image(desk: Bench) -> Volume:
    one = volume(np.random.default_rng(3).normal(0, 100, (9, 20, 18)).astype(np.int16), spacing_mm=(3, 2, 2))
    case = desk.station.workspace.case_of(Study("1.2", Patient("p")))
    case.add_volume(one)
    desk.station.workspace.activate(case, one)
    return one


@pytest.fixture
def panel(desk: Bench, image: Volume) -> Iterator[AnalysisPanel]:
    made = AnalysisPanel(desk.station)
    desk.show(made)
    desk.until(lambda: made.card("tiny") is not None)
    yield made
    made.close_down()


def card(panel: AnalysisPanel) -> PluginCard:
    found = panel.card("tiny")
    assert found is not None
    return found


def said(panel: AnalysisPanel) -> str:
    message = panel.banner.message
    return str(message.what) if message is not None else ""


def click(widget: object) -> None:
    from PySide6.QtWidgets import QCheckBox, QPushButton, QToolButton

    assert isinstance(widget, QCheckBox | QPushButton | QToolButton)
    if isinstance(widget, QCheckBox):
        widget.click()
        return
    QTest.mouseClick(widget, Qt.MouseButton.LeftButton)


def test_the_cost_is_said_before_it_is_switched_on(desk: Bench, panel: AnalysisPanel) -> None:
    choices = card(panel).choices
    click(card(panel).options.button)
    desk.until(choices.mirroring.isVisible)
    assert choices.mirroring.text() == "Mirrored windows too: 4× the time"
    assert choices.ensemble.text() == "All 2 sets of weights: 2× the time"
    assert not choices.mirroring.isChecked()
    assert not choices.cost.isVisible()
    click(choices.mirroring)
    click(choices.ensemble)
    assert choices.cost.text() == "Together: 8× the time of a single pass"
    assert desk.station.analysis.options("tiny") == RunOptions(mirroring=True, ensemble=True)
    click(choices.mirroring)
    desk.until(lambda: choices.cost.text().startswith("Together: 2×"))
    assert desk.station.analysis.options("tiny") == RunOptions(mirroring=False, ensemble=True)
    with speaking_chinese():
        desk.until(lambda: "倍时间" in choices.mirroring.text())


def test_maps_come_as_images_that_can_be_looked_at(desk: Bench, panel: AnalysisPanel, image: Volume) -> None:
    choices = card(panel).choices
    click(card(panel).options.button)
    desk.until(choices.uncertainty.isVisible)
    click(choices.uncertainty)
    choices.probability.setCurrentIndex(2)
    choices.probability.activated.emit(2)
    assert desk.station.analysis.options("tiny") == RunOptions(uncertainty=True, probability=2)
    click(card(panel).run_button)
    desk.until(lambda: desk.station.analysis.last is not None)
    last = desk.station.analysis.last
    case = desk.station.workspace.active_case
    assert last is not None
    assert case is not None
    assert [one.description for one in last.images] == [
        "Uncertainty of tiny (entropy, %)",
        "Probability of Two, tiny (%)",
    ]
    assert desk.station.workspace.active_volume is image
    for one, made in zip(last.images, last.result.maps, strict=True):
        np.testing.assert_array_equal(one.voxels, np.rint(made.values.astype(np.float64) * 100))
        assert case.series_with(one.series_uid) is not None
        assert desk.station.importing.load(one.series_uid) is None
        assert desk.station.workspace.active_volume is one


def test_maps_are_saved_as_the_numbers_they_hold(desk: Bench, panel: AnalysisPanel, tmp_path: Path) -> None:
    desk.station.analysis.choose("tiny", RunOptions(uncertainty=True, probability=1))
    panel.save_maps(tmp_path)
    assert said(panel) == "There are no maps to save."
    click(card(panel).run_button)
    desk.until(lambda: card(panel).maps_button.isVisible())
    panel.save_maps(tmp_path)
    desk.until(lambda: said(panel) == "Saved and read back: uncertainty.nii.gz, probability-1.nii.gz.")
    last = desk.station.analysis.last
    assert last is not None
    assert sorted(one.name for one in tmp_path.iterdir() if one.is_file()) == [
        "probability-1.nii.gz", "uncertainty.nii.gz",
    ]  # fmt: skip
    for one, name in zip(last.result.maps, ("uncertainty", "probability-1"), strict=True):
        read = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / f"{name}.nii.gz")))
        np.testing.assert_array_equal(read, one.values.astype(np.float32))


def test_an_earlier_answer_is_said_to_be_one_and_can_be_had_anew(desk: Bench, panel: AnalysisPanel) -> None:
    analysis = desk.station.analysis
    click(card(panel).run_button)
    desk.until(lambda: analysis.last is not None and card(panel).outcome.isVisible())
    assert card(panel).outcome.text().startswith("Done in")
    assert not card(panel).anew_button.isVisible()
    first = analysis.last
    click(card(panel).run_button)
    desk.until(lambda: analysis.last is not first and card(panel).anew_button.isVisible())
    assert card(panel).outcome.text().startswith("From an earlier run, today ")
    second = analysis.last
    click(card(panel).anew_button)
    desk.until(lambda: analysis.last is not second and not card(panel).anew_button.isVisible())
    assert first is not None
    assert second is not None
    assert analysis.last is not None
    assert analysis.last.result.earlier is None
    np.testing.assert_array_equal(second.result.labels, first.result.labels)


def test_a_box_is_set_around_the_crosshair_and_what_lies_outside_is_left_alone(
    desk: Bench, panel: AnalysisPanel, image: Volume
) -> None:
    analysis = desk.station.analysis
    point = image.geometry.to_patient((4.0, 9.0, 8.0))
    desk.station.viewing.update(cursor=(float(point[0]), float(point[1]), float(point[2])))
    click(card(panel).options.button)
    desk.until(card(panel).box.set_button.isVisible)
    assert card(panel).box.words.text() == "Looks at the whole image"
    click(card(panel).box.set_button)
    desk.until(card(panel).box.remove_button.isVisible)
    box = analysis.search.box
    assert box is not None
    assert [(a + b - 1) / 2 for a, b in zip(box.start, box.stop, strict=True)] == [4, 9, 8]
    x, y, z = (n * step for n, step in zip(reversed(box.shape), (2, 2, 3), strict=True))
    assert card(panel).box.words.text() == f"Looks inside the box only: {x} × {y} × {z} mm"
    click(card(panel).run_button)
    desk.until(lambda: analysis.last is not None)
    assert analysis.last is not None
    outside = analysis.last.result.labels.copy()
    outside[box.slices] = 0
    assert not outside.any()
    assert analysis.last.result.options.box == box
    click(card(panel).box.remove_button)
    desk.until(card(panel).box.set_button.isVisible)
    assert analysis.search.box is None


def test_a_plugin_for_crops_asks_for_a_box(desk: Bench, panel: AnalysisPanel) -> None:
    case = desk.station.workspace.active_case
    assert case is not None
    large = volume(np.zeros((80, 90, 100), np.int16), modality=Modality.MR, unit="")
    case.add_volume(large)
    desk.station.workspace.activate(case, large)
    desk.until(lambda: (one := panel.card("mr_hippocampus")) is not None and one.box_button.isVisible())
    shown = panel.card("mr_hippocampus")
    assert shown is not None
    assert shown.reason.text() == "Set a box around what it looks for, of at most 48 × 64 × 52 mm."
    assert not shown.run_button.isVisible()
    x, y, z = large.geometry.center_mm
    desk.station.viewing.update(cursor=(x, y, z))
    click(shown.box_button)
    desk.until(shown.run_button.isVisible)
    assert not shown.box_button.isVisible()
    assert desk.station.analysis.search.size_mm == (43.0, 57.0, 45.0)
    desk.station.analysis.search.move_side(2, upper=True, to=90)
    desk.until(shown.box_button.isVisible)
    assert "at most 48 mm from left to right; the image has" in shown.reason.text()


def test_moments_in_words() -> None:
    now = datetime(2026, 5, 7, 14, 2, tzinfo=UTC).astimezone()
    then = now.replace(hour=9, minute=5)
    assert str(quantities.moment(then, now)) == "today 9:05"
    assert str(quantities.moment(then - timedelta(days=1), now)) == "yesterday 9:05"
    assert str(quantities.moment(then - timedelta(days=9), now)) == "2026-04-28 9:05"


def test_exact_numbers_and_kept_answers_are_settings(desk: Bench, medview_home: Path) -> None:
    kept = medview_home / "answers" / "a.answer"
    kept.parent.mkdir()
    kept.write_bytes(b"an answer")
    dialog = SettingsDialog(desk.station.settings)
    desk.show(dialog)
    click(dialog.exact)
    assert desk.station.analysis.exact
    dialog.kept_answers.setValue(0)
    assert desk.station.analysis.earlier.limit_bytes == 0
    desk.until(lambda: not kept.exists())
    dialog.kept_answers.setValue(3)
    assert desk.station.analysis.earlier.limit_bytes == 3 * 2**30
