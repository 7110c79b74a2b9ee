"""Masks saved as files for other programs, each with the verdict of its proof."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from medview.core.case import Case
from medview.core.errors import InputError, MedViewError
from medview.core.geometry import Geometry
from medview.core.measurement import Measurement
from medview.core.mesh import Mesh
from medview.core.progress import PartOf, Progress
from medview.core.segmentation import Labels, Segmentation
from medview.core.text import Text
from medview.core.volume import Volume
from medview.formats import stl
from medview.workstation import masks, reporting
from medview.workstation.jobs import Job, JobQueue, Lane
from medview.workstation.workspace import Workspace

if TYPE_CHECKING:
    from medview.formats.dicom_series import DicomSeries

Surfaces = Callable[[Labels, Geometry, Iterable[int], Progress], Iterator[tuple[int, Mesh]]]
"""Makes the surfaces of labels; whoever draws surfaces on the screen makes them for files too."""


class SaveFormat(StrEnum):
    """What masks can be saved as."""

    SEG = "seg"
    LABELMAP = "labelmap"
    RTSTRUCT = "rtstruct"
    REPORT = "report"
    NIFTI = "nifti"
    NRRD = "nrrd"
    STL = "stl"

    @property
    def needs_dicom(self) -> bool:
        """Whether it refers to the DICOM images that the masks were drawn on."""
        return self in (SaveFormat.SEG, SaveFormat.LABELMAP, SaveFormat.RTSTRUCT, SaveFormat.REPORT)


_ENDINGS = {
    SaveFormat.SEG: "-seg.dcm",
    SaveFormat.LABELMAP: "-labelmap.dcm",
    SaveFormat.RTSTRUCT: "-rtstruct.dcm",
    SaveFormat.REPORT: "-report.dcm",
    SaveFormat.NIFTI: ".nii.gz",
    SaveFormat.NRRD: ".nrrd",
    SaveFormat.STL: ".stl",
}
_DICOM = {
    SaveFormat.SEG: masks.DicomMask.SEG,
    SaveFormat.LABELMAP: masks.DicomMask.LABELMAP,
    SaveFormat.RTSTRUCT: masks.DicomMask.RTSTRUCT,
}
_OF_SEG = Text("voxels, places, segments, codes, colours, algorithm, reader, study, references to every image")
_OF_IMAGE = Text("every voxel, and where it lies in the patient")
COMPARED = {
    SaveFormat.SEG: _OF_SEG,
    SaveFormat.LABELMAP: _OF_SEG,
    SaveFormat.RTSTRUCT: Text(
        "pixels inside the contours, names, colours, algorithm, study, references to every image"
    ),
    SaveFormat.REPORT: Text("numbers, units, segments, reader, algorithm, study, references to every image"),
    SaveFormat.NIFTI: _OF_IMAGE,
    SaveFormat.NRRD: _OF_IMAGE,
    SaveFormat.STL: Text("triangles, no holes, volume and place of the label"),
}
"""What the proof of each format compares."""
_NOT_IN_NAMES = re.compile(r'[\x00-\x1f<>:"/\\|?*]+|\s+')


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one file.

    Attributes:
        path: The file.
        format: What it is.
        differences: What was read back otherwise, or why it was not written; empty when it is proved.
        remedy: What to do then.
    """

    path: Path
    format: SaveFormat
    differences: tuple[Text, ...] = ()
    remedy: Text = field(default_factory=lambda: Text(""))

    @property
    def ok(self) -> bool:
        """Whether the file is there and holds what was meant."""
        return not self.differences


@dataclass(frozen=True, slots=True, eq=False)
class Masks:
    """Masks as they were when saving began, with what has to be known of them; nobody writes to them.

    Attributes:
        segmentation: The labels, their segments and who made them.
        volume: What they were drawn on.
        sources: The DICOM files of the volume; empty when it does not come from DICOM.
        reader: Who saves.
        measurements: What else goes into a report.
    """

    segmentation: Segmentation
    volume: Volume
    sources: tuple[Path, ...]
    reader: str
    measurements: tuple[Measurement, ...] = ()


class Sources(Protocol):
    """Knows what a series was read from."""

    def source(self, series_uid: str) -> DicomSeries | Path | None:
        """The series, or the image file."""


class Saving:
    """Saves the masks of open cases. Main thread only; its jobs run in the disk lane.

    Args:
        workspace: The open cases.
        jobs: Where the work runs.
        importing: Knows the files of each series.
        reader: Gives the name of whoever sits at the screen.
    """

    def __init__(self, workspace: Workspace, jobs: JobQueue, importing: Sources, reader: Callable[[], str]) -> None:
        self._workspace = workspace
        self._jobs = jobs
        self._importing = importing
        self._reader = reader

    def sources(self, segmentation: Segmentation) -> tuple[Path, ...]:
        """The DICOM files that a segmentation can refer to; none when its image is no DICOM.

        Raises:
            InputError: It belongs to no open case.
        """
        return sources_of(self._importing, self._under(segmentation)[1])

    def save(
        self,
        segmentation: Segmentation,
        formats: Sequence[SaveFormat],
        folder: Path,
        name: str,
        surfaces: Surfaces,
        measurements: Sequence[Measurement] = (),
    ) -> Job[tuple[Verdict, ...]]:
        """Save a segmentation. The labels are copied now; they may be edited while the job runs.

        Args:
            segmentation: Which one.
            formats: As what.
            folder: Where.
            name: What the names of the files begin with.
            surfaces: Makes surfaces.
            measurements: What else goes into a report.

        Raises:
            InputError: Its image is still loading, or it belongs to no open case.
        """
        case, volume = self._under(segmentation)
        if not case.is_complete(volume.id):
            raise InputError("The series is still loading.", "Wait until it is complete and save again.")
        copy = Segmentation(
            segmentation.geometry,
            segmentation.labels.copy(),
            segmentation.segments,
            title=segmentation.title,
            provenance=segmentation.provenance,
        )
        held = Masks(copy, volume, self.sources(segmentation), self._reader(), tuple(measurements))
        title = Text.of("Saving {name}", name=name)
        return self._jobs.submit(
            title, lambda progress: save(held, formats, folder, name, surfaces, progress), lane=Lane.DISK
        )

    def _under(self, segmentation: Segmentation) -> tuple[Case, Volume]:
        for case in self._workspace.cases:
            if segmentation.id in case.segmentations:
                return case, case.volume_under(segmentation.id)
        raise InputError("The segmentation belongs to no open case.", "Open its series and try again.")


def sources_of(importing: Sources, volume: Volume) -> tuple[Path, ...]:
    """The DICOM files of a volume, of a 4D series those of its phase; none when it comes from an image file."""
    source = importing.source(volume.series_uid)
    if source is None or isinstance(source, Path):
        return ()
    return tuple(dict.fromkeys(frame.header.path for frame in source.phase(volume.phase)))


def file_name(text: str) -> str:
    """A text as a name of a file: without what systems do not allow in names."""
    return _NOT_IN_NAMES.sub("-", text.strip()).strip("-. ")[:80] or "masks"


def files_of(
    segmentation: Segmentation, formats: Iterable[SaveFormat], folder: Path, name: str
) -> tuple[tuple[SaveFormat, Path], ...]:
    """The files that saving makes, in their order.

    A report brings the DICOM SEG that it refers to. STL makes one file of every segment.
    """
    wanted = set(formats)
    if SaveFormat.REPORT in wanted and not wanted & {SaveFormat.SEG, SaveFormat.LABELMAP}:
        wanted.add(SaveFormat.SEG)
    files: list[tuple[SaveFormat, Path]] = []
    for one in SaveFormat:
        if one not in wanted:
            continue
        if one is SaveFormat.STL and len(segmentation.segments) != 1:
            files += [(one, path) for path in surface_files(segmentation, folder / f"{name}.stl").values()]
        else:
            files.append((one, folder / f"{name}{_ENDINGS[one]}"))
    return tuple(files)


def surface_files(segmentation: Segmentation, path: Path) -> dict[int, Path]:
    """By label, where the surfaces of a segmentation go: one segment under the name itself, several beside it."""
    if len(segmentation.segments) == 1:
        return {segmentation.segments[0].label: path}
    files: dict[int, Path] = {}
    for segment in segmentation.segments:
        target = path.with_name(f"{path.stem}-{file_name(segment.name)}.stl")
        if target in files.values():
            target = path.with_name(f"{path.stem}-{file_name(segment.name)}-{segment.label}.stl")
        files[segment.label] = target
    return files


def save(
    held: Masks,
    formats: Iterable[SaveFormat],
    folder: Path,
    name: str,
    surfaces: Surfaces,
    progress: Progress,
) -> tuple[Verdict, ...]:
    """Save masks in several formats; one that cannot be written keeps none of the others from it.

    Args:
        held: The masks.
        formats: As what.
        folder: Where.
        name: What the names of the files begin with.
        surfaces: Makes surfaces.
        progress: Reported to and asked for cancellation.

    Returns:
        One for every file.

    Raises:
        Cancelled: It was stopped; what was written until then stays.
    """
    files = files_of(held.segmentation, formats, folder, name)
    steps = sorted({one for one, _ in files}, key=list(SaveFormat).index)
    verdicts: list[Verdict] = []
    for number, one in enumerate(steps):
        part = PartOf(progress, number / len(steps), (number + 1) / len(steps))
        part.raise_if_cancelled()
        if one is SaveFormat.STL:
            verdicts += save_surfaces(held.segmentation, folder / f"{name}.stl", surfaces, part)
            continue
        path = next(path for format, path in files if format is one)
        segs = [done.path for done in verdicts if done.ok and done.format in (SaveFormat.SEG, SaveFormat.LABELMAP)]
        verdicts.append(_written(one, path, partial(_write, held, one, path, segs, part)))
    progress.report(1.0)
    return tuple(verdicts)


def save_surfaces(segmentation: Segmentation, path: Path, surfaces: Surfaces, progress: Progress) -> list[Verdict]:
    """Save the surface of every segment as STL.

    Args:
        segmentation: The masks; nobody writes to them.
        path: Of one segment; several get their names behind it.
        surfaces: Makes surfaces.
        progress: Asked for cancellation.

    Returns:
        One for every segment; those without voxels have no file.
    """
    labels, geometry = segmentation.labels, segmentation.geometry
    files = surface_files(segmentation, path)
    verdicts: dict[int, Verdict] = {}
    for label, mesh in surfaces(labels, geometry, files, progress):
        progress.report(len(verdicts) / len(files), Text("Writing surfaces"))
        segment = segmentation.segment(label)
        name = segment.name if segment is not None else ""
        write = partial(stl.write, mesh, files[label], labels, label, geometry, name)
        verdicts[label] = _written(SaveFormat.STL, files[label], write)
    empty = (Text("It has no voxels, and so no surface."),)
    return [verdicts.get(label) or Verdict(file, SaveFormat.STL, empty) for label, file in files.items()]


def _written(format: SaveFormat, path: Path, write: Callable[[], object]) -> Verdict:
    try:
        write()
    except MedViewError as error:
        return Verdict(path, format, (error.what,), error.remedy)
    return Verdict(path, format)


def _write(held: Masks, format: SaveFormat, path: Path, segs: Sequence[Path], progress: Progress) -> None:
    segmentation = held.segmentation
    if format is not SaveFormat.REPORT:
        masks.write_mask(segmentation, held.volume, held.sources, path, progress, dicom=_DICOM.get(format))
        return
    if not segs:
        raise InputError(
            "Volumes refer to a DICOM segmentation, and there is none.", "Save the masks as DICOM SEG too."
        )
    reporting.write_report(
        segmentation.labels,
        segmentation.segments,
        segmentation.provenance,
        held.volume,
        held.sources,
        segs[0],
        path,
        held.reader,
        progress,
        measurements=held.measurements,
    )
