"""Examples in the forms that other programs read: DICOM SEG, NIfTI pairs, a MONAI datalist, nnU-Net v2 raw data.

Only the first goes back to the patient's record: its DICOM SEG belongs to the study in the archive and names the
patient. All others leave the record and name nobody: voxels and labels without DICOM attributes, or DICOM images and
SEG copied by the confidentiality profile, under the pseudonym that the patient has in every copy of this site.

An export is a new folder that appears whole, when every file in it has been read back and compared.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import count
from pathlib import Path
from typing import Any

from medview.core.errors import InputError, StorageError
from medview.core.files import file_hash, not_written, rename_folder, whole_folder, write_bytes
from medview.core.finding import Verdict
from medview.core.progress import NoProgress, PartOf, Progress
from medview.core.proof import Proof
from medview.core.pseudonyms import site_secret
from medview.core.segmentation import Labels
from medview.core.text import Text
from medview.formats.image_files import read_volume, write_labels
from medview.learning.example_record import ClassDecision, Example
from medview.learning.examples import ExampleStore
from medview.learning.label_numbers import LabelNumbers
from medview.learning.splits import Split

_CHANNELS = {"CT": "CT", "MR": "MRI", "PT": "PET"}
"""nnU-Net chooses how to normalise by the name of the channel; only "CT" is special to it."""


class ExportKind(StrEnum):
    """What an export is for."""

    DICOM_SEG = "dicom-seg"
    DICOM_WITHOUT_NAMES = "dicom-without-names"
    NIFTI = "nifti"
    MONAI = "monai"
    NNUNET = "nnunet"


@dataclass(frozen=True, slots=True)
class Export:
    """What was exported.

    Attributes:
        kind: In which form.
        folder: Where.
        count: How many examples.
        proof: Of every file.
        skipped: Examples that could not be exported, each with its reason.
    """

    kind: ExportKind
    folder: Path
    count: int
    proof: Proof
    skipped: tuple[Text, ...] = ()


def export(
    store: ExampleStore,
    examples: Sequence[Example],
    kind: ExportKind,
    folder: Path,
    progress: Progress | None = None,
) -> Export:
    """Write examples into a new folder.

    Args:
        store: Where they are.
        examples: Which ones; one revision of each.
        kind: In which form.
        folder: The folder to make. For nnU-Net it is named like `Dataset501_Lungs`.
        progress: Reported to and asked for cancellation.

    Raises:
        InputError: There are no examples, or they do not go together.
        StorageError: The folder exists, the disk refuses, or a file did not read back as meant. No folder is left.
        Cancelled: The progress says so.
    """
    progress = progress or NoProgress()
    if not examples:
        raise InputError("There are no examples to export.", "Save a case as a training example first.")
    if folder.exists():
        raise StorageError(
            Text.of("{folder} exists already; an export never overwrites.", folder=str(folder)),
            "Choose another name or delete the old folder.",
        )
    try:
        with whole_folder(folder) as temporary:
            job = _Job(store, examples, temporary, folder, progress)
            skipped = _WRITERS[kind](job)
            result = Export(
                kind, folder, len(examples) - len(skipped), Proof.of_all(folder, job.proofs).require(), skipped
            )
            if result.count == 0:
                outlined = any(one.segments for one in examples)
                remedy = Text("Put the DICOM folder back where it was, or export as NIfTI.")
                raise InputError(
                    skipped[0], remedy if outlined else Text("Export it as NIfTI, or as a datalist of MONAI.")
                )
            if not rename_folder(temporary, folder):
                raise StorageError(
                    Text.of("{folder} exists already; an export never overwrites.", folder=str(folder)),
                    "Choose another name or delete the old folder.",
                )
    except OSError as error:
        raise not_written(folder, error) from error
    progress.report(1.0)
    return result


def free_folder(parent: Path, kind: ExportKind) -> Path:
    """A folder to export to that does not exist yet, named as the form of the export wants it."""
    if kind is ExportKind.NNUNET:
        taken = {path.name[:10] for path in parent.glob("Dataset[0-9][0-9][0-9]_*")}
        # numbers below 501 are used by public data sets
        number = next((number for number in range(501, 1000) if f"Dataset{number}" not in taken), 999)
        return parent / f"Dataset{number}_MedView"
    names = (f"medview-{kind.value}{f'-{number}' if number > 1 else ''}" for number in count(1))
    return next(parent / name for name in names if not (parent / name).exists())


class _Job:
    """One export under way."""

    def __init__(
        self, store: ExampleStore, examples: Sequence[Example], folder: Path, target: Path, progress: Progress
    ) -> None:
        self.store, self.examples, self.folder, self.target, self.progress = store, examples, folder, target, progress
        self.proofs: list[Proof] = []

    def step(self, number: int) -> Progress:
        """The progress of one example."""
        self.progress.raise_if_cancelled()
        total = len(self.examples)
        self.progress.report(
            number / total, Text.of("Exporting example {number} of {count}", number=number + 1, count=total)
        )
        return PartOf(self.progress, number / total, (number + 1) / total)

    def put_image(self, example: Example, path: Path) -> None:
        """Copy an image and prove the copy."""
        from medview.formats.proof import prove_image

        source = self.store.image_path(example)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(source, path)
        except FileNotFoundError as error:
            raise _damaged(example) from error
        if file_hash(path, self.progress) != example.image_file.sha256:
            raise _damaged(example)
        volume = read_volume(path, self.progress)
        self.progress.raise_if_cancelled()
        self.proofs.append(prove_image(path, volume.voxels, example.grid.geometry()))

    def put_labels(self, example: Example, path: Path, numbers: LabelNumbers | None = None) -> None:
        """Write labels, with other numbers if wanted, and prove them."""
        from medview.formats.proof import prove_labels

        labels = self.labels(example)
        if numbers is not None:
            labels = numbers.applied(labels, example.segments)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_labels(labels, example.grid.geometry(), path)
        self.progress.raise_if_cancelled()
        self.proofs.append(prove_labels(path, labels, example.grid.geometry()))

    def labels(self, example: Example) -> Labels:
        """(k, j, i); as they were saved, or an error."""
        path = self.store.labels_path(example)
        meant = next((one.sha256 for one in example.files if one.name == path.name), "")
        try:
            if file_hash(path) != meant:
                raise _damaged(example)
        except FileNotFoundError as error:
            raise _damaged(example) from error
        return self.store.labels(example)

    def write_json(self, path: Path, content: Any) -> None:
        """Write a JSON file and read it back."""
        write_bytes(path, json.dumps(content, indent=2, ensure_ascii=False).encode("utf-8"))
        if json.loads(path.read_text(encoding="utf-8")) != content:
            self.proofs.append(Proof(path, (Text("it does not hold what was written"),)))


def case_name(example: Example) -> str:
    """What an example is called in an export: the same in every export, and nobody's name."""
    return f"case_{example.example_id[:12]}"


def _damaged(example: Example) -> StorageError:
    return StorageError(
        Text.of("Example {name} is damaged.", name=case_name(example)),
        "Save the case again, or leave the example out. Checking the examples lists what is damaged.",
    )


def _dicom_seg(job: _Job) -> tuple[Text, ...]:
    from medview.formats import dicom_seg

    skipped = []
    for number, example in enumerate(job.examples):
        progress = job.step(number)
        if not example.segments:
            skipped.append(_not_outlined(example))
            continue
        source = job.store.source(example)
        files = source.files if source is not None and any(path.is_file() for path in source.files) else ()
        name = case_name(example)
        if not files:
            skipped.append(Text.of("{name}: the DICOM files that it was drawn on are gone.", name=name))
            continue
        try:
            proof = dicom_seg.write_labels(
                job.labels(example),
                example.grid.geometry(),
                [segment.segment() for segment in example.segments],
                example.provenance,
                files,
                job.folder / f"{name}.dcm",
                title=", ".join(segment.name for segment in example.segments),
                series_uid=source.series_uid if source is not None else "",
                phase=source.phase if source is not None else 0,
                progress=progress,
            )
        except InputError as error:
            skipped.append(Text.of("{name}: {reason}", name=name, reason=error.what))
            continue
        job.proofs.append(proof)
    return tuple(skipped)


def _dicom_without_names(job: _Job) -> tuple[Text, ...]:
    from medview.learning.dicom_without_names import Copies

    copies = Copies(site_secret(job.store.folder), job.folder)
    skipped = []
    for number, example in enumerate(job.examples):
        progress = job.step(number)
        if not example.segments:
            skipped.append(_not_outlined(example))
            continue
        source, name = job.store.source(example), case_name(example)
        if source is None or not any(path.is_file() for path in source.files):
            skipped.append(Text.of("{name}: the DICOM files that it was drawn on are gone.", name=name))
            continue
        try:
            job.proofs.append(copies.add(example, job.labels(example), source, progress))
        except InputError as error:
            skipped.append(Text.of("{name}: {reason}", name=name, reason=error.what))
    copies.write_report()
    return tuple(skipped)


def _nifti(job: _Job) -> tuple[Text, ...]:
    for number, example in enumerate(job.examples):
        job.step(number)
        folder = job.folder / case_name(example)
        job.put_image(example, folder / "image.nii.gz")
        if example.segments:
            job.put_labels(example, folder / "labels.nii.gz")
            segments = [segment.model_dump(mode="json") for segment in example.segments]
            job.write_json(folder / "segments.json", {"split": example.split.value, "segments": segments})
        if example.classes:
            classes = [one.model_dump(mode="json") for one in example.classes]
            job.write_json(folder / "classes.json", {"split": example.split.value, "classes": classes})
    return ()


def _monai(job: _Job) -> tuple[Text, ...]:
    numbers = _numbers(job)
    lists: dict[Split, list[dict[str, str]]] = {split: [] for split in Split}
    decided: dict[Split, list[dict[str, Any]]] = {split: [] for split in Split}
    for number, example in enumerate(job.examples):
        job.step(number)
        if not example.segments:
            image = f"images/{case_name(example)}.nii.gz"
            job.put_image(example, job.folder / image)
            decided[example.split].append({"image": f"./{image}", "label": _there(example)})
            continue
        image, label = f"images/{case_name(example)}.nii.gz", f"labels/{case_name(example)}.nii.gz"
        job.put_image(example, job.folder / image)
        job.put_labels(example, job.folder / label, numbers)
        lists[example.split].append({"image": f"./{image}", "label": f"./{label}"})
    modalities = sorted({example.modality for example in job.examples})
    if any(decided.values()):
        names = sorted({name for items in decided.values() for one in items for name in one["label"]})
        content = {"classes": names, **{split.value: items for split, items in decided.items()}}
        job.write_json(job.folder / "classification.json", content)
    if not any(lists.values()):
        return ()
    job.write_json(
        job.folder / "dataset.json",
        {
            "name": job.target.name,
            "description": "Exported from MedView",
            "tensorImageSize": "3D",
            "modality": {"0": "/".join(modalities)},
            "labels": {str(value): name for name, value in numbers.by_name.items()},
            "numTraining": len(lists[Split.TRAINING]),
            "numValidation": len(lists[Split.VALIDATION]),
            "numTest": len(lists[Split.TEST]),
            **{split.value: items for split, items in lists.items()},
        },
    )
    return ()


def _nnunet(job: _Job) -> tuple[Text, ...]:
    if not re.fullmatch(r"Dataset\d{3}_[A-Za-z0-9_.-]+", job.target.name):
        raise InputError("nnU-Net wants the folder to be called like Dataset501_Lungs.", "Choose a name of that form.")
    modalities = {example.modality for example in job.examples}
    if len(modalities) > 1:
        raise InputError(
            Text.of("nnU-Net wants images of one kind; these are {kinds}.", kinds=", ".join(sorted(modalities))),
            "Export the examples of each kind on their own.",
        )
    numbers = _numbers(job, reserved=("background", "ignore"))
    training: dict[Split, list[str]] = {split: [] for split in Split}
    skipped = []
    for number, example in enumerate(job.examples):
        job.step(number)
        if not example.segments:
            skipped.append(_not_outlined(example))
            continue
        name, suffix = case_name(example), "Ts" if example.split is Split.TEST else "Tr"
        job.put_image(example, job.folder / f"images{suffix}" / f"{name}_0000.nii.gz")
        job.put_labels(example, job.folder / f"labels{suffix}" / f"{name}.nii.gz", numbers)
        training[example.split].append(name)
    modality = modalities.pop()
    fold = {"train": training[Split.TRAINING], "val": training[Split.VALIDATION]}
    job.write_json(
        job.folder / "dataset.json",
        {
            "channel_names": {"0": _CHANNELS.get(modality, modality)},
            "labels": numbers.by_name,
            "numTraining": len(fold["train"]) + len(fold["val"]),
            "file_ending": ".nii.gz",
            "name": job.target.name.partition("_")[2],
            "description": "Exported from MedView",
        },
    )
    job.write_json(job.folder / "splits_final.json", [fold])
    return tuple(skipped)


def _not_outlined(example: Example) -> Text:
    return Text.of("{name}: classes were decided on it, and nothing is outlined.", name=case_name(example))


def _there(example: Example) -> dict[str, int]:
    """Each class that was decided on: 1 where it is there, 0 where it is not."""
    return {one.name: int(one.verdict is Verdict.CONFIRMED) for one in sorted(example.classes, key=_rejected_first)}


def _rejected_first(decision: ClassDecision) -> bool:
    return decision.verdict is Verdict.CONFIRMED


def _numbers(job: _Job, reserved: Sequence[str] = ()) -> LabelNumbers:
    return LabelNumbers.of(
        [segment.name for example in job.store.examples(every_revision=True) for segment in example.segments],
        [segment.name for example in job.examples for segment in example.segments],
        reserved,
    )


_WRITERS: dict[ExportKind, Callable[[_Job], tuple[Text, ...]]] = {
    ExportKind.DICOM_SEG: _dicom_seg,
    ExportKind.DICOM_WITHOUT_NAMES: _dicom_without_names,
    ExportKind.NIFTI: _nifti,
    ExportKind.MONAI: _monai,
    ExportKind.NNUNET: _nnunet,
}
