"""Runs one plugin on one volume, and turns whatever goes wrong into words."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medview.catalog.fit import fit_volume
from medview.catalog.manifest import NnunetEngine, PluginManifest, PythonEngine
from medview.catalog.plugins import PluginRecord, PluginState, files_sha256
from medview.core.errors import Cancelled, MedViewError, OutOfMemoryError, PluginFailedError, PluginUnavailableError
from medview.core.geometry import Index
from medview.core.progress import Progress
from medview.core.segmentation import Labels, ModelRef
from medview.core.text import Text
from medview.core.volume import Volume
from medview.inference import device as devices
from medview.inference import python_engine
from medview.inference.memory import is_out_of_memory
from medview.inference.plugin import Context, Preview, SegmentationResult

_log = logging.getLogger(__name__)


def run(
    record: PluginRecord,
    volume: Volume,
    progress: Progress,
    *,
    device: str = "auto",
    exact: bool = False,
    preview: Preview | None = None,
) -> SegmentationResult:
    """Run a plugin once.

    Args:
        record: The plugin, as `catalog.plugins.discover` found it.
        volume: A complete volume.
        progress: Is told how far it is, and may stop it.
        device: "auto", "cpu" or "cuda".
        exact: Whether networks compute in float32 even where shorter numbers say the same.
        preview: Is shown what is found so far, in this thread.

    Raises:
        PluginUnavailableError: It cannot run here, or not on this volume.
        PluginFailedError: It failed, or its answer is not one.
        OutOfMemoryError: There was not enough memory.
        Cancelled: It was asked to stop.
    """
    manifest = ready_manifest(record)
    fit = fit_volume(manifest, volume)
    if not fit.ok:
        raise PluginUnavailableError(
            Text.of("{name} does not suit this series. {reason}", name=manifest.name, reason=fit.reasons[0]),
            Text("Choose another series or another plugin."),
        )
    started = time.monotonic()
    context = Context(
        record.folder, progress, lambda: devices.choose(device), volume.geometry.shape, exact=exact, preview=preview
    )
    context.progress(0.0, Text.of("Starting {name}", name=manifest.name))
    answer = _guarded(lambda: _engine(record, manifest, volume, context), manifest)
    context.check()
    labels = checked(answer, volume.geometry.shape, manifest)
    notes = context.notes if labels.any() else (*context.notes, Text("Nothing was found."))
    progress.report(1.0, Text("Done"))
    return SegmentationResult(
        labels,
        manifest.segments,
        ModelRef(manifest.id, manifest.version, files_sha256(record.folder)),
        context.device_used,
        time.monotonic() - started,
        notes,
    )


def ready_manifest(record: PluginRecord) -> PluginManifest:
    """The manifest of a plugin that can be run.

    Raises:
        PluginUnavailableError: It cannot.
    """
    if record.manifest is None or record.state is not PluginState.READY:
        raise PluginUnavailableError(Text.of("{name} cannot run. {reason}", name=record.name, reason=record.reason))
    return record.manifest


def checked(answer: Any, shape: Index, manifest: PluginManifest) -> Labels:
    """A plugin's answer as labels: (k, j, i) uint8 or uint16, C-contiguous.

    Raises:
        PluginFailedError: It is not an array on the volume's grid, holds what is no number, or labels that the manifest
            does not name.
    """
    array = _array(answer, manifest)
    if array.shape != shape:
        raise _bad_answer(
            manifest, Text.of("its labels have the shape {found} and not {wanted}", found=array.shape, wanted=shape)
        )
    known = {0, *(label.value for label in manifest.label)}
    unknown = [value for value in _values(array) if value not in known]
    if unknown:
        listed = ", ".join(str(value) for value in unknown[:5])
        raise _bad_answer(manifest, Text.of("its manifest does not name the label {values}", values=listed))
    largest = max(label.value for label in manifest.label)
    return np.ascontiguousarray(array, dtype=np.uint8 if largest <= np.iinfo(np.uint8).max else np.uint16)


def _values(array: NDArray[Any]) -> list[int]:
    """The different values of an array of whole numbers."""
    if array.dtype != np.uint8:
        return [int(value) for value in np.unique(array)]
    present = np.zeros(256, dtype=np.bool_)
    for part in array:
        present[part] = True
    return [int(value) for value in np.flatnonzero(present)]


def _array(answer: Any, manifest: PluginManifest) -> NDArray[Any]:
    if hasattr(answer, "detach"):
        answer = answer.detach().cpu()
    if not hasattr(answer, "__array__"):
        raise _bad_answer(manifest, Text.of("it returns {kind} and not labels", kind=type(answer).__name__))
    array = np.asarray(answer)
    if array.dtype == np.bool_:
        return array.astype(np.uint8)
    if np.issubdtype(array.dtype, np.floating):
        if not np.isfinite(array).all():
            raise _bad_answer(manifest, Text("its answer holds values that are not numbers"))
        if not (array == np.round(array)).all():
            raise _bad_answer(manifest, Text("its answer holds fractions where labels should be"))
        return array.astype(np.int64)
    if not np.issubdtype(array.dtype, np.integer):
        raise _bad_answer(manifest, Text.of("its answer is of the type {kind}", kind=str(array.dtype)))
    return array


def _engine(record: PluginRecord, manifest: PluginManifest, volume: Volume, context: Context) -> Any:
    case = {manifest.input[0].name: volume}
    if isinstance(manifest.engine, PythonEngine):
        return python_engine.run(record.folder, manifest.engine, case, context)
    devices.be_considerate()
    if isinstance(manifest.engine, NnunetEngine):
        from medview.inference import nnunet

        return nnunet.run(record.folder, manifest.engine, case, context)
    from medview.inference import monai_bundle

    return monai_bundle.run(record.folder, manifest.engine, case, context)


def _guarded(work: Callable[[], Any], manifest: PluginManifest) -> Any:
    """Call a plugin; everything that it may raise becomes one of MedView's errors."""
    try:
        return work()
    except (Cancelled, MedViewError):
        raise
    except (Exception, SystemExit) as error:
        if is_out_of_memory(error):
            raise _memory(manifest) from error
        _log.exception("%s failed", manifest.id)
        raise PluginFailedError(
            Text.of("{name} failed: {reason}.", name=manifest.name, reason=python_engine.reason_of(error)),
            Text("Nothing was changed. The log has the details for the plugin's author."),
        ) from error


def _memory(manifest: PluginManifest) -> OutOfMemoryError:
    return OutOfMemoryError(
        Text.of("There is not enough memory to run {name} on this series.", name=manifest.name),
        Text("Close other programs and cases, or run it on the processor."),
    )


def _bad_answer(manifest: PluginManifest, problem: Text) -> PluginFailedError:
    return PluginFailedError(
        Text.of("{name} gave an answer that cannot be used: {problem}.", name=manifest.name, problem=problem),
        Text("Nothing was changed. Tell the plugin's author."),
    )
