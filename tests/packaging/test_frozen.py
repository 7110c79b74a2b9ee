"""The frozen program: built, tested by itself, and opened. Takes many minutes: `pytest -m frozen tests/packaging`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.frozen

_ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, built in a folder of its own, or the one that MEDVIEW_FROZEN names."""
    built = os.environ.get("MEDVIEW_FROZEN")
    if built:
        return Path(built)
    folder = tmp_path_factory.mktemp("frozen")
    subprocess.run(
        [
            sys.executable, "-m", "PyInstaller", "--noconfirm", "--log-level", "WARN",
            "--distpath", str(folder / "dist"), "--workpath", str(folder / "build"),
            str(_ROOT / "packaging" / "medview.spec"),
        ],
        cwd=folder, check=True,
    )  # fmt: skip
    name = "medview.exe" if os.name == "nt" else "medview"
    return folder / "dist" / "medview" / name


@pytest.fixture
def bare(medview_home: Path) -> dict[str, str]:
    """An environment in which nothing of a checkout or of a Python can be found."""
    kept = ("DISPLAY", "SYSTEMROOT", "TEMP", "TMP", "LANG", "XAUTHORITY")
    return {
        **{name: os.environ[name] for name in kept if name in os.environ},
        "HOME": str(medview_home.parent),
        "MEDVIEW_HOME": str(medview_home),
        "PATH": os.defpath,
    }


@pytest.fixture
def elsewhere(program: Path, tmp_path: Path) -> Iterator[Path]:
    """The program moved to a place with a space and letters beyond ASCII, as users do."""
    folder = tmp_path / "programs Ü 影像"
    shutil.copytree(program.parent, folder, symlinks=True)
    yield folder / program.name
    shutil.rmtree(folder)


def test_the_self_test_passes(elsewhere: Path, bare: dict[str, str], tmp_path: Path) -> None:
    ended = subprocess.run(
        [str(elsewhere), "selftest", "--json"], env=bare, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    report = json.loads(ended.stdout)
    assert [step for step in report["steps"] if step["verdict"] != "passed"] == []
    assert ended.returncode == 0


def test_the_doctor_finds_nothing_wrong(program: Path, bare: dict[str, str], tmp_path: Path) -> None:
    ended = subprocess.run(
        [str(program), "doctor", "--json"], env=bare, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    facts = json.loads(ended.stdout)["facts"]
    assert [fact for fact in facts if fact["health"] == "bad"] == []
    assert ended.returncode == 0


def test_nothing_under_the_gpl_is_in_it(program: Path) -> None:
    foreign = ("readline", "gdbm", "virtualkeyboard", "datavisualization", "qt6charts", "qt6graphs", "networkauth")
    files = [path for path in program.parent.rglob("*") if ".so" in path.name or path.suffix in (".dll", ".dylib")]
    assert files
    assert [path.name for path in files if any(part in path.name.lower() for part in foreign)] == []


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("xdotool"), reason="asks the X server for windows")
def test_the_window_opens_on_the_sample_study(program: Path, bare: dict[str, str], tmp_path: Path) -> None:
    child = subprocess.Popen([str(program), "demo"], env=bare, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    try:
        title = _title_of(child, seconds=90)
    finally:
        child.terminate()
        child.communicate(timeout=60)
    assert "MedView" in title


def _title_of(child: subprocess.Popen[str], seconds: float) -> str:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and child.poll() is None:
        asked = ("--all", "--onlyvisible", "--pid", str(child.pid), "--name", "MedView", "getwindowname")
        found = subprocess.run(["xdotool", "search", *asked], capture_output=True, text=True, check=False)
        if found.stdout.strip():
            return found.stdout
        time.sleep(0.5)
    return ""
