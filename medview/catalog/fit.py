"""Whether a plugin suits an image, in words that a reader understands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medview.catalog.manifest import Extent, Input, PluginManifest
from medview.core.case import Series, SeriesKind, Use
from medview.core.geometry import Geometry
from medview.core.planes import Plane, slice_plane
from medview.core.text import Text
from medview.core.volume import Modality, Volume

_TOLERANCE = 1.02
"""A grid may miss a limit of extent by two percent: voxels do not end where anatomy does."""

_NO_VOLUME = (Text("It needs a volume, and these are pictures without a place in the patient."),)
_DIRECTIONS = (Text("left to right"), Text("front to back"), Text("foot to head"))


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether a plugin can run on an image.

    Attributes:
        ok: Whether it can.
        reasons: Why it cannot; when it can, what to be careful with.
    """

    ok: bool
    reasons: tuple[Text, ...] = ()


def fit_volume(manifest: PluginManifest, volume: Volume, *, body_part: str = "") -> Fit:
    """Whether a plugin suits a volume; `body_part` is what its series says, if anything."""
    wanted = manifest.input[0]
    reasons = _modality(wanted, volume.modality) + _unit(wanted, volume.unit)
    reasons += _grid(wanted, volume.geometry) if volume.is_spatial else _NO_VOLUME
    if reasons:
        return Fit(False, reasons)
    doubt = (volume.caution,) if volume.caution is not None else ()
    return Fit(True, doubt + _body_part(wanted, body_part))


def fit_series(manifest: PluginManifest, series: Series) -> Fit:
    """Whether a plugin suits a series whose pixels have not been read."""
    wanted = manifest.input[0]
    reasons = _modality(wanted, series.modality)
    if series.refusal is not None:
        reasons += (series.refusal.text,)
    elif series.kind is SeriesKind.PICTURES:
        reasons += _NO_VOLUME
    elif series.geometry is not None:
        reasons += _grid(wanted, series.geometry)
    if reasons:
        return Fit(False, reasons)
    doubt = series.unsafe_for(Use.ANALYSE)
    return Fit(True, ((doubt.text,) if doubt is not None else ()) + _body_part(wanted, series.body_part))


def extent_in_patient(geometry: Geometry) -> Extent:
    """Size of a grid along the patient's axes: left-right, front-back, foot-head, mm."""
    sizes = geometry.extent_mm
    x, y, z = (sizes[slice_plane(geometry, plane).axis] for plane in (Plane.SAGITTAL, Plane.CORONAL, Plane.AXIAL))
    return x, y, z


def _modality(wanted: Input, modality: Modality) -> tuple[Text, ...]:
    if modality in wanted.modality:
        return ()
    return (
        Text.of(
            "It needs {wanted}; this is {found}.", wanted=" / ".join(wanted.modality), found=_modality_name(modality)
        ),
    )


def _modality_name(modality: Modality) -> Text | str:
    return Text("of unknown modality") if modality is Modality.OTHER else modality.value


def _unit(wanted: Input, unit: str) -> tuple[Text, ...]:
    if not wanted.unit or wanted.unit == unit:
        return ()
    return (Text.of("It needs voxels in {unit}, and these are not.", unit=wanted.unit),)


def _grid(wanted: Input, geometry: Geometry) -> tuple[Text, ...]:
    reasons: list[Text] = []
    slices = min(geometry.shape) if min(geometry.shape) < wanted.minimum_slices else geometry.shape[0]
    if slices < wanted.minimum_slices:
        reasons.append(
            Text.of("It needs at least {needed} slices; there are {found}.", needed=wanted.minimum_slices, found=slices)
        )
    extent = np.asarray(extent_in_patient(geometry))
    if wanted.minimum_extent_mm is not None:
        reasons += _beyond(
            extent * _TOLERANCE >= wanted.minimum_extent_mm,
            extent,
            wanted.minimum_extent_mm,
            "It needs at least {limit} mm from {direction}; the image has {found} mm.",
        )
    if wanted.maximum_extent_mm is not None:
        reasons += _beyond(
            extent <= np.asarray(wanted.maximum_extent_mm) * _TOLERANCE,
            extent,
            wanted.maximum_extent_mm,
            "It was made for at most {limit} mm from {direction}; the image has {found} mm.",
        )
    return tuple(reasons)


def _beyond(good: np.ndarray, extent: np.ndarray, limits: Extent, template: str) -> list[Text]:
    return [
        Text.of(template, limit=f"{limits[axis]:g}", direction=_DIRECTIONS[axis], found=f"{extent[axis]:.0f}")
        for axis in range(3)
        if not good[axis]
    ]


def _body_part(wanted: Input, body_part: str) -> tuple[Text, ...]:
    found = body_part.strip().upper()
    if not found or not wanted.body_part or any(part in found for part in wanted.body_part):
        return ()
    return (
        Text.of(
            "The series calls itself {found}; the plugin was made for {wanted}.",
            found=found,
            wanted=", ".join(wanted.body_part),
        ),
    )
