"""A plugin's answer as files: labels, DICOM SEG and a record of how it came about, each proved by reading it back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import medview
from medview.core.errors import StorageError
from medview.core.files import write_bytes
from medview.core.progress import PartOf, Progress
from medview.core.segmentation import Segmentation
from medview.core.text import Text
from medview.core.volume import Volume
from medview.editing import measure
from medview.inference.plugin import SegmentationResult
from medview.workstation import masks, model_cards
from medview.workstation.analysis import Finished

SCHEMA = 1
_MM3_IN_ML = 1000.0


@dataclass(frozen=True, slots=True)
class SegmentSize:
    """How much of a structure was found."""

    label: int
    name: str
    voxels: int
    volume_ml: float


@dataclass(frozen=True, slots=True)
class WrittenResult:
    """What was written, and what is in it.

    Attributes:
        folder: Where the files are.
        files: Their names; each has been read back and compared.
        segments: What was found, in the manifest's order.
        record: The whole of `result.json`.
    """

    folder: Path
    files: tuple[str, ...]
    segments: tuple[SegmentSize, ...]
    record: dict[str, Any]


def write(folder: Path, finished: Finished, sources: Sequence[Path], progress: Progress) -> WrittenResult:
    """Write an answer into a folder.

    Args:
        folder: Made when missing; files of the same names are replaced.
        finished: The answer, and what it was an answer to. Structures that may overlap get files of their own.
        sources: The DICOM files of the volume; empty when it does not come from DICOM: then there is no seg.dcm.
        progress: Reported to and asked for cancellation.

    Raises:
        StorageError: Something could not be written, or did not read back as meant.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            Text.of("The folder {folder} cannot be made.", folder=str(folder)), Text("Choose another one.")
        ) from error
    volume, made = finished.volume, finished.segmentations
    files = [(name, one) for one in made for name in _names(one, len(made) > 1, bool(sources))]
    sizes: list[SegmentSize] = []
    for number, (name, segmentation) in enumerate(files):
        part = PartOf(progress, number / len(files), (number + 1) / len(files))
        masks.write_mask(segmentation, volume, sources, folder / name, part)
    for segmentation in made:
        counts = measure.count_voxels(segmentation.labels)
        sizes += [
            SegmentSize(one.label, one.name, int(counts[one.label]), _ml(int(counts[one.label]), volume))
            for one in segmentation.segments
        ]
    names = [name for name, _ in files]
    record = _record(finished, sizes, names)
    _write_record(record, folder / "result.json")
    return WrittenResult(folder, (*names, "result.json"), tuple(sizes), record)


def _names(segmentation: Segmentation, several: bool, dicom: bool) -> list[str]:
    structure = f"-{segmentation.segments[0].label}" if several else ""
    return [f"labels{structure}.nii.gz", *([f"seg{structure}.dcm"] if dicom else [])]


def _ml(voxels: int, volume: Volume) -> float:
    return voxels * volume.geometry.voxel_mm3 / _MM3_IN_ML


def _record(finished: Finished, sizes: Sequence[SegmentSize], names: Sequence[str]) -> dict[str, Any]:
    result, volume, manifest = finished.result, finished.volume, finished.plugin.manifest
    now = datetime.now(UTC)
    return {
        "schema": SCHEMA,
        "program": f"MedView {medview.__version__}",
        "written_at": now.isoformat(timespec="seconds"),
        "plugin": asdict(result.model),
        "device": result.device,
        "seconds": round(result.seconds, 3),
        "options": _options(result),
        "found_at": (result.earlier or now).isoformat(timespec="seconds"),
        "caution": str(volume.caution) if volume.caution is not None else "",
        "series": {
            "uid": volume.series_uid,
            "description": volume.description,
            "modality": volume.modality.value,
            "shape_kji": list(volume.geometry.shape),
            "spacing_mm_kji": [round(step, 6) for step in volume.geometry.spacing_mm],
        },
        "segments": [asdict(size) for size in sizes],
        "findings": json.loads(json.dumps(asdict(result.findings))),  # as it reads back: lists for tuples
        "notes": [str(note) for note in result.notes],
        "model_card": model_cards.card(manifest) if manifest is not None else {},
        "files": dict.fromkeys(names, "read back, identical"),
    }


def _options(result: SegmentationResult) -> dict[str, Any]:
    """What was asked of the run; the box in voxels of the image, (k, j, i)."""
    told = asdict(result.options)
    box = result.options.box
    return {**told, "box": None if box is None else {"start_kji": list(box.start), "stop_kji": list(box.stop)}}


def _write_record(record: dict[str, Any], path: Path) -> None:
    """Write the record, and read it back."""
    write_bytes(path, json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False).encode())
    if json.loads(path.read_text(encoding="utf-8")) != record:
        raise StorageError(Text.of("{name} was written wrongly.", name=path.name), Text("Choose another folder."))
