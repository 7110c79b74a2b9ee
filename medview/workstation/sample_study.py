"""The study that the demo opens: the chest phantom as a DICOM series, made on first use."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

from medview.core.errors import StorageError
from medview.core.progress import PartOf, Progress
from medview.core.text import Text
from medview.formats.dicom_writer import write_series
from medview.phantom import chest


def ensure(home: Path, progress: Progress) -> Path:
    """The folder with the sample study; made when it is not there yet, as a whole or not at all.

    Args:
        home: The user's data folder.
        progress: Told how far it is.

    Raises:
        StorageError: The disk refuses.
        Cancelled: The progress says so.
    """
    folder = home / "sample-study"
    if folder.is_dir():
        return folder
    temporary = home / f".sample-study-{uuid.uuid4().hex}"
    try:
        progress.report(None, Text("Making the sample study"))
        phantom = chest.make()
        progress.raise_if_cancelled()
        write_series(phantom.volume, temporary, progress=PartOf(progress, 0.5, 1.0))
        try:
            temporary.replace(folder)
        except OSError:
            if not folder.is_dir():  # another MedView may have made it meanwhile
                raise
    except OSError as error:
        raise StorageError(
            Text.of("The sample study could not be written: {reason}.", reason=error.strerror or type(error).__name__),
            Text.of("Check that there is room in {folder} and that it may be written to.", folder=str(home)),
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder
