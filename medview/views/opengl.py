"""What draws here: asked of OpenGL itself, off screen, in a process that may die of it."""

from __future__ import annotations

import multiprocessing
import os
import re
from multiprocessing.connection import Connection

from vtkmodules.vtkCommonCore import vtkLogger
from vtkmodules.vtkRenderingCore import vtkRenderer, vtkRenderWindow
from vtkmodules.vtkRenderingOpenGL2 import vtkOpenGLRenderer

from medview.core.errors import MedViewError
from medview.core.text import Text

_PATIENCE_S = 60.0
_SOFTWARE_RENDERERS = (
    "llvmpipe", "softpipe", "swrast", "software", "gdi generic", "swiftshader", "basic render driver", "lavapipe",
)  # fmt: skip


def renderer_name() -> str:
    """Draw a picture that nobody sees, and name what drew it, as "llvmpipe (LLVM 15.0.6, 256 bits), OpenGL 4.5".

    Where nothing can draw, VTK ends its process; so another process tries.

    Raises:
        MedViewError: Nothing here can draw.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_answer, args=(theirs,), daemon=True)
    child.start()
    theirs.close()
    try:
        name: str = ours.recv() if ours.poll(_PATIENCE_S) else ""
    except EOFError:
        name = ""
    child.kill()
    child.join()
    if not name:
        raise MedViewError(
            Text("OpenGL does not work here."), Text("Install or update the driver of the graphics card, or Mesa.")
        )
    return name


def drawn_by(window: vtkRenderWindow) -> str:
    """What draws into a window whose OpenGL context is current, as `renderer_name` says it; empty when unknown."""
    report = window.ReportCapabilities()
    name = re.search(r"^OpenGL renderer string:\s*(.+)$", report, re.MULTILINE)
    version = re.search(r"^OpenGL version string:\s*(\S+)", report, re.MULTILINE)
    return f"{name.group(1).strip()}, OpenGL {version.group(1)}" if name and version else ""


def is_emulated(name: str) -> bool:
    """Whether a renderer is a program on the processor; one without a name counts as such."""
    return not name or any(part in name.lower() for part in _SOFTWARE_RENDERERS)


def silence() -> None:
    """Keep what VTK has to say about displays off the terminal."""
    vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_OFF)


def _answer(pipe: Connection) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    pipe.send(_drawn_by())


def _drawn_by() -> str:
    window = vtkRenderWindow()
    window.SetOffScreenRendering(True)
    window.SetSize(8, 8)
    renderer: vtkRenderer = vtkOpenGLRenderer()
    window.AddRenderer(renderer)
    window.Render()
    name = drawn_by(window)
    window.Finalize()
    return name
