from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from medview.catalog.plugins import PluginState, inspect
from medview.core.errors import (
    Cancelled,
    OutOfMemoryError,
    PluginError,
    PluginFailedError,
    PluginUnavailableError,
)
from medview.core.progress import NoProgress
from medview.core.text import Text
from medview.core.volume import Modality, Volume
from medview.inference import runner
from medview.inference.plugin import SegmentationResult
from tests.support.bundles import python_plugin
from tests.support.volumes import volume


@pytest.fixture
def image() -> Volume:
    return volume(np.arange(60, dtype=np.int16).reshape(3, 4, 5))


def _run(folder: Path, source: str, image: Volume, device: str = "auto") -> SegmentationResult:
    return runner.run(inspect(python_plugin(folder, source)), image, NoProgress(), device=device)


def test_eight_lines_make_a_plugin(tmp_path: Path, image: Volume) -> None:
    source = """
from medview.api import Case, Context, components

def run(case: Case, context: Context):
    context.progress(0.5, "Looking")
    parts, sizes = components(case["image"].voxels > 30)
    context.note("One part.")
    return parts == 1
"""
    result = _run(tmp_path / "p", source, image)
    np.testing.assert_array_equal(result.labels, (image.voxels > 30).astype(np.uint8))
    assert result.labels.dtype == np.uint8
    assert [segment.name for segment in result.segments] == ["One", "Two"]
    assert [str(note) for note in result.notes] == ["One part."]
    assert result.seconds > 0


BAD = {
    "raises": ("raise ValueError('no luck')", "ValueError: no luck"),
    "exits": ("raise SystemExit(3)", "SystemExit: 3"),
    "wrong shape": ("return np.zeros((2, 4, 5), np.uint8)", "(2, 4, 5)"),
    "not a number": ("return np.full((3, 4, 5), np.nan)", "not numbers"),
    "fractions": ("return np.full((3, 4, 5), 0.5)", "fractions"),
    "unknown label": ("return np.full((3, 4, 5), 7)", "the label 7"),
    "negative label": ("return np.full((3, 4, 5), -1)", "the label -1"),
    "nothing": ("return None", "NoneType"),
    "text": ("return np.full((3, 4, 5), 'a')", "type"),
}


@pytest.mark.parametrize(("body", "said"), BAD.values(), ids=BAD.keys())
def test_a_bad_answer_is_told_in_plain_words(tmp_path: Path, image: Volume, body: str, said: str) -> None:
    with pytest.raises(PluginFailedError) as caught:
        _run(tmp_path / "p", f"import numpy as np\ndef run(case, context):\n    {body}\n", image)
    assert said in str(caught.value)
    assert caught.value.remedy


BAD_FINDINGS = {
    "labels": ("return np.zeros((3, 4, 5))", "returns ndarray and not findings"),
    "unknown class": ("return Findings(classes=(ClassFound(7, 'x', 0.5),))", "does not name the class 7"),
    "no probability": ("return Findings(classes=(ClassFound(0, 'x', 1.5),))", "no probabilities"),
    "not a number": ("return Findings(classes=(ClassFound(0, 'x', np.nan),))", "no probabilities"),
    "nowhere": ("return Findings(points=(PointFound(0, 'x', (0.0, np.inf, 0.0)),))", "not numbers"),
}


@pytest.mark.parametrize(("body", "said"), BAD_FINDINGS.values(), ids=BAD_FINDINGS.keys())
def test_bad_findings_are_told_in_plain_words(tmp_path: Path, image: Volume, body: str, said: str) -> None:
    source = f"import numpy as np\nfrom medview.api import *\ndef run(case, context):\n    {body}\n"
    folder = python_plugin(tmp_path / "p", source)
    text = (folder / "plugin.toml").read_text(encoding="utf-8").replace('task = "segment"', 'task = "classify"')
    (folder / "plugin.toml").write_text(
        text.partition("[[label]]")[0] + '[[class]]\nvalue = 0\nname = "x"\n', encoding="utf-8"
    )
    with pytest.raises(PluginFailedError, match=said):
        runner.run(inspect(folder), image, NoProgress())


@pytest.mark.parametrize(
    "said", ["CUDA error: unspecified launch failure", "cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"]
)
def test_a_card_that_is_lost_is_told_in_words(tmp_path: Path, image: Volume, said: str) -> None:
    with pytest.raises(PluginFailedError, match="graphics card stopped answering"):
        _run(tmp_path / "p", f"def run(case, context):\n    raise RuntimeError({said!r})\n", image)


@pytest.mark.parametrize("body", ["raise MemoryError", "raise RuntimeError('CUDA out of memory. Tried to allocate')"])
def test_too_little_memory_is_told_as_such(tmp_path: Path, image: Volume, body: str) -> None:
    with pytest.raises(OutOfMemoryError, match="not enough memory"):
        _run(tmp_path / "p", f"def run(case, context):\n    {body}\n", image)


def test_a_program_that_cannot_be_loaded(tmp_path: Path, image: Volume) -> None:
    with pytest.raises(PluginUnavailableError, match="No module named 'not_there_at_all'"):
        _run(tmp_path / "a", "import not_there_at_all\n", image)
    with pytest.raises(PluginUnavailableError, match="SyntaxError"):
        _run(tmp_path / "b", "def run(:\n", image)
    with pytest.raises(PluginUnavailableError, match="no function run"):
        _run(tmp_path / "c", "def ran(case, context):\n    pass\n", image)


def test_a_plugins_own_error_comes_through(tmp_path: Path, image: Volume) -> None:
    source = """
from medview.api import PluginUnavailableError
def run(case, context):
    raise PluginUnavailableError("No lungs were found.", "Choose a CT of the chest.")
"""
    with pytest.raises(PluginUnavailableError, match="No lungs were found"):
        _run(tmp_path / "p", source, image)


def test_two_plugins_may_use_the_same_module_names(tmp_path: Path, image: Volume) -> None:
    path = list(sys.path)
    before = set(sys.modules)
    for value in (1, 2):
        folder = python_plugin(
            tmp_path / f"p{value}", "from .helper import answer\ndef run(case, context):\n    return answer(case)\n"
        )
        (folder / "helper.py").write_text(
            f"import numpy as np\ndef answer(case):\n    return np.full((3, 4, 5), {value})\n", encoding="utf-8"
        )
        assert set(np.unique(runner.run(inspect(folder), image, NoProgress()).labels)) == {value}
    assert sys.path == path
    assert not [name for name in set(sys.modules) - before if "helper" in name or "tiny" in name]


def test_the_next_run_reads_the_program_afresh(tmp_path: Path, image: Volume) -> None:
    folder = python_plugin(
        tmp_path / "p", "import numpy as np\ndef run(case, context):\n    return np.ones((3, 4, 5))\n"
    )
    first = runner.run(inspect(folder), image, NoProgress())
    (folder / "tiny.py").write_text(
        "import numpy as np\ndef run(case, context):\n    return np.full((3, 4, 5), 2.0)\n", encoding="utf-8"
    )
    second = runner.run(inspect(folder), image, NoProgress())
    assert int(second.labels.max()) == 2
    assert first.model.sha256 != second.model.sha256


def test_cancel_ends_a_plugin_that_reports(tmp_path: Path, image: Volume) -> None:
    stop = threading.Event()

    class Progress:
        def report(self, fraction: float | None, message: Text | str = "") -> None:
            if fraction == 0.5:
                stop.set()

        def raise_if_cancelled(self) -> None:
            if stop.is_set():
                raise Cancelled

    source = """
def run(case, context):
    context.progress(0.5)
    context.check()
    raise AssertionError("went on")
"""
    with pytest.raises(Cancelled):
        runner.run(inspect(python_plugin(tmp_path / "p", source)), image, Progress())


def test_an_unfit_series_and_an_unready_plugin_are_refused(tmp_path: Path, image: Volume) -> None:
    folder = python_plugin(tmp_path / "p", "def run(case, context):\n    raise AssertionError\n")
    radiograph = volume(np.zeros((3, 4, 5), np.int16), modality=Modality.DX)
    with pytest.raises(PluginUnavailableError, match="needs CT / MR; this is DX"):
        runner.run(inspect(folder), radiograph, NoProgress())
    (folder / "tiny.py").unlink()
    record = inspect(folder)
    assert record.state is PluginState.BLOCKED
    with pytest.raises(PluginUnavailableError, match="is missing"):
        runner.run(record, image, NoProgress())


def test_an_unknown_device_is_refused(tmp_path: Path, image: Volume) -> None:
    source = "def run(case, context):\n    return context.device\n"
    with pytest.raises(PluginError, match="no device “tpu”"):
        _run(tmp_path / "p", source, image, device="tpu")


def test_nothing_found_is_said(tmp_path: Path, image: Volume) -> None:
    result = _run(
        tmp_path / "p", "import numpy as np\ndef run(case, context):\n    return np.zeros((3, 4, 5))\n", image
    )
    assert [str(note) for note in result.notes] == ["Nothing was found."]


def test_the_door_for_plugins_loads_nothing_heavy() -> None:
    heavy = ("torch", "monai", "SimpleITK", "PySide6", "vtkmodules", "pydicom")
    code = f"import sys, medview.api, medview.workstation.analysis; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
