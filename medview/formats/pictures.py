"""Pictures without a place in the patient: radiographs, ultrasound, cines, photographs, screens.

They follow each other along k, and only the plane of the picture means something. How large a pixel is, is told in many
ways; where it is not, lengths would be guesses, and this is said.
"""

from __future__ import annotations

from collections.abc import Sequence

from medview.core.case import Remark, Severity, Use
from medview.core.geometry import Geometry
from medview.core.text import Text
from medview.formats.dicom_frames import Frame
from medview.formats.dicom_pixels import is_color
from medview.formats.picture_scale import PictureScale
from medview.formats.slice_stack import Layout

_MOST_BYTES = 4 * 2**30
"""The largest stack of pictures that is opened at once."""
_NO_LENGTHS = frozenset({Use.MEASURE, Use.VOLUME, Use.ANALYSE})
_NO_VOLUME = frozenset({Use.VOLUME})


def lay_out(frames: Sequence[Frame]) -> list[tuple[list[Frame], Layout]]:
    """Pictures of one size and kind each, in the order of their numbers, and the grid that they are shown on."""
    alike: dict[tuple[int, int, bool], list[Frame]] = {}
    for frame in sorted(frames, key=_by_number):
        alike.setdefault((frame.rows, frame.columns, is_color(frame.header)), []).append(frame)
    parts = sorted(alike.values(), key=lambda part: len(part) * part[0].rows * part[0].columns, reverse=True)
    return [(part, _layout(part)) for part in parts]


def _layout(frames: Sequence[Frame]) -> Layout:
    first = frames[0]
    bytes_a_pixel = 4 if is_color(first.header) else 2
    if len(frames) * first.rows * first.columns * bytes_a_pixel > _MOST_BYTES:
        text = Text.of("Its {n} pictures are too many to be opened at once.", n=len(frames))
        return Layout(None, (Remark(Severity.REFUSED, "too-large", text),))
    scales = {frame.header.scale for frame in frames}
    scale = scales.pop() if len(scales) == 1 else PictureScale()
    down_mm, across_mm = scale.spacing if len(scale.spacing) == 2 else (1.0, 1.0)
    geometry = Geometry.from_parts((len(frames), first.rows, first.columns), (1.0, down_mm, across_mm))
    if not scale.spacing:
        text = Text("It does not say how large its pixels are: lengths cannot be measured.")
        return Layout(geometry, (Remark(Severity.NOTE, "no-scale", text, _NO_LENGTHS),), Text("no scale"))
    if scale.at_detector:
        text = Text("Its lengths are those on the detector; in the patient they are shorter.")
        return Layout(geometry, (Remark(Severity.NOTE, "detector-scale", text, _NO_LENGTHS),), Text("on the detector"))
    text = Text("Its pictures have no place in the patient: there is nothing to see across them.")
    return Layout(geometry, (Remark(Severity.NOTE, "pictures", text, _NO_VOLUME),))


def _by_number(frame: Frame) -> tuple[bool, int, str, int]:
    number = frame.header.instance_number
    return number is None, number or 0, str(frame.header.path), frame.index
