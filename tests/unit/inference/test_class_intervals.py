"""Several answers of one classifier: mirrored, by further weights, with dropout; beside the same by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.networks.nets import DenseNet

from medview.catalog.effort import effort_of
from medview.catalog.plugins import PluginRecord, inspect
from medview.core.errors import PluginUnavailableError
from medview.core.finding import Interval
from medview.core.progress import NoProgress
from medview.core.volume import Modality, Volume
from medview.inference import runner
from medview.inference.options import RunOptions
from tests.support import blob_classifier, zoo, zoo_tasks
from tests.support.volumes import volume

SIZE = (24, 20)
SMALL: dict[str, Any] = {
    "spatial_dims": 2, "in_channels": 1, "out_channels": 2, "init_features": 4, "growth_rate": 4,
    "block_config": [2, 2], "dropout_prob": 0.4,
}  # fmt: skip


def _network(seed: int) -> DenseNet:
    torch.manual_seed(seed)
    made = DenseNet(**SMALL).eval()
    with torch.no_grad():
        for one in made.parameters():
            one.mul_(1.5)  # so that answers differ
    return made


@pytest.fixture
def record(tmp_path: Path) -> PluginRecord:
    config = {
        **zoo.HEAD,
        "network_def": {"_target_": "DenseNet", **SMALL},
        "preprocessing": zoo.chain(
            {"_target_": "LoadImaged", "keys": "image"},
            {"_target_": "EnsureChannelFirstd", "keys": "image"},
            {"_target_": "NormalizeIntensityd", "keys": "image"},
        ),
        "inferer": {"_target_": "SimpleInferer"},
        "postprocessing": zoo.chain({"_target_": "Activationsd", "keys": "pred", "softmax": True}),
    }
    folder = zoo_tasks.write(tmp_path / "several", config, _network(1), {"version": "0.1.0"})
    torch.save(_network(2).state_dict(), folder / "models" / "second.pt")
    lines = 'kind = "bundle"\nfurther-weights = ["models/second.pt"]\nensemble = false\nmirror-axes = [0, 1]'
    text = blob_classifier.MANIFEST.format(modalities='["DX"]', dims=2, more="").replace('kind = "bundle"', lines)
    (folder / "plugin.toml").write_text(text, encoding="utf-8")
    return inspect(folder)


@pytest.fixture
def image() -> Volume:
    values = np.random.default_rng(8).integers(0, 4000, (1, *SIZE[::-1]), dtype=np.uint16)
    return volume(values, modality=Modality.DX, unit="")


def _blob(record: PluginRecord, image: Volume, **options: Any) -> tuple[float, Interval | None]:
    result = runner.run(record, image, NoProgress(), device="cpu", exact=True, options=RunOptions(**options))
    found = next(one for one in result.findings.classes if one.value == 1)
    return found.probability, found.interval


def _by_hand(image: Volume, seeds: tuple[int, ...], flips: tuple[tuple[int, ...], ...]) -> list[float]:
    x = torch.from_numpy(image.voxels[0].T.astype(np.float32).copy())[None, None]
    x = (x - x.mean()) / x.std(correction=0)
    with torch.inference_mode():
        return [
            float(_network(seed)(x.flip([axis + 2 for axis in turn])).softmax(1)[0, 1])
            for seed in seeds
            for turn in flips
        ]


def test_one_answer_has_no_interval(record: PluginRecord, image: Volume) -> None:
    probability, interval = _blob(record, image)
    assert interval is None
    assert probability == pytest.approx(_by_hand(image, (1,), ((),))[0], abs=1e-5)


@pytest.mark.parametrize(
    ("options", "seeds", "flips"),
    [
        ({"mirroring": True}, (1,), ((), (0,), (1,), (0, 1))),
        ({"ensemble": True}, (1, 2), ((),)),
        ({"ensemble": True, "mirroring": True}, (1, 2), ((), (0,), (1,), (0, 1))),
    ],
)
def test_the_mean_of_all_answers_with_their_middle_95_percent(
    record: PluginRecord,
    image: Volume,
    options: dict[str, Any],
    seeds: tuple[int, ...],
    flips: tuple[tuple[int, ...], ...],
) -> None:
    wanted = _by_hand(image, seeds, flips)
    probability, interval = _blob(record, image, **options)
    assert probability == pytest.approx(np.mean(wanted), abs=1e-5)
    assert interval is not None
    assert interval.answers == len(wanted) == RunOptions(**options).calls(effort_of(record))
    np.testing.assert_allclose([interval.low, interval.high], np.quantile(wanted, [0.025, 0.975]), atol=1e-5)


def test_dropout_widens_the_interval_and_leaves_the_number_alone(record: PluginRecord, image: Volume) -> None:
    plain, _ = _blob(record, image)
    probability, interval = _blob(record, image, dropout=30)
    assert probability == pytest.approx(plain, abs=1e-6)
    assert interval is not None
    assert interval.answers == 31
    assert interval.low < plain < interval.high
    assert _blob(record, image, dropout=30) == (probability, interval)  # the same again


def test_what_has_no_dropout_is_not_asked_with_it(tmp_path: Path) -> None:
    record = inspect(blob_classifier.write(tmp_path / "blobs", blob_classifier.SHOWN_2D))
    picture, _ = blob_classifier.radiograph()
    assert not effort_of(record).has_dropout
    with pytest.raises(PluginUnavailableError, match="no dropout"):
        _blob(record, picture, dropout=5)


def test_an_interval_holds_what_is_told() -> None:
    two = Interval.of([0.2, 0.4], 0.5)
    assert [two.low, two.high, two.answers] == pytest.approx([0.205, 0.5, 2])
    values = np.random.default_rng(1).random(41)
    found = Interval.of(values.tolist(), 0.5)
    np.testing.assert_allclose([found.low, found.high], np.quantile(values, [0.025, 0.975]))
