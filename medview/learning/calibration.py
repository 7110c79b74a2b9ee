"""What is set on validation pictures once a classifier is trained: temperature, threshold, limits of the known."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medview.inference.familiarity import Familiarity
from medview.learning import familiarity, probabilities
from medview.learning.labelled_pictures import LabelledPictures
from medview.learning.optimisation import Record, read_as
from medview.learning.picture_recipe import PictureRecipe


class Calibration(Record):
    """Kept with a model's weights.

    Attributes:
        temperature: What the values before the softmax are divided by.
        positive: The class that the threshold is for.
        threshold: From which calibrated probability of it on a case is called positive.
        sensitivity: The share of positive validation cases that are.
        specificity: The share of negative validation cases that are not.
        cases: How many validation cases there were.
        error_before: The expected calibration error on them without the temperature.
        error_after: With it.
        feature_limit: The largest distance of features that counts as known.
        picture_limit: The largest distance of pictures that does.
        data_sha256: Of the validation pictures and labels.
    """

    temperature: float
    positive: int
    threshold: float
    sensitivity: float
    specificity: float
    cases: int
    error_before: float
    error_after: float
    feature_limit: float
    picture_limit: float
    data_sha256: str


@dataclass(frozen=True, slots=True, eq=False)
class Looked:
    """What a network made of a part of a set.

    Attributes:
        logits: (n, class).
        features: (n, feature).
        pictures: (n, pixel), the pictures themselves as the network normalises them.
    """

    logits: NDArray[np.float64]
    features: NDArray[np.float64]
    pictures: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What training pictures are like."""

    features: Familiarity
    pictures: Familiarity


def known_of(training: Looked, labels: NDArray[np.int64], how: PictureRecipe) -> Known:
    """What training pictures are like."""
    return Known(
        familiarity.fit(training.features, labels, how.feature_directions),
        familiarity.fit(training.pictures, labels, how.picture_directions),
    )


def calibrate(validation: Looked, labelled: LabelledPictures, known: Known, how: PictureRecipe) -> Calibration:
    """Set temperature, threshold and limits on the validation part alone."""
    truth = labelled.labels == how.positive
    temperature = probabilities.fit_temperature(validation.logits, labelled.labels)
    before = probabilities.softmax(validation.logits)[:, how.positive]
    after = probabilities.softmax(validation.logits, temperature)[:, how.positive]
    point = probabilities.best_threshold(after, truth)
    return Calibration(
        temperature=temperature,
        positive=how.positive,
        threshold=point.threshold,
        sensitivity=point.sensitivity,
        specificity=point.specificity,
        cases=len(labelled),
        error_before=probabilities.calibration_error(before, truth),
        error_after=probabilities.calibration_error(after, truth),
        feature_limit=_limit(known.features, validation.features, how),
        picture_limit=_limit(known.pictures, validation.pictures, how),
        data_sha256=labelled.sha256,
    )


def _limit(known: Familiarity, vectors: NDArray[np.float64], how: PictureRecipe) -> float:
    return float(np.quantile(known.distance(vectors), how.familiar_share))


def read(path: Path) -> Calibration:
    """Read what was set.

    Raises:
        InputError: When the file is absent or damaged.
    """
    return read_as(Calibration, path)
