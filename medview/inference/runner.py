"""Runs one plugin on one volume, and turns whatever goes wrong into words."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medview.catalog.fit import doubts_of_picture, fit_input
from medview.catalog.manifest import PluginManifest
from medview.catalog.manifest_engines import NetworkEngine, NnunetEngine, PythonEngine
from medview.catalog.plugins import PluginRecord, PluginState
from medview.catalog.trust import files_sha256
from medview.core.errors import (
    Cancelled,
    MedViewError,
    OutOfMemoryError,
    PluginFailedError,
    PluginNotTrustedError,
    PluginUnavailableError,
)
from medview.core.finding import Relation
from medview.core.geometry import Box, Index
from medview.core.progress import Progress
from medview.core.segmentation import Labels, ModelRef
from medview.core.text import Text
from medview.core.volume import Volume
from medview.inference import boxing, python_engine
from medview.inference import device as devices
from medview.inference.earlier_runs import EarlierRuns, question
from medview.inference.found import Findings
from medview.inference.maps import SideMap
from medview.inference.memory import is_lost_card, is_out_of_memory
from medview.inference.occupancy import occupancy_of, only_inside
from medview.inference.options import RunOptions, require_possible
from medview.inference.plugin import Case, Context, Preview, SegmentationResult

_log = logging.getLogger(__name__)
_SUM_TOLERANCE = 0.02


def run(
    record: PluginRecord,
    volume: Volume,
    progress: Progress,
    *,
    device: str = "auto",
    exact: bool = False,
    preview: Preview | None = None,
    others: Mapping[str, Volume] | None = None,
    options: RunOptions | None = None,
    earlier: EarlierRuns | None = None,
    anew: bool = False,
) -> SegmentationResult:
    """Run a plugin once.

    Args:
        record: The plugin, as `catalog.plugins.discover` found it.
        volume: A complete volume.
        progress: Is told how far it is, and may stop it.
        device: "auto", "cpu" or "cuda".
        exact: Whether networks compute in float32 even where shorter numbers say the same.
        preview: Is shown what is found so far, in this thread.
        others: Where it has several inputs, the volumes of all but the first, by name.
        options: What the user asks of the run; None: what the plugin does unasked.
        earlier: Answers of earlier runs, and where this one is kept.
        anew: Whether it is run although there is an answer.

    Raises:
        PluginUnavailableError: It cannot run here, or not on this volume.
        PluginNotTrustedError: Its files are others than those that were trusted.
        PluginFailedError: It failed, or its answer is not one.
        OutOfMemoryError: There was not enough memory.
        Cancelled: It was asked to stop.
    """
    manifest = ready_manifest(record)
    options = options or RunOptions()
    require_possible(record, options)
    whole = case_of(manifest, volume, others or {}, options.box)
    shape, box = volume.geometry.shape, options.box or Box.whole(volume.geometry.shape)
    case = whole if options.box is None else boxing.cropped(whole, volume, box)
    started = time.monotonic()
    context = Context(
        record.folder, progress, lambda: devices.choose(device), box.shape, exact=exact,
        preview=_at(box, preview), options=options,
    )  # fmt: skip
    context.progress(0.0, Text.of("Starting {name}", name=Text(manifest.name)))
    sha256 = pinned(record, progress)
    key = ""
    keeps = earlier if manifest.task == "segment" else None
    if keeps is not None:
        key = question(manifest, sha256, whole, options, progress, device=device, exact=exact)
        known = None if anew else keeps.find(key, shape, manifest.segments)
        if known is not None:
            progress.report(1.0, Text("Done"))
            return replace(known, options=options)
    if not isinstance(manifest.engine, PythonEngine):
        context.occupancy = occupancy_of(manifest.input, case, context.part(0.0, 0.02))
    answer = guarded(lambda: _answer(record, case, context, device), manifest)
    context.check()
    findings = Findings() if manifest.task == "segment" else checked_findings(answer, manifest)
    if manifest.task != "segment":
        for doubt in doubts_of_picture(manifest.input[0], volume):
            context.note(doubt)
    findings = findings.moved(box.start, is_spatial=volume.is_spatial)
    _note_sum(findings, manifest, context)
    if manifest.task != "segment":
        answer = np.zeros(box.shape, dtype=np.uint8)
    labels, layers, maps = _on_whole_grid(answer, manifest, context, box, shape)
    if options.maps > len(maps):
        context.note(Text("The model's last steps are its own: there are no maps of its values."))
    if options.evidence is not None and not maps:
        raise PluginFailedError(
            Text.of("{name} does not show where it looked.", name=Text(manifest.name)),
            Text("Tell the plugin's author."),
        )
    nothing = findings.is_empty and not labels.any()
    result = SegmentationResult(
        labels,
        manifest.segments,
        ModelRef(manifest.id, manifest.version, sha256),
        context.device_used,
        time.monotonic() - started,
        (*context.notes, *findings.sentences, *((Text("Nothing was found."),) if nothing else ())),
        layers,
        findings,
        options,
        maps,
        measured=context.measured,
    )
    if keeps is not None:
        keeps.keep(key, result, progress)
    progress.report(1.0, Text("Done"))
    return result


def _on_whole_grid(
    answer: Any, manifest: PluginManifest, context: Context, box: Box, shape: Index
) -> tuple[Labels, tuple[Labels, ...], tuple[SideMap, ...]]:
    """The labels, layers and maps of a plugin that looked at a box of an image, as those of the image."""
    layers = as_layers(answer, box.shape, manifest) if manifest.has_regions else ()
    single: tuple[Labels, ...] = () if layers else (checked(answer, box.shape, manifest),)
    maps = context.maps
    if context.occupancy is not None and context.occupancy.body is not None:
        for one in (*layers, *single, *(given.values for given in maps)):
            only_inside(one, Box.whole(box.shape), context.occupancy.body)
    if box != Box.whole(shape):
        layers = tuple(boxing.put_back(one, box, shape) for one in layers)
        single = tuple(boxing.put_back(one, box, shape) for one in single)
        maps = tuple(replace(one, values=boxing.put_back(one.values, box, shape)) for one in maps)
    return smallest_on_top(layers) if layers else single[0], layers, maps


def _at(box: Box, preview: Preview | None) -> Preview | None:
    """A preview of the whole image, for a plugin that sees a box of it."""
    if preview is None:
        return None

    def shown(part: Box, labels: Labels) -> None:
        preview(part.shifted(box.start), labels)

    return shown


def case_of(
    manifest: PluginManifest, first: Volume, others: Mapping[str, Volume], box: Box | None = None
) -> dict[str, Volume]:
    """The images of a plugin by the names of its inputs, each of which must suit its input.

    Args:
        manifest: The plugin's.
        first: The first image.
        others: The further ones, by name.
        box: The part of the first one that the plugin gets to see; None: all of it. Others are judged as they are.

    Raises:
        PluginUnavailableError: One is missing, or does not suit.
    """
    if box is not None and (box.is_empty or box.clipped(first.geometry.shape) != box):
        raise PluginUnavailableError(
            Text("The box does not lie in the image."), Text("Set the box anew, or take it away.")
        )
    case: dict[str, Volume] = {}
    for number, wanted in enumerate(manifest.input):
        volume = first if number == 0 else others.get(wanted.name)
        if volume is None:
            raise PluginUnavailableError(
                Text.of("{name} also needs a series for “{input}”.", name=Text(manifest.name), input=Text(wanted.name)),
                Text("Choose a series of the study for each of its inputs."),
            )
        fit = fit_input(wanted, volume, box=box if number == 0 else None)
        if not fit.ok:
            raise PluginUnavailableError(
                Text.of("{name} does not suit this series. {reason}", name=Text(manifest.name), reason=fit.reasons[0]),
                fit.reasons[-1] if fit.needs_box else Text("Choose another series or another plugin."),
            )
        case[wanted.name] = volume
    return case


def pinned(record: PluginRecord, progress: Progress) -> str:
    """The hash of the plugin's files, which must be the one that was trusted where one was.

    Raises:
        PluginNotTrustedError: It is another.
    """
    found = files_sha256(record.folder, progress)
    if record.pinned_sha256 and record.pinned_sha256 != found:
        raise PluginNotTrustedError(
            Text.of("The files of {name} have changed since you trusted it.", name=Text(record.name)),
            Text("Look at them, and trust the plugin again if the change is meant."),
        )
    return found


def ready_manifest(record: PluginRecord) -> PluginManifest:
    """The manifest of a plugin that can be run.

    Raises:
        PluginUnavailableError: It cannot.
    """
    if record.state is PluginState.NEEDS_TRUST:
        raise PluginNotTrustedError(
            Text.of("{name} cannot run before you trust it. {reason}", name=Text(record.name), reason=record.reason),
            Text.of("If you know who made it: medview plugin trust {id}", id=record.id),
        )
    if record.manifest is None or record.state is not PluginState.READY:
        raise PluginUnavailableError(
            Text.of("{name} cannot run. {reason}", name=Text(record.name), reason=record.reason)
        )
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
    return np.ascontiguousarray(array, dtype=_kind(manifest))


def checked_findings(answer: Any, manifest: PluginManifest) -> Findings:
    """A plugin's answer where its task is not to segment.

    Raises:
        PluginFailedError: It is something else, or holds what is no number, no probability, or not in the manifest.
    """
    if not isinstance(answer, Findings):
        raise _bad_answer(manifest, Text.of("it returns {kind} and not findings", kind=type(answer).__name__))
    known = {one.value for one in manifest.class_}
    values = [*(c.value for c in answer.classes), *(b.value for b in answer.boxes), *(p.value for p in answer.points)]
    unknown = [value for value in values if value not in known]
    if unknown:
        raise _bad_answer(manifest, Text.of("its manifest does not name the class {value}", value=unknown[0]))
    shares = [*(one.probability for one in answer.classes), *(one.probability for one in answer.boxes)]
    if not all(0 <= share <= 1 for share in shares):
        raise _bad_answer(manifest, Text("its answer holds values that are no probabilities"))
    places = [one.position for one in answer.points] + [place for one in answer.boxes for place in one.vectors]
    if not np.isfinite(np.asarray(places, dtype=np.float64)).all():
        raise _bad_answer(manifest, Text("its answer holds values that are not numbers"))
    return answer


def _note_sum(findings: Findings, manifest: PluginManifest, context: Context) -> None:
    """Say so when classes of which one holds do not add up to one."""
    if manifest.classify.relation in (None, Relation.INDEPENDENT) or not findings.classes:
        return
    for slice in {one.slice for one in findings.classes}:
        total = sum(one.probability for one in findings.classes if one.slice == slice)
        if abs(total - 1) > _SUM_TOLERANCE:
            context.note(Text("Only one of its classes can hold, but their probabilities do not add up to 100 %."))
            return


def as_layers(answer: Any, shape: Index, manifest: PluginManifest) -> tuple[Labels, ...]:
    """A plugin's answer where structures may overlap: for each its own labels, (k, j, i), 0 or its value.

    Raises:
        PluginFailedError: It is not one layer for every label, on the volume's grid, of nothing but 0 and 1.
    """
    array = _array(answer, manifest)
    wanted = (max(label.value for label in manifest.label), *shape)
    if array.shape != wanted:
        raise _bad_answer(
            manifest, Text.of("its layers have the shape {found} and not {wanted}", found=array.shape, wanted=wanted)
        )
    if any(value not in (0, 1) for value in _values(array)):
        raise _bad_answer(manifest, Text("its layers hold other values than 0 and 1"))
    kind = _kind(manifest)
    return tuple(array[label.value - 1].astype(kind) * kind(label.value) for label in manifest.label)


def smallest_on_top(layers: Sequence[Labels]) -> Labels:
    """One label map of structures that overlap: each voxel belongs to the smallest of those that cover it."""
    order = sorted(layers, key=lambda one: -int(np.count_nonzero(one)))
    merged = np.zeros_like(order[0])
    for layer in order:
        np.copyto(merged, layer, where=layer > 0)
    return merged


def _kind(manifest: PluginManifest) -> type[np.uint8] | type[np.uint16]:
    most = max((label.value for label in manifest.label), default=0)
    return np.uint8 if most <= np.iinfo(np.uint8).max else np.uint16


def _values(array: NDArray[Any]) -> list[int]:
    """The different values of an array of whole numbers."""
    if array.dtype != np.uint8:
        return [int(value) for value in np.unique(array)]
    if not array.size:
        return []
    lowest, highest = int(array.min()), int(array.max())
    if highest - lowest <= 1:  # one structure: that is all that there can be
        return sorted({lowest, highest})
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


def _answer(record: PluginRecord, case: Case, context: Context, device: str) -> Any:
    if record.runs_apart:
        from medview.inference import apart

        return apart.run(record, case, context, device=device)
    return engine(record, case, context)


def plain(answer: Any, manifest: PluginManifest) -> Any:
    """A plugin's answer as findings or an array, which can cross to another process.

    Raises:
        PluginFailedError: It is neither.
    """
    return answer if isinstance(answer, Findings) else _array(answer, manifest)


def engine(record: PluginRecord, case: Case, context: Context) -> Any:
    """Have the plugin's engine give its answer, in this process and thread; it is unchecked."""
    manifest = ready_manifest(record)
    if isinstance(manifest.engine, PythonEngine):
        return python_engine.run(record.folder, manifest.engine, case, context)
    devices.be_considerate()
    if isinstance(manifest.engine, NnunetEngine):
        from medview.inference import nnunet

        return nnunet.run(record.folder, manifest.engine, case, context)
    if isinstance(manifest.engine, NetworkEngine):
        from medview.inference import network_file

        return network_file.run(
            record.folder, manifest.engine, case, context, manifest=manifest, trusted=record.trusted
        )
    from medview.inference import monai_bundle

    return monai_bundle.run(record.folder, manifest.engine, case, context, manifest=manifest, trusted=record.trusted)


def guarded(work: Callable[[], Any], manifest: PluginManifest) -> Any:
    """Call a plugin; everything that it may raise becomes one of MedView's errors."""
    try:
        return work()
    except (Cancelled, MedViewError):
        raise
    except (Exception, SystemExit) as error:
        if is_out_of_memory(error):
            raise _memory(manifest) from error
        _log.exception("%s failed", manifest.id)
        if is_lost_card(error):
            raise PluginFailedError(
                Text.of("The graphics card stopped answering while {name} was running.", name=Text(manifest.name)),
                Text(
                    "Nothing was changed. Run it again on the processor, or start MedView anew to use the card again."
                ),
            ) from error
        raise PluginFailedError(
            Text.of("{name} failed: {reason}.", name=Text(manifest.name), reason=python_engine.reason_of(error)),
            Text("Nothing was changed. The log has the details for the plugin's author."),
        ) from error


def _memory(manifest: PluginManifest) -> OutOfMemoryError:
    return OutOfMemoryError(
        Text.of("There is not enough memory to run {name} on this series.", name=Text(manifest.name)),
        Text("Close other programs and cases, or run it on the processor."),
    )


def _bad_answer(manifest: PluginManifest, problem: Text) -> PluginFailedError:
    return PluginFailedError(
        Text.of("{name} gave an answer that cannot be used: {problem}.", name=Text(manifest.name), problem=problem),
        Text("Nothing was changed. Tell the plugin's author."),
    )
