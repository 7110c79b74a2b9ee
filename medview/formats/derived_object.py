"""How every object that is derived from a series begins and ends: its images are found, and its file is proved.

Segmentations, structure sets, reports and maps refer to the images that they were made from, repeat what those say of
patient and study, and count as saved only when what lies on the disk was read back and says what was meant.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset

from medview.core.errors import Cancelled, MedViewError, StorageError
from medview.core.files import whole_file
from medview.core.geometry import Geometry
from medview.core.progress import Progress
from medview.core.proof import Proof
from medview.core.text import Text
from medview.formats.seg_source import SourceImage, completed, images_on, pictures_in, with_slices


@dataclass(frozen=True, slots=True)
class SourceSeries:
    """What a derived object refers to.

    Attributes:
        geometry: The grid; with the slices that it was corrected from, where it is a corrected one.
        images: The images on it, ordered along k.
        headers: Of each image, with everything that the object has to repeat.
        lost: The files that are gone or unreadable.
    """

    geometry: Geometry
    images: tuple[SourceImage, ...]
    headers: list[Dataset]
    lost: tuple[Path, ...]


def sources_on(
    geometry: Geometry, files: Sequence[Path], progress: Progress, *, series_uid: str = "", phase: int = 0
) -> SourceSeries:
    """The images of a series that lie on a grid, and what an object that refers to them has to say.

    Args:
        geometry: The grid.
        files: The DICOM files of the series, in any order; others among them do no harm.
        progress: Asked for cancellation.
        series_uid: The series; used where the files lack one.
        phase: Which of its volumes, where the files hold several on one grid.

    Raises:
        GridMismatchError: No file lies on the grid.
        Cancelled: The progress says so.
    """
    geometry = with_slices(geometry, files)
    images, lost = images_on(geometry, files, progress, phase=phase)
    return SourceSeries(geometry, images, completed(images, geometry, series_uid), lost)


def picture_sources(
    geometry: Geometry, files: Sequence[Path], progress: Progress, *, series_uid: str = ""
) -> SourceSeries:
    """As `sources_on`, of pictures that have no place in the patient: all of the series.

    Raises:
        GridMismatchError: No file is there.
        Cancelled: The progress says so.
    """
    images, lost = pictures_in(files, progress)
    return SourceSeries(geometry, images, completed(images, geometry, series_uid), lost)


def save_proved(
    path: Path, write: Callable[[Path], None], prove: Callable[[Path], Proof], progress: Progress, failure: StorageError
) -> Proof:
    """Write an object beside its place, prove it, and only then put it there.

    Args:
        path: The file; replaced when it exists, and left as it was when something fails.
        write: Makes the object and writes it to the path that it gets.
        prove: Reads a file back and compares it with what was meant.
        progress: Told when the object is read back.
        failure: What is raised when a value of the source is too much for a library.

    Raises:
        StorageError: It could not be written, or did not read back as meant; or `failure`.
        Cancelled: The progress says so.
    """
    with warnings.catch_warnings():
        # highdicom and pydicom warn of values of the source that are not ours to change
        warnings.simplefilter("ignore")
        try:
            with whole_file(path) as temporary:
                write(temporary)
                progress.report(0.7, Text("Reading it back"))
                Proof(path, prove(temporary).differences).require()
        except (MedViewError, Cancelled):
            raise
        except Exception as error:  # values of the source may raise anything in a library
            raise failure from error
    progress.report(1.0)
    return Proof(path)
