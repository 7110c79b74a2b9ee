"""Which DICOM objects may show a name in their pixels, or hold a document that nobody has cleaned."""

from __future__ import annotations

from pydicom.dataset import Dataset

from medview.core.text import Text

_WITH_WRITING = frozenset({"US", "SC", "OT", "XC", "ES", "GM", "OP", "DOC", "IVUS", "SM"})
"""Modalities whose pictures are often taken from a screen, or with a camera."""
_SCREENS = frozenset({"SCREEN SAVE", "SCREENSAVE", "SCREENCAP", "SCREEN", "DOSE", "PROT", "REPORT", "EXAM PROTOCOL"})
_DOCUMENTS = ("1.2.840.10008.5.1.4.1.1.104.",)
_SECONDARY = "1.2.840.10008.5.1.4.1.1.7"
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_OVERLAY_PLACE, _OVERLAY_DATA = 0x0102, 0x3000


def is_document(dataset: Dataset) -> bool:
    """Whether an object is a whole PDF, CDA or other document, in which nothing can be replaced."""
    return str(dataset.get("SOPClassUID", "")).startswith(_DOCUMENTS)


def risk_of(dataset: Dataset, *, pixels: bool) -> Text | None:
    """Why a person should look at a file's picture before it is passed on; None when nothing is known against it.

    Args:
        dataset: The file, with or without its pixels.
        pixels: Whether it has some.
    """
    if not pixels and not any(one in dataset for one in _PIXELS):
        return None
    burned = str(dataset.get("BurnedInAnnotation", "") or "").upper()
    if burned == "YES":
        return Text("It says that names are written into its picture.")
    if _has_drawing_among_pixels(dataset):
        return Text("A drawing is stored in the spare bits of its pixels: names may be written in it.")
    if burned == "NO":
        return None
    kinds = dataset.get("ImageType") or []
    kinds = {str(one).upper() for one in ([kinds] if isinstance(kinds, str) else kinds)}
    uid = str(dataset.get("SOPClassUID", ""))
    if kinds & _SCREENS or uid.startswith(_SECONDARY):
        return Text("It is a picture of a screen or a scanned page: names may be written into it.")
    if str(dataset.get("Modality", "")).upper() in _WITH_WRITING:
        return Text("Pictures of this kind often have names written into them.")
    return None


def _has_drawing_among_pixels(dataset: Dataset) -> bool:
    groups = {element.tag.group for element in dataset if 0x6000 <= element.tag.group < 0x6020}
    return any((group, _OVERLAY_PLACE) in dataset and (group, _OVERLAY_DATA) not in dataset for group in groups)
