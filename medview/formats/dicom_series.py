"""Puts headers together to series, in slice order, and judges which of them make a volume.

A series opens when its images are parallel slices. Uneven, tilted and missing ones are laid on a corrected grid, and
that is said; what makes no grid is refused with a sentence that says what is wrong: it would show wrong anatomy and
give wrong lengths.

Slice order: along the normal (row direction x column direction), so that (i, j, k) is right-handed. It depends on
positions only, never on file names or image numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from medview.core.case import Remark, Series, Severity
from medview.core.text import Text
from medview.core.volume import Modality
from medview.formats import phases, slice_stack, stack_split
from medview.formats.dicom_frames import Frame, frames_of
from medview.formats.dicom_header import Header
from medview.formats.slice_stack import Layout, Slices

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
_COSINE_TOLERANCE = 0.01
"""How far direction cosines may be from unit length and right angles before they are taken for wrong."""
_MOST_STACKS = 6
_LEAST_IN_A_STACK = 3
"""More stacks than this, with fewer images each than that, are no acquisitions: slices that turn around an axis."""

_Part = tuple[list[Frame], tuple[Text, ...], Layout]
"""Images, the names of their phases, and what they make."""


@dataclass(frozen=True, slots=True, eq=False)
class DicomSeries:
    """A series and its images, in slice order as far as there is one.

    Attributes:
        facts: What the rest of the program knows of it.
        frames: Its images; of a 4D series one volume after the other.
        caution: What a number measured on it has to say; None when its grid is as safe as its slices.
    """

    facts: Series
    frames: tuple[Frame, ...]
    caution: Text | None = None

    @property
    def headers(self) -> tuple[Header, ...]:
        """The headers of its files."""
        return tuple({id(frame.header): frame.header for frame in self.frames}.values())

    def phase(self, number: int) -> tuple[Frame, ...]:
        """The images of one volume, in slice order."""
        count = len(self.frames) // max(1, len(self.facts.phases))
        return self.frames[number * count : (number + 1) * count]


def group(headers: Iterable[Header]) -> tuple[DicomSeries, ...]:
    """Sort headers into series, order each and judge it. The order in which the headers come does not matter.

    A DICOM series that holds several stacks of slices becomes several series: the largest keeps the UID.
    """
    together: dict[tuple[str, str], list[Header]] = {}
    for header in headers:
        together.setdefault((header.study.uid, header.series_uid), []).append(header)
    return tuple(one for members in together.values() for one in _series(sorted(members, key=_by_number)))


def _by_number(header: Header) -> tuple[bool, int, str]:
    return header.instance_number is None, header.instance_number or 0, str(header.path)


def _series(members: list[Header]) -> list[DicomSeries]:
    unique, remarks = _without_copies(members)
    refusals = _kind_refusals(unique)
    frames = [frame for header in unique for frame in frames_of(header)]
    if refusals:
        return [_made(frames, Layout(None, tuple(refusals)), remarks)]
    placed = [frame for frame in frames if len(frame.position) == 3 and len(frame.orientation) == 6]
    if not placed:
        return [_made(frames, Layout(None, tuple(_placeless(frames, len(frames)))), remarks)]
    refusals = _place_refusals(placed)
    if refusals:
        return [_made(frames, Layout(None, tuple(refusals)), remarks)]
    stacks = stack_split.split(placed)
    if len(stacks) > _MOST_STACKS and len(stacks) > len(placed) / _LEAST_IN_A_STACK:
        return [_made(frames, Layout(None, (_refused("mixed-orientations", _orientations_text(stacks)),)), remarks)]
    parts = [part for stack in stacks for part in _volumes(stack)]
    others = [frame for frame in frames if len(frame.position) != 3 or len(frame.orientation) != 6]
    if others:
        parts.append((others, (), Layout(None, tuple(_placeless(others, len(frames))))))
    return [
        _made(of_part, layout, [*remarks, *_part_remarks(parts, number)], names=names, number=number)
        for number, (of_part, names, layout) in enumerate(parts)
    ]


def _volumes(stack: list[Frame]) -> list[_Part]:
    """What the slices of one direction make: usually one volume, or several on one grid."""
    slices, frames = _in_order(stack)
    groups = stack_split.split_at_gaps(frames, slices.along)
    if len(groups) > 1:
        return [part for members in groups for part in _volumes(members)]
    separation = phases.separate(frames, slices.along)
    first = list(separation.phases[0])
    one = _slices(first)
    if len(first) == len(frames) and not slice_stack.is_even(one):
        acquisitions = stack_split.split_by_acquisition(frames, lambda part: slice_stack.is_even(_in_order(part)[0]))
        if acquisitions is not None:
            return [part for members in acquisitions for part in _volumes(members)]
    header = first[0].header
    layout = slice_stack.lay_out(one, header.spacing_between_slices or header.slice_thickness or 1.0)
    if layout.geometry is None:
        return [(frames, (), layout)]
    together = [frame for phase in separation.phases for frame in phase]
    return [(together, separation.names, replace(layout, remarks=(*layout.remarks, *separation.remarks)))]


def _in_order(frames: Sequence[Frame]) -> tuple[Slices, list[Frame]]:
    """Frames of one direction, ordered along their normal."""
    row, column = stack_split.axes_of(frames[0])
    along = np.array([frame.position for frame in frames]) @ np.cross(row, column)
    ordered = [frames[index] for index in np.argsort(along, kind="stable")]
    return _slices(ordered), ordered


def _slices(ordered: Sequence[Frame]) -> Slices:
    first = ordered[0]
    return Slices(
        np.array([frame.position for frame in ordered], dtype=np.float64),
        stack_split.axes_of(first),
        (first.pixel_spacing[0], first.pixel_spacing[1]),
        (first.rows, first.columns),
        [frame.header.instance_number for frame in ordered],
        first.header.slice_thickness,
        first.header.frame_of_reference_uid,
    )


def _part_remarks(parts: Sequence[_Part], number: int) -> list[Remark]:
    if len(parts) == 1:
        return []
    if number:
        text = Text.of("It came under the same series UID as {n} other images.", n=len(parts[0][0]))
    else:
        text = Text.of(
            "Images of another direction, size or acquisition came under the same series UID: {n}. They are listed as "
            "series of their own.",
            n=sum(len(frames) for frames, _, _ in parts[1:]),
        )
    return [Remark(Severity.NOTE, "split", text)]


def _made(
    frames: Sequence[Frame],
    layout: Layout,
    remarks: Sequence[Remark],
    *,
    names: tuple[Text, ...] = (),
    number: int = 0,
) -> DicomSeries:
    first = frames[0].header
    facts = Series(
        uid=f"{first.series_uid}#{number + 1}" if number else first.series_uid,
        study=first.study,
        modality=Modality.of(first.modality),
        description=first.series_description,
        number=first.series_number,
        body_part=first.body_part,
        files=tuple(dict.fromkeys(frame.header.path for frame in frames)),
        slices=max(len(frames), sum(one.frames for one in {id(one.header): one.header for one in frames}.values())),
        geometry=layout.geometry,
        remarks=(*layout.remarks, *remarks),
        acquisition=frames[len(frames) // 2].header.facts,
        phases=names,
    )
    return DicomSeries(facts, tuple(frames), layout.caution)


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


def _placeless(frames: Sequence[Frame], all_frames: int) -> list[Remark]:
    if frames[0].header.modality in _PROJECTIONS or all_frames == 1:
        text = Text("It is a single picture without a place in the patient; MedView opens volumes only for now.")
        return [_refused("projection", text)]
    text = Text.of("{n} of its {all} images do not say where they lie in the patient.", n=len(frames), all=all_frames)
    return [_refused("no-position", text)]


def _place_refusals(members: Sequence[Frame]) -> list[Remark]:
    if not all(_has_right_angle(one.orientation) for one in members):
        text = Text("The row and column directions of its images are not at right angles.")
        return [_refused("bad-orientation", text)]
    if any(len(one.pixel_spacing) != 2 or min(one.pixel_spacing) <= 0 for one in members):
        return [_refused("no-spacing", Text("Its images do not say how large their pixels are."))]
    return []


def _orientations_text(stacks: Sequence[Sequence[Frame]]) -> Text:
    numbers = " + ".join(str(len(stack)) for stack in stacks[:6])
    return Text.of(
        "Its images lie in {n} different directions or sizes ({counts} images).", n=len(stacks), counts=numbers
    )


def _has_right_angle(orientation: tuple[float, ...]) -> bool:
    row, column = np.array(orientation).reshape(2, 3)
    lengths = np.array([np.linalg.norm(row), np.linalg.norm(column)])
    return bool(np.abs(lengths - 1).max() <= _COSINE_TOLERANCE and abs(row @ column) <= _COSINE_TOLERANCE)


def _object_name(header: Header) -> Text | None:
    """What a DICOM object is that is no image; None for images."""
    uid = header.sop_class_uid
    if uid in _OBJECTS:
        return _OBJECTS[uid]
    return next((name for start, name in _OBJECT_FAMILIES if uid.startswith(start)), None)


def _refused(code: str, text: Text) -> Remark:
    return Remark(Severity.REFUSED, code, text)
