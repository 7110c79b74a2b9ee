"""Pneumonia or not, on a frontal radiograph of the chest: a probability, and whether the image is one to ask about."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from medview.api import Context, EvidenceMethod, Familiarity, Interval, Volume

from . import network, radiograph
from .network import CLASSES, EVIDENCE_LAYERS, Asked, Network
from .radiograph import Picture, picture_of

WEIGHTS = Path("models") / "model.pt"
FAMILIARITY = Path("models") / "familiarity.pt"
CALIBRATION = Path("configs") / "calibration.json"


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What is answered about a radiograph.

    Attributes:
        probabilities: By class, calibrated, summing up to 1.
        intervals: By class: in which the answers of the members, and to the mirror image, lie.
        threshold: From which probability on of the last class its finding is called positive.
        outside: Why the image is outside what the model knows, in sentences; empty when it is not.
        picture: What the network saw.
    """

    probabilities: Mapping[str, float]
    intervals: Mapping[str, Interval]
    threshold: float
    outside: tuple[str, ...]
    picture: Picture


class Classifier:
    """The network with its calibration.

    Args:
        folder: The plugin's.
        device: "cpu" or "cuda".
    """

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        self._model: Network = network.make()
        self._model.load_state_dict(torch.load(folder / WEIGHTS, map_location="cpu", weights_only=True))
        self._model.to(device).eval()
        calibration = json.loads((folder / CALIBRATION).read_text(encoding="utf-8"))
        self._temperature = float(calibration["temperature"])
        self.threshold = float(calibration["threshold"])
        self._feature_limit = float(calibration["feature_limit"])
        self._picture_limit = float(calibration["picture_limit"])
        known = torch.load(folder / FAMILIARITY, map_location="cpu", weights_only=True)
        self._features, self._pictures = (Familiarity.of_arrays(known[name]) for name in ("features", "pictures"))

    def classify(self, volume: Volume, dropout: int = 0) -> Outcome:
        """Answer about a radiograph: (1, j, i), larger is brighter, whatever its values mean.

        Args:
            volume: The radiograph.
            dropout: How many more times the network is asked with dropout left on, for the interval.
        """
        picture = picture_of(volume)
        shares, unknown = self.answers(picture[None])
        outside = radiograph.doubts(volume)
        if unknown[0]:
            outside = (*outside, "It does not look like the radiographs that the model has learned from.")
        probabilities = {name: float(share) for name, share in zip(CLASSES, shares[0], strict=True)}
        shown = torch.from_numpy(picture[None, None]).to(next(self._model.parameters()).device).float() / 255
        each = (network.all_answers(self._model, shown, dropout)[0].double() / self._temperature).softmax(-1).cpu()
        intervals = {
            name: Interval.of(each[:, number].tolist(), probabilities[name]) for number, name in enumerate(CLASSES)
        }
        return Outcome(probabilities, intervals, self.threshold, outside, picture)

    def evidence(self, volume: Volume, context: Context) -> NDArray[np.float32]:
        """Where the network looked, in the way that is asked for: (k, j, i), 0..1, on the radiograph's grid."""
        covered = context.evidence is not None and context.evidence.method is EvidenceMethod.OCCLUSION
        asked = Asked(self._model, both_ways=covered).eval()
        shown = torch.from_numpy(picture_of(volume)[None, None]).to(context.device).float() / 255
        layers = [f"model.{name}" for name in EVIDENCE_LAYERS]
        found = context.explain(asked, shown, lambda values: (values / self._temperature).softmax(-1), layers)
        return radiograph.on_image(found, volume)

    def answers(self, pictures: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Answer about pictures as the network sees them, (n, 28, 28).

        Returns:
            (n, class), the calibrated probabilities; and (n,), whether a picture is unlike those that are known.
        """
        logits, features, plain = network.look(self._model, pictures)
        scaled = torch.from_numpy(logits.astype(np.float64)) / self._temperature
        unlike = (self._features.distance(features) > self._feature_limit) | (
            self._pictures.distance(plain) > self._picture_limit
        )
        return scaled.softmax(-1).numpy(), unlike
