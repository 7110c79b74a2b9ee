"""How good probabilities are: ranking, calibration, and a threshold. All of it for one class against the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Truth = NDArray[np.bool_]

_RESAMPLES = 2_000
_SEED = 20240611
_BINS = 15
_GOLDEN = (np.sqrt(5.0) - 1) / 2


@dataclass(frozen=True, slots=True)
class Estimate:
    """A score with its 95 % interval, by a bootstrap over cases."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold and what it does: positive where the probability is at least this.

    Attributes:
        threshold: 0..1.
        sensitivity: The share of positive cases that it finds.
        specificity: The share of negative cases that it leaves alone.
    """

    threshold: float
    sensitivity: float
    specificity: float


def auc(scores: Floats, truth: Truth) -> float:
    """The area under the ROC curve: how often a positive case is above a negative one, ties counting half.

    By ranks (Hanley J.A., McNeil B.J., Radiology 1982, 143:29-36). Not a number where a class is missing.
    """
    values, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks = (ends - (counts - 1) / 2)[places]
    positive = int(np.count_nonzero(truth))
    negative = len(truth) - positive
    if not values.size or not positive or not negative:
        return float("nan")
    return float((ranks[truth].sum() - positive * (positive + 1) / 2) / (positive * negative))


def accuracy(probabilities: Floats, truth: Truth, threshold: float) -> float:
    """The share of cases that a threshold puts on the right side."""
    return float(np.mean((probabilities >= threshold) == truth))


def at_threshold(probabilities: Floats, truth: Truth, threshold: float) -> OperatingPoint:
    """What a threshold does; a share of no cases is not a number."""
    found = probabilities >= threshold
    return OperatingPoint(threshold, _share(found[truth]), _share(~found[~truth]))


def _share(hits: Truth) -> float:
    return float(np.mean(hits)) if hits.size else float("nan")


def best_threshold(probabilities: Floats, truth: Truth) -> OperatingPoint:
    """The threshold with the largest sum of sensitivity and specificity (Youden W.J., Cancer 1950, 3:32-35).

    It lies in the middle between the two probabilities that it parts.
    """
    values = np.unique(probabilities)
    between = np.concatenate([[values[0]], (values[1:] + values[:-1]) / 2])
    points = [at_threshold(probabilities, truth, float(one)) for one in between]
    return max(points, key=lambda one: one.sensitivity + one.specificity)


def calibration_error(probabilities: Floats, truth: Truth, bins: int = _BINS) -> float:
    """The expected calibration error: how far the mean probability lies from the share of positive cases, by bins.

    Of equal width, weighted by how many cases they hold (Guo C. et al., On calibration of modern neural networks, ICML
    2017), here of the probability of the positive class.
    """
    places = np.minimum((probabilities * bins).astype(int), bins - 1)
    total = 0.0
    for one in np.unique(places):
        hit = places == one
        total += float(np.mean(hit)) * abs(float(np.mean(probabilities[hit])) - float(np.mean(truth[hit])))
    return total


def log_loss(logits: Floats, labels: NDArray[np.int64]) -> float:
    """The mean negative log-likelihood of (n, class) logits."""
    top = logits.max(axis=1, keepdims=True)
    logs = logits - top - np.log(np.exp(logits - top).sum(axis=1, keepdims=True))
    return float(-logs[np.arange(len(labels)), labels].mean())


def softmax(logits: Floats, temperature: float = 1.0) -> Floats:
    """(n, class) logits, divided by a temperature, as probabilities."""
    scaled = logits / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=1, keepdims=True)
    return shares


def fit_temperature(logits: Floats, labels: NDArray[np.int64]) -> float:
    """The temperature that makes the log-likelihood largest (Guo C. et al., 2017), between 1/20 and 20.

    The loss has one minimum along the inverse temperature, so a golden section finds it.
    """
    low, high = np.log(0.05), np.log(20.0)
    for _ in range(60):
        first, second = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        if log_loss(logits / np.exp(first), labels) < log_loss(logits / np.exp(second), labels):
            high = second
        else:
            low = first
    return float(np.exp((low + high) / 2))


def estimated(score: Callable[[NDArray[np.intp]], float], cases: int) -> Estimate:
    """A score of all cases, and its interval from cases drawn again and again with replacement.

    Args:
        score: Gives the score of the cases with these numbers; not a number where it cannot be told.
        cases: How many there are.
    """
    random = np.random.default_rng(_SEED)
    drawn = [score(random.integers(cases, size=cases)) for _ in range(_RESAMPLES)]
    low, high = np.nanpercentile(drawn, (2.5, 97.5))
    return Estimate(score(np.arange(cases)), float(low), float(high))
