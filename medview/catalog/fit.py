"""Whether a plugin suits an image, in words that a reader understands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medview.catalog.manifest import Input, PluginManifest
from medview.catalog.manifest_table import Extent
from medview.core.case import Series, SeriesKind, Use
from medview.core.geometry import Box, Geometry
from medview.core.planes import Plane, slice_plane
from medview.core.text import Text
from medview.core.volume import Modality, Volume

_TOLERANCE = 1.02
"""A grid may miss a limit of extent by two percent: voxels do not end where anatomy does."""

_ASKS_FOR_BOX = Text("Set a box around what it is to look at; without one, the whole image counts as the box.")
_NO_VOLUME = (Text("It needs a volume, and these are pictures without a place in the patient."),)
_LATERAL = frozenset({"LL", "RL", "LLD", "RLD", "LAT", "LATERAL", "LLAT", "RLAT", "LEFT LATERAL", "RIGHT LATERAL"})
"""View Positions of pictures that were taken from the side."""
_DIRECTIONS = (Text("left to right"), Text("front to back"), Text("foot to head"))


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether a plugin can run on an image.

    Attributes:
        ok: Whether it can.
        reasons: Why it cannot; when it can, what to be careful with.
        needs_box: Whether it is to be shown a part of the image, which is small enough, or holds what it looks at.
    """

    ok: bool
    reasons: tuple[Text, ...] = ()
    needs_box: bool = False


def fit_volume(
    manifest: PluginManifest,
    volume: Volume,
    *,
    body_part: str = "",
    contrast: str | None = None,
    box: Box | None = None,
) -> Fit:
    """Whether a plugin suits a volume as its first input.

    Args:
        manifest: The plugin's.
        volume: The image.
        body_part: What its series says, if anything.
        contrast: The agent that its series names; empty when it names none; None when nothing is known.
        box: The part of the image, (k, j, i), that the plugin would get to see; None: all of it.
    """
    return fit_input(manifest.input[0], volume, body_part=body_part, contrast=contrast, box=box)


def fit_input(
    wanted: Input,
    volume: Volume,
    *,
    body_part: str = "",
    contrast: str | None = None,
    box: Box | None = None,
) -> Fit:
    """Whether a volume suits one of a plugin's inputs; the arguments are those of `fit_volume`."""
    geometry = volume.geometry if box is None else volume.geometry.cropped(box)
    reasons = _modality(wanted, volume.modality) + _unit(wanted, volume.unit)
    reasons += _grid(wanted, geometry) if volume.is_spatial else _pictures(wanted, volume.geometry.shape[0])
    if reasons:
        too_large = _too_large(wanted, geometry) if volume.is_spatial else ()
        if reasons != too_large:
            return Fit(False, reasons)
        return Fit(False, (*reasons, _box_of(wanted)), needs_box=True)
    # What makes lengths doubtful says nothing about a picture that is looked at as a whole.
    unsafe = (volume.caution,) if volume.caution is not None and volume.is_spatial else ()
    doubt = unsafe + _body_part(wanted, body_part) + _contrast(wanted, contrast) + doubts_of_picture(wanted, volume)
    if wanted.wants_box and box is None:
        return Fit(True, (*doubt, _ASKS_FOR_BOX), needs_box=True)
    return Fit(True, doubt)


def doubts_of_picture(wanted: Input, volume: Volume) -> tuple[Text, ...]:
    """What makes a picture another than those that a plugin looks at: its colours, and from where it was taken."""
    found = []
    if volume.colors is not None and not wanted.color:
        found.append(Text("This is a picture in colour, and the plugin looks at grey ones."))
    if wanted.view and volume.view and volume.view not in {one.upper() for one in wanted.view}:
        lateral = volume.view in _LATERAL and not _LATERAL & {one.upper() for one in wanted.view}
        found.append(
            Text("This is a lateral view, and the plugin looks at frontal ones.")
            if lateral
            else Text("This is another view than those that the plugin looks at.")
        )
    return tuple(found)


def fit_series(manifest: PluginManifest, series: Series) -> Fit:
    """Whether a plugin suits a series whose pixels have not been read."""
    wanted = manifest.input[0]
    reasons = _modality(wanted, series.modality)
    if series.refusal is not None:
        reasons += (series.refusal.text,)
    elif series.kind is SeriesKind.PICTURES:
        reasons += _pictures(wanted, series.geometry.shape[0] if series.geometry is not None else None)
    elif series.geometry is not None:
        reasons += _grid(wanted, series.geometry)
    if reasons:
        return Fit(False, reasons)
    doubt = series.unsafe_for(Use.ANALYSE)
    hints = _body_part(wanted, series.body_part) + _contrast(wanted, contrast_of(series))
    return Fit(True, ((doubt.text,) if doubt is not None else ()) + hints)


def contrast_of(series: Series) -> str | None:
    """The contrast agent that a series names; empty when it names none; None when nothing is known of it."""
    if not series.acquisition:
        return None
    return dict(series.acquisition).get("Contrast", "")


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


def _pictures(wanted: Input, count: int | None) -> tuple[Text, ...]:
    """Pictures suit what looks at pictures."""
    if wanted.dims == 3:
        return _NO_VOLUME
    return _slices(wanted, count) if count is not None else ()


def _slices(wanted: Input, found: int) -> tuple[Text, ...]:
    if found >= wanted.minimum_slices:
        return ()
    return (
        Text.of("It needs at least {needed} slices; there are {found}.", needed=wanted.minimum_slices, found=found),
    )


def _grid(wanted: Input, geometry: Geometry) -> tuple[Text, ...]:
    fewest = geometry.shape[0] if wanted.dims != 3 else min(geometry.shape)
    reasons = list(_slices(wanted, fewest if fewest < wanted.minimum_slices else geometry.shape[0]))
    reasons += _planes(wanted, geometry)
    widest = max(geometry.spacing_mm)
    if wanted.maximum_spacing_mm is not None and widest > wanted.maximum_spacing_mm * _TOLERANCE:
        reasons.append(
            Text.of(
                "It needs voxels at most {limit} mm apart; these are {found} mm apart.",
                limit=f"{wanted.maximum_spacing_mm:g}",
                found=f"{widest:.1f}",
            )
        )
    extent = np.asarray(extent_in_patient(geometry))
    if wanted.minimum_extent_mm is not None:
        reasons += _beyond(
            extent * _TOLERANCE >= wanted.minimum_extent_mm,
            extent,
            wanted.minimum_extent_mm,
            "It needs at least {limit} mm from {direction}; the image has {found} mm.",
        )
    reasons += _too_large(wanted, geometry)
    return tuple(reasons)


def _too_large(wanted: Input, geometry: Geometry) -> tuple[Text, ...]:
    if wanted.maximum_extent_mm is None:
        return ()
    extent = np.asarray(extent_in_patient(geometry))
    good = extent <= np.asarray(wanted.maximum_extent_mm) * _TOLERANCE
    template = "It was made for at most {limit} mm from {direction}; the image has {found} mm."
    return tuple(_beyond(good, extent, wanted.maximum_extent_mm, template))


def _box_of(wanted: Input) -> Text:
    assert wanted.maximum_extent_mm is not None
    x, y, z = (f"{size:g}" for size in wanted.maximum_extent_mm)
    return Text.of("Set a box around what it looks for, of at most {x} × {y} × {z} mm.", x=x, y=y, z=z)


def _planes(wanted: Input, geometry: Geometry) -> list[Text]:
    found = next(plane for plane in Plane if slice_plane(geometry, plane).axis == 0)
    if not wanted.planes or found in wanted.planes:
        return []
    names = " / ".join(wanted.planes)
    return [Text.of("It was made for {wanted} slices; these are {found}.", wanted=names, found=found.value)]


def _contrast(wanted: Input, contrast: str | None) -> tuple[Text, ...]:
    if contrast is None or not wanted.contrast or (wanted.contrast == "with") == bool(contrast):
        return ()
    if contrast:
        return (Text.of("It was made for images without contrast agent; this one names {agent}.", agent=contrast),)
    return (Text("It was made for images with contrast agent; this one names none."),)


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
