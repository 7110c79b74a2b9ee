"""What hints cost on 512x512x600 voxels: `python tests/benchmarks/hints.py [--json] [--quick]`.

A plugin of somebody's, which runs in a process of its own, answers clicks on the part around them and says how long it
took itself: the rest of the time from the click to the answer is the host's. What the tool without a model takes is all
its own.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from medview.core.case import Patient, Series, Study
from medview.core.geometry import Geometry, Point
from medview.core.hint import Hint
from medview.core.volume import Modality, Volume, VolumeId
from medview.workstation.hint_engines import TOOL_ID
from medview.workstation.station import Workstation
from tests.benchmarks.bench import Options, Row, options, percentile, report
from tests.benchmarks.editing import timed
from tests.support.bundles import python_plugin

SHAPE = (600, 512, 512)
SPACING_MM = (1.0, 0.75, 0.75)
HOST_MS = 30.0
UNDO_MS = 20.0
TOOL_MS = 1000.0
_SERIES_UID = "1.2.826.0.1.3680043.10.999.6.1"
_PLUGIN = """import time
from pathlib import Path
import numpy as np
from medview.api import voxels_of

def run(case, context):
    started = time.perf_counter()
    image = case["image"]
    found = (image.voxels > 70).astype(np.uint8)
    for hint in context.hints:
        found[voxels_of(hint, image.geometry)] = 1 if hint.positive else 0
    Path({own!r}).write_text(str(time.perf_counter() - started))
    return found
"""


class Room:
    """A workstation with a noisy CT in which bright balls lie in a row."""

    def __init__(self, home: Path, own: Path) -> None:
        folder = python_plugin(home / "plugins" / "tiny", _PLUGIN.format(own=str(own)))
        text = (folder / "plugin.toml").read_text(encoding="utf-8")
        hints = '\n[hints]\nkinds = ["point", "scribble"]\ngiven-as = "program"\nmargin-mm = 60\n'
        (folder / "plugin.toml").write_text(text + hints, encoding="utf-8")
        self.station = Workstation(home)
        geometry = Geometry.from_parts(SHAPE, SPACING_MM)
        self.volume = Volume(VolumeId("v"), geometry, _voxels(), Modality.CT, "HU", _SERIES_UID, "Chest")
        study = Study("1.2.826.0.1.3680043.10.999.6", Patient("P-1", "Phantom", "19600101", "F"))
        case = self.station.workspace.case_of(study)
        case.put_series(Series(_SERIES_UID, study, Modality.CT, "Chest", 2, "CHEST", (), SHAPE[0], geometry))
        case.add_volume(self.volume, complete=True)
        self.station.workspace.activate(case, self.volume)
        trusted = self.station.shelf.trust("tiny")
        self.until(lambda: trusted.state.is_final)

    def at(self, k: float, j: float, i: float) -> Point:
        """x, y, z of a voxel."""
        x, y, z = (float(value) for value in self.volume.geometry.to_patient((k, j, i)))
        return x, y, z

    def until(self, holds: Callable[[], bool]) -> None:
        """Let jobs come home until something holds."""
        while not holds():
            self.station.queue.drain(0.002)

    def answered(self, hint: Hint) -> tuple[float, float]:
        """Seconds in which the window waits for a hint, and from there to its answer."""
        hinting = self.station.hinting
        waited = timed(hinting.add, hint)
        started = time.perf_counter()
        self.until(lambda: hinting.is_current)
        return waited, waited + time.perf_counter() - started


def _voxels() -> np.ndarray:
    noise = np.random.default_rng(1).normal(0, 8, (8, *SHAPE[1:])).astype(np.int16)
    voxels = np.empty(SHAPE, dtype=np.int16)
    j, i = np.meshgrid(np.arange(SHAPE[1]), np.arange(SHAPE[2]), indexing="ij")
    for k in range(SHAPE[0]):
        ball = ((k - 300) * 1.0) ** 2 + ((j - 256) * 0.75) ** 2 + ((i % 128 - 64) * 0.75) ** 2 < 18**2
        voxels[k] = 40 + 60 * ball + noise[k % len(noise)]
    return voxels


def hinted(folder: Path, opts: Options) -> list[Row]:
    """Every row of the table."""
    own = folder / "own"
    room = Room(folder / "home", own)
    hinting = room.station.hinting
    places = [room.at(300, 256 + 6 * (n % 5), 192 + 5 * (n // 5)) for n in range(15 if opts.quick else 40)]
    hinting.choose("tiny", structure=1)
    room.answered(Hint.point(places[0], radius_mm=1.0))  # the process starts, and gets the image
    host, waited = [], []
    for place in places[1:]:
        blocked, whole = room.answered(Hint.point(place, radius_mm=1.0))
        host.append((whole - float(own.read_text())) * 1e3)
        waited.append(blocked * 1e3)
    undo = [timed(hinting.undo) * 1e3 for _ in places]
    hinting.choose(TOOL_ID)
    tool = []
    for place in places[: 5 if opts.quick else 10]:
        tool.append(room.answered(Hint.point(place, radius_mm=1.0))[1] * 1e3)
        if len(tool) == 5:
            hinting.reject()
    room.station.close()
    return [
        Row("host beside the model, a click, median", float(np.median(host)), HOST_MS, "30 ms", 1.0, "ms"),
        Row("host beside the model, a click, p95", percentile(host, 95), HOST_MS, "30 ms", None, "ms"),
        Row("a click until it is drawn, p95", percentile(waited, 95), HOST_MS, "30 ms", 1.0, "ms"),
        Row("undo of a click, p95", percentile(undo, 95), UNDO_MS, "20 ms", 1.0, "ms"),
        Row("tool without a model, a click, median", float(np.median(tool)), TOOL_MS, "1 s", 1.0, "ms"),
    ]


def main() -> int:
    """Measure, print, and return the exit status."""
    opts = options("What hints cost.")
    with tempfile.TemporaryDirectory() as folder:
        rows = hinted(Path(folder), opts)
    return report("Hints on 512x512x600", rows, opts)


if __name__ == "__main__":
    sys.exit(main())
