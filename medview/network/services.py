"""What is negotiated with an archive: kinds of objects, and the encodings in which they travel."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydicom import uid as uids
from pynetdicom import build_context, build_role
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import AllStoragePresentationContexts, PresentationContext

from medview.network.records import FoundInstance, Outgoing

ECHO = uids.UID("1.2.840.10008.1.1")
FIND = uids.UID("1.2.840.10008.5.1.4.1.2.2.1")
MOVE = uids.UID("1.2.840.10008.5.1.4.1.2.2.2")
GET = uids.UID("1.2.840.10008.5.1.4.1.2.2.3")
"""Verification, and the three services of the study root."""
MOST_CONTEXTS = 127
"""PS3.8: context numbers are the odd ones from 1 to 255; one is left for the query itself."""
PLAIN = (str(uids.ExplicitVRLittleEndian), str(uids.ImplicitVRLittleEndian))
COMPRESSED = tuple(
    str(one)
    for one in (
        uids.JPEGLosslessSV1,
        uids.JPEGLossless,
        uids.JPEGBaseline8Bit,
        uids.JPEGExtended12Bit,
        uids.JPEGLSLossless,
        uids.JPEGLSNearLossless,
        uids.JPEG2000Lossless,
        uids.JPEG2000,
        uids.HTJ2KLossless,
        uids.HTJ2KLosslessRPCL,
        uids.HTJ2K,
        uids.RLELossless,
        uids.DeflatedExplicitVRLittleEndian,
    )
)
_USUAL = (
    "1.2.840.10008.5.1.4.1.1.2",
    "1.2.840.10008.5.1.4.1.1.2.1",
    "1.2.840.10008.5.1.4.1.1.4",
    "1.2.840.10008.5.1.4.1.1.4.1",
    "1.2.840.10008.5.1.4.1.1.128",
    "1.2.840.10008.5.1.4.1.1.20",
    "1.2.840.10008.5.1.4.1.1.1",
    "1.2.840.10008.5.1.4.1.1.1.1",
    "1.2.840.10008.5.1.4.1.1.1.2",
    "1.2.840.10008.5.1.4.1.1.13.1.3",
    "1.2.840.10008.5.1.4.1.1.12.1",
    "1.2.840.10008.5.1.4.1.1.6.1",
    "1.2.840.10008.5.1.4.1.1.3.1",
    "1.2.840.10008.5.1.4.1.1.7",
    "1.2.840.10008.5.1.4.1.1.66.4",
    "1.2.840.10008.5.1.4.1.1.66.1",
    "1.2.840.10008.5.1.4.1.1.481.3",
    "1.2.840.10008.5.1.4.1.1.481.2",
    "1.2.840.10008.5.1.4.1.1.481.5",
    "1.2.840.10008.5.1.4.1.1.11.1",
    "1.2.840.10008.5.1.4.1.1.88.11",
    "1.2.840.10008.5.1.4.1.1.88.22",
    "1.2.840.10008.5.1.4.1.1.88.33",
    "1.2.840.10008.5.1.4.1.1.88.34",
    "1.2.840.10008.5.1.4.1.1.88.59",
    "1.2.840.10008.5.1.4.1.1.104.1",
    "1.2.840.10008.5.1.4.1.1.30",
)
"""What studies usually hold (CT, MR, PET, radiographs, masks, plans, reports ...), for archives that do not tell it."""


def to_fetch(instances: Iterable[FoundInstance]) -> list[PresentationContext]:
    """Contexts in which these may come: each compressed encoding in one of its own, so that nothing is recompressed.

    The other side picks one encoding of each context; were they all in one, it would have to turn a series of mixed
    encodings into a single one.
    """
    classes = sorted({one.sop_class for one in instances if one.sop_class}) or list(_USUAL)
    each = MOST_CONTEXTS // len(classes)
    contexts = []
    for sop_class in classes[:MOST_CONTEXTS]:
        contexts.append(build_context(sop_class, list(PLAIN)))
        if each > len(COMPRESSED):
            contexts.extend(build_context(sop_class, one) for one in COMPRESSED)
        elif each > 1:
            contexts.append(build_context(sop_class, list(COMPRESSED)))
    return contexts


def takers(contexts: Sequence[PresentationContext]) -> list[SCP_SCU_RoleSelectionNegotiation]:
    """The roles for C-GET: we ask, and we take what is stored."""
    return [build_role(str(one), scp_role=True) for one in sorted({str(each.abstract_syntax) for each in contexts})]


def to_take() -> list[PresentationContext]:
    """All kinds of objects in all encodings that MedView reads, for a receiver."""
    return [
        build_context(str(one.abstract_syntax), [*PLAIN, *COMPRESSED, str(uids.ExplicitVRBigEndian)])
        for one in AllStoragePresentationContexts
    ]


def to_send(files: Sequence[Outgoing]) -> list[tuple[list[Outgoing], list[PresentationContext]]]:
    """Files in groups that one association can take, each with its contexts: as the file is, and uncompressed."""
    kinds: dict[tuple[str, str], list[Outgoing]] = {}
    for file in files:
        kinds.setdefault((file.instance.sop_class, file.transfer_syntax), []).append(file)
    groups: list[tuple[list[Outgoing], list[PresentationContext]]] = []
    for (sop_class, syntax), members in kinds.items():
        contexts = [build_context(sop_class, syntax)]
        contexts += [build_context(sop_class, one) for one in PLAIN if one != syntax]
        if not groups or len(groups[-1][1]) + len(contexts) > MOST_CONTEXTS:
            groups.append(([], []))
        groups[-1][0].extend(members)
        known = {(one.abstract_syntax, *one.transfer_syntax) for one in groups[-1][1]}
        groups[-1][1].extend(one for one in contexts if (one.abstract_syntax, *one.transfer_syntax) not in known)
    return groups
