"""A network that is made lean says what it said before."""

from __future__ import annotations

import copy

import pytest
import torch
from monai.networks.nets import DynUNet, SegResNet, UNet
from torch import nn

from medview.inference.lean import make_lean, shorten_weights


def lived_in(network: nn.Module) -> nn.Module:
    """With statistics and weights as after a training, not those of a beginning."""
    generator = torch.Generator().manual_seed(3)
    for one in network.modules():
        if isinstance(one, nn.BatchNorm2d | nn.BatchNorm3d):
            one.running_mean = torch.randn(one.num_features, generator=generator)
            one.running_var = torch.rand(one.num_features, generator=generator) + 0.3
            with torch.no_grad():
                one.weight.copy_(torch.rand(one.num_features, generator=generator) + 0.5)
                one.bias.copy_(torch.randn(one.num_features, generator=generator))
    return network.eval()


def unet(dimensions: int) -> nn.Module:
    torch.manual_seed(1)
    made = UNet(dimensions, 1, 3, (8, 16, 32), (2, 2), num_res_units=2, norm="batch", dropout=0.1)
    return lived_in(made)


def both(network: nn.Module, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What it says before it is made lean, and after."""
    changed = copy.deepcopy(network)
    make_lean(changed)
    with torch.inference_mode():
        return network(image), changed(image)


def norms(network: nn.Module) -> int:
    return sum(isinstance(one, nn.BatchNorm2d | nn.BatchNorm3d) for one in network.modules())


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("windows", [1, 2])
def test_norms_are_taken_over_by_convolutions(dimensions: int, windows: int) -> None:
    made = unet(dimensions)
    image = torch.randn((windows, 1, *(24,) * dimensions), generator=torch.Generator().manual_seed(0))
    before, after = both(made, image)
    assert norms(made) > 5
    make_lean(made)
    assert norms(made) == 0
    assert float((before - after).abs().max()) < 1e-5 * float(before.abs().max())


@pytest.mark.parametrize("windows", [1, 3])
@pytest.mark.parametrize(
    "made",
    [
        SegResNet(3, 8, 1, 4),
        DynUNet(3, 1, 2, [3, 3, 3], [1, 2, 2], [2, 2], norm_name="instance"),
    ],
    ids=["SegResNet", "DynUNet"],
)
@pytest.mark.parametrize("order", [torch.channels_last_3d, torch.contiguous_format])
def test_networks_without_batch_norms_say_the_same(made: nn.Module, windows: int, order: torch.memory_format) -> None:
    image = torch.randn((windows, 1, 16, 16, 16), generator=torch.Generator().manual_seed(0))
    before, after = both(made.eval(), image.contiguous(memory_format=order))
    assert torch.allclose(before, after, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("settings", [{"stride": 2, "padding": 1}, {"groups": 2}, {"dilation": 2, "bias": False}])
def test_one_small_window_alone_is_as_one_of_two(settings: dict[str, int]) -> None:
    torch.manual_seed(0)
    made = nn.Sequential(nn.Conv3d(4, 6, 3, **settings)).eval()  # type: ignore[arg-type]
    image = torch.randn((2, 4, 9, 8, 7))
    with torch.inference_mode():
        wanted = made(image)
        make_lean(made)
        found = torch.cat([made(image[:1]), made(image[1:])])
    assert torch.allclose(wanted, found, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 2, 4, 7])
@pytest.mark.parametrize("bias", [True, False])
def test_transposed_convolutions_to_few_channels_say_the_same(channels: int, bias: bool) -> None:
    torch.manual_seed(0)
    made = nn.Sequential(nn.ConvTranspose3d(5, channels, 3, stride=2, padding=1, output_padding=1, bias=bias)).eval()
    for windows in (1, 2):
        image = torch.randn((windows, 5, 7, 6, 9)).contiguous(memory_format=torch.channels_last_3d)
        before, after = both(made, image)
        assert torch.allclose(before, after, atol=1e-5)
        assert after.shape == (windows, channels, 14, 12, 18)


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("order", [torch.channels_last_3d, torch.contiguous_format])
def test_instance_norms_are_those_of_double_precision(affine: bool, order: torch.memory_format) -> None:
    torch.manual_seed(0)
    made = nn.Sequential(nn.InstanceNorm3d(6, affine=affine))
    for parameter in made.parameters():
        nn.init.normal_(parameter)
    # channels that lie far from 0, so that sums of squares alone would lose what tells their voxels apart
    image = torch.randn((2, 6, 40, 50, 60)) + 100 * torch.arange(6.0).reshape(1, 6, 1, 1, 1)
    with torch.inference_mode():
        wanted = copy.deepcopy(made).double()(image.double())
        make_lean(made)
        found = made(image.contiguous(memory_format=order))
        short = made(image.bfloat16().contiguous(memory_format=order))
        in_short = nn.functional.instance_norm(image.bfloat16().double())
        if affine:
            weight, bias = (one.double().reshape(1, 6, 1, 1, 1) for one in made.parameters())
            in_short = in_short * weight + bias
    assert float((found - wanted).abs().max()) < 1e-4
    assert short.dtype is torch.bfloat16
    assert float((short - in_short).abs().max()) < 0.01 * float(in_short.abs().max())


def test_a_step_that_is_used_twice_keeps_its_places() -> None:
    torch.manual_seed(0)
    bend = nn.Tanh()
    made = lived_in(nn.Sequential(nn.Conv3d(1, 4, 3), bend, nn.Conv3d(4, 4, 3), bend, nn.BatchNorm3d(4)))
    before, after = both(made, torch.randn((1, 1, 12, 12, 12)))
    assert torch.allclose(before, after, atol=1e-5)


class Twice(nn.Module):
    """Calls a convolution with its norm behind it, and without."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv3d(1, 3, 3)
        self.normed = nn.Sequential(self.convolution, nn.BatchNorm3d(3))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.normed(image) + self.convolution(image)
        return found


def test_a_convolution_with_two_uses_is_left_alone() -> None:
    torch.manual_seed(0)
    made = lived_in(Twice())
    before, after = both(made, torch.randn((1, 1, 12, 12, 12)))
    assert torch.allclose(before, after, atol=1e-5)


def test_shortened_weights_are_what_autocast_computes_with() -> None:
    made = unet(3)
    make_lean(made)
    image = torch.randn((1, 1, 24, 24, 24), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        wanted = made(image)
        shorten_weights(made, torch.bfloat16)
        found = made(image)
    assert torch.equal(wanted, found)
