"""Train a plugin's classifier of pictures, and calibrate it on the validation part.

    python -m medview.learning.train_classifier --plugin plugins/cxr_pneumonia --data pneumoniamnist.npz --run runs/cxr

Cases on which a reader has decided are learned from, too: --data pneumoniamnist.npz ~/.local/share/MedView/examples

Stopped at any time, the same command goes on where it stopped. The test part is not looked at.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from medview.core.errors import InputError
from medview.core.files import write_bytes
from medview.core.progress import Progress
from medview.inference import device as devices
from medview.learning import calibration, classifier_plugin, console, decided_pictures, picture_recipe
from medview.learning.calibration import Calibration, Known
from medview.learning.classifier_training import ClassifierTraining
from medview.learning.picture_recipe import PictureRecipe
from medview.learning.splits import Split
from medview.learning.training_loop import serialised


def train(
    plugin_folder: Path,
    data: Sequence[Path],
    run_folder: Path,
    progress: Progress,
    *,
    how: PictureRecipe | None = None,
    device: str = "cpu",
    install: bool = False,
    save_every: int = 250,
) -> Calibration:
    """Train on the training part, calibrate on the validation part.

    Args:
        plugin_folder: The plugin; it is changed only when something is installed.
        data: Sets in the layout of MedMNIST, and stores of examples on which a reader has decided; all together.
        run_folder: Where the state and the results are kept; a training that it holds is carried on.
        progress: Told of every step, and asked for cancellation; what is done is saved before it stops.
        how: Another recipe than the plugin's own.
        device: "cpu" or "cuda".
        install: Whether weights and calibration are put into the plugin.
        save_every: Steps between two savings.

    Raises:
        MedViewError: When the plugin, the recipe, the data or the device cannot be used.
        Cancelled: When it was stopped.
    """
    how = how or picture_recipe.read(plugin_folder / classifier_plugin.RECIPE)
    with classifier_plugin.loaded(plugin_folder) as plugin:
        parts = (Split.TRAINING, Split.VALIDATION)
        training, validation = (decided_pictures.read_all(data, part, plugin) for part in parts)
        if max(how.positive, training.labels.max(), validation.labels.max()) >= len(plugin.classes):
            raise InputError("The set has more classes than the plugin names.", "Choose the set that it was made for.")
        torch.manual_seed(how.seed)
        model = plugin.network.make()
        loop = ClassifierTraining(model, training, len(plugin.classes), how, torch.device(device))
        weights = loop.finish(run_folder, progress, save_every)
        model.load_state_dict(torch.load(weights, map_location=device, weights_only=True))
        known = calibration.known_of(plugin.look(model, training.pictures), training.labels, how)
        found = calibration.calibrate(plugin.look(model, validation.pictures), validation, known, how)
        for folder in (run_folder, plugin_folder)[: 1 + install]:
            _write(folder, weights.read_bytes(), known, found)
    return found


def _write(folder: Path, weights: bytes, known: Known, found: Calibration) -> None:
    arrays = {
        name: {key: torch.from_numpy(value) for key, value in one.arrays().items()}
        for name, one in (("features", known.features), ("pictures", known.pictures))
    }
    write_bytes(folder / classifier_plugin.WEIGHTS, weights)
    write_bytes(folder / classifier_plugin.FAMILIARITY, serialised(arrays))
    write_bytes(folder / classifier_plugin.CALIBRATION, (found.model_dump_json(indent=2) + "\n").encode())


def main(arguments: list[str] | None = None) -> int:
    """The command; gives the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m medview.learning.train_classifier", description=__doc__.split("\n\n")[0]
    )
    parser.add_argument("--plugin", type=Path, required=True, help="folder of the plugin, whose program is run")
    parser.add_argument(
        "--data", type=Path, required=True, nargs="+", help="files of MedMNIST, and folders of training examples"
    )
    parser.add_argument("--run", type=Path, required=True, help="folder for the state of the training")
    parser.add_argument("--device", default="cpu", choices=devices.CHOICES)
    parser.add_argument("--threads", type=int, default=0, help="processor threads; 0 leaves it to torch")
    parser.add_argument("--install", action="store_true", help="put weights and calibration into the plugin when done")
    chosen = parser.parse_args(arguments)
    if chosen.threads:
        torch.set_num_threads(chosen.threads)

    def work(progress: Progress) -> str:
        found = train(
            chosen.plugin,
            chosen.data,
            chosen.run,
            progress,
            device=devices.choose(chosen.device),
            install=chosen.install,
        )
        return json.dumps(found.model_dump(), indent=2)

    return console.answered(work, stopped=console.STOPPED)


if __name__ == "__main__":
    sys.exit(main())
