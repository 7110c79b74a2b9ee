"""Which plugins are on disk. Finding them reads manifests and configurations, and runs nothing."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from medview.catalog import bundle_config, manifest_problems, nnunet_folder
from medview.catalog import manifest as manifests
from medview.catalog.manifest import BundleEngine, NnunetEngine, PluginManifest, PythonEngine
from medview.core.errors import ManifestError, PluginUnavailableError
from medview.core.text import Text

_log = logging.getLogger(__name__)
_NO_PART_OF_A_PLUGIN = ("__pycache__",)


class PluginState(StrEnum):
    """READY can be run; BLOCKED is sound but may not or cannot run here; BROKEN must be repaired by its author."""

    READY = "ready"
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
    """

    folder: Path
    manifest: PluginManifest | None
    state: PluginState
    reason: Text = field(default_factory=lambda: Text(""))

    @property
    def id(self) -> str:
        """The plugin's id; the folder's name when it has no readable manifest."""
        return self.manifest.id if self.manifest else self.folder.name

    @property
    def name(self) -> str:
        """What people call it."""
        return self.manifest.name if self.manifest else self.folder.name


def discover(folders: Sequence[Path]) -> tuple[PluginRecord, ...]:
    """The plugins in some folders, each a folder with a `plugin.toml`; earlier folders win over later ones.

    A plugin that cannot be used is listed with the reason. Missing folders hold no plugins.
    """
    found: list[PluginRecord] = []
    owners: dict[str, Path] = {}
    for folder in _plugin_folders(folders):
        record = inspect(folder)
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


def inspect(folder: Path) -> PluginRecord:
    """One plugin, judged by its files alone."""
    try:
        manifest = manifests.load(folder)
    except ManifestError as error:
        _log.info("%s", error)
        return PluginRecord(
            folder, None, PluginState.BROKEN, Text.of("{what} {remedy}", what=error.what, remedy=error.remedy)
        )
    try:
        if isinstance(manifest.engine, PythonEngine):
            entry_file(folder, manifest.engine)
        elif isinstance(manifest.engine, NnunetEngine):
            _check_nnunet(folder, manifest, manifest.engine)
        else:
            _check_bundle(folder, manifest.engine)
    except PluginUnavailableError as error:
        reason = Text.of("{what} {remedy}", what=error.what, remedy=error.remedy)
        return PluginRecord(folder, manifest, PluginState.BLOCKED, reason)
    return PluginRecord(folder, manifest, PluginState.READY)


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


def files_sha256(folder: Path) -> str:
    """One hash over the names and the contents of all files of a plugin."""
    digest = hashlib.sha256()
    for path in sorted(_files(folder), key=lambda one: one.relative_to(folder).as_posix()):
        with path.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
        digest.update(f"{path.relative_to(folder).as_posix()}\0{content}\n".encode())
    return digest.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        parts = path.relative_to(folder).parts
        if path.is_file() and not any(part in _NO_PART_OF_A_PLUGIN or part.startswith(".") for part in parts):
            yield path


def _plugin_folders(folders: Sequence[Path]) -> Iterator[Path]:
    for root in folders:
        try:
            children = sorted(root.iterdir())
        except OSError:
            continue
        for child in children:
            if (child / manifest_problems.FILE_NAME).is_file():
                yield child


def _check_bundle(folder: Path, engine: BundleEngine) -> None:
    bundle = folder / engine.path
    bundle_config.read(bundle)
    bundle_config.weights_file(bundle, engine.weights)


def _check_nnunet(folder: Path, manifest: PluginManifest, engine: NnunetEngine) -> None:
    named = {0, *(label.value for label in manifest.label)}
    for part in engine.parts:
        model = nnunet_folder.read(folder / part.path)
        model.checkpoints(engine.folds, engine.checkpoint)
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
