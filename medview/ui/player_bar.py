"""The bar under the views that plays what comes one after another: phases of a 4D series, pictures of a cine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QEvent, Qt, QTimer
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSlider, QToolButton, QWidget

from medview.core.case import Series
from medview.core.text import Text
from medview.core.volume import Volume
from medview.ui.theme import STEP_PX, icon, number_font, set_role
from medview.ui.translation import render
from medview.workstation.jobs import Job
from medview.workstation.station import Workstation
from medview.workstation.view_state import ViewChange
from medview.workstation.workspace import ActiveChanged, WorkspaceChange

_PICTURE_MS, _PHASE_MS = 100, 250
"""How long a picture or a phase is shown where the series does not say."""
_SHORTEST_MS = 15
_LABEL_PX = 200


@dataclass(frozen=True, slots=True)
class _Film:
    """What plays: how much, where it is, and how long each is shown."""

    volume: Volume
    names: tuple[Text, ...]
    count: int
    index: int
    interval_ms: int


class PlayerBar(QWidget):
    """Shown when there is something to play. Main thread only.

    Args:
        station: Whose active volume.
    """

    def __init__(self, station: Workstation, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._station = station
        self._film: _Film | None = None
        self._loading: Job[Any] | None = None
        self.play = QToolButton()
        set_role(self.play, "flat")
        self.play.setCheckable(True)
        self.play.toggled.connect(self._toggled)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setPageStep(1)
        self.slider.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.slider.valueChanged.connect(self.go)
        self.label = QLabel()
        self.label.setFont(number_font(self.font(), 13))
        self.label.setMinimumWidth(_LABEL_PX)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(2 * STEP_PX, STEP_PX, 2 * STEP_PX, STEP_PX)
        layout.setSpacing(2 * STEP_PX)
        layout.addWidget(self.play)
        layout.addWidget(self.slider, 1)
        layout.addWidget(self.label)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._next)
        self._connections = [
            station.workspace.changed.connect(self._workspace_changed),
            station.viewing.changed.connect(self._viewing_changed),
        ]
        self._write()
        self._follow()

    def close_down(self) -> None:
        """Stop playing and listening."""
        self._timer.stop()
        for connection in self._connections:
            connection.close()

    def toggle(self) -> None:
        """Play, or stop playing; nothing where there is nothing to play."""
        if self._film is not None:
            self.play.toggle()

    def step(self, by: int) -> None:
        """To the next one, or with -1 to the one before; round at the ends."""
        if self._film is not None:
            self.go((self._film.index + by) % self._film.count)

    def go(self, index: int) -> None:
        """Show a phase or a picture."""
        film = self._film
        if film is None or index == film.index:
            return
        if film.volume.is_spatial:
            self._loading = self._station.importing.load(film.volume.series_uid, index)
        else:
            geometry = film.volume.geometry
            _, j, i = (float(value) for value in geometry.to_index(self._station.viewing.state.cursor))
            x, y, z = (float(value) for value in geometry.to_patient((float(index), j, i)))
            self._station.viewing.update(cursor=(x, y, z))

    def changeEvent(self, event: QEvent) -> None:
        """Follow language and theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.LanguageChange, QEvent.Type.PaletteChange):
            self._write()

    def _workspace_changed(self, change: WorkspaceChange) -> None:
        if isinstance(change, ActiveChanged):
            self._follow()

    def _viewing_changed(self, change: ViewChange) -> None:
        if change.touches("cursor") and self._film is not None and not self._film.volume.is_spatial:
            self._follow()

    def _follow(self) -> None:
        """Show what the active volume has to play."""
        before, self._film = self._film, self._of_active()
        film = self._film
        self.setVisible(film is not None)
        if film is None or (before is not None and before.volume.series_uid != film.volume.series_uid):
            self.play.setChecked(False)
        if film is None:
            return
        self._timer.setInterval(film.interval_ms)
        was_blocked = self.slider.blockSignals(True)
        self.slider.setRange(0, film.count - 1)
        self.slider.setValue(film.index)
        self.slider.blockSignals(was_blocked)
        self._write_label()

    def _of_active(self) -> _Film | None:
        workspace = self._station.workspace
        case, volume = workspace.active_case, workspace.active_volume
        if case is None or volume is None:
            return None
        series = case.series_with(volume.series_uid)
        if not volume.is_spatial:
            count = volume.geometry.shape[0]
            index = volume.geometry.nearest_voxel(self._station.viewing.state.cursor)[0]
            return _Film(volume, (), count, index, _interval(series, _PICTURE_MS)) if count > 1 else None
        if series is None or len(series.phases) < 2:
            return None
        return _Film(volume, series.phases, len(series.phases), volume.phase, _interval(series, _PHASE_MS))

    def _toggled(self, playing: bool) -> None:
        if playing:
            self._timer.start()
        else:
            self._timer.stop()
        self._write()

    def _next(self) -> None:
        """The next one, unless this one is still being read: nothing is skipped the first time."""
        if self._loading is None or self._loading.state.is_final:
            self.step(1)

    def _write(self) -> None:
        playing = self.play.isChecked()
        self.play.setIcon(icon("pause" if playing else "play"))
        self.play.setToolTip(self.tr("Stop playing  (C)") if playing else self.tr("Play  (C)"))
        self._write_label()

    def _write_label(self) -> None:
        film = self._film
        if film is not None:
            number = Text.of("{number} / {count}", number=film.index + 1, count=film.count)
            name = film.names[film.index] if film.names else Text("")
            self.label.setText("   ".join(part for part in (render(number), render(name)) if part))


def _interval(series: Series | None, usual_ms: int) -> int:
    told = series.frame_ms if series is not None else None
    return max(_SHORTEST_MS, round(told)) if told else usual_ms
