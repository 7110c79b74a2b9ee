"""How long editing takes: `python tests/benchmarks/editing.py [--json] [--quick]`.

Volumes are compared stroke by stroke in turn, so that whatever else the machine does falls on both.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import SimpleITK
import vtkmodules.vtkRenderingOpenGL2  # noqa: F401 - gives the classes below their body
from vtkmodules.vtkRenderingCore import vtkRenderer, vtkRenderWindow

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from medview.core.geometry import Box, Geometry, Index, Point
from medview.core.planes import Plane
from medview.core.segmentation import LabelsChanged, Segment, Segmentation, SegmentsChanged
from medview.editing import interpolate
from medview.editing.brush import BrushShape
from medview.views.slice_view import SliceView
from medview.workstation.stroke import BrushOptions
from tests.benchmarks.bench import Options, Row, interleave, medians, options, percentile, report
from tests.support import editing_run
from tests.support.editing_run import Station

LARGE: Index = (1000, 512, 512)
SMALL: Index = (100, 256, 256)
FILLED: Index = (400, 512, 512)
SPACING_MM = (1.0, 0.7, 0.7)
RADIUS_MM = 10.0
STROKES = 12
"""For each round."""
FRAME_STROKES = 3
SAMPLES = 25
"""Of the mouse, for each stroke."""
UNDO_LIMIT = 512 * 2**20
VIEW_PX = (788, 488)
MOST_OVER_BARE_MS = 16.0


def station(journals: Path, shape: Index) -> Station:
    """A case with a model's answer of fifty labels, adopted."""
    one = editing_run.station(journals, shape, spacing_mm=SPACING_MM, undo_limit_bytes=UNDO_LIMIT)
    labels = np.empty(shape, dtype=np.uint8)
    columns = (np.arange(shape[2]) // 11 % 51).astype(np.uint8)
    for k in range(shape[0]):
        labels[k] = np.roll(columns, k)
    segments = tuple(Segment(label, f"Structure {label}", (label, 99, 200)) for label in range(1, 51))
    segmentation = Segmentation(one.volume.geometry, labels, segments)
    one.case.add_segmentation(segmentation, on=one.volume.id)
    one.workspace.activate(one.case, one.volume, segmentation)
    one.correction.adopt(segmentation)
    return one


class Painter:
    """Paints strokes that wander over a slice, and keeps the time of every call, in seconds."""

    def __init__(self, one: Station, shape: BrushShape) -> None:
        self.one = one
        self.begins: list[float] = []
        self.dabs: list[float] = []
        self.ends: list[float] = []
        self._rng = np.random.default_rng(11)
        self._options = BrushOptions(shape=shape, radius_mm=RADIUS_MM)
        self.use()

    def use(self) -> None:
        """Take its brush in hand."""
        self.one.correction.set_options(self._options)

    def stroke(self) -> None:
        """One stroke."""
        correction = self.one.correction
        correction.select_segment(int(self._rng.integers(1, 51)))
        where = self._rng.uniform((20, 60, 60), (20, 190, 190))
        self.begins.append(timed(correction.begin_stroke, self.one.at(*where), Plane.AXIAL))
        for _ in range(SAMPLES):
            where[1:] = np.clip(where[1:] + self._rng.uniform(-6, 6, 2), 20, 230)
            self.sample(self.one.at(*where))
        self.ends.append(timed(correction.end_stroke))

    def sample(self, point: tuple[float, float, float]) -> None:
        """One move of the mouse."""
        self.dabs.append(timed(self.one.correction.stroke_to, point))

    def undo_all(self) -> float:
        """Takes some strokes back; the median time of a step."""
        return float(np.median([timed(self.one.correction.undo) for _ in range(STROKES)]))

    def redo_all(self) -> float:
        """Does them again; the median time of a step."""
        return float(np.median([timed(self.one.correction.redo) for _ in range(STROKES)]))


def timed(call: Callable[..., object], *arguments: object) -> float:
    start = time.perf_counter()
    call(*arguments)
    return time.perf_counter() - start


def in_turn(painters: tuple[Painter, ...], strokes: int) -> None:
    """Stroke by stroke; the first stroke of each does not count."""
    for number in range(strokes + 1):
        for painter in painters:
            painter.stroke()
            if not number:
                for times in (painter.begins, painter.dabs, painter.ends):
                    times.clear()


def strokes(folder: Path, shape: BrushShape, opts: Options) -> list[Row]:
    large = Painter(station(folder / f"large {shape}", LARGE), shape)
    small = Painter(station(folder / f"small {shape}", SMALL), shape)
    in_turn((large, small), opts.rounds * STROKES)
    p95, p95_small = (percentile(painter.dabs, 95) * 1e3 for painter in (large, small))
    stroke = float(np.median(large.begins) + SAMPLES * np.median(large.dabs) + np.median(large.ends)) * 1e3
    undo = medians(interleave({"undo": large.undo_all, "redo": large.redo_all}, opts.rounds))
    rows = [Row(f"{shape} of 10 mm, p95", p95, p95_small, "256x256x100", 1.2, "ms")]
    rows += [Row(f"  {name} of a stroke", one * 1e3, stroke, "the stroke", 1.0, "ms") for name, one in undo.items()]
    rows.append(Row("  press, p95", percentile(large.begins, 95) * 1e3, p95, "a sample", None, "ms"))
    rows.append(Row("  release, p95", percentile(large.ends, 95) * 1e3, p95, "a sample", None, "ms"))
    large.one.close()
    small.one.close()
    return rows


class FramePainter(Painter):
    """Paints, and draws the view after every move of the mouse; before that, the view as it is.

    Attributes:
        bare: Times of frames in which nothing changed, in seconds.
    """

    def __init__(self, one: Station) -> None:
        super().__init__(one, BrushShape.DISK)
        self.bare: list[float] = []
        renderer = vtkRenderer()
        self.window = vtkRenderWindow()
        self.window.SetOffScreenRendering(True)
        self.window.SetSize(*VIEW_PX)
        self.window.AddRenderer(renderer)
        self.view = SliceView(renderer, Plane.AXIAL, lambda: None)
        self.view.show(one.volume)
        self.view.set_segmentation(one.segmentation)
        one.viewing.update(cursor=one.at(20, 128, 128))
        self.view.apply(one.viewing.state)
        one.segmentation.changed.connect(self._redraw)

    def sample(self, point: Point) -> None:
        self.bare.append(timed(self.window.Render))
        self.dabs.append(timed(self._move, point))

    def close(self) -> None:
        self.view.close()
        self.window.Finalize()
        self.one.close()

    def _move(self, point: Point) -> None:
        self.one.correction.stroke_to(point)
        self.window.Render()

    def _redraw(self, change: LabelsChanged | SegmentsChanged) -> None:
        if isinstance(change, LabelsChanged):
            self.view.labels_changed(change.box)


def frames(folder: Path, opts: Options) -> list[Row]:
    large = FramePainter(station(folder / "large frames", LARGE))
    small = FramePainter(station(folder / "small frames", SMALL))
    in_turn((large, small), opts.rounds * FRAME_STROKES)
    painted, painted_small, bare = (percentile(one, 95) * 1e3 for one in (large.dabs, small.dabs, large.bare))
    large.close()
    small.close()
    return [
        Row("mouse move to painted frame, p95", painted, bare + MOST_OVER_BARE_MS, "bare frame + 16 ms", 1.0, "ms"),
        Row("  beside the bare frame", painted, bare, "a bare frame", None, "ms"),
        Row("  beside the small volume", painted, painted_small, "256x256x100", 1.2, "ms"),
    ]


def filling(opts: Options) -> Row:
    """A liver-sized segment painted on every fifth slice, against bare distance maps of its painted slices."""
    geometry = Geometry.from_parts(FILLED, SPACING_MM)
    labels = np.zeros(FILLED, dtype=np.uint8)
    rows, columns = np.ogrid[:300, :280]
    for k in range(100, 300, 5):
        size = 1 - ((k - 200) / 110) ** 2
        labels[k, 100:400, 100:380] = ((rows - 150) / 140) ** 2 + ((columns - 140) / 130) ** 2 < size
    box = Box.around(labels)

    def bare() -> None:
        for one in labels[box.slices]:
            if one.any():
                image = SimpleITK.GetImageFromArray(one)
                SimpleITK.SignedMaurerDistanceMap(image, squaredDistance=False, useImageSpacing=True)

    def ours() -> None:
        interpolate.fill_between_slices(labels, geometry, 1, 0)

    found = medians(interleave({"ours": ours, "bare": bare}, opts.rounds))
    return Row("fill between slices", found["ours"], found["bare"], "bare SimpleITK maps", 2.0)


def main() -> int:
    opts = options("How long editing takes.")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for shape in BrushShape:
            rows += strokes(Path(folder), shape, opts)
        rows += frames(Path(folder), opts)
    rows.append(filling(opts))
    return report("Editing 512x512x1000 with 50 labels", rows, opts)


if __name__ == "__main__":
    sys.exit(main())
