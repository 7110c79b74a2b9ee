"""Runs a plugin on made-up patients whose images are stored in unusual ways, and compares what comes back.

The same patient stored upside down and mirrored is the same patient: a plugin that takes the order of voxels for the
order of the body gives another answer, and mixes left and right up in somebody's scan.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from medview.catalog import plugins
from medview.catalog.fit import extent_in_patient, fit_input
from medview.catalog.manifest import Input, PluginManifest
from medview.catalog.plugins import PluginRecord, PluginState
from medview.core.errors import MedViewError
from medview.core.geometry import Floats, Geometry
from medview.core.planes import Plane, slice_plane
from medview.core.progress import PartOf, Progress
from medview.core.segmentation import Labels
from medview.core.text import Text
from medview.core.volume import Modality, Volume, VolumeId
from medview.inference import runner
from medview.inference.plugin import SegmentationResult
from medview.phantom import chest

_SHAPE = (80, 128, 128)
_LEAST_AGREEMENT = 0.9
_TURN_DEGREES = 20.0
_REPEATS = 3
_PICTURES = 3


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of one run.

    Attributes:
        text: What was tried, and what was found.
        passed: Whether that is as it should be.
        is_hint: Whether a failure is something to think about rather than an error.
    """

    text: Text
    passed: bool
    is_hint: bool = False


@dataclass(frozen=True, slots=True)
class Measured:
    """How long a plugin takes, and what it needs.

    Attributes:
        seconds: Of each run.
        voxels: Of the image.
        peak_mb: The most memory that the program has held, MB (10^6 bytes); 0 where the system does not say.
        device: Where it ran.
    """

    seconds: tuple[float, ...]
    voxels: int
    peak_mb: int
    device: str

    @property
    def median_s(self) -> float:
        """The middle one of its times."""
        return statistics.median(self.seconds)


def vouched(folder: Path) -> PluginRecord:
    """A plugin that whoever names its folder answers for."""
    record = plugins.inspect(folder)
    if record.state is PluginState.NEEDS_TRUST:
        return replace(record, state=PluginState.READY, reason=Text(""), trusted=True)
    return record


def trials(record: PluginRecord, progress: Progress, *, device: str = "auto") -> Iterator[Trial]:
    """Run a plugin on one patient, stored in different ways.

    Raises:
        Cancelled: The user has cancelled.
    """
    manifest = runner.ready_manifest(record)
    first = made_for(manifest)
    try:
        result = _result(record, first, PartOf(progress, 0.0, 0.2), device)
    except MedViewError as error:
        yield Trial(
            Text.of("A run on a made-up patient failed. {what} {remedy}", what=error.what, remedy=error.remedy), False
        )
        return
    if manifest.task != "segment" or manifest.input[0].dims != 3:
        # How pictures are stored says nothing of the patient, and findings are no voxels to compare.
        yield Trial(Text("A run on made-up images ended."), True)
        again = _result(record, first, PartOf(progress, 0.5, 1.0), device)
        yield _repeated(np.array_equal(again.labels, result.labels) and again.findings == result.findings)
        return
    reference = result.labels
    found = int(np.count_nonzero(reference))
    yield Trial(Text.of("A run on a made-up patient ended; it found {count} voxels.", count=found), True)
    names = (Text("stored upside down and mirrored"), Text("tilted"), Text("with slices three times as thick"))
    variants = (_mirrored(first), _tilted(first), _thick(first))
    wanted = (reference[::-1, ::-1, ::-1], reference, reference[1::3])
    for number, (name, volume, expected) in enumerate(zip(names, variants, wanted, strict=True), 1):
        if not all(fit_input(one, volume).ok for one in manifest.input):
            yield Trial(Text.of("The same patient {how} does not suit it; that was not tried.", how=name), True)
            continue
        part = PartOf(progress, 0.2 * number, 0.2 * number + 0.2)
        yield _compared(record, volume, name, expected, part, device)
    repeated = _result(record, first, PartOf(progress, 0.8, 1.0), device).labels
    yield _repeated(np.array_equal(repeated, reference))


def _repeated(same: bool) -> Trial:
    return Trial(
        Text("The same image gives the same answer.") if same else Text("The same image gave two different answers."),
        same,
    )


def bench(record: PluginRecord, progress: Progress, *, device: str = "auto") -> Measured:
    """Run a plugin some times on a made-up patient.

    Raises:
        PluginError: It failed.
        Cancelled: The user has cancelled.
    """
    volume = made_for(runner.ready_manifest(record))
    seconds, used = [], ""
    for number in range(_REPEATS):
        started = time.perf_counter()
        part = PartOf(progress, number / _REPEATS, (number + 1) / _REPEATS)
        used = runner.run(record, volume, part, device=device, others=_others(record, volume)).device
        seconds.append(time.perf_counter() - started)
    return Measured(tuple(seconds), int(volume.voxels.size), _peak_mb(), used)


def _peak_mb() -> int:
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((round(int(line.split()[1]) * 1024 / 1e6) for line in lines if line.startswith("VmHWM")), 0)


def made_for(manifest: PluginManifest) -> Volume:
    """A made-up patient as the plugin's first input wants it: modality, unit, plane, size and spacing."""
    wanted = manifest.input[0]
    volume = chest.make(_SHAPE).volume
    modality = Modality.CT if Modality.CT in wanted.modality else wanted.modality[0]
    unit = wanted.unit or ("HU" if modality is Modality.CT else "")
    volume = replace(volume, modality=modality, unit=unit, windows=())
    if wanted.dims != 3:
        return _pictures(volume, wanted)
    if wanted.planes and Plane.AXIAL not in wanted.planes:
        volume = _sliced(volume, wanted.planes[0])
    return _sized(volume, wanted)


def _pictures(volume: Volume, wanted: Input) -> Volume:
    """A few slices of a patient as pictures without a place."""
    count = max(_PICTURES, wanted.minimum_slices)
    voxels = np.ascontiguousarray(
        np.resize(volume.voxels[len(volume.voxels) // 2 :], (count, *volume.voxels.shape[1:]))
    )
    geometry = Geometry((count, *volume.geometry.shape[1:]), volume.geometry.affine)
    return replace(_with(volume, geometry, voxels), is_spatial=False)


def _compared(
    record: PluginRecord, volume: Volume, name: Text, expected: Labels, progress: Progress, device: str
) -> Trial:
    try:
        labels = _result(record, volume, progress, device).labels
    except MedViewError as error:
        return Trial(
            Text.of(
                "The same patient {how}: the run failed. {what} {remedy}",
                how=name,
                what=error.what,
                remedy=error.remedy,
            ),
            False,
        )
    agreement = _agreement(labels, expected)
    text = Text.of(
        "The same patient {how}: on the image's own grid, agreement {dice} (Dice) with the first run.",
        how=name,
        dice=f"{agreement:.3f}",
    )
    return Trial(text, agreement >= _LEAST_AGREEMENT, is_hint=True)


def _result(record: PluginRecord, volume: Volume, progress: Progress, device: str) -> SegmentationResult:
    # exact: how fast other number formats are here and now would decide between them, and a few voxels with it
    others = _others(record, volume)
    return runner.run(record, volume, progress, device=device, exact=True, others=others)


def _others(record: PluginRecord, volume: Volume) -> dict[str, Volume]:
    further = record.manifest.input[1:] if record.manifest is not None else ()
    return {one.name: replace(volume, id=VolumeId(f"{volume.id}-{one.name}")) for one in further}


def _agreement(labels: Labels, expected: Labels) -> float:
    """Dice over all labels together; 1 where both are empty."""
    same = np.count_nonzero((labels == expected) & (expected > 0))
    whole = np.count_nonzero(labels) + np.count_nonzero(expected)
    return 1.0 if whole == 0 else float(2 * same / whole)


def _mirrored(volume: Volume) -> Volume:
    turned: Floats = volume.geometry.affine.copy()
    last = np.asarray(volume.geometry.shape) - 1
    turned[:3, 3] += turned[:3, :3] @ last
    turned[:3, :3] *= -1
    return _with(volume, Geometry(volume.geometry.shape, turned), volume.voxels[::-1, ::-1, ::-1])


def _tilted(volume: Volume) -> Volume:
    angle = np.radians(_TURN_DEGREES)
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    affine: Floats = volume.geometry.affine.copy()
    affine[:3] = turn @ affine[:3]
    return _with(volume, Geometry(volume.geometry.shape, affine), volume.voxels)


def _thick(volume: Volume) -> Volume:
    voxels = volume.voxels[1::3]
    affine: Floats = volume.geometry.affine.copy()
    affine[:3, 3] += affine[:3, 0]
    affine[:3, 0] *= 3
    return _with(volume, Geometry((len(voxels), *volume.geometry.shape[1:]), affine), voxels)


def _sliced(volume: Volume, plane: Plane) -> Volume:
    """The volume with its slices in another plane."""
    axis = slice_plane(volume.geometry, plane).axis
    order = (axis, *(one for one in range(3) if one != axis))
    affine: Floats = volume.geometry.affine[:, [*order, 3]].copy()
    voxels = volume.voxels.transpose(order)
    k, j, i = voxels.shape
    return _with(volume, Geometry((k, j, i), affine), voxels)


def _sized(volume: Volume, wanted: Input) -> Volume:
    """The volume grown or shrunk to what the plugin takes."""
    extent = np.asarray(extent_in_patient(volume.geometry))
    goal = extent.copy()
    if wanted.maximum_extent_mm is not None:
        goal = np.minimum(goal, wanted.maximum_extent_mm)
    if wanted.minimum_extent_mm is not None:
        goal = np.maximum(goal, wanted.minimum_extent_mm)
    if wanted.maximum_spacing_mm is not None:
        goal = goal * min(1.0, wanted.maximum_spacing_mm / max(volume.geometry.spacing_mm))
    if np.array_equal(goal, extent):
        return volume
    affine: Floats = volume.geometry.affine.copy()
    affine[:3] *= (goal / extent)[:, None]
    return _with(volume, Geometry(volume.geometry.shape, affine), volume.voxels)


def _with(volume: Volume, geometry: Geometry, voxels: np.ndarray) -> Volume:
    return replace(
        volume,
        id=VolumeId(f"{volume.id}-{hash(geometry.affine.tobytes())}"),
        geometry=geometry,
        voxels=np.ascontiguousarray(voxels),
    )
