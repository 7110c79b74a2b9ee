"""How long editing takes: `python tests/benchmarks/editing.py [--json] [--quick]`."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import SimpleITK

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from medview.core.geometry import Box, Geometry, Index
from medview.core.planes import Plane
from medview.core.segmentation import Segment, Segmentation
from medview.editing import interpolate
from medview.editing.brush import BrushShape
from medview.workstation.stroke import BrushOptions
from tests.benchmarks.bench import Options, Row, interleave, medians, options, percentile, report
from tests.support import editing_run
from tests.support.editing_run import Station

LARGE: Index = (400, 512, 512)
SMALL: Index = (40, 512, 512)
SPACING_MM = (1.0, 0.7, 0.7)
RADIUS_MM = 10.0
STROKES = 12
SAMPLES = 25
UNDO_LIMIT = 512 * 2**20


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
    """Paints strokes that wander over the slice, and keeps the time of every call."""

    def __init__(self, one: Station, shape: BrushShape) -> None:
        self.one = one
        self.begins: list[float] = []
        self.dabs: list[float] = []
        self.ends: list[float] = []
        self._shape = shape
        self._rng = np.random.default_rng(11)

    def paint(self) -> float:
        """Some strokes; the 95th percentile of the time that one sample of the mouse takes."""
        correction = self.one.correction
        correction.set_options(BrushOptions(shape=self._shape, radius_mm=RADIUS_MM))
        dabs: list[float] = []
        for _ in range(STROKES):
            correction.select_segment(int(self._rng.integers(1, 51)))
            where = self._rng.uniform((12, 100, 100), (28, 400, 400))
            self.begins.append(timed(correction.begin_stroke, self.one.at(*where), Plane.AXIAL))
            for _ in range(SAMPLES):
                where[1:] = np.clip(where[1:] + self._rng.uniform(-6, 6, 2), 20, 490)
                point = self.one.at(*where)
                dabs.append(timed(correction.stroke_to, point))
            self.ends.append(timed(correction.end_stroke))
        self.dabs += dabs
        return percentile(dabs, 95)

    def undo_all(self) -> float:
        """Takes the strokes of one round back; the median time of a step."""
        return float(np.median([timed(self.one.correction.undo) for _ in range(STROKES)]))

    def redo_all(self) -> float:
        """Does them again; the median time of a step."""
        return float(np.median([timed(self.one.correction.redo) for _ in range(STROKES)]))


def timed(call: Callable[..., object], *arguments: object) -> float:
    start = time.perf_counter()
    call(*arguments)
    return time.perf_counter() - start


def strokes(folder: Path, opts: Options) -> list[Row]:
    rows = []
    for shape in BrushShape:
        large = Painter(station(folder / f"large {shape}", LARGE), shape)
        small = Painter(station(folder / f"small {shape}", SMALL), shape)
        found = medians(interleave({"large": large.paint, "small": small.paint}, opts.rounds * 3))
        rows.append(Row(f"{shape} of 10 mm, p95", found["large"] * 1e3, found["small"] * 1e3, "40 slices", 1.2, "ms"))
        stroke = np.median(large.begins) + SAMPLES * np.median(large.dabs) + np.median(large.ends)
        undo = medians(interleave({"undo": large.undo_all, "redo": large.redo_all}, opts.rounds))
        for name, value in undo.items():
            rows.append(Row(f"{name} of a {shape} stroke", value * 1e3, float(stroke) * 1e3, "the stroke", 1.0, "ms"))
        rows.append(
            Row("  press, p95", percentile(large.begins, 95) * 1e3, found["large"] * 1e3, "a sample", None, "ms")
        )
        rows.append(
            Row("  release, p95", percentile(large.ends, 95) * 1e3, found["large"] * 1e3, "a sample", None, "ms")
        )
        for painter in (large, small):
            painter.one.close()
    return rows


def filling(opts: Options) -> Row:
    """A liver-sized segment painted on every fifth slice, against the bare distance maps of its painted slices."""
    geometry = Geometry.from_parts(LARGE, SPACING_MM)
    labels = np.zeros(LARGE, dtype=np.uint8)
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
    return Row("fill between slices", found["ours"], found["bare"], "bare SimpleITK maps", None)


def main() -> int:
    opts = options(__doc__ or "")
    with tempfile.TemporaryDirectory() as folder:
        rows = strokes(Path(folder), opts)
    rows.append(filling(opts))
    return report("Editing 512x512x400 with 50 labels", rows, opts)


if __name__ == "__main__":
    sys.exit(main())
