"""What a plugin can do for a better answer, and how many times the work that is: told before it is asked for."""

from __future__ import annotations

from dataclasses import dataclass

from medview.catalog import bundle_config, nnunet_folder
from medview.catalog.manifest import PluginManifest
from medview.catalog.manifest_engines import BundleEngine, NetworkEngine, NnunetEngine
from medview.catalog.plugins import PluginRecord
from medview.core.errors import PluginError, PluginUnavailableError
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
        has_dropout: Whether it can be asked again with dropout left on.
        classifies: Whether it looks at images and not at windows.
        evidence: The ways in which it can be asked where it looked.
    """

    mirrored: int = 1
    is_most: bool = False
    weights: int = 1
    mirrored_unasked: bool = False
    averaged_unasked: bool = False
    gives_values: bool = False
    has_dropout: bool = False
    classifies: bool = False
    evidence: tuple[EvidenceMethod, ...] = ()


def effort_of(record: PluginRecord) -> Effort:
    """What a plugin's manifest and folders say; reads no weights."""
    manifest = record.manifest
    engine = manifest.engine if manifest is not None else None
    if manifest is not None and manifest.task == "classify" and not isinstance(engine, NnunetEngine):
        return _of_classifier(record, manifest)
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


def _of_classifier(record: PluginRecord, manifest: PluginManifest) -> Effort:
    """TorchScript and ONNX keep their layers to themselves; they can still be shown an image with a part covered."""
    engine, said = manifest.engine, manifest.classify
    if isinstance(engine, NetworkEngine):
        return Effort(classifies=True, evidence=(EvidenceMethod.OCCLUSION,))
    if isinstance(engine, BundleEngine):
        return Effort(
            2 ** len(engine.mirror_axes),
            False,
            1 + len(engine.further_weights),
            engine.mirroring,
            engine.ensemble,
            has_dropout=said.dropout or _names_dropout(record, engine),
            classifies=True,
            evidence=tuple(EvidenceMethod),
        )
    evidence = tuple(EvidenceMethod) if said.shows_evidence else ()
    return Effort(has_dropout=said.dropout, classifies=True, evidence=evidence)


def _names_dropout(record: PluginRecord, engine: BundleEngine) -> bool:
    """Whether the bundle's configuration gives its network a share of values to leave out."""
    try:
        entries = bundle_config.read(record.folder / engine.path, trusted=record.trusted).entries
    except PluginError:
        return False
    network = entries.get("network_def")
    return isinstance(network, dict) and any(
        "drop" in key and isinstance(value, int | float) and 0 < value < 1 for key, value in network.items()
    )
