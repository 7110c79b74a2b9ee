"""Against another maker's programs: DCMTK's storescp, echoscu, storescu. They skip where DCMTK is not installed."""

from __future__ import annotations

import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pydicom
import pytest

from medview.core.progress import NoProgress
from medview.network.address import Address
from medview.network.archive import archive_at
from medview.network.inbox import Inbox, Intake
from medview.network.receiver import Receiver, store_into
from medview.network.records import Fate
from medview.network.transfers import outgoing, send
from tests.support.orthanc import free_port
from tests.unit.network.test_archives import content, copy_with, files_in

QUIET = NoProgress()
Program = Callable[[str], str]


@pytest.fixture
def program() -> Program:
    def found(name: str) -> str:
        path = shutil.which(name)
        if path is None:
            pytest.skip(f"{name} of DCMTK is not installed")
        return path

    return found


@contextmanager
def storescp(path: str, folder: Path, *options: str) -> Iterator[Address]:
    port = free_port()
    folder.mkdir()
    process = subprocess.Popen([path, "-od", str(folder), "-aet", "STORE", *options, str(port)])
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield Address(name="Store", host="127.0.0.1", port=port, called_ae="STORE")
    finally:
        process.terminate()
        process.wait(20)


def test_an_archive_that_only_takes_is_believed_and_that_is_said(
    program: Program, small_series_folder: Path, tmp_path: Path
) -> None:
    paths = files_in(small_series_folder)[:5]
    with storescp(program("storescp"), tmp_path / "taken") as address:
        archive_at(address).echo(QUIET)
        sent = send(archive_at(address), outgoing(paths, QUIET), QUIET)
    assert [one.fate for one in sent.outcomes] == [Fate.ACCEPTED] * 5
    taken = {uid: pixels for path in files_in(tmp_path / "taken") for uid, pixels in content(path).items()}
    assert taken == {uid: pixels for path in paths for uid, pixels in content(path).items()}


def test_what_an_archive_does_not_take_compressed_is_sent_uncompressed(
    program: Program, real_data: Path, tmp_path: Path
) -> None:
    (source,) = sorted((real_data / "compressed-syntaxes").rglob("MR_small_RLE.dcm"))[:1]
    path = copy_with(source, tmp_path / "rle.dcm", SOPInstanceUID="1.2.826.0.1.3680043.8.498.77")
    assert pydicom.dcmread(path).file_meta.TransferSyntaxUID.is_compressed
    with storescp(program("storescp"), tmp_path / "taken", "+x=") as address:  # uncompressed only
        sent = send(archive_at(address), outgoing([path], QUIET), QUIET)
    assert [one.fate for one in sent.outcomes] == [Fate.ACCEPTED]
    (taken,) = files_in(tmp_path / "taken")
    assert not pydicom.dcmread(taken).file_meta.TransferSyntaxUID.is_compressed
    assert content(taken) == content(path)


def test_our_receiver_takes_what_was_asked_for_and_nothing_else(
    program: Program, small_series_folder: Path, tmp_path: Path
) -> None:
    files = outgoing(files_in(small_series_folder)[:4], QUIET)
    wanted, unwanted = files[:2], files[2:]
    instances = [one.instance for one in wanted]
    inbox = Inbox(tmp_path / "inbox")
    intake = Intake(inbox, instances, instances, QUIET)
    address = Address(name="Any", host="127.0.0.1", called_ae="ANY", receive_port=free_port())
    there = ["-aec", "MEDVIEW", "127.0.0.1", str(address.receive_port)]

    def call(name: str, *more: str) -> str:
        done = subprocess.run([program(name), "-v", *there, *more], capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    with Receiver(address, store_into(intake)):
        taken = call("storescu", *(str(one.path) for one in wanted))
        assert taken.count("Received Store Response (Success)") == 2
        assert "0x124" in call("storescu", *(str(one.path) for one in unwanted))
        stranger = [program("storescu"), "-aec", "OTHER", *there[2:], str(wanted[0].path)]
        assert subprocess.run(stranger, capture_output=True, check=False).returncode != 0

    assert intake.missing == ()
    assert {path.stem for path in files_in(inbox.folder)} == {one.uid for one in instances}
    for one in wanted:
        assert content(inbox.place(one.instance)) == content(one.path)
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", address.receive_port)).close()


def _association_request(called: str) -> bytes:
    """A-ASSOCIATE-RQ for C-ECHO (PS3.8, 9.3.2)."""

    def item(kind: int, content: bytes) -> bytes:
        return struct.pack(">BxH", kind, len(content)) + content

    verification, implicit = item(0x30, b"1.2.840.10008.1.1"), item(0x40, b"1.2.840.10008.1.2")
    content = struct.pack(">Hxx16s16s32x", 1, called.encode().ljust(16), b"STRANGER".ljust(16))
    content += item(0x10, b"1.2.840.10008.3.1.1.1")
    content += item(0x20, struct.pack(">Bxxx", 1) + verification + implicit)
    content += item(0x50, item(0x51, struct.pack(">I", 16384)) + item(0x52, b"1.2.3.4"))
    return struct.pack(">BxI", 1, len(content)) + content


def test_a_caller_that_has_said_goodbye_and_stays_does_not_hold_the_receiver_up(tmp_path: Path) -> None:
    address = Address(name="Any", host="127.0.0.1", called_ae="ANY", receive_port=free_port())
    intake = Intake(Inbox(tmp_path / "inbox"), (), (), QUIET)
    with socket.socket() as caller:
        with Receiver(address, store_into(intake)):
            caller.connect(("127.0.0.1", address.receive_port))
            caller.settimeout(10)
            caller.sendall(_association_request("MEDVIEW"))
            assert caller.recv(4096)[0] == 0x02  # A-ASSOCIATE-AC
            caller.sendall(struct.pack(">BxII", 0x05, 4, 0))  # A-RELEASE-RQ
            assert caller.recv(4096)[0] == 0x06  # A-RELEASE-RP
        assert caller.recv(4096) == b""
