"""Standardised uptake values by body weight, of PET.

After the vendor-neutral pseudo-code of the Quantitative Imaging Biomarkers Alliance (QIBA FDG-PET/CT profile,
appendix): the activity in a voxel over the injected activity, decayed to the time to which the images are corrected,
per gram of body weight.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import BinaryIO

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from medview.core.text import Text

_PHILIPS_FACTOR, _PHILIPS_ACTIVITY = 0x70531000, 0x70531009
_GE_SCAN_START = 0x0009100D
_WANTED = (
    *("Units", "SUVType", "CorrectedImage", "DecayCorrection", "PatientWeight", "AcquisitionDate", "AcquisitionTime"),
    *("SeriesDate", "SeriesTime", "RadiopharmaceuticalInformationSequence"),
)
_LONGEST = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class SuvScale:
    """How the values of a PET image become uptake values.

    Attributes:
        factor: What they are multiplied by; None when the file does not say enough.
        lacks: What is missing then.
    """

    factor: float | None = None
    lacks: Text | None = None


def read_scale(file: BinaryIO) -> SuvScale:
    """What a PET file says of its values.

    Raises:
        Exception: Whatever pydicom raises on a damaged file.
    """
    file.seek(0)
    tags = [Tag(one) for one in (*_WANTED, _PHILIPS_FACTOR, _PHILIPS_ACTIVITY, _GE_SCAN_START)]
    return scale_of(dcmread(file, stop_before_pixels=True, force=True, specific_tags=tags))


def scale_of(dataset: Dataset) -> SuvScale:
    """The scale of an image.

    Args:
        dataset: What it says of tracer, times and patient.
    """
    units = str(dataset.get("Units", "") or "").upper()
    if units == "GML":
        kind = str(dataset.get("SUVType", "") or "BW").upper()
        return (
            SuvScale(1.0) if kind == "BW" else SuvScale(lacks=Text("uptake by body weight; it is by another measure"))
        )
    to_activity = 1.0
    if units == "CNTS":
        factor = _private(dataset, _PHILIPS_FACTOR)
        if factor:
            return SuvScale(factor)
        to_activity = _private(dataset, _PHILIPS_ACTIVITY) or 0.0
    if units not in ("BQML", "CNTS") or not to_activity:
        return SuvScale(lacks=Text("a unit of activity"))
    corrected = {str(one).upper() for one in dataset.get("CorrectedImage") or ()}
    if not {"ATTN", "DECY"} <= corrected:
        return SuvScale(lacks=Text("a correction for attenuation and decay"))
    weight = _number(dataset, "PatientWeight")
    if not weight:
        return SuvScale(lacks=Text("the patient's weight"))
    dose = _dose(dataset)
    if isinstance(dose, Text):
        return SuvScale(lacks=dose)
    return SuvScale(to_activity * weight * 1000 / dose)


def _dose(dataset: Dataset) -> float | Text:
    """The injected activity in Bq at the time to which the images are corrected, or what is missing to know it."""
    tracers = dataset.get("RadiopharmaceuticalInformationSequence")
    if not tracers:
        return Text("the tracer")
    tracer: Dataset = tracers[0]
    dose, half_life_s = _number(tracer, "RadionuclideTotalDose"), _number(tracer, "RadionuclideHalfLife")
    if not dose or not half_life_s:
        return Text("the injected activity or its half-life")
    correction = str(dataset.get("DecayCorrection", "") or "").upper()
    if correction == "ADMIN":
        return dose
    if correction != "START":
        return Text("the time to which its decay is corrected")
    scan, injection = _scan_start(dataset), _injection(dataset, tracer)
    if scan is None or injection is None:
        return Text("the times of injection and scan")
    waited = scan - injection
    if waited < timedelta(0):
        waited += timedelta(days=1)  # injected before midnight, and only the time of day is told
    if waited > _LONGEST:
        return Text("believable times of injection and scan")
    return dose * math.exp2(-waited.total_seconds() / half_life_s)


def _scan_start(dataset: Dataset) -> datetime | None:
    """When the scan began: the series' time, unless the images were sent through another station since."""
    series, acquisition = _moment(dataset, "Series"), _moment(dataset, "Acquisition")
    if series is not None and (acquisition is None or series <= acquisition):
        return series
    private = dataset.get(_GE_SCAN_START)
    stated = _parsed(str(private.value)) if private is not None else None
    return stated or acquisition


def _injection(dataset: Dataset, tracer: Dataset) -> datetime | None:
    stated = _parsed(str(tracer.get("RadiopharmaceuticalStartDateTime", "") or ""))
    if stated is not None:
        return stated
    day = str(dataset.get("SeriesDate", "") or dataset.get("AcquisitionDate", "") or "")
    return _parsed(day + str(tracer.get("RadiopharmaceuticalStartTime", "") or ""))


def _moment(dataset: Dataset, of: str) -> datetime | None:
    return _parsed(f"{dataset.get(f'{of}Date', '') or ''}{dataset.get(f'{of}Time', '') or ''}")


def _parsed(text: str) -> datetime | None:
    try:
        return datetime.strptime(text[:14], "%Y%m%d%H%M%S")
    except ValueError:
        return None


def _number(dataset: Dataset, keyword: str) -> float | None:
    try:
        number = float(dataset.get(keyword) or 0)
    except (TypeError, ValueError):
        return None
    return number if number > 0 else None


def _private(dataset: Dataset, tag: int) -> float | None:
    element = dataset.get(tag)
    value = element.value if element is not None else None
    try:
        return float(value.decode("ascii") if isinstance(value, bytes) else value)
    except (TypeError, ValueError, UnicodeDecodeError):
        return None
