"""The real window on the small phantom, driven by real events."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QMouseEvent, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

from medview.core.segmentation import Segmentation
from medview.core.volume import Volume
from medview.ui.gl_widget import use_core_profile
from medview.ui.main_window import MainWindow
from medview.ui.qt_main_queue import QtMainQueue
from medview.ui.theme import DARK, apply_theme
from medview.ui.translation import Languages, language_of
from medview.workstation.settings import Settings
from medview.workstation.station import Workstation
from medview.workstation.view_state import ViewName
from tests.support import event_loop

LEFT, MIDDLE, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.MiddleButton, Qt.MouseButton.RightButton
NO_KEYS = Qt.KeyboardModifier.NoModifier


@pytest.fixture(scope="session")
def qapp_args() -> list[str]:
    use_core_profile()
    return ["medview-test"]


class Screen:
    """The window under test, and hands."""

    def __init__(self, home: Path, app: QApplication) -> None:
        self.app = app
        self.station = Workstation(home)
        self.languages = Languages(app)
        apply_theme(app, DARK)
        self.window = MainWindow(self.station, self._dress)
        self.waker = QtMainQueue(self.station.queue)
        self.window.resize(1366, 768)
        self.window.show()
        self.window.activateWindow()
        assert QTest.qWaitForWindowActive(self.window)

    def _dress(self, settings: Settings) -> None:
        self.languages.use(language_of(settings.language))

    def close(self) -> None:
        self.window.close()
        self.waker.close()
        self.languages.use("en")
        self.window.deleteLater()
        self.app.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        self.app.processEvents()

    def wait(self, done: Callable[[], bool], seconds: float = 60.0) -> None:
        event_loop.run_until(done, seconds)

    def drop(self, *paths: Path) -> None:
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
        copy, none = Qt.DropAction.CopyAction, Qt.KeyboardModifier.NoModifier
        enter = QDragEnterEvent(QPoint(400, 300), copy, data, LEFT, none)
        QApplication.sendEvent(self.window, enter)
        assert enter.isAccepted()
        QApplication.sendEvent(self.window, QDropEvent(QPointF(400, 300), copy, data, LEFT, none))

    def open(self, folder: Path) -> Volume:
        self.drop(folder)
        workspace = self.station.workspace

        def complete() -> bool:
            case, volume = workspace.active_case, workspace.active_volume
            return case is not None and volume is not None and case.is_complete(volume.id)

        self.wait(complete)
        self.wait(lambda: not self.station.jobs.open_jobs)
        event_loop.run_for(0.05)
        return self.volume

    @property
    def volume(self) -> Volume:
        volume = self.station.workspace.active_volume
        assert volume is not None
        return volume

    @property
    def segmentation(self) -> Segmentation:
        segmentation = self.station.workspace.active_segmentation
        assert segmentation is not None
        return segmentation

    def view(self, name: ViewName = ViewName.AXIAL) -> QWidget:
        found = self.window.findChild(QWidget, f"view-{name.value}")
        assert isinstance(found, QWidget)
        return found

    def key(self, key: Qt.Key, keys: Qt.KeyboardModifier = NO_KEYS) -> None:
        target = self.app.focusWidget() or self.window
        QTest.keyClick(target, key, keys)
        self.app.processEvents()

    def wheel(self, notches: int, name: ViewName = ViewName.AXIAL, keys: Qt.KeyboardModifier = NO_KEYS) -> None:
        view = self.view(name)
        place = QPointF(view.rect().center())
        event = QWheelEvent(
            place,
            view.mapToGlobal(place),
            QPoint(),
            QPoint(0, 120 * notches),
            Qt.MouseButton.NoButton,
            keys,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(view, event)
        self.app.processEvents()

    def drag(
        self,
        start: tuple[int, int],
        stop: tuple[int, int],
        button: Qt.MouseButton = LEFT,
        keys: Qt.KeyboardModifier = NO_KEYS,
        name: ViewName = ViewName.AXIAL,
    ) -> None:
        """From and to places given from the middle of the view."""
        view = self.view(name)
        middle = view.rect().center()
        places = [middle + QPoint(*start), middle + QPoint(*stop)]
        QTest.mouseMove(view, places[0])
        QTest.mousePress(view, button, keys, places[0])
        steps = 8
        for number in range(1, steps + 1):
            between = places[0] + (places[1] - places[0]) * number / steps
            move(view, between, button, keys)
        QTest.mouseRelease(view, button, keys, places[1])
        self.app.processEvents()


def move(view: QWidget, place: QPoint, button: Qt.MouseButton, keys: Qt.KeyboardModifier) -> None:
    """A move of the mouse, with a button held or none."""
    point = QPointF(place)
    event = QMouseEvent(QEvent.Type.MouseMove, point, view.mapToGlobal(point), Qt.MouseButton.NoButton, button, keys)
    QApplication.sendEvent(view, event)


@pytest.fixture
def screen(qapp: QApplication, medview_home: Path) -> Iterator[Screen]:
    """A window with nothing open."""
    screen = Screen(medview_home, qapp)
    yield screen
    screen.close()
