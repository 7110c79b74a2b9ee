"""Where a classifier looked, on networks of which it is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from medview.catalog.plugins import PluginRecord, inspect
from medview.core.errors import Cancelled, PluginFailedError, PluginUnavailableError
from medview.core.evidence import Cost, Evidence, EvidenceMethod, PassTime, cost_of, placements
from medview.core.geometry import Box, Point
from medview.core.progress import NoProgress
from medview.core.volume import Volume
from medview.inference import runner
from medview.inference.explain import explain
from medview.inference.maps import MapKind
from medview.inference.options import RunOptions
from medview.inference.plugin import SegmentationResult
from tests.support import blob_classifier
from tests.support.blob_classifier import SHOWN_2D, SHOWN_3D, radiograph, scan
from tests.support.bundles import python_plugin

METHODS = tuple(EvidenceMethod)


class Counting(NoProgress):
    """Counts what is reported, and cancels when it is told to."""

    def __init__(self, until: int = 10**9) -> None:
        self.asked, self.until = 0, until

    def raise_if_cancelled(self) -> None:
        self.asked += 1
        if self.asked > self.until:
            raise Cancelled


def _asked(record: PluginRecord, image: Volume, method: EvidenceMethod, value: int = 1) -> SegmentationResult:
    options = RunOptions(evidence=Evidence(value, method))
    return runner.run(record, image, NoProgress(), device="cpu", exact=True, options=options)


def _hottest(result: SegmentationResult, image: Volume) -> Point:
    (found,) = result.maps
    assert (found.kind, found.label) == (MapKind.EVIDENCE, 1)
    assert found.values.shape == image.geometry.shape
    assert 0 <= found.values.min() <= found.values.max() <= 1
    # of a plateau its middle
    index = np.argwhere(found.values >= found.values.max()).mean(axis=0)
    x, y, z = (float(n) for n in image.geometry.to_patient(index))
    return x, y, z


def _apart(one: Point, other: Point) -> float:
    return float(np.linalg.norm(np.subtract(one, other)))


@pytest.mark.parametrize("method", METHODS)
def test_on_a_radiograph_it_lies_where_the_bright_blob_is(tmp_path: Path, method: EvidenceMethod) -> None:
    record = inspect(blob_classifier.write(tmp_path / "blobs", SHOWN_2D))
    image, (bright, dim) = radiograph(((0, 0.25, 0.8), 1.0), ((0, 0.7, 0.2), 0.6))
    result = _asked(record, image, method)
    assert next(one.probability for one in result.findings.classes if one.value == 1) > 0.5
    assert _apart(_hottest(result, image), bright) < 6
    index = image.geometry.nearest_voxel(dim)
    assert result.maps[0].values[index] < 0.05
    assert result.measured is not None
    assert result.measured.shape == SHOWN_2D


@pytest.mark.parametrize("method", METHODS)
def test_in_a_tilted_volume_it_lies_where_the_bright_blob_is(tmp_path: Path, method: EvidenceMethod) -> None:
    record = inspect(blob_classifier.write(tmp_path / "blobs", SHOWN_3D))
    image, (bright, dim) = scan(((0.7, 0.3, 0.65), 1.0), ((0.3, 0.7, 0.3), 0.6))
    result = _asked(record, image, method)
    assert _apart(_hottest(result, image), bright) < 8
    assert result.maps[0].values[image.geometry.nearest_voxel(dim)] < 0.05


def test_covering_tells_two_equal_blobs_apart_of_which_one_counts(tmp_path: Path) -> None:
    record = inspect(blob_classifier.write(tmp_path / "blobs", SHOWN_2D, everywhere=False))
    image, blobs = radiograph(((0, 0.25, 0.8), 1.0), ((0, 0.75, 0.2), 1.0))
    result = _asked(record, image, EvidenceMethod.OCCLUSION)
    seen = [result.maps[0].values[image.geometry.nearest_voxel(one)] for one in blobs]
    probes = [blob for blob in (0, 1) if _counts(image, blobs[blob])]
    assert len(probes) == 1
    assert seen[probes[0]] > 0.9
    assert seen[1 - probes[0]] < 0.05
    assert "covering lowers the probability" in " ".join(map(str, result.notes))


def _counts(image: Volume, center: Point) -> bool:
    """Whether a place lies in the half that counts, by turning a mark as the network's picture is turned."""
    mark = np.zeros(image.geometry.shape[1:])
    _, j, i = image.geometry.nearest_voxel(center)
    mark[j, i] = 1
    turned = np.rot90(np.flip(mark.T, 0), 1)
    return bool(turned[: len(turned) // 2].any())


def test_what_is_asked_costs_what_was_said() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.shown = 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.shown += len(x)
            total = x.flatten(1).sum(1, keepdim=True)
            return torch.cat([total, -total], 1)

    for shape in ((48, 40), (30, 7, 16), (1, 20)):
        network, image = Net(), torch.rand(1, 1, *shape)
        explain(
            network,
            image,
            0,
            EvidenceMethod.OCCLUSION,
            activate=lambda values: values.softmax(1),
            progress=NoProgress(),
        )
        assert network.shown == placements(shape) + 1
        cost = cost_of(EvidenceMethod.OCCLUSION, len(shape), PassTime(shape, 0.5))
        assert cost == Cost(network.shown, 0, network.shown * 0.5)
    assert cost_of(EvidenceMethod.GRAD_CAM, 2, None, weights=3) == Cost(6, 3, None)
    assert cost_of(EvidenceMethod.GRAD_CAM, 2, PassTime((48, 40), 0.5)) == Cost(2, 1, 1.5)


def test_it_ends_when_it_is_cancelled() -> None:
    network, image = blob_classifier.network((48, 40)), torch.rand(1, 1, 48, 40)
    for method in METHODS:
        progress = Counting(until=8)
        with pytest.raises(Cancelled):
            explain(network, image, 1, method, activate=lambda values: values.softmax(1), progress=progress)
        assert progress.asked == 9
    # and leaves the network as it was
    assert not any(one._forward_pre_hooks for one in network.modules())


def test_a_network_without_convolutions_can_only_be_covered() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(120, 2)).eval()
    image = torch.rand(1, 1, 12, 10)
    for method in (EvidenceMethod.GRAD_CAM, EvidenceMethod.GRAD_CAM_PP):
        with pytest.raises(PluginUnavailableError, match="last convolution") as caught:
            explain(network, image, 1, method, activate=lambda values: values.softmax(1), progress=NoProgress())
        assert "occlusion" in str(caught.value.remedy)
    found = explain(
        network, image, 1, EvidenceMethod.OCCLUSION, activate=lambda values: values.softmax(1), progress=NoProgress()
    )
    assert found.values.shape == (12, 10)


def test_the_layer_may_be_named_and_must_be_there(tmp_path: Path) -> None:
    image, (bright,) = radiograph(((0, 0.25, 0.8), 1.0))
    lines = '[classify]\nevidence-layer = ["net.layer_0"]\n'
    record = inspect(blob_classifier.write(tmp_path / "named", SHOWN_2D, more=lines))
    assert _apart(_hottest(_asked(record, image, EvidenceMethod.GRAD_CAM), image), bright) < 6
    record = inspect(blob_classifier.write(tmp_path / "wrong", SHOWN_2D, more=lines.replace("layer_0", "layer_9")))
    with pytest.raises(PluginUnavailableError, match=r"no layer net\.layer_9"):
        _asked(record, image, EvidenceMethod.GRAD_CAM)


def test_what_speaks_for_nothing_is_said_and_what_is_no_number_refused() -> None:
    network = blob_classifier.network((48, 40))
    dark = torch.zeros(1, 1, 48, 40)
    for method in METHODS:
        found = explain(network, dark, 1, method, activate=lambda values: values.softmax(1), progress=NoProgress())
        assert not found.values.any()
        assert found.note is not None
    with torch.no_grad():
        next(one for one in network.modules() if isinstance(one, nn.Linear)).weight.fill_(float("nan"))
    for method in METHODS:
        with pytest.raises(PluginFailedError, match="not numbers"):
            explain(network, dark, 1, method, activate=lambda values: values.softmax(1), progress=NoProgress())


def test_in_a_box_it_is_the_evidence_of_the_box(tmp_path: Path) -> None:
    record = inspect(blob_classifier.write(tmp_path / "blobs", SHOWN_3D))
    image, (bright, _) = scan(((0.7, 0.3, 0.65), 1.0), ((0.2, 0.8, 0.2), 1.0))
    box = Box((8, 5, 20), (19, 50, 60))
    options = RunOptions(evidence=Evidence(1), box=box)
    result = runner.run(record, image, NoProgress(), device="cpu", exact=True, options=options)
    assert _apart(_hottest(result, image), bright) < 8
    outside = result.maps[0].values.copy()
    outside[box.slices] = 0
    assert not outside.any()


def test_of_several_pictures_the_one_that_is_asked_for(tmp_path: Path) -> None:
    record = inspect(blob_classifier.write(tmp_path / "blobs", SHOWN_2D))
    one, _ = radiograph(((0, 0.25, 0.8), 1.0))
    two, _ = radiograph(((0, 0.6, 0.3), 1.0), ((0, 0.2, 0.7), 1.0))  # twice as much speaks for it
    frames = np.concatenate([np.zeros_like(one.voxels), one.voxels, two.voxels])
    geometry = type(one.geometry)(frames.shape, one.geometry.affine)
    film = replace(one, voxels=frames, geometry=geometry, is_spatial=False)
    for asked, wanted in ((None, 2), (1, 1)):
        options = RunOptions(evidence=Evidence(1, slice=asked))
        values = runner.run(record, film, NoProgress(), device="cpu", exact=True, options=options).maps[0].values
        assert [bool(plane.any()) for plane in values] == [k == wanted for k in range(3)]


def test_a_plugin_that_cannot_be_asked_is_not(tmp_path: Path) -> None:
    image, _ = radiograph()
    record = inspect(python_plugin(tmp_path / "p", "def run(case, context): ..."))
    with pytest.raises(PluginUnavailableError, match="cannot be asked where it looked"):
        _asked(record, replace(image, modality=image.modality), EvidenceMethod.GRAD_CAM)
