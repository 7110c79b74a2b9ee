"""One view of the window: a VTK renderer in a thin frame that shows whether keys go to it."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget
from vtkmodules.vtkRenderingCore import vtkRenderer

from medview.ui.gl_widget import GLWidget
from medview.ui.theme import PLANE_COLORS
from medview.workstation.view_state import ViewName

_FRAME_PX = 2


class Viewport(QWidget):
    """The frame, the OpenGL widget in it, and the renderer that the widget shows."""

    def __init__(self, name: ViewName, on_press: Callable[[ViewName], None], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.name = name
        self.renderer = vtkRenderer()
        self.renderer.SetBackground(0.0, 0.0, 0.0)
        self.gl = GLWidget(self.renderer, self)
        self.gl.on_press = lambda: on_press(name)
        self.gl.setObjectName(f"view-{name.value}")
        self._active = False
        layout = QVBoxLayout(self)
        layout.setContentsMargins(_FRAME_PX, _FRAME_PX, _FRAME_PX, _FRAME_PX)
        layout.addWidget(self.gl)
        self.setFocusProxy(self.gl)

    def set_active(self, active: bool) -> None:
        """Show, or no longer show, that keys go to this view."""
        if active != self._active:
            self._active = active
            self.update()

    def close_gl(self) -> None:
        """Give back the OpenGL resources."""
        self.gl.close_gl()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw the frame."""
        painter = QPainter(self)
        color = QColor(PLANE_COLORS[self.name])
        if not self._active:
            color.setAlphaF(0.25)
        painter.fillRect(self.rect(), QColor("black"))
        painter.fillRect(self.rect(), color)
        painter.fillRect(self.rect().adjusted(_FRAME_PX, _FRAME_PX, -_FRAME_PX, -_FRAME_PX), QColor("black"))
        painter.end()
