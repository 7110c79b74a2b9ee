"""Searches that remember, and whether two of them have found the same."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from medview.core.case import Series
from medview.core.progress import NoProgress
from medview.formats.dicom_series import DicomSeries
from medview.formats.header_cache import RACY_NS
from medview.workstation.searching import Found, Source, search


def settled(path: Path) -> Path:
    """Wait until no change of a file could go unnoticed: times of file systems are coarse."""
    files = [one for one in (path, *path.rglob("*")) if one.is_file()]
    newest = max(max(one.stat().st_mtime_ns, one.stat().st_ctime_ns) for one in files)
    while time.time_ns() - newest <= RACY_NS:
        time.sleep(0.05)
    return path


def look(paths: Path | Iterable[Path], store: Path | None, known: dict[str, Source] | None = None) -> Found:
    """Search, with what is remembered in a store; what is found was announced before."""
    announced: list[Series] = []
    wanted = [paths] if isinstance(paths, Path) else list(paths)
    found = search(wanted, known or {}, NoProgress(), announced.extend, store)
    if not known:
        assert {one.study.uid for one in announced} == {one.facts.study.uid for one in dicom(found).values()}
    return found


def dicom(found: Found) -> dict[str, DicomSeries]:
    """What is read from DICOM files, by its UID."""
    return {facts.uid: source for facts, source in found.sources if isinstance(source, DicomSeries)}


def assert_same(one: Found, other: Found) -> None:
    """Everything that a search has found, down to the frames of each series."""
    assert len(one.series) == len(other.series)
    for facts, known in zip(one.series, other.series, strict=True):
        assert replace(facts, geometry=None) == replace(known, geometry=None)
        assert repr(facts.geometry) == repr(known.geometry)
    assert one.rejects == other.rejects
    for (_, mine), (_, theirs) in zip(one.sources, other.sources, strict=True):
        if isinstance(mine, DicomSeries):
            assert isinstance(theirs, DicomSeries)
            assert (mine.facts.uid, mine.caution) == (theirs.facts.uid, theirs.caution)
            assert mine.frames == theirs.frames


def remembered_searches(store: Path) -> int:
    """How many searches are known as a whole."""
    with closing(sqlite3.connect(store)) as connection:
        return int(connection.execute("SELECT COUNT(*) FROM searches").fetchone()[0])


def forget_searches(store: Path) -> None:
    """Leave what is known of single files."""
    with closing(sqlite3.connect(store)) as connection, connection:
        connection.execute("DELETE FROM searches")
