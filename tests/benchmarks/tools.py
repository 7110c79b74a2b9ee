"""How long the tools of correcting take: `python tests/benchmarks/tools.py [--json] [--quick]`.

What is shown while the mouse moves is compared with a frame of 16 ms, what goes through all slices with the bare filter
of the library on the box that it touches, and the writing of a change with what a window may be blocked.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
from numpy.typing import NDArray
from skimage.graph import MCP_Geometric

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from medview.core.geometry import Box, Geometry, Point
from medview.core.text import Text
from medview.editing import adaptive, brush, growing, joint_smoothing, level_trace, outline, seeds, thresholding
from medview.editing.live_wire import Wire
from medview.editing.reshape import Proposal
from tests.benchmarks.bench import Options, Row, interleave, medians, options, report
from tests.support import editing_run

SPACING_MM = (1.0, 0.7, 0.7)
FRAME_MS, BLOCKED_MS = 16.0, 100.0


def scan(slices: int) -> NDArray[np.int16]:
    """(k, j, i) int16: a noisy body of two organs in air."""
    rng = np.random.default_rng(0)
    rows, columns = np.indices((512, 512)) - 256
    flat = np.where(rows**2 + columns**2 < 200**2, 40, -1000)
    flat[(rows + 40) ** 2 + (columns + 60) ** 2 < 70**2] = 120
    noisy = (flat + rng.normal(0, 15, flat.shape)).astype(np.int16)
    return np.stack([np.roll(noisy, k % 7, 0) for k in range(slices)])


def organs(slices: int) -> NDArray[np.uint8]:
    """(k, j, i) uint8: eight pieces of a liver-sized ellipsoid."""
    k, j, i = np.ogrid[:slices, :512, :512]
    inside = ((k - slices / 2) / (slices / 3)) ** 2 + ((j - 250) / 140) ** 2 + ((i - 240) / 130) ** 2 < 1
    piece = 1 + (k > slices / 2) + 2 * (j > 250) + 4 * (i > 240)
    return np.where(inside, piece, 0).astype(np.uint8)


def shown(voxels: NDArray[np.int16], geometry: Geometry, opts: Options) -> list[Row]:
    """What a tool works out between two frames."""
    k = geometry.shape[0] // 2
    x, y, z = (float(value) for value in geometry.to_patient((k, 256, 256)))
    middle: Point = (x, y, z)
    angles = np.linspace(0, 2 * np.pi, 400)
    ring = geometry.to_patient(np.stack([np.full(400, k), 256 + 150 * np.sin(angles), 256 + 150 * np.cos(angles)], 1))
    disk = brush.disk(geometry, middle, middle, 20.0, 0)
    wire = Wire(voxels, geometry, (k, 256, 256), 0)
    runs: dict[str, Callable[[], object]] = {
        "an outline of 400 corners": lambda: outline.inside(geometry, ring, 0, k),
        "a region in the slice": lambda: growing.grown(voxels, (k, 256, 256), -20, 100, 0),
        "the line of equal values": lambda: level_trace.traced(voxels, geometry, np.array([k, 256.4, 100.2]), 0),
        "the way of a live wire": lambda: wire.to((k, 150, 390)),
        "all that a threshold takes": lambda: thresholding.slice_within(voxels, 2, 256, -20, 100),
        "a brush of 20 mm that stops at edges": lambda: adaptive.taken(voxels, geometry, *disk, middle, 20.0, 0, 2.5),
    }
    found = medians(interleave({name: _silent(run) for name, run in runs.items()}, opts.rounds))
    return [Row(f"shown: {name}", found[name] * 1e3, FRAME_MS, "16 ms", 1.0, "ms") for name in runs]


def through_all(voxels: NDArray[np.int16], labels: NDArray[np.uint8], geometry: Geometry, opts: Options) -> list[Row]:
    """What goes through all slices, beside the bare filters."""
    seed = (geometry.shape[0] // 2, 256, 256)
    box = Box.around(labels)
    touched = box.grown(6).clipped(geometry.shape)
    edges = seeds.strength(voxels[touched.slices], geometry.spacing_mm)
    drawn = np.where(np.random.default_rng(1).random(labels.shape) < 0.01, labels, 0).astype(np.uint8)
    costs = np.random.default_rng(2).random((301, 301)) + 0.02

    def bare_smoothing() -> None:
        for label in range(1, 9):
            part = Box.around(labels == label).grown(6).clipped(geometry.shape)
            SimpleITK.SmoothingRecursiveGaussian(_image((labels[part.slices] == label).astype(np.float32)), 1.0)
        SimpleITK.SmoothingRecursiveGaussian(_image((labels[touched.slices] != 0).astype(np.float32)), 1.0)

    def bare_flood() -> None:
        calm = SimpleITK.SmoothingRecursiveGaussian(_image(voxels[touched.slices].astype(np.float32)), 0.7)
        SimpleITK.GradientMagnitude(calm)
        markers = _image(drawn[touched.slices].astype(np.uint16))
        SimpleITK.MorphologicalWatershedFromMarkers(_image(edges), markers, False, False)

    pairs: dict[str, tuple[Callable[[], object], Callable[[], object], str]] = {
        "a region in 3D": (
            lambda: growing.grown(voxels, seed, -20, 100),
            lambda: SimpleITK.ConnectedComponent(_image(((voxels >= -20) & (voxels <= 100)).astype(np.uint8)), False),
            "bare connected components",
        ),
        "a threshold": (
            lambda: thresholding.added_within(voxels, labels, 1, -20, 100),
            lambda: SimpleITK.BinaryThreshold(_image(voxels), -20, 100, 1, 0),
            "bare threshold",
        ),
        "smoothing eight segments together": (
            lambda: joint_smoothing.smoothed(labels, geometry, 1.0),
            bare_smoothing,
            "bare Gaussians",
        ),
        "growing eight segments from seeds": (
            lambda: seeds.grown(voxels, drawn, geometry, 6.0),
            bare_flood,
            "bare gradient and watershed",
        ),
        "a live wire's ways": (
            lambda: Wire(voxels, geometry, seed, 0),
            lambda: MCP_Geometric(costs, sampling=(0.7, 0.7)).find_costs([(150, 150)]),
            "bare Dijkstra",
        ),
    }
    rows = []
    for name, (ours, bare, what) in pairs.items():
        found = medians(interleave({"ours": _silent(ours), "bare": _silent(bare)}, opts.rounds))
        rows.append(Row(name, found["ours"], found["bare"], what, 2.0))
    return rows


def written(labels: NDArray[np.uint8], opts: Options) -> Row:
    """How long the window is blocked while a liver-sized change is written; the journal's own wait included."""
    with tempfile.TemporaryDirectory() as folder:
        one = editing_run.station(Path(folder), labels.shape, spacing_mm=SPACING_MM)
        segmentation = one.correction.new_segmentation()
        added = np.asarray(labels != 0)
        change = Proposal(Box.whole(labels.shape), added, np.zeros_like(added))

        def put() -> None:
            one.correction.put(segmentation, 1, Text("Tool"), change)

        def undo() -> None:
            one.correction.undo()

        found = medians(interleave({"put": put, "undo": undo}, opts.rounds))
        one.close()
    return Row("a liver-sized change written", found["put"] * 1e3, BLOCKED_MS, "100 ms", 1.0, "ms")


def _silent(run: Callable[[], object]) -> Callable[[], None]:
    """A run whose wall time counts, whatever it returns."""

    def timed() -> None:
        run()

    return timed


def _image(array: NDArray[Any]) -> SimpleITK.Image:
    return SimpleITK.GetImageFromArray(np.ascontiguousarray(array))


def main() -> int:
    opts = options("How long the tools of correcting take.")
    slices = 100 if opts.quick else 400
    geometry = Geometry.from_parts((slices, 512, 512), SPACING_MM)
    voxels, labels = scan(slices), organs(slices)
    rows = [*shown(voxels, geometry, opts), *through_all(voxels, labels, geometry, opts), written(labels, opts)]
    return report(f"The tools on 512x512x{slices}", rows, opts)


if __name__ == "__main__":
    sys.exit(main())
