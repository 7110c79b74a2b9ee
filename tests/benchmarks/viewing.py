"""How long viewing takes: `python tests/benchmarks/viewing.py [--json] [--quick]`.

Every frame is compared with a bare one of the same view, in which nothing changed, drawn right before it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import vtkmodules.vtkRenderingOpenGL2  # noqa: F401 - gives the classes below their body
from vtkmodules.vtkRenderingCore import vtkRenderer, vtkRenderWindow

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from medview.core.geometry import Geometry, Index
from medview.core.planes import Plane
from medview.core.segmentation import Segment, Segmentation
from medview.core.volume import Modality, Volume, VolumeId, Window
from medview.views import snapshot
from medview.views.slice_view import SliceView
from medview.workstation.view_state import ViewState
from tests.benchmarks.bench import Options, Row, interleave, medians, options, percentile, report, series_folder

SHAPE: Index = (300, 512, 512)
QUICK_SHAPE: Index = (60, 512, 512)
SPACING_MM = (1.0, 0.7, 0.7)
VIEW_PX = (788, 488)
FRAMES = 40
"""For each round."""
STARTS = 3
"""For each round: a process that starts is disturbed by whatever else the machine does."""
LIMIT = 3.0
"""A frame of another slice is cut out of the volume and sent to the card; a bare one only drawn."""


def ct(shape: Index) -> Volume:
    """(k, j, i) int16, HU: noise with a bright body, different in every slice."""
    rng = np.random.default_rng(1)
    noise = rng.integers(-60, 60, shape[1:]).astype(np.int16)
    rows, columns = np.mgrid[: shape[1], : shape[2]]
    body = ((rows - 256) / 180) ** 2 + ((columns - 256) / 220) ** 2 < 1
    plane = np.where(body, 40, -1000).astype(np.int16) + noise
    voxels = np.stack([np.roll(plane, k, axis=1) for k in range(shape[0])])
    return Volume(VolumeId("viewing"), Geometry.from_parts(shape, SPACING_MM), voxels, Modality.CT, "HU", "1.2.3")


class Bench:
    """One slice view off screen, that counts the frames it asks for."""

    def __init__(self, volume: Volume, plane: Plane) -> None:
        self.requested = 0
        self.volume = volume
        self.window = vtkRenderWindow()
        self.window.SetOffScreenRendering(True)
        self.window.SetMultiSamples(0)
        self.window.SetSize(*VIEW_PX)
        renderer = vtkRenderer()
        self.window.AddRenderer(renderer)
        self.view = SliceView(renderer, plane, self._request)
        self.view.show(volume)
        self.state = ViewState(cursor=volume.geometry.center_mm)
        self.view.apply(self.state)
        self.window.Render()

    def frame(self) -> float:
        """Seconds of one frame."""
        start = time.perf_counter()
        self.window.Render()
        return time.perf_counter() - start

    def changed(self, state: ViewState) -> float:
        """Seconds from a change of the state to its frame."""
        start = time.perf_counter()
        self.state = state
        self.view.apply(self.state)
        self.window.Render()
        return time.perf_counter() - start

    def next_window(self) -> float:
        """Seconds from a drag of the mouse to its frame."""
        window = self.state.window
        return self.changed(replace(self.state, window=Window(-window.center, window.width + 1)))

    def next_slice(self) -> float:
        """Seconds from a turn of the wheel to its frame."""
        geometry = self.volume.geometry
        index = geometry.to_index(self.state.cursor)
        size = np.asarray(geometry.shape)
        x, y, z = (float(value) for value in geometry.to_patient((index + 1) % (size - 1)))
        return self.changed(replace(self.state, cursor=(x, y, z)))

    def close(self) -> None:
        self.view.close()
        self.window.Finalize()

    def _request(self) -> None:
        self.requested += 1


def compared(name: str, one: Bench, change: Callable[[], float], opts: Options) -> list[Row]:
    """Frames after changes and bare ones, in turn."""
    bare, changed = [], []
    for _ in range(opts.rounds * FRAMES):
        bare.append(one.frame())
        changed.append(change())
    rows = []
    for label, percent in (("median", 50.0), ("p95", 95.0)):
        measured, reference = percentile(changed, percent) * 1e3, percentile(bare, percent) * 1e3
        rows.append(Row(f"{name}, {label}", measured, reference, "a bare frame", LIMIT, "ms"))
    return rows


def idle(one: Bench) -> Row:
    """Frames that are asked for while nothing changes."""
    one.window.Render()
    before = one.requested
    for _ in range(5):
        one.view.apply(replace(one.state))
        one.window.Render()
    asked = one.requested - before
    return Row("idle, frames asked for", 1.0 + asked, 1.0, "one more than none", 1.0, "frames")


def window_rows(opts: Options) -> list[Row]:
    """The real window, in processes of its own; needs a display (`xvfb-run` gives one)."""
    program = str(Path(__file__).with_name("first_frames.py"))

    def run(*arguments: str) -> dict[str, float]:
        done = subprocess.run([sys.executable, program, *arguments], check=True, capture_output=True, text=True)
        answer: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
        return answer

    torch = []

    def start(kind: str) -> float:
        answer = run(kind)
        torch.append(answer["torch"])
        return answer["seconds"]

    runs = {kind: partial(start, kind) for kind in ("bare", "medview")}
    seconds = medians(interleave(runs, opts.rounds * STARTS))
    folder = series_folder(opts)
    slices = len(list(folder.iterdir()))
    opened = run("open", str(folder))
    return [
        Row("window on screen", seconds["medview"], seconds["bare"], "PySide6 with one VTK view", 2.0),
        Row("processes that imported torch", 1.0 + sum(torch), 1.0, "one more than none", 1.0, ""),
        Row("slices read at the first frame", opened["slices"], float(slices), "slices of the series", 0.1, ""),
        Row("idle window, frames", 1.0 + opened["frames"], 1.0, "one more than none", 1.0, ""),
        Row("idle window, share of a processor", opened["processor"], 1.0, "one processor", 0.01, ""),
    ]


def main() -> int:
    opts = options("How long viewing takes.")
    volume = ct(QUICK_SHAPE if opts.quick else SHAPE)
    rows: list[Row] = []
    for plane in Plane:
        one = Bench(volume, plane)
        rows += compared(f"scroll, {plane.value}", one, one.next_slice, opts)
        one.close()
    one = Bench(volume, Plane.AXIAL)
    rows += compared("window", one, one.next_window, opts)
    labels = np.zeros(volume.geometry.shape, dtype=np.uint8)
    labels[:, 100:400, 100:400] = 1
    one.view.set_segmentation(Segmentation(volume.geometry, labels, (Segment(1, "Body", (200, 90, 60)),)))
    one.frame()
    rows += compared("scroll with labels, axial", one, one.next_slice, opts)
    rows.append(idle(one))
    bare = float(np.median([one.frame() for _ in range(FRAMES)]))
    one.close()
    start = time.perf_counter()
    snapshot.four_views(volume)
    rows.append(Row("four views", (time.perf_counter() - start) * 1e3, bare * 1e3, "a bare frame", None, "ms"))
    if os.environ.get("DISPLAY") or sys.platform != "linux":
        rows += window_rows(opts)
    else:
        sys.stderr.write("No display: the window is not measured. Start with xvfb-run.\n")
    shape = "x".join(str(n) for n in reversed(volume.geometry.shape))
    return report(f"Viewing {shape} int16 in {VIEW_PX[0]}x{VIEW_PX[1]}", rows, opts)


if __name__ == "__main__":
    sys.exit(main())
