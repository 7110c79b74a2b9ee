"""What undo costs on 512x512x1000 voxels: `python tests/benchmarks/undoing.py [--json] [--quick]`.

Strokes are made, taken back and made again; after each direction every voxel is compared with what it was.
"""

from __future__ import annotations

import gc
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from medview.editing.brush import BrushShape
from medview.ui.memory import used_and_total_bytes
from tests.benchmarks.bench import Options, Row, options, percentile, report
from tests.benchmarks.editing import Painter, station, timed
from tests.support.editing_run import fingerprint

SHAPE = (1000, 512, 512)
MB = 2**20
MOST_MB = 300.0
MOST_MS = 20.0


def resident_bytes() -> int:
    told = used_and_total_bytes()
    if told is None:
        raise SystemExit("This system does not say how much memory a program takes.")
    return told[0]


def undoing(folder: Path, opts: Options) -> list[Row]:
    strokes = 100 if opts.quick else 500
    one = station(folder / "journals", SHAPE)
    correction = one.correction
    first = fingerprint(one.segmentation)
    correction.volumes_ml(one.segmentation)
    painters = [Painter(one, shape) for shape in BrushShape]
    for painter in painters:
        painter.stroke()
    correction.steps.go_to(0)
    gc.collect()
    before = resident_bytes()
    for number in range(strokes):
        painters[number % len(painters)].use()
        painters[number % len(painters)].stroke()
    correction.volumes_ml(one.segmentation)
    gc.collect()
    extra = (resident_bytes() - before) / MB
    last, done = fingerprint(one.segmentation), correction.steps.done
    undo = [timed(correction.undo) * 1e3 for _ in range(done)]
    same = fingerprint(one.segmentation) == first
    redo = [timed(correction.redo) * 1e3 for _ in range(done)]
    same = same and fingerprint(one.segmentation) == last
    jump = [timed(correction.steps.go_to, goal) * 1e3 for goal in (0, done) * 3]
    same = same and fingerprint(one.segmentation) == last
    one.close()
    if not same:
        raise SystemExit("Undo and redo did not bring every voxel back.")
    return [
        Row(f"{done} strokes, memory beside labels and image", extra, MOST_MB, "300 MB", 1.0, "MB"),
        Row("undo of a stroke, median", float(np.median(undo)), MOST_MS, "20 ms", 1.0, "ms"),
        Row("undo of a stroke, p95", percentile(undo, 95), MOST_MS, "20 ms", None, "ms"),
        Row("redo of a stroke, median", float(np.median(redo)), MOST_MS, "20 ms", 1.0, "ms"),
        Row("redo of a stroke, p95", percentile(redo, 95), MOST_MS, "20 ms", None, "ms"),
        Row(f"jump over {done} strokes", float(np.median(jump)), 100.0, "100 ms", None, "ms"),
    ]


def main() -> int:
    opts = options("What undo costs.")
    with tempfile.TemporaryDirectory() as folder:
        rows = undoing(Path(folder), opts)
    return report("Undo on 512x512x1000 with 50 labels", rows, opts)


if __name__ == "__main__":
    sys.exit(main())
