from collections.abc import Callable
from math import ceil, floor, prod

import pytest
import torch
from torch import Tensor, nn

from reid.errors import UserError
from reid.models.backbones import Backbone
from reid.models.backbones.alexnets import ResponseNorm, build

NAMES = ("alexnet_grouped", "zfnet")
CLASSIFIER = (256 * 6 * 6 * 4096 + 4096) + (4096 * 4096 + 4096) + (4096 * 1000 + 1000)


def built(name: str) -> Backbone:
    torch.manual_seed(0)
    return build(name).eval()


def noise(height: int, width: int, batch: int = 1) -> Tensor:
    """Pixels less their mean, in the range these nets see."""
    return 60 * torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(1))


def alexnet_side(side: int) -> int:
    side = floor((side - 11) / 4) + 1
    for _ in range(3):
        side = ceil((side - 3) / 2) + 1
    return side


def zfnet_side(side: int) -> int:
    side = floor((side + 2 - 7) / 2) + 1
    side = ceil((side - 3) / 2) + 1
    side = floor((side - 5) / 2) + 1
    side = ceil((side - 3) / 2) + 1
    return ceil((side - 3) / 2) + 1


@pytest.mark.parametrize(("name", "whole"), [("alexnet_grouped", 60_965_224), ("zfnet", 62_357_608)])
def test_parameters_are_those_of_the_papers(name: str, whole: int) -> None:
    assert sum(p.numel() for p in built(name).parameters()) + CLASSIFIER == whole


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "image", "sides"),
    [
        ("alexnet_grouped", 227, {"conv1": 55, "pool1": 27, "conv2": 27, "pool2": 13, "conv5": 13, "pool5": 6}),
        (
            "zfnet",
            224,
            {"conv1": 110, "pool1": 55, "conv2": 26, "pool2": 13, "conv3": 13, "conv4": 13, "conv5": 13, "pool5": 6},
        ),
    ],
)
def test_map_sizes_of_the_papers(name: str, image: int, sides: dict[str, int]) -> None:
    seen, x = {}, noise(image, image)
    for stage, module in built(name).named_children():
        x = module(x)
        seen[stage] = tuple(x.shape[2:])
    assert {stage: seen[stage] for stage in sides} == {stage: (side, side) for stage, side in sides.items()}
    assert x.shape == (1, 256, 6, 6)


@torch.no_grad()
@pytest.mark.parametrize(("height", "width"), [(256, 128), (384, 128), (128, 64), (299, 299)])
@pytest.mark.parametrize(("name", "side"), [("alexnet_grouped", alexnet_side), ("zfnet", zfnet_side)])
def test_map_sizes_of_other_images(name: str, side: Callable[[int], int], height: int, width: int) -> None:
    net = built(name)
    assert net.channels == 256
    assert net(noise(height, width)).shape == (1, 256, side(height), side(width))


def test_response_norm_is_the_formula_of_the_paper() -> None:
    """A loop over section 3.3, whose alpha multiplies the sum of squares and not their mean."""
    a = 100 * torch.randn(2, 7, 3, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    expected = torch.empty_like(a)
    n, channels = 5, a.shape[1]
    for i in range(channels):
        around = range(max(0, i - n // 2), min(channels - 1, i + n // 2) + 1)
        squares = sum(a[:, j] ** 2 for j in around)
        expected[:, i] = a[:, i] / (2 + 1e-4 * squares) ** 0.75
    torch.testing.assert_close(ResponseNorm()(a.float()), expected.float(), rtol=1e-5, atol=1e-5)


def test_response_norm_by_hand() -> None:
    """Three channels of 100, 200 and 0: the sum of squares is 50,000 for each, so they are divided by 7^0.75."""
    a = torch.tensor([100.0, 200.0, 0.0]).reshape(1, 3, 1, 1)
    torch.testing.assert_close(ResponseNorm()(a).flatten(), torch.tensor([23.2369, 46.4738, 0.0]), rtol=1e-5, atol=1e-4)


def test_response_norm_survives_half_precision() -> None:
    half = torch.full((1, 3, 1, 1), 400.0, dtype=torch.float16)  # 400^2 is beyond float16
    torch.testing.assert_close(ResponseNorm()(half), ResponseNorm()(half.float()))


@torch.no_grad()
@pytest.mark.parametrize("layer", ["conv2", "conv4", "conv5"])
def test_groups_do_not_see_each_other(layer: str) -> None:
    conv = built("alexnet_grouped").get_submodule(layer)
    assert isinstance(conv, nn.Conv2d)
    inputs, outputs = conv.in_channels // 2, conv.out_channels // 2
    x = torch.randn(1, 2 * inputs, 5, 5, generator=torch.Generator().manual_seed(3))
    changed = x.clone()
    changed[:, inputs:] += 1
    before, after = conv(x), conv(changed)
    assert torch.equal(before[:, :outputs], after[:, :outputs])
    assert (before[:, outputs:] != after[:, outputs:]).all(dim=(0, 2, 3)).all()


@torch.no_grad()
def test_conv3_sees_both_groups() -> None:
    conv = built("alexnet_grouped").get_submodule("conv3")
    x = torch.randn(1, 256, 5, 5, generator=torch.Generator().manual_seed(3))
    changed = x.clone()
    changed[:, 128:] += 1
    assert (conv(x) != conv(changed)).flatten(2).any(2).all()


def test_order_of_normalisation_and_pooling() -> None:
    """Krizhevsky et al. 3.5: pooling follows normalisation. Zeiler and Fergus, figure 3: the other way round."""
    kinds = {"R": nn.ReLU, "N": ResponseNorm, "P": nn.MaxPool2d, "C": nn.Conv2d}
    orders = {
        name: "".join(k for m in built(name) for k, kind in kinds.items() if isinstance(m, kind)) for name in NAMES
    }
    assert orders == {"alexnet_grouped": "CRNPCRNPCRCRCRP", "zfnet": "CRPNCRPNCRCRCRP"}


@pytest.mark.parametrize("name", NAMES)
def test_first_weights_are_those_of_the_papers(name: str) -> None:
    for stage, module in built(name).named_children():
        if isinstance(module, nn.Conv2d):
            count = prod(module.weight.shape)
            assert module.weight.std().item() == pytest.approx(0.01, abs=4 * 0.01 / (2 * count) ** 0.5)
            ones = name == "alexnet_grouped" and stage in ("conv2", "conv4", "conv5")
            assert module.bias is not None
            assert (module.bias == (1.0 if ones else 0.0)).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_step_lowers_the_loss(name: str) -> None:
    net, images = built(name).train(), noise(64, 64, batch=4)
    target = torch.randn(4, 256, generator=torch.Generator().manual_seed(4))
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3)

    def loss() -> Tensor:
        return (net(images).mean((2, 3)) - target).square().mean()

    first = loss()
    first.backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in net.parameters())
    optimizer.step()
    assert loss().item() < first.item()


@torch.no_grad()
@pytest.mark.parametrize("name", NAMES)
def test_normalisation_gives_raw_pixels_less_the_mean(name: str) -> None:
    net = built(name)
    white = (1 - torch.tensor(net.mean)) / torch.tensor(net.std)
    torch.testing.assert_close(white, torch.tensor([255 - 123.675, 255 - 116.28, 255 - 103.53]))


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_weights_is_taken(name: str, tmp_path: object) -> None:
    path = f"{tmp_path}/net.pth"
    state = built(name).state_dict()
    torch.save({k: v + 1 for k, v in state.items()}, path)
    net = build(name, weights=path)
    assert all(torch.equal(v, state[k] + 1) for k, v in net.state_dict().items())
    assert net.origin == f"{path} (10 of 10 tensors)"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("alexnet_groupd", r"backbone\.name=alexnet_groupd is unknown: did you mean alexnet_grouped\?"),
        ("zzz", r"backbone\.name=zzz is unknown: known are alexnet_grouped, zfnet$"),
    ],
)
def test_unknown_names_are_told(name: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(name)
