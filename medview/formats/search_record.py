"""What a search has found, as bytes: where no file has changed since, nothing has to be read or judged again.

The images of a series are not in it. They are found again when they are wanted, from what is known of the files.
"""

from __future__ import annotations

import hashlib
import json
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from medview.core.case import Reject, Series
from medview.core.errors import UnreadableFileError
from medview.core.progress import NoProgress
from medview.core.text import Text
from medview.formats import dicom_files, dicom_series
from medview.formats.dicom_frames import Frame
from medview.formats.dicom_series import DicomSeries
from medview.formats.file_walk import Listing, by_folder
from medview.formats.header_cache import RACY_NS, HeaderCache
from medview.formats.plain_records import from_plain, to_plain

_FAST = 1


@dataclass(frozen=True, slots=True)
class _Judged:
    facts: Series
    caution: Text | None


@dataclass(frozen=True, slots=True)
class _Record:
    series: tuple[_Judged, ...]
    rejects: tuple[Reject, ...]


def name_of(listings: Sequence[Listing], racy_ns: int = RACY_NS) -> bytes | None:
    """The same for the same files in the same state; None where one may change without anybody noticing."""
    youngest = time.time_ns() - racy_ns
    digest = hashlib.sha256()
    for listing in listings:
        stamps = [stamp for _, stamp in listing.files if stamp is not None]
        if len(stamps) < len(listing.files) or any(max(one[1], one[2]) > youngest for one in stamps):
            return None
        digest.update(
            repr((str(listing.folder.absolute()), str(listing.folder), listing.files)).encode("utf-8", "replace")
        )
    return digest.digest()


def packed(series: Sequence[DicomSeries], rejects: Sequence[Reject]) -> bytes:
    """What a search has found, as bytes."""
    record = _Record(tuple(_Judged(one.facts, one.caution) for one in series), tuple(rejects))
    return zlib.compress(json.dumps(to_plain(record), separators=(",", ":")).encode(), _FAST)


def unpacked(content: bytes, remembered: Path) -> tuple[tuple[DicomSeries, ...], tuple[Reject, ...]]:
    """What `packed` was given; the images of the series are found when they are asked for.

    Args:
        content: The bytes.
        remembered: Where headers are kept.

    Raises:
        ValueError: The bytes are something else.
    """
    try:
        record: _Record = from_plain(_Record, json.loads(zlib.decompress(content)))
    except (zlib.error, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError("these bytes hold no search") from error
    together: dict[tuple[str, str], list[Path]] = {}
    for one in record.series:
        together.setdefault((one.facts.study.uid, one.facts.instance_uid), []).extend(one.facts.files)
    series = tuple(
        DicomSeries(
            one.facts,
            partial(
                _frames_again,
                one.facts,
                tuple(dict.fromkeys(together[one.facts.study.uid, one.facts.instance_uid])),
                remembered,
            ),
            one.caution,
        )
        for one in record.series
    )
    return series, record.rejects


def _frames_again(facts: Series, files: tuple[Path, ...], remembered: Path) -> tuple[Frame, ...]:
    """The images of a series, whatever came with it under its UID."""
    with HeaderCache(remembered) as cache:
        scan = dicom_files.scan_listed(list(by_folder(files)), NoProgress(), cache=cache)
    for series in dicom_series.group(scan.headers):
        if _is_the_same(series.facts, facts):
            return series.frames
    raise UnreadableFileError(
        Text.of("The files of {series} have changed.", series=facts.description or facts.files[0].name),
        Text("Open the folder again."),
    )


def _is_the_same(one: Series, other: Series) -> bool:
    """Whether a series was judged as before: the images of one that was refused this time are in no order."""
    mine, theirs = ((it.uid, it.files, it.kind, it.slices, it.phases, it.refusal is None) for it in (one, other))
    return mine == theirs
