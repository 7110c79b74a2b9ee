"""A body of 117 structures on 400 slices of 512x512, written as DICOM SEG and proved, in both ways of storing it.

What counts is `dicom_seg.write_labels` from labels in memory to a file that has been read back and compared: the
headers of the images, highdicom, the disk, and the proof. The limits are seconds on two cores; the peak of memory is
that of a process of its own, above imports and labels. (`--quick`: 60 slices, and limits in proportion.)
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.bench import Row, in_fresh_process, options, report, series_folder

_SLICES, _QUICK_SLICES = 400, 60
_SEGMENTS = 117
_LIMITS_S = {"labelmap": 10.0, "binary": 60.0}
_LIMIT_MB = 2000.0
_WRITE = """
import json, sys, tempfile, time
from pathlib import Path
import highdicom
import numpy as np
from medview.core.progress import NoProgress
from medview.core.segmentation import Provenance, Segment
from medview.formats import dicom_files, dicom_seg, dicom_series, dicom_volume
from medview.formats.dicom_seg import SegKind
folder, kind, slices, count = Path(sys.argv[1]), SegKind(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
files = sorted(folder.iterdir())[:slices]
(series,) = dicom_series.group(dicom_files.scan(files, NoProgress()).headers)
geometry = series.facts.geometry
# structures as boxes with round edges, side by side in the body: each on some fifth of the slices, as organs are
labels = np.zeros(geometry.shape, dtype=np.uint8)
random = np.random.default_rng(7)
k, j, i = geometry.shape
for label in range(1, count + 1):
    column, row = (label - 1) % 13, (label - 1) // 13
    depth, height, width = k // 5, j // 10, i // 14
    start = int(random.integers(0, k - depth + 1))
    z, y, x = np.ogrid[-1:1:depth * 1j, -1:1:height * 1j, -1:1:width * 1j]
    inside = z**4 + y**4 + x**4 < 1
    box = labels[start:start + depth, row * (j // 9):, column * (i // 13):][:, :height, :width]
    box[inside] = label
segments = tuple(Segment(label, f"Structure {label}", (label, 255 - label, 128)) for label in range(1, count + 1))
def status(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name)) * 1024
before = status("VmRSS")
Path("/proc/self/clear_refs").write_text("5")  # the peak from here on
with tempfile.TemporaryDirectory() as scratch:
    path = Path(scratch) / "seg.dcm"
    begin, busy = time.perf_counter(), time.process_time()
    dicom_seg.write_labels(labels, geometry, segments, Provenance(), files, path, kind=kind)
    seconds, busy = time.perf_counter() - begin, time.process_time() - busy
    peak, size = status("VmHWM") - before, path.stat().st_size
    print(json.dumps({"seconds": seconds, "busy": busy, "peak": peak, "bytes": size}))
"""


def main() -> int:
    """Measure, print, and return the exit status."""
    opts = options(__doc__ or "")
    folder = series_folder(opts)
    slices = _QUICK_SLICES if opts.quick else _SLICES
    rows = []
    for kind, limit_s in _LIMITS_S.items():
        found = in_fresh_process(_WRITE, str(folder), kind, str(slices), str(_SEGMENTS))
        limit = limit_s * slices / _SLICES
        rows += [
            Row(f"{kind}, written and proved", found["seconds"], limit, f"{limit:g} s", 1.0),
            Row("  time of processors", found["busy"], limit, f"{limit:g} s", None),
            Row("  peak memory above labels", found["peak"] / 1e6, _LIMIT_MB, f"{_LIMIT_MB:g} MB", 1.0, "MB"),
            Row("  the file", found["bytes"] / 1e6, slices * 512 * 512 / 1e6, "the labels", None, "MB"),
        ]
    return report(f"Writing {_SEGMENTS} segments on {slices} slices of 512x512", rows, opts)


if __name__ == "__main__":
    sys.exit(main())
