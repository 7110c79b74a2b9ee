"""De-identifies DICOM files by the Basic Application Level Confidentiality Profile, and looks for what is left.

Names, UIDs and dates are replaced in the same way in every file of a patient: everything follows from a secret and from
what is replaced (`core/pseudonyms.py`), so that studies of one patient stay together, and references stay whole.
"""

from __future__ import annotations

import hashlib
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from pydicom import dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.filereader import read_dataset
from pydicom.filewriter import dcmwrite
from pydicom.tag import BaseTag
from pydicom.uid import PYDICOM_IMPLEMENTATION_UID, UID

from medview.core.case import Patient
from medview.core.errors import Cancelled, StorageError, UnreadableFileError
from medview.core.files import whole_file
from medview.core.progress import NoProgress, Progress
from medview.core.pseudonyms import days_back, new_uid, patient_key, pseudonym
from medview.core.text import Text
from medview.formats import pixel_tail, replacements, safe_private
from medview.formats.attribute_types import Need, needs
from medview.formats.attribute_types import Path as Place
from medview.formats.burned_in import is_document, risk_of
from medview.formats.confidentiality_profile import Action, Options, action_for, is_content, is_graphics
from medview.formats.deidentification_marks import mark
from medview.formats.dicom_text import written_name
from medview.formats.identifying_words import Identity, listed, walk, walk_with_parent

_STANDARD = "1.2.840.10008."
_DEFLATED = "1.2.840.10008.1.2.1.99"
_IMPLICIT, _EXPLICIT, _BIG = f"{_STANDARD}1.2", f"{_STANDARD}1.2.1", f"{_STANDARD}1.2.2"
_DIRECTORY = f"{_STANDARD}1.3.10"
_METHOD = 0x00120063
_MEDIA_INSTANCE = 0x00020003
_PATIENT = frozenset({0x00100010, 0x00100020})
"""Patient's Name and Patient ID."""
_DEFER_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Change:
    """What was done with an attribute; never its value."""

    tag: str
    name: str
    action: Action


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file.

    Attributes:
        source: The file.
        target: Where its copy without names lies; None when there is none.
        reason: Why there is none.
        risk: What a person should look at before it is passed on.
    """

    source: Path
    target: Path | None
    reason: Text | None = None
    risk: Text | None = None


@dataclass
class Deidentifier:
    """Makes copies without names.

    Args:
        secret: Everything that replaces something follows from it.
        options: What is retained.
        changes: How often each attribute was changed in the copies that were written.
    """

    secret: bytes
    options: Options = field(default_factory=Options)
    changes: Counter[Change] = field(default_factory=Counter)

    def copy(self, source: Path, folder: Path, progress: Progress | None = None) -> Outcome:
        """Write a copy of a file without names into a folder, under names that say nothing.

        The pixels are copied byte for byte, compressed or not, in small pieces. The copy is read anew and searched for
        everybody who was named before it gets its name.

        Args:
            source: A DICOM file; it is not touched.
            folder: Gets <patient>/<study>/<series>/<instance>.dcm.
            progress: Asked for cancellation.

        Raises:
            UnreadableFileError: It is no DICOM file, or damaged.
            StorageError: The copy cannot be written.
            Cancelled: The progress says so.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom's, on values that are not as the standard wants them
            dataset, tail, behind = _read(source)
            if is_document(dataset):
                return Outcome(source, None, Text("It is a whole document, which cannot be cleaned."))
            risk = risk_of(dataset, pixels=tail is not None)
            if risk is not None and not self.options.keep_risky:
                return Outcome(source, None, risk, risk)
            identity = Identity.of(dataset, self.options)
            changes = Counter(behind)
            try:
                cleaner = _Cleaner(self.secret, self.options, self._key(dataset), identity, changes)
                cleaner.clean(dataset)
                mark(dataset, self.options, cleaner.kinds)
                place = _place(dataset)
            except Exception as error:  # a damaged file may raise anything
                raise _unreadable(source) from error
            if (folder / place).exists():
                return Outcome(source, None, Text("An object with the same UID was copied already."))
            left: list[str] = []
            try:
                with whole_file(folder / place) as temporary:
                    _write(dataset, temporary)
                    left = _leaks(temporary, identity)
                    if left:
                        raise _Leaking
                    if tail is not None:
                        pixel_tail.append(source, tail, temporary, progress or NoProgress())
            except _Leaking:
                names = ", ".join(sorted(set(left)))
                return Outcome(source, None, Text.of("What identifies somebody is left in {places}.", places=names))
            except (StorageError, Cancelled):
                raise
            except Exception as error:  # what cannot be encoded again was damaged before
                raise _unreadable(source) from error
        self.changes.update(changes)
        return Outcome(source, folder / place, None, risk)

    def _key(self, dataset: Dataset) -> str:
        name = written_name(str(dataset.get("PatientName", "") or ""))
        known = str(dataset.get("PatientID", "") or "").strip() or name
        issuer = str(dataset.get("IssuerOfPatientID", "") or "")
        return patient_key(self.secret, Patient(known, name, issuer=issuer), str(dataset.get("StudyInstanceUID", "")))


class _Cleaner:
    """Does to one data set what the profile wants.

    Attributes:
        kinds: Which trees were cleaned in place: "content", "graphics".
    """

    def __init__(self, secret: bytes, options: Options, key: str, identity: Identity, changes: Counter[Change]) -> None:
        self.kinds: set[str] = set()
        self._secret, self._options, self._identity, self._changes = secret, options, identity, changes
        self._pseudonym = pseudonym(key)
        self._days = days_back(secret, key)

    def clean(self, dataset: Dataset) -> None:
        """Replace, empty, remove and clean, at every depth."""
        if "PatientName" not in dataset:
            dataset.PatientName = ""
        if "PatientID" not in dataset:
            dataset.PatientID = ""
        self._clean(dataset, needs(str(dataset.get("SOPClassUID", ""))), ())

    def _clean(self, dataset: Dataset, wanted: replacements.Needs, place: Place) -> None:
        for element in list(dataset):
            safe = safe_private.safe_name(element, dataset) if self._options.keep_safe_private else None
            if safe is not None:
                self._changes[Change(str(element.tag), safe, self._clean_private(element, dataset))] += 1
                continue
            name = _name(element)
            action = self._change(dataset, element, wanted, place)
            if action is not Action.KEEP:
                self._changes[Change(str(element.tag), name, action)] += 1

    def _change(self, dataset: Dataset, element: DataElement, wanted: replacements.Needs, place: Place) -> Action:
        """Do with one attribute what the profile wants; says what that was."""
        action = self._action(element, wanted.get((place, element.keyword)))
        if element.tag in _PATIENT:
            element.value, action = self._pseudonym, Action.REPLACE
        elif action is Action.REMOVE:
            del dataset[element.tag]
        elif element.is_empty:
            action = Action.KEEP
        elif action is Action.EMPTY:
            element.clear()
        elif action is Action.REPLACE and element.VR != "UI":
            replacements.replace(element)
        elif element.VR == "UI":
            action = self._change_uids(element, wanted=action is not Action.KEEP)
        elif element.VR == "SQ":
            self._clean_items(element, wanted, place)
            action = Action.KEEP  # what was done is told of what is in it
        elif element.VR in ("DA", "DT") and action is Action.CLEAN:
            replacements.shift(element, self._days)
        else:
            action = Action.CLEAN if self._clean_text(element, dataset) else Action.KEEP
        return action

    def _clean_private(self, element: DataElement, parent: Dataset) -> Action:
        """Take out of a private attribute that stays what does not."""
        if safe_private.clean(element, parent):
            return Action.CLEAN
        return Action.CLEAN if self._clean_text(element, parent) else Action.KEEP

    def _change_uids(self, element: DataElement, *, wanted: bool) -> Action:
        """Give an attribute other UIDs when they shall change, or are those of the study wherever they stand."""
        old = [str(one) for one in listed(element.value)]
        new = [new_uid(self._secret, one) for one in old]
        if old == new or not (wanted or not self._identity.uids.isdisjoint(old)):
            return Action.KEEP
        element.value = [UID(one) for one in new] if len(new) > 1 else UID(new[0])
        return Action.NEW_UID

    def _clean_items(self, element: DataElement, wanted: replacements.Needs, place: Place) -> None:
        if is_content(element.tag):
            self.kinds.add("content")
        if is_graphics(element.tag):
            self.kinds.add("graphics")
        for item in element.value:
            self._clean(item, wanted, (*place, element.keyword))

    def _clean_text(self, element: DataElement, parent: Dataset) -> bool:
        return replacements.cap_age(element) if element.VR == "AS" else self._identity.clean(element, parent)

    def _action(self, element: DataElement, need: Need | None) -> Action:
        """What the profile wants, or what comes next to it when the object would not be valid without the attribute."""
        action = action_for(element.tag, element.VR, self._options)
        if action is Action.REMOVE and need is not None and element.VR != "SQ":
            return Action.REPLACE if need is Need.VALUE else Action.EMPTY
        if action is Action.REMOVE and need is Need.PRESENCE:
            return Action.EMPTY
        if action is Action.EMPTY and need is Need.VALUE and element.VR != "SQ":
            return Action.REPLACE
        return action


class _Leaking(Exception):  # noqa: N818 - it never leaves this module
    """Ends the writing of a copy in which something is left."""


def _leaks(path: Path, identity: Identity) -> list[str]:
    """Where a copy without its pixels still names somebody: the names of the attributes, or "raw bytes"."""
    dataset = dcmread(path)
    found = [
        _name(element)
        for element, parent in ((dataset.file_meta[_MEDIA_INSTANCE], dataset.file_meta), *walk_with_parent(dataset))
        if element.tag != _METHOD and identity.is_in(element, parent)
    ]
    return found or (["raw bytes"] if identity.is_in_bytes(path.read_bytes()) else [])


def _read(source: Path) -> tuple[FileDataset, pixel_tail.Tail | None, Counter[Change]]:
    """A file without its pixels, where these are, and what lies behind them."""
    try:
        with source.open("rb") as file:
            dataset = dcmread(file, force=True, stop_before_pixels=True)
            meta = dataset.file_meta
            if str(meta.get("MediaStorageSOPClassUID", "")) == _DIRECTORY:
                raise UnreadableFileError(
                    Text("It is a directory of other files (DICOMDIR), which a copy has no use for.")
                )
            if str(meta.get("TransferSyntaxUID", "")) == _DEFLATED:
                dataset = dcmread(source, force=True)
                tail, behind = None, Counter[Change]()
            else:
                tail, behind = _pixels(file, dataset)
        for element in walk(dataset):
            _ = element.value
        known = bool(dataset.get("SOPClassUID")) and bool(dataset.get("SOPInstanceUID"))
    except UnreadableFileError:
        raise
    except OSError as error:
        raise UnreadableFileError(Text("The file cannot be read.")) from error
    except Exception as error:  # a damaged file may raise anything
        raise _unreadable(source) from error
    if not known:
        raise UnreadableFileError(Text("It is no DICOM file, or does not say what it is."))
    return dataset, tail, behind


def _pixels(file: BinaryIO, dataset: FileDataset) -> tuple[pixel_tail.Tail | None, Counter[Change]]:
    implicit, little = dataset.original_encoding
    tail = pixel_tail.find(file, implicit=bool(implicit), little=little is not False)
    behind: Counter[Change] = Counter()
    if tail is not None:
        file.seek(tail.stop)
        rest = read_dataset(file, bool(implicit), little is not False, defer_size=_DEFER_BYTES)
        # signatures, padding and private attributes: none of them is copied
        behind.update(
            Change(str(tag), "private attribute" if tag.is_private else str(tag), Action.REMOVE) for tag in rest
        )
    return tail, behind


def _write(dataset: FileDataset, path: Path) -> None:
    """Everything but the pixels, with a new file meta and an empty preamble."""
    syntax = str(dataset.file_meta.get("TransferSyntaxUID", ""))
    implicit, little = dataset.original_encoding
    if syntax in ("", _IMPLICIT, _EXPLICIT, _BIG):
        # what the file is, whatever it says it is
        syntax = _IMPLICIT if implicit else _EXPLICIT if little is not False else _BIG
    elif implicit:
        raise ValueError("compressed files have explicit value representations")
    kept = type(dataset.file_meta)()
    kept.MediaStorageSOPClassUID, kept.MediaStorageSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    kept.TransferSyntaxUID = UID(syntax)
    dataset.file_meta = kept
    dataset.preamble = b"\0" * 128
    try:
        dcmwrite(path, dataset, enforce_file_format=True)
    except ValueError:
        # a transfer syntax that is younger than pydicom; all such are explicit and little endian
        kept.FileMetaInformationGroupLength = 0  # pydicom counts
        kept.FileMetaInformationVersion, kept.ImplementationClassUID = b"\x00\x01", PYDICOM_IMPLEMENTATION_UID
        dcmwrite(path, dataset, implicit_vr=False, little_endian=True, force_encoding=True)


def _place(dataset: Dataset) -> Path:
    names = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    parts = [hashlib.sha256(str(dataset.get(name, "")).encode()).hexdigest()[:12] for name in names]
    return Path(str(dataset.PatientID)) / parts[0] / parts[1] / f"{parts[2]}.dcm"


def _unreadable(source: Path) -> UnreadableFileError:
    return UnreadableFileError(Text("The file is damaged, and cannot be cleaned with certainty."))


def _name(element: DataElement) -> str:
    return "private attribute" if BaseTag(element.tag).is_private else element.name
