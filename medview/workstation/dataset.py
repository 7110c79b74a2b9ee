"""The example store without a window: list, add, export, count, check."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medview.catalog import terminology
from medview.core.case import Study
from medview.core.errors import InputError, UnsupportedSeriesError
from medview.core.finding import Verdict
from medview.core.geometry import Geometry
from medview.core.progress import PartOf, Progress
from medview.core.segmentation import Labels, Provenance, Segment
from medview.core.text import Text
from medview.core.volume import Volume
from medview.formats import image_files
from medview.learning.draft import Draft
from medview.learning.example_record import Example
from medview.learning.examples import Damage, ExampleStore, Saved
from medview.learning.exporters import Export, ExportKind
from medview.learning.exporters import export as write_export
from medview.learning.splits import Split
from medview.workstation.masks import labels_on
from medview.workstation.teaching import choose


@dataclass(frozen=True, slots=True)
class Stats:
    """What the store holds.

    Attributes:
        examples: How many.
        revisions: How many revisions of them.
        patients: How many patients.
        splits: Examples by part.
        segments: Examples by structure, most frequent first.
        classes: Examples by class that was decided to be there, most frequent first.
        models: Examples by the model that proposed them, "" for those made by hand.
        modalities: Examples by modality.
        size_bytes: On the disk.
    """

    examples: int
    revisions: int
    patients: int
    splits: tuple[tuple[Split, int], ...]
    segments: tuple[tuple[str, int], ...]
    classes: tuple[tuple[str, int], ...]
    models: tuple[tuple[str, int], ...]
    modalities: tuple[tuple[str, int], ...]
    size_bytes: int


def list_examples(folder: Path) -> tuple[Example, ...]:
    """The newest revision of every example, oldest first."""
    return ExampleStore(folder).examples()


def add(
    folder: Path,
    image: Path,
    labels: Path,
    reader: str,
    progress: Progress,
    *,
    series_uid: str | None = None,
    names: Sequence[str] = (),
) -> Saved:
    """Keep an image and its labels as an example.

    Args:
        folder: The store.
        image: A DICOM file or folder, or an image file.
        labels: A DICOM SEG, or a label map as NIfTI, NRRD or MetaImage.
        reader: Who says so.
        progress: Reported to and asked for cancellation.
        series_uid: Which series of the folder; needed when there are several that can be opened.
        names: What the labels 1, 2, ... of an image file are called.

    Raises:
        InputError: There is no such image, or more than one, or the labels do not lie on it.
        StorageError: It could not be saved.
    """
    volume, study, files = _image(image, series_uid, PartOf(progress, 0.0, 0.4))
    found, segments, provenance = _labels(labels, volume.geometry, names, PartOf(progress, 0.4, 0.5))
    draft = Draft(volume, found, segments, provenance, study, reader, files)
    return ExampleStore(folder).save(draft, PartOf(progress, 0.5, 1.0))


def export(folder: Path, kind: ExportKind, example_ids: Sequence[str], target: Path, progress: Progress) -> Export:
    """Export the newest revision of examples, all when none are named, into a new folder."""
    store = ExampleStore(folder)
    return write_export(store, choose(store.examples(), example_ids), kind, target, progress)


def stats(folder: Path) -> Stats:
    """Count what the store holds."""
    store = ExampleStore(folder)
    examples = store.examples()
    by_split = Counter(example.split for example in examples)
    by_class = Counter(
        name for one in examples for name in {c.name for c in one.classes if c.verdict is Verdict.CONFIRMED}
    )
    by_segment = Counter(segment.name for example in examples for segment in example.segments)
    return Stats(
        examples=len(examples),
        revisions=len(store.examples(every_revision=True)),
        patients=len({example.patient_key for example in examples}),
        splits=tuple((split, by_split[split]) for split in Split),
        segments=tuple(by_segment.most_common()),
        classes=tuple(by_class.most_common()),
        models=tuple(Counter(id for one in examples for id in one.proposed_by or ("",)).most_common()),
        modalities=tuple(Counter(one.modality for one in examples).most_common()),
        size_bytes=sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
    )


def verify(folder: Path, progress: Progress) -> tuple[Damage, ...]:
    """Compare every file of the store with its hash; empty when all is well. The list is made anew as well."""
    store = ExampleStore(folder)
    store.rebuild_index()
    return store.verify(progress)


def _image(path: Path, series_uid: str | None, progress: Progress) -> tuple[Volume, Study, tuple[Path, ...]]:
    if path.is_file() and image_files.is_image_file(path):
        series = image_files.describe(path)
        return image_files.read_volume(path, progress), series.study, (path,)
    from medview.formats import dicom_files, dicom_series, dicom_volume

    scan = dicom_files.scan([path], PartOf(progress, 0.0, 0.3))
    found = [one for one in dicom_series.group(scan.headers) if series_uid in (None, one.facts.uid)]
    usable = [one for one in found if one.facts.refusal is None and one.facts.geometry is not None]
    if not usable:
        refusal = next((one.facts.refusal for one in found if one.facts.refusal is not None), None)
        if refusal is not None:
            raise UnsupportedSeriesError(refusal.text)
        raise InputError(Text.of("There is no image series in {path}.", path=str(path)))
    if len(usable) > 1:
        raise InputError(
            Text.of("{path} holds {count} series.", path=str(path), count=len(usable)), "Say which one by its UID."
        )
    series = usable[0].facts
    return dicom_volume.read(usable[0], PartOf(progress, 0.3, 1.0)), series.study, series.files


def _labels(
    path: Path, geometry: Geometry, names: Sequence[str], progress: Progress
) -> tuple[Labels, tuple[Segment, ...], Provenance]:
    if not image_files.is_image_file(path):
        from medview.formats import dicom_seg

        segmentation = dicom_seg.read(path, geometry, progress)
        return segmentation.labels, segmentation.segments, segmentation.provenance
    labels = labels_on(path, geometry)
    known = terminology.load()
    return labels, tuple(known.named(number, name) for number, name in enumerate(names, start=1)), Provenance()
