"""What the program is answered: both classes with their probabilities, the doubts as notes, and where it looked."""

from __future__ import annotations

from medview.api import Case, ClassFound, Context, Findings

from .classifier import Classifier
from .network import CLASSES, SIDE
from .radiograph import picture_of


def run(case: Case, context: Context) -> Findings:
    """The probability of each class on `case["radiograph"]`; why to doubt it is noted."""
    context.progress(0.1, "Looking at the radiograph")
    classifier = Classifier(context.folder, context.device)
    context.timed(lambda: classifier.answers(picture_of(case["radiograph"])[None]), (SIDE, SIDE))
    outcome = classifier.classify(case["radiograph"], context.options.dropout)
    if context.evidence is not None:
        context.add_evidence(classifier.evidence(case["radiograph"], context))
    for sentence in outcome.outside:
        context.note(sentence)
    return Findings(
        classes=tuple(
            ClassFound(CLASSES.index(name), name, share, interval=outcome.intervals[name])
            for name, share in outcome.probabilities.items()
        )
    )
