"""The store of training examples: cases that a reader has saved, every revision of each, and where they came from.

    site.key                          the secret that patient keys are made with
    index.sqlite                      a list of what follows; made anew when it is gone
    images/HASH/image.nii.gz          every image once
    examples/ID/0001/                 a revision: example.json; labels.nii.gz where structures were outlined,
                                      proposal.nii.gz when a model proposed them
    local/ID.json                     where the example came from: stays on this machine

Revisions and images are folders that appear whole, by one rename, and never change.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from medview.core.errors import GridMismatchError, InputError, StorageError
from medview.core.files import file_hash, not_written, rename_folder, sweep, whole_folder, write_bytes
from medview.core.progress import NoProgress, PartOf, Progress
from medview.core.proof import Proof
from medview.core.pseudonyms import keyed_hash, site_secret
from medview.core.segmentation import Labels, Segment
from medview.core.text import Text
from medview.core.volume import Volume
from medview.formats.image_files import read_labels, write_labels, write_volume
from medview.learning.draft import Draft, example_of, image_hash, nameless, storable
from medview.learning.example_index import ExampleIndex
from medview.learning.example_record import (
    EditRecord,
    Example,
    FileRecord,
    Source,
    changes,
    counted_changes,
)

_log = logging.getLogger(__name__)
_RECORD, _LABELS, _PROPOSAL, _IMAGE = "example.json", "labels.nii.gz", "proposal.nii.gz", "image.nii.gz"


@dataclass(frozen=True, slots=True)
class Saved:
    """What became of a draft: the revision, and the proof of its files."""

    example: Example
    proof: Proof


@dataclass(frozen=True, slots=True)
class Damage:
    """A file of the store that is not as it was written."""

    path: Path
    reason: Text


class ExampleStore:
    """The examples in a folder. Safe from several threads and processes.

    Args:
        folder: Where they are kept; made when the first is saved.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._index = ExampleIndex(folder / "index.sqlite")

    def save(self, draft: Draft, progress: Progress | None = None) -> Saved:
        """Keep a case for training: a new example, or a new revision of the one that it is already.

        Image and labels are read back and compared before anything is called saved.

        Raises:
            InputError: There is no segment, and no class was decided on.
            GridMismatchError: Labels and image differ in size.
            StorageError: The disk refuses, or a file did not read back as meant. Nothing half-written is left.
            Cancelled: The progress says so.
        """
        from medview.formats.dicom_seg import described_segments

        progress = progress or NoProgress()
        described = described_segments(draft.labels, draft.segments) if draft.labels is not None else ()
        segments = nameless(described, draft.study.patient)
        if not segments and not draft.classes:
            raise InputError("There is no segment to save.", "Add a segment, or run a model, and save again.")
        if draft.labels is not None and draft.labels.shape != draft.volume.geometry.shape:
            raise GridMismatchError("Labels and image differ in size.")
        try:
            secret = site_secret(self.folder)
            progress.report(0.05, Text("Saving the image"))
            image, image_file, image_proof = self._keep_image(draft.volume, PartOf(progress, 0.05, 0.6))
            progress.report(0.6, Text("Saving the labels"))
            example, labels_proof = self._keep_revision(draft, segments, secret, image, image_file, progress)
            self._keep_source(example, draft)
        except OSError as error:
            raise not_written(self.folder, error) from error
        self._note(example)
        progress.report(1.0)
        folder = self.revision_folder(example)
        return Saved(example, Proof.of_all(folder, [image_proof, labels_proof]))

    def examples(self, *, every_revision: bool = False) -> tuple[Example, ...]:
        """The newest revision of every example, oldest first; or every revision."""
        everything = self._listed()
        if every_revision:
            return everything
        newest: dict[str, Example] = {}
        for example in everything:
            if example.example_id not in newest or newest[example.example_id].revision < example.revision:
                newest[example.example_id] = example
        return tuple(newest.values())

    def revision_folder(self, example: Example) -> Path:
        """The folder of a revision."""
        return self.folder / "examples" / example.example_id / f"{example.revision:04d}"

    def labels_path(self, example: Example) -> Path:
        """The label map of a revision."""
        return self.revision_folder(example) / _LABELS

    def image_path(self, example: Example) -> Path:
        """The image of a revision."""
        return self.folder / "images" / example.image / example.image_file.name

    def labels(self, example: Example) -> Labels:
        """(k, j, i) uint8 or uint16."""
        return read_labels(self.labels_path(example))[0]

    def source(self, example: Example) -> Source | None:
        """Where an example came from; None when this machine does not know."""
        try:
            return Source.model_validate_json(self._source_path(example.example_id).read_bytes())
        except (OSError, ValidationError):
            return None

    def example_id(self, draft: Draft) -> str:
        """The example that a draft is or becomes: the same image, series and origin give the same one."""
        return self._example_id(site_secret(self.folder), draft, image_hash(draft.volume))

    def rebuild_index(self) -> int:
        """Make the list anew from the folders, and sweep them; says how many revisions there are."""
        sweep(self.folder)
        found = tuple(self._in_folders())
        try:
            self._index.forget()
            self._index.replace(found)
        except (OSError, sqlite3.Error) as error:
            _log.warning("the list of examples cannot be written: %r", error)
        return len(found)

    def verify(self, progress: Progress | None = None) -> tuple[Damage, ...]:
        """Compare every file with the hash that it was written with."""
        progress = progress or NoProgress()
        damages: list[Damage] = []
        folders = self._revision_folders()
        checked: set[Path] = set()
        for number, folder in enumerate(folders):
            progress.report(number / max(len(folders), 1), Text("Checking the examples"))
            progress.raise_if_cancelled()
            example = _record(folder)
            if example is None:
                damages.append(Damage(folder / _RECORD, Text("The record is missing or damaged.")))
                continue
            files = [(folder / one.name, one.sha256) for one in example.files]
            files.append((self.image_path(example), example.image_file.sha256))
            for path, meant in files:
                if path not in checked:
                    checked.add(path)
                    damages.extend(_damage(path, meant, progress))
        return tuple(damages)

    def _keep_image(self, volume: Volume, progress: Progress) -> tuple[str, FileRecord, Proof]:
        from medview.formats.proof import prove_image

        digest = image_hash(volume)
        target = self.folder / "images" / digest
        hash_path = target / "image.sha256"
        if hash_path.is_file() and (target / _IMAGE).is_file():
            return digest, FileRecord(name=_IMAGE, sha256=hash_path.read_text(encoding="ascii")), Proof(target)
        progress.raise_if_cancelled()
        with whole_folder(target) as temporary:
            image = storable(volume)
            write_volume(image, temporary / _IMAGE)
            progress.report(0.6)
            progress.raise_if_cancelled()
            proof = prove_image(temporary / _IMAGE, image.voxels, image.geometry).require()
            sha256 = file_hash(temporary / _IMAGE, progress)
            write_bytes(temporary / "image.sha256", sha256.encode("ascii"))
            rename_folder(temporary, target)
        return digest, FileRecord(name=_IMAGE, sha256=hash_path.read_text(encoding="ascii")), proof

    def _keep_revision(
        self,
        draft: Draft,
        segments: tuple[Segment, ...],
        secret: bytes,
        image: str,
        image_file: FileRecord,
        progress: Progress,
    ) -> tuple[Example, Proof]:
        from medview.formats.proof import prove_labels

        example_id = self._example_id(secret, draft, image)
        home = self.folder / "examples" / example_id
        home.mkdir(parents=True, exist_ok=True)
        with whole_folder(home / "revision") as temporary:
            proofs = []
            for name, labels in ((_LABELS, draft.labels), (_PROPOSAL, draft.proposal)):
                if labels is not None:
                    progress.raise_if_cancelled()
                    write_labels(labels, draft.volume.geometry, temporary / name)
                    proofs.append(prove_labels(temporary / name, labels, draft.volume.geometry).require())
            progress.raise_if_cancelled()
            files = tuple(FileRecord(name=path.name, sha256=file_hash(path)) for path in sorted(temporary.iterdir()))
            edit = self._edit(draft, segments, example_id)
            while True:
                example = example_of(draft, segments, secret, example_id, image, image_file, edit, files).model_copy(
                    update={"revision": _last_revision(home) + 1}
                )
                write_bytes(temporary / _RECORD, example.model_dump_json(indent=1).encode("utf-8"))
                read_back = _record(temporary)
                differences = () if read_back == example else (Text("it does not hold what was written"),)
                proofs.append(Proof(temporary / _RECORD, differences).require())
                if rename_folder(temporary, self.revision_folder(example)):
                    return example, Proof.of_all(self.revision_folder(example), proofs)

    def _edit(self, draft: Draft, segments: tuple[Segment, ...], example_id: str) -> EditRecord | None:
        if draft.labels is None:
            return None
        if draft.proposal is not None:
            return changes(draft.proposal, draft.labels, segments, "proposal", draft.effort)
        if draft.effort is not None and draft.provenance.model is not None:
            return counted_changes(draft.labels, segments, draft.effort)
        home = self.folder / "examples" / example_id
        last = _last_revision(home)
        previous = _record(home / f"{last:04d}") if last else None
        if previous is None or not previous.grid.geometry().same_grid(draft.volume.geometry):
            return None
        return changes(self.labels(previous), draft.labels, segments, f"revision {last}", draft.effort)

    def _keep_source(self, example: Example, draft: Draft) -> None:
        source = Source(
            patient=draft.study.patient.name or draft.study.patient.key,
            study_uid=draft.study.uid,
            series_uid=draft.volume.series_uid,
            frame_of_reference_uid=draft.volume.geometry.frame_of_reference_uid,
            description=draft.volume.description,
            files=tuple(path.absolute() for path in draft.source_files),
            phase=draft.volume.phase,
        )
        write_bytes(self._source_path(example.example_id), source.model_dump_json(indent=1).encode("utf-8"))

    def _source_path(self, example_id: str) -> Path:
        return self.folder / "local" / f"{example_id}.json"

    def _example_id(self, secret: bytes, draft: Draft, image: str) -> str:
        return keyed_hash(secret, "example", draft.volume.series_uid, image, draft.origin, str(draft.layer))[:24]

    def _note(self, example: Example) -> None:
        try:
            self._index.put(example)
        except (OSError, sqlite3.Error) as error:
            # the example itself is safe; the list is made anew when it is next asked for
            _log.warning("the list of examples cannot be written: %r", error)

    def _listed(self) -> tuple[Example, ...]:
        folders = self._revision_folders()
        if not folders:
            return ()
        try:
            listed = self._index.all()
            if len(listed) == len(folders):
                return listed
        except (sqlite3.Error, ValidationError) as error:
            _log.warning("the list of examples is made anew: %r", error)
        self.rebuild_index()
        return tuple(self._in_folders())

    def _in_folders(self) -> Iterator[Example]:
        found = [example for folder in self._revision_folders() if (example := _record(folder)) is not None]
        return iter(sorted(found, key=lambda one: (one.saved_at, one.example_id, one.revision)))

    def _revision_folders(self) -> list[Path]:
        try:
            return sorted(path for path in (self.folder / "examples").glob("*/[0-9]*") if path.is_dir())
        except OSError as error:
            raise StorageError(
                Text.of("The examples in {folder} cannot be read.", folder=str(self.folder)),
                "Check that the folder exists and that you may read it.",
            ) from error


def _last_revision(home: Path) -> int:
    return max((int(path.name) for path in home.glob("[0-9]*") if path.name.isdigit()), default=0)


def _record(folder: Path) -> Example | None:
    try:
        return Example.model_validate_json((folder / _RECORD).read_bytes())
    except (OSError, ValidationError) as error:
        _log.warning("%s holds no readable example: %r", folder, error)
        return None


def _damage(path: Path, meant: str, progress: Progress) -> Iterator[Damage]:
    try:
        if file_hash(path, progress) != meant:
            yield Damage(path, Text("The file is not as it was written."))
    except OSError:
        yield Damage(path, Text("The file is missing or cannot be read."))
