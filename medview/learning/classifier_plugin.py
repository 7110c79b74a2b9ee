"""The parts of a Python plugin that classifies pictures, for its training: what learns is what will answer.

The plugin's folder has a module `network` with `CLASSES`, `make()` and `look(model, pictures)`, and a module
`classifier` with `picture_of(volume)` and `Classifier(folder)`, whose `answers(pictures)` are what its users get.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medview.core.errors import InputError
from medview.core.text import Text
from medview.core.volume import Volume
from medview.inference import python_engine
from medview.learning.calibration import Looked

WEIGHTS = Path("models") / "model.pt"
FAMILIARITY = Path("models") / "familiarity.pt"
RECIPE = Path("configs") / "recipe.json"
CALIBRATION = Path("configs") / "calibration.json"


@dataclass(frozen=True, slots=True)
class ClassifierPlugin:
    """A plugin's modules."""

    folder: Path
    network: Any
    classifier: Any

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of its classes, in the order of its network's values."""
        return tuple(self.network.CLASSES)

    def picture_of(self, volume: Volume) -> NDArray[np.uint8]:
        """An image as the network sees it, (y, x)."""
        return np.asarray(self.classifier.picture_of(volume), dtype=np.uint8)

    def look(self, model: Any, pictures: NDArray[np.uint8]) -> Looked:
        """What a network makes of pictures (n, y, x)."""
        logits, features, plain = (np.asarray(one, dtype=np.float64) for one in self.network.look(model, pictures))
        return Looked(logits, features, plain)


@contextmanager
def loaded(folder: Path) -> Iterator[ClassifierPlugin]:
    """The plugin in a folder, whose program is run.

    Raises:
        InputError: When it is none that can be trained.
    """
    with python_engine.package_of(folder) as package:
        try:
            network = importlib.import_module(f"{package}.network")
            classifier = importlib.import_module(f"{package}.classifier")
        except ImportError as error:
            raise InputError(
                Text.of("{folder} is no plugin that classifies pictures.", folder=str(folder)),
                "Choose a folder with the modules network.py and classifier.py.",
            ) from error
        yield ClassifierPlugin(folder, network, classifier)
