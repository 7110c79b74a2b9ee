"""Score a plugin that segments inside a box on the patients that its training did not see.

    python -m medview.learning.evaluate_boxed --plugin plugins/pet_lesion --data labelled-pet-sarcoma-36

Boxes are drawn around the masks of people as a user would draw them, the same every time, and the threshold at 41 % of
the highest value is tried in the same boxes.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from medview.core.errors import InputError
from medview.core.progress import PartOf, Progress
from medview.learning import boxed_data, boxed_plugin, boxed_recipe, boxed_scores, console, training_data
from medview.learning.boxed_scores import BoxedScore


def score(plugin_folder: Path, data: Path, progress: Progress, *, everyone: bool = False) -> tuple[BoxedScore, ...]:
    """Score the patients that the recipe keeps out of training, or all of the folder.

    Raises:
        MedViewError: When there are none, or plugin or files cannot be used.
        Cancelled: When it was stopped.
    """
    how = boxed_recipe.read(plugin_folder / boxed_plugin.RECIPE)
    pairs = boxed_data.find_pairs(data)
    chosen = pairs if everyone else training_data.divide(pairs, how.split)[1]
    if not chosen:
        raise InputError("None of these patients is held out.", "Score all of them, if training did not see them.")
    cases = boxed_data.load_cases(chosen, PartOf(progress, 0.0, 0.2))
    return boxed_scores.score(plugin_folder, cases, how, PartOf(progress, 0.2, 1.0))


def main(arguments: list[str] | None = None) -> int:
    """The command; gives the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m medview.learning.evaluate_boxed", description=__doc__.split("\n\n")[0]
    )
    parser.add_argument("--plugin", type=Path, required=True, help="folder of the plugin, whose program is run")
    parser.add_argument("--data", type=Path, required=True, help="folder with a folder for every patient")
    parser.add_argument("--all", action="store_true", help="score all patients, not only those held out")
    parser.add_argument("--json", action="store_true", help="print JSON")
    chosen = parser.parse_args(arguments)

    def work(progress: Progress) -> str:
        scores = score(chosen.plugin, chosen.data, progress, everyone=chosen.all)
        if not chosen.json:
            return boxed_scores.table(scores)
        names = ("network", "threshold", "difference")
        means = {name: asdict(one) for name, one in zip(names, boxed_scores.summary(scores), strict=True)}
        return json.dumps({"summary": means, "cases": [asdict(one) for one in scores]}, indent=2)

    return console.answered(work)


if __name__ == "__main__":
    sys.exit(main())
