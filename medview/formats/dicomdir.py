"""DICOMDIR: the list of the files of a DICOM disc (DICOM PS3.3 annex F, PS3.10 section 8)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

NAME = "DICOMDIR"


@dataclass(frozen=True, slots=True)
class Directory:
    """What a DICOMDIR names.

    Attributes:
        files: Those that are there.
        missing: Those that are not, as paths that they should have.
    """

    files: tuple[Path, ...]
    missing: tuple[Path, ...]


def is_directory(path: Path) -> bool:
    """Whether a file is named as the list of a disc."""
    return path.name.upper() == NAME


def read(path: Path) -> Directory | None:
    """The files that a DICOMDIR names; None when it cannot be read, or names none.

    Names are written in capitals there; on disk they may be in small letters, as other systems copy them.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            names = list(dict.fromkeys(_names(dcmread(path))))
    except Exception:  # a damaged list names nothing: the folder is searched instead
        return None
    finder = _Finder(path.parent)
    places = [(finder.find(parts), path.parent.joinpath(*parts)) for parts in names]
    if not places:
        return None
    return Directory(
        tuple(found for found, _ in places if found is not None),
        tuple(stated for found, stated in places if found is None),
    )


def _names(dataset: Dataset) -> Iterator[tuple[str, ...]]:
    for record in dataset.get("DirectoryRecordSequence") or []:
        parts = record.get("ReferencedFileID")
        if not parts or int(record.get("RecordInUseFlag", 0xFFFF) or 0) == 0:
            continue
        names = (parts,) if isinstance(parts, str) else tuple(str(part) for part in parts)
        # discs of old programs hold whole paths, with the separators of their system
        plain = tuple(part for name in names for part in name.replace("\\", "/").split("/") if part)
        if plain and ".." not in plain:
            yield plain


@dataclass
class _Finder:
    """Finds files whatever the case of their names."""

    root: Path
    _listed: dict[Path, dict[str, Path]] = field(default_factory=dict)

    def find(self, parts: tuple[str, ...]) -> Path | None:
        place = self.root
        for part in parts:
            here = self._in(place)
            found = here.get(part.upper()) or here.get(f"{part.upper()};1") or here.get(f"{part.upper()}.")
            if found is None:
                return None
            place = found
        return place if place.is_file() else None

    def _in(self, folder: Path) -> dict[str, Path]:
        if folder not in self._listed:
            try:
                self._listed[folder] = {one.name.upper(): one for one in folder.iterdir()}
            except OSError:
                self._listed[folder] = {}
        return self._listed[folder]
