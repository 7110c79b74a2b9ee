"""Changes of a whole segment on 512x512x400: `python tests/benchmarks/whole_segments.py [--json] [--quick]`.

Each is compared with the bare SimpleITK filter on the box that it touches, in turn. Beside that: how long the window
stands still for it, and how soon a surface follows an edit.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import SimpleITK
from numpy.typing import NDArray
from vtkmodules.vtkCommonDataModel import vtkPolyData

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from medview.core.geometry import Box, Geometry, Index
from medview.core.planes import Plane
from medview.core.segmentation import Drawn, LabelsChanged, Segment, Segmentation, SegmentsChanged
from medview.editing import reshape
from medview.editing.brush import BrushShape
from medview.views.surface_maker import SurfaceMaker
from medview.workstation.shaping import SHAPES
from medview.workstation.stroke import BrushOptions
from tests.benchmarks.bench import Options, Row, interleave, medians, options, percentile, report
from tests.support import editing_run
from tests.support.editing_run import Station

SHAPE: Index = (400, 512, 512)
SPACING_MM = (1.0, 0.7, 0.7)
RADIUS_MM, SIGMA_MM = 2.0, 1.0
LONGEST_BLOCK_MS, FOLLOWS_MS = 100.0, 300.0
UNDO_LIMIT = 512 * 2**20


def liver() -> NDArray[np.uint8]:
    """An ellipsoid of the size of a liver, with a ripple on it, an island and a hole."""
    k, j, i = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    ripple = 1 + 0.03 * np.sin(k / 3) * np.sin(j / 4)
    labels = ((((k - 200) / 80) ** 2 + ((j - 250) / 110) ** 2 + ((i - 250) / 130) ** 2) < ripple).astype(np.uint8)
    labels[200:204, 240:250, 240:250] = 0
    labels[60:64, 60:70, 60:70] = 1
    return labels


def filters(mask: NDArray[np.uint8], geometry: Geometry) -> dict[str, tuple[reshape.Change, Callable[[], object]]]:
    """By name: our change, and the bare filter on the same box."""
    image = SimpleITK.GetImageFromArray(mask)
    image.SetSpacing(tuple(reversed(SPACING_MM)))
    voxels = [max(1, round(RADIUS_MM / step)) for step in reversed(geometry.spacing_mm)]

    def distances() -> None:
        SimpleITK.SignedMaurerDistanceMap(image, squaredDistance=False, useImageSpacing=True)

    def twice() -> None:
        distances()
        distances()

    return {
        "grow": (reshape.Grow(RADIUS_MM), distances),
        "shrink": (reshape.Shrink(RADIUS_MM), distances),
        "opening": (reshape.Open(RADIUS_MM), twice),
        "closing": (reshape.Close(RADIUS_MM), twice),
        "smoothing (median)": (reshape.Median(RADIUS_MM), lambda: SimpleITK.BinaryMedian(image, voxels)),
        "smoothing (Gaussian)": (
            reshape.Gaussian(SIGMA_MM),
            lambda: SimpleITK.SmoothingRecursiveGaussian(SimpleITK.Cast(image, SimpleITK.sitkFloat32), SIGMA_MM),
        ),
        "islands": (
            reshape.KeepLargest(),
            lambda: SimpleITK.RelabelComponent(SimpleITK.ConnectedComponent(image), sortByObjectSize=True),
        ),
        "fill holes": (reshape.FillHoles(), lambda: SimpleITK.BinaryFillhole(image, foregroundValue=1)),
    }


def tools(opts: Options) -> list[Row]:
    geometry, labels = Geometry.from_parts(SHAPE, SPACING_MM), liver()
    box = Box.around(labels).grown(4).clipped(SHAPE)
    mask = np.ascontiguousarray(labels[box.slices])
    rows = []
    for name, (change, bare) in filters(mask, geometry).items():

        def ours(change: reshape.Change = change) -> None:
            reshape.reshape(labels, geometry, 1, change)

        def reference(bare: Callable[[], object] = bare) -> None:
            bare()

        found = medians(interleave({"ours": ours, "bare": reference}, opts.rounds))
        rows.append(Row(name, found["ours"], found["bare"], "bare SimpleITK on the box", 2.0))
    return rows


def station(folder: Path) -> tuple[Station, Segmentation]:
    one = editing_run.station(folder, SHAPE, spacing_mm=SPACING_MM, undo_limit_bytes=UNDO_LIMIT)
    segmentation = Segmentation(
        one.volume.geometry, liver(), (Segment(1, "Liver", (200, 90, 60)), Segment(2, "B", (1, 2, 3)))
    )
    one.case.add_segmentation(segmentation, on=one.volume.id)
    one.workspace.activate(one.case, one.volume, segmentation)
    one.correction.adopt(segmentation)
    return one, segmentation


def longest_block_ms(one: Station, begin: Callable[[], object]) -> float:
    """The longest time that the main thread takes for anything while a job runs, its result included."""
    start = time.perf_counter()
    begin()
    longest = time.perf_counter() - start
    while one.jobs.open_jobs:
        time.sleep(0.002)
        start = time.perf_counter()
        one.queue.drain(0.0)
        longest = max(longest, time.perf_counter() - start)
    return longest * 1e3


def blocking(folder: Path, opts: Options) -> list[Row]:
    one, segmentation = station(folder)
    while not one.correction.work.on(segmentation).tally.is_counted(0.03):
        time.sleep(0.01)
    rows = []
    for name in ("Grow", "Smooth (Gaussian)", "Keep the largest part"):
        shape = next(shape for shape in SHAPES if shape.name.template == name)
        amount = shape.amount.usual if shape.amount is not None else 0.0
        times = []
        for _ in range(opts.rounds):
            times.append(longest_block_ms(one, partial(one.shaping.apply, shape, amount)))
            one.correction.undo()
        rows.append(Row(f"{name}: window stands still", float(np.median(times)), LONGEST_BLOCK_MS, "100 ms", 1.0, "ms"))
    one.close()
    return rows


def following(folder: Path, opts: Options) -> list[Row]:
    """A ball of 100 ml beside the liver is painted on; until its surface can be drawn."""
    one, segmentation = station(folder)
    center, radius = (330, 150, 150), (100_000 * 3 / 4 / np.pi) ** (1 / 3)
    k, j, i = (np.arange(n) - c for n, c in zip(SHAPE, center, strict=True))
    ball = (k[:, None, None] * 1.0) ** 2 + (j[:, None] * 0.7) ** 2 + (i * 0.7) ** 2 <= radius**2
    box = Box.around(ball)
    segmentation.write(box, np.where(ball[box.slices], 2, segmentation.labels[box.slices]).astype(np.uint8))
    shown: list[Mapping[int, vtkPolyData]] = []

    def show(surfaces: Mapping[int, vtkPolyData], _: Drawn | None) -> None:
        shown.append(surfaces)

    maker = SurfaceMaker(one.jobs, lambda: one.correction.is_painting, show)

    def written(change: LabelsChanged | SegmentsChanged) -> None:
        if isinstance(change, LabelsChanged):
            maker.written(change.box)

    segmentation.changed.connect(written)
    one.correction.edited.connect(lambda edited: maker.edited(edited.labels))
    maker.follow(segmentation, None)
    while one.jobs.open_jobs:
        one.queue.drain(0.01)
    one.correction.select_segment(2)
    one.correction.set_options(BrushOptions(shape=BrushShape.SPHERE, radius_mm=8.0))
    rng = np.random.default_rng(3)
    times = []
    for _ in range(3 * opts.rounds):
        where = np.array(center) + rng.uniform(-25, 25, 3)
        one.correction.begin_stroke(one.at(*where), Plane.AXIAL)
        one.correction.stroke_to(one.at(where[0], where[1] + 30, where[2] + 30))
        count = len(shown)
        one.correction.end_stroke()
        start = time.perf_counter()
        maker.request()
        while len(shown) == count and one.jobs.open_jobs:
            one.queue.drain(0.002)
        times.append((time.perf_counter() - start) * 1e3)
        one.correction.undo()
        maker.request()
        while one.jobs.open_jobs:
            one.queue.drain(0.01)
    maker.close()
    one.close()
    return [
        Row("surface of 100 ml follows, median", float(np.median(times)), FOLLOWS_MS, "300 ms", 1.0, "ms"),
        Row("  p95", percentile(times, 95), FOLLOWS_MS, "300 ms", None, "ms"),
    ]


def main() -> int:
    opts = options("How long changes of a whole segment take.")
    rows = tools(opts)
    with tempfile.TemporaryDirectory() as folder:
        rows += blocking(Path(folder) / "blocking", opts)
        rows += following(Path(folder) / "following", opts)
    return report("A segment of the size of a liver on 512x512x400", rows, opts)


if __name__ == "__main__":
    sys.exit(main())
