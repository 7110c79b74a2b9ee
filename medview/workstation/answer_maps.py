"""The maps that come with a plugin's labels: as images of the case, and as files."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medview.catalog.manifest import PluginManifest
from medview.core.case import Case, Series
from medview.core.evidence import NOT_THE_DISEASE
from medview.core.progress import PartOf, Progress
from medview.core.proof import Proof
from medview.core.text import Text
from medview.core.volume import Modality, Volume, VolumeId, Window
from medview.formats import image_files
from medview.inference.maps import MapKind, SideMap
from medview.workstation import maps

_PERCENT = 100
_QUANTITIES = {MapKind.EVIDENCE: "class activation"}
"""Of maps that are called otherwise in `resources/quantities.json`."""


@dataclass(frozen=True, slots=True)
class MapImage:
    """A map as an image of its own.

    Attributes:
        volume: In whole percent, on the grid of what was analysed.
        picture: (row, column) uint8, for the list of series.
    """

    volume: Volume
    picture: NDArray[np.uint8]

    def put_into(self, case: Case) -> None:
        """Add it to a case; its series has no files."""
        volume = self.volume
        series = Series(
            volume.series_uid, case.study, volume.modality, volume.description, None, "", (),
            volume.geometry.shape[0], volume.geometry,
        )  # fmt: skip
        case.put_series(series)
        case.put_thumbnail(series.uid, self.picture)
        case.add_volume(volume)


def title_of(map_: SideMap, manifest: PluginManifest, plugin: str, method: Text | None = None) -> Text:
    """What people call a map.

    Args:
        map_: The map.
        manifest: Names structures and classes.
        plugin: What its plugin is called.
        method: How evidence was asked for.
    """
    if map_.kind is MapKind.UNCERTAINTY:
        return Text.of("Uncertainty of {plugin} (entropy, %)", plugin=Text(plugin))
    of_class = map_.kind is MapKind.EVIDENCE
    known = manifest.class_ if of_class else manifest.label
    name = next((one.name for one in known if one.value == map_.label), str(map_.label))
    if of_class:
        return Text.of("Evidence for {name} ({method})", name=Text(name), method=method or Text(""))
    return Text.of("Probability of {structure}, {plugin} (%)", structure=Text(name), plugin=Text(plugin))


def image_of(map_: SideMap, volume: Volume, title: str) -> MapImage:
    """A map as an image in whole percent. Takes as long as looking at every voxel once.

    Args:
        map_: On the volume's grid.
        volume: What was analysed.
        title: What the list calls the map.
    """
    from medview.formats import thumbnails

    voxels = np.empty(map_.values.shape, dtype=np.uint8)
    for into, plane in zip(voxels, map_.values, strict=True):
        into[...] = np.rint(plane.astype(np.float32) * _PERCENT)
    uid = f"medview-map-{uuid.uuid4().hex}"
    shown = Volume(
        VolumeId(uid), volume.geometry, voxels, Modality.OTHER, "%", uid, title, (Window.between(0, _PERCENT),),
        is_spatial=volume.is_spatial,
        caution=NOT_THE_DISEASE if map_.kind is MapKind.EVIDENCE else volume.caution,
    )  # fmt: skip
    return MapImage(shown, thumbnails.of_volume(shown))


def save(map_: SideMap, volume: Volume, sources: Sequence[Path], path: Path, progress: Progress) -> Proof:
    """Write a map, 0..1, as NIfTI, NRRD, MetaImage or a DICOM parametric map, by the file's ending, and prove it.

    Args:
        map_: On the volume's grid.
        volume: What was analysed.
        sources: The DICOM files of the volume; empty when it does not come from DICOM.
        path: The file.
        progress: Reported to and asked for cancellation.

    Raises:
        InputError: A DICOM map is asked for, and the series is not DICOM.
        StorageError: The ending is another, or the disk refuses, or it did not read back as meant.
    """
    values = map_.values.astype(np.float32)
    if path.suffix.lower() == ".dcm":
        quantity = _QUANTITIES.get(map_.kind, map_.kind.value)
        return maps.write_values(values, volume, sources, path, quantity, progress)
    return image_files.write_proved(values, volume.geometry, path)


def save_all(
    found: Sequence[SideMap], volume: Volume, sources: Sequence[Path], folder: Path, progress: Progress
) -> tuple[Proof, ...]:
    """Write maps into a folder: each as NIfTI, and from a DICOM series as a parametric map too.

    Raises:
        StorageError: A file could not be written, or did not read back as meant; those before it are there.
    """
    proofs = []
    for number, one in enumerate(found):
        name = one.kind.value if one.kind is MapKind.UNCERTAINTY else f"{one.kind.value}-{one.label}"
        part = PartOf(progress, number / len(found), (number + 1) / len(found))
        part.report(0.0, Text.of("Writing {name}", name=name))
        proofs.append(save(one, volume, sources, folder / f"{name}.nii.gz", part))
        if sources:
            proofs.append(save(one, volume, sources, folder / f"{name}.dcm", part))
    return tuple(proofs)
