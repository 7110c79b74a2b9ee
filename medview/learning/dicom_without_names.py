"""Examples as DICOM that leaves the patient's record: images and segmentations under pseudonyms, references whole."""

from __future__ import annotations

import tempfile
from pathlib import Path

from medview.core.errors import InputError
from medview.core.progress import PartOf, Progress
from medview.core.proof import Proof
from medview.core.segmentation import Labels
from medview.core.text import Text
from medview.formats import dicom_seg
from medview.formats.deidentification_report import write_report
from medview.formats.deidentify import Deidentifier, Outcome
from medview.learning.example_record import Example, Source


class Copies:
    """A folder that fills with copies.

    Args:
        secret: Of the site, from which patients get their pseudonyms.
        folder: Gets <patient>/<study>/<series>/<instance>.dcm and the report.
    """

    def __init__(self, secret: bytes, folder: Path) -> None:
        self._folder = folder
        self._deidentifier = Deidentifier(secret)
        self._images: dict[Path, Outcome] = {}
        self._masks: list[Outcome] = []

    def add(self, example: Example, labels: Labels, source: Source, progress: Progress) -> Proof:
        """Copy the images of an example, unless another has brought them, and its labels as DICOM SEG.

        Args:
            example: Which one.
            labels: (k, j, i), its labels.
            source: Where it came from.
            progress: Reported to and asked for cancellation.

        Returns:
            The proof that the copied SEG holds the labels and refers to the copied images.

        Raises:
            InputError: An image must be held back, or is gone.
            StorageError: The disk refuses, or the SEG could not be made.
            Cancelled: The progress says so.
        """
        files = [path for path in source.files if path.is_file()]
        images: list[Path] = []
        for number, path in enumerate(files):
            progress.raise_if_cancelled()
            progress.report(0.5 * number / len(files))
            images.append(self._image(path, progress))
        grid = example.grid.geometry()
        segments = [one.segment() for one in example.segments]
        with tempfile.TemporaryDirectory(prefix=".part-", dir=self._folder) as work:
            named = Path(work) / "seg.dcm"
            dicom_seg.write_labels(
                labels,
                grid,
                segments,
                example.provenance,
                files,
                named,
                series_uid=source.series_uid,
                phase=source.phase,
                progress=PartOf(progress, 0.5, 0.8),
            )
            mask = self._deidentifier.copy(named, self._folder, progress)
        self._masks.append(mask)
        target = _target(mask)
        return dicom_seg.prove_on(
            target, labels, grid, segments, images, PartOf(progress, 0.8, 1.0), phase=source.phase
        )

    def write_report(self) -> None:
        """Say beside the copies what was done to which attributes."""
        worker = self._deidentifier
        outcomes = [*self._images.values(), *self._masks]
        write_report(outcomes, worker.changes, {}, worker.options, self._folder)

    def _image(self, path: Path, progress: Progress) -> Path:
        if path not in self._images:
            self._images[path] = self._deidentifier.copy(path, self._folder, progress)
        return _target(self._images[path])


def _target(outcome: Outcome) -> Path:
    if outcome.target is None:
        raise InputError(outcome.reason or Text(""))
    return outcome.target
