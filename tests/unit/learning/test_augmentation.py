from __future__ import annotations

import pytest
import torch

from medview.learning import augmentation
from medview.learning.recipe import AugmentationRecipe
from medview.learning.training_data import TrainingCase
from tests.support import training_set


def _case(size: tuple[int, int, int] = (24, 20, 22)) -> TrainingCase:
    """The labels are also the image: 2 where label 1 is, 5 where label 2 is."""
    labels = torch.zeros((2, *size))
    labels[0, 6:14, 5:12, 8:16] = 1
    labels[1, 14:19, 5:12, 8:16] = 1
    image = labels[:1] * 2 + labels[1:] * 5
    return TrainingCase("case", image, labels)


def _generator(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_without_variations_a_patch_of_full_size_is_the_case() -> None:
    case = _case()
    how = training_set.recipe(patch_size=(24, 20, 22), augmentation=AugmentationRecipe())
    image, labels = augmentation.patch(case, how, _generator())
    torch.testing.assert_close(image, case.image, atol=1e-4, rtol=0)
    assert labels.equal((case.labels[0] + 2 * case.labels[1])[None].long())


def test_outside_a_small_case_there_is_nothing() -> None:
    how = training_set.recipe(patch_size=(30, 20, 22), augmentation=AugmentationRecipe())
    image, labels = augmentation.patch(_case(), how, _generator())
    torch.testing.assert_close(image[:, 3:27], _case().image, atol=1e-4, rtol=0)
    assert not image[:, :3].any()
    assert not image[:, 27:].any()
    assert not labels[:, :3].any()


def test_a_mirrored_patch_is_the_flipped_case() -> None:
    how = training_set.recipe(
        patch_size=(24, 20, 22), augmentation=AugmentationRecipe(mirror_axes=(1,), mirror_chance=1.0)
    )
    image, labels = augmentation.patch(_case(), how, _generator())
    torch.testing.assert_close(image, _case().image.flip(2), atol=1e-4, rtol=0)
    assert labels.equal((_case().labels[0] + 2 * _case().labels[1])[None].flip(2).long())


@pytest.mark.parametrize("seed", range(6))
def test_image_and_labels_bend_together(seed: int) -> None:
    bent = AugmentationRecipe(
        affine_chance=1.0,
        rotation_degrees=30,
        scale=(0.8, 1.3),
        translation_voxels=3,
        elastic_chance=1.0,
        elastic_voxels=1.5,
        elastic_spacing_voxels=8,
    )
    how = training_set.recipe(patch_size=(24, 20, 22), augmentation=bent)
    image, labels = augmentation.patch(_case(), how, _generator(seed))
    assert not torch.allclose(image, _case().image, atol=0.5)
    # the middle of a structure is far from partial volume: there its value says which label it is
    assert (labels[image > 4.8] == 2).all()
    assert (image[labels == 0] < 3.1).all()
    assert {int(value) for value in torch.unique(labels)} == {0, 1, 2}


def test_the_same_generator_draws_the_same_patch() -> None:
    wild = AugmentationRecipe(
        affine_chance=0.5, rotation_degrees=20, noise_chance=0.5, noise_sigma=0.2, gamma_chance=0.5, gamma=(0.7, 1.5)
    )
    how = training_set.recipe(augmentation=wild)
    first, second = (augmentation.patch(_case(), how, _generator(9)) for _ in range(2))
    other = augmentation.patch(_case(), how, _generator(10))
    assert first[0].equal(second[0])
    assert first[1].equal(second[1])
    assert not first[0].equal(other[0])


def test_patches_on_the_foreground_hold_some() -> None:
    how = training_set.recipe(patch_size=(4, 4, 4), foreground_share=1.0, augmentation=AugmentationRecipe())
    assert all(augmentation.patch(_case(), how, _generator(seed))[1].any() for seed in range(20))


def _varied(image: torch.Tensor, **how: object) -> torch.Tensor:
    return augmentation.vary_intensity(image, AugmentationRecipe.model_validate(how), _generator())


def test_what_each_variation_of_intensity_keeps() -> None:
    image = torch.randn((1, 12, 13, 14), generator=_generator(5))
    torch.testing.assert_close(_varied(image, brightness_chance=1.0, brightness=(1.3, 1.3)), image * 1.3)
    for chance in ("gamma_chance", "inverted_gamma_chance"):
        curved = _varied(image, gamma=(1.5, 1.5), **{chance: 1.0})
        torch.testing.assert_close(curved.mean(), image.mean(), atol=1e-4, rtol=0)
        torch.testing.assert_close(curved.std(), image.std(), atol=1e-4, rtol=0)
        assert curved.flatten().argsort().equal(image.flatten().argsort())
        assert not torch.allclose(curved, image, atol=0.05)
    stretched = _varied(image, contrast_chance=1.0, contrast=(1.5, 1.5))
    assert stretched.min() >= image.min()
    assert stretched.max() <= image.max()
    assert stretched.std() > image.std()
    noisy = _varied(torch.zeros((1, 30, 30, 30)), noise_chance=1.0, noise_sigma=0.2)
    assert 0 < noisy.std() <= 0.21


def test_blur_and_low_resolution_leave_what_is_even_and_smooth_what_is_not() -> None:
    even, rough = torch.full((1, 12, 12, 12), 3.0), torch.randn((1, 12, 12, 12), generator=_generator(5))
    for how in (
        {"blur_chance": 1.0, "blur_sigma": (0.9, 0.9)},
        {"low_resolution_chance": 1.0, "low_resolution": (0.5, 0.5)},
    ):
        torch.testing.assert_close(_varied(even, **how), even)
        assert _varied(rough, **how).std() < 0.9 * rough.std()
