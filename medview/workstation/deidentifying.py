"""Copies files and folders without the names in them, and writes down what was done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from medview.core.case import Patient
from medview.core.errors import InputError, StorageError, UnreadableFileError, UnsupportedSeriesError
from medview.core.files import not_written, whole_file
from medview.core.progress import Progress
from medview.core.pseudonyms import keyed_hash, patient_key, pseudonym, site_secret
from medview.core.text import Text

if TYPE_CHECKING:
    from medview.formats.confidentiality_profile import Options
    from medview.formats.deidentify import Outcome

_SHORT = 12
_OTHER_IMAGE = Text("Of image files only .nii, .nii.gz and .nrrd can be copied without names; save it as one of them.")


@dataclass(frozen=True, slots=True)
class Deidentified:
    """What became of files and folders.

    Attributes:
        outcomes: Of every file, in their order.
        report: The JSON file that says what was done to which attributes; it holds no value of any.
        summary: The same in words.
    """

    outcomes: tuple[Outcome, ...]
    report: Path
    summary: Path

    @property
    def written(self) -> int:
        """How many files have a copy."""
        return sum(one.target is not None for one in self.outcomes)

    @property
    def held_back(self) -> tuple[tuple[Text, int], ...]:
        """Why files have no copy, and how many for each reason; the most frequent first."""
        reasons = Counter(one.reason for one in self.outcomes if one.reason is not None)
        return tuple(reasons.most_common())

    @property
    def risky(self) -> tuple[Outcome, ...]:
        """Copies at which a person should look before they are passed on."""
        return tuple(one for one in self.outcomes if one.target is not None and one.risk is not None)


@dataclass
class _Work:
    """One run.

    Attributes:
        target: The folder to fill.
        secret: Of this site.
        texts: How often words were taken out of the header of an image file, by kind and field.
    """

    target: Path
    secret: bytes
    texts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def copy_image(self, file: Path, suffix: str, progress: Progress) -> Outcome:
        """Copy a NIfTI or NRRD file: its header loses its words, and its name, which may be the patient's."""
        from medview.formats import image_header_cleaning
        from medview.formats.deidentify import Outcome

        stem = file.name[: -len(suffix)]
        key = patient_key(self.secret, Patient(stem, stem), "")
        name = keyed_hash(self.secret, "file", str(file.absolute()))[:_SHORT]
        place = self.target / pseudonym(key) / f"{name}{suffix}"
        with whole_file(place) as temporary:
            touched = image_header_cleaning.copy(file, temporary, progress)
        self.texts.update((suffix, one) for one in touched)
        return Outcome(file, place)


def deidentify(
    paths: Sequence[Path], target: Path, secret_folder: Path, options: Options, progress: Progress
) -> Deidentified:
    """Copy every DICOM, NIfTI and NRRD file without what identifies somebody, and write down what was done.

    Args:
        paths: Files and folders; they are not touched.
        target: A folder that is empty or not there yet.
        secret_folder: Where the site's secret is kept, from which the pseudonyms follow (`core.pseudonyms`).
        options: What is retained.
        progress: Told how many files are done, and asked for cancellation.

    Raises:
        InputError: The folder is not empty, or lies among the files, or there are no files.
        StorageError: Something cannot be written. What is written is whole.
        Cancelled: The progress says so; what is written is whole, and the report is missing.
    """
    from medview.formats import image_files, image_header_cleaning
    from medview.formats.deidentification_report import write_report
    from medview.formats.deidentify import Deidentifier, Outcome

    check_target(paths, target)
    files = list(_files(paths))
    if not files:
        raise InputError("There are no files to copy.")
    try:
        work = _Work(target, site_secret(secret_folder))
    except OSError as error:
        raise not_written(secret_folder, error) from error
    try:
        target.mkdir(parents=True, exist_ok=True)
        worker = Deidentifier(work.secret, options)
        outcomes: list[Outcome] = []
        for number, file in enumerate(files):
            progress.raise_if_cancelled()
            progress.report(number / len(files), Text.of("{n} of {all} files", n=number, all=len(files)))
            try:
                suffix = image_header_cleaning.suffix(file)
                if suffix:
                    outcomes.append(work.copy_image(file, suffix, progress))
                elif image_files.is_image_file(file) or image_files.is_data_of_image_file(file):
                    outcomes.append(Outcome(file, None, _OTHER_IMAGE))
                else:
                    outcomes.append(worker.copy(file, target, progress))
            except (UnreadableFileError, UnsupportedSeriesError) as error:
                outcomes.append(Outcome(file, None, error.what))
        report, summary = write_report(outcomes, worker.changes, work.texts, options, target)
    except StorageError:
        raise
    except OSError as error:
        raise not_written(target, error) from error
    progress.report(1.0)
    return Deidentified(tuple(outcomes), report, summary)


def check_target(paths: Sequence[Path], target: Path) -> None:
    """See that a folder can take copies.

    Raises:
        InputError: It is not empty, or lies among the originals.
    """
    place = target.resolve()
    if any(path.is_dir() and place.is_relative_to(path.resolve()) for path in paths):
        raise InputError("The copies cannot lie among the originals.", "Choose a folder elsewhere.")
    try:
        taken = target.exists() and (not target.is_dir() or any(target.iterdir()))
    except OSError as error:
        raise InputError(Text.of("{folder} cannot be read.", folder=str(target)), "Choose a new folder.") from error
    if taken:
        raise InputError(Text.of("{folder} is not an empty folder.", folder=str(target)), "Choose a new folder.")


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    seen: set[Path] = set()
    for path in paths:
        for file in [path] if path.is_file() else sorted(path.rglob("*")):
            if file.is_file() and file not in seen:
                seen.add(file)
                yield file
