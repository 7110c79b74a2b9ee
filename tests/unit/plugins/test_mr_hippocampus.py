from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import monai.bundle
import nibabel as nib
import numpy as np
import pytest
import SimpleITK
import torch
from monai.metrics import compute_dice
from monai.networks.utils import one_hot

from medview.catalog import bundle_config
from medview.catalog.fit import fit_volume
from medview.catalog.plugins import PluginRecord, PluginState, inspect
from medview.catalog.terminology import load as load_terminology
from medview.core.errors import PluginUnavailableError
from medview.core.folders import shipped_plugins_folder
from medview.core.progress import NoProgress
from medview.core.volume import Modality
from medview.formats import dicom_files, dicom_series, dicom_volume, image_files
from medview.inference import boxing, runner
from medview.inference.options import RunOptions
from medview.learning import bundle, evaluate, recipe, training_data
from medview.learning.training_data import CasePair
from medview.phantom import hippocampus
from tests.support.volumes import volume

FOLDER = shipped_plugins_folder() / "mr_hippocampus"
_LIMIT_BYTES = 10 * 10**6


@pytest.fixture(scope="module")
def plugin() -> PluginRecord:
    record = inspect(FOLDER)
    assert record.state is PluginState.READY, record.reason
    return record


@pytest.fixture(scope="module")
def labelled(real_data: Path) -> Path:
    folder = real_data / "labelled-hippocampus-200"
    if not folder.is_dir():
        pytest.skip("the labelled hippocampi are not on this machine")
    return folder


@pytest.fixture(scope="module")
def held_out(labelled: Path) -> tuple[CasePair, ...]:
    """Two cases of different patients that training did not see."""
    pairs = evaluate.held_out_pairs(FOLDER, labelled)
    assert pairs[0].patient != pairs[-1].patient
    return pairs[0], pairs[-1]


def test_the_weights_are_small_and_only_numbers() -> None:
    path = FOLDER / bundle.WEIGHTS
    assert path.stat().st_size < _LIMIT_BYTES
    state = torch.load(path, map_location="cpu", weights_only=True)
    assert all(isinstance(value, torch.Tensor) and bool(value.isfinite().all()) for value in state.values())
    bundle.load(FOLDER).new_network().load_state_dict(state, strict=True)


def test_what_the_program_uses_of_the_configuration_is_plain_data() -> None:
    values = [value for _, value in bundle_config.closure(bundle_config.read(FOLDER))]
    assert len(values) > 30
    assert not [value for value in values if isinstance(value, str) and value.startswith(("$", "%"))]


def test_manifest_metadata_and_terminology_agree(plugin: PluginRecord) -> None:
    assert plugin.manifest is not None
    metadata = json.loads((FOLDER / "configs" / "metadata.json").read_text(encoding="utf-8"))
    required = {"version", "monai_version", "pytorch_version", "numpy_version", "required_packages_version", "task"}
    assert required | {"description", "authors", "copyright", "network_data_format"} <= metadata.keys()
    assert metadata["version"] == plugin.manifest.version
    assert plugin.manifest.license.weights == "CC-BY-SA-4.0"
    assert "1902.09063" in plugin.manifest.license.attribution
    names = [segment.name for segment in plugin.manifest.segments]
    assert [name.lower() for name in names] == list(bundle.load(FOLDER).label_names)
    terminology = load_terminology()
    for segment in plugin.manifest.segments:
        term = terminology.find(segment.name)
        assert term is not None
        assert (segment.code, segment.category, segment.laterality) == (term.code, term.category, term.laterality)


# MONAI warns of any configuration that it runs, of decoders and of a log file that a bundle need not have.
@pytest.mark.filterwarnings("ignore:(NvImgCodec|Default logging file|parsing config_file):UserWarning")
def test_monai_alone_gives_the_same_labels_and_they_are_those_of_people(
    plugin: PluginRecord, held_out: tuple[CasePair, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data" / "imagesTr"
    data.mkdir(parents=True)
    for pair in held_out:
        shutil.copy(pair.image, data)
    monkeypatch.chdir(FOLDER)
    monai.bundle.run(
        config_file="configs/inference.json",
        dataset_dir=str(tmp_path / "data"),
        output_dir=str(tmp_path / "out"),
        device="cpu",
    )
    assert torch.is_grad_enabled()
    scores = []
    for pair in held_out:
        image = image_files.read_volume(pair.image, NoProgress())
        found = runner.run(plugin, image, NoProgress(), device="cpu").labels.transpose(2, 1, 0)
        written = np.asarray(nib.Nifti1Image.from_filename(tmp_path / "out" / f"{pair.name}_seg.nii.gz").dataobj)
        assert written.shape == found.shape
        assert (written == found).mean() >= 0.999
        drawn = np.asarray(nib.Nifti1Image.from_filename(pair.mask).dataobj)
        scores.append(compute_dice(_channels(found), _channels(drawn), include_background=False)[0])
    assert torch.stack(scores).mean(dim=0).min() > 0.85


def _channels(labels: np.ndarray) -> torch.Tensor:
    channels: torch.Tensor = one_hot(torch.from_numpy(labels.astype(np.int64))[None, None], 3)
    return channels


def test_the_way_a_file_is_stored_does_not_matter(
    plugin: PluginRecord, held_out: tuple[CasePair, ...], tmp_path: Path
) -> None:
    straight = nib.Nifti1Image.from_filename(held_out[0].image)
    turned = straight.as_reoriented(np.array([[1, -1], [2, 1], [0, -1]]))
    assert nib.aff2axcodes(turned.affine) != nib.aff2axcodes(straight.affine)
    nib.save(turned, tmp_path / "turned.nii.gz")
    answers = []
    for path in (held_out[0].image, tmp_path / "turned.nii.gz"):
        image = image_files.read_volume(path, NoProgress())
        labels = runner.run(plugin, image, NoProgress(), device="cpu").labels
        image_files.write_labels(labels, image.geometry, tmp_path / "labels.nii.gz")
        answers.append(
            np.asarray(nib.as_closest_canonical(nib.Nifti1Image.from_filename(tmp_path / "labels.nii.gz")).dataobj)
        )
    assert answers[0].any()
    assert (answers[0] == answers[1]).mean() > 0.9999


def test_a_real_dicom_crop_gets_a_hippocampus_of_human_size(plugin: PluginRecord, real_data: Path) -> None:
    image = _dicom(real_data / "mr-hippocampus-crop-dicom" / "dicom")
    result = runner.run(plugin, image, NoProgress(), device="cpu")
    millilitres = np.count_nonzero(result.labels) * image.geometry.voxel_mm3 / 1000
    assert 1.5 < millilitres < 5.5
    anterior, posterior = (
        image.geometry.to_patient(np.argwhere(result.labels == value).mean(axis=0))[1] for value in (1, 2)
    )
    assert posterior - anterior > 10  # mm; y grows to the back


def test_a_whole_head_and_ct_are_refused_in_plain_words(plugin: PluginRecord, real_data: Path) -> None:
    assert plugin.manifest is not None
    head = _dicom(real_data / "mr-brain-t1-studyforrest" / "dicom")
    with pytest.raises(PluginUnavailableError, match="at most 48 mm from left to right; the image has 192 mm"):
        runner.run(plugin, head, NoProgress())
    whole = fit_volume(plugin.manifest, head)
    assert (whole.ok, whole.needs_box) == (False, True)
    assert "Set a box around what it looks for, of at most 48 × 64 × 52 mm" in str(whole.reasons[-1])
    crop = hippocampus.make()
    assert fit_volume(plugin.manifest, crop).ok
    computed = volume(crop.voxels, modality=Modality.CT, unit="HU")
    assert not fit_volume(plugin.manifest, computed).ok
    assert not fit_volume(plugin.manifest, computed).needs_box


@pytest.mark.parametrize("side", ["left", "right"])
def test_in_a_whole_head_a_box_around_one_hippocampus_is_enough(
    plugin: PluginRecord, real_data: Path, side: str
) -> None:
    head = _dicom(real_data / "mr-brain-t1-studyforrest" / "dicom")
    x = (12.0, 46.0) if side == "left" else (-40.0, -6.0)  # the middle of this head lies near 3 mm
    box = boxing.voxels_between(head.geometry, (x[0], -38.0, -36.0), (x[1], 12.0, -4.0))
    assert plugin.manifest is not None
    assert fit_volume(plugin.manifest, head, box=box).ok
    labels = runner.run(plugin, head, NoProgress(), device="cpu", options=RunOptions(box=box)).labels
    assert labels.shape == head.geometry.shape
    millilitres = np.count_nonzero(labels) * head.geometry.voxel_mm3 / 1000
    assert 2.0 < millilitres < 5.5  # of an adult
    parts = SimpleITK.ConnectedComponent(SimpleITK.GetImageFromArray((labels[box.slices] > 0).astype(np.uint8)))
    assert np.bincount(SimpleITK.GetArrayFromImage(parts).ravel())[1:].max() > 0.95 * np.count_nonzero(labels)
    anterior, posterior = (head.geometry.to_patient(np.argwhere(labels == value).mean(axis=0))[1] for value in (1, 2))
    assert posterior - anterior > 10  # mm; y grows to the back


def test_every_labelled_crop_is_of_a_size_that_the_plugin_takes(plugin: PluginRecord, labelled: Path) -> None:
    assert plugin.manifest is not None
    for pair in training_data.find_pairs(labelled)[::20]:
        fit = fit_volume(plugin.manifest, image_files.read_volume(pair.image, NoProgress()))
        assert fit.ok, fit.reasons


def test_the_patients_held_out_are_those_of_the_recipe(labelled: Path) -> None:
    rule = recipe.read(FOLDER / bundle.RECIPE).split
    pairs = training_data.find_pairs(labelled, rule.images_per_patient)
    training, kept = training_data.divide(pairs, rule)
    assert not {pair.patient for pair in training} & {pair.patient for pair in kept}
    assert 0.1 < len(kept) / len(pairs) < 0.3


def _dicom(folder: Path) -> Any:
    if not folder.is_dir():
        pytest.skip("this scan is not on this machine")
    scan = dicom_files.scan((folder,), NoProgress())
    return dicom_volume.read(dicom_series.group(scan.headers)[0], NoProgress())
