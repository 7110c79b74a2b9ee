"""A phantom that is just fine enough for a model to find its lungs."""

from __future__ import annotations

from pathlib import Path

import pytest

from medview.formats.dicom_writer import write_series
from medview.phantom import chest
from medview.phantom.chest import Phantom


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
