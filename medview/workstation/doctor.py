"""What this machine has, and whether it is enough: asked before a patient's study is on the screen."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from medview import __version__
from medview.catalog.plugins import PluginRecord, PluginState
from medview.core.errors import MedViewError
from medview.core.folders import resources_folder
from medview.core.memory import total_bytes
from medview.core.text import Text
from medview.formats.decoders import DecoderState, decoder_reports

_LIBRARIES = ("PySide6", "vtk", "pydicom", "highdicom", "SimpleITK", "numpy", "torch", "monai")
_LEAST_MEMORY_GIB = 8
_LEAST_FREE_GIB = 5
_GIB = 2**30


class Health(StrEnum):
    """GOOD, good to know, to be careful with, or a reason why something will not work."""

    GOOD = "good"
    NOTE = "note"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that was found.

    Attributes:
        topic: What it is about: "program", "machine", "graphics", "models", "pixels", "folders", "plugins".
        name: What was looked at, as "memory".
        value: What was found.
        health: Whether that is enough.
        remedy: What to do when it is not.
    """

    topic: str
    name: str
    value: str
    health: Health = Health.GOOD
    remedy: Text = field(default_factory=lambda: Text(""))


Look = Callable[[], str]
"""Looks at one thing and says what it found; raises `MedViewError` when that does not work."""


def examine(
    home: Path, plugins: Sequence[PluginRecord], *, opengl: Look | None = None, accelerator: Look | None = None
) -> tuple[Fact, ...]:
    """Look at everything that the program needs.

    Args:
        home: The user's folder.
        plugins: The plugins that were found.
        opengl: Draws off screen and names the renderer that did; None: not looked at.
        accelerator: Names the processor that models run on; None: not looked at.
    """
    return (
        *_program(),
        *_machine(),
        *_looked("graphics", "OpenGL", opengl, Text("Install or update the driver of the graphics card.")),
        *_looked("models", "runs on", accelerator, Text("Install the program again.")),
        *_pixels(),
        *_folders(home),
        *(_plugin(record) for record in plugins),
    )


def is_well(facts: Sequence[Fact]) -> bool:
    """Whether nothing that was found keeps the program from working."""
    return all(fact.health is not Health.BAD for fact in facts)


def _program() -> list[Fact]:
    kind = "frozen" if getattr(sys, "frozen", False) else "Python " + platform.python_version()
    facts = [Fact("program", "MedView", f"{__version__} ({kind})")]
    for name in _LIBRARIES:
        try:
            facts.append(Fact("program", name, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            facts.append(Fact("program", name, "missing", Health.BAD, Text("Install the program again.")))
    return facts


def _machine() -> list[Fact]:
    facts = [
        Fact("machine", "system", platform.platform()),
        Fact("machine", "processor", f"{_processor()}, {_usable_threads()} threads"),
    ]
    memory = total_bytes()
    if memory is not None:
        enough = memory / _GIB >= _LEAST_MEMORY_GIB - 1  # the firmware keeps a part of what was bought
        facts.append(
            Fact(
                "machine",
                "memory",
                f"{memory / _GIB:.1f} GiB",
                Health.GOOD if enough else Health.WARNING,
                Text("") if enough else Text("Large studies need 8 GiB or more."),
            )
        )
    return facts


def _looked(topic: str, name: str, look: Look | None, remedy: Text) -> list[Fact]:
    if look is None:
        return []
    try:
        return [Fact(topic, name, look())]
    except MedViewError as error:
        return [Fact(topic, name, str(error.what), Health.BAD, error.remedy or remedy)]


def _pixels() -> list[Fact]:
    facts = []
    for report in decoder_reports():
        good = report.state in (DecoderState.WORKS, DecoderState.PRESENT)
        libraries = f" ({', '.join(report.libraries)})" if report.libraries else ""
        facts.append(
            Fact(
                "pixels",
                report.name,
                f"{report.state}{libraries}",
                Health.GOOD if good else Health.BAD,
                Text("") if good else Text("Install the program again."),
            )
        )
    return facts


def _folders(home: Path) -> list[Fact]:
    shipped = resources_folder()
    there = shipped.is_dir()
    facts = [
        Fact(
            "folders",
            "program's own files",
            str(shipped),
            Health.GOOD if there else Health.BAD,
            Text("") if there else Text("Install the program again."),
        )
    ]
    if not _is_writable(home):
        remedy = Text("Check the folder's rights, or name another one in MEDVIEW_HOME.")
        return [*facts, Fact("folders", "your data", f"{home}: cannot be written", Health.BAD, remedy)]
    free = shutil.disk_usage(home).free / _GIB
    enough = free >= _LEAST_FREE_GIB
    facts.append(Fact("folders", "your data", str(home)))
    facts.append(
        Fact(
            "folders",
            "free space",
            f"{free:.1f} GiB",
            Health.GOOD if enough else Health.WARNING,
            Text("") if enough else Text("Make room before you save examples."),
        )
    )
    return facts


def _plugin(record: PluginRecord) -> Fact:
    ready = record.state is PluginState.READY
    value = str(record.state.value) if ready or not record.reason else f"{record.state.value}: {record.reason}"
    return Fact("plugins", record.id, value, Health.GOOD if ready else Health.WARNING)


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _usable_threads() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _is_writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\0")
    except OSError:
        return False
    return True
