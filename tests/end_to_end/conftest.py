"""A phantom that is just fine enough for a model to find its lungs, and the command line in processes of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from medview.formats.dicom_writer import write_series
from medview.phantom import chest
from medview.phantom.chest import Phantom

Ended = subprocess.CompletedProcess[str]
Run = Callable[..., Ended]


@pytest.fixture(scope="session")
def coarse_phantom() -> Phantom:
    """(80, 128, 128): 5 x 3 x 3 mm."""
    return chest.make((80, 128, 128))


@pytest.fixture(scope="session")
def coarse_series_folder(coarse_phantom: Phantom, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The coarse phantom as a DICOM CT series of 80 files."""
    folder = tmp_path_factory.mktemp("coarse-phantom")
    write_series(coarse_phantom.volume, folder)
    return folder


@pytest.fixture
def medview(medview_home: Path, tmp_path: Path) -> Run:
    """Runs a command in an empty folder, with a home of its own and no display."""
    hidden = ("DISPLAY", "WAYLAND_DISPLAY")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    root = Path(__file__).resolve().parents[2]
    environment |= {"PYTHONPATH": str(root), "PYTHONWARNINGS": "ignore", "MEDVIEW_HOME": str(medview_home)}
    here = tmp_path / "here"
    here.mkdir()

    def run(*arguments: str | Path) -> Ended:
        command = [sys.executable, "-m", "medview", *map(str, arguments)]
        return subprocess.run(
            command, cwd=here, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )

    return run
