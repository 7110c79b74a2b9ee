"""What a plugin can do for a better answer, and how many times the work that is: told before it is asked for."""

from __future__ import annotations

from dataclasses import dataclass

from medview.catalog import nnunet_folder
from medview.catalog.manifest import PluginManifest
from medview.catalog.manifest_engines import BundleEngine, NetworkEngine, NnunetEngine
from medview.catalog.plugins import PluginRecord
from medview.core.errors import PluginUnavailableError
from medview.core.evidence import EvidenceMethod

_AXES = 3


@dataclass(frozen=True, slots=True)
class Effort:
    """How many times a window is computed.

    Attributes:
        mirrored: When it is also shown mirrored; 1 where the plugin does not do that.
        is_most: Whether that is only known to be the most: the weights themselves name the axes.
        weights: With all its weights.
        mirrored_unasked: Whether the plugin mirrors when nobody says anything.
        averaged_unasked: Whether it uses all its weights then.
        gives_values: Whether its answer comes from values that maps can be made of.
        evidence: The ways in which it can be asked where it looked.
    """

    mirrored: int = 1
    is_most: bool = False
    weights: int = 1
    mirrored_unasked: bool = False
    averaged_unasked: bool = False
    gives_values: bool = False
    evidence: tuple[EvidenceMethod, ...] = ()


def effort_of(record: PluginRecord) -> Effort:
    """What a plugin's manifest and folders say; reads no weights."""
    manifest = record.manifest
    engine = manifest.engine if manifest is not None else None
    if manifest is not None and manifest.task == "classify" and not isinstance(engine, NnunetEngine):
        return _of_classifier(manifest)
    if isinstance(engine, BundleEngine):
        return Effort(
            2 ** len(engine.mirror_axes),
            False,
            1 + len(engine.further_weights),
            engine.mirroring,
            engine.ensemble,
            True,
        )
    if not isinstance(engine, NnunetEngine):
        return Effort()
    weights, axes = 1, 2
    try:
        for part in engine.parts:
            model = nnunet_folder.read(record.folder / part.path)
            weights = max(weights, len(model.checkpoints(engine.folds, engine.checkpoint)))
            name = model.configuration_name
            flat = name is not None and model.configuration(name).is_flat
            axes = max(axes, 2 if flat else _AXES)
    except PluginUnavailableError:
        return Effort()
    return Effort(2**axes, True, weights, engine.mirroring, engine.ensemble, True)


def _of_classifier(manifest: PluginManifest) -> Effort:
    """TorchScript and ONNX keep their layers to themselves; they can still be shown an image with a part covered."""
    engine = manifest.engine
    if isinstance(engine, NetworkEngine):
        return Effort(evidence=(EvidenceMethod.OCCLUSION,))
    if isinstance(engine, BundleEngine) or manifest.classify.shows_evidence:
        return Effort(evidence=tuple(EvidenceMethod))
    return Effort()
