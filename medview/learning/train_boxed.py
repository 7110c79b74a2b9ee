"""Train a plugin's network that segments a lesion inside a box, on the patients that are not held out.

    python -m medview.learning.train_boxed --plugin plugins/pet_lesion --data labelled-pet-sarcoma-36 --run runs/pet

Stopped at any time, the same command goes on where it stopped. With `--fold 0 --folds 3` a third of the training
patients is left out and scored instead, to choose between recipes without a look at those held out.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch

from medview.core.errors import InputError
from medview.core.files import write_bytes
from medview.core.progress import PartOf, Progress
from medview.inference import device as devices
from medview.learning import boxed_data, boxed_plugin, boxed_recipe, boxed_scores, console, training_data
from medview.learning.boxed_recipe import BoxedRecipe
from medview.learning.boxed_training import BoxedTraining
from medview.learning.training_data import CasePair


def patients(
    data: Path, how: BoxedRecipe, fold: int | None, folds: int
) -> tuple[tuple[CasePair, ...], tuple[CasePair, ...]]:
    """Who is learned from, and who is left out of that among the patients that are not held out.

    Raises:
        InputError: When nobody is left to learn from.
    """
    training, _ = training_data.divide(boxed_data.find_pairs(data), how.split)
    left_out = tuple(pair for number, pair in enumerate(training) if number % folds == fold)
    learned = tuple(pair for pair in training if pair not in left_out)
    if not learned:
        raise InputError("Every patient of this folder is held out.", "Train on more patients, or hold out fewer.")
    return learned, left_out


def train(
    plugin_folder: Path,
    data: Path,
    run_folder: Path,
    progress: Progress,
    *,
    how: BoxedRecipe | None = None,
    device: str = "cpu",
    fold: int | None = None,
    folds: int = 3,
    save_every: int = 250,
) -> Path:
    """Train the network of a plugin.

    Args:
        plugin_folder: The plugin; it is not changed.
        data: A folder for every patient, with an image and a mask.
        run_folder: Where the state is kept; a training that it holds is carried on.
        progress: Told of every step, and asked for cancellation; what is done is saved before it stops.
        how: Another recipe than the plugin's own.
        device: "cpu" or "cuda".
        fold: Which part of the training patients is left out; None: nobody is.
        folds: Into how many parts they are divided.
        save_every: Steps between two savings.

    Returns:
        The file with the weights, `model.pt` in the run folder: a plain state dict.

    Raises:
        MedViewError: When the plugin, the recipe, the data or the device cannot be used.
        Cancelled: When it was stopped.
    """
    how = how or boxed_recipe.read(plugin_folder / boxed_plugin.RECIPE)
    learned, _ = patients(data, how, fold, folds)
    cases = boxed_data.load_cases(learned, PartOf(progress, 0.0, 0.02))
    with boxed_plugin.loaded(plugin_folder) as plugin:
        torch.manual_seed(how.seed)
        training = BoxedTraining(plugin.network.make(), plugin.crop, cases, how, torch.device(device))
        return training.finish(run_folder, PartOf(progress, 0.02, 1.0), save_every)


def main(arguments: list[str] | None = None) -> int:
    """The command; gives the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m medview.learning.train_boxed", description=__doc__.split("\n\n")[0]
    )
    parser.add_argument("--plugin", type=Path, required=True, help="folder of the plugin, whose program is run")
    parser.add_argument("--data", type=Path, required=True, help="folder with a folder for every patient")
    parser.add_argument("--run", type=Path, required=True, help="folder for the state of the training")
    parser.add_argument("--device", default="cpu", choices=devices.CHOICES)
    parser.add_argument("--threads", type=int, default=0, help="processor threads; 0 leaves it to torch")
    parser.add_argument("--fold", type=int, help="leave this part of the training patients out, and score it")
    parser.add_argument("--folds", type=int, default=3, help="into how many parts they are divided")
    parser.add_argument("--install", action="store_true", help="put the weights into the plugin when done")
    chosen = parser.parse_args(arguments)
    if chosen.threads:
        torch.set_num_threads(chosen.threads)

    def work(progress: Progress) -> str:
        weights = train(
            chosen.plugin,
            chosen.data,
            chosen.run,
            progress,
            device=devices.choose(chosen.device),
            fold=chosen.fold,
            folds=chosen.folds,
        )
        answer = json.dumps({"weights": str(weights)})
        if chosen.fold is not None:
            return f"{_score(chosen, weights, progress)}\n{answer}"
        if chosen.install:
            write_bytes(chosen.plugin / boxed_plugin.WEIGHTS, weights.read_bytes())
        return answer

    return console.answered(work, stopped=console.STOPPED)


def _score(chosen: argparse.Namespace, weights: Path, progress: Progress) -> str:
    how = boxed_recipe.read(chosen.plugin / boxed_plugin.RECIPE)
    _, left_out = patients(chosen.data, how, chosen.fold, chosen.folds)
    cases = boxed_data.load_cases(left_out, progress)
    return boxed_scores.table(boxed_scores.score(chosen.plugin, cases, how, progress, weights))


if __name__ == "__main__":
    sys.exit(main())
