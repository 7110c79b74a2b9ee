"""Puts plugins into the user's folder, and takes them away. Nothing of a plugin is run, and nothing is fetched.

An archive is unpacked, or a folder copied, under a temporary name beside its place; what came out is checked as any
plugin is; only then does it get its name. An older plugin of that name waits aside until the new one is in place.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from medview.catalog import (
    archives,
    bundle_files,
    bundle_manifest,
    manifest_problems,
    nnunet_manifest,
    packing,
    terminology,
)
from medview.catalog.plugins import PluginRecord, PluginState, discover, inspect
from medview.core.errors import InputError, MedViewError, PluginUnavailableError
from medview.core.files import flush, not_written, rename_folder, whole_folder
from medview.core.progress import NoProgress, PartOf, Progress
from medview.core.text import Text

_KEPT = ".kept-"
_BUNDLE = "bundle"
_SUFFIXES = (".zip", ".mvp", ".tar", ".tgz", ".gz", ".xz", ".bz2")
_MARKS = (manifest_problems.FILE_NAME, "plans.json", *(name.as_posix() for name in bundle_files.CONFIG_FILES))
_DEEPEST_ROOT = 2
"""Below how many folders of an archive the plugin may lie: archives often hold one folder with everything."""


class AlreadyInstalledError(InputError):
    """There is a plugin of this id already.

    Attributes:
        id: Of both.
        installed: The version that is there.
        offered: The version that was to be installed.
    """

    def __init__(self, id: str, installed: str, offered: str) -> None:
        self.id, self.installed, self.offered = id, installed, offered
        super().__init__(
            Text.of("{id} {version} is installed already.", id=id, version=installed),
            Text.of("To put {version} in its place, say --replace.", version=offered),
        )


@dataclass(frozen=True, slots=True)
class Installed:
    """What was installed.

    Attributes:
        id: Of the plugin.
        version: Of the plugin.
        folder: Where it lies now.
        replaced: The version that was there before; empty when there was none.
        made_manifest: Whether its manifest was made from what the bundle says.
    """

    id: str
    version: str
    folder: Path
    replaced: str
    made_manifest: bool


def looks_like_plugin(path: Path) -> bool:
    """Whether a dropped file or folder is a plugin or a MONAI bundle; images in it do not count. Quick."""
    if path.is_dir():
        return _is_root(path)
    if path.suffix.lower() not in _SUFFIXES or not archives.is_archive(path):
        return False
    try:
        return _archive_holds_plugin(archives.names(path))
    except InputError:
        # It may be a plugin that must be refused; that is said when it is installed.
        return path.suffix.lower() == ".mvp"


def install(
    source: Path,
    plugins: Path,
    *,
    replace: bool = False,
    shipped: Sequence[Path] = (),
    progress: Progress | None = None,
) -> Installed:
    """Install a plugin, or a MONAI bundle or nnU-Net model without a manifest, from an archive or a folder.

    Args:
        source: The archive or the folder; it stays as it is.
        plugins: The user's folder of plugins; made when missing.
        replace: Whether a plugin of the same id may be replaced.
        shipped: Folders of plugins that came with the program; their ids are taken.
        progress: Reported to, and asked for cancellation.

    Raises:
        InputError: It is no plugin, or not one that can be unpacked safely.
        AlreadyInstalledError: There is one of this id, and `replace` was not said.
        PluginError: Its manifest is wrong, or a part of it is missing.
        StorageError: The disk is full, or nothing may be written there.
        Cancelled: The user has cancelled.
    """
    progress = progress or NoProgress()
    put_back_kept(plugins)
    try:
        with whole_folder(plugins / "x") as temporary:
            inside = temporary / "in"
            inside.mkdir()
            if source.is_dir():
                _copy(source, inside, PartOf(progress, 0.0, 0.9))
            else:
                archives.unpack(source, inside, PartOf(progress, 0.0, 0.9))
            root = _root(inside, source)
            made = not (root / manifest_problems.FILE_NAME).is_file()
            folder = _with_manifest(root, temporary, source) if made else root
            record = _checked(folder)
            target = plugins / record.id
            _require_free(record, shipped)
            older = _installed(record.id, plugins)
            replaced = older.manifest.version if older is not None and older.manifest is not None else ""
            if older is not None and not replace:
                raise AlreadyInstalledError(record.id, replaced or "0.0.0", _version(record))
            progress.raise_if_cancelled()
            _flush_all(folder)
            _put_in_place(folder, target, older.folder if older is not None else None)
    except OSError as error:
        raise not_written(plugins, error) from error
    progress.report(1.0, Text("Installed"))
    return Installed(record.id, _version(record), target, replaced, made)


def remove(plugin_id: str, plugins: Path, shipped: Sequence[Path] = ()) -> Path:
    """Take a plugin out of the user's folder, with its files.

    Returns:
        Where it was.

    Raises:
        InputError: There is none of this id, or it came with the program.
        StorageError: Its files cannot be removed.
    """
    record = _installed(plugin_id, plugins)
    if record is None:
        if any(one.id == plugin_id for one in discover(shipped)):
            raise InputError(
                Text.of("{id} comes with MedView and stays.", id=plugin_id), Text("Plugins of your own can be removed.")
            )
        raise InputError(
            Text.of("No plugin {id} is installed.", id=plugin_id), Text("medview plugin list shows which are.")
        )
    try:
        if record.folder.is_symlink():
            record.folder.unlink()  # a plugin that its author works on elsewhere: only the link is ours
            return record.folder
        with whole_folder(plugins / "x") as temporary:
            record.folder.rename(temporary / "gone")
    except OSError as error:
        raise not_written(record.folder, error) from error
    return record.folder


def put_back_kept(plugins: Path) -> None:
    """Give an older plugin its name back where the program ended before the new one was in place."""
    for kept in plugins.glob(f"{_KEPT}*"):
        target = plugins / kept.name.removeprefix(_KEPT)
        with suppress(OSError):
            if target.exists():
                shutil.rmtree(kept, ignore_errors=True)
            else:
                kept.rename(target)


def _copy(source: Path, into: Path, progress: Progress) -> None:
    """Copy a folder as an archive would be unpacked: plain files with names that every system can hold."""
    files: list[PurePosixPath] = []
    total = 0
    for place, folders, names in os.walk(source):
        folders[:] = sorted(one for one in folders if one not in ("__pycache__", ".git"))
        for name in (*folders, *names):
            path = Path(place, name)
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                raise InputError(
                    Text.of("{file} holds a link or a device: {name}.", file=source.name, name=name[:80]),
                    Text("It was not installed. Put the file itself in its place."),
                )
        for name in sorted(names):
            path = Path(place, name)
            try:
                files.append(archives.check_name(path.relative_to(source).as_posix()))
            except ValueError as error:
                raise InputError(
                    Text.of("{file} has a name that not every system can hold.", file=str(path)), Text("Rename it.")
                ) from error
            total += path.stat().st_size
            if len(files) > archives.LIMITS.members or total > archives.LIMITS.most_bytes:
                raise InputError(
                    Text.of("{folder} is too large for a plugin.", folder=str(source)),
                    Text("Choose the plugin's own folder."),
                )
    archives.check_names(files, source.name)
    for number, file in enumerate(files):
        progress.raise_if_cancelled()
        progress.report(number / len(files), Text("Copying"))
        target = into.joinpath(*file.parts)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source.joinpath(*file.parts), target, follow_symlinks=False)


def _root(inside: Path, source: Path) -> Path:
    """The folder of the plugin in what was unpacked: its own, or the only one."""
    waiting = [(inside, 0)]
    while waiting:
        folder, depth = waiting.pop(0)
        if _is_root(folder):
            return folder
        if depth < _DEEPEST_ROOT:
            waiting += [(one, depth + 1) for one in sorted(folder.iterdir()) if one.is_dir()]
    raise InputError(
        Text.of("{file} is neither a plugin, nor a MONAI bundle, nor a model folder of nnU-Net.", file=source.name),
        Text(
            "A plugin has a plugin.toml; a bundle has configs/inference.json or .yaml, and models; "
            "a model folder has plans.json and folds."
        ),
    )


def _is_root(folder: Path) -> bool:
    described = (folder / manifest_problems.FILE_NAME).is_file()
    return described or bundle_manifest.is_bundle(folder) or nnunet_manifest.is_model_folder(folder)


def _archive_holds_plugin(names: Sequence[PurePosixPath]) -> bool:
    for name in names:
        for depth in range(min(_DEEPEST_ROOT + 1, len(name.parts))):
            if "/".join(name.parts[depth:]) in _MARKS:
                return True
    return False


def copy_bundle(bundle: Path, folder: Path, id: str) -> None:
    """Copy a MONAI bundle or a model folder of nnU-Net into an empty folder, and put a manifest beside it.

    Raises:
        PluginError: It does not say what it segments.
        InputError: It holds links, or names that not every system can hold.
    """
    name = _inside(bundle)
    _write_manifest(bundle, folder, id)
    (folder / name).mkdir()
    _copy(bundle, folder / name, NoProgress())


def _inside(bundle: Path) -> str:
    """The name of what came without a manifest in its plugin's folder; nnU-Net's folders say much by theirs."""
    return bundle.resolve().name if nnunet_manifest.is_model_folder(bundle) else _BUNDLE


def _with_manifest(bundle: Path, temporary: Path, source: Path) -> Path:
    """A folder with a manifest and, beside it, the bundle as it came."""
    made = temporary / "made"
    made.mkdir()
    name = bundle.name if bundle != temporary / "in" else _stem(source)
    called = name
    is_model = nnunet_manifest.is_model_folder(bundle)
    if is_model:
        called = nnunet_manifest.name_of(bundle) or name
    inside = _inside(bundle) if bundle != temporary / "in" else name if is_model else _BUNDLE
    _write_manifest(bundle, made, bundle_manifest.id_from(called), inside)
    bundle.rename(made / inside)
    return made


def _write_manifest(bundle: Path, folder: Path, id: str, inside: str = "") -> None:
    maker = nnunet_manifest if nnunet_manifest.is_model_folder(bundle) else bundle_manifest
    text = maker.manifest_text(bundle, id, inside or _inside(bundle), terminology.load())
    (folder / manifest_problems.FILE_NAME).write_text(text, encoding="utf-8")


def _stem(source: Path) -> str:
    name = source.resolve().name
    for suffix in (*_SUFFIXES, ".tar"):
        name = name[: -len(suffix)] if name.lower().endswith(suffix) else name
    return name


def _checked(folder: Path) -> PluginRecord:
    packing.verify(folder)
    record = inspect(folder)
    if record.manifest is None or record.state in (PluginState.BLOCKED, PluginState.BROKEN):
        raise PluginUnavailableError(
            Text.of("The plugin was not installed. {reason}", reason=record.reason), Text("Tell the plugin's author.")
        )
    return record


def _require_free(record: PluginRecord, shipped: Sequence[Path]) -> None:
    try:
        archives.check_name(record.id)
    except ValueError as error:
        raise InputError(
            Text.of("A plugin cannot be called {id}: not every system can hold that name.", id=record.id),
            Text("Give it another id."),
        ) from error
    if any(one.id == record.id for one in discover(shipped)):
        raise InputError(
            Text.of("{id} is the id of a plugin that comes with MedView.", id=record.id), Text("Give it another id.")
        )


def _installed(plugin_id: str, plugins: Path) -> PluginRecord | None:
    here = plugins / plugin_id
    known = [one for one in discover([plugins]) if one.id == plugin_id]
    if known:
        return known[0]
    # A folder that only has the name is in the way as well.
    if _is_folder_name(plugin_id) and here.exists():
        return PluginRecord(here, None, PluginState.BROKEN)
    return None


def _is_folder_name(name: str) -> bool:
    """Whether a name can be a folder's."""
    try:
        return len(archives.check_name(name).parts) == 1
    except ValueError:
        return False


def _version(record: PluginRecord) -> str:
    return record.manifest.version if record.manifest is not None else ""


def _put_in_place(folder: Path, target: Path, older: Path | None) -> None:
    kept: Path | None = None
    if older is not None:
        kept = older.with_name(_KEPT + older.name)
        shutil.rmtree(kept, ignore_errors=True)
        older.rename(kept)
    try:
        if not rename_folder(folder, target):
            raise InputError(
                Text.of("{folder} is in the way.", folder=str(target)), Text("Rename or remove it, and try again.")
            )
    except (OSError, MedViewError):
        if kept is not None and older is not None:
            kept.rename(older)
        raise
    if kept is not None:
        shutil.rmtree(kept, ignore_errors=True)


def _flush_all(folder: Path) -> None:
    for place, _, names in os.walk(folder):
        for name in names:
            flush(Path(place, name))
