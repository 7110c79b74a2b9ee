from __future__ import annotations

import math

import numpy as np
import pytest

from medview.learning import probabilities as scores


def _drawn(seed: int, cases: int = 60) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    truth = random.random(cases) < 0.4
    return np.round(np.clip(random.normal(0.4 + 0.2 * truth, 0.25), 0, 1), 1), truth


@pytest.mark.parametrize("seed", range(5))
def test_auc_is_the_share_of_pairs_in_the_right_order(seed: int) -> None:
    values, truth = _drawn(seed)
    pairs = [1.0 if high > low else 0.5 if high == low else 0.0 for high in values[truth] for low in values[~truth]]
    assert len(set(values.tolist())) < len(values)  # there are ties
    assert scores.auc(values, truth) == pytest.approx(sum(pairs) / len(pairs))


def test_auc_is_half_without_order_and_no_number_without_a_class() -> None:
    assert scores.auc(np.full(6, 0.3), np.array([True, False] * 3)) == 0.5
    assert math.isnan(scores.auc(np.array([0.1, 0.2]), np.array([True, True])))
    assert math.isnan(scores.auc(np.array([]), np.array([], dtype=bool)))


def test_calibration_error_of_bins_counted_by_hand() -> None:
    values = np.array([0.05, 0.05, 0.15, 0.95, 0.95, 1.0])
    truth = np.array([False, True, False, True, True, False])
    # of ten bins three are used: two cases at 0.05, one of them positive; one negative at 0.15; three at 0.9667, two of
    # them positive
    wanted = (2 * abs(0.05 - 0.5) + 1 * 0.15 + 3 * abs(2.9 / 3 - 2 / 3)) / 6
    assert scores.calibration_error(values, truth, bins=10) == pytest.approx(wanted)


def test_probabilities_that_are_true_have_a_small_calibration_error() -> None:
    random = np.random.default_rng(1)
    values = random.random(40_000)
    assert scores.calibration_error(values, random.random(40_000) < values) < 0.015
    assert scores.calibration_error(values, random.random(40_000) < values**3) > 0.2


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_of_overconfident_logits_is_found(temperature: float) -> None:
    random = np.random.default_rng(2)
    honest = random.normal(0, 2, (20_000, 2))
    labels = (random.random(20_000) < scores.softmax(honest)[:, 1]).astype(np.int64)
    assert scores.fit_temperature(honest * temperature, labels) == pytest.approx(temperature, rel=0.06)


def test_the_temperature_is_the_best_of_many() -> None:
    random = np.random.default_rng(3)
    logits, labels = random.normal(0, 3, (50, 3)), random.integers(0, 3, 50)
    best = scores.fit_temperature(logits, labels)
    tried = [scores.log_loss(logits / value, labels) for value in np.geomspace(0.05, 20, 400)]
    assert scores.log_loss(logits / best, labels) <= min(tried) + 1e-6


def test_the_log_loss_is_that_of_the_probabilities() -> None:
    logits, labels = np.array([[0.0, 1000.0], [2.0, 1.0]]), np.array([1, 1])
    wanted = (0 + math.log(1 + math.e)) / 2
    assert scores.log_loss(logits, labels) == pytest.approx(wanted)


@pytest.mark.parametrize("seed", range(3))
def test_no_threshold_has_a_larger_sum_of_sensitivity_and_specificity(seed: int) -> None:
    values, truth = _drawn(seed)
    found = scores.best_threshold(values, truth)
    sums = []
    for threshold in np.linspace(0, 1.01, 203):
        sensitive = sum(1 for value, real in zip(values, truth, strict=True) if real and value >= threshold)
        specific = sum(1 for value, real in zip(values, truth, strict=True) if not real and value < threshold)
        sums.append(sensitive / truth.sum() + specific / (~truth).sum())
    assert found.sensitivity + found.specificity == pytest.approx(max(sums))
    assert scores.at_threshold(values, truth, found.threshold) == found


def test_the_interval_of_a_share_is_that_of_the_normal_approximation() -> None:
    hit = np.arange(400) < 300
    found = scores.estimated(lambda drawn: float(hit[drawn].mean()), 400)
    half = 1.96 * math.sqrt(0.75 * 0.25 / 400)
    assert found.value == 0.75
    assert (found.low, found.high) == pytest.approx((0.75 - half, 0.75 + half), abs=0.006)
    assert scores.estimated(lambda drawn: float(hit[drawn].mean()), 400) == found
