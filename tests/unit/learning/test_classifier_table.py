from __future__ import annotations

import numpy as np

from medview.learning import evaluate_classifier
from medview.learning.calibration import Calibration
from medview.learning.evaluate_classifier import Baseline
from medview.learning.labelled_pictures import LabelledPictures
from medview.learning.splits import Split


def test_the_table_names_the_scores_the_threshold_and_the_baseline() -> None:
    labels = np.array([0, 0, 0, 1, 1, 1, 1, 1], dtype=np.int64)
    shares = np.array([0.1, 0.2, 0.8, 0.3, 0.9, 0.9, 0.9, 0.9])
    rule = Calibration(
        temperature=1.0, positive=1, threshold=0.5, sensitivity=1.0, specificity=1.0, cases=9, error_before=0.0,
        error_after=0.0, feature_limit=1.0, picture_limit=1.0, data_sha256="",
    )  # fmt: skip
    labelled = LabelledPictures(np.zeros((8, 2, 2), np.uint8), labels)
    outside = np.array([True, False] * 4)
    found = evaluate_classifier.scores_of(Split.TEST, shares, outside, labelled, rule)
    assert found.auc.value == (3 * 4 + 2) / 15
    assert (found.sensitivity.value, found.specificity.value, found.accuracy.value) == (4 / 5, 2 / 3, 6 / 8)
    text = evaluate_classifier.table(found, Baseline(name="Other", auc=0.9, accuracy=0.8, source="A paper", remark="!"))
    for words in ("8 test pictures, 5 positive", "0.933", "Other: 0.900", "0.500", "50.0%", "A paper", "!"):
        assert words in text
    assert "Other" not in evaluate_classifier.table(found, None)
