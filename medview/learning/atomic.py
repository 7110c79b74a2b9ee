"""Files that are either whole or not there."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from medview.core.errors import StorageError
from medview.core.text import Text


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file under a temporary name in the same folder and move it into place.

    Raises:
        StorageError: When it cannot be written; what was there before stays as it was.
    """
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = file.name
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise StorageError(
            Text.of("{path} could not be written.", path=str(path)), "Check free space and permissions."
        ) from error
