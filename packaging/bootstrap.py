#!/usr/bin/env python3
"""Set MedView up in a checkout, and start it or its tests.

    python3 packaging/bootstrap.py setup            the private environment in .venv/, and nothing more
    python3 packaging/bootstrap.py run [ARGS]       the workstation on its sample study, or `medview ARGS`
    python3 packaging/bootstrap.py test [ARGS]      the whole test suite, or `pytest ARGS`

Needs Python 3.11 or newer and its standard library only, on Linux, macOS and Windows. Whatever is missing is installed
where that is allowed and named in one line where it is not. A second call finds everything in place.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import io
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

if sys.version_info < (3, 11):
    sys.exit("MedView needs Python 3.11 or newer; this is Python " + platform.python_version() + ".")

from collections.abc import Iterator, Sequence
from typing import IO

import system_libraries

_ROOT = Path(__file__).resolve().parents[1]
_MARK = "made-by-medview"
_STAMP = "medview-stamp.json"
_DROPPED = ("PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV", "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT")
_MODULES = (
    "PySide6.QtWidgets", "vtkmodules.vtkCommonCore", "torch", "monai", "SimpleITK", "pydicom", "highdicom", "numpy",
    "typer", "rich", "pydantic", "pytest", "pytestqt", "xdist", "medview",
)  # fmt: skip
_CHECK = """
import importlib.metadata as metadata, importlib.util as util, json, sys
pins, modules = json.load(sys.stdin)
def installed(name):
    try:
        return metadata.version(name).split("+")[0]
    except metadata.PackageNotFoundError:
        return None
wrong = [name for name, pin in pins.items() if installed(name) not in (None, pin)]
wrong += [name for name in modules if util.find_spec(name) is None]
sys.exit(1 if wrong else 0)
"""


class SetUpError(Exception):
    """The set-up cannot go on; the message says why in one line."""


class Environment:
    """The private environment of a checkout.

    It is whole when its stamp names the present interpreter and the present contents of `pyproject.toml` and
    `packaging/constraints.txt`, and its packages answer. Without a stamp it is half made and is made anew.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / ".venv"
        self.log = self.folder / "setup.log"
        scripts = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
        self.python = self.folder.joinpath(*scripts)
        self._stamp = self.folder / _STAMP
        self._constraints = root / "packaging" / "constraints.txt"

    def claim(self) -> None:
        """Make sure that the folder is there and is ours; one that somebody else made is moved aside, never deleted."""
        if self.folder.is_symlink() or (self.folder.exists() and not self._is_ours()):
            aside = next(place for n in range(1, 1000) if not (place := self.root / f".venv.old-{n}").exists())
            self.folder.rename(aside)
            _say(f"The folder .venv was not made by this program; it is now {aside.name}.")
        self.folder.mkdir(exist_ok=True)
        (self.folder / _MARK).touch()

    def ensure(self) -> None:
        """Make the environment, bring it up to date, or find it whole.

        Raises:
            SetUpError: It cannot be made.
        """
        stamp = self._read_stamp()
        wanted = self._wanted()
        same_python = stamp.get("python") == wanted["python"]
        answers = same_python and self._answers()
        if answers and stamp == wanted and self._packages_are_right():
            return
        started = time.monotonic()
        self._stamp.unlink(missing_ok=True)
        if not answers:
            self._make()
        self._install()
        if answers and not self._packages_are_right():
            # pip takes a package for installed whose files are gone.
            self._make()
            self._install()
        if not self._packages_are_right():
            raise SetUpError(f"The libraries are installed but do not answer. Details: {self.log}")
        self._stamp.write_text(json.dumps(wanted), encoding="utf-8")
        _say(f"The environment is ready ({time.monotonic() - started:.0f} s).")

    def _is_ours(self) -> bool:
        return self.folder.is_dir() and ((self.folder / _MARK).exists() or not any(self.folder.iterdir()))

    def _wanted(self) -> dict[str, str]:
        contents = hashlib.sha256()
        for path in (self._constraints, self.root / "pyproject.toml", Path(__file__)):
            contents.update(path.read_bytes())
        interpreter = f"{platform.python_implementation()} {sys.version_info[0]}.{sys.version_info[1]}"
        return {
            "python": f"{interpreter} {platform.machine()} {sys.platform}",
            "contents": contents.hexdigest(),
            "place": str(self.root),
        }

    def _read_stamp(self) -> dict[str, str]:
        try:
            stamp = json.loads(self._stamp.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        # Scripts of an environment name the place where it was made: a moved one is made anew.
        moved = not isinstance(stamp, dict) or stamp.get("place") != str(self.root)
        return {} if moved else stamp

    def _answers(self) -> bool:
        return _quietly([str(self.python), "-I", "-c", "import pip"])

    def _packages_are_right(self) -> bool:
        question = json.dumps([_pins(self._constraints), _MODULES])
        return _quietly([str(self.python), "-c", _CHECK], question, cwd=self.folder)

    def _make(self) -> None:
        _say("Making the private environment in .venv ...")
        try:
            for path in self.folder.iterdir():
                if path.name in (_MARK, self.log.name):
                    continue
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()
        except OSError as error:
            raise SetUpError(f"The old environment cannot be removed: {error}") from error
        pip = ensure_pip_can_come(self.log)
        options = [] if pip else ["--without-pip"]
        self._logged([sys.executable, "-m", "venv", *options, str(self.folder)], "The environment could not be made")
        if not pip:
            command = [sys.executable, "-m", "pip", "--python", str(self.python), "install", "pip"]
            self._logged(command, "pip could not be installed")

    def _install(self) -> None:
        _say("Installing the libraries (some minutes the first time) ...")
        constraints = self._constraints.relative_to(self.root).as_posix()
        pip = [str(self.python), "-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--prefer-binary"]
        pinned = _pins(self._constraints)["pip"]
        self._logged([*pip, f"pip=={pinned}"], "pip could not be brought up to date")
        what = ["--constraint", constraints, "--build-constraint", constraints, "--editable", ".[dev]"]
        self._logged([*pip, *what], "The libraries could not be installed")

    def _logged(self, command: Sequence[str], failure: str) -> None:
        with self.log.open("a", encoding="utf-8", errors="replace") as log:
            log.write(f"$ {' '.join(command)}\n")
            log.flush()
            start = log.tell()
            ended = subprocess.run(
                command,
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                env=_clean_environment(), cwd=self.root, check=False,
            )  # fmt: skip
        if ended.returncode != 0:
            raise SetUpError(f"{failure}: {_reason(self.log, start)} Details: {self.log}")


def ensure_pip_can_come(log_path: Path) -> bool:
    """Whether `venv` can bring pip. Debian keeps that part of Python in a package of its own, which is installed.

    Raises:
        SetUpError: It cannot, and there is no other pip.
    """
    if importlib.util.find_spec("ensurepip") is not None:
        return True
    package = f"python3.{sys.version_info[1]}-venv"
    if shutil.which("apt-get"):
        _say(f"Installing {package} ...")
        with log_path.open("a", encoding="utf-8") as log:
            system_libraries.install([package], log)
        importlib.invalidate_caches()
        if importlib.util.find_spec("ensurepip") is not None:
            return True
    if importlib.util.find_spec("pip") is not None:
        return False
    remedy = system_libraries.by_hand([package]) if shutil.which("apt-get") else "a Python with ensurepip or pip"
    raise SetUpError(f"This Python cannot make environments. Install the missing part: {remedy}")


def ensure_system_libraries(environment: Environment, *, try_again: bool) -> None:
    """Install the system libraries that are missing, or name them in one line. Goes on in either case.

    Args:
        environment: Where what was tried is remembered, so that the next call does not try for minutes again.
        try_again: Try even what failed before.
    """
    lacking = system_libraries.missing()
    if not lacking:
        return
    names = system_libraries.packages(lacking)
    tried = environment.folder / "system-libraries-tried"
    before = tried.read_text(encoding="utf-8") if tried.exists() else ""
    if names and (try_again or before != "\n".join(names)):
        _say(f"Installing system libraries: {' '.join(names)} ...")
        with environment.log.open("a", encoding="utf-8", errors="replace") as log:
            system_libraries.install(names, log)
        lacking = system_libraries.missing()
        names = system_libraries.packages(lacking)
        tried.write_text("\n".join(names), encoding="utf-8")
    if lacking and names:
        _say(f"System libraries are missing. Install them with: {system_libraries.by_hand(names)}")
    elif lacking:
        _say(f"System libraries are missing: {', '.join(library.name for library in lacking)}.")


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock that ends with the process, so that two set-ups of one checkout do not meet."""
    with path.open("a+b") as file:
        if not _try_lock(file):
            _say("Another set-up of this checkout is at work; waiting for it ...")
            while not _try_lock(file):
                time.sleep(0.2)
        yield


def _try_lock(file: IO[bytes]) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def set_up(root: Path, *, try_again: bool = False) -> Environment:
    """Everything that the program and its tests need.

    Raises:
        SetUpError: Something cannot be installed.
    """
    with locked(root / ".venv.lock"):
        environment = Environment(root)
        environment.claim()
        ensure_system_libraries(environment, try_again=try_again)
        environment.ensure()
    return environment


def run(environment: Environment, arguments: Sequence[str]) -> int:
    """The workstation on the sample study, or whatever `medview` is asked; the self-test where there is no display."""
    if not arguments:
        if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            _say("There is no display, so the window cannot open; running the self-test instead.")
            arguments = ["selftest"]
        else:
            arguments = ["demo"]
    # -P: a file of the user's folder that is called like a module must not be taken for it.
    return _hand_over([str(environment.python), "-P", "-m", "medview", *arguments], cwd=None)


def test(environment: Environment, arguments: Sequence[str]) -> int:
    """The test suite, on all cores; the windows of each process open on a virtual display of its own."""
    # A process that crashes ends the run: what it had still to do would be waited for without end.
    side_by_side = ["--numprocesses=logical", "--maxprocesses=4", "--dist=loadfile", "--max-worker-restart=0"]
    return _hand_over([str(environment.python), "-m", "pytest", *side_by_side, *arguments], cwd=environment.root)


def _hand_over(command: Sequence[str], cwd: Path | None) -> int:
    with subprocess.Popen(command, cwd=cwd, env=_clean_environment()) as child:
        while True:
            try:
                return child.wait()
            except KeyboardInterrupt:
                # The child got it too and ends by itself, in its own way.
                continue


def _clean_environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in _DROPPED}
    return {**kept, "PYTHONNOUSERSITE": "1", "PYTHONUTF8": "1"}


def _pins(constraints: Path) -> dict[str, str]:
    lines = (line.split("#")[0].split(";")[0].strip() for line in constraints.read_text(encoding="utf-8").splitlines())
    pairs = (line.split("==") for line in lines if "==" in line)
    return {name.strip(): version.strip() for name, version in pairs}


def _quietly(command: Sequence[str], question: str = "", cwd: Path | None = None) -> bool:
    try:
        ended = subprocess.run(
            command, input=question, text=True, encoding="utf-8", capture_output=True, timeout=120,
            env=_clean_environment(), cwd=cwd, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return False
    return ended.returncode == 0


def _reason(log: Path, start: int) -> str:
    """The line of a log, from `start` on, that says best why a command failed."""
    with log.open("rb") as file:
        file.seek(start)
        lines = [line.strip() for line in file.read().decode("utf-8", errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if line.upper().startswith("ERROR")]
    said = (errors or lines or ["no reason was given."])[-1]
    return said if said.endswith(".") else f"{said}."


def _say(sentence: str) -> None:
    print(f"medview: {sentence}", flush=True)


def main(arguments: Sequence[str]) -> int:
    """Do what the first argument says; returns the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A console that cannot show a letter of a path must not end the set-up.
            stream.reconfigure(errors="backslashreplace")
    commands = {"setup": None, "run": run, "test": test}
    if not arguments or arguments[0] not in commands:
        wants_help = bool(arguments) and arguments[0] in ("-h", "--help")
        print((__doc__ or "").strip(), file=sys.stdout if wants_help else sys.stderr)
        return 0 if wants_help else 2
    start = commands[arguments[0]]
    try:
        environment = set_up(_ROOT, try_again=start is None)
    except SetUpError as error:
        print(f"medview: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"medview: The set-up was refused by the system: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("medview: Stopped. The next call takes up from here.", file=sys.stderr)
        return 130
    return 0 if start is None else start(environment, arguments[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
