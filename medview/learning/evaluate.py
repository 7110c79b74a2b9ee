"""Score a bundle against masks that people drew, on the patients that its training did not see.

    python -m medview.learning.evaluate --bundle plugins/mr_hippocampus --data Task04_Hippocampus

Every image goes through the program's own runner, and the answer is compared on the image's own grid.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medview.catalog import plugins
from medview.catalog.manifest import PluginManifest
from medview.catalog.plugins import PluginRecord
from medview.core.errors import GridMismatchError, InputError
from medview.core.progress import PartOf, Progress
from medview.core.segmentation import Labels
from medview.core.text import Text
from medview.core.volume import Volume
from medview.formats import image_files
from medview.inference import device as devices
from medview.inference import runner
from medview.learning import bundle, console, recipe, training_data
from medview.learning.training_data import CasePair

_RESAMPLES = 10_000
_SEED = 20240611


@dataclass(frozen=True, slots=True)
class CaseScore:
    """How well one case was segmented.

    Attributes:
        name: The case.
        patient: Whose image it is.
        dice: By the name of the structure, 0..1; None where the person drew none of it, which Dice cannot judge.
    """

    name: str
    patient: str
    dice: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Summary:
    """The scores of one structure over all cases.

    Attributes:
        structure: Its name.
        cases: How many cases have it.
        mean: Mean Dice.
        sd: Standard deviation over cases; None for a single case.
        low: Lower end of the 95 % interval of the mean, by a bootstrap over patients.
        high: Upper end.
    """

    structure: str
    cases: int
    mean: float
    sd: float | None
    low: float
    high: float


def dice(found: Labels, drawn: Labels, value: int) -> float | None:
    """Dice of one label in two (k, j, i) label maps on one grid; None when `drawn` has none of it."""
    first, second = found == value, drawn == value
    if not second.any():
        return None
    return 2 * int(np.count_nonzero(first & second)) / (int(np.count_nonzero(first)) + int(np.count_nonzero(second)))


def score(record: PluginRecord, pairs: Sequence[CasePair], progress: Progress, *, device: str) -> tuple[CaseScore, ...]:
    """Run a plugin on every image and compare with its mask.

    Raises:
        MedViewError: When the plugin or a file cannot be used.
        Cancelled: When it was stopped.
    """
    manifest = runner.ready_manifest(record)
    scores = []
    for done, pair in enumerate(pairs):
        progress.raise_if_cancelled()
        progress.report(done / len(pairs), Text.of("Scoring {name}", name=pair.name))
        part = PartOf(progress, done / len(pairs), (done + 1) / len(pairs))
        volume = _as_declared(image_files.read_volume(pair.image, part), manifest)
        drawn, grid = image_files.read_labels(pair.mask)
        if not grid.same_grid(volume.geometry):
            raise GridMismatchError(
                Text.of("The mask of {name} does not lie on the grid of its image.", name=pair.name), "Leave it out."
            )
        found = runner.run(record, volume, part, device=device).labels
        scores.append(
            CaseScore(
                pair.name, pair.patient, {label.name: dice(found, drawn, label.value) for label in manifest.label}
            )
        )
    return tuple(scores)


def summarise(scores: Sequence[CaseScore], structure: str) -> Summary:
    """Mean, deviation and interval of one structure.

    The interval resamples patients, not images: two images of one head are not two independent observations.

    Raises:
        InputError: When no case has the structure.
    """
    by_patient: dict[str, list[float]] = {}
    for one in scores:
        value = one.dice[structure]
        if value is not None:
            by_patient.setdefault(one.patient, []).append(value)
    values = np.array([value for group in by_patient.values() for value in group])
    if not values.size:
        raise InputError(Text.of("No mask holds {structure}.", structure=structure), "Choose other data.")
    low, high = _interval(np.array([(sum(group), len(group)) for group in by_patient.values()]))
    deviation = float(values.std(ddof=1)) if values.size > 1 else None
    return Summary(structure, int(values.size), float(values.mean()), deviation, low, high)


def _interval(sums_and_counts: NDArray[np.float64]) -> tuple[float, float]:
    """Percentiles 2.5 and 97.5 of the mean, from (patient, 2): the sum of a patient's scores and their number."""
    patients = len(sums_and_counts)
    drawn = np.random.default_rng(_SEED).integers(patients, size=(_RESAMPLES, patients))
    totals = sums_and_counts[drawn].sum(axis=1)
    low, high = np.percentile(totals[:, 0] / totals[:, 1], (2.5, 97.5))
    return float(low), float(high)


def _as_declared(volume: Volume, manifest: PluginManifest) -> Volume:
    """The volume with the modality that the plugin is for: files other than DICOM do not say what made them."""
    wanted = manifest.input[0]
    if volume.modality in wanted.modality:
        return volume
    return replace(volume, modality=wanted.modality[0], unit=wanted.unit)


def held_out_pairs(bundle_folder: Path, data_folder: Path, *, everyone: bool = False) -> tuple[CasePair, ...]:
    """The cases that the bundle's recipe keeps out of training, or all of the folder.

    Raises:
        InputError: When there are none, or the recipe cannot be read.
    """
    rule = recipe.read(bundle_folder / bundle.RECIPE).split
    pairs = training_data.find_pairs(data_folder, rule.images_per_patient)
    chosen = pairs if everyone else training_data.divide(pairs, rule)[1]
    if not chosen:
        raise InputError("None of these patients is held out.", "Score all of them, if training did not see them.")
    return chosen


def table(scores: Sequence[CaseScore], summaries: Sequence[Summary]) -> str:
    """The scores as lines to read."""
    names = [one.structure for one in summaries]
    width = max(len(one.name) for one in scores)
    lines = ["  ".join([" " * width, *names])]
    for one in scores:
        cells = (one.dice[name] for name in names)
        shown = ("-" if cell is None else f"{cell:.4f}" for cell in cells)
        lines.append("  ".join([one.name.ljust(width), *(f"{c:>{len(n)}}" for c, n in zip(shown, names, strict=True))]))
    patients = len({one.patient for one in scores})
    lines += ["", f"{len(scores)} images of {patients} patients; Dice: mean, SD, 95 % interval over patients"]
    lines += [
        f"{s.structure}: {s.mean:.4f}, {'-' if s.sd is None else f'{s.sd:.4f}'}, {s.low:.4f} to {s.high:.4f}"
        for s in summaries
    ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """The command; gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m medview.learning.evaluate", description=__doc__.split("\n\n")[0])
    parser.add_argument("--bundle", type=Path, required=True, help="folder of the plugin with the MONAI bundle")
    parser.add_argument("--data", type=Path, required=True, help="folder with imagesTr and labelsTr")
    parser.add_argument("--all", action="store_true", help="score all patients, not only those held out")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--device", default="auto", choices=devices.CHOICES)
    chosen = parser.parse_args(arguments)

    def work(progress: Progress) -> str:
        record = plugins.inspect(chosen.bundle)
        pairs = held_out_pairs(chosen.bundle, chosen.data, everyone=chosen.all)
        scores = score(record, pairs, progress, device=chosen.device)
        names = [label.name for label in runner.ready_manifest(record).label]
        summaries = [summarise(scores, name) for name in names]
        if not chosen.json:
            return table(scores, summaries)
        answer = {"summary": [asdict(one) for one in summaries], "cases": [asdict(one) for one in scores]}
        return json.dumps(answer, indent=2)

    return console.answered(work)


if __name__ == "__main__":
    sys.exit(main())
