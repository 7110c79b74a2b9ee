"""The four views, two by two, one large, or one alone. Views are shown, hidden and resized, never reparented."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum

from PySide6.QtWidgets import QGridLayout, QWidget

from medview.ui.viewport import Viewport
from medview.workstation.view_state import ViewName

_GAP_PX = 2
_SMALL_VIEWS = 3
_FOUR = (ViewName.AXIAL, ViewName.CORONAL, ViewName.SAGITTAL, ViewName.VOLUME)
"""Row by row."""


class Arrangement(StrEnum):
    """How the four views share the middle of the window."""

    FOUR = "four"
    ONE_LARGE = "one-large"


class ViewportGrid(QWidget):
    """Holds the four viewports."""

    def __init__(self, on_press: Callable[[ViewName], None], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._arrangement = Arrangement.FOUR
        self._maximised: ViewName | None = None
        self._only: ViewName | None = None
        self._large = ViewName.AXIAL
        self._viewports = {name: Viewport(name, on_press, self) for name in ViewName}
        self._layout = QGridLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(_GAP_PX)
        self._place()

    def __iter__(self) -> Iterator[Viewport]:
        return iter(self._viewports.values())

    def __getitem__(self, name: ViewName) -> Viewport:
        return self._viewports[name]

    @property
    def arrangement(self) -> Arrangement:
        """How the views share the room."""
        return self._arrangement

    def arrange(self, arrangement: Arrangement, large: ViewName | None = None) -> None:
        """Share the room otherwise; `large` is the view that gets most of it."""
        self._arrangement = arrangement
        self._large = large or self._large
        self._place()

    def maximise(self, name: ViewName | None) -> None:
        """Show one view alone, or with None all of them."""
        self._maximised = name
        self._show()

    def show_only(self, name: ViewName | None) -> None:
        """Leave out every view but one, because the others have nothing to show; None brings them back."""
        self._only = name
        self._show()

    def set_active(self, name: ViewName) -> None:
        """Frame the view that keys go to."""
        for viewport in self:
            viewport.set_active(viewport.name is name)

    def close_gl(self) -> None:
        """Give back the OpenGL resources of all views."""
        for viewport in self:
            viewport.close_gl()

    def _show(self) -> None:
        name = self._only or self._maximised
        self._place()
        for viewport in self:
            viewport.setVisible(name is None or viewport.name is name)

    def _place(self) -> None:
        for viewport in self:
            self._layout.removeWidget(viewport)
        alone = self._only or self._maximised
        if alone is not None:
            # Rows and columns with a stretch keep their room also when nothing in them is shown.
            self._layout.addWidget(self._viewports[alone], 0, 0)
            self._stretch(rows=(1, 0, 0), columns=(1, 0))
        elif self._arrangement is Arrangement.FOUR:
            for number, name in enumerate(_FOUR):
                self._layout.addWidget(self._viewports[name], number // 2, number % 2)
            self._stretch(rows=(1, 1, 0), columns=(1, 1))
        else:
            small = [viewport for viewport in self if viewport.name is not self._large]
            self._layout.addWidget(self._viewports[self._large], 0, 0, _SMALL_VIEWS, 1)
            for row, viewport in enumerate(small):
                self._layout.addWidget(viewport, row, 1)
            self._stretch(rows=(1, 1, 1), columns=(3, 1))

    def _stretch(self, rows: tuple[int, ...], columns: tuple[int, ...]) -> None:
        for row, share in enumerate(rows):
            self._layout.setRowStretch(row, share)
        for column, share in enumerate(columns):
            self._layout.setColumnStretch(column, share)
