"""The functional groups of enhanced multi-frame objects (DICOM PS3.3 C.7.6.16).

What is said once for all frames, and what for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, BinaryIO

from pydicom import dcmread
from pydicom.dataset import Dataset

from medview.core.volume import Window
from medview.formats.frame_facts import FrameFacts
from medview.formats.separators import Separators

_GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
_ALSO = ("SOPClassUID", "Rows", "Columns", "PixelSpacing", "RescaleSlope", "RescaleIntercept")
PARAMETRIC_MAP = "1.2.840.10008.5.1.4.1.1.30"
_FRAME_TYPES = ("MRImageFrameTypeSequence", "CTImageFrameTypeSequence", "PETFrameTypeSequence")
_LARGEST = 1e30
"""No measure of anything; also what is no number is not below it."""
_DELAYS = ("NominalCardiacTriggerDelayTime", "CardiacTriggerDelayTime", "ActualCardiacTriggerDelayTime")


def read(file: BinaryIO) -> tuple[FrameFacts, ...]:
    """The frames of a file, in their order there; none when it has no functional groups.

    Raises:
        Exception: Whatever pydicom raises on a damaged file.
    """
    file.seek(0)
    dataset = dcmread(file, stop_before_pixels=True, force=True, specific_tags=[*_GROUPS, *_ALSO])
    shared = dataset.get("SharedFunctionalGroupsSequence") or [Dataset()]
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence") or []
    shape = (int(dataset.get("Rows", 0)), int(dataset.get("Columns", 0)))
    return tuple(_facts(number, own, shared[0], dataset, shape) for number, own in enumerate(per_frame))


def _facts(index: int, own: Dataset, shared: Dataset, dataset: Dataset, shape: tuple[int, int]) -> FrameFacts:
    def item(*keywords: str) -> Dataset:
        for source in (own, shared):
            for keyword in keywords:
                found = source.get(keyword)
                if found:
                    first: Dataset = found[0]
                    return first
        return Dataset()

    rescale = item("PixelValueTransformationSequence")
    slope, intercept = rescale.get("RescaleSlope"), rescale.get("RescaleIntercept")
    unit = str(rescale.get("RescaleType", "") or "").upper()
    if dataset.get("SOPClassUID") == PARAMETRIC_MAP:
        mapping = item("RealWorldValueMappingSequence")
        slope, intercept = mapping.get("RealWorldValueSlope"), mapping.get("RealWorldValueIntercept")
        units = mapping.get("MeasurementUnitsCodeSequence") or [Dataset()]
        unit = str(units[0].get("CodeValue", "") or "")
    measures = item("PixelMeasuresSequence")
    return FrameFacts(
        index=index,
        corner=(0, 0),
        shape=shape,
        position=_told(item("PlanePositionSequence", "PlanePositionVolumeSequence"), "ImagePosition"),
        orientation=_told(item("PlaneOrientationSequence", "PlaneOrientationVolumeSequence"), "ImageOrientation"),
        pixel_spacing=_numbers(measures.get("PixelSpacing") or dataset.get("PixelSpacing")),
        slope=_number(dataset.get("RescaleSlope") if slope is None else slope) or 1.0,
        intercept=_number(dataset.get("RescaleIntercept") if intercept is None else intercept) or 0.0,
        rescale_type=unit,
        windows=_windows(item("FrameVOILUTSequence")),
        separators=_separators(
            item("FrameContentSequence"),
            item("MREchoSequence"),
            item("MRDiffusionSequence"),
            item("CardiacSynchronizationSequence", "CardiacTriggerSequence"),
            item(*_FRAME_TYPES),
        ),
    )


def _told(item: Dataset, what: str) -> tuple[float, ...]:
    """A place or a direction, in the patient or else, as ultrasound tells it, in the space of the transducer."""
    return _numbers(item.get(f"{what}Patient")) or _numbers(item.get(f"{what}Volume"))


def _separators(content: Dataset, echo: Dataset, diffusion: Dataset, heart: Dataset, kind: Dataset) -> Separators:
    gradient = diffusion.get("DiffusionGradientDirectionSequence")
    temporal = _number(content.get("TemporalPositionIndex"))
    acquisition = _number(content.get("FrameAcquisitionNumber"))
    component = str(kind.get("ComplexImageComponent", "") or "")
    frame_type = tuple(str(part).upper() for part in _listed(kind.get("FrameType")))
    return Separators(
        echo_time_ms=_number(echo.get("EffectiveEchoTime")),
        b_value=_number(diffusion.get("DiffusionBValue")),
        direction=_numbers(gradient[0].get("DiffusionGradientOrientation")) if gradient else (),
        trigger_time_ms=next((time for name in _DELAYS if (time := _number(heart.get(name))) is not None), None),
        temporal_position=None if temporal is None else int(temporal),
        time_s=_seconds(str(content.get("FrameAcquisitionDateTime", "") or "")),
        acquisition_number=None if acquisition is None else int(acquisition),
        image_type=(*frame_type, component) if component and component not in frame_type else frame_type,
        stack=str(content.get("StackID", "") or ""),
    )


def _windows(item: Dataset) -> tuple[Window, ...]:
    centers, widths = _numbers(item.get("WindowCenter")), _numbers(item.get("WindowWidth"))
    return tuple(Window(center, width) for center, width in zip(centers, widths, strict=False) if width > 0)


def _seconds(text: str) -> float | None:
    """The time of day of a DICOM date with time, yyyymmddhhmmss.ffffff."""
    clock = text[8:14]
    if len(clock) != 6 or not clock.isdigit():
        return None
    fraction = text[15:21].split("+")[0].split("-")[0] if text[14:15] == "." else ""
    return 3600.0 * int(clock[:2]) + 60.0 * int(clock[2:4]) + int(clock[4:]) + float(f"0.{fraction or 0}")


def _listed(value: Any) -> Sequence[Any]:
    if value is None:
        return ()
    return [value] if isinstance(value, str | int | float) else list(value)


def _numbers(value: Any) -> tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in _listed(value))
    except (TypeError, ValueError, OverflowError):
        return ()
    return numbers if all(abs(number) < _LARGEST for number in numbers) else ()


def _number(value: Any) -> float | None:
    numbers = _numbers(value)
    return numbers[0] if numbers else None
