"""Sending files with C-STORE."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom.association import Association

from medview.core.progress import Progress
from medview.core.text import Text
from medview.network import services
from medview.network.address import Address
from medview.network.association import association, status_error
from medview.network.connecting import broken
from medview.network.interruption import Interruption
from medview.network.records import Fate, Outcome, Outgoing

_TAKEN = (0x0000, 0xB000, 0xB006, 0xB007)
"""PS3.4, B.2.3: success, and stored with attributes changed, left out, or not matching their class."""
_MB = 1e6


def send(
    address: Address,
    files: Sequence[Outgoing],
    told: Callable[[Outcome], None],
    progress: Progress,
    interruption: Interruption,
) -> None:
    """Send files; `told` hears of each one.

    Raises:
        NetworkError: It broke off.
        Cancelled: It was interrupted.
    """
    total = sum(file.size_bytes for file in files) or 1
    done = gone = 0
    for group, contexts in services.to_send(files):
        with association(address, contexts, interruption) as link:
            for file in group:
                interruption.raise_if_asked()
                told(_send_one(address, link, file))
                done, gone = done + 1, gone + file.size_bytes
                text = Text.of("{done} of {total} files, {mb} MB", done=done, total=len(files), mb=f"{gone / _MB:.1f}")
                progress.report(gone / total, text)


def _send_one(address: Address, link: Association, file: Outgoing) -> Outcome:
    taken = {
        str(one.transfer_syntax[0])
        for one in link.accepted_contexts
        if one.abstract_syntax == file.instance.sop_class and one.transfer_syntax
    }
    if file.transfer_syntax in taken:
        status = link.send_c_store(file.path)
    elif taken & set(services.PLAIN):
        plain = _uncompressed(file)
        if isinstance(plain, Text):
            return Outcome(file, Fate.REFUSED, plain)
        status = link.send_c_store(plain)
    else:
        return Outcome(file, Fate.REFUSED, Text("The archive does not take this kind of object."))
    if "Status" not in status:
        raise broken(address)
    code = int(status.Status)
    if code in _TAKEN:
        return Outcome(file, Fate.ACCEPTED)
    error = status_error(address, status)
    if code & 0xFF00 == 0xA700:
        raise error
    return Outcome(file, Fate.REFUSED, error.what)


def _uncompressed(file: Outgoing) -> Dataset | Text:
    """The same instance without compression, for an archive that does not take it as it is; or why there is none."""
    try:
        dataset = pydicom.dcmread(file.path)
        if dataset.file_meta.TransferSyntaxUID.is_compressed:
            dataset.decompress(generate_instance_uid=False)
    except Exception:  # decoders raise anything
        return Text("The archive does not take its compression, and it cannot be decompressed.")
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset
