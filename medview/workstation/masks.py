"""Masks from and to files, on the grid of the series that they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

import numpy as np

from medview.catalog import terminology
from medview.core.errors import GridMismatchError, InputError
from medview.core.geometry import Geometry
from medview.core.progress import Progress
from medview.core.proof import Proof
from medview.core.segmentation import Labels, Segment, Segmentation
from medview.core.text import Text
from medview.core.volume import Volume
from medview.formats import image_files

_SAME_VOXEL = 0.05
"""How far, in voxels, the centres of two grids may be apart and still count as the same voxels."""


class DicomMask(StrEnum):
    """The forms in which DICOM keeps masks."""

    SEG = "seg"
    LABELMAP = "labelmap"
    RTSTRUCT = "rtstruct"


def is_dicom_name(path: Path) -> bool:
    """Whether a mask of this name is, or becomes, a DICOM object."""
    return not image_files.is_image_file(path)


def read_mask(path: Path, volume: Volume, progress: Progress) -> Segmentation:
    """Read a mask onto a volume's grid, as `read_layers` does.

    Raises:
        InputError: It is damaged, no mask, or lies on another grid, or its structures overlap.
    """
    layers = read_layers(path, volume.geometry, progress)
    if len(layers) > 1:
        raise InputError(
            Text.of("Segments of {name} overlap.", name=path.name),
            "Open it in the window, where overlapping segments become separate segmentations.",
        )
    return layers[0]


def read_layers(path: Path, grid: Geometry, progress: Progress) -> tuple[Segmentation, ...]:
    """Read masks onto a grid; structures that overlap others are put into further segmentations.

    Args:
        path: DICOM SEG, RTSTRUCT, NIfTI, NRRD or MetaImage. The axes of an image file may run in another order or
            direction than those of the volume, as other programs write them, and it may cover a part of it.
        grid: Of the volume that the masks were drawn on.
        progress: Reported to and asked for cancellation.

    Raises:
        InputError: It is damaged, no mask, or lies on another grid.
    """
    if is_dicom_name(path):
        from medview.formats import dicom_seg, mask_references, rtstruct_reader

        if mask_references.is_mask(path) and mask_references.read(path).is_structure_set:
            return rtstruct_reader.read_layers(path, grid, progress)
        return dicom_seg.read_layers(path, grid, progress)
    onto = labels_on(path, grid)
    known = terminology.load()
    segments = tuple(
        Segment(int(label), f"Segment {label}", known.color(int(label))) for label in np.unique(onto) if label
    )
    return (Segmentation(grid, onto, segments, title=path.name),)


def labels_on(path: Path, grid: Geometry) -> Labels:
    """Read a label map onto a grid: (k, j, i) uint8 or uint16.

    Args:
        path: NIfTI, NRRD or MetaImage.
        grid: Where it shall lie; the file may cover a part of it, with its axes in any order and direction.

    Raises:
        InputError: It is damaged, no label map, or lies on another grid.
    """
    labels, geometry = image_files.read_labels(path)
    onto = on_grid(labels, geometry, grid)
    if onto is None:
        raise GridMismatchError(
            Text.of("{name} does not lie on the grid of the image.", name=path.name),
            Text("Use labels that were drawn on this image and not resampled."),
        )
    return onto


def write_mask(
    segmentation: Segmentation,
    volume: Volume,
    sources: Sequence[Path],
    path: Path,
    progress: Progress,
    *,
    dicom: DicomMask | None = None,
) -> Proof:
    """Write a mask in the format that the file's name asks for, and prove it by reading it back.

    Args:
        segmentation: The mask, on the volume's grid.
        volume: What it was drawn on.
        sources: The DICOM files of the volume; empty when it does not come from DICOM.
        path: Ends in .dcm, .nii.gz, .nii, .nrrd or .mha.
        progress: Reported to and asked for cancellation.
        dicom: The form of a .dcm file; None: a SEG, with a mask for each structure or one map as fits their number.

    Raises:
        InputError: A DICOM object is wanted and the series is not DICOM.
        StorageError: It could not be written, or did not read back as meant.
    """
    from medview.formats import dicom_seg, rtstruct_writer

    if is_dicom_name(path):
        if not sources:
            raise InputError(
                Text("DICOM masks refer to DICOM images, and this series has none."),
                Text("Save it as NIfTI, or name the DICOM series."),
            )
        if dicom is DicomMask.RTSTRUCT:
            return rtstruct_writer.write(segmentation, volume, sources, path, progress)
        kinds = {DicomMask.SEG: dicom_seg.SegKind.BINARY, DicomMask.LABELMAP: dicom_seg.SegKind.LABELMAP}
        kind = kinds.get(dicom) if dicom is not None else None
        return dicom_seg.write(segmentation, volume, sources, path, progress, kind=kind)
    return image_files.write_proved(segmentation.labels, segmentation.geometry, path)


def on_grid(labels: Labels, geometry: Geometry, grid: Geometry) -> Labels | None:
    """The same labels on another grid, voxel for voxel.

    Args:
        labels: (k, j, i) uint8 or uint16.
        geometry: Their grid.
        grid: The wanted one.

    Returns:
        (k, j, i) of the wanted grid; background where there were no labels. None when the voxels of one are not voxels
        of the other, or when a label would fall outside.
    """
    # Columns: where a step along each axis of the labels leads, in steps of the wanted grid.
    steps = np.linalg.inv(grid.affine[:3, :3]) @ geometry.affine[:3, :3]
    whole = np.rint(steps)
    start = grid.to_index(geometry.origin_mm)
    far = np.abs(steps - whole).max(axis=0) @ (np.asarray(geometry.shape) - 1)
    is_permutation = (np.abs(whole).sum(axis=0) == 1).all() and (np.abs(whole).sum(axis=1) == 1).all()
    if not is_permutation or far > 3 * _SAME_VOXEL or np.abs(start - np.rint(start)).max() > _SAME_VOXEL:
        return None
    order = np.abs(whole).argmax(axis=1)
    turned = labels.transpose(order)
    signs = whole[np.arange(3), order]
    turned = turned[tuple(slice(None, None, 1 if sign > 0 else -1) for sign in signs)]
    shape = np.asarray(turned.shape)
    first = np.rint(start) - np.where(signs < 0, shape - 1, 0)
    low = np.maximum(first, 0).astype(int)
    high = np.minimum(first + shape, grid.shape).astype(int)
    onto = np.zeros(grid.shape, dtype=labels.dtype)
    if (low < high).all():
        inside = turned[
            tuple(slice(a, b) for a, b in zip(low - first.astype(int), high - first.astype(int), strict=True))
        ]
        onto[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = inside
    return onto if np.count_nonzero(onto) == np.count_nonzero(labels) else None
