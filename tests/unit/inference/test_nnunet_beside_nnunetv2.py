"""The same folders through nnU-Net's own predictor, where its package is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from medview.catalog.manifest_engines import NnunetEngine
from medview.core.progress import NoProgress
from medview.inference import nnunet
from medview.inference.plugin import Context
from medview.phantom import chest
from tests.support import nnunet_folders as folders
from tests.support.volumes import volume

predicting = pytest.importorskip("nnunetv2.inference.predict_from_raw_data", exc_type=ImportError)
pytestmark = [pytest.mark.filterwarnings("default")]

LABELS = {"background": 0, "body": 1}
REGIONS = {"background": 0, "patient": [1, 2], "body": 2}
SPACING = (4.0, 2.9, 2.7)


def phantom() -> NDArray[Any]:
    """(k, j, i) HU."""
    return chest.make((40, 96, 96)).volume.voxels


def by_nnunet(path: Path, image: NDArray[Any], *, mirrored: bool = False, stage: Any = None) -> NDArray[Any]:
    predictor = predicting.nnUNetPredictor(use_mirroring=mirrored, device=torch.device("cpu"), allow_tqdm=False)
    predictor.initialize_from_trained_model_folder(str(path), (0,))
    properties = {"spacing": list(SPACING)}
    found: NDArray[Any] = predictor.predict_single_npy_array(image[None].astype(np.float32), properties, stage)
    return found


def ours(path: Path, image: NDArray[Any], *, mirrored: bool = False) -> NDArray[Any]:
    engine = NnunetEngine.model_validate({"kind": "nnunet", "path": path.name, "mirroring": mirrored})
    context = Context(path.parent, NoProgress(), lambda: "cpu", image.shape, exact=True)
    return nnunet.run(path.parent, engine, {"ct": volume(image, spacing_mm=SPACING)}, context)


def plans(configurations: dict[str, Any]) -> dict[str, Any]:
    """Plans that leave air its own values."""
    found = folders.plans(configurations)
    found["foreground_intensity_properties_per_channel"]["0"]["percentile_00_5"] = -1000.0
    return found


def fitted(settings: dict[str, Any], inputs: int, heads: int) -> Any:
    patch = settings["patch_size"]
    made = folders.network(settings["architecture"], patch, inputs, heads, 5)
    voxels = torch.from_numpy(phantom().astype(np.float32))[4:36, 8:88, 8:88]
    voxels = voxels if len(patch) == 3 else voxels[16]
    truth = (voxels > -300).long()
    image = (voxels.clamp(-1000, 400) - 20) / 150
    given = torch.cat((image[None], torch.zeros((inputs - 1, *image.shape))))[None]
    folders.fit(made, given, truth)
    return made


def dice(first: NDArray[Any], second: NDArray[Any]) -> float:
    """The smallest of all labels."""
    found = []
    for label in np.unique(second):
        one, other = first == label, second == label
        found.append(2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other)))
    return min(found)


CT = ("CTNormalization",)
SETTINGS = {
    "plain": folders.configuration((3.0, 3.0, 3.0), (32, 32, 32), schemes=CT),
    "residual encoder": folders.configuration((3.0, 3.0, 3.0), (32, 32, 32), schemes=CT, network="ResidualEncoderUNet"),
    "thick slices": folders.configuration((10.0, 2.5, 2.5), (8, 32, 32), schemes=CT),
    "by torch": folders.configuration((3.0, 3.0, 3.0), (32, 32, 32), schemes=CT, kind="torch"),
    "2d": folders.configuration((2.5, 2.5), (32, 32), schemes=CT),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_labels_are_nnunets_own(tmp_path: Path, name: str) -> None:
    settings = SETTINGS[name]
    kind = "2d" if name == "2d" else "3d_fullres"
    dataset = folders.dataset(LABELS)
    path = folders.model_folder(tmp_path, plans({kind: settings}), kind, dataset, [fitted(settings, 1, 2)])
    wanted = by_nnunet(path, phantom())
    assert len(np.unique(wanted)) > 1
    assert dice(ours(path, phantom()), wanted) >= 0.9995


def test_regions(tmp_path: Path) -> None:
    settings = SETTINGS["plain"]
    dataset = folders.dataset(REGIONS, order=[1, 2])
    written = plans({"3d_fullres": settings})
    path = folders.model_folder(tmp_path, written, "3d_fullres", dataset, [fitted(settings, 1, 2)])
    wanted = by_nnunet(path, phantom())
    assert len(np.unique(wanted)) > 1
    assert dice(ours(path, phantom()), wanted) >= 0.9995


def test_a_cascade(tmp_path: Path) -> None:
    low = folders.configuration((5.0, 5.0, 5.0), (16, 32, 32), schemes=CT)
    high = {**SETTINGS["plain"], "previous_stage": "3d_lowres"}
    written = plans({"3d_lowres": low, "3d_cascade_fullres": high})
    dataset = folders.dataset(LABELS)
    first = folders.model_folder(tmp_path, written, "3d_lowres", dataset, [fitted(low, 1, 2)])
    path = folders.model_folder(tmp_path, written, "3d_cascade_fullres", dataset, [fitted(high, 2, 2)])
    stage = by_nnunet(first, phantom())
    wanted = by_nnunet(path, phantom(), stage=stage[None])
    assert len(np.unique(wanted)) > 1
    assert dice(ours(path, phantom()), wanted) >= 0.9995
