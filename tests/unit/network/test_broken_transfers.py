"""What happens when the wire is cut or held up in the middle, and when the user has waited long enough."""

from __future__ import annotations

import threading
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from medview.core.errors import Cancelled, StorageError, TransferError, UnreachableError
from medview.core.geometry import Geometry
from medview.core.progress import NoProgress
from medview.core.text import Text
from medview.network.address import Address, Kind
from medview.network.archive import archive_at
from medview.network.inbox import Inbox
from medview.network.records import Fate, Query
from medview.network.transfers import outgoing, retrieve, send
from tests.support import source_series
from tests.support.orthanc import Orthanc, StartOrthanc
from tests.support.wire import Wire, wire
from tests.unit.network.test_archives import content, files_in

KINDS = [Kind.DIMSE, Kind.DICOMWEB]
QUIET = NoProgress()


class Watched:
    """A progress that remembers, and that is cancelled when a test says so."""

    def __init__(self, stop_when: Callable[[Watched], bool] = lambda _: False) -> None:
        self.reports: list[tuple[float | None, str]] = []
        self.stopped = False
        self._stop_when = stop_when

    def report(self, fraction: float | None, message: Text | str = "") -> None:
        self.reports.append((fraction, str(message)))

    def raise_if_cancelled(self) -> None:
        self.stopped = self.stopped or self._stop_when(self)
        if self.stopped:
            raise Cancelled


def through(orthanc: Orthanc, kind: Kind, relay: Wire) -> Address:
    if kind is Kind.DIMSE:
        return orthanc.dimse(port=relay.port)
    return orthanc.web(url=f"http://127.0.0.1:{relay.port}/dicom-web")


def wire_to(orthanc: Orthanc, kind: Kind) -> Wire:
    return Wire(orthanc.port if kind is Kind.DIMSE else orthanc.web_port)


def pixels(folder: Path) -> dict[str, bytes]:
    return {uid: one for path in files_in(folder) for uid, one in content(path).items()}


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_retrieval_that_was_cut_goes_on_where_it_stopped(
    orthanc: Orthanc, kind: Kind, small_series_folder: Path, tmp_path: Path
) -> None:
    source = files_in(small_series_folder)
    orthanc.put(*source)
    inbox = Inbox(tmp_path / "inbox")
    relay = wire_to(orthanc, kind)
    try:
        archive = archive_at(through(orthanc, kind, relay))
        (study,) = archive.find_studies(Query(), QUIET).studies
        relay.cut_after = relay.carried + sum(path.stat().st_size for path in source) // 2

        with pytest.raises(TransferError, match="The transfer broke off after") as caught:
            retrieve(archive, study.uid, (), inbox, QUIET)

        assert "only the rest is fetched" in str(caught.value.remedy)
        arrived = files_in(inbox.folder)
        assert 0 < len(arrived) < 40
        truth = pixels(small_series_folder)
        assert all(truth[uid] == one for uid, one in pixels(inbox.folder).items())
        assert not list(inbox.folder.rglob(".part-*"))
        kept = {path: path.stat().st_mtime_ns for path in arrived}

        relay.cut_after = None
        done = retrieve(archive, study.uid, (), inbox, QUIET)
    finally:
        relay.close()

    assert (done.instances, done.fetched) == (40, 40 - len(arrived))
    assert {path: path.stat().st_mtime_ns for path in arrived} == kept
    assert pixels(inbox.folder) == truth


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_retrieval_outlives_the_archive_that_was_killed(
    start_orthanc: StartOrthanc, kind: Kind, small_series_folder: Path, tmp_path: Path
) -> None:
    orthanc = start_orthanc()
    source = files_in(small_series_folder)
    orthanc.put(*source)
    inbox = Inbox(tmp_path / "inbox")
    relay = wire_to(orthanc, kind)
    with_relay = archive_at(through(orthanc, kind, relay))
    (study,) = with_relay.find_studies(Query(), QUIET).studies
    relay.hold_after = relay.carried + sum(path.stat().st_size for path in source) // 2

    def kill() -> None:
        deadline = time.monotonic() + 30
        while len(files_in(inbox.folder)) <= 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        orthanc.kill()
        relay.close()

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(TransferError, match="broke off after"):
        retrieve(with_relay, study.uid, (), inbox, QUIET)
    killer.join()
    before = len(files_in(inbox.folder))
    assert 3 < before < 40
    direct = archive_at(orthanc.dimse() if kind is Kind.DIMSE else orthanc.web())
    with pytest.raises(UnreachableError):
        retrieve(direct, study.uid, (), inbox, QUIET)

    orthanc.start()
    done = retrieve(direct, study.uid, (), inbox, QUIET)

    assert (done.instances, done.fetched) == (40, 40 - before)
    assert pixels(inbox.folder) == pixels(small_series_folder)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_sending_that_was_cut_goes_on_where_it_stopped(orthanc: Orthanc, kind: Kind, small_series_folder: Path) -> None:
    paths = files_in(small_series_folder)
    files = outgoing(paths, QUIET)
    relay = wire_to(orthanc, kind)
    try:
        archive = archive_at(through(orthanc, kind, relay))
        relay.cut_after_sent = relay.sent + sum(file.size_bytes for file in files) // 2
        with pytest.raises(TransferError, match="Sending broke off after"):
            send(archive, files, QUIET)
        before = len(orthanc.held())
        assert 0 < before < 40
        relay.cut_after_sent = None
        sent = send(archive, files, QUIET)
    finally:
        relay.close()

    assert sent.is_well
    assert sent.count(Fate.THERE) == before
    assert sent.count(Fate.CONFIRMED) == 40 - before
    assert set(orthanc.held()) == {file.instance.uid for file in files}


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_cancelling_ends_a_transfer_that_hangs(
    orthanc: Orthanc, kind: Kind, small_series_folder: Path, tmp_path: Path
) -> None:
    source = files_in(small_series_folder)
    orthanc.put(*source)
    inbox = Inbox(tmp_path / "inbox")
    relay = wire_to(orthanc, kind)
    try:
        archive = archive_at(through(orthanc, kind, relay))
        (study,) = archive.find_studies(Query(), QUIET).studies
        relay.hold_after = relay.carried + sum(path.stat().st_size for path in source) // 2
        watched = Watched(lambda _: len(files_in(inbox.folder)) > 3)

        with pytest.raises(Cancelled):
            retrieve(archive, study.uid, (), inbox, watched)

        # the wire still holds everything up: nothing else could have ended it
        assert watched.stopped
    finally:
        relay.close()
    before = len(files_in(inbox.folder))
    direct = archive_at(orthanc.dimse() if kind is Kind.DIMSE else orthanc.web())
    assert retrieve(direct, study.uid, (), inbox, QUIET).fetched == 40 - before


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_cancelling_ends_the_wait_for_an_archive_that_never_answers(orthanc: Orthanc, kind: Kind) -> None:
    with wire(orthanc.port if kind is Kind.DIMSE else orthanc.web_port) as relay:
        relay.hold_after = 0
        started = time.monotonic()
        watched = Watched(lambda _: time.monotonic() - started > 0.3)
        with pytest.raises(Cancelled):
            archive_at(through(orthanc, kind, relay)).echo(watched)
        assert watched.stopped


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_place_that_cannot_be_written_is_said(
    orthanc: Orthanc, kind: Kind, small_series_folder: Path, tmp_path: Path
) -> None:
    orthanc.put(*files_in(small_series_folder)[:2])
    archive = archive_at(orthanc.dimse() if kind is Kind.DIMSE else orthanc.web())
    (study,) = archive.find_studies(Query(), QUIET).studies
    (tmp_path / "inbox").write_text("a file where the folder should be")
    with pytest.raises(StorageError, match="could not be written"):
        retrieve(archive, study.uid, (), Inbox(tmp_path / "inbox"), QUIET)


def test_five_hundred_images_come_in_the_memory_of_a_few(orthanc: Orthanc, tmp_path: Path) -> None:
    count = 500
    volume, paths = source_series.make(tmp_path / "source", Geometry.from_parts((count, 256, 256), (1.0, 1.0, 1.0)))
    orthanc.put(*paths)
    image_bytes = paths[0].stat().st_size
    truth = sorted(np.ascontiguousarray(one).tobytes() for one in volume.voxels)
    for kind in KINDS:
        archive = archive_at(orthanc.dimse() if kind is Kind.DIMSE else orthanc.web())
        (study,) = archive.find_studies(Query(), QUIET).studies
        watched = Watched()

        tracemalloc.start()
        try:
            done = retrieve(archive, study.uid, (), Inbox(tmp_path / kind), watched)
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

        assert (done.instances, done.fetched) == (count, count)
        assert done.size_bytes >= count * image_bytes * 0.99
        assert most < 50 * image_bytes
        fractions = [fraction for fraction, _ in watched.reports if fraction is not None]
        assert fractions == sorted(fractions)
        assert fractions[-1] == 1.0
        assert watched.reports[-1][1].startswith("500 of 500 images, ")
        assert sorted(pixels(done.folder).values()) == truth
