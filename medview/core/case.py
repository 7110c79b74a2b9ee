"""What is known of a study, and the study as it is open in the program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import NewType

import numpy as np
from numpy.typing import NDArray

from medview.core.events import Event
from medview.core.geometry import Geometry
from medview.core.segmentation import Segmentation, SegmentationId
from medview.core.text import Text
from medview.core.volume import Modality, Volume, VolumeId

CaseId = NewType("CaseId", str)


class Severity(StrEnum):
    """How much a remark matters: good to know, to be careful with, or a reason not to open."""

    NOTE = "note"
    WARNING = "warning"
    REFUSED = "refused"


class Use(StrEnum):
    """What a series may be good for."""

    MEASURE = "measure"
    VOLUME = "volume"
    ANALYSE = "analyse"
    EXPORT = "export"


@dataclass(frozen=True, slots=True)
class Remark:
    """Something about a series that its reader should know.

    Attributes:
        severity: How much it matters.
        code: A stable name for programs, as "missing-slices".
        text: The sentence for people.
        unsafe_for: What the series should not be used for without care because of it.
    """

    severity: Severity
    code: str
    text: Text
    unsafe_for: frozenset[Use] = frozenset()


class SeriesKind(StrEnum):
    """What a series shows: slices of one grid in the patient, pictures without a place in it, masks, or words."""

    VOLUME = "volume"
    PICTURES = "pictures"
    MASK = "mask"
    DOCUMENT = "document"


@dataclass(frozen=True, slots=True)
class Patient:
    """Whose study it is.

    Attributes:
        key: The DICOM patient ID; without one, the name, or what was made from the file.
        name: As people write it.
        birth_date: ISO (yyyy-mm-dd) or empty.
        sex: DICOM's code.
        issuer: Who issued the patient ID; empty when it is not told.
    """

    key: str
    name: str = ""
    birth_date: str = ""
    sex: str = ""
    issuer: str = ""


@dataclass(frozen=True, slots=True)
class Study:
    """A DICOM study; for a bare image file, the file itself. `date` is ISO (yyyy-mm-dd) or empty."""

    uid: str
    patient: Patient
    date: str = ""
    time: str = ""
    description: str = ""
    institution: str = ""
    accession_number: str = ""


@dataclass(frozen=True, slots=True)
class Series:
    """What is known of a series before its pixels are read.

    Attributes:
        uid: DICOM (0020,000E); for a bare image file a stable name made from its path. Where one DICOM series holds
            several stacks of slices, the further ones have "#2", "#3", ... behind it: see `instance_uid`.
        study: The study that it belongs to.
        modality: What made it.
        description: The series description, or the file's name.
        number: DICOM (0020,0011); None when missing.
        body_part: DICOM (0018,0015), upper case; empty when missing.
        files: Its files, in slice order as far as there is one.
        slices: How many images it holds.
        geometry: The grid it will load to; None when it cannot be loaded as a volume.
        remarks: What the reader should know; a `REFUSED` one says why it cannot be opened.
        acquisition: Facts for the corner of a picture, as ("kV", "120"), ("TR", "2300"), ("View", "PA").
        kind: What it shows.
        phases: What each of its volumes is where there are several on one grid (times, echoes, b-values), in the order
            in which they are played; empty where there is one.
        frame_ms: Time between two pictures of a cine, or two phases; None when it is not told.
    """

    uid: str
    study: Study
    modality: Modality
    description: str
    number: int | None
    body_part: str
    files: tuple[Path, ...]
    slices: int
    geometry: Geometry | None
    remarks: tuple[Remark, ...] = ()
    acquisition: tuple[tuple[str, str], ...] = ()
    kind: SeriesKind = SeriesKind.VOLUME
    phases: tuple[Text, ...] = ()
    frame_ms: float | None = None

    @property
    def instance_uid(self) -> str:
        """DICOM (0020,000E) alone: what its files say, whichever stack of theirs this is."""
        return self.uid.partition("#")[0]

    def unsafe_for(self, use: Use) -> Remark | None:
        """Why it should not be used for something without care; None when nothing is known against it."""
        return next((remark for remark in self.remarks if use in remark.unsafe_for), None)

    @property
    def refusal(self) -> Remark | None:
        """Why the series cannot be opened; None when it can."""
        return next((remark for remark in self.remarks if remark.severity is Severity.REFUSED), None)


@dataclass(frozen=True, slots=True)
class Reject:
    """A file that is of no use here, and why."""

    path: Path
    reason: Text


@dataclass(frozen=True, slots=True)
class SeriesFound:
    """A series was found, or more is known of one."""

    series_uid: str


@dataclass(frozen=True, slots=True)
class ThumbnailMade:
    """A series got its small picture."""

    series_uid: str


@dataclass(frozen=True, slots=True)
class VolumeAdded:
    """A volume can be shown; its slices may still be arriving."""

    volume_id: VolumeId


@dataclass(frozen=True, slots=True)
class SlicesArrived:
    """Slices of a loading volume, from `start` up to but not including `stop` along k, hold their values now."""

    volume_id: VolumeId
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class VolumeComplete:
    """Every slice of a volume holds its values: it may be measured and analysed."""

    volume_id: VolumeId


@dataclass(frozen=True, slots=True)
class VolumeRemoved:
    """A volume is gone, with its segmentations."""

    volume_id: VolumeId


@dataclass(frozen=True, slots=True)
class SegmentationAdded:
    """A volume got a segmentation."""

    segmentation_id: SegmentationId


@dataclass(frozen=True, slots=True)
class SegmentationRemoved:
    """A segmentation is gone."""

    segmentation_id: SegmentationId


CaseChange = (
    SeriesFound
    | ThumbnailMade
    | VolumeAdded
    | SlicesArrived
    | VolumeComplete
    | VolumeRemoved
    | SegmentationAdded
    | SegmentationRemoved
)


@dataclass
class _Held:
    volume: Volume
    complete: bool
    segmentations: dict[SegmentationId, Segmentation] = field(default_factory=dict)


class Case:
    """One study open in the program: its series, and the volumes and segmentations in memory. Main thread only."""

    def __init__(self, study: Study) -> None:
        self.id = CaseId(study.uid)
        self.study = study
        self.changed: Event[CaseChange] = Event()
        self._series: dict[str, Series] = {}
        self._thumbnails: dict[str, NDArray[np.uint8]] = {}
        self._held: dict[VolumeId, _Held] = {}

    @property
    def series(self) -> tuple[Series, ...]:
        """All series found so far: by number, then description."""
        return tuple(
            sorted(self._series.values(), key=lambda one: (one.number is None, one.number or 0, one.description))
        )

    @property
    def thumbnails(self) -> Mapping[str, NDArray[np.uint8]]:
        """By series UID: (row, column) uint8, square pixels."""
        return MappingProxyType(self._thumbnails)

    @property
    def volumes(self) -> Mapping[VolumeId, Volume]:
        """The volumes in memory."""
        return MappingProxyType({key: held.volume for key, held in self._held.items()})

    @property
    def segmentations(self) -> Mapping[SegmentationId, Segmentation]:
        """The segmentations of all volumes, in the order in which they came."""
        return MappingProxyType({key: one for held in self._held.values() for key, one in held.segmentations.items()})

    def series_with(self, uid: str) -> Series | None:
        """The series with this UID."""
        return self._series.get(uid)

    def volume_of_series(self, uid: str, phase: int = 0) -> Volume | None:
        """The volume that was loaded from a series; of a 4D series, the one of a phase."""
        volumes = (held.volume for held in self._held.values())
        return next((one for one in volumes if (one.series_uid, one.phase) == (uid, phase)), None)

    def volume_under(self, segmentation_id: SegmentationId) -> Volume:
        """The volume that a segmentation lies on."""
        return next(held.volume for held in self._held.values() if segmentation_id in held.segmentations)

    def segmentations_on(self, volume_id: VolumeId) -> tuple[Segmentation, ...]:
        """The segmentations of one volume."""
        held = self._held.get(volume_id)
        return tuple(held.segmentations.values()) if held else ()

    def is_complete(self, volume_id: VolumeId) -> bool:
        """Whether every slice of a volume has been read."""
        held = self._held.get(volume_id)
        return held is not None and held.complete

    def put_series(self, series: Series) -> None:
        """Add a series, or replace what is known of it."""
        self._series[series.uid] = series
        self.changed.emit(SeriesFound(series.uid))

    def put_thumbnail(self, series_uid: str, picture: NDArray[np.uint8]) -> None:
        """Give a series its small picture: (row, column) uint8."""
        self._thumbnails[series_uid] = picture
        self.changed.emit(ThumbnailMade(series_uid))

    def add_volume(self, volume: Volume, *, complete: bool = True) -> None:
        """Hold a volume; `complete` is False while its slices are still arriving."""
        self._held[volume.id] = _Held(volume, complete)
        self.changed.emit(VolumeAdded(volume.id))

    def slices_arrived(self, volume_id: VolumeId, start: int, stop: int) -> None:
        """Say that slices [start, stop) along k hold their values now."""
        if volume_id in self._held:
            self.changed.emit(SlicesArrived(volume_id, start, stop))

    def complete_volume(self, volume_id: VolumeId) -> None:
        """Say that a volume has all its slices."""
        held = self._held.get(volume_id)
        if held is not None and not held.complete:
            held.complete = True
            self.changed.emit(VolumeComplete(volume_id))

    def remove_volume(self, volume_id: VolumeId) -> None:
        """Let go of a volume and its segmentations."""
        if self._held.pop(volume_id, None) is not None:
            self.changed.emit(VolumeRemoved(volume_id))

    def add_segmentation(self, segmentation: Segmentation, on: VolumeId) -> None:
        """Put a segmentation on a volume.

        Raises:
            ValueError: The grids differ.
        """
        held = self._held[on]
        if not segmentation.geometry.same_grid(held.volume.geometry):
            raise ValueError("The segmentation does not lie on the volume's grid.")
        held.segmentations[segmentation.id] = segmentation
        self.changed.emit(SegmentationAdded(segmentation.id))

    def remove_segmentation(self, segmentation_id: SegmentationId) -> None:
        """Let go of a segmentation."""
        for held in self._held.values():
            if held.segmentations.pop(segmentation_id, None) is not None:
                self.changed.emit(SegmentationRemoved(segmentation_id))
