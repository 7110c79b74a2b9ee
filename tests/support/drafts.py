"""Small cases to keep for training."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from medview.core.case import Patient, Study
from medview.core.geometry import Geometry
from medview.core.segmentation import Labels, ModelRef, Provenance, Segment
from medview.core.volume import Modality, Volume, VolumeId
from medview.learning.draft import Draft
from tests.support import source_series

SHAPE = (4, 9, 7)
LEFT_LUNG, RIGHT_LUNG = Segment(1, "Left lung", (86, 180, 233)), Segment(2, "Right lung", (0, 114, 178))
MODEL = Provenance(ModelRef("ct_lungs", "1.0", "ab" * 32), datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))


def geometry(shape: tuple[int, int, int] = SHAPE) -> Geometry:
    return Geometry.from_parts(shape, (2.5, 0.7, 0.8), (-31.5, 12.25, 700.5))


def labels(shape: tuple[int, int, int] = SHAPE) -> Labels:
    drawn = np.zeros(shape, dtype=np.uint8)
    drawn[0, 1:4, 2:6] = 1
    drawn[2, 5:9, 1:3] = 2
    return drawn


def draft(
    patient: str = "PHANTOM-1", *, series: str = "1.2.3", seed: int = 0, modality: Modality = Modality.CT
) -> Draft:
    """A case without DICOM files."""
    voxels = np.random.default_rng(seed).integers(-1000, 1000, SHAPE).astype(np.int16)
    unit = "HU" if modality is Modality.CT else ""
    volume = Volume(VolumeId(uuid.uuid4().hex), geometry(), voxels, modality, unit, series, "Chest")
    study = Study(f"1.9.{series}", Patient(patient, "Phantom Chest", "1960-01-01", "F"))
    return Draft(volume, labels(), (LEFT_LUNG, RIGHT_LUNG), MODEL, study, "Reader One")


def draft_from_dicom(folder: Path, patient: str = "PHANTOM-1") -> Draft:
    """A case with its DICOM files."""
    volume, files = source_series.make(folder, geometry(), changes={"PatientID": patient})
    made = draft(patient)
    return replace(made, volume=volume, source_files=files, study=replace(made.study, uid=volume.series_uid + ".1"))
