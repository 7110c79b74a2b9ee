"""References of a derived object to images that share an instance: frames of a multi-frame file, tiles of a mosaic.

highdicom takes every image for an instance of its own, and of a class with one frame. So each gets a UID and such a
class while the object is made, and afterwards the references say what is true: the instance, its class, and the number
of the frame in it.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import SecondaryCaptureImageStorage, generate_uid

_OWN = tuple(Tag(keyword) for keyword in ("SOPInstanceUID", "SOPClassUID", "ReferencedFrameNumber"))


def apart(headers: Sequence[Dataset]) -> list[Dataset]:
    """The headers, each with a UID of its own; they themselves where every one has that already."""
    if len({str(header.SOPInstanceUID) for header in headers}) == len(headers):
        return list(headers)
    made = []
    for header in headers:
        one = Dataset()
        one.update({tag: element for tag, element in header.items() if tag not in _OWN})
        one.SOPInstanceUID = generate_uid()
        one.SOPClassUID = SecondaryCaptureImageStorage
        made.append(one)
    return made


def put_back(dataset: Dataset, sources: Sequence[Dataset], headers: Sequence[Dataset]) -> None:
    """Make a derived object refer to the instances themselves.

    Args:
        dataset: The object; changed.
        sources: What `apart` made of the headers.
        headers: The headers; `ReferencedFrameNumber` says which frame one is.
    """
    true = {str(one.SOPInstanceUID): header for one, header in zip(sources, headers, strict=True)}
    for group in dataset.get("PerFrameFunctionalGroupsSequence", []):
        for derivation in group.get("DerivationImageSequence", []):
            for item in derivation.SourceImageSequence:
                header = true.get(str(item.ReferencedSOPInstanceUID))
                if header is None:  # frames of several segments share an item, and this one is done
                    continue
                item.ReferencedSOPInstanceUID = header.SOPInstanceUID
                item.ReferencedSOPClassUID = header.SOPClassUID
                if "ReferencedFrameNumber" in header:
                    item.ReferencedFrameNumber = header.ReferencedFrameNumber
    for series in dataset.get("ReferencedSeriesSequence", []):
        instances: dict[str, Dataset] = {}
        for item in series.ReferencedInstanceSequence:
            header = true[str(item.ReferencedSOPInstanceUID)]
            item.ReferencedSOPInstanceUID = header.SOPInstanceUID
            item.ReferencedSOPClassUID = header.SOPClassUID
            instances.setdefault(str(item.ReferencedSOPInstanceUID), item)
        series.ReferencedInstanceSequence = list(instances.values())
