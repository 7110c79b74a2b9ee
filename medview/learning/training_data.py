"""Training data of a segmentation bundle: pairs of image and mask, and which of their patients are held out.

The images go through the bundle's own preprocessing, so that training and inference cannot drift apart. The masks are
brought onto the grid where that preprocessing ended.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import ResampleToMatch

from medview.core.errors import InputError
from medview.core.progress import NoProgress, Progress
from medview.core.text import Text
from medview.formats import image_files
from medview.inference import tensors
from medview.learning import splits
from medview.learning.bundle import TrainableBundle
from medview.learning.optimisation import HeldOut

IMAGES, MASKS = "imagesTr", "labelsTr"


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
    for image in sorted((folder / IMAGES).glob("*")):
        mask = folder / MASKS / image.name
        if image.name.startswith(".") or not image_files.is_image_file(image) or not mask.is_file():
            continue
        name = image.name.removesuffix(".gz").rpartition(".")[0]
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


def is_held_out(patient: str, rule: HeldOut) -> bool:
    """Whether a patient is kept out of training.

    It depends on the patient and the salt alone, so it stays the same when a collection grows.
    """
    return splits.place_of(f"{rule.salt}/{patient}") < rule.held_out_share


def divide(pairs: Sequence[CasePair], rule: HeldOut) -> tuple[tuple[CasePair, ...], tuple[CasePair, ...]]:
    """The pairs for training and the pairs held out, never of the same patient."""
    held_out = tuple(pair for pair in pairs if is_held_out(pair.patient, rule))
    return tuple(pair for pair in pairs if not is_held_out(pair.patient, rule)), held_out


def load_case(pair: CasePair, bundle: TrainableBundle) -> TrainingCase:
    """Read one pair: the image through the bundle's preprocessing, the mask onto the grid where that ended.

    Raises:
        InputError: When a file cannot be used, or the mask holds a label that the network does not know.
    """
    image = bundle.prepare(image_files.read_volume(pair.image, NoProgress()))
    mask = tensors.label_tensor(*image_files.read_labels(pair.mask))
    mask = MetaTensor(mask.as_tensor()[None].float(), affine=mask.affine)
    onto = ResampleToMatch(mode="nearest", padding_mode="zeros")
    values = _plain(onto(mask, img_dst=image)).round().long()
    count = len(bundle.label_names)
    if int(values.max()) > count:
        raise InputError(
            Text.of("The mask of {name} holds labels that the network does not know.", name=pair.name),
            "Leave it out, or use a bundle with more labels.",
        )
    labels = torch.nn.functional.one_hot(values[0], count + 1).movedim(-1, 0)[1:]
    return TrainingCase(pair.name, _plain(image).float().contiguous(), labels.float().contiguous())


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.as_tensor() if isinstance(tensor, MetaTensor) else tensor


def load_cases(pairs: Sequence[CasePair], bundle: TrainableBundle, progress: Progress) -> tuple[TrainingCase, ...]:
    """Read all pairs into memory."""
    cases = []
    for done, pair in enumerate(pairs):
        progress.raise_if_cancelled()
        progress.report(done / len(pairs), Text.of("Reading {name}", name=pair.name))
        cases.append(load_case(pair, bundle))
    return tuple(cases)


def order_of_cases(count: int, first: int, batch_size: int, seed: int) -> tuple[int, ...]:
    """Which cases make up the batch that starts at the `first` drawn sample: every case once per epoch, shuffled."""
    chosen = []
    for position in range(first, first + batch_size):
        epoch, place = divmod(position, count)
        chosen.append(int(np.random.default_rng((seed, epoch)).permutation(count)[place]))
    return tuple(chosen)
