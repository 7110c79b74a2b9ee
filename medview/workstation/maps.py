"""Maps of numbers, as probability or uncertainty, from image files to DICOM."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from medview.catalog import quantities
from medview.core.errors import GridMismatchError, InputError
from medview.core.progress import PartOf, Progress
from medview.core.proof import Proof
from medview.core.text import Text
from medview.core.volume import Volume
from medview.formats import image_files
from medview.workstation import masks

_UNITS = {"apparent diffusion coefficient": "um2/s"}
"""Units of maps that have one."""


def write_map(
    source: Path, volume: Volume, files: Sequence[Path], path: Path, quantity: str, progress: Progress
) -> Proof:
    """Write a map that lies on a volume's grid as a DICOM parametric map, and prove it.

    Args:
        source: NIfTI, NRRD or MetaImage; its axes may run in another order or direction than those of the volume.
        volume: What it belongs to.
        files: The DICOM files of the volume.
        path: The map.
        quantity: What its numbers say: a name in `resources/quantities.json`.
        progress: Reported to and asked for cancellation.

    Raises:
        InputError: There is no such quantity, the file is damaged or lies on another grid, or the series is not DICOM.
        StorageError: It could not be written, or did not read back as meant.
    """
    image = image_files.read_volume(source, PartOf(progress, 0.0, 0.3))
    values = masks.on_grid(image.voxels, image.geometry, volume.geometry)
    if values is None:
        raise GridMismatchError(
            Text.of("{name} does not lie on the grid of the image.", name=source.name),
            Text("Use a map that was computed on this image and not resampled."),
        )
    return write_values(values, volume, files, path, quantity, PartOf(progress, 0.3, 1.0))


def write_values(
    values: NDArray[Any], volume: Volume, files: Sequence[Path], path: Path, quantity: str, progress: Progress
) -> Proof:
    """Write numbers on a volume's grid, (k, j, i), as a DICOM parametric map, and prove it; else as `write_map`.

    Raises:
        InputError: There is no such quantity, or the series is not DICOM.
        StorageError: It could not be written, or did not read back as meant.
    """
    from medview.formats import parametric_map

    known = quantities.load()
    code = known.maps.get(quantity)
    if code is None:
        raise InputError(
            Text.of("No map says {quantity}.", quantity=quantity),
            Text.of("Choose one of these: {names}.", names=", ".join(known.maps)),
        )
    if not files:
        raise InputError(
            Text("Parametric maps refer to DICOM images, and this series has none."), Text("Open the DICOM series.")
        )
    meaning = parametric_map.MapMeaning(code, known.unit(_UNITS.get(quantity, "")), code.meaning)
    return parametric_map.write(
        values, volume.geometry, meaning, files, path, progress, series_uid=volume.series_uid, phase=volume.phase
    )
