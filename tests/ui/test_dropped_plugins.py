"""A plugin that is dropped on the window is offered, installed, and never opened as images."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QPushButton

from medview.catalog import manifest, packing
from medview.catalog.plugins import PluginState
from medview.ui.banner import Banner
from tests.support.bundles import python_plugin
from tests.support.hostile import zipped
from tests.ui.conftest import Screen

RUN = "def run(case, context):\n    return case['image'].voxels > 0\n"


def _banner(screen: Screen) -> Banner:
    found = screen.window.findChild(Banner, "window-banner")
    assert isinstance(found, Banner)
    return found


def _click(screen: Screen, text: str) -> None:
    def shown() -> list[QPushButton]:
        return [one for one in _banner(screen).findChildren(QPushButton) if one.text() == text and one.isVisible()]

    screen.wait(lambda: len(shown()) == 1)
    QTest.mouseClick(shown()[0], Qt.MouseButton.LeftButton)


def _said(screen: Screen) -> str:
    message = _banner(screen).message
    return str(message.what) if message is not None else ""


def test_a_dropped_plugin_is_offered_installed_and_waits_for_trust(
    screen: Screen, tmp_path: Path, medview_home: Path
) -> None:
    folder = python_plugin(tmp_path / "mine", RUN)
    screen.drop(packing.pack(folder, manifest.load(folder), tmp_path))
    screen.wait(lambda: "Install the plugin tiny-1.0.0.mvp?" in _said(screen))
    assert not (medview_home / "plugins" / "tiny").exists()
    _click(screen, "Install")
    screen.wait(lambda: "is installed" in _said(screen))
    assert (medview_home / "plugins" / "tiny" / "tiny.py").is_file()
    assert screen.station.shelf.record("tiny").state is PluginState.NEEDS_TRUST
    assert screen.station.workspace.cases == ()


def test_a_second_one_is_put_in_place_of_the_first_only_when_asked(
    screen: Screen, tmp_path: Path, medview_home: Path
) -> None:
    folder = python_plugin(tmp_path / "mine", RUN)
    screen.drop(folder)
    screen.wait(lambda: "Install the plugin mine?" in _said(screen))
    _click(screen, "Install")
    screen.wait(lambda: "is installed." in _said(screen))
    (folder / "tiny.py").write_text(RUN + "# newer\n", encoding="utf-8")
    installed = medview_home / "plugins" / "tiny" / "tiny.py"
    for answer, text in (("Keep the old one", RUN), ("Replace it", RUN + "# newer\n")):
        screen.drop(folder)
        screen.wait(lambda: "Install the plugin mine?" in _said(screen))
        _click(screen, "Install")
        screen.wait(lambda: "is installed already" in _said(screen))
        _click(screen, answer)
        screen.wait(lambda: not screen.station.jobs.open_jobs)
        assert installed.read_text(encoding="utf-8") == text


def test_what_may_not_be_unpacked_is_refused_in_words(screen: Screen, tmp_path: Path, medview_home: Path) -> None:
    screen.drop(zipped(tmp_path / "evil.mvp", {"../../CANARY": b"x", "plugin.toml": b""}))
    screen.wait(lambda: "Install the plugin" in _said(screen))
    _click(screen, "Install")
    screen.wait(lambda: "leads out of its folder" in _said(screen))
    assert not (tmp_path / "CANARY").exists()
    assert list((medview_home / "plugins").iterdir()) == []


def test_images_are_opened_as_before(screen: Screen, small_series_folder: Path) -> None:
    screen.open(small_series_folder)
    assert not _said(screen)
