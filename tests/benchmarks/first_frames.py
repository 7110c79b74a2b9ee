"""Programs that benchmarks start in processes of their own, each with a window; each prints one line of JSON.

`bare`: a PySide6 window with one VTK view. `medview`: the window of the program. `open FOLDER`: how many slices of a
series had been read when its first one was on screen, and what the idle window does afterwards. `run FOLDER PLUGIN`:
how long the window keeps its user waiting while a plugin runs, and while none does.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QCoreApplication

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.support import event_loop

if TYPE_CHECKING:
    from medview.ui.main_window import MainWindow
    from medview.workstation.station import Workstation

_IDLE_S = 3.0
_LIMIT_S = 300.0
_BEAT_MS = 5
"""How often the window's events are looked at while a plugin runs."""
_SCROLL_MS = 50
_NOT_READ_HU = -1024
"""What stands in the slices that have not been read yet."""


def bare() -> dict[str, float | bool]:
    """Seconds from the start of the process to the first frame of a bare window."""
    import vtkmodules.vtkRenderingOpenGL2  # noqa: F401 - gives the classes below their body
    from PySide6.QtWidgets import QApplication, QMainWindow
    from vtkmodules.vtkRenderingCore import vtkRenderer

    from medview.ui.gl_widget import GLWidget, use_core_profile

    use_core_profile()
    _app = QApplication([])
    window = QMainWindow()
    view = GLWidget(vtkRenderer())
    window.setCentralWidget(view)
    window.resize(1500, 900)
    window.show()
    _until(lambda: view.frames > 0)
    return {"seconds": _age(), "torch": "torch" in sys.modules}


def medview() -> dict[str, float | bool]:
    """Seconds from the start of the process to the first picture of the program's window."""
    window, _, app = _window(Path(tempfile.mkdtemp()))

    window.show()
    _until(lambda: window.windowHandle().isExposed())
    app.processEvents()
    return {"seconds": _age(), "torch": "torch" in sys.modules}


def opening(folder: Path) -> dict[str, float | bool]:
    """Slices read when the first one was on screen; then frames and processor time of the idle window."""
    import numpy as np

    from medview.ui.reading_room import ReadingRoom
    from medview.workstation.view_state import ViewName

    window, station, _ = _window(Path(tempfile.mkdtemp()))
    window.show()
    room = window.findChild(ReadingRoom)
    assert isinstance(room, ReadingRoom)
    workspace = station.workspace
    read: list[int] = []

    def on_screen() -> None:
        volume = workspace.active_volume
        if volume is not None and not read:
            read.append(int(np.any(volume.voxels[:, ::7, ::7] != _NOT_READ_HU, axis=(1, 2)).sum()))

    room.grid[ViewName.AXIAL].gl.frameSwapped.connect(on_screen)
    window.open_paths([folder])
    _until(lambda: bool(read) and not station.jobs.open_jobs)
    event_loop.run_for(2.0)
    frames, busy = sum(viewport.gl.frames for viewport in room.grid), time.process_time()
    event_loop.run_for(_IDLE_S)
    idle = {
        "frames": sum(viewport.gl.frames for viewport in room.grid) - frames,
        "processor": (time.process_time() - busy) / _IDLE_S,
    }
    window.close()
    return {"slices": float(read[0]), **idle}


def running(folder: Path, plugin: Path) -> dict[str, float | bool]:
    """Seconds between turns of the event loop, longest and 99 of 100, while slices are scrolled and a plugin runs.

    The times "without" are those of as long a time before it runs.
    """
    import numpy as np
    from PySide6.QtCore import QTimer

    from medview.workstation.jobs import JobState
    from medview.workstation.view_state import ViewName

    home = Path(tempfile.mkdtemp())
    shutil.copytree(plugin, home / "plugins" / "bench")
    window, station, _ = _window(home)
    window.show()
    window.open_paths([folder])
    _until(lambda: station.workspace.active_volume is not None and not station.jobs.open_jobs)
    volume = station.workspace.active_volume
    assert volume is not None
    slices = volume.geometry.shape[0]
    beats: list[float] = []
    step = 0

    def scroll() -> None:
        nonlocal step
        step += 1
        place = volume.geometry.to_patient(np.array([step % slices, 256.0, 256.0]))
        station.viewing.update(cursor=(float(place[0]), float(place[1]), float(place[2])), active_view=ViewName.AXIAL)

    heart, wheel = QTimer(), QTimer()
    heart.timeout.connect(lambda: beats.append(time.perf_counter()))
    wheel.timeout.connect(scroll)
    heart.start(_BEAT_MS)
    wheel.start(_SCROLL_MS)
    event_loop.run_for(_IDLE_S)
    without = np.diff(beats)

    def run_once() -> tuple[Any, bool]:
        job = station.analysis.run("bench", anew=True)
        beats.clear()
        _until(lambda: job.state.is_final)
        return np.diff(beats), job.state is JobState.DONE

    # the first run of a program imports torch, too
    (first, first_done), (during, done) = run_once(), run_once()
    window.close()
    return {
        "seconds": float(during.sum()),
        "longest": float(during.max()),
        "most": float(np.percentile(during, 99)),
        "longest of first": float(first.max()),
        "longest without": float(without.max()),
        "most without": float(np.percentile(without, 99)),
        "done": first_done and done,
    }


def _window(home: Path) -> tuple[MainWindow, Workstation, QCoreApplication]:
    # These imports are part of what is measured.
    from medview.app import application
    from medview.ui.main_window import MainWindow
    from medview.ui.qt_main_queue import QtMainQueue
    from medview.ui.theme import DARK, apply_theme
    from medview.workstation.station import Workstation

    app = application()
    apply_theme(app, DARK)
    station = Workstation(home)
    window = MainWindow(station, lambda _settings: None)
    QtMainQueue(station.queue, window)
    return window, station, app


def _until(done: Callable[[], bool]) -> None:
    event_loop.run_until(done, _LIMIT_S, every_s=0.001)


def _age() -> float:
    """Seconds since this process was started (Linux)."""
    with Path("/proc/self/stat").open(encoding="ascii") as stat:
        ticks = int(stat.read().rsplit(")", 1)[1].split()[19])
    with Path("/proc/uptime").open(encoding="ascii") as uptime:
        return float(uptime.read().split()[0]) - ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    kind, *rest = sys.argv[1:]
    programs: dict[str, Callable[..., dict[str, float | bool]]] = {
        "bare": bare, "medview": medview, "open": opening, "run": running,
    }  # fmt: skip
    result = programs[kind](*map(Path, rest))
    sys.stdout.write(json.dumps(result) + "\n")
    sys.stdout.flush()
    os._exit(0)
