"""A Qt widget that shows a VTK renderer.

VTK draws into its own framebuffer, inside `paintGL` and nowhere else, and the result is copied into Qt's. The OpenGL
context is Qt's: VTK is told about it, answers to it, and gives back its resources before Qt takes it away.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from PySide6.QtCore import QEvent, QPointF, QSize, Qt
from PySide6.QtGui import QEnterEvent, QMouseEvent, QOpenGLContext, QSurface, QSurfaceFormat, QWheelEvent
from PySide6.QtOpenGLWidgets import QOpenGLWidget
from PySide6.QtWidgets import QSizePolicy, QWidget
from vtkmodules.vtkCommonCore import vtkCommand, vtkObject
from vtkmodules.vtkRenderingCore import vtkRenderer
from vtkmodules.vtkRenderingOpenGL2 import vtkGenericOpenGLRenderWindow

from medview.views.pointer import Button, Pointer

_COLOR_BUFFER_BIT = 0x4000
_NEAREST = 0x2600
_LESS_OR_EQUAL = 0x0203
_DRAW_FRAMEBUFFER = 0x8CA9
_READ_FRAMEBUFFER = 0x8CA8
_POINTS_PER_INCH = 72
_DEGREES_PER_NOTCH = 120
_BUTTONS = {
    Qt.MouseButton.LeftButton: Button.LEFT,
    Qt.MouseButton.RightButton: Button.RIGHT,
    Qt.MouseButton.MiddleButton: Button.MIDDLE,
}


class PointerTarget(Protocol):
    """What the mouse acts on."""

    def press(self, pointer: Pointer) -> None:
        """A button went down."""

    def move(self, pointer: Pointer) -> None:
        """The mouse moved, with or without a button."""

    def release(self, pointer: Pointer) -> None:
        """The button went up."""

    def wheel(self, pointer: Pointer, steps: int) -> None:
        """The wheel turned by notches; positive away from the user."""

    def double_click(self, pointer: Pointer) -> None:
        """A button was pressed twice."""


def use_core_profile() -> None:
    """Ask for OpenGL 3.2 core in every window to come. Call once, before the first window is made."""
    wanted = QSurfaceFormat()
    wanted.setRenderableType(QSurfaceFormat.RenderableType.OpenGL)
    wanted.setProfile(QSurfaceFormat.OpenGLContextProfile.CoreProfile)
    wanted.setVersion(3, 2)
    wanted.setSamples(0)
    wanted.setDepthBufferSize(0)
    wanted.setStencilBufferSize(0)
    QSurfaceFormat.setDefaultFormat(wanted)


class _ContextOfQt:
    """A VTK render window that lives in a context of Qt's. Not a Qt object: it outlives its widget's last moments."""

    def __init__(self) -> None:
        self.window = vtkGenericOpenGLRenderWindow()
        self.window.SetOwnContext(False)
        self.window.SetFrameBlitModeToNoBlit()
        self.window.SetMultiSamples(0)
        self.window.SetReadyForRendering(False)
        self._thread = threading.get_ident()
        self._context: QOpenGLContext | None = None
        self._surface: QSurface | None = None
        self._observers = [
            self.window.AddObserver(vtkCommand.WindowMakeCurrentEvent, self._make_current),
            self.window.AddObserver(vtkCommand.WindowIsCurrentEvent, self._tell_current),
        ]

    def adopt_current(self) -> None:
        """Draw in the context that is current now."""
        self._context = QOpenGLContext.currentContext()
        self._surface = self._context.surface()
        self._context.aboutToBeDestroyed.connect(self.release, Qt.ConnectionType.DirectConnection)
        self.window.SetIsDirect(1)
        self.window.SetSupportsOpenGL(1)
        self.window.SetReadyForRendering(True)
        self.window.SetForceMakeCurrent()
        self.window.OpenGLInit()

    def release(self) -> None:
        """Give back everything that VTK holds in the context. A second call does nothing."""
        context, surface = self._context, self._surface
        self.window.SetReadyForRendering(False)
        if context is None or surface is None:
            return
        context.aboutToBeDestroyed.disconnect(self.release)
        if context.makeCurrent(surface):
            self.window.Finalize()
            context.doneCurrent()
        self._context = self._surface = None

    def close(self) -> None:
        """End for good."""
        self.release()
        for observer in self._observers:
            self.window.RemoveObserver(observer)
        self._observers.clear()

    def _make_current(self, _caller: vtkObject, _event: str) -> None:
        # Qt ends the program when a context is made current in a foreign thread.
        if self._context is not None and self._surface is not None and threading.get_ident() == self._thread:
            self._context.makeCurrent(self._surface)

    def _tell_current(self, _caller: vtkObject, _event: str) -> None:
        self.window.SetIsCurrent(self._context is not None and QOpenGLContext.currentContext() == self._context)


class GLWidget(QOpenGLWidget):
    """Shows one renderer and hands mouse and wheel on in device pixels, origin bottom left.

    Attributes:
        frames: How many frames were drawn.
    """

    def __init__(self, renderer: vtkRenderer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.renderer = renderer
        self.frames = 0
        self.target: PointerTarget | None = None
        self.on_press: Callable[[], None] | None = None
        self.on_hover: Callable[[Pointer | None], None] | None = None
        self._vtk = _ContextOfQt()
        self._vtk.window.AddRenderer(renderer)
        self._wheel_rest = 0
        self._closed = False
        self.setUpdateBehavior(QOpenGLWidget.UpdateBehavior.NoPartialUpdate)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setMinimumSize(80, 80)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    @property
    def render_window(self) -> vtkGenericOpenGLRenderWindow:
        """VTK's window."""
        return self._vtk.window

    def device_size(self) -> tuple[int, int]:
        """Width and height in device pixels, of this widget on its own screen."""
        ratio = self.devicePixelRatioF()
        return max(1, round(self.width() * ratio)), max(1, round(self.height() * ratio))

    def request_frame(self) -> None:
        """Draw soon; several requests make one frame."""
        if not self._closed:
            self.update()

    def close_gl(self) -> None:
        """Give back the OpenGL resources, before Qt takes the context away."""
        if not self._closed:
            self._closed = True
            self.target = self.on_press = self.on_hover = None
            self._vtk.window.RemoveRenderer(self.renderer)
            self._vtk.close()

    def sizeHint(self) -> QSize:
        """A size to start from."""
        return QSize(480, 360)

    def initializeGL(self) -> None:
        """Let VTK know the context."""
        if not self._closed:
            self._vtk.adopt_current()

    def paintGL(self) -> None:
        """Draw one frame and copy it into Qt's framebuffer."""
        width, height = self.device_size()
        # The widget's own `context()` must not be asked: its wrapper dies before the context does, and takes
        # `release` along.
        functions = QOpenGLContext.currentContext().extraFunctions()
        window = self._vtk.window
        if self._closed or not window.GetReadyForRendering():
            functions.glClearColor(0.0, 0.0, 0.0, 1.0)
            functions.glClear(_COLOR_BUFFER_BIT)
            return
        window.SetDPI(round(_POINTS_PER_INCH * self.devicePixelRatioF()))
        window.SetSize(width, height)
        state = window.GetState()
        state.Reset()
        state.Push()
        # What is drawn later lies on top, as in a window of VTK's own; `Reset` has set what OpenGL starts with.
        state.vtkglDepthFunc(_LESS_OR_EQUAL)
        window.Render()
        state.Pop()
        self.frames += 1
        target = self.defaultFramebufferObject()
        functions.glBindFramebuffer(_READ_FRAMEBUFFER, window.GetDisplayFramebuffer().GetFBOIndex())
        functions.glBindFramebuffer(_DRAW_FRAMEBUFFER, target)
        functions.glBlitFramebuffer(0, 0, width, height, 0, 0, width, height, _COLOR_BUFFER_BIT, _NEAREST)
        functions.glBindFramebuffer(_READ_FRAMEBUFFER, target)
        # An alpha below 1 would let the window behind shine through.
        functions.glColorMask(0, 0, 0, 1)
        functions.glClearColor(0.0, 0.0, 0.0, 1.0)
        functions.glClear(_COLOR_BUFFER_BIT)
        functions.glColorMask(1, 1, 1, 1)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Hand a press on."""
        if self.on_press is not None:
            self.on_press()
        if self.target is not None and event.button() in _BUTTONS:
            self.target.press(self._pointer(event, event.button()))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Hand a move on, and tell where the mouse is."""
        held = next((button for button in _BUTTONS if event.buttons() & button), Qt.MouseButton.NoButton)
        pointer = self._pointer(event, held)
        if self.target is not None:
            self.target.move(pointer)
        if self.on_hover is not None:
            self.on_hover(pointer)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Hand a release on."""
        if self.target is not None and event.button() in _BUTTONS:
            self.target.release(self._pointer(event, event.button()))

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Hand a double click on."""
        if self.target is not None and event.button() in _BUTTONS:
            self.target.double_click(self._pointer(event, event.button()))

    def enterEvent(self, event: QEnterEvent) -> None:
        """Tell where the mouse is."""
        pointer = self._pointer(event, Qt.MouseButton.NoButton)
        if self.target is not None:
            self.target.move(pointer)
        if self.on_hover is not None:
            self.on_hover(pointer)

    def leaveEvent(self, event: QEvent) -> None:
        """Tell that the mouse is gone."""
        if self.on_hover is not None:
            self.on_hover(None)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Hand whole notches on; what touchpads send in crumbs is gathered."""
        # Some platforms turn the wheel sideways while Alt or Shift is held.
        delta = event.angleDelta().y() or event.angleDelta().x()
        if delta * self._wheel_rest < 0:
            self._wheel_rest = 0
        self._wheel_rest += delta
        steps = int(self._wheel_rest / _DEGREES_PER_NOTCH)
        self._wheel_rest -= steps * _DEGREES_PER_NOTCH
        if steps and self.target is not None:
            self.target.wheel(self._pointer(event, Qt.MouseButton.NoButton), steps)
        event.accept()

    def _pointer(self, event: QMouseEvent | QWheelEvent | QEnterEvent, button: Qt.MouseButton) -> Pointer:
        x, y = self._device_point(event.position())
        keys = event.modifiers()
        return Pointer(
            x,
            y,
            _BUTTONS.get(button, Button.NONE),
            shift=bool(keys & Qt.KeyboardModifier.ShiftModifier),
            ctrl=bool(keys & Qt.KeyboardModifier.ControlModifier),
            alt=bool(keys & Qt.KeyboardModifier.AltModifier),
        )

    def _device_point(self, position: QPointF) -> tuple[float, float]:
        ratio = self.devicePixelRatioF()
        return position.x() * ratio, self.device_size()[1] - 1 - position.y() * ratio
