"""Parametric maps: a number for every voxel of a series, as probability or uncertainty, with its quantity and unit.

Written by highdicom and proved by reading them back with pydicom alone. As images they are read like any other
multi-frame object (`dicom_series`, `dicom_volume`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

import medview
from medview.core.errors import GridMismatchError, InputError, StorageError
from medview.core.geometry import Geometry
from medview.core.progress import NoProgress, PartOf, Progress
from medview.core.proof import Proof
from medview.core.segmentation import Code, Provenance
from medview.core.text import Text
from medview.formats import source_references
from medview.formats.derived_object import save_proved, sources_on
from medview.formats.derived_values import character_set, coded, long_string, person, series_number
from medview.formats.map_proof import prove
from medview.formats.seg_source import SourceImage

_SERIES_NUMBER_OFFSET = 4000
_MAKER = "MedView"
_SHORT_STRING = 16


@dataclass(frozen=True, slots=True)
class MapMeaning:
    """What the numbers of a map are.

    Attributes:
        quantity: What they say, as a code ("Fractional Probabilistic Segmentation").
        unit: Their unit, in UCUM.
        title: The series description.
    """

    quantity: Code
    unit: Code
    title: str = ""


def write(
    values: NDArray[Any],
    geometry: Geometry,
    meaning: MapMeaning,
    source_files: Sequence[Path],
    path: Path,
    progress: Progress | None = None,
    *,
    provenance: Provenance | None = None,
    series_uid: str = "",
    phase: int = 0,
) -> Proof:
    """Write a map beside the study of its series, and prove it. It is kept as 32-bit floating-point numbers.

    Args:
        values: (k, j, i) of any type of number, finite.
        geometry: The grid of the values.
        meaning: What they are.
        source_files: The DICOM files of the series, in any order.
        path: The file; replaced when it exists, and left as it was when something fails.
        progress: Reported to and asked for cancellation.
        provenance: The model that made it, and who looked at it.
        series_uid: The series; used where the files lack one.
        phase: Which of its volumes, where the files hold several on one grid.

    Raises:
        InputError: A value is not finite.
        GridMismatchError: The images are gone, or do not lie on the grid, or some planes have no image.
        StorageError: It could not be written, or did not read back as meant.
    """
    progress = progress or NoProgress()
    if not np.isfinite(values).all():
        raise InputError("The map has values that are no numbers.", "Give every voxel a number.")
    source = sources_on(geometry, source_files, PartOf(progress, 0.0, 0.3), series_uid=series_uid, phase=phase)
    corrected = source.geometry.slices is not None
    frames = np.ascontiguousarray(values, dtype=np.float32) if corrected else _frames(values, source.images)
    progress.report(0.4, Text("Writing the parametric map"))
    progress.raise_if_cancelled()

    def save(temporary: Path) -> None:
        planes = _planes(source.geometry) if corrected else {}
        dataset = _dataset(frames, source.headers, meaning, provenance or Provenance(), planes)
        dataset.save_as(temporary, enforce_file_format=True)

    return save_proved(
        path,
        save,
        lambda temporary: prove(temporary, values, source.geometry, meaning.quantity, meaning.unit, source.headers),
        progress,
        StorageError(
            "The parametric map could not be made from the images of this series.",
            "Save it as NIfTI instead; the log says which attribute of the images is in the way.",
        ),
    )


def _frames(values: NDArray[Any], images: Sequence[SourceImage]) -> NDArray[np.float32]:
    """(image, row, column): the values under every image."""
    frames = np.stack([np.asarray(values[image.placement.indices], dtype=np.float32) for image in images])
    if frames.size != values.size:
        raise GridMismatchError(
            "Some slices of the map have no image among the files of the series.",
            "Put the folder of the series back where it was, or open the series again.",
        )
    return frames


def _planes(geometry: Geometry) -> dict[str, Any]:
    """Where the planes of a corrected grid lie, for highdicom: no image lies there."""
    import highdicom

    k, j, i = geometry.spacing_mm
    across_down = np.concatenate([geometry.direction[:, 2], geometry.direction[:, 1]])
    system = highdicom.CoordinateSystemNames.PATIENT
    return {
        "pixel_measures": highdicom.PixelMeasuresSequence((j, i), k, k),
        "plane_orientation": highdicom.PlaneOrientationSequence(system, across_down.tolist()),
        "plane_positions": [
            highdicom.PlanePositionSequence(system, geometry.to_patient((plane, 0.0, 0.0)).tolist())
            for plane in range(geometry.shape[0])
        ],
    }


def _dataset(
    frames: NDArray[np.float32],
    headers: Sequence[Dataset],
    meaning: MapMeaning,
    provenance: Provenance,
    planes: dict[str, Any],
) -> Dataset:
    import highdicom

    title = long_string(meaning.title) or long_string(meaning.quantity.meaning)
    creator = person(provenance.reviewer)
    sources = source_references.apart(headers)
    low, high = float(frames.min()), float(frames.max())
    mapping = highdicom.pm.RealWorldValueMapping(
        lut_label=long_string(meaning.quantity.meaning)[:_SHORT_STRING].strip(),
        lut_explanation=title,
        unit=coded(meaning.unit),
        value_range=(low, high),
        slope=1.0,
        intercept=0.0,
        quantity_definition=coded(meaning.quantity),
    )
    dataset: Dataset = highdicom.pm.ParametricMap(
        source_images=sources,
        pixel_array=frames,
        series_instance_uid=generate_uid(),
        series_number=series_number(headers[0], _SERIES_NUMBER_OFFSET),
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer=_MAKER,
        manufacturer_model_name=_MAKER,
        software_versions=medview.__version__,
        device_serial_number=medview.__version__,
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[mapping],
        voi_lut_transformations=[
            highdicom.VOILUTTransformation(
                window_center=(low + high) / 2, window_width=max(high - low, 1e-6), voi_lut_function="LINEAR_EXACT"
            )
        ],
        content_description=title,
        content_creator_name=creator,
        series_description=title,
        specific_character_set=None,
        **planes,
    )
    dataset.Laterality = ""  # nobody has said, and the standard wants to hear it
    source_references.put_back(dataset, sources, headers)
    if planes:
        # highdicom counts planes, and so names images that lie elsewhere
        for group in dataset.PerFrameFunctionalGroupsSequence:
            if "DerivationImageSequence" in group:
                del group.DerivationImageSequence
    now = datetime.now(UTC).astimezone()
    dataset.SeriesDate, dataset.SeriesTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    named = character_set(headers[0], [title, creator or ""])
    if named:
        dataset.SpecificCharacterSet = named
    return dataset
