"""Training data of a segmentation bundle: pairs of image and mask, the split by patient, and augmented patches.

The images go through the bundle's own preprocessing, read from its inference configuration, so that training and
inference cannot drift apart. The masks are brought onto the grid where that preprocessing ended.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from monai.data.meta_tensor import MetaTensor
from monai.transforms.compose import Compose
from monai.transforms.io.array import LoadImage
from monai.transforms.spatial.array import ResampleToMatch

from medview.core.errors import InputError
from medview.core.progress import Progress
from medview.core.text import Text
from medview.learning.recipe import Split

_SUFFIXES = (".nii.gz", ".nii")


@dataclass(frozen=True, slots=True)
class CasePair:
    """One image with its mask, as two files of a folder in the layout of the Medical Segmentation Decathlon."""

    name: str
    image: Path
    mask: Path
    patient: str


@dataclass(frozen=True, slots=True)
class TrainingCase:
    """One case on the grid that the network sees.

    Attributes:
        name: The name of the case.
        image: (channel, x, y, z) float32, in the unit that the bundle's preprocessing ends with.
        labels: (class, x, y, z) float32, one channel per foreground label, 0 or 1.
    """

    name: str
    image: torch.Tensor
    labels: torch.Tensor


def find_pairs(folder: Path, images_per_patient: int = 1) -> tuple[CasePair, ...]:
    """The cases of a folder with `imagesTr` and `labelsTr`, sorted by name.

    Args:
        folder: The folder of the collection.
        images_per_patient: How many images with consecutive numbers belong to one patient. In the hippocampus set of
            the Decathlon it is 2: the intensities of cases 2n-1 and 2n agree about ten times closer than those of
            cases 2n and 2n+1, so they are the two hippocampi of one head.

    Raises:
        InputError: When there are no pairs.
    """
    pairs = []
    for image in sorted((folder / "imagesTr").glob("*")):
        suffix = next((suffix for suffix in _SUFFIXES if image.name.endswith(suffix)), None)
        mask = folder / "labelsTr" / image.name
        if suffix is None or image.name.startswith(".") or not mask.is_file():
            continue
        name = image.name.removesuffix(suffix)
        pairs.append(CasePair(name, image, mask, _patient(name, images_per_patient)))
    if not pairs:
        raise InputError(
            Text.of("{folder} holds no pairs of images and masks.", folder=str(folder)),
            "Choose a folder with images in imagesTr and masks of the same names in labelsTr.",
        )
    return tuple(pairs)


def _patient(name: str, images_per_patient: int) -> str:
    number = re.search(r"(\d+)$", name)
    if images_per_patient == 1 or number is None:
        return name
    return f"{name[: number.start()]}{(int(number.group(1)) + images_per_patient - 1) // images_per_patient}"


def is_held_out(patient: str, split: Split) -> bool:
    """Whether a patient is kept out of training.

    It depends on the patient and the salt alone, so it stays the same when a collection grows or is renamed.
    """
    digest = hashlib.sha256(f"{split.salt}/{patient}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64 < split.held_out_share


def divide(pairs: Sequence[CasePair], split: Split) -> tuple[tuple[CasePair, ...], tuple[CasePair, ...]]:
    """The pairs for training and the pairs held out, never of the same patient."""
    held_out = tuple(pair for pair in pairs if is_held_out(pair.patient, split))
    return tuple(pair for pair in pairs if pair not in held_out), held_out


def load_case(pair: CasePair, preprocessing: Compose, label_count: int) -> TrainingCase:
    """Read one pair: the image through the bundle's preprocessing, the mask onto the grid where that ended.

    Raises:
        InputError: When the mask holds a label that the network does not know.
    """
    prepared: Mapping[str, MetaTensor] = preprocessing({"image": str(pair.image)})
    image = prepared["image"]
    mask = LoadImage(reader="NibabelReader", image_only=True, ensure_channel_first=True)(str(pair.mask))
    mask = ResampleToMatch(mode="nearest", padding_mode="zeros")(mask, img_dst=image).as_tensor().round().long()
    if int(mask.max()) > label_count or int(mask.min()) < 0:
        raise InputError(
            Text.of("The mask of {name} holds labels that the network does not know.", name=pair.name),
            "Leave it out, or use a bundle with more labels.",
        )
    labels = torch.nn.functional.one_hot(mask[0], label_count + 1).movedim(-1, 0)[1:]
    return TrainingCase(pair.name, image.as_tensor().float().contiguous(), labels.float().contiguous())


def load_cases(
    pairs: Sequence[CasePair], preprocessing: Compose, label_count: int, progress: Progress
) -> tuple[TrainingCase, ...]:
    """Read all pairs into memory."""
    cases = []
    for done, pair in enumerate(pairs):
        progress.raise_if_cancelled()
        progress.report(done / len(pairs), Text.of("Reading {name}", name=pair.name))
        cases.append(load_case(pair, preprocessing, label_count))
    return tuple(cases)


def order_of_cases(count: int, first: int, batch_size: int, seed: int) -> tuple[int, ...]:
    """Which cases make up the batch that starts at the `first` drawn sample: every case once per epoch, shuffled."""
    chosen = []
    for position in range(first, first + batch_size):
        epoch, place = divmod(position, count)
        chosen.append(int(np.random.default_rng((seed, epoch)).permutation(count)[place]))
    return tuple(chosen)
