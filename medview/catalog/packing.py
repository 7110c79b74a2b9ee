"""Packs a plugin into one file, the same bytes for the same files, with a list of hashes that installing compares."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path, PurePosixPath

from medview.catalog import archives
from medview.catalog.manifest import PluginManifest
from medview.catalog.trust import files_of
from medview.core.errors import InputError
from medview.core.files import file_hash, whole_file
from medview.core.progress import NoProgress, Progress
from medview.core.text import Text

HASHES = "FILES.sha256"
"""In the form of `sha256sum`, so that it can be checked without MedView."""
SUFFIX = ".mvp"
_LINE = re.compile(r"^([0-9a-f]{64})  (.+)$")
_EPOCH = (1980, 1, 1, 0, 0, 0)
_CHUNK = 1 << 20
_PLAIN_FILE = 0o100644 << 16


def pack(folder: Path, manifest: PluginManifest, out: Path, progress: Progress | None = None) -> Path:
    """Write a plugin's folder as `ID-VERSION.mvp`, a zip, into another folder.

    Returns:
        The file.

    Raises:
        InputError: A file has a name that not every system can hold.
        StorageError: It could not be written, or a file could not be read.
    """
    progress = progress or NoProgress()
    files = [path for path in files_of(folder) if path.relative_to(folder).as_posix() != HASHES]
    names = []
    for path in files:
        try:
            names.append(archives.check_name(path.relative_to(folder).as_posix()))
        except ValueError as error:
            raise InputError(
                Text.of("{file} has a name that not every system can hold.", file=str(path)), Text("Rename it.")
            ) from error
    archives.check_names(names, folder.name)
    target = out / f"{manifest.id}-{manifest.version}{SUFFIX}"
    lines = []
    with whole_file(target) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for number, (path, name) in enumerate(zip(files, names, strict=True)):
            progress.report(number / len(files), Text("Packing"))
            lines.append(f"{file_hash(path, progress)}  {name}\n")
            with path.open("rb") as source, archive.open(_entry(str(name)), "w", force_zip64=True) as packed:
                while piece := source.read(_CHUNK):
                    packed.write(piece)
        archive.writestr(_entry(HASHES), "".join(lines))
    return target


def verify(folder: Path) -> None:
    """Compare a plugin's files with its list of hashes, where it has one.

    Raises:
        InputError: A file is missing, is another one, or is not in the list.
    """
    path = folder / HASHES
    if not path.is_file():
        return
    listed: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        match = _LINE.match(line)
        if match is None:
            raise _differs(HASHES)
        listed[match.group(2)] = match.group(1)
    here = {one.relative_to(folder).as_posix(): one for one in files_of(folder)}
    here.pop(HASHES, None)
    for name in sorted(listed.keys() ^ here.keys()):
        raise _differs(name)
    for name, file in here.items():
        if file_hash(file) != listed[str(PurePosixPath(name))]:
            raise _differs(name)


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.create_system = 3
    entry.external_attr = _PLAIN_FILE
    return entry


def _differs(name: str) -> InputError:
    return InputError(
        Text.of("The file {name} is not the one that the plugin was packed with.", name=name),
        Text("It was damaged or changed on its way. Fetch the plugin again."),
    )
