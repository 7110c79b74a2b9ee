"""The bar at the top: open, the two modes, windows, layout, undo, help."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import QMenu, QSizePolicy, QToolBar, QToolButton, QWidget

from medview.core.text import Text
from medview.core.volume import Volume, Window
from medview.ui.actions import Actions
from medview.ui.measuring_desk import TOOL_ACTIONS
from medview.ui.theme import icon, set_role
from medview.ui.translation import render
from medview.ui.viewport_grid import Arrangement
from medview.workstation import presets
from medview.workstation.view_state import Viewing, ViewName

_LARGE = (
    (ViewName.AXIAL, Text("Axial large")),
    (ViewName.CORONAL, Text("Coronal large")),
    (ViewName.SAGITTAL, Text("Sagittal large")),
    (ViewName.VOLUME, Text("3D large")),
)

MEASURE_TOOLS = tuple(id for _, id in TOOL_ACTIONS)


class ToolBar(QToolBar):
    """Buttons and menus; what they do is said by the actions and by the callables.

    Args:
        actions: The table of actions.
        viewing: Changed by the menus.
        arrange: Lays the views out.
    """

    def __init__(
        self,
        actions: Actions,
        viewing: Viewing,
        arrange: Callable[[Arrangement, ViewName | None], None],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._entries = actions
        self._viewing = viewing
        self._arrange = arrange
        self._volume: Volume | None = None
        self._tool = MEASURE_TOOLS[0]
        self.setMovable(False)
        self.setIconSize(QSize(18, 18))
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.PreventContextMenu)
        self._open = self._menu_button(("open-folder", "open-files", "archive", "sample"))
        self._open.clicked.connect(actions["open-folder"].trigger)
        self.addSeparator()
        self._modes = [self._mode_button("view"), self._mode_button("edit")]
        modes = QActionGroup(self)
        for id in ("view", "edit"):
            modes.addAction(actions[id])
        self.addSeparator()
        self._window, self._windows = self._popup(self._fill_windows)
        self._layout_button, self._layouts = self._popup(self._fill_layouts)
        self._space, self._looks = self._popup(self._fill_looks)
        self.addSeparator()
        self._measure = self._menu_button((*MEASURE_TOOLS, "", "delete-measurement", "copy-measurements"))
        self._measure.setCheckable(True)
        self._measure.setEnabled(False)
        self._measure.clicked.connect(lambda: actions[self._tool].trigger())
        for tool in MEASURE_TOOLS:
            actions[tool].toggled.connect(self._show_tool)
        self.addSeparator()
        for id in ("reset", "invert", "masks", "annotations"):
            self._icon_button(actions[id])
        self.addSeparator()
        for id in ("undo", "redo"):
            self._icon_button(actions[id])
        stretch = QWidget()
        stretch.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.addWidget(stretch)
        for id in ("settings", "help"):
            self._icon_button(actions[id])
        self.write()

    def show_volume(self, volume: Volume | None) -> None:
        """Offer what suits this volume."""
        self._volume = volume
        for button in (self._window, self._space, self._layout_button, self._measure):
            button.setEnabled(volume is not None)

    def write(self) -> None:
        """Put the words into the present language and theme."""
        self._open.setText(self.tr("Open"))
        self._open.setIcon(icon("folder-open-outline"))
        for button, text in zip(self._modes, (self.tr("View"), self.tr("Edit")), strict=True):
            button.setText(text)
        self._measure.setText(self.tr("Measure"))
        self._show_tool()
        self._window.setText(self.tr("Window"))
        self._window.setToolTip(self.tr("Window presets, keys 1 to 9 and 0"))
        self._layout_button.setText(self.tr("Layout"))
        self._layout_button.setToolTip(self.tr("How the views share the room"))
        self._space.setText(self.tr("3D"))
        self._space.setToolTip(self.tr("How the 3D view shows the image"))

    def changeEvent(self, event: QEvent) -> None:
        """Follow language and theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.LanguageChange, QEvent.Type.PaletteChange) and hasattr(self, "_space"):
            self.write()

    def _menu_button(self, ids: Sequence[str]) -> QToolButton:
        button = QToolButton()
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        button.setPopupMode(QToolButton.ToolButtonPopupMode.MenuButtonPopup)
        menu = QMenu(button)
        for id in ids:
            if id:
                menu.addAction(self._entries[id])
            else:
                menu.addSeparator()
        button.setMenu(menu)
        self.addWidget(button)
        return button

    def _show_tool(self) -> None:
        """The button wears the tool in hand, and takes the one that was in hand last."""
        in_hand = next((id for id in MEASURE_TOOLS if self._entries[id].isChecked()), None)
        self._tool = in_hand or self._tool
        action = self._entries[self._tool]
        self._measure.setIcon(action.icon())
        self._measure.setToolTip(action.toolTip())
        self._measure.setChecked(in_hand is not None)

    def _mode_button(self, id: str) -> QToolButton:
        button = QToolButton()
        button.setCheckable(True)
        set_role(button, "mode")
        action = self._entries[id]
        button.clicked.connect(action.trigger)

        def follow() -> None:
            button.setChecked(action.isChecked())
            button.setToolTip(action.toolTip())

        action.changed.connect(follow)
        follow()
        self.addWidget(button)
        return button

    def _icon_button(self, action: QAction) -> None:
        button = QToolButton()
        button.setDefaultAction(action)
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonIconOnly)
        self.addWidget(button)

    def _popup(self, fill: Callable[[QMenu], None]) -> tuple[QToolButton, QMenu]:
        button = QToolButton()
        button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        button.setEnabled(False)
        menu = QMenu(button)

        def renew() -> None:
            menu.clear()
            fill(menu)

        menu.aboutToShow.connect(renew)
        button.setMenu(menu)
        self.addWidget(button)
        return button, menu

    def _fill_windows(self, menu: QMenu) -> None:
        volume = self._volume
        if volume is None:
            return
        for preset in presets.windows(volume.modality):
            text = f"{render(Text(preset.name))}   {preset.width:.0f} / {preset.center:.0f}"
            self._add_window(menu, f"{text}\t{preset.key}" if preset.key else text, preset.window)
        if volume.windows:
            menu.addSeparator()
        for number, window in enumerate(volume.windows):
            text = self.tr("As stored in the file") + f"   {window.width:.0f} / {window.center:.0f}"
            self._add_window(menu, f"{text}\t0" if number == 0 else text, window)

    def _add_window(self, menu: QMenu, text: str, window: Window) -> None:
        action = menu.addAction(text)
        action.setCheckable(True)
        action.setChecked(self._viewing.state.window == window)
        action.triggered.connect(lambda _checked=False: self._viewing.update(window=window))

    def _fill_layouts(self, menu: QMenu) -> None:
        four = menu.addAction(self.tr("Four views"))
        four.triggered.connect(lambda _checked=False: self._arrange(Arrangement.FOUR, None))
        for name, text in _LARGE:
            action = menu.addAction(render(text))
            action.triggered.connect(lambda _checked=False, large=name: self._arrange(Arrangement.ONE_LARGE, large))

    def _fill_looks(self, menu: QMenu) -> None:
        volume, viewing = self._volume, self._viewing
        if volume is None:
            return
        shown = menu.addAction(self.tr("Show the image"))
        shown.setCheckable(True)
        shown.setChecked(viewing.state.volume_rendered)
        shown.triggered.connect(lambda on: viewing.update(volume_rendered=on))
        menu.addSeparator()
        current = presets.ray_cast_preset(volume, viewing.state.volume_preset)
        for preset in presets.ray_casting(volume):
            action = menu.addAction(preset.name)
            action.setCheckable(True)
            action.setChecked(preset.id == current.id)
            action.triggered.connect(lambda _checked=False, id=preset.id: viewing.update(volume_preset=id))
