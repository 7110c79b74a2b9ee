"""What a DICOM file says about itself, as far as reading images needs it; the pixels stay on disk."""

from __future__ import annotations

import re
import struct
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

from pydicom.charset import convert_encodings, decode_bytes
from pydicom.datadict import tag_for_keyword
from pydicom.uid import UID

from medview.core.case import Patient, Study
from medview.core.volume import Window
from medview.formats import functional_groups, mosaic, picture_scale, suv
from medview.formats.dicom_text import iso_date, iso_time, written_name
from medview.formats.frame_facts import FrameFacts
from medview.formats.picture_scale import PictureScale
from medview.formats.raw_elements import PixelPlace, RawElements, read_elements
from medview.formats.separators import Separators
from medview.formats.suv import SuvScale

_STUDY_TEXTS = (
    *("PatientName", "PatientID", "IssuerOfPatientID"),
    *("StudyDescription", "InstitutionName", "AccessionNumber"),
)
_STUDY_CODES = ("PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyInstanceUID")
_FACTS = (
    ("View", "ViewPosition"),
    ("kV", "KVP"),
    ("mA", "XRayTubeCurrent"),
    ("mAs", "Exposure"),
    ("Kernel", "ConvolutionKernel"),
    ("TR", "RepetitionTime"),
    ("TE", "EchoTime"),
    ("TI", "InversionTime"),
    ("FA", "FlipAngle"),
    ("T", "MagneticFieldStrength"),
    ("Thickness", "SliceThickness"),
    ("Contrast", "ContrastBolusAgent"),
    ("Scanner", "ManufacturerModelName"),
)
_OTHERS = (
    *("ImageType", "SOPClassUID", "SOPInstanceUID", "Modality", "SeriesDescription", "BodyPartExamined"),
    *("SeriesInstanceUID", "SeriesNumber", "InstanceNumber", "FrameOfReferenceUID", "SpecificCharacterSet"),
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SpacingBetweenSlices"),
    *("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue"),
    *("RescaleIntercept", "RescaleSlope", "RescaleType", "ModalityLUTSequence", "Units"),
    *("WindowCenter", "WindowWidth"),
    *("DiffusionBValue", "DiffusionGradientOrientation", "TriggerTime", "TemporalPositionIdentifier"),
    *("AcquisitionNumber", "AcquisitionTime", "ContentTime", "Manufacturer"),
)
_MOSAIC_COUNT = 0x0019100A
"""Siemens' private number of images in a mosaic."""
_B_VALUES = {"SIEMENS": 0x0019100C, "PHILIPS": 0x20011003, "GE": 0x00431039}
_DIRECTIONS = {
    "SIEMENS": (0x0019100E,),
    "PHILIPS": (0x200510B0, 0x200510B1, 0x200510B2),
    "GE": (0x001910BB, 0x001910BC, 0x001910BD),
}
"""Where makers wrote b-values and gradient directions before DICOM had a place for them (dcm2niix, dcm_qa series)."""
_GE_B_VALUE_OFFSET = 1_000_000_000
"""GE adds it to b-values of some sequences."""


def _tag(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(keyword)
    return tag


_TAGS = {name: _tag(name) for name in (*_STUDY_TEXTS, *_STUDY_CODES, *(tag for _, tag in _FACTS), *_OTHERS)}
_PRIVATE = (_MOSAIC_COUNT, *_B_VALUES.values(), *(tag for tags in _DIRECTIONS.values() for tag in tags))
WANTED = frozenset((*_TAGS.values(), *_PRIVATE))
_NO_SCALE, _NO_SUV = PictureScale(), SuvScale()
_ENHANCED = frozenset(
    f"1.2.840.10008.5.1.4.1.1.{end}"
    for end in ("2.1", "2.2", "4.1", "4.3", "4.4", "6.2", "128.1", "130", "12.1.1", "12.2.1", "13.1.1", "13.1.2", "30")
)
"""Multi-frame objects with functional groups: CT, MR, ultrasound volume, PET, angiography, their legacy twins, maps."""
_NAME_DELIMITERS = {ord("^")}
_TEXT_DELIMITERS = {ord(letter) for letter in "\t\n\f\r\\"}
"""After these, an ISO 2022 text is back in its first character set."""
_ESCAPE = re.compile(r"\x1b\$?[()\-]?[0-9A-Z]")
"""What is left of ISO 2022 when a file uses it under the name of another character set."""


@dataclass(frozen=True, slots=True)
class Header:
    """One DICOM file without its pixels. Attributes that are missing are empty, None or DICOM's defaults."""

    path: Path
    study: Study
    series_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax: str
    modality: str
    series_description: str
    series_number: int | None
    instance_number: int | None
    body_part: str
    image_type: tuple[str, ...]
    frame_of_reference_uid: str | None
    position: tuple[float, ...]
    orientation: tuple[float, ...]
    pixel_spacing: tuple[float, ...]
    spacing_between_slices: float | None
    slice_thickness: float | None
    rows: int
    columns: int
    frames: int
    samples_per_pixel: int
    photometric: str
    bits_allocated: int
    bits_stored: int
    high_bit: int
    is_signed: bool
    padding: int | None
    has_rescale: bool
    slope: float
    intercept: float
    rescale_type: str
    has_modality_lut: bool
    units: str
    windows: tuple[Window, ...]
    mosaic_images: int
    separators: Separators
    frame_facts: tuple[FrameFacts, ...]
    scale: PictureScale
    suv: SuvScale
    pixels: PixelPlace | None
    facts: tuple[tuple[str, str], ...]

    @property
    def sop_class_name(self) -> str:
        """The kind of object in DICOM's words, as "CT Image Storage"."""
        return UID(self.sop_class_uid).name

    @property
    def bytes_needed(self) -> int:
        """Size of uncompressed pixels."""
        return -(-self.rows * self.columns * self.samples_per_pixel * self.frames * self.bits_allocated // 8)


def quiet_pydicom() -> None:
    """Keep pydicom's warnings on odd files off the terminal: what matters is said as remarks and rejects.

    The filter stays, because lifting it again would race with the other threads that read.
    """
    warnings.filterwarnings("ignore", module=r"pydicom\b")


@dataclass
class HeaderReader:
    """Reads headers; remembers what it has decoded, because the files of a series repeat each other."""

    _texts: dict[tuple[bytes, bytes, bool], str] = field(default_factory=dict)
    _numbers: dict[bytes, tuple[float, ...]] = field(default_factory=dict)
    _studies: dict[tuple[Any, ...], Study] = field(default_factory=dict)
    _facts: dict[tuple[Any, ...], tuple[tuple[str, str], ...]] = field(default_factory=dict)

    def read(self, file: BinaryIO, path: Path, *, has_preamble: bool) -> Header:
        """Read one file up to its pixels.

        Args:
            file: The file, open.
            path: Its path.
            has_preamble: Whether it starts with DICOM's 128 bytes and "DICM".

        Raises:
            Exception: Whatever pydicom raises on a damaged file.
        """
        elements = read_elements(file, WANTED, has_preamble=has_preamble)
        values = _Values(elements, self._texts, self._numbers)
        study = self._study(values, path)
        place = (values.number("Rows") and values.number("Columns") and elements.pixels) or None
        allocated = values.number("BitsAllocated") or 0
        stored = values.number("BitsStored") or allocated
        slope, intercept = values.decimals("RescaleSlope"), values.decimals("RescaleIntercept")
        high = values.number("HighBit")
        signed = values.number("PixelRepresentation") == 1
        frames = max(1, values.whole("NumberOfFrames") or 1)
        image_type = _image_type(values)
        tiles = values.raw(_MOSAIC_COUNT)
        count = struct.unpack("<H", tiles)[0] if len(tiles) == 2 else 0
        windows = _windows(values.decimals("WindowCenter"), values.decimals("WindowWidth"))
        separators = _separators(values)
        frame_facts: tuple[FrameFacts, ...] = ()
        if frames > 1 or values.code("SOPClassUID") in _ENHANCED:
            frame_facts = functional_groups.read(file)[:frames]
        elif "MOSAIC" in image_type or count > 1:
            rescale = (_first(slope) or 1.0, _first(intercept) or 0.0, values.code("RescaleType").upper())
            frame_facts = mosaic.read(file, rescale, windows, separators)
        placed = any(one.position for one in frame_facts) or (frames == 1 and values.has("ImagePositionPatient"))
        scale = _NO_SCALE if placed or place is None else picture_scale.read_scale(file)
        return Header(
            path=path,
            study=study,
            series_uid=values.code("SeriesInstanceUID") or f"no-series-uid:{path.parent}",
            sop_class_uid=values.code("SOPClassUID"),
            sop_instance_uid=values.code("SOPInstanceUID"),
            transfer_syntax=elements.syntax,
            modality=values.code("Modality").upper(),
            series_description=values.text("SeriesDescription"),
            series_number=values.whole("SeriesNumber"),
            instance_number=values.whole("InstanceNumber"),
            body_part=values.code("BodyPartExamined").upper(),
            image_type=image_type,
            frame_of_reference_uid=values.code("FrameOfReferenceUID") or None,
            position=values.decimals("ImagePositionPatient"),
            orientation=values.decimals("ImageOrientationPatient"),
            pixel_spacing=values.decimals("PixelSpacing"),
            spacing_between_slices=_first(values.decimals("SpacingBetweenSlices")),
            slice_thickness=_first(values.decimals("SliceThickness")),
            rows=values.number("Rows") or 0,
            columns=values.number("Columns") or 0,
            frames=frames,
            samples_per_pixel=values.number("SamplesPerPixel") or 1,
            photometric=values.code("PhotometricInterpretation").upper(),
            bits_allocated=allocated,
            bits_stored=stored,
            high_bit=stored - 1 if high is None else high,
            is_signed=signed,
            padding=values.number("PixelPaddingValue", signed=signed),
            has_rescale=bool(slope or intercept),
            slope=_first(slope) or 1.0,
            intercept=_first(intercept) or 0.0,
            rescale_type=values.code("RescaleType").upper(),
            has_modality_lut=values.has("ModalityLUTSequence"),
            units=values.code("Units").upper(),
            windows=windows,
            mosaic_images=count,
            separators=separators,
            frame_facts=frame_facts,
            scale=scale,
            suv=suv.read_scale(file) if values.code("Modality").upper() == "PT" and place is not None else _NO_SUV,
            pixels=place,
            facts=self._facts_of(values),
        )

    def _study(self, values: _Values, path: Path) -> Study:
        raw = tuple(values.raw(_TAGS[name]) for name in (*_STUDY_TEXTS, *_STUDY_CODES))
        key = (values.charset, raw, None if values.code("StudyInstanceUID") else path.parent)
        study = self._studies.get(key)
        if study is None:
            name = written_name(values.text("PatientName"))
            patient = Patient(
                values.text("PatientID") or name,
                name,
                iso_date(values.code("PatientBirthDate")),
                values.code("PatientSex").upper(),
                values.text("IssuerOfPatientID"),
            )
            study = Study(
                values.code("StudyInstanceUID") or f"no-study-uid:{path.parent}",
                patient,
                iso_date(values.code("StudyDate")),
                iso_time(values.code("StudyTime")),
                values.text("StudyDescription"),
                values.text("InstitutionName"),
                values.text("AccessionNumber"),
            )
            self._studies[key] = study
        return study

    def _facts_of(self, values: _Values) -> tuple[tuple[str, str], ...]:
        key = (values.charset, *(values.raw(_TAGS[keyword]) for _, keyword in _FACTS))
        facts = self._facts.get(key)
        if facts is None:
            pairs = ((name, _plain_number(values.text(keyword))) for name, keyword in _FACTS)
            facts = self._facts[key] = tuple((name, value) for name, value in pairs if value)
        return facts


class _Values:
    """Plain values out of a data set; decodes the bytes itself, which is many times faster than pydicom's elements."""

    def __init__(
        self,
        elements: RawElements,
        texts: dict[tuple[bytes, bytes, bool], str],
        numbers: dict[bytes, tuple[float, ...]],
    ) -> None:
        self._values = elements.values
        self._texts = texts
        self._numbers = numbers
        self._order: Literal["little", "big"] = "little" if elements.little else "big"
        self.charset = self.raw(_TAGS["SpecificCharacterSet"])

    def has(self, keyword: str) -> bool:
        return _TAGS[keyword] in self._values

    def raw(self, tag: int) -> bytes:
        return self._values.get(tag, b"")

    def code(self, keyword: str) -> str:
        """Values of the default character set: codes, UIDs, dates, numbers as text."""
        return self.raw(_TAGS[keyword]).decode("latin-1").strip("\0 ")

    def text(self, keyword: str) -> str:
        """Names and descriptions, in whatever character set the file says."""
        raw = self.raw(_TAGS[keyword])
        is_name = keyword == "PatientName"
        key = (self.charset, raw, is_name)
        text = self._texts.get(key)
        if text is None:
            text = self._texts[key] = _decoded(raw, self.charset, is_name=is_name)
        return text

    def number(self, keyword: str, *, signed: bool = False) -> int | None:
        """A binary 16-bit number."""
        tag = _TAGS[keyword]
        raw = self.raw(tag)
        if len(raw) < 2:
            return None
        return int.from_bytes(raw[:2], self._order, signed=signed)

    def whole(self, keyword: str) -> int | None:
        """An integer written as text."""
        value = _first(self.decimals(keyword))
        return None if value is None else int(value)

    def seconds(self, keyword: str) -> float | None:
        """A time of day."""
        text = self.code(keyword).partition("\\")[0]
        whole, _, fraction = text.replace(":", "").partition(".")
        if not (whole.isdigit() and len(whole) in (2, 4, 6) and (fraction or "0").isdigit()):
            return None
        hours, minutes, seconds = (int(whole[place : place + 2] or 0) for place in (0, 2, 4))
        return 3600.0 * hours + 60.0 * minutes + seconds + float(f"0.{fraction or 0}")

    def floats(self, tag: int, count: int = 1) -> tuple[float, ...]:
        """Numbers in binary or as text, as makers write them; none unless there are `count`."""
        raw = self.raw(tag)
        for kind, size in (("d", 8), ("f", 4)):
            if len(raw) == count * size:
                order = "<" if self._order == "little" else ">"
                numbers: tuple[float, ...] = struct.unpack(f"{order}{count}{kind}", raw)
                if not _is_written(raw) and all(_is_plausible(one) for one in numbers):
                    return numbers
        return self._as_decimals(raw)[:count]

    def decimals(self, keyword: str) -> tuple[float, ...]:
        """Numbers written as text; none when one of them is not a number."""
        return self._as_decimals(self._values.get(_TAGS[keyword], b""))

    def _as_decimals(self, raw: bytes) -> tuple[float, ...]:
        numbers = self._numbers.get(raw)
        if numbers is None:
            numbers = self._numbers[raw] = _decimals(raw)
        return numbers


def _decimals(raw: bytes) -> tuple[float, ...]:
    if not raw.strip(b"\0 "):
        return ()
    try:
        numbers = tuple(float(part.strip(b"\0 ")) for part in raw.split(b"\\"))
    except ValueError:
        return ()
    return numbers if all(abs(number) < 1e30 for number in numbers) else ()


def _decoded(raw: bytes, charset: bytes, *, is_name: bool) -> str:
    """Text in the file's character sets; what they cannot decode is read as Latin-1. Never raises."""
    names = [part.strip() for part in charset.decode("latin-1").split("\\")]
    try:
        encodings = convert_encodings(names if charset else "ISO_IR 6")
        if is_name:
            text = "=".join(decode_bytes(group, encodings, _NAME_DELIMITERS).strip("\0 ") for group in raw.split(b"="))
        else:
            text = decode_bytes(raw, encodings, _TEXT_DELIMITERS)
    except (LookupError, UnicodeError):
        text = raw.decode("latin-1")
    return _ESCAPE.sub("", text).strip("\0 ")


def _separators(values: _Values) -> Separators:
    maker = next((name for name in _B_VALUES if values.code("Manufacturer").upper().startswith(name)), "")
    b_value = _first(values.floats(_TAGS["DiffusionBValue"]))
    direction = values.floats(_TAGS["DiffusionGradientOrientation"], 3)
    if b_value is None and maker:
        b_value = _first(values.floats(_B_VALUES[maker]))
        b_value = b_value % _GE_B_VALUE_OFFSET if b_value is not None and maker == "GE" else b_value
    if len(direction) != 3 and maker:
        tags = _DIRECTIONS[maker]
        parts = [values.floats(tag, 3 // len(tags)) for tag in tags]
        direction = tuple(number for part in parts for number in part)
    time_s = values.seconds("AcquisitionTime")
    return Separators(
        echo_time_ms=_first(values.decimals("EchoTime")),
        b_value=b_value,
        direction=direction if len(direction) == 3 else (),
        trigger_time_ms=_first(values.decimals("TriggerTime")),
        temporal_position=values.whole("TemporalPositionIdentifier"),
        time_s=time_s if time_s is not None else values.seconds("ContentTime"),
        acquisition_number=values.whole("AcquisitionNumber"),
        image_type=_image_type(values),
    )


def _image_type(values: _Values) -> tuple[str, ...]:
    return tuple(part.strip().upper() for part in values.code("ImageType").split("\\"))


def _is_written(raw: bytes) -> bool:
    """Whether bytes are a number in words: four or eight digits have the length of a binary one too."""
    text = raw.strip(b"\0 ")
    return bool(text) and not text.strip(b"0123456789.+-\\ eE")


def _is_plausible(number: float) -> bool:
    return number == 0 or 1e-9 < abs(number) < 1e9


def _windows(centers: tuple[float, ...], widths: tuple[float, ...]) -> tuple[Window, ...]:
    return tuple(
        dict.fromkeys(Window(center, width) for center, width in zip(centers, widths, strict=False) if width > 0)
    )


def _first(numbers: tuple[float, ...]) -> float | None:
    return numbers[0] if numbers else None


def _plain_number(text: str) -> str:
    """As "0120.00" -> "120"; what is no number stays."""
    try:
        return f"{float(text):.6g}"
    except ValueError:
        return text
