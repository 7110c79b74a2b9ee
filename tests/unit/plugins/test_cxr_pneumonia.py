from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from medview.core.folders import shipped_plugins_folder
from medview.core.progress import NoProgress
from medview.core.volume import Modality, Volume, Window
from medview.formats import dicom_files, dicom_series, dicom_volume
from medview.inference import python_engine
from medview.learning import evaluate_classifier, labelled_pictures
from medview.learning.splits import Split
from tests.support import odd_images
from tests.support.threads import one_thread
from tests.support.volumes import volume

__all__ = ["one_thread"]

FOLDER = shipped_plugins_folder() / "cxr_pneumonia"
_LIMIT_BYTES = 10 * 10**6
_CR, _DX = "1.2.840.10008.5.1.4.1.1.1", "1.2.840.10008.5.1.4.1.1.1.1"


@pytest.fixture(scope="module")
def package() -> Iterator[str]:
    with python_engine.package_of(FOLDER) as name:
        yield name


@pytest.fixture(scope="module")
def radiograph(package: str) -> Any:
    return importlib.import_module(f"{package}.radiograph")


@pytest.fixture(scope="module")
def classifier(package: str) -> Any:
    return importlib.import_module(f"{package}.classifier").Classifier(FOLDER)


@pytest.fixture(scope="module")
def pictures(real_data: Path) -> Path:
    path = real_data / "labelled-pneumoniamnist" / "pneumoniamnist.npz"
    if not path.is_file():
        pytest.skip("the labelled radiographs are not on this machine")
    return path


def _radiograph(values: NDArray[Any], *, modality: Modality = Modality.DX, windows: tuple[Window, ...] = ()) -> Volume:
    made = volume(values[None], modality=modality, unit="")
    return replace(made, windows=windows)


def _scene(rows: int, columns: int, top: float) -> NDArray[np.float64]:
    """Smooth shapes, 0..top."""
    down, across = np.mgrid[0:rows, 0:columns] / min(rows, columns)
    waves = np.sin(9 * down) * np.cos(7 * across) + np.sin(23 * across + 5 * down) / 3
    shares: NDArray[np.float64] = (waves - waves.min()) / (waves.max() - waves.min())
    return shares * top


def _by_pillow(shares: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The middle square, made small as the authors of MedMNIST made theirs."""
    short = min(shares.shape)
    top, left = (shares.shape[0] - short) // 2, (shares.shape[1] - short) // 2
    square = Image.fromarray((shares[top : top + short, left : left + short] * 255).round().astype(np.uint8))
    return np.asarray(square.resize((28, 28), Image.Resampling.BICUBIC))


@pytest.mark.parametrize(("rows", "columns"), [(700, 500), (440, 441), (300, 512), (28, 28)])
@pytest.mark.parametrize("top", [255, 4095, 30000])
def test_a_radiograph_becomes_the_picture_that_pillow_makes(radiograph: Any, rows: int, columns: int, top: int) -> None:
    scene = _scene(rows, columns, top)
    kind = np.uint8 if top == 255 else np.uint16
    image = _radiograph(scene.round().astype(kind), windows=(Window.between(0.0, float(top)),))
    found = radiograph.picture_of(image)
    assert (found.shape, found.dtype) == ((28, 28), np.uint8)
    assert np.abs(found.astype(int) - _by_pillow(scene / top)).max() <= 1


def test_a_useless_window_is_not_used_and_none_is_needed(radiograph: Any) -> None:
    scene = _scene(300, 300, 4000.0).round().astype(np.uint16)
    none = radiograph.picture_of(_radiograph(scene))
    useless = radiograph.picture_of(_radiograph(scene, windows=(Window.between(0.0, 300.0),)))
    np.testing.assert_array_equal(none, useless)
    assert np.abs(none.astype(int) - _by_pillow(scene / 4000)).max() < 30
    assert len(np.unique(radiograph.picture_of(_radiograph(np.full((50, 60), 7, np.uint16))))) == 1


def test_pixels_that_are_not_square_are_seen_in_millimetres(radiograph: Any) -> None:
    scene = _scene(600, 600, 4000.0)
    window = (Window.between(0.0, 4000.0),)
    thin = scene.reshape(300, 2, 600).mean(axis=1)
    made = volume(thin[None].astype(np.float32), spacing_mm=(1.0, 0.4, 0.2), modality=Modality.DX, unit="")
    found = radiograph.picture_of(replace(made, windows=window))
    wanted = radiograph.picture_of(_radiograph(scene.astype(np.float32), windows=window))
    assert np.abs(found.astype(int) - wanted).max() <= 3


@pytest.mark.parametrize(("bits", "signed"), [(8, False), (12, False), (16, False), (16, True)])
def test_dicom_of_either_photometric_interpretation_and_depth_gives_one_picture(
    radiograph: Any, tmp_path: Path, bits: int, signed: bool
) -> None:
    scene = _scene(320, 260, 1.0)
    top = 2**bits - 1
    low = -(2 ** (bits - 1)) if signed else 0
    pictures = []
    for inverted in (False, True):
        made = odd_images.dataset(_CR, "CR", scene.shape)
        stored = np.round((1 - scene if inverted else scene) * top) + low
        odd_images.put_pixels(made, stored.astype(np.int16 if signed else np.uint16 if bits > 8 else np.uint8))
        made.BitsStored, made.HighBit = bits, bits - 1
        made.PhotometricInterpretation = "MONOCHROME1" if inverted else "MONOCHROME2"
        made.WindowCenter, made.WindowWidth = str(low + 2 ** (bits - 1)), str(2**bits)
        image = _read(odd_images.save(made, tmp_path / f"{inverted}.dcm"))
        pictures.append(radiograph.picture_of(image).astype(int))
    wanted = _by_pillow(scene)
    for found in pictures:
        assert np.abs(found - wanted).max() <= 2


def test_what_is_no_chest_radiograph_is_outside_what_it_knows(classifier: Any) -> None:
    random = np.random.default_rng(0)
    noise = _radiograph(random.integers(0, 4096, (500, 400), dtype=np.uint16))
    assert classifier.classify(noise).outside
    flat = _radiograph(np.full((500, 400), 100, np.uint16))
    assert classifier.classify(flat).outside
    scene = _scene(200, 200, 255.0).astype(np.uint8)
    photograph = replace(_radiograph(scene), colors=np.repeat(scene[None, ..., None], 3, axis=3))
    assert classifier.classify(photograph).outside
    computed = _radiograph(scene, modality=Modality.CT)
    assert any("no radiograph" in sentence for sentence in classifier.classify(computed).outside)
    strip = _radiograph(scene[:60])
    assert any("longer" in sentence for sentence in classifier.classify(strip).outside)


@pytest.mark.parametrize("name", ["RG3_J2KR.dcm", "CR-ModalitySequenceLUT.dcm", "dx_image.dcm"])
def test_a_leg_teeth_and_the_lateral_chest_of_a_dog_are_outside_what_it_knows(
    classifier: Any, real_data: Path, name: str
) -> None:
    found = classifier.classify(_real(real_data, name))
    assert found.outside
    assert sum(found.probabilities.values()) == pytest.approx(1)


@pytest.mark.parametrize("name", ["CR-MONO1-10-chest", "RG1_J2KI.dcm"])
def test_frontal_chests_are_answered_whatever_their_depth_and_spacing(
    classifier: Any, real_data: Path, name: str
) -> None:
    found = classifier.classify(_real(real_data, name))
    assert set(found.probabilities) == {"Normal", "Pneumonia"}
    assert sum(found.probabilities.values()) == pytest.approx(1)
    # lungs are darker than what is between them, and the edge of the picture is no frame
    picture = found.picture.astype(float)
    assert picture[8:16, 5:10].mean() < picture[8:16, 13:15].mean()


def test_the_weights_are_small_and_only_numbers(package: str) -> None:
    network = importlib.import_module(f"{package}.network")
    size = 0
    for path in (FOLDER / "models").glob("*.pt"):
        size += path.stat().st_size
        state = torch.load(path, map_location="cpu", weights_only=True)
        tensors = [one for value in state.values() for one in (value.values() if isinstance(value, dict) else [value])]
        assert all(bool(torch.as_tensor(one).isfinite().all()) for one in tensors)
    assert 0 < size < _LIMIT_BYTES
    weights = torch.load(FOLDER / "models" / "model.pt", map_location="cpu", weights_only=True)
    network.make().load_state_dict(weights, strict=True)


def test_the_shipped_weights_reach_what_is_said_of_them(pictures: Path) -> None:
    found = evaluate_classifier.score(FOLDER, pictures)
    card = (FOLDER / "docs" / "README.md").read_text(encoding="utf-8")
    for one in (found.auc, found.accuracy, found.sensitivity, found.specificity, found.calibration_error):
        assert f"{one.value:.3f} | {one.low:.3f} to {one.high:.3f}" in card
    baseline = json.loads((FOLDER / evaluate_classifier.BASELINE).read_text(encoding="utf-8"))
    assert found.auc.value >= baseline["auc"]


def test_the_calibration_is_that_of_the_validation_pictures(classifier: Any, pictures: Path) -> None:
    rule = json.loads((FOLDER / "configs" / "calibration.json").read_text(encoding="utf-8"))
    validation = labelled_pictures.read(pictures, Split.VALIDATION)
    assert rule["data_sha256"] == validation.sha256
    shares, outside = classifier.answers(validation.pictures)
    positive = shares[:, 1] >= rule["threshold"]
    assert np.mean(positive[validation.labels == 1]) == pytest.approx(rule["sensitivity"], abs=0.005)
    assert np.mean(~positive[validation.labels == 0]) == pytest.approx(rule["specificity"], abs=0.015)
    assert 0.0 < outside.mean() < 0.03


def test_brightness_and_contrast_of_a_display_do_not_change_the_answer(classifier: Any, pictures: Path) -> None:
    validation = labelled_pictures.read(pictures, Split.VALIDATION).pictures[:100]
    duller = np.round(validation * 0.6 + 50).astype(np.uint8)
    change = np.abs(classifier.answers(duller)[0] - classifier.answers(validation)[0])
    assert change.mean() < 0.02


def test_turned_and_inverted_radiographs_are_mostly_outside_what_it_knows(classifier: Any, pictures: Path) -> None:
    validation = labelled_pictures.read(pictures, Split.VALIDATION).pictures[:200]
    upside_down = classifier.answers(validation[:, ::-1].copy())[1]
    quarter = classifier.answers(np.rot90(validation, 1, (1, 2)).copy())[1]
    assert quarter.mean() > 0.5
    inverted = classifier.answers(255 - validation)[1]
    assert upside_down.mean() > 0.5
    assert inverted.mean() > 0.5


def _real(real_data: Path, name: str) -> Volume:
    path = real_data / "radiographs-cr-dx" / name
    if not path.is_file():
        pytest.skip("this radiograph is not on this machine")
    return _read(path)


def _read(path: Path) -> Volume:
    scan = dicom_files.scan((path,), NoProgress())
    return dicom_volume.read(dicom_series.group(scan.headers)[0], NoProgress())
