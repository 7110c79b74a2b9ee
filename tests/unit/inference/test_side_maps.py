"""Maps that come with labels are those of MONAI's own chain: activation, measure, inversion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
import torch
from monai.data import MetaTensor
from monai.inferers import SlidingWindowInferer
from monai.networks.nets import UNet
from monai.transforms import Compose, EnsureChannelFirstd, Invertd, NormalizeIntensityd, Orientationd, Spacingd

from medview.catalog.plugins import inspect
from medview.core.case import Case, Patient, Study
from medview.core.errors import InputError, PluginUnavailableError, StorageError
from medview.core.progress import NoProgress
from medview.core.volume import Modality, Volume
from medview.inference import runner, tensors
from medview.inference.maps import MapKind, SideMap
from medview.inference.options import RunOptions
from medview.inference.plugin import SegmentationResult
from medview.workstation import answer_maps
from tests.support import nnunet_folders as folders
from tests.support.bundles import bundle_config, bundle_plugin, python_plugin
from tests.support.volumes import oblique, volume

BOTH = RunOptions(uncertainty=True, probability=2)


def network(classes: int = 3) -> UNet:
    torch.manual_seed(3)
    made = UNet(spatial_dims=3, in_channels=1, out_channels=classes, channels=[4, 8], strides=[2], num_res_units=0)
    with torch.no_grad():
        for value in made.parameters():
            value.mul_(2)
    return made.eval()


@pytest.fixture
def image() -> Volume:
    voxels = np.random.default_rng(5).normal(0, 200, (12, 30, 27)).astype(np.int16)
    return volume(voxels, spacing_mm=(4.0, 1.3, 1.1), direction=oblique())


def plugin(folder: Path, *lines: str, regions: bool = False, own_end: bool = False) -> Path:
    config = bundle_config()
    steps = config["postprocessing"]["transforms"]
    if regions:
        steps[0] = {"_target_": "Activationsd", "keys": "pred", "sigmoid": True}
        steps[2] = {"_target_": "AsDiscreted", "keys": "pred", "threshold": 0.5}
        config["network_def"]["out_channels"] = 2
    if own_end:
        steps.insert(0, {"_target_": "CopyItemsd", "keys": "pred", "names": "raw"})
    bundle_plugin(folder, config, lines=lines)
    torch.save(network(2 if regions else 3).state_dict(), folder / "models" / "model.pt")
    if regions:
        manifest = folder / "plugin.toml"
        text = manifest.read_text(encoding="utf-8")
        manifest.write_text(text.replace("\nvalue =", "\noverlap = true\nvalue ="), encoding="utf-8")
    return folder


def by_monai(image: Volume, measure: Any, *, regions: bool = False, mirrored: bool = False) -> np.ndarray:
    """(k, j, i): what `measure` makes of the probabilities, (channel, x, y, z), brought back by MONAI."""
    before = Compose(
        [
            EnsureChannelFirstd(keys="image"),
            Orientationd(keys="image", axcodes="RAS", labels=None),
            Spacingd(keys="image", pixdim=[2.0, 2.0, 2.0], mode="bilinear"),
            NormalizeIntensityd(keys="image"),
        ]
    )
    data = before({"image": tensors.to_tensor(image)})
    made = network(2 if regions else 3)

    def turned(windows: torch.Tensor) -> torch.Tensor:
        mean: torch.Tensor = (made(windows).softmax(1) + made(windows.flip(2)).softmax(1).flip(2)) / 2
        return mean

    with torch.no_grad():
        inferer = SlidingWindowInferer([16, 16, 16], 2, 0.5, "gaussian")
        values = inferer(data["image"].as_tensor()[None], turned if mirrored else made)[0]
    if not mirrored:
        values = torch.sigmoid(values) if regions else torch.softmax(values, dim=0)
    data["pred"] = MetaTensor(measure(values)[None])
    found = Invertd(keys="pred", transform=before, orig_keys="image", nearest_interp=False)(data)["pred"]
    assert isinstance(found, torch.Tensor)
    return tensors.to_labels(found)


def entropy(chances: torch.Tensor) -> torch.Tensor:
    total: torch.Tensor = -(chances * torch.log(chances)).sum(0) / float(np.log(len(chances)))
    return total


def largest_of_two(chances: torch.Tensor) -> torch.Tensor:
    other = 1 - chances
    first, second = -(chances * torch.log2(chances) + other * torch.log2(other))
    larger: torch.Tensor = torch.maximum(first, second)
    return larger


def run(folder: Path, image: Volume, options: RunOptions) -> SegmentationResult:
    return runner.run(inspect(folder), image, NoProgress(), device="cpu", exact=True, options=options)


def kinds(result: SegmentationResult) -> list[tuple[MapKind, int]]:
    return [(one.kind, one.label) for one in result.maps]


def same(found: SideMap, wanted: np.ndarray) -> None:
    """As well as half precision tells."""
    assert found.values.dtype == np.float16
    assert wanted.std() > 0.01
    np.testing.assert_allclose(found.values.astype(np.float64), wanted, atol=1e-3)


def test_uncertainty_and_probability_of_a_bundle(tmp_path: Path, image: Volume) -> None:
    result = run(plugin(tmp_path / "b"), image, BOTH)
    assert kinds(result) == [(MapKind.UNCERTAINTY, 0), (MapKind.PROBABILITY, 2)]
    same(result.maps[0], by_monai(image, entropy))
    same(result.maps[1], by_monai(image, lambda chances: chances[2]))
    plain = run(tmp_path / "b", image, RunOptions())
    np.testing.assert_array_equal(result.labels, plain.labels)
    assert plain.maps == ()


def test_of_structures_that_overlap_the_least_sure_one_counts(tmp_path: Path, image: Volume) -> None:
    result = run(plugin(tmp_path / "b", regions=True), image, BOTH)
    same(result.maps[0], by_monai(image, largest_of_two, regions=True))
    same(result.maps[1], by_monai(image, lambda chances: chances[1], regions=True))


def test_maps_of_mirrored_windows_are_those_of_their_mean(tmp_path: Path, image: Volume) -> None:
    folder = plugin(tmp_path / "b", "mirror-axes = [0]")
    result = run(folder, image, RunOptions(mirroring=True, uncertainty=True, probability=1))
    same(result.maps[0], by_monai(image, entropy, mirrored=True))
    same(result.maps[1], by_monai(image, lambda chances: chances[1], mirrored=True))


def test_what_is_not_looked_at_has_no_uncertainty(tmp_path: Path, image: Volume) -> None:
    voxels = np.array(image.voxels)
    voxels[:, 14:] = -3000
    half = volume(voxels, spacing_mm=(4.0, 1.3, 1.1), direction=oblique())
    folder = plugin(tmp_path / "b")
    manifest = folder / "plugin.toml"
    text = manifest.read_text(encoding="utf-8")
    manifest.write_text(text.replace("[[label]]", "crop = { above = -2000, margin-mm = 0 }\n\n[[label]]", 1), "utf-8")
    result = run(folder, half, BOTH)
    assert not result.maps[0].values[:, 14:].any()
    same(SideMap(MapKind.UNCERTAINTY, 0, result.maps[0].values[:, :14]), by_monai(half, entropy)[:, :14])


def test_an_nnunet_folder_gives_the_softmax_of_its_network(tmp_path: Path) -> None:
    patch = (16, 16, 16)
    settings = folders.configuration((2.0, 2.0, 2.0), patch)
    made = folders.network(settings["architecture"], patch, 1, 3, 5)
    names = {"background": 0, "one": 1, "two": 2}
    plans = folders.plans({"3d_fullres": settings})
    path = folders.model_folder(tmp_path, plans, "3d_fullres", folders.dataset(names), [made])
    engine = f'[[engine.paths]]\npath = "{path.name}"\nlabels = {{ 1 = 7, 2 = 4 }}'
    (tmp_path / "plugin.toml").write_text(folders.manifest(engine, [4, 7]), encoding="utf-8")
    voxels = np.random.default_rng(3).normal(30, 100, patch).astype(np.int16)
    voxels[voxels == 0] = 1
    result = run(tmp_path, volume(voxels, spacing_mm=(2, 2, 2)), RunOptions(uncertainty=True, probability=4))
    values = voxels.astype(np.float32)
    with torch.no_grad():
        chances = made(torch.from_numpy((values - values.mean()) / values.std())[None, None])[0].softmax(0)
    assert kinds(result) == [(MapKind.UNCERTAINTY, 0), (MapKind.PROBABILITY, 4)]
    same(result.maps[0], entropy(chances).numpy())
    same(result.maps[1], chances[2].numpy())


def test_what_gives_no_values_gives_no_maps(tmp_path: Path, image: Volume) -> None:
    result = run(plugin(tmp_path / "b", own_end=True), image, BOTH)
    assert result.maps == ()
    assert any("there are no maps" in str(note) for note in result.notes)
    own = python_plugin(tmp_path / "p", "def run(case, context):\n    return case['image'].voxels > 0")
    with pytest.raises(PluginUnavailableError, match="gives labels alone"):
        run(own, image, RunOptions(uncertainty=True))
    with pytest.raises(PluginUnavailableError, match="does not find the label 5") as caught:
        run(tmp_path / "b", image, RunOptions(probability=5))
    assert "1 (One), 2 (Two)" in str(caught.value.remedy)


def test_a_map_becomes_an_image_of_the_case(image: Volume) -> None:
    values = np.random.default_rng(1).random(image.geometry.shape).astype(np.float16)
    made = SideMap(MapKind.PROBABILITY, 1, values)
    shown = answer_maps.image_of(made, image, "A name")
    case = Case(Study("1.2.3", Patient("P")))
    shown.put_into(case)
    volume_ = case.volumes[shown.volume.id]
    np.testing.assert_array_equal(volume_.voxels, np.rint(values.astype(np.float64) * 100))
    assert (volume_.unit, volume_.modality) == ("%", Modality.OTHER)
    assert volume_.geometry.same_grid(image.geometry)
    series = case.series_with(volume_.series_uid)
    assert series is not None
    assert (series.description, series.files) == ("A name", ())


def test_a_map_is_saved_as_the_numbers_it_holds(tmp_path: Path, image: Volume) -> None:
    values = np.random.default_rng(1).random(image.geometry.shape).astype(np.float16)
    made = SideMap(MapKind.UNCERTAINTY, 0, values)
    answer_maps.save(made, image, (), tmp_path / "map.nii.gz", NoProgress())
    read = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / "map.nii.gz")))
    np.testing.assert_array_equal(read, values.astype(np.float32))
    with pytest.raises(InputError, match="refer to DICOM images"):
        answer_maps.save(made, image, (), tmp_path / "map.dcm", NoProgress())
    with pytest.raises(StorageError, match="does not write files like"):
        answer_maps.save(made, image, (), tmp_path / "map.jpg", NoProgress())
