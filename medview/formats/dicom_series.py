"""Puts headers together to series, in slice order, and judges which of them make a volume.

A series opens when its images are slices of one regular, right-angled grid. Everything else is refused with a sentence
that says what is wrong: a wrong grid would show wrong anatomy and give wrong lengths.

Slice order: along the normal (row direction x column direction), so that (i, j, k) is right-handed. It depends on
positions only, never on file names or image numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from medview.core.case import Remark, Series, Severity
from medview.core.geometry import Floats, Geometry
from medview.core.text import Text
from medview.core.volume import Modality
from medview.formats import slice_stack
from medview.formats.dicom_frames import Frame, frames_of
from medview.formats.dicom_header import Header

_GREY = frozenset({"MONOCHROME1", "MONOCHROME2"})
_PROJECTIONS = frozenset({"CR", "DX", "MG", "IO", "PX", "RG", "XA", "RF", "US", "ES", "XC", "OP", "SM", "GM"})
_OBJECTS = {
    "1.2.840.10008.5.1.4.1.1.66.4": Text("a segmentation"),
    "1.2.840.10008.5.1.4.1.1.66.7": Text("a segmentation"),
    "1.2.840.10008.5.1.4.1.1.66.5": Text("a surface segmentation"),
    "1.2.840.10008.5.1.4.1.1.481.2": Text("a radiotherapy dose"),
    "1.2.840.10008.5.1.4.1.1.481.3": Text("a radiotherapy structure set"),
    "1.2.840.10008.5.1.4.1.1.481.5": Text("a radiotherapy plan"),
    "1.2.840.10008.5.1.4.1.1.30": Text("a parametric map"),
    "1.2.840.10008.5.1.4.1.1.67": Text("a real world value mapping"),
    "1.2.840.10008.5.1.4.1.1.66.1": Text("a spatial registration"),
    "1.2.840.10008.5.1.4.1.1.104.1": Text("a PDF document"),
}
_OBJECT_FAMILIES = (
    ("1.2.840.10008.5.1.4.1.1.88.", Text("a report")),
    ("1.2.840.10008.5.1.4.1.1.11.", Text("a presentation state")),
    ("1.2.840.10008.5.1.4.1.1.9.", Text("a waveform")),
)
_SAME_DIRECTION = 1e-3
"""Largest difference of direction cosines between slices of one stack."""
_COSINE_TOLERANCE = 0.01
"""How far direction cosines may be from unit length and right angles before they are taken for wrong."""
_SPACING_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class DicomSeries:
    """A series and its images, in slice order as far as there is one.

    Attributes:
        facts: What the rest of the program knows of it.
        frames: Its images.
    """

    facts: Series
    frames: tuple[Frame, ...]

    @property
    def headers(self) -> tuple[Header, ...]:
        """The headers of its files."""
        return tuple({id(frame.header): frame.header for frame in self.frames}.values())


def group(headers: Iterable[Header]) -> tuple[DicomSeries, ...]:
    """Sort headers into series, order each and judge it. The order in which the headers come does not matter."""
    together: dict[tuple[str, str], list[Header]] = {}
    for header in headers:
        together.setdefault((header.study.uid, header.series_uid), []).append(header)
    return tuple(_series(sorted(members, key=_by_number)) for members in together.values())


def _by_number(header: Header) -> tuple[bool, int, str]:
    return header.instance_number is None, header.instance_number or 0, str(header.path)


def _series(members: list[Header]) -> DicomSeries:
    unique, remarks = _without_copies(members)
    refusals = _kind_refusals(unique)
    frames = [frame for header in unique for frame in frames_of(header)]
    geometry: Geometry | None = None
    if not refusals:
        refusals = _place_refusals(frames)
    if not refusals:
        frames, refusals = _in_slice_order(frames)
    if not refusals:
        geometry, notes = _geometry(frames)
        remarks.extend(notes)
    first = unique[0]
    facts = Series(
        uid=first.series_uid,
        study=first.study,
        modality=Modality.of(first.modality),
        description=first.series_description,
        number=first.series_number,
        body_part=first.body_part,
        files=tuple(dict.fromkeys(frame.header.path for frame in frames)),
        slices=sum(header.frames for header in unique),
        geometry=geometry,
        remarks=(*refusals, *remarks),
        acquisition=frames[len(frames) // 2].header.facts,
    )
    return DicomSeries(facts, tuple(frames))


def _without_copies(members: list[Header]) -> tuple[list[Header], list[Remark]]:
    """One header of every instance: the same image often lies in a folder twice."""
    unique = {(one.sop_instance_uid or str(one.path), one.position, one.instance_number): one for one in members[::-1]}
    copies = len(members) - len(unique)
    if not copies:
        return members, []
    kept = sorted(unique.values(), key=_by_number)
    text = Text.of("Copies of other files were left out: {n}.", n=copies)
    return kept, [Remark(Severity.NOTE, "copies", text)]


def _kind_refusals(members: Sequence[Header]) -> list[Remark]:
    """Why these are no grey slices with a place in the patient, one image to a file; at most one reason."""
    first = members[0]
    thing = next((name for one in members if (name := _object_name(one)) is not None), None)
    if thing is not None:
        return [
            _refused("no-image", Text.of("This is {thing}, not an image series; MedView lists it only.", thing=thing))
        ]
    if any(one.pixels is None for one in members):
        return [_refused("no-pixels", Text.of("It holds no image ({kind}).", kind=first.sop_class_name))]
    for code, applies, text in _KINDS:
        if any(applies(one) for one in members):
            return [_refused(code, text)]
    return []


_Kind = tuple[str, Callable[[Header], bool], Text]
_KINDS: tuple[_Kind, ...] = (
    (
        "mosaic",
        lambda one: "MOSAIC" in one.image_type or one.mosaic_images > 1,
        Text("Each of its images is a Siemens mosaic of many slices; MedView cannot unfold mosaics yet."),
    ),
    (
        "multi-frame",
        lambda one: one.frames > 1,
        Text("Its slices lie in one multi-frame file (enhanced DICOM or cine); MedView cannot open these yet."),
    ),
    (
        "palette",
        lambda one: one.photometric == "PALETTE COLOR",
        Text("Its images are coloured by a palette; MedView opens grey images only."),
    ),
    (
        "colour",
        lambda one: one.samples_per_pixel != 1 or one.photometric not in _GREY,
        Text("Its images are in colour; MedView opens grey images only."),
    ),
    (
        "float-pixels",
        lambda one: one.pixels is not None and one.pixels.is_float,
        Text("Its pixels are floating-point numbers, which MedView cannot read from DICOM yet."),
    ),
    (
        "pixel-depth",
        lambda one: one.bits_allocated not in (8, 16) or not 1 <= one.bits_stored <= one.bits_allocated,
        Text("Its pixels have a depth that MedView cannot read (8 and 16 bits can be read)."),
    ),
    (
        "value-table",
        lambda one: one.has_modality_lut,
        Text("Its values go through a table (Modality LUT), which MedView cannot apply yet."),
    ),
)
"""What one image can be that is refused: code, test, sentence."""


def _place_refusals(members: Sequence[Frame]) -> list[Remark]:
    first = members[0]
    if any(len(one.position) != 3 or len(one.orientation) != 6 for one in members):
        if first.header.modality in _PROJECTIONS or len(members) == 1:
            text = Text("It is a single picture without a place in the patient; MedView opens volumes only for now.")
            return [_refused("projection", text)]
        missing = sum(len(one.position) != 3 or len(one.orientation) != 6 for one in members)
        text = Text.of("{n} of its {all} images do not say where they lie in the patient.", n=missing, all=len(members))
        return [_refused("no-position", text)]
    if not all(_has_right_angle(one.orientation) for one in members):
        text = Text("The row and column directions of its images are not at right angles.")
        return [_refused("bad-orientation", text)]
    axes = np.array([_axes(one) for one in members])
    if np.abs(axes - axes[0]).max() > _SAME_DIRECTION:
        return [_refused("mixed-orientations", _orientations_text(axes))]
    if len({(one.rows, one.columns) for one in members}) > 1:
        sizes = sorted({f"{one.columns} x {one.rows}" for one in members})
        text = Text.of("Its images differ in size ({sizes} pixels).", sizes=", ".join(sizes))
        return [_refused("mixed-sizes", text)]
    if any(len(one.pixel_spacing) != 2 or min(one.pixel_spacing) <= 0 for one in members):
        return [_refused("no-spacing", Text("Its images do not say how large their pixels are."))]
    spacings = np.array([one.pixel_spacing for one in members])
    if np.ptp(spacings / spacings[0], axis=0).max() > _SPACING_TOLERANCE:
        return [_refused("mixed-spacing", Text("Its images differ in pixel size."))]
    return []


def _in_slice_order(members: list[Frame]) -> tuple[list[Frame], list[Remark]]:
    axes = _axes(members[0])
    normal = np.cross(axes[0], axes[1])
    positions = np.array([one.position for one in members])
    order = np.argsort(positions @ normal, kind="stable")
    ordered = [members[index] for index in order]
    numbers = [one.header.instance_number for one in ordered]
    return ordered, slice_stack.judge(positions[order], axes, min(ordered[0].pixel_spacing), numbers)


def _orientations_text(axes: Floats) -> Text:
    counts: list[tuple[Floats, int]] = []
    for one in axes:
        for place, (known, count) in enumerate(counts):
            if np.abs(one - known).max() <= _SAME_DIRECTION:
                counts[place] = (known, count + 1)
                break
        else:
            counts.append((one, 1))
    numbers = " + ".join(str(count) for _, count in sorted(counts, key=lambda pair: -pair[1])[:6])
    return Text.of(
        "Its images lie in {n} different directions ({counts} images): a localiser or a dose page among the slices?",
        n=len(counts),
        counts=numbers,
    )


def _geometry(ordered: Sequence[Frame]) -> tuple[Geometry, list[Remark]]:
    """The grid of slices that `slice_stack.judge` has found regular."""
    first = ordered[0]
    row, column = _axes(first)
    normal = np.cross(row, column)
    remarks: list[Remark] = []
    if len(ordered) > 1:
        along = np.array([one.position for one in ordered]) @ normal
        step = float(along[-1] - along[0]) / (len(ordered) - 1)
    else:
        step = first.header.spacing_between_slices or first.header.slice_thickness or 1.0
        remarks.append(
            Remark(Severity.NOTE, "single-slice", Text("It is a single slice: there is nothing to see across it."))
        )
    affine = np.eye(4)
    affine[:3, 0] = normal * abs(step)
    affine[:3, 1] = column * first.pixel_spacing[0]
    affine[:3, 2] = row * first.pixel_spacing[1]
    affine[:3, 3] = first.position
    frames = {one.header.frame_of_reference_uid for one in ordered}
    frame = frames.pop() if len(frames) == 1 else first.header.frame_of_reference_uid
    return Geometry((len(ordered), first.rows, first.columns), affine, frame), remarks


def _has_right_angle(orientation: tuple[float, ...]) -> bool:
    row, column = np.array(orientation).reshape(2, 3)
    lengths = np.array([np.linalg.norm(row), np.linalg.norm(column)])
    return bool(np.abs(lengths - 1).max() <= _COSINE_TOLERANCE and abs(row @ column) <= _COSINE_TOLERANCE)


def _axes(frame: Frame) -> Floats:
    """(2, 3): unit vectors along a row and along a column, made exactly perpendicular: cosines are often rounded."""
    row, column = np.array(frame.orientation, dtype=np.float64).reshape(2, 3)
    row = row / np.linalg.norm(row)
    column = column - (row @ column) * row
    axes: Floats = np.array([row, column / np.linalg.norm(column)])
    return axes


def _object_name(header: Header) -> Text | None:
    """What a DICOM object is that is no image; None for images."""
    uid = header.sop_class_uid
    if uid in _OBJECTS:
        return _OBJECTS[uid]
    return next((name for start, name in _OBJECT_FAMILIES if uid.startswith(start)), None)


def _refused(code: str, text: Text) -> Remark:
    return Remark(Severity.REFUSED, code, text)
