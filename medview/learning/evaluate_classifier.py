"""Score a plugin's classifier of pictures on the test part of its set, beside what others have published.

    python -m medview.learning.evaluate_classifier --plugin plugins/cxr_pneumonia --data pneumoniamnist.npz

The pictures go through the plugin's own answer: calibrated, with its threshold, and its judgement of what it knows.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medview.core.progress import Progress
from medview.learning import calibration, classifier_plugin, console, labelled_pictures, probabilities
from medview.learning.labelled_pictures import LabelledPictures
from medview.learning.optimisation import Record, read_as
from medview.learning.probabilities import Estimate, Floats
from medview.learning.splits import Split

BASELINE = Path("configs") / "baseline.json"


class Baseline(Record):
    """What others have reached on the same test part.

    Attributes:
        name: Of their model.
        auc: The area under the ROC curve.
        accuracy: The share of right answers.
        source: Where it is published.
        remark: What makes it another comparison than it seems.
    """

    name: str
    auc: float
    accuracy: float
    source: str
    remark: str = ""


@dataclass(frozen=True, slots=True)
class ClassifierScores:
    """How well a part of a set was answered; every score with its 95 % interval over pictures.

    Attributes:
        part: Which.
        cases: How many pictures.
        positive: How many of them are positive.
        auc: The area under the ROC curve.
        accuracy: The share on the right side of the threshold.
        sensitivity: The share of positive pictures that are found.
        specificity: The share of negative pictures that are left alone.
        calibration_error: How far probabilities are from shares.
        threshold: That was set on the validation part.
        outside: The share of pictures that count as unlike what the model knows.
    """

    part: Split
    cases: int
    positive: int
    auc: Estimate
    accuracy: Estimate
    sensitivity: Estimate
    specificity: Estimate
    calibration_error: Estimate
    threshold: float
    outside: float


def score(plugin_folder: Path, data: Path, part: Split = Split.TEST) -> ClassifierScores:
    """Answer every picture of a part, and compare with its label.

    Raises:
        MedViewError: When the plugin or the set cannot be used.
    """
    labelled = labelled_pictures.read(data, part)
    rule = calibration.read(plugin_folder / classifier_plugin.CALIBRATION)
    with classifier_plugin.loaded(plugin_folder) as plugin:
        shares, outside = plugin.classifier.Classifier(plugin_folder).answers(labelled.pictures)
    return scores_of(part, np.asarray(shares)[:, rule.positive], np.asarray(outside), labelled, rule)


def scores_of(
    part: Split,
    shares: Floats,
    outside: NDArray[np.bool_],
    labelled: LabelledPictures,
    rule: calibration.Calibration,
) -> ClassifierScores:
    """The scores of (n,) probabilities of the positive class, with the calibration's threshold."""
    truth = labelled.labels == rule.positive
    at = rule.threshold

    def estimated(score: Callable[[Floats, NDArray[np.bool_]], float]) -> Estimate:
        return probabilities.estimated(lambda drawn: score(shares[drawn], truth[drawn]), len(truth))

    return ClassifierScores(
        part=part,
        cases=len(truth),
        positive=int(np.count_nonzero(truth)),
        auc=estimated(probabilities.auc),
        accuracy=estimated(lambda values, real: probabilities.accuracy(values, real, at)),
        sensitivity=estimated(lambda values, real: probabilities.at_threshold(values, real, at).sensitivity),
        specificity=estimated(lambda values, real: probabilities.at_threshold(values, real, at).specificity),
        calibration_error=estimated(probabilities.calibration_error),
        threshold=at,
        outside=float(np.mean(outside)),
    )


def table(found: ClassifierScores, baseline: Baseline | None) -> str:
    """The scores as lines to read."""

    def line(name: str, one: Estimate, other: float | None = None) -> str:
        beside = "" if other is None or baseline is None else f"   {baseline.name}: {other:.3f}"
        return f"{name:<18} {one.value:.3f}  ({one.low:.3f} to {one.high:.3f}){beside}"

    lines = [
        f"{found.cases} {found.part.value} pictures, {found.positive} positive; 95 % intervals by a bootstrap",
        line("AUC", found.auc, None if baseline is None else baseline.auc),
        line("Accuracy", found.accuracy, None if baseline is None else baseline.accuracy),
        line("Sensitivity", found.sensitivity),
        line("Specificity", found.specificity),
        line("Calibration error", found.calibration_error),
        f"Positive from a probability of {found.threshold:.3f} on, as set on the validation part",
        f"Unlike what the model knows: {found.outside:.1%} of these pictures",
    ]
    if baseline is not None:
        lines += [f"{baseline.name}: {baseline.source}", *([baseline.remark] if baseline.remark else [])]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """The command; gives the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m medview.learning.evaluate_classifier", description=__doc__.split("\n\n")[0]
    )
    parser.add_argument("--plugin", type=Path, required=True, help="folder of the plugin, whose program is run")
    parser.add_argument("--data", type=Path, required=True, help="a file of MedMNIST")
    parser.add_argument("--part", type=Split, default=Split.TEST, choices=list(Split))
    parser.add_argument("--json", action="store_true", help="print JSON")
    chosen = parser.parse_args(arguments)

    def work(_: Progress) -> str:
        found = score(chosen.plugin, chosen.data, chosen.part)
        path = chosen.plugin / BASELINE
        baseline = read_as(Baseline, path) if chosen.part is Split.TEST and path.is_file() else None
        if not chosen.json:
            return table(found, baseline)
        answer = {**asdict(found), "baseline": None if baseline is None else baseline.model_dump()}
        return json.dumps(answer, indent=2)

    return console.answered(work)


if __name__ == "__main__":
    sys.exit(main())
