"""Which plugins are on disk. Finding them reads manifests and configurations, and runs nothing."""

from __future__ import annotations

import importlib.machinery
import importlib.metadata
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path, PurePosixPath

from medview.catalog import (
    bundle_config,
    bundle_files,
    manifest_problems,
    nnunet_folder,
    nnunet_postprocessing,
    onnx_file,
    weights,
)
from medview.catalog import manifest as manifests
from medview.catalog.manifest import PluginManifest
from medview.catalog.manifest_engines import BundleEngine, NetworkEngine, NnunetEngine, PythonEngine
from medview.catalog.trust import TrustBook, Verdict
from medview.core.errors import ManifestError, PluginNotTrustedError, PluginUnavailableError
from medview.core.text import Text

_log = logging.getLogger(__name__)
ENTRY_POINTS = "medview.plugins"
"""The group in which an installed Python package names its plugin, as `package:plugin.toml`."""


class PluginState(StrEnum):
    """How far a plugin is from giving an answer.

    FOUND: it was trusted once, and its files must be read to know whether they are the same. NEEDS_TRUST: it would run
    a program that nobody has allowed. READY can be run. RUNNING and FAILED are what `workstation.analysis` makes of
    READY. BLOCKED is sound but cannot run here; BROKEN must be repaired by its author.
    """

    FOUND = "found"
    NEEDS_TRUST = "needs trust"
    READY = "ready"
    RUNNING = "running"
    FAILED = "failed"
    BLOCKED = "blocked"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class PluginRecord:
    """A plugin's folder and what is known of it.

    Attributes:
        folder: Where it lies.
        manifest: What it says about itself; None when that cannot be read.
        state: Whether it can be run.
        reason: Why it cannot; empty when it can.
        trusted: Whether it may run a program of its own.
        pinned_sha256: The hash that its files must have when it runs; empty when none is asked for.
        runs_apart: Whether it runs in a process of its own: a program of somebody's that the user has trusted.
    """

    folder: Path
    manifest: PluginManifest | None
    state: PluginState
    reason: Text = field(default_factory=lambda: Text(""))
    trusted: bool = False
    pinned_sha256: str = ""
    runs_apart: bool = False

    @property
    def id(self) -> str:
        """The plugin's id; the folder's name when it has no readable manifest."""
        return self.manifest.id if self.manifest else self.folder.name

    @property
    def name(self) -> str:
        """What people call it."""
        return self.manifest.name if self.manifest else self.folder.name


def discover(
    folders: Sequence[Path], *, trust: TrustBook | None = None, more: Sequence[Path] = ()
) -> tuple[PluginRecord, ...]:
    """The plugins in some folders, each a folder with a `plugin.toml`; earlier folders win over later ones.

    A plugin that cannot be used is listed with the reason. Missing folders hold no plugins.

    Args:
        folders: Folders of plugins.
        trust: Whom the user trusts; as in `inspect`.
        more: Folders of single plugins.
    """
    found: list[PluginRecord] = []
    owners: dict[str, Path] = {}
    for folder in (*_plugin_folders(folders), *more):
        record = inspect(folder, trust)
        if record.manifest is not None and record.id in owners:
            record = replace(
                record,
                state=PluginState.BLOCKED,
                reason=Text.of("Another plugin has the same id: {folder}.", folder=str(owners[record.id])),
            )
        elif record.manifest is not None:
            owners[record.id] = folder
        found.append(record)
    return tuple(found)


def inspect(folder: Path, trust: TrustBook | None = None, *, read_files: bool = False) -> PluginRecord:
    """One plugin, judged by its files alone.

    Args:
        folder: The plugin's.
        trust: Whom the user trusts. None: whoever calls vouches for a Python plugin, as for one that he wrote; a bundle
            may then hold nothing but data.
        read_files: Whether all its files may be read to know whether it is trusted; that may take seconds.
    """
    try:
        manifest = manifests.load(folder)
    except ManifestError as error:
        _log.info("%s", error)
        return PluginRecord(folder, None, PluginState.BROKEN, _sentence(error))
    try:
        program = program_of(folder, manifest)
    except PluginUnavailableError as error:
        return PluginRecord(folder, manifest, PluginState.BLOCKED, _sentence(error))
    if program is None:
        return PluginRecord(folder, manifest, PluginState.READY)
    if trust is None:
        if isinstance(manifest.engine, PythonEngine):
            return PluginRecord(folder, manifest, PluginState.READY, trusted=True)
        return PluginRecord(folder, manifest, PluginState.NEEDS_TRUST, program)
    verdict = trust.verdict(folder, manifest.id, read_files=read_files)
    if verdict is Verdict.VOUCHED:
        return PluginRecord(folder, manifest, PluginState.READY, trusted=True)
    pinned = trust.pinned_sha256(manifest.id)
    if verdict is Verdict.TRUSTED:
        return PluginRecord(folder, manifest, PluginState.READY, trusted=True, pinned_sha256=pinned, runs_apart=True)
    if verdict is Verdict.UNSURE:
        reason = Text("Its files have been touched since you trusted it; they are being compared.")
        return PluginRecord(folder, manifest, PluginState.FOUND, reason)
    if verdict is Verdict.CHANGED:
        program = Text.of("Its files have changed since you trusted it. {reason}", reason=program)
    return PluginRecord(folder, manifest, PluginState.NEEDS_TRUST, program)


def program_of(folder: Path, manifest: PluginManifest) -> Text | None:
    """Why a plugin needs the user's trust: what of it is a program; None when it is data alone.

    Raises:
        PluginUnavailableError: A part of it is missing or wrong.
    """
    engine = manifest.engine
    if isinstance(engine, PythonEngine):
        entry_file(folder, engine)
        return Text("It is a Python program, and it can do whatever you can do on this computer.")
    if isinstance(engine, NnunetEngine):
        _check_nnunet(folder, manifest, engine)
        return None
    if isinstance(engine, NetworkEngine):
        return _program_of_network(folder / engine.path, engine)
    return _program_of_bundle(folder / engine.path, engine, manifest.has_regions)


def entry_point_folders() -> tuple[Path, ...]:
    """The folders of the plugins that Python packages bring, found without importing any of them."""
    found: list[Path] = []
    for entry in importlib.metadata.entry_points(group=ENTRY_POINTS):
        package, _, file = entry.value.partition(":")
        path = _file_of_package(entry, package.strip(), file.strip() or manifest_problems.FILE_NAME)
        if path is not None and path.name == manifest_problems.FILE_NAME and path.parent not in found:
            found.append(path.parent)
        elif path is None:
            _log.warning("The entry point %s names a plugin that is not there.", entry.value)
    return tuple(found)


def entry_file(folder: Path, engine: PythonEngine) -> Path:
    """The file of a Python plugin's module.

    Raises:
        PluginUnavailableError: There is none.
    """
    path = folder.joinpath(*engine.module.split(".")).with_suffix(".py")
    if not path.is_file():
        raise PluginUnavailableError(
            Text.of("The plugin's module {file} is missing.", file=str(path)), Text("Install the plugin again.")
        )
    return path


def translations(records: Sequence[PluginRecord], language: str) -> dict[str, str]:
    """What the plugins' own sentences and names are in a language, as "zh_CN": English to that language."""
    found: dict[str, str] = {}
    for record in records:
        if record.manifest is not None:
            found |= record.manifest.translations.get(language, {})
    return found


def _sentence(error: PluginUnavailableError | ManifestError) -> Text:
    return Text.of("{what} {remedy}", what=error.what, remedy=error.remedy)


def _file_of_package(entry: importlib.metadata.EntryPoint, package: str, file: str) -> Path | None:
    inside = PurePosixPath(*package.split("."), file)
    for one in (entry.dist.files or ()) if entry.dist is not None else ():
        if PurePosixPath(one) == inside:
            return Path(str(one.locate()))
    # A package that is installed for editing lies elsewhere. Only its outermost name is looked up: nothing is imported.
    try:
        spec = importlib.machinery.PathFinder.find_spec(inside.parts[0])
    except (ImportError, ValueError):
        return None
    for place in (spec.submodule_search_locations or ()) if spec is not None else ():
        path = Path(place, *inside.parts[1:])
        if path.is_file():
            return path
    return None


def _plugin_folders(folders: Sequence[Path]) -> Iterator[Path]:
    for root in folders:
        try:
            children = sorted(root.iterdir())
        except OSError:
            continue
        for child in children:
            # What is being installed, or being removed, has a name that begins with a dot.
            if not child.name.startswith(".") and (child / manifest_problems.FILE_NAME).is_file():
                yield child


def _program_of_network(path: Path, engine: NetworkEngine) -> Text | None:
    if not path.is_file():
        raise PluginUnavailableError(
            Text.of("The network {file} is missing.", file=str(path)), Text("Install the plugin again.")
        )
    if engine.kind == "onnx":
        onnx_file.check(path)
        return None
    return Text.of("The network {file} is TorchScript, a program.", file=path.name)


def _program_of_bundle(bundle: Path, engine: BundleEngine, regions: bool) -> Text | None:
    needed: Text | None = None
    try:
        bundle_config.read(bundle, regions=regions)
    except PluginNotTrustedError as error:
        needed = _sentence(error)
    for name in (engine.weights, *engine.further_weights):
        try:
            path = bundle_files.weights_file(bundle, name)
        except PluginNotTrustedError as error:
            needed = needed or _sentence(error)
            continue
        found = weights.program_in(path)
        if found:
            needed = needed or Text.of(
                "The weights {file} hold a program as well as numbers ({reason}).", file=path.name, reason=found[:80]
            )
    return needed


def _check_nnunet(folder: Path, manifest: PluginManifest, engine: NnunetEngine) -> None:
    named = {0, *(label.value for label in manifest.label)}
    for part in engine.parts:
        model = nnunet_folder.read(folder / part.path)
        model.checkpoints(engine.folds, engine.checkpoint)
        if engine.postprocessing:
            nnunet_postprocessing.read(model.path)
        if model.configuration_name is not None:
            previous = model.configuration(model.configuration_name).previous_stage
            if previous is not None:
                model.stage_before(previous)
        if len(model.dataset.channel_names) != len(manifest.input):
            raise PluginUnavailableError(
                Text.of(
                    "The model needs {wanted} images and gets {found}.",
                    wanted=len(model.dataset.channel_names), found=len(manifest.input),
                ),
                Text("Name one input for each of its channels in plugin.toml."),
            )  # fmt: skip
        written = set(model.dataset.written if part.labels is None else part.labels.values())
        if not written <= named:
            listed = ", ".join(str(value) for value in sorted(written - named)[:5])
            raise PluginUnavailableError(
                Text.of("plugin.toml does not name the labels {values} that {folder} finds.",
                        values=listed, folder=part.path),
                Text("Write a [[label]] for each of them."),
            )  # fmt: skip
