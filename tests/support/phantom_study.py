"""The chest phantom, made once for the whole run: as arrays, and as a DICOM series on disk.

Ask for the fixtures `chest_phantom`, `small_phantom`, `chest_series_folder` or `small_series_folder`. Nobody may write
into the folders.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from medview.core.progress import NoProgress
from medview.formats import dicom_files, dicom_series
from medview.formats.dicom_series import DicomSeries
from medview.formats.dicom_writer import write_series
from medview.phantom import chest
from medview.phantom.chest import Phantom


@pytest.fixture(scope="session")
def chest_phantom() -> Phantom:
    """(160, 256, 256): 2.5 x 1.5 x 1.5 mm."""
    return chest.make()


@pytest.fixture(scope="session")
def small_phantom() -> Phantom:
    """(40, 64, 64): 10 x 6 x 6 mm; for tests that need anatomy but no detail."""
    return chest.make((40, 64, 64))


@pytest.fixture(scope="session")
def chest_series_folder(chest_phantom: Phantom, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The chest phantom as a DICOM CT series of 160 files."""
    folder = tmp_path_factory.mktemp("chest-phantom")
    write_series(chest_phantom.volume, folder)
    return folder


@pytest.fixture(scope="session")
def small_series_folder(small_phantom: Phantom, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small phantom as a DICOM CT series of 40 files."""
    folder = tmp_path_factory.mktemp("small-phantom")
    write_series(small_phantom.volume, folder)
    return folder


def series_in(folder: Path) -> DicomSeries:
    """The one series of a folder."""
    (series,) = dicom_series.group(dicom_files.scan([folder], NoProgress()).headers)
    return series
