"""A program of somebody's runs in a process of its own, and nothing that it does there reaches the window."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medview.catalog.plugins import PluginRecord, inspect
from medview.catalog.trust import TrustBook, files_sha256
from medview.core import memory
from medview.core.errors import Cancelled, MedViewError, OutOfMemoryError, PluginFailedError, PluginUnavailableError
from medview.core.evidence import Evidence, EvidenceMethod
from medview.core.geometry import Box
from medview.core.progress import NoProgress
from medview.core.segmentation import Labels
from medview.core.text import Text
from medview.core.volume import Volume
from medview.inference import apart, runner
from medview.inference.options import RunOptions
from medview.inference.plugin import Context
from tests.support.bundles import python_plugin
from tests.support.volumes import volume


@pytest.fixture
def image() -> Volume:
    return volume(np.arange(60, dtype=np.int16).reshape(3, 4, 5))


def _trusted(folder: Path, body: str) -> PluginRecord:
    """A plugin whose function has this body, trusted by its user."""
    lines = "\n".join("    " + line for line in body.splitlines())
    python_plugin(folder, f"import os, sys, time\nimport numpy as np\ndef run(case, context):\n{lines}\n")
    book = TrustBook(folder.parent / "trust.json")
    book.trust(folder, "tiny", files_sha256(folder))
    record = inspect(folder, book)
    assert record.runs_apart
    return record


class _Watching:
    def __init__(self) -> None:
        self.said: list[tuple[float | None, str]] = []
        self.stop = threading.Event()

    def report(self, fraction: float | None, message: Text | str = "") -> None:
        self.said.append((fraction, str(message)))
        if str(message) == "now":
            self.stop.set()

    def raise_if_cancelled(self) -> None:
        if self.stop.is_set():
            raise Cancelled


def test_an_answer_comes_back_with_what_was_told_on_the_way(
    tmp_path: Path, image: Volume, capfd: pytest.CaptureFixture[str]
) -> None:
    body = """
print("to nobody")
os.write(1, b"nor this")
from medview.api import Box
image = case["image"]
assert os.getpid() != int(image.description)
assert not image.voxels.flags.writeable
context.progress(0.5, "Looking")
context.preview(Box((1, 0, 0), (2, 4, 5)), (image.voxels[1:2] > 30).astype(np.uint8))
context.note("One part.")
return image.voxels > 30
"""
    shown: list[tuple[Box, Labels]] = []
    watching = _Watching()
    named = replace(image, description=str(os.getpid()))
    record = _trusted(tmp_path / "p", body)
    result = runner.run(record, named, watching, preview=lambda box, labels: shown.append((box, labels)))
    np.testing.assert_array_equal(result.labels, image.voxels > 30)
    assert [str(note) for note in result.notes] == ["One part."]
    assert (0.5, "Looking") in watching.said
    ((box, labels),) = shown
    assert box == Box((1, 0, 0), (2, 4, 5))
    np.testing.assert_array_equal(labels, image.voxels[1:2] > 30)
    assert capfd.readouterr().out == ""


ENDS: dict[str, tuple[str, type[MedViewError], str]] = {
    "raises": ("raise ValueError('no luck')", PluginFailedError, "ValueError: no luck"),
    "exits": ("sys.exit(3)", PluginFailedError, "SystemExit: 3"),
    "ends its process": ("os._exit(3)", PluginFailedError, r"ended its process without an answer \(code 3\)"),
    "crashes": ("import ctypes\nctypes.string_at(0)", PluginFailedError, "ended its process without an answer"),
    "is killed": ("os.kill(os.getpid(), 9)", OutOfMemoryError, "The system ended tiny"),
    "runs out of memory": ("raise MemoryError", OutOfMemoryError, "not enough memory"),
    "not a number": ("return np.full((3, 4, 5), np.nan)", PluginFailedError, "not numbers"),
    "wrong shape": ("return np.zeros((3, 4, 6))", PluginFailedError, r"\(3, 4, 6\) and not \(3, 4, 5\)"),
    "no answer": ("return object()", PluginFailedError, "it returns object and not labels"),
    "its own words": (
        "from medview.api import PluginUnavailableError\nraise PluginUnavailableError('No lungs.', 'Choose others.')",
        PluginUnavailableError,
        "No lungs. Choose others.",
    ),
}


@pytest.mark.parametrize(("body", "kind", "said"), ENDS.values(), ids=ENDS.keys())
def test_however_it_ends_it_is_told_in_plain_words(
    tmp_path: Path, image: Volume, capfd: pytest.CaptureFixture[str], body: str, kind: type[MedViewError], said: str
) -> None:
    before = sorted(tmp_path.rglob("*"))
    record = _trusted(tmp_path / "p", body)
    installed = sorted(tmp_path.rglob("*"))
    with pytest.raises(kind, match=said) as caught:
        runner.run(record, image, NoProgress())
    assert caught.value.remedy
    assert "Traceback" not in capfd.readouterr().err
    assert sorted(tmp_path.rglob("*")) == installed != before


def test_one_that_hangs_is_ended_when_the_user_cancels(tmp_path: Path, image: Volume) -> None:
    record = _trusted(tmp_path / "p", "context.progress(0.1, 'now')\nwhile True:\n    time.sleep(0.01)")
    with pytest.raises(Cancelled):
        runner.run(record, image, _Watching())
    assert not [one for one in apart._running if one.is_alive()]


def test_one_that_asks_whether_to_go_on_may_tidy_up(tmp_path: Path, image: Volume) -> None:
    body = f"""
from medview.api import Cancelled
try:
    while True:
        context.progress(0.1, 'now')
        time.sleep(0.01)
except Cancelled:
    open({str(tmp_path / "tidied")!r}, "w").close()
    raise
"""
    with pytest.raises(Cancelled):
        runner.run(_trusted(tmp_path / "p", body), image, _Watching())
    deadline = time.monotonic() + 10
    while not (tmp_path / "tidied").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert (tmp_path / "tidied").exists()


def test_one_that_takes_the_memory_is_ended_before_it_has_it(tmp_path: Path, image: Volume) -> None:
    free = memory.free_bytes()
    assert free is not None
    body = """
held = []
for _ in range(20):
    held.append(np.ones(50_000_000, np.uint8))
    time.sleep(0.1)
raise ValueError("it got all of it")
"""
    record = _trusted(tmp_path / "p", body)
    context = Context(tmp_path, NoProgress(), lambda: "cpu", image.geometry.shape)
    with pytest.raises(OutOfMemoryError, match="took nearly all of the machine's memory"):
        apart.run(record, {"image": image}, context, spare_bytes=free - 100_000_000)
    assert not [one for one in apart._running if one.is_alive()]


def test_evidence_is_asked_in_the_other_process_and_comes_back(tmp_path: Path, image: Volume) -> None:
    body = """
import torch
from torch import nn
from medview.api import ClassFound, Findings
class Brightest(nn.Module):
    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv3d(1, 1, 1)
        nn.init.ones_(self.convolution.weight)
        nn.init.constant_(self.convolution.bias, -30.0)
    def forward(self, x):
        total = self.convolution(x).relu().flatten(1).sum(1, keepdim=True)
        return torch.cat([-total, total], 1)
network = Brightest().eval()
shown = torch.from_numpy(case["image"].voxels.astype(np.float32))[None, None]
context.timed(lambda: network(shown), shown.shape[2:])
if context.evidence is not None:
    context.add_evidence(context.explain(network, shown, lambda values: values.softmax(1)))
return Findings(classes=(ClassFound(0, "Dim", 0.1), ClassFound(1, "Bright", 0.9)))
"""
    record = _trusted(tmp_path / "tiny", body)
    text = (record.folder / "plugin.toml").read_text(encoding="utf-8")
    classes = '[[class]]\nvalue = 0\nname = "Dim"\n[[class]]\nvalue = 1\nname = "Bright"\n'
    named = f"{classes}[classify]\nshows-evidence = true\n"
    text = text.replace('task = "segment"', 'task = "classify"').partition("[[label]]")[0] + named
    (record.folder / "plugin.toml").write_text(text, encoding="utf-8")
    book = TrustBook(tmp_path / "trust.json")
    book.trust(record.folder, "tiny", files_sha256(record.folder))
    record = inspect(record.folder, book)
    options = RunOptions(evidence=Evidence(1, EvidenceMethod.GRAD_CAM))
    result = runner.run(record, image, NoProgress(), device="cpu", options=options)
    wanted = np.maximum(image.voxels.astype(np.float32) - 30, 0)
    np.testing.assert_allclose(result.maps[0].values, wanted / wanted.max(), atol=1e-3)
    assert result.measured is not None
    assert result.measured.shape == image.voxels.shape
