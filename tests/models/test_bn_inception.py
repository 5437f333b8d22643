import copy
from functools import cache
from math import ceil

import pytest
import torch
from torch import Tensor, nn

from reid.anatomy import analyse
from reid.errors import UserError
from reid.models.backbones import Backbone
from reid.models.backbones.bn_inception import build

STAGES = ("conv1", "conv2", *(f"inception_{b}" for b in ("3a", "3b", "3c", "4a", "4b", "4c", "4d", "4e", "5a", "5b")))


@cache
def built(last_stride: int = 2) -> Backbone:
    torch.manual_seed(0)
    return build("inception_v2", last_stride=last_stride).eval()


def noise(height: int, width: int, batch: int = 1) -> Tensor:
    return 60 * torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(1))


def input_of(net: Backbone, layer: str, images: Tensor) -> Tensor:
    """What a layer is given when the network sees ``images``."""
    got: list[Tensor] = []
    handle = net.get_submodule(layer).register_forward_pre_hook(lambda _, inputs: got.append(inputs[0]))
    net(images)
    handle.remove()
    return got[0]


def side(image: int, last_stride: int = 2) -> int:
    """A 7x7 convolution, two poolings that round up, and two blocks that halve; all but the poolings are padded."""
    side = (image + 6 - 7) // 2 + 1
    for _ in range(2):
        side = ceil((side - 3) / 2) + 1
    side = (side + 2 - 3) // 2 + 1
    return side if last_stride == 1 else (side + 2 - 3) // 2 + 1


def test_parameters_are_those_of_the_published_network() -> None:
    """11,295,240 with the classifier of 1000 classes."""
    assert sum(p.numel() for p in built().parameters()) + 1024 * 1000 + 1000 == 11_295_240


def test_tensors_are_named_as_in_the_published_file() -> None:
    """Each unit is a convolution with bias and its batch normalisation, at the top level."""
    units = ["conv1_7x7_s2", "conv2_3x3_reduce", "conv2_3x3"]
    for stage in STAGES[2:]:
        halving = stage in ("inception_3c", "inception_4e")
        branches = "" if halving else "1x1 pool_proj "
        branches += "3x3_reduce 3x3 double_3x3_reduce double_3x3_1 double_3x3_2"
        units += [f"{stage}_{branch}" for branch in branches.split()]
    assert len(units) == 69
    statistics = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    expected = {f"{unit}.{tensor}" for unit in units for tensor in ("weight", "bias")}
    expected |= {f"{unit}_bn.{tensor}" for unit in units for tensor in statistics}
    assert set(built().state_dict()) == expected


def test_names_hold_inside_another_module() -> None:
    around = nn.ModuleDict({"first": nn.Linear(2, 2), "backbone": built(), "last": nn.Linear(2, 2)})
    state = around.state_dict()
    inner = [f"backbone.{name}" for name in built().state_dict()]
    assert list(state) == ["first.weight", "first.bias", *inner, "last.weight", "last.bias"]
    again = copy.deepcopy(around)
    with torch.no_grad():
        for parameter in again.parameters():
            parameter.zero_()
    again.load_state_dict(state)  # strict: no name is left over
    assert all(torch.equal(v, state[name]) for name, v in again.state_dict().items())


def test_stages_can_be_named() -> None:
    """The convolutions of a stage are what the published names begin with."""
    parameters = [name for name, _ in built().named_parameters()]
    by_stage = {stage: [name for name in parameters if name.startswith(f"{stage}.")] for stage in STAGES}
    assert [name for names in by_stage.values() for name in names] == parameters  # each once, and in order
    assert all(by_stage.values())


@torch.no_grad()
@pytest.mark.parametrize("last_stride", [2, 1])
@pytest.mark.parametrize(("height", "width"), [(256, 128), (384, 128), (128, 64), (299, 299), (160, 80)])
def test_map_sizes(height: int, width: int, last_stride: int) -> None:
    net = built(last_stride)
    assert net.channels == 1024
    assert net(noise(height, width)).shape == (1, 1024, side(height, last_stride), side(width, last_stride))


@torch.no_grad()
def test_map_size_of_the_paper() -> None:
    assert built()(noise(224, 224)).shape == (1, 1024, 7, 7)


@torch.no_grad()
def test_last_stride_one_leaves_the_weights_alone_and_sees_more_places() -> None:
    usual, finer = built(), build("inception_v2", last_stride=1).eval()
    finer.load_state_dict(usual.state_dict())
    coarse, fine = (input_of(net, "inception_5a", noise(128, 64)) for net in (usual, finer))
    assert coarse.shape == (1, 1056, 4, 2)
    assert fine.shape == (1, 1056, 8, 4)
    convolved = 192 + 256  # what 4e's convolutions give; its pooled input comes after them
    # What has stride 1 is what has stride 2 at every place. Padded windows have their centres at 0, 2, 4, ...
    torch.testing.assert_close(fine[:, :convolved, ::2, ::2], coarse[:, :convolved], rtol=1e-4, atol=1e-5)
    # ... and those of the original's pooling, which has no padding, theirs at 1, 3, 5, ...
    torch.testing.assert_close(fine[:, convolved:, 1::2, 1::2], coarse[:, convolved:], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_pixels_reach_the_first_convolution_as_caffe_gave_them() -> None:
    """BGR in 0..255 less (104, 117, 128)."""
    net, rgb = built(), torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(5))
    normalised = (rgb - torch.tensor(net.mean)[:, None, None]) / torch.tensor(net.std)[:, None, None]
    red, green, blue = 255 * rgb[0]
    expected = torch.stack([blue - 104, green - 117, red - 128])
    torch.testing.assert_close(input_of(net, "conv1.7x7_s2", normalised)[0], expected, rtol=1e-5, atol=1e-4)


def test_a_step_lowers_the_loss_by_what_the_gradient_promises() -> None:
    torch.manual_seed(0)
    net, images, rate = build("inception_v2").train(), noise(64, 64, batch=4), 1e-5
    target = torch.randn(4, 1024, generator=torch.Generator().manual_seed(4))
    optimizer = torch.optim.SGD(net.parameters(), lr=rate)

    def loss() -> Tensor:
        return (net(images).mean((2, 3)) - target).square().mean()

    first = loss()
    first.backward()
    gradients = {name: p.grad for name, p in net.named_parameters() if p.grad is not None}
    weights = [name for name, _ in net.named_parameters() if name.endswith("weight")]
    assert all(gradients[name].abs().max() > 0 for name in weights)
    optimizer.step()
    promised = rate * sum(g.square().sum().item() for g in gradients.values())
    assert first.item() - loss().item() == pytest.approx(promised, rel=0.2)


def test_a_file_of_weights_is_taken(tmp_path: object) -> None:
    path = f"{tmp_path}/net.pth"
    state = {k: v + 1 for k, v in built().state_dict().items()}
    torch.save({**state, "last_linear.weight": torch.zeros(1000, 1024), "last_linear.bias": torch.zeros(1000)}, path)
    net = build("inception_v2", weights=path)
    assert all(torch.equal(v, state[k]) for k, v in net.state_dict().items())
    assert net.origin == f"{path} (414 of 414 tensors, not used: 2 (last_linear.weight, last_linear.bias))"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "inception_v22"}, r"backbone\.name=inception_v22 is unknown: known is inception_v2$"),
        ({"name": "inception_v2", "last_stride": 3}, r"backbone\.last_stride=3 must be 1 or 2"),
        ({"name": "inception_v2", "weights": "/no/such.pth"}, r"backbone\.weights=/no/such\.pth: no such file"),
    ],
)
def test_bad_options_are_told(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(**arguments)


def test_the_field_of_its_last_map() -> None:
    """27 with jump 8 after the stem, then two 3x3 a block at jumps 8, 16 and 32. Channels swapped see the same."""
    net = build("inception_v2").to("meta")
    last = analyse(net, (3, 256, 128), effective_inputs=0, shifts=(), batches=()).last_map
    assert last is not None
    assert last.field is not None
    assert last.field.size == (27 + 2 * 32 + (16 + 16) + 4 * 64 + (32 + 32) + 2 * 128,) * 2
