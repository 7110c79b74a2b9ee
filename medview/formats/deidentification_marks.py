"""What a copy without names says about itself: PS3.15 E.1.1, in the codes of CID 7050."""

from __future__ import annotations

from collections.abc import Set

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

from medview.formats.confidentiality_profile import EDITION, Options
from medview.formats.identifying_words import listed

_METHOD = f"MedView: Basic Profile of DICOM {EDITION}"
_METHODS = {
    "113100": "Basic Application Confidentiality Profile",
    "113103": "Clean Graphics Option",
    "113104": "Clean Structured Content Option",
    "113105": "Clean Descriptors Option",
    "113107": "Retain Longitudinal Temporal Information Modified Dates Option",
    "113108": "Retain Patient Characteristics Option",
    "113110": "Retain UIDs Option",
    "113111": "Retain Safe Private Option",
}


def codes(options: Options, kinds: Set[str] = frozenset()) -> tuple[tuple[str, str], ...]:
    """The profile and its options as CID 7050 has them: (code, meaning).

    Args:
        options: What was chosen.
        kinds: Which trees were cleaned in place: "content", "graphics".
    """
    used = {
        "113100": True,
        "113103": "graphics" in kinds,
        "113104": "content" in kinds,
        "113105": options.clean_descriptors,
        "113107": options.shift_dates,
        "113108": options.keep_characteristics,
        "113110": options.keep_uids,
        "113111": options.keep_safe_private,
    }
    return tuple((code, _METHODS[code]) for code, wanted in used.items() if wanted)


def mark(dataset: Dataset, options: Options, kinds: Set[str]) -> None:
    """Say in a data set that nobody is named in it any more, and by which rules. What others did before stays told."""
    was_removed = dataset.get("LongitudinalTemporalInformationModified") == "REMOVED"
    dataset.PatientIdentityRemoved = "YES"
    methods = [str(one) for one in listed(dataset.get("DeidentificationMethod"))]
    if _METHOD not in methods:
        methods.append(_METHOD)
    dataset.DeidentificationMethod = methods if len(methods) > 1 else methods[0]
    items = list(dataset.get("DeidentificationMethodCodeSequence") or [])
    known = {str(item.get("CodeValue", "")) for item in items}
    for code, meaning in codes(options, kinds):
        if code not in known:
            item = Dataset()
            item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code, "DCM", meaning
            items.append(item)
    dataset.DeidentificationMethodCodeSequence = Items(items)
    modified = options.shift_dates and not was_removed
    dataset.LongitudinalTemporalInformationModified = "MODIFIED" if modified else "REMOVED"
