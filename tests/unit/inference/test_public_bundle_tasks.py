"""Bundles with the structure of MONAI's public ones that look at pictures, or do something else than segment."""

from __future__ import annotations

import importlib.util
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.inferers import SlidingWindowInferer
from monai.networks.nets import DenseNet121, SEResNet50
from monai.transforms import Compose
from torch import nn

from medview.catalog.installing import install
from medview.catalog.plugins import PluginRecord, PluginState, inspect
from medview.core.errors import PluginUnavailableError
from medview.core.progress import NoProgress
from medview.core.volume import Modality, Volume, Window
from medview.inference import runner
from medview.inference.plugin import SegmentationResult
from medview.phantom.chest import Phantom
from tests.support import zoo_scripts, zoo_tasks
from tests.support.volumes import volume


def _installed(tmp_path: Path, name: str, *made: Any, **more: Any) -> PluginRecord:
    torch.manual_seed(11)
    bundle = zoo_tasks.write(tmp_path / name, *made, **more)
    return inspect(install(bundle, tmp_path / "plugins").folder)


def _trusted(record: PluginRecord) -> PluginRecord:
    assert record.state is PluginState.NEEDS_TRUST, record.reason
    return replace(record, state=PluginState.READY, trusted=True)


def _run(record: PluginRecord, image: Volume, **more: Any) -> SegmentationResult:
    return runner.run(record, image, NoProgress(), device="cpu", exact=True, **more)


def _frames(count: int = 3, size: tuple[int, int] = (48, 60)) -> Volume:
    random = np.random.default_rng(2)
    colors = random.integers(0, 255, (count, *size, 3), dtype=np.uint8)
    grey = colors.mean(-1).astype(np.uint8)
    return replace(volume(grey, modality=Modality.US, unit=""), colors=colors, is_spatial=False)


def _grey(*shape: int, modality: Modality = Modality.OTHER) -> Volume:
    values = np.random.default_rng(3).integers(0, 4000, shape, dtype=np.uint16)
    return replace(volume(values, modality=modality, unit=""), is_spatial=False)


def test_frames_in_colour_are_classified_one_by_one(tmp_path: Path) -> None:
    config, network, said = zoo_tasks.inbody()
    record = _installed(tmp_path, "endoscopic_inbody_classification", config, network, said)
    assert record.state is PluginState.READY, record.reason
    assert record.manifest is not None
    assert (record.manifest.task, record.manifest.input[0].dims, record.manifest.input[0].color) == (
        "classify",
        2,
        True,
    )
    frames = _frames()
    result = _run(record, frames)
    assert not result.labels.any()
    assert result.segments == ()
    found = result.findings.classes
    assert [(one.slice, one.name) for one in found] == [(k, name) for k in range(3) for name in ("in body", "out body")]
    # the same by hand, from what the configuration says
    model = SEResNet50(spatial_dims=2, in_channels=3, num_classes=2)
    model.load_state_dict(network.state_dict())
    model.eval()
    assert frames.colors is not None
    for k in range(3):
        x = torch.from_numpy(frames.colors[k].astype(np.float32)).permute(2, 1, 0)[None]
        x = torch.nn.functional.interpolate(x, (64, 64), mode="bilinear", align_corners=False)
        x = (x - x.mean((2, 3), keepdim=True)) / x.std((2, 3), keepdim=True, correction=0)
        with torch.inference_mode():
            wanted = model(x).softmax(1)[0].numpy()
        np.testing.assert_allclose([one.probability for one in found if one.slice == k], wanted, atol=2e-3)
    assert any("pictures" in str(note) for note in result.notes)


def test_grey_pictures_are_classified_and_a_missing_label_is_no_matter(tmp_path: Path) -> None:
    config, network, said = zoo_tasks.classification_template()
    record = _installed(tmp_path, "classification_template", config, network, said, suffix="yaml")
    assert record.state is PluginState.READY, record.reason
    image = _grey(1, 64, 72)
    result = _run(record, image)
    model = DenseNet121(spatial_dims=2, in_channels=1, out_channels=4)
    model.load_state_dict(network.state_dict())
    x = torch.from_numpy(image.voxels[0].astype(np.float32).T.copy())[None, None]
    with torch.inference_mode():
        wanted = model.eval()((x - x.min()) / (x.max() - x.min())).softmax(1)[0].numpy()
    np.testing.assert_allclose([one.probability for one in result.findings.classes], wanted, atol=1e-4)
    assert [one.name for one in result.findings.classes] == ["background", "circle", "triangle", "rectangle"]
    assert len(result.notes) == 4
    assert "%" in str(result.notes[0])


def test_a_projection_is_shown_in_colour_and_what_it_needs_is_named(tmp_path: Path) -> None:
    config, said = zoo_tasks.breast_density()
    image = replace(_grey(1, 80, 60, modality=Modality.MG), windows=(Window(2000, 3000),))
    if importlib.util.find_spec("torchvision") is None:
        record = _installed(tmp_path, "breast_density_classification", config, {}, said)
        assert record.state is PluginState.READY, record.reason
        with pytest.raises(PluginUnavailableError, match="torchvision"):
            _run(record, image)
        return
    from monai.networks.nets import TorchVisionFCModel

    settings = {key: value for key, value in config["network_def"].items() if key != "_target_"}
    network = TorchVisionFCModel(**settings)
    record = _installed(tmp_path, "breast_density_classification", config, network, said)
    result = _run(record, image)
    assert [one.name for one in result.findings.classes] == ["A", "B", "C", "D"]
    grey = np.round(np.clip((image.voxels[0].astype(np.float32) - 500) / 3000, 0, 1) * 255)
    x = torch.from_numpy(np.repeat(grey.T[None, None], 3, 1))
    x = torch.nn.functional.interpolate((x - x.min()) / (x.max() - x.min()), (299, 299), mode="area")
    with torch.inference_mode():
        wanted = network.eval()(x).sigmoid()[0].numpy()
    np.testing.assert_allclose([one.probability for one in result.findings.classes], wanted, atol=1e-3)


def _values(network: nn.Module, frames: Volume, k: int) -> torch.Tensor:
    """What the network says of a frame that was made (96, 64) and scaled to 0..1."""
    assert frames.colors is not None
    x = torch.from_numpy(frames.colors[k].astype(np.float32)).permute(2, 1, 0)[None]
    small = torch.nn.functional.interpolate(x, (96, 64), mode="bilinear", align_corners=False)
    with torch.inference_mode():
        values: torch.Tensor = network.eval()((small - small.min()) / (small.max() - small.min()))
    return values


def _balance(network: nn.Module, frames: Volume) -> None:
    """Have a network of random weights find something in about half of a frame."""
    last = [one for one in network.modules() if isinstance(one, nn.Conv2d)][-1]
    assert last.bias is not None
    values = _values(network, frames, 0)[0]
    with torch.no_grad():
        last.bias[1] -= (values[1] - values[0]).median()


def test_frames_in_colour_are_segmented_one_by_one(tmp_path: Path) -> None:
    config, network, said = zoo_tasks.tools()
    frames = _frames(2)
    _balance(network, frames)
    record = _trusted(_installed(tmp_path, "endoscopic_tool_segmentation", config, network, said))
    shown: list[tuple[int, int]] = []
    result = runner.run(
        record, frames, NoProgress(), device="cpu", exact=True,
        preview=lambda box, labels: shown.append((box.start[0], int(labels.max()))),
    )  # fmt: skip
    assert [segment.name for segment in result.segments] == ["tools"]
    assert result.labels.shape == frames.geometry.shape
    assert [k for k, _ in shown] == [0, 1]
    assert frames.colors is not None
    for k in range(2):
        values = _values(network, frames, k)
        back = torch.nn.functional.interpolate(values, frames.voxels[k].T.shape, mode="bilinear", align_corners=False)
        wanted = back.argmax(1)[0].numpy().T
        assert (result.labels[k] == wanted).mean() > 0.98
    assert 0 < result.labels.mean() < 1


def test_boxes_of_a_detector_lie_in_the_patient(tmp_path: Path) -> None:
    config, network, said = zoo_tasks.nodules()
    scripts = {"detection_inferer.py": zoo_scripts.RETINANET_INFERER}
    made = _installed(tmp_path, "lung_nodule_ct_detection", config, network, said, scripts=scripts)
    assert made.manifest is not None
    assert made.manifest.task == "detect"
    assert [one.name for one in made.manifest.class_] == ["CT lung nodule detection"]
    noise = np.random.default_rng(5).normal(-400, 300, (16, 40, 32)).astype(np.int16)
    image = volume(noise, spacing_mm=(2.0, 1.5, 1.25), unit="HU")
    result = _run(_trusted(made), image)
    boxes = result.findings.boxes
    assert boxes
    assert {one.name for one in boxes} == {"CT lung nodule detection"}
    # MONAI's own steps, as the configuration has them, give the same boxes
    from monai.apps.detection.networks.retinanet_detector import RetinaNetDetector
    from monai.apps.detection.transforms.dictionary import AffineBoxToWorldCoordinated, ClipBoxToImaged, ConvertBoxModed
    from monai.apps.detection.utils.anchor_utils import AnchorGeneratorWithAnchorShape
    from monai.transforms import EnsureChannelFirstd, Orientationd, ScaleIntensityRanged

    from medview.inference import tensors

    prepared = Compose(
        [
            EnsureChannelFirstd("image"),
            Orientationd("image", "RAS", labels=None),
            ScaleIntensityRanged("image", -1024, 300, 0, 1, clip=True),
        ]
    )({"image": tensors.to_tensor(image)})["image"]
    anchors = AnchorGeneratorWithAnchorShape((1, 2, 4), ((6, 8, 4), (8, 6, 5), (10, 10, 6)))
    detector = RetinaNetDetector(network.eval(), anchors)
    detector.set_target_keys("box", "label")
    detector.set_box_selector_parameters(
        score_thresh=0.02, topk_candidates_per_level=50, nms_thresh=0.22, detections_per_img=20
    )
    detector.inferer = SlidingWindowInferer((32, 32, 16), 1, 0.25, mode="constant", device="cpu")
    detector.eval()
    with torch.inference_mode(), warnings.catch_warnings(action="ignore"):  # of numpy's, inside MONAI
        (raw,) = detector([prepared.as_tensor()], use_inferer=True)
    post = Compose(
        [
            ClipBoxToImaged("box", "label", "image", remove_empty=True),
            AffineBoxToWorldCoordinated("box", "image", affine_lps_to_ras=True),
            ConvertBoxModed("box", "xyzxyz", "cccwhd"),
        ]
    )
    wanted = post({**raw, "image": prepared})["box"].numpy()
    found = np.array([[*one.center, *np.abs(np.array(one.edges)).sum(0)] for one in boxes])
    np.testing.assert_allclose(found[np.lexsort(found.T)], wanted[np.lexsort(wanted.T)], atol=0.05)


def test_points_of_a_film_are_given_for_every_picture(tmp_path: Path) -> None:
    config, said = zoo_tasks.valves()
    torch.manual_seed(4)
    linear = nn.Linear(64, 20)
    weights = {"linear.weight": linear.weight.detach(), "linear.bias": linear.bias.detach()}
    scripts = {"valve_landmarks.py": zoo_scripts.VALVE_LANDMARKS}
    made = _installed(tmp_path, "valve_landmarks", config, weights, said, scripts=scripts)
    assert made.manifest is not None
    assert (made.manifest.task, made.manifest.input[0].dims) == ("landmark", 4)
    film = _grey(5, 32, 32, modality=Modality.MR)
    result = _run(_trusted(made), film)
    points = result.findings.points
    assert len(points) == 50
    assert [one.name for one in points[:10]] == [f"valve {number}" for number in range(10)]
    values = film.voxels.astype(np.float32)
    values = (values - values.min()) / (values.max() - values.min())
    for k in range(5):
        x = torch.from_numpy(values[k].T.copy())[None, None]  # (1, 1, i, j), as the file would have been loaded
        wanted = linear(torch.nn.functional.avg_pool2d(x, 4).flatten(1)).reshape(2, 10).detach().numpy()
        found = np.array([one.position for one in points if one.slice == k])
        np.testing.assert_allclose(found[:, :2].T, wanted, atol=1e-4)
        assert not found[:, 2].any()


def test_a_point_of_a_slice_that_has_a_place_lies_in_the_patient(tmp_path: Path) -> None:
    config, said = zoo_tasks.valves()
    weights = {"linear.weight": torch.zeros(20, 64), "linear.bias": torch.arange(20.0)}
    scripts = {"valve_landmarks.py": zoo_scripts.VALVE_LANDMARKS}
    made = _installed(tmp_path, "valve_landmarks", config, weights, said, scripts=scripts)
    image = replace(_grey(3, 32, 32, modality=Modality.MR), is_spatial=True)
    points = _run(_trusted(made), image).findings.points
    for point in points:
        assert point.slice is not None
        # point n lies at column n, row n + 10
        wanted = image.geometry.affine @ np.array([point.slice, point.value + 10, point.value, 1])
        np.testing.assert_allclose(point.position, wanted[:3], atol=1e-4)


def test_a_bundle_for_clicks_runs_without_any(tmp_path: Path, small_phantom: Phantom) -> None:
    config, network, said = zoo_tasks.deepedit()
    scripts = {"transforms.py": zoo_scripts.DEEPEDIT_TRANSFORMS}
    made = _installed(tmp_path, "spleen_deepedit_annotation", config, network, said, scripts=scripts)
    assert made.manifest is not None
    assert [one.name for one in made.manifest.input] == ["image"]
    image = small_phantom.volume
    result = _run(_trusted(made), image)
    assert set(np.unique(result.labels)) == {0, 1}
    # by hand: the phantom's axes are turned to RAS, made 32 voxels wide, and two empty channels are added
    values = np.clip((image.voxels.astype(np.float32) + 175) / 425, 0, 1)
    x = torch.from_numpy(values).permute(2, 1, 0).flip([0, 1])[None, None]  # the plane's axes point to LP: turned to RA
    small = torch.nn.functional.interpolate(x, (32, 32, 32), mode="area")
    with torch.inference_mode():
        found = network.eval()(torch.cat([small, torch.zeros(1, 2, 32, 32, 32)], 1)).softmax(1)
    back = torch.nn.functional.interpolate(found, x.shape[2:], mode="trilinear", align_corners=False)
    wanted = back[0].argmax(0).flip([0, 1]).permute(2, 1, 0).numpy()
    assert (result.labels == wanted).mean() > 0.98


def test_phases_that_are_loaded_by_name_are_put_together(tmp_path: Path, small_phantom: Phantom) -> None:
    config, network, said = zoo_tasks.kidneys()
    scripts = {"my_transforms.py": zoo_scripts.CONCAT_IMAGES}
    made = _installed(tmp_path, "renalStructures_CECT_segmentation", config, network, said, scripts=scripts)
    assert made.manifest is not None
    assert [one.name for one in made.manifest.input] == ["artery", "vein", "excret"]
    assert [one.name for one in made.manifest.label] == ["artery", "vein", "ureter", "neoplasm", "parenchyma"]
    record, image = _trusted(made), small_phantom.volume
    others = {"vein": replace(image, voxels=image.voxels // 2), "excret": replace(image, voxels=image.voxels // 4)}
    result = _run(record, image, others=others)
    assert len(result.layers) == 5
    assert any(layer.any() for layer in result.layers)
    swapped = _run(record, image, others={"vein": others["excret"], "excret": others["vein"]})
    assert any((a != b).any() for a, b in zip(result.layers, swapped.layers, strict=True))


def test_a_network_that_is_told_what_to_look_for_is_asked_for_all_that_the_manifest_names(
    tmp_path: Path, small_phantom: Phantom
) -> None:
    config, network, said = zoo_tasks.vista()
    scripts = {"inferer.py": zoo_scripts.VISTA_INFERER}
    made = _installed(tmp_path, "vista3d", config, network, said, scripts=scripts)
    assert made.manifest is not None
    result = _run(_trusted(made), small_phantom.volume)
    assert result.labels.shape == small_phantom.volume.geometry.shape
    assert set(np.unique(result.labels)) <= {0, 1, 2, 3}
    assert result.labels.any()
