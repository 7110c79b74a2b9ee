"""The set-up: what it finds, what it repairs, and what it says when it cannot."""

from __future__ import annotations

import importlib.util
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import bootstrap
import pytest
import system_libraries

_SCRIPT = Path(bootstrap.__file__)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout in a folder whose name has a space and letters beyond ASCII, and no place to install anything from."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    root = tmp_path / "a checkout Ü 影像"
    (root / "packaging").mkdir(parents=True)
    (root / "packaging" / "constraints.txt").write_text("pip==1\n")
    (root / "pyproject.toml").write_text("")
    return root


def _command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(_SCRIPT), *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def test_help_is_the_three_commands() -> None:
    shown = _command("--help")
    assert shown.returncode == 0
    assert all(f"bootstrap.py {name}" in shown.stdout for name in ("setup", "run", "test"))


@pytest.mark.parametrize("arguments", [[], ["install"], ["--setup"]])
def test_an_unknown_command_is_a_usage_error(arguments: list[str]) -> None:
    shown = _command(*arguments)
    assert shown.returncode == 2
    assert shown.stdout == ""


def test_a_folder_that_somebody_else_made_is_moved_aside(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (checkout / ".venv").mkdir()
    (checkout / ".venv" / "precious").write_text("mine")
    bootstrap.Environment(checkout).claim()
    assert (checkout / ".venv.old-1" / "precious").read_text() == "mine"
    assert [path.name for path in (checkout / ".venv").iterdir()] == ["made-by-medview"]
    assert ".venv.old-1" in capsys.readouterr().out


def test_its_own_half_made_folder_is_kept_and_made_anew(checkout: Path) -> None:
    environment = bootstrap.Environment(checkout)
    environment.claim()
    (environment.folder / "half").mkdir()
    environment.claim()
    assert not (checkout / ".venv.old-1").exists()
    with pytest.raises(bootstrap.SetUpError) as caught:
        environment.ensure()  # there is nothing to install pip 1 from
    assert not (environment.folder / "half").exists()
    assert environment.python.exists()
    assert "\n" not in str(caught.value)
    assert str(environment.log) in str(caught.value)
    assert "$ " in environment.log.read_text(encoding="utf-8")


def test_the_last_error_of_a_log_is_the_reason(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("ERROR: of an earlier call\n")
    start = log.stat().st_size
    with log.open("a") as file:
        file.write("Collecting torch\nERROR: No matching distribution found for torch==2.13.0\n\n[notice] more\n")
    assert bootstrap._reason(log, start) == "ERROR: No matching distribution found for torch==2.13.0."


def test_two_set_ups_take_turns(tmp_path: Path) -> None:
    lock, order = tmp_path / "lock", tmp_path / "order"
    program = (
        "import sys, time; sys.path.insert(0, sys.argv[1]); import bootstrap; from pathlib import Path\n"
        "with bootstrap.locked(Path(sys.argv[2])):\n"
        "    Path(sys.argv[3]).open('a').write('in ')\n"
        "    time.sleep(0.3)\n"
        "    Path(sys.argv[3]).open('a').write('out ')\n"
    )
    command = [sys.executable, "-c", program, str(_SCRIPT.parent), str(lock), str(order)]
    both = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [child.wait(60) for child in both] == [0, 0]
    assert order.read_text() == "in out in out "


def test_a_library_that_is_nowhere_is_missing() -> None:
    assert not system_libraries.Library("libnothing-of-the-kind.so.1", "a", "b").is_present()


@pytest.mark.skipif(sys.platform != "linux", reason="system libraries are looked for on Linux")
def test_the_c_library_is_present() -> None:
    assert system_libraries.Library("libc.so.6", "libc6", "glibc").is_present()


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="needs Debian's package manager")
def test_what_is_missing_is_named_as_one_command() -> None:
    libraries = [system_libraries.LIBRARIES[0], system_libraries.LIBRARIES[0], system_libraries.LIBRARIES[1]]
    names = system_libraries.packages(libraries)
    assert names == ("libegl1", "libgl1")
    assert system_libraries.by_hand(names).endswith("apt-get install -y libegl1 libgl1")


def test_nothing_to_install_is_not_an_installation() -> None:
    assert not system_libraries.install([], io.StringIO())


def test_a_python_without_pip_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(system_libraries, "install", lambda names, log: False)
    with pytest.raises(bootstrap.SetUpError, match=r"ensurepip|-venv"):
        bootstrap.ensure_pip_can_come(tmp_path / "log")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: "pip" if name == "pip" else None)
    assert not bootstrap.ensure_pip_can_come(tmp_path / "log")


def test_system_libraries_that_cannot_be_installed_are_named_once_and_not_tried_again(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tried: list[Sequence[str]] = []

    def refuse(names: Sequence[str], log: IO[str]) -> bool:
        tried.append(names)
        return False

    absent = system_libraries.Library("libnothing-of-the-kind.so.1", "libnothing1", "libnothing")
    monkeypatch.setattr(system_libraries, "missing", lambda: (absent,))
    monkeypatch.setattr(system_libraries, "packages", lambda libraries: ("libnothing1",))
    monkeypatch.setattr(system_libraries, "by_hand", lambda names: f"sudo apt-get install -y {' '.join(names)}")
    monkeypatch.setattr(system_libraries, "install", refuse)
    environment = bootstrap.Environment(checkout)
    environment.claim()
    for try_again in (False, False, True):
        bootstrap.ensure_system_libraries(environment, try_again=try_again)
    assert tried == [("libnothing1",)] * 2
    said = capsys.readouterr().out.splitlines()
    assert sum("sudo apt-get install -y libnothing1" in line for line in said) == 3
