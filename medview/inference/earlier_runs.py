"""Answers of earlier runs, kept on disk: the same question is answered at once.

An answer is found again only by everything that it came from: the pixels and the place of every image, the plugin's
files, what was asked of the run, and the program that ran it. The oldest ones go when there is no room. An entry is a
ZIP file, written whole or not at all, that only its owner may read; what does not prove itself is thrown away.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
import struct
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

import medview
from medview.catalog.manifest import PluginManifest
from medview.catalog.manifest_engines import PythonEngine
from medview.core.errors import MedViewError
from medview.core.files import sweep, whole_file
from medview.core.geometry import Index
from medview.core.progress import Progress
from medview.core.segmentation import ModelRef, Segment
from medview.core.text import Text
from medview.core.volume import Volume
from medview.inference.maps import MapKind, SideMap
from medview.inference.options import RunOptions
from medview.inference.plugin import SegmentationResult

_log = logging.getLogger(__name__)
_SCHEMA = 1
_ENDING = ".answer"
_RECORD = "record.json"
_FOR_ME_ALONE = 0o600
_LARGEST_RECORD = 2**20
_DAMAGED = (
    OSError, ValueError, KeyError, TypeError, EOFError, RuntimeError, zlib.error, struct.error, zipfile.BadZipFile,
)  # fmt: skip
"""What reading a spoilt entry may raise."""


class EarlierRuns:
    """The answers in one folder. Safe to use from any thread, and from several programs.

    Args:
        folder: Made when the first answer is kept.
        limit_bytes: How much the answers may take together; 0: none is kept, and none is found.
    """

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self._folder = folder
        self.limit_bytes = limit_bytes

    def find(self, key: str, shape: Index, segments: tuple[Segment, ...]) -> SegmentationResult | None:
        """The answer to a question; None where there is none.

        Args:
            key: What `question` makes.
            shape: Of the first image, (k, j, i); an answer of another shape is damaged.
            segments: What the plugin finds.
        """
        path = self._folder / (key + _ENDING)
        if not self.limit_bytes or not path.is_file():
            return None
        try:
            found = _read(path, key, shape, segments)
        except _DAMAGED:
            _log.warning("The kept answer %s is damaged and was thrown away.", path.name, exc_info=True)
            with suppress(OSError):
                path.unlink(missing_ok=True)
            return None
        with suppress(OSError):
            os.utime(path)
        return found

    def keep(self, key: str, result: SegmentationResult, progress: Progress) -> None:
        """Keep an answer; what cannot be kept is only noted in the log.

        Raises:
            Cancelled: The progress says so; nothing is kept then.
        """
        if not self.limit_bytes:
            return
        path = self._folder / (key + _ENDING)
        try:
            with whole_file(path) as temporary:
                _write(temporary, key, result, progress)
                temporary.chmod(_FOR_ME_ALONE)
            self.make_room()
        except (OSError, MedViewError):
            _log.warning("The answer could not be kept.", exc_info=True)

    def make_room(self) -> None:
        """Throw the oldest answers away until the others are within the limit."""
        sweep(self._folder)
        total = 0
        for size, path in self._newest_first():
            total += size
            if total > self.limit_bytes:
                with suppress(OSError):
                    path.unlink(missing_ok=True)

    def _newest_first(self) -> list[tuple[int, Path]]:
        found = []
        for path in self._folder.glob("*" + _ENDING):
            with suppress(OSError):
                facts = path.stat()
                found.append((facts.st_mtime_ns, facts.st_size, path))
        return [(size, path) for _, size, path in sorted(found, key=lambda one: one[0], reverse=True)]


def question(
    manifest: PluginManifest,
    files_sha256: str,
    case: Mapping[str, Volume],
    options: RunOptions,
    progress: Progress,
    *,
    device: str,
    exact: bool,
) -> str:
    """What an answer is found by: a hash over all that it may depend on.

    Args:
        manifest: The plugin's.
        files_sha256: Of all its files.
        case: The images by the names of the plugin's inputs.
        options: What is asked of the run.
        progress: Asked whether to go on.
        device: Where it is to run: "auto", "cpu" or "cuda".
        exact: Whether it computes in float32, whatever is faster.
    """
    own_program = isinstance(manifest.engine, PythonEngine)
    told = {
        "schema": _SCHEMA,
        "program": [medview.__version__, _source_sha256(), *(_version(one) for one in ("torch", "monai", "numpy"))],
        "machine": [platform.node(), platform.machine()],
        "plugin": files_sha256,
        "options": asdict(options),
        "device": device,
        "exact": exact,
        "images": {name: _image(volume, progress, all_facts=own_program) for name, volume in case.items()},
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _image(volume: Volume, progress: Progress, *, all_facts: bool) -> list[Any]:
    """What a plugin may see of an image; a bundle and nnU-Net see nothing but voxels and where they lie."""
    geometry = volume.geometry
    seen: list[Any] = [
        str(volume.voxels.dtype), geometry.shape, geometry.affine.tolist(), volume.modality.value, volume.unit,
        volume.is_spatial, _sha256(volume.voxels, progress),
    ]  # fmt: skip
    if all_facts:
        seen += [
            geometry.frame_of_reference_uid,
            volume.series_uid,
            volume.description,
            volume.phase,
            str(volume.caution),
        ]
        seen += ["" if volume.colors is None else _sha256(volume.colors, progress)]
        seen += [[window.center, window.width] for window in volume.windows]
    return seen


def _sha256(values: NDArray[Any], progress: Progress) -> str:
    digest = hashlib.sha256()
    for plane in values:
        progress.raise_if_cancelled()
        digest.update(np.ascontiguousarray(plane).data)
    return digest.hexdigest()


def _source_sha256() -> str:
    """Of the engine's own source where it is there; a frozen program is known by its version."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _write(path: Path, key: str, result: SegmentationResult, progress: Progress) -> None:
    arrays: dict[str, NDArray[Any]] = {"labels": result.labels}
    arrays |= {f"layer-{number}": one for number, one in enumerate(result.layers)}
    arrays |= {f"map-{number}": one.values for number, one in enumerate(result.maps)}
    record = {
        "schema": _SCHEMA,
        "key": key,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": result.device,
        "seconds": result.seconds,
        "notes": [_told(note) for note in result.notes],
        "layers": len(result.layers),
        "maps": [[one.kind.value, one.label] for one in result.maps],
        "sha256": {name: _sha256(one, progress) for name, one in arrays.items()},
        "plugin": asdict(result.model),
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr(_RECORD, json.dumps(record))
        for name, values in arrays.items():
            with archive.open(name + ".npy", "w", force_zip64=True) as member:
                _write_array(member, values, progress)


def _write_array(member: IO[bytes], values: NDArray[Any], progress: Progress) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(values.dtype), "fortran_order": False, "shape": values.shape}
    np.lib.format.write_array_header_2_0(member, header)
    for plane in values:
        progress.raise_if_cancelled()
        member.write(np.ascontiguousarray(plane).data)


def _read(path: Path, key: str, shape: Index, segments: tuple[Segment, ...]) -> SegmentationResult:
    """An entry, proved.

    Raises:
        ValueError: It is damaged; other errors of reading say the same.
    """
    with zipfile.ZipFile(path) as archive:
        if archive.getinfo(_RECORD).file_size > _LARGEST_RECORD:
            raise ValueError("a record of that size")
        record = json.loads(archive.read(_RECORD))
        if record["schema"] != _SCHEMA or record["key"] != key:
            raise ValueError("another entry")
        layers = [f"layer-{number}" for number in range(int(record["layers"]))]
        maps = [f"map-{number}" for number in range(len(record["maps"]))]
        arrays = {
            name: _read_array(archive, name, shape, record["sha256"][name]) for name in ("labels", *layers, *maps)
        }
    if any(arrays[name].dtype not in (np.uint8, np.uint16) for name in ("labels", *layers)):
        raise ValueError("no labels")
    if any(arrays[name].dtype != np.float16 for name in maps):
        raise ValueError("no maps")
    kinds = [(MapKind(kind), int(label)) for kind, label in record["maps"]]
    return SegmentationResult(
        labels=arrays["labels"],
        segments=segments,
        model=ModelRef(**record["plugin"]),
        device=str(record["device"]),
        seconds=float(record["seconds"]),
        notes=tuple(_text(note) for note in record["notes"]),
        layers=tuple(arrays[name] for name in layers),
        maps=tuple(SideMap(kind, label, arrays[name]) for (kind, label), name in zip(kinds, maps, strict=True)),
        earlier=datetime.fromisoformat(record["made_at"]),
    )


def _read_array(archive: zipfile.ZipFile, name: str, shape: Index, sha256: str) -> NDArray[Any]:
    with archive.open(name + ".npy") as member:
        if np.lib.format.read_magic(member) != (2, 0):
            raise ValueError("another format")
        found, _, dtype = np.lib.format.read_array_header_2_0(member)
        if found != shape or dtype.hasobject:
            raise ValueError("another shape")
        values = np.empty(shape, dtype=dtype)
        for plane in values:
            content = member.read(plane.nbytes)
            plane[...] = np.frombuffer(content, dtype=dtype).reshape(plane.shape)
        if member.read(1):
            raise ValueError("more than an array")
    if hashlib.sha256(values.data).hexdigest() != sha256:
        raise ValueError("a wrong checksum")
    return values


def _told(text: Text) -> list[Any]:
    """A sentence as plain values."""
    return [
        text.template,
        [[name, _told(value) if isinstance(value, Text) else str(value)] for name, value in text.values],
    ]


def _text(told: Any) -> Text:
    template, values = told
    return Text(
        str(template), tuple((str(name), _text(value) if isinstance(value, list) else value) for name, value in values)
    )
