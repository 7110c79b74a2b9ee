"""Puts headers together to series, in slice order, and judges which of them make a volume.

A series opens when its images are parallel slices. Uneven, tilted and missing ones are laid on a corrected grid, and
that is said; what makes no grid is refused with a sentence that says what is wrong: it would show wrong anatomy and
give wrong lengths.

Slice order: along the normal (row direction x column direction), so that (i, j, k) is right-handed. It depends on
positions only, never on file names or image numbers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from medview.core.case import Remark, Series, SeriesKind, Severity, Use
from medview.core.errors import Cancelled
from medview.core.progress import NoProgress, Progress
from medview.core.text import Text
from medview.core.volume import Modality
from medview.formats import documents, phases, pictures, slice_stack, stack_split
from medview.formats.dicom_frames import Frame, first_frame, frames_of
from medview.formats.dicom_header import Header
from medview.formats.dicom_pixels import is_color, is_float
from medview.formats.functional_groups import PARAMETRIC_MAP
from medview.formats.mask_references import MASKS
from medview.formats.slice_stack import Layout, Slices

_log = logging.getLogger(__name__)
CONTRADICTORY = "contradictory"
"""The code of the refusal of a series that could not be judged."""
_SECTIONS = frozenset({"CT", "MR", "PT", "NM"})
"""What cuts slices through a patient: images of these that do not say where are a surprise."""
_DEPTHS, _FLOAT_DEPTHS = frozenset({1, 8, 16, 32}), frozenset({32, 64})
_ULTRASOUND_VOLUME = "1.2.840.10008.5.1.4.1.1.6.2"
_OBJECTS = {
    "1.2.840.10008.5.1.4.1.1.66.5": Text("a surface segmentation"),
    "1.2.840.10008.5.1.4.1.1.481.2": Text("a radiotherapy dose"),
    "1.2.840.10008.5.1.4.1.1.481.5": Text("a radiotherapy plan"),
    "1.2.840.10008.5.1.4.1.1.67": Text("a real world value mapping"),
    "1.2.840.10008.5.1.4.1.1.66.1": Text("a spatial registration"),
}
_OBJECT_FAMILIES = (("1.2.840.10008.5.1.4.1.1.9.", Text("a waveform")),)
_COSINE_TOLERANCE = 0.01
"""How far direction cosines may be from unit length and right angles before they are taken for wrong."""
_MASKS_TEXT = Text("It holds masks: choose it to draw them on the images that they belong to.")
_ASK_EVERY = 1024
_MOST_STACKS = 6
_LEAST_IN_A_STACK = 3
"""More stacks than this, with fewer images each than that, are no acquisitions: slices that turn around an axis."""

_Part = tuple[list[Frame], tuple[Text, ...], Layout, SeriesKind]
"""Images, the names of their phases, the grid that they make, and what it shows."""


class DicomSeries:
    """A series and its images, in slice order as far as there is one.

    Args:
        facts: What the rest of the program knows of it.
        frames: Its images; of a 4D series one volume after the other. Or what finds them, when they are wanted.
        caution: What a number measured on it has to say; None when its grid is as safe as its slices.
    """

    def __init__(
        self, facts: Series, frames: Sequence[Frame] | Callable[[], tuple[Frame, ...]], caution: Text | None = None
    ) -> None:
        self.facts = facts
        self.caution = caution
        self._find = frames if callable(frames) else None
        self._frames = () if callable(frames) else tuple(frames)

    @property
    def frames(self) -> tuple[Frame, ...]:
        """Its images.

        Raises:
            UnreadableFileError: They were not asked for until their files had changed.
        """
        find = self._find
        if find is not None:  # two threads that ask at once find the same
            self._frames = find()
            self._find = None
        return self._frames

    @property
    def headers(self) -> tuple[Header, ...]:
        """The headers of its files."""
        return tuple({id(frame.header): frame.header for frame in self.frames}.values())

    def phase(self, number: int) -> tuple[Frame, ...]:
        """The images of one volume, in slice order."""
        count = len(self.frames) // max(1, len(self.facts.phases))
        return self.frames[number * count : (number + 1) * count]


def group(headers: Iterable[Header], progress: Progress | None = None) -> tuple[DicomSeries, ...]:
    """Sort headers into series, order each and judge it. The order in which the headers come does not matter.

    A DICOM series that holds several stacks of slices becomes several series: the largest keeps the UID.

    Raises:
        Cancelled: The progress says so.
    """
    progress = progress or NoProgress()
    together: dict[tuple[str, str], list[Header]] = {}
    for header in headers:
        together.setdefault((header.study.uid, header.series_uid), []).append(header)
    return tuple(one for members in together.values() for one in _judged(sorted(members, key=_by_number), progress))


def unjudged(headers: Collection[Header]) -> Series:
    """What can be said of a series while its files are still being found, without looking at each of them again."""
    first = next(iter(headers))
    kind = SeriesKind.VOLUME
    if first.sop_class_uid in MASKS:
        kind = SeriesKind.MASK
    elif documents.kind_of(first.sop_class_uid) is not None:
        kind = SeriesKind.DOCUMENT
    return Series(
        uid=first.series_uid,
        study=first.study,
        modality=Modality.of(first.modality),
        description=first.series_description,
        number=first.series_number,
        body_part=first.body_part,
        files=tuple(header.path for header in headers),
        slices=sum(header.frames for header in headers),
        geometry=None,
        acquisition=first.facts,
        kind=kind,
    )


def _judged(members: list[Header], progress: Progress) -> list[DicomSeries]:
    """As `_series`; numbers that no scanner writes may contradict each other in ways that nobody has thought of."""
    try:
        return _series(members, progress)
    except Cancelled:
        raise
    except Exception:
        _log.exception("Series %s", members[0].series_uid)
        text = Text("What its files say of themselves contradicts itself: it cannot be laid out.")
        frames = [first_frame(header) for header in members]
        return [_made(frames, Layout(None, (_refused(CONTRADICTORY, text),)), ())]


def _by_number(header: Header) -> tuple[bool, int, str]:
    return header.instance_number is None, header.instance_number or 0, str(header.path)


def _series(members: list[Header], progress: Progress) -> list[DicomSeries]:
    """What came under one UID: images first, then masks, documents, and what is none of these."""
    progress.raise_if_cancelled()
    unique, remarks = _without_copies(members)
    unusable = [(header, refusal) for header in unique if (refusal := _refusal(header)) is not None]
    refused = {id(header) for header, _ in unusable}
    masks = [one for one in unique if one.sop_class_uid in MASKS]
    words = [one for one in unique if documents.kind_of(one.sop_class_uid) is not None]
    aside = refused | {id(one) for one in (*masks, *words)}
    progress.raise_if_cancelled()
    parts = _images([one for one in unique if id(one) not in aside], progress)
    parts += [_object(header, Remark(Severity.NOTE, "masks", _MASKS_TEXT), SeriesKind.MASK) for header in masks]
    for header in words:
        text = Text.of("This is {thing}: choose it to read it.", thing=documents.kind_of(header.sop_class_uid))
        parts.append(_object(header, Remark(Severity.NOTE, "document", text), SeriesKind.DOCUMENT))
    reasons: dict[Remark, list[Frame]] = {}
    for header, refusal in unusable:
        reasons.setdefault(refusal, []).append(first_frame(header))
    parts += [(frames, (), Layout(None, (reason,)), SeriesKind.VOLUME) for reason, frames in reasons.items()]
    return [
        _made(of_part, layout, [*remarks, *_part_remarks(parts, number)], names=names, number=number, kind=kind)
        for number, (of_part, names, layout, kind) in enumerate(parts)
    ]


def _images(headers: Sequence[Header], progress: Progress) -> list[_Part]:
    """Volumes and pictures."""
    frames: list[Frame] = []
    for number, header in enumerate(headers):
        if number % _ASK_EVERY == 0:
            progress.raise_if_cancelled()
        frames.extend(frames_of(header))
    placed = [frame for frame in frames if _is_placed(frame)]
    loose = [frame for frame in frames if not _is_placed(frame)]
    doubt = next((doubt for frame in placed if (doubt := _doubt(frame)) is not None), None)
    progress.raise_if_cancelled()
    parts: list[_Part] = []
    if doubt is not None:
        parts += _pictures(placed, len(frames), [doubt])
    elif placed:
        stacks = stack_split.split(placed)
        progress.raise_if_cancelled()
        if len(stacks) > _MOST_STACKS and len(stacks) > len(placed) / _LEAST_IN_A_STACK:
            turning = Remark(Severity.NOTE, "mixed-orientations", _orientations_text(stacks))
            parts += _pictures(placed, len(frames), [turning])
        else:
            parts += [part for stack in stacks for part in _volumes(stack)]
    return parts + _pictures(loose, len(frames), [])


def _object(header: Header, remark: Remark, kind: SeriesKind) -> _Part:
    """One object that is no image; several of them often come as one series."""
    return [first_frame(header)], (), Layout(None, (remark,)), kind


def _is_placed(frame: Frame) -> bool:
    """Whether an image is a slice: values at a place in the patient."""
    return len(frame.position) == 3 and len(frame.orientation) == 6 and not is_color(frame.header)


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
        return [(frames, (), layout, SeriesKind.VOLUME)]
    together = [frame for phase in separation.phases for frame in phase]
    layout = replace(layout, remarks=(*layout.remarks, *separation.remarks))
    return [(together, separation.names, layout, SeriesKind.VOLUME)]


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


def _of_values(frames: Sequence[Frame]) -> list[Remark]:
    """What is to be said of values that were computed, of places outside of the patient, and of values of PET."""
    if frames[0].header.sop_class_uid == PARAMETRIC_MAP:
        text = Text("It is a parametric map: its values were computed from other images.")
        return [Remark(Severity.NOTE, "parametric-map", text)]
    if frames[0].header.sop_class_uid == _ULTRASOUND_VOLUME:
        text = Text("It lies in the space of its transducer: the letters of the directions are not the patient's.")
        return [Remark(Severity.WARNING, "transducer-space", text)]
    lacks = next((frame.header.suv.lacks for frame in frames if frame.header.suv.lacks is not None), None)
    if lacks is None:
        return []
    text = Text.of("Its values are no uptake values (SUV): it lacks {what}.", what=lacks)
    return [Remark(Severity.NOTE, "no-suv", text)]


def _part_remarks(parts: Sequence[_Part], number: int) -> list[Remark]:
    images = [part for part in parts if part[3] in (SeriesKind.VOLUME, SeriesKind.PICTURES)]
    if len(images) < 2 or parts[number][3] in (SeriesKind.MASK, SeriesKind.DOCUMENT):
        return []
    if number:
        text = Text.of("It came under the same series UID as {n} other images.", n=len(parts[0][0]))
    else:
        text = Text.of(
            "Images of another place, direction, size or acquisition came under the same series UID: {n}. They are "
            "listed as series of their own.",
            n=sum(len(part[0]) for part in images[1:]),
        )
    return [Remark(Severity.NOTE, "split", text)]


def _made(
    frames: Sequence[Frame],
    layout: Layout,
    remarks: Sequence[Remark],
    *,
    names: tuple[Text, ...] = (),
    number: int = 0,
    kind: SeriesKind = SeriesKind.VOLUME,
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
        remarks=(*layout.remarks, *remarks, *_of_values(frames)),
        acquisition=frames[len(frames) // 2].header.facts,
        phases=names,
        kind=kind,
        frame_ms=first.scale.frame_ms,
    )
    return DicomSeries(facts, frames, layout.caution)


def _without_copies(members: list[Header]) -> tuple[list[Header], list[Remark]]:
    """One header of every instance: the same image often lies in a folder twice."""
    unique = {(one.sop_instance_uid or str(one.path), one.position, one.instance_number): one for one in members[::-1]}
    copies = len(members) - len(unique)
    if not copies:
        return members, []
    kept = sorted(unique.values(), key=_by_number)
    text = Text.of("Copies of other files were left out: {n}.", n=copies)
    return kept, [Remark(Severity.NOTE, "copies", text)]


def _refusal(header: Header) -> Remark | None:
    """Why a file is nothing that can be shown; None when it is an image, or masks, or words."""
    if header.sop_class_uid in MASKS or documents.kind_of(header.sop_class_uid) is not None:
        return None
    thing = _object_name(header.sop_class_uid)
    if thing is not None:
        return _refused(
            "no-image", Text.of("This is {thing}, not an image series; MedView lists it only.", thing=thing)
        )
    if header.pixels is None:
        return _refused("no-pixels", Text.of("It holds no image ({kind}).", kind=header.sop_class_name))
    return next((_refused(code, text) for code, applies, text in _KINDS if applies(header)), None)


_Kind = tuple[str, Callable[[Header], bool], Text]
_KINDS: tuple[_Kind, ...] = (
    (
        "mosaic",
        lambda one: ("MOSAIC" in one.image_type or one.mosaic_images > 1) and not one.frame_facts,
        Text("Each of its images is a Siemens mosaic of many slices, and does not say how it was put together."),
    ),
    (
        "pixel-depth",
        lambda one: (
            one.bits_allocated not in (_FLOAT_DEPTHS if is_float(one) else _DEPTHS)
            or (not is_float(one) and not 1 <= one.bits_stored <= 32)
        ),
        Text("Its pixels have a depth that MedView cannot read (1, 8, 16 and 32 bits can be read)."),
    ),
)
"""What one image can be that is refused: code, test, sentence."""


def _pictures(frames: list[Frame], all_frames: int, doubts: Sequence[Remark]) -> list[_Part]:
    """Frames that are shown one by one: they have no place in the patient, or colours in place of values."""
    if not frames:
        return []
    remarks = [*doubts]
    first = frames[0].header
    if not doubts and first.modality in _SECTIONS and not is_color(first):
        text = Text.of(
            "{n} of its {all} images do not say where they lie in the patient: they are shown as single pictures.",
            n=len(frames),
            all=all_frames,
        )
        remarks = [Remark(Severity.WARNING, "no-position", text, frozenset(Use) - {Use.EXPORT})]
    return [
        (members, (), replace(layout, remarks=(*remarks, *layout.remarks)), SeriesKind.PICTURES)
        for members, layout in pictures.lay_out(frames)
    ]


def _doubt(frame: Frame) -> Remark | None:
    """Why an image that says where it lies cannot be laid there."""
    if not _has_right_angle(frame.orientation):
        text = Text("The row and column directions of its images are not at right angles; they are shown as pictures.")
        return Remark(Severity.WARNING, "bad-orientation", text, frozenset(Use) - {Use.EXPORT})
    if len(frame.pixel_spacing) != 2 or min(frame.pixel_spacing) <= 0:
        text = Text("Its images do not say how large their pixels are; they are shown as pictures.")
        return Remark(Severity.WARNING, "no-spacing", text, frozenset(Use) - {Use.EXPORT})
    return None


def _orientations_text(stacks: Sequence[Sequence[Frame]]) -> Text:
    numbers = " + ".join(str(len(stack)) for stack in stacks[:6])
    return Text.of(
        "Its images lie in {n} different directions or sizes ({counts} images).", n=len(stacks), counts=numbers
    )


@lru_cache(maxsize=256)
def _has_right_angle(orientation: tuple[float, ...]) -> bool:
    row, column = np.array(orientation).reshape(2, 3)
    lengths = np.array([np.linalg.norm(row), np.linalg.norm(column)])
    return bool(np.abs(lengths - 1).max() <= _COSINE_TOLERANCE and abs(row @ column) <= _COSINE_TOLERANCE)


@lru_cache(maxsize=256)
def _object_name(uid: str) -> Text | None:
    """What objects of a SOP class are that is no image; None for images."""
    if uid in _OBJECTS:
        return _OBJECTS[uid]
    return next((name for start, name in _OBJECT_FAMILIES if uid.startswith(start)), None)


def _refused(code: str, text: Text) -> Remark:
    return Remark(Severity.REFUSED, code, text)
