"""Images and masks of one structure each, in a folder for every patient, for networks that segment inside a box."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from medview.core.errors import GridMismatchError, InputError
from medview.core.progress import Progress
from medview.core.text import Text
from medview.formats import image_files
from medview.learning.boxed_training import BoxedCase
from medview.learning.training_data import CasePair

_IMAGE, _MASK = "*_image.nii*", "*_mask.nii*"


def find_pairs(folder: Path) -> tuple[CasePair, ...]:
    """The patients of a folder that holds a folder for each, with one image and one mask; sorted by name.

    Raises:
        InputError: When there are none.
    """
    pairs = []
    for patient in sorted(one for one in folder.glob("*") if one.is_dir()):
        images, masks = sorted(patient.glob(_IMAGE)), sorted(patient.glob(_MASK))
        if len(images) == len(masks) == 1:
            pairs.append(CasePair(patient.name, images[0], masks[0], patient.name))
    if not pairs:
        raise InputError(
            Text.of("{folder} holds no folders with an image and its mask.", folder=str(folder)),
            "Choose a folder with NAME_image.nii.gz and NAME_mask.nii.gz in a folder for each patient.",
        )
    return tuple(pairs)


def load_cases(pairs: Sequence[CasePair], progress: Progress) -> tuple[BoxedCase, ...]:
    """Read all pairs into memory.

    Raises:
        InputError: When a file cannot be used, or a mask is empty.
        GridMismatchError: When a mask lies on another grid than its image.
    """
    cases = []
    for done, pair in enumerate(pairs):
        progress.raise_if_cancelled()
        progress.report(done / len(pairs), Text.of("Reading {name}", name=pair.name))
        volume = image_files.read_volume(pair.image, progress)
        labels, grid = image_files.read_labels(pair.mask)
        if not grid.same_grid(volume.geometry):
            raise GridMismatchError(
                Text.of("The mask of {name} does not lie on the grid of its image.", name=pair.name), "Leave it out."
            )
        if not labels.any():
            raise InputError(Text.of("The mask of {name} is empty.", name=pair.name), "Leave it out.")
        cases.append(BoxedCase.of(pair.name, volume.geometry, volume.voxels, labels))
    return tuple(cases)
