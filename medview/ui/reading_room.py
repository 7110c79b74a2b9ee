"""The middle of the window: the four viewports with their scenes, joined to the workstation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PySide6.QtCore import QEvent, Qt, QTimer
from PySide6.QtGui import QCursor, QShowEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from medview.core.errors import MedViewError
from medview.ui.difference_bar import DifferenceBar
from medview.ui.editing_desk import EDIT_ACTIONS
from medview.ui.measuring_desk import TOOL_ACTIONS, tool_cursor
from medview.ui.player_bar import PlayerBar
from medview.ui.status_bar import Probe
from medview.ui.translation import translated
from medview.ui.viewport_grid import Arrangement, ViewportGrid
from medview.views.box_hand import BoxHand, BoxInViews
from medview.views.edit_hand import EditKey
from medview.views.edit_hands import edit_hand
from medview.views.interaction import SliceInteraction, VolumeInteraction
from medview.views.linking import LinkedViews
from medview.views.measure_hand import MeasureHand, MeasurementsInViews
from medview.views.pins import Pin
from medview.views.pointer import Pointer
from medview.views.slice_view import SliceView
from medview.views.volume_scissors import VolumeScissors
from medview.views.volume_view import VolumeView
from medview.workstation.edit_tools import EditTool
from medview.workstation.measuring_tools import DraftChanged, MeasuringChange
from medview.workstation.station import Workstation
from medview.workstation.view_state import Mode, ViewChange, ViewName
from medview.workstation.workspace import ActiveChanged, WorkspaceChange


class ReadingRoom(QWidget):
    """Four views of the active volume.

    Args:
        station: The workstation.
        probe: Gets what lies under the mouse, None when it is nowhere.
        tell: Gets what went wrong.
    """

    def __init__(
        self,
        station: Workstation,
        probe: Callable[[Probe | None], None],
        tell: Callable[[MedViewError], None],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._station = station
        self._probe = probe
        self._cursor: str | Qt.CursorShape = Qt.CursorShape.ArrowCursor
        self._grid = ViewportGrid(self._activate, self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        self.difference = DifferenceBar(station.comparing, station.viewing)
        layout.addWidget(self.difference)
        layout.addWidget(self._grid, 1)
        self.player = PlayerBar(station)
        layout.addWidget(self.player)
        self._linked = LinkedViews(
            station.workspace, station.viewing, station.jobs, station.correction, station.comparing
        )
        self._measured = MeasurementsInViews(station.measuring)
        self._boxed = BoxInViews(station.analysis.search, station.workspace)
        self._slices: dict[ViewName, SliceView] = {}
        self._hands: dict[ViewName, SliceInteraction] = {}
        for viewport in self._grid:
            plane = viewport.name.plane
            if plane is None:
                self._space = VolumeView(viewport.renderer, viewport.gl.request_frame)
                self._scissors = VolumeScissors(self._space, station.editing, tell)
                viewport.gl.target = VolumeInteraction(self._space, station.viewing, self._scissors)
                self._linked.attach(viewport.name, self._space)
                continue
            view = SliceView(viewport.renderer, plane, viewport.gl.request_frame, translated)
            hand = SliceInteraction(
                view,
                station.viewing,
                edit_hand(view, station.editing, tell),
                lambda: station.settings.current.wheel_down_to_feet,
                MeasureHand(view, station.measuring),
                BoxHand(view, station.analysis.search),
            )
            viewport.gl.target = hand
            viewport.gl.on_hover = lambda pointer, name=viewport.name: self._hover(name, pointer)
            self._slices[viewport.name] = view
            self._hands[viewport.name] = hand
            self._linked.attach(viewport.name, view)
            self._measured.attach(view)
            self._boxed.attach(view)
        station.reviewing.changed.connect(self._reviewed)
        # Surfaces follow when the brush has been lifted for a moment.
        self._quiet = QTimer(self)
        self._quiet.setSingleShot(True)
        self._quiet.setInterval(150)
        self._quiet.timeout.connect(self._linked.stroke_ended)
        station.correction.changed.connect(self._correction_changed)
        station.measuring.changed.connect(self._measuring_changed)
        station.tools.changed.connect(self._tools_changed)
        station.viewing.changed.connect(self._viewing_changed)
        station.workspace.changed.connect(self._workspace_changed)
        station.importing.when_on_screen = self.after_frame
        self._grid.set_active(station.viewing.state.active_view)

    @property
    def grid(self) -> ViewportGrid:
        """The viewports."""
        return self._grid

    @property
    def hand(self) -> SliceInteraction:
        """What keys act on: the active slice view, or the axial one while the 3D view is active."""
        return self._hands.get(self._station.viewing.state.active_view, self._hands[ViewName.AXIAL])

    def slice_view(self, name: ViewName) -> SliceView:
        """What is drawn in a slice viewport."""
        return self._slices[name]

    def arrange(self, arrangement: Arrangement, large: ViewName | None) -> None:
        """Lay the views out otherwise."""
        self._station.viewing.update(maximised=None)
        self._grid.arrange(arrangement, large)

    def reset(self) -> None:
        """Show everything, in the middle."""
        for view in self._slices.values():
            view.fit()
        self._space.fit()

    def edit_key(self, key: EditKey) -> bool:
        """A key that the tool in hand may take, wherever something is begun; whether it was meant for it."""
        if key is EditKey.CANCEL and self._scissors.is_busy:
            self._scissors.put_down()
            return True
        return any(hand.key(key) for hand in self._hands.values())

    def go_to_end(self, *, last: bool) -> None:
        """To the first or the last slice of the active view."""
        self.hand.scroll(100_000 if last else -100_000)

    def next_view(self) -> None:
        """Give the keys to the next view that is shown."""
        if self._shows_pictures:
            return
        names = list(ViewName)
        state = self._station.viewing.state
        following = names[(names.index(state.active_view) + 1) % len(names)]
        self._station.viewing.update(
            active_view=following, maximised=following if state.maximised is not None else None
        )
        self._grid[following].gl.setFocus()

    def take_keys(self) -> None:
        """Let the active view have the keyboard."""
        self._grid[self._station.viewing.state.active_view].gl.setFocus()

    def after_frame(self, call: Callable[[], None]) -> None:
        """Make a call when the next frame is on screen; at once where none is drawn, as in a window made small."""
        window = self.window().windowHandle()
        drawn = next((viewport.gl for viewport in self._grid if viewport.gl.isVisible()), None)
        if drawn is None or window is None or not window.isExposed():
            call()
        else:
            drawn.frameSwapped.connect(call, Qt.ConnectionType.SingleShotConnection)

    def close_gl(self) -> None:
        """Let go of the scenes and of OpenGL."""
        self._quiet.stop()
        self.player.close_down()
        self.difference.close_down()
        self._linked.close()
        self._measured.close()
        self._boxed.close()
        for viewport in self._grid:
            viewport.gl.on_hover = None
        for hand in self._hands.values():
            hand.close()
        for view in self._slices.values():
            view.close()
        self._scissors.close()
        self._space.close()
        self._grid.close_gl()

    def showEvent(self, event: QShowEvent) -> None:
        """Take the screen's pixel ratio."""
        super().showEvent(event)
        self._take_scale()

    def changeEvent(self, event: QEvent) -> None:
        """Draw again in another language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._take_scale()

    def event(self, event: QEvent) -> bool:
        """Follow the screen's pixel ratio."""
        if event.type() == QEvent.Type.DevicePixelRatioChange:
            self._take_scale()
        return super().event(event)

    def _take_scale(self) -> None:
        ratio = self.devicePixelRatioF()
        for view in self._slices.values():
            view.set_scale(ratio)
        self._space.set_scale(ratio)

    def _activate(self, name: ViewName) -> None:
        self._station.viewing.update(active_view=name)

    def _viewing_changed(self, change: ViewChange) -> None:
        if change.touches("active_view"):
            self._grid.set_active(change.new.active_view)
        if change.touches("maximised"):
            self._grid.maximise(change.new.maximised)
        if change.touches("mode"):
            self._show_cursor()
            if change.new.mode is not Mode.EDIT:
                for hand in self._hands.values():
                    hand.put_down()
                    hand.leave()

    def _measuring_changed(self, change: MeasuringChange) -> None:
        if not isinstance(change, DraftChanged):
            self._show_cursor()

    def _tools_changed(self, _: None) -> None:
        self._show_cursor()

    def _show_cursor(self) -> None:
        """The cursor says what the left button does."""
        measuring = self._station.measuring
        wanted: str | Qt.CursorShape = Qt.CursorShape.ArrowCursor
        if self._station.viewing.state.mode is Mode.EDIT:
            tool = self._station.tools.tool
            wanted = Qt.CursorShape.CrossCursor if tool is EditTool.BRUSH else dict(EDIT_ACTIONS)[tool]
        elif measuring.pointed is not None:
            wanted = Qt.CursorShape.PointingHandCursor
        elif measuring.tool is not None:
            wanted = dict(TOOL_ACTIONS)[measuring.tool]
        if wanted == self._cursor:
            return
        self._cursor = wanted
        cursor = tool_cursor(wanted, self) if isinstance(wanted, str) else QCursor(wanted)
        for name in self._slices:
            self._grid[name].gl.setCursor(cursor)
        in_space = cursor if self._scissors.is_in_hand else QCursor(Qt.CursorShape.ArrowCursor)
        self._grid[ViewName.VOLUME].gl.setCursor(in_space)

    @property
    def _shows_pictures(self) -> bool:
        """Whether there is one plane only: pictures have no place in the patient."""
        volume = self._station.workspace.active_volume
        return volume is not None and not volume.is_spatial

    def _workspace_changed(self, change: WorkspaceChange) -> None:
        if isinstance(change, ActiveChanged):
            for hand in self._hands.values():
                hand.put_down()
            self._grid.show_only(ViewName.AXIAL if self._shows_pictures else None)
            if self._shows_pictures:
                self._activate(ViewName.AXIAL)

    def _reviewed(self, _: None) -> None:
        pins = tuple(Pin(one.point, one.text) for one in self._station.reviewing.review.comments)
        for view in self._slices.values():
            view.show_pins(pins)

    def _correction_changed(self, _: None) -> None:
        if not self._station.correction.is_painting:
            self._quiet.start()

    def _hover(self, name: ViewName, pointer: Pointer | None) -> None:
        if self.isActiveWindow():
            self._station.reviewing.attend()
        hand, view = self._hands[name], self._slices[name]
        if pointer is None:
            hand.leave()
            self._probe(None)
            return
        volume = view.volume
        voxel = view.voxel_at(pointer.x, pointer.y) if volume is not None else None
        if volume is None or voxel is None:
            self._probe(None)
            return
        segmentation = self._station.workspace.drawn_segmentation
        segment = segmentation.segment(int(segmentation.labels[voxel])) if segmentation is not None else None
        value = float(volume.voxels[voxel])
        point = view.point_at(pointer.x, pointer.y) if volume.is_spatial else None
        self._probe(Probe(point, voxel[1:], value if np.isfinite(value) else None, volume.unit, segment))
