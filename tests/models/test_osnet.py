import math
from functools import cache

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reid.errors import UserError
from reid.models.backbones import Backbone
from reid.models.backbones.osnet import WIDTHS, Block, build

# Millions of parameters and of multiplications at 256x128, the vector of 512 included: ICCV 2019, table on the width
# multiplier. The two with instance normalisation have the convolutions of x1.0.
PUBLISHED = {
    "osnet_x1_0": (2.2, 978.9), "osnet_x0_75": (1.3, 571.8), "osnet_x0_5": (0.6, 272.9), "osnet_x0_25": (0.2, 82.3),
    "osnet_ibn_x1_0": (2.2, 978.9), "osnet_ain_x1_0": (2.2, 978.9),
}  # fmt: skip
CHANNELS = {"osnet_x1_0": 512, "osnet_x0_75": 384, "osnet_x0_5": 256, "osnet_x0_25": 128, "osnet_ibn_x1_0": 512,
            "osnet_ain_x1_0": 512}  # fmt: skip
WITH_INSTANCE_NORM = ("osnet_ibn_x1_0", "osnet_ain_x1_0")


@cache
def built(name: str) -> Backbone:
    torch.manual_seed(0)
    return build(name).eval()


def shapes_only(name: str) -> Backbone:
    with torch.device("meta"):
        return build(name)


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def noise(height: int = 64, width: int = 32, seed: int = 1) -> Tensor:
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(seed))


def shuffle_norms(module: nn.Module, seed: int = 2) -> None:
    """Norms and gates whose every number matters."""
    draw = torch.Generator().manual_seed(seed)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d | nn.InstanceNorm2d):
            layer.weight.data.uniform_(0.5, 1.5, generator=draw)
            layer.bias.data.normal_(0, 0.3, generator=draw)
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.5, generator=draw)
            layer.running_var.uniform_(0.5, 2, generator=draw)
        if isinstance(layer, nn.Conv2d) and layer.bias is not None:
            layer.bias.data.normal_(0, 0.5, generator=draw)


def test_every_net_is_checked() -> None:
    assert set(PUBLISHED) == set(CHANNELS) == set(WIDTHS)


@pytest.mark.parametrize("name", WIDTHS)
@pytest.mark.parametrize(
    ("size", "expected"), [((256, 128), (16, 8)), ((128, 64), (8, 4)), ((384, 128), (24, 8)), ((299, 299), (18, 18))]
)
def test_map_is_a_sixteenth(name: str, size: tuple[int, int], expected: tuple[int, int]) -> None:
    """Two padded windows of stride 2 round up, two bare ones down: 299 -> 150 -> 75 -> 37 -> 18."""
    net = shapes_only(name)
    maps = net(torch.empty(2, 3, *size, device="meta"))
    assert maps.shape == (2, CHANNELS[name], *expected)
    assert net.channels == CHANNELS[name]
    assert expected == tuple(math.ceil(math.ceil(s / 2) / 2) // 2 // 2 for s in size)


@torch.no_grad()
@pytest.mark.parametrize("name", WIDTHS)
def test_map_shows_something(name: str) -> None:
    maps = built(name)(noise())
    assert maps.shape == (2, CHANNELS[name], 4, 2)
    assert maps.min() >= 0
    assert maps.isfinite().all()
    assert maps.std() > 1e-3 * maps.max() > 0


@pytest.mark.parametrize("name", WIDTHS)
def test_size_and_work_are_the_published_ones(name: str) -> None:
    net, channels = shapes_only(name), CHANNELS[name]
    work = [0]

    def multiply(conv: nn.Module, _: object, out: Tensor) -> None:
        assert isinstance(conv, nn.Conv2d)
        work[0] += out.numel() * conv.weight[0].numel()

    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(multiply)
    net(torch.empty(1, 3, 256, 128, device="meta"))
    vector = channels * 512 + 512 + 2 * 512  # a linear layer and its norm, which are the head's here
    millions, multiplications = PUBLISHED[name]
    assert round((count(net) + vector) / 1e6, 1) == millions
    assert (work[0] + channels * 512) / 1e6 == pytest.approx(multiplications, abs=0.06)


def test_parameters_are_those_counted_by_hand() -> None:
    """Block 64 -> 256, streams of 64: in 64*64 + 2*64 = 4,224; ten light convolutions of 64*64 + 9*64 + 2*64 = 4,800;
    gate 64*4 + 4 + 4*64 + 64 = 580; out 64*256 + 2*256 = 16,896; shortcut 64*256 + 2*256 = 16,896."""
    assert count(Block(64, 256)) == 4_224 + 48_000 + 580 + 16_896 + 16_896
    assert count(Block(256, 256)) == 16_512 + 48_000 + 580 + 16_896
    assert count(Block(256, 256, "after")) == 81_988 + 512
    assert count(Block(256, 256, "inside", nested=True)) == 81_988  # in place of the norm of conv3
    # torchreid reports 2,193,616 for osnet_x1_0 with its vector of 512, as users' logs show. It adds up layers as they
    # are called, and so counts the gates, which four streams share, three times too often.
    gates = 2 * (580 + (2 * 96 * 6 + 6 + 96) + (2 * 128 * 8 + 8 + 128))
    assert count(shapes_only("osnet_x1_0")) == 2_193_616 - 3 * gates - (512 * 512 + 512 + 2 * 512)
    assert count(shapes_only("osnet_ibn_x1_0")) - count(shapes_only("osnet_x1_0")) == 2 * 512
    assert count(shapes_only("osnet_ain_x1_0")) == count(shapes_only("osnet_x1_0"))


@torch.no_grad()
@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("instance_norm", [None, "after", "inside"])
@pytest.mark.parametrize("channels", [32, 128])
def test_block_is_the_formula(channels: int, instance_norm: str | None, nested: bool) -> None:
    """ICCV 2019, equations 1 to 3, written out over the tensors."""
    torch.manual_seed(3)
    block = Block(channels, 128, instance_norm, nested=nested).eval()
    shuffle_norms(block)
    t = block.state_dict()

    def norm(x: Tensor, at: str) -> Tensor:
        scale = t[f"{at}.weight"] / (t[f"{at}.running_var"] + 1e-5).sqrt()
        return scale[:, None, None] * (x - t[f"{at}.running_mean"][:, None, None]) + t[f"{at}.bias"][:, None, None]

    def image_norm(x: Tensor) -> Tensor:
        x = (x - x.mean((2, 3), keepdim=True)) / (x.var((2, 3), keepdim=True, unbiased=False) + 1e-5).sqrt()
        return x * t["IN.weight"][:, None, None] + t["IN.bias"][:, None, None]

    x = torch.randn(2, channels, 9, 7)
    start = norm(F.conv2d(x, t["conv1.conv.weight"]), "conv1.bn").clamp(min=0)
    mixed = torch.zeros(())
    for stream in range(4):
        y = start
        for i in range(stream + 1):
            at = "conv2a" if stream == 0 else f"conv2{'abcd'[stream]}.{i}"
            at = f"conv2.{stream}.layers.{i}" if nested else at
            y = F.conv2d(F.conv2d(y, t[f"{at}.conv1.weight"]), t[f"{at}.conv2.weight"], padding=1, groups=32)
            y = norm(y, f"{at}.bn").clamp(min=0)
        hidden = (y.mean((2, 3)) @ t["gate.fc1.weight"][:, :, 0, 0].T + t["gate.fc1.bias"]).clamp(min=0)
        gate = (hidden @ t["gate.fc2.weight"][:, :, 0, 0].T + t["gate.fc2.bias"]).sigmoid()
        mixed = mixed + gate[:, :, None, None] * y
    residual = F.conv2d(mixed, t["conv3.conv.weight"])
    residual = image_norm(residual) if instance_norm == "inside" else norm(residual, "conv3.bn")
    shortcut = x if channels == 128 else norm(F.conv2d(x, t["downsample.conv.weight"]), "downsample.bn")
    expected = image_norm(residual + shortcut) if instance_norm == "after" else residual + shortcut
    torch.testing.assert_close(block(x), expected.clamp(min=0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("nested", [False, True])
def test_stream_t_sees_2t_plus_1_pixels(nested: bool) -> None:
    """ICCV 2019, section 3.2."""
    block = Block(16, 64, nested=nested).eval()
    for p in block.parameters():
        p.data.abs_()  # nothing cancels and no ReLU closes
    for t, stream in enumerate(block.conv2 if nested else [getattr(block, f"conv2{c}") for c in "abcd"], 1):
        x = torch.ones(1, 16, 13, 13, requires_grad=True)
        stream(x)[0, :, 6, 6].sum().backward()
        seen = torch.zeros(13, 13, dtype=torch.bool)
        seen[6 - t : 7 + t, 6 - t : 7 + t] = True
        assert torch.equal(x.grad[0].abs().sum(0) > 0, seen)


@torch.no_grad()
def test_the_first_halving_takes_the_maximum_and_the_later_ones_the_mean() -> None:
    plain, ain = built("osnet_x0_25"), built("osnet_ain_x1_0")
    x = torch.randn(1, 16, 8, 6)
    windows = F.pad(x, (1, 1, 1, 1), value=-math.inf).unfold(2, 3, 2).unfold(3, 3, 2)
    assert torch.equal(plain.maxpool(x), windows.amax((4, 5)))
    for halve, channels in ((plain.conv2[2], 64), (plain.conv3[2], 96), (ain.pool2, 256), (ain.pool3, 384)):
        x = torch.randn(1, channels, 8, 6)
        y = F.conv2d(x, halve[0].conv.weight).clamp(min=0) / (1 + 1e-5) ** 0.5  # a fresh norm changes next to nothing
        torch.testing.assert_close(halve(x), y.reshape(1, channels, 4, 2, 3, 2).mean((3, 5)))


@torch.no_grad()
@pytest.mark.parametrize("name", ["osnet_x1_0", *WITH_INSTANCE_NORM])
def test_instance_norm_takes_out_the_contrast_of_an_image(name: str) -> None:
    images = noise()
    same = torch.allclose(built(name)(images), built(name)(5 * images), rtol=1e-2, atol=1e-2)
    assert same == (name in WITH_INSTANCE_NORM)


@pytest.mark.parametrize("name", WIDTHS)
def test_a_step_lowers_the_loss_by_what_the_gradient_says(name: str) -> None:
    torch.manual_seed(4)
    net = build(name).train()
    images, labels = noise(), torch.tensor([0, 1])
    head = torch.randn(CHANNELS[name], 2) / CHANNELS[name] ** 0.5

    def loss() -> Tensor:
        return F.cross_entropy(net(images).mean((2, 3)) @ head, labels)

    before = loss()
    before.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
    slope = sum(p.grad.square().sum().item() for p in net.parameters())
    wanted = 0.002 * before.item()  # small enough for a straight line
    torch.optim.SGD(net.parameters(), lr=wanted / slope).step()
    assert before.item() - loss().item() == pytest.approx(wanted, rel=0.3)


LISTED = {
    "osnet_x1_0": {
        "conv1.conv.weight": (64, 3, 7, 7), "conv1.bn.running_var": (64,), "conv2.0.conv1.conv.weight": (64, 64, 1, 1),
        "conv2.0.conv2a.conv1.weight": (64, 64, 1, 1), "conv2.0.conv2a.conv2.weight": (64, 1, 3, 3),
        "conv2.0.conv2a.bn.weight": (64,), "conv2.1.conv2b.1.conv1.weight": (64, 64, 1, 1),
        "conv3.0.conv2d.3.bn.running_mean": (96,), "conv3.0.gate.fc1.weight": (6, 96, 1, 1),
        "conv3.0.gate.fc2.bias": (96,), "conv4.1.conv3.conv.weight": (512, 128, 1, 1), "conv4.1.conv3.bn.bias": (512,),
        "conv3.0.downsample.conv.weight": (384, 256, 1, 1), "conv2.2.0.conv.weight": (256, 256, 1, 1),
        "conv3.2.0.bn.weight": (384,), "conv5.conv.weight": (512, 512, 1, 1), "conv5.bn.num_batches_tracked": (),
    },
    "osnet_x0_25": {"conv2.0.gate.fc1.weight": (1, 16, 1, 1), "conv4.0.gate.fc1.weight": (2, 32, 1, 1)},
    "osnet_ibn_x1_0": {"conv1.bn.weight": (64,), "conv2.0.IN.weight": (256,), "conv2.1.IN.bias": (256,)},
    "osnet_ain_x1_0": {
        "conv1.bn.bias": (64,), "conv2.0.conv2.0.layers.0.conv1.weight": (64, 64, 1, 1),
        "conv2.0.conv2.3.layers.3.bn.weight": (64,), "conv2.0.IN.weight": (256,), "conv2.1.IN.weight": (256,),
        "conv3.1.IN.weight": (384,), "conv4.0.IN.weight": (512,), "pool2.0.conv.weight": (256, 256, 1, 1),
        "pool3.0.bn.running_mean": (384,), "conv3.0.conv3.bn.weight": (384,), "conv4.1.conv3.bn.weight": (512,),
    },
}  # fmt: skip
ABSENT = {
    "osnet_x1_0": ("conv2.0.IN.weight", "conv4.2.0.conv.weight", "conv3.1.downsample.conv.weight", "fc.0.weight"),
    "osnet_ibn_x1_0": ("conv1.bn.running_mean", "conv2.0.IN.running_mean", "conv3.0.IN.weight", "conv4.0.IN.weight"),
    "osnet_ain_x1_0": (
        "conv1.bn.running_mean", "conv2.0.conv3.bn.weight", "conv3.0.IN.weight", "conv4.1.IN.weight",
        "conv3.1.conv3.bn.weight", "conv2.2.0.conv.weight", "pool4.0.conv.weight",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LISTED)
def test_tensors_are_called_as_in_the_published_files(name: str) -> None:
    state = shapes_only(name).state_dict()
    assert {k: tuple(state[k].shape) for k in LISTED[name]} == LISTED[name]
    assert not [k for k in ABSENT.get(name, ()) if k in state]


# A convolution with its norm is 5 tensors, one with instance norm 3, a light one 6, a gate 4: a block has 5 + 60 + 4 +
# 5, and 5 more for a shortcut; two blocks 153. Three such stages, two halvings, conv1 and conv5 are 479.
TENSORS = {"osnet_x1_0": 479, "osnet_ibn_x1_0": 479 - 2 + 2 * 2, "osnet_ain_x1_0": 479 - 2 - 4 * 2}


@pytest.mark.parametrize("name", TENSORS)
def test_a_published_file_fills_it(name: str, tmp_path: object) -> None:
    """As torchreid saves it: under ``module.``, with the vector of 512 and the classifier of another data set."""
    torch.manual_seed(5)
    source = build(name)
    shuffle_norms(source)
    file = {f"module.{k}": v for k, v in source.state_dict().items()}
    file |= {"module.fc.0.weight": torch.zeros(512, 512), "module.fc.1.running_var": torch.ones(512)}
    file |= {"module.classifier.weight": torch.zeros(751, 512), "module.classifier.bias": torch.zeros(751)}
    path = f"{tmp_path}/{name}.pth"
    torch.save({"state_dict": file, "epoch": 60}, path)
    net = build(name, weights=path)
    assert all(torch.equal(v, file[f"module.{k}"]) for k, v in net.state_dict().items())
    n = TENSORS[name]
    unused = "4 (fc.0.weight, fc.1.running_var, classifier.weight, classifier.bias)"
    assert net.origin == f"{path} ({n} of {n} tensors, not used: {unused})"


def test_from_scratch_says_so() -> None:
    assert built("osnet_x0_25").origin.startswith("from scratch")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("osnet_x1", r"backbone\.name=osnet_x1 is unknown: did you mean osnet_x1_0"),
        ("osnet_ain", r"backbone\.name=osnet_ain is unknown: did you mean .*osnet_ain_x1_0.*\? known are osnet_x1_0, "),
        ("zzz", r"backbone\.name=zzz is unknown: known are osnet_x1_0, .*osnet_ain_x1_0$"),
    ],
)
def test_unknown_names_are_told(name: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(name)


def test_a_file_that_is_not_there_or_does_not_fit_is_told(tmp_path: object) -> None:
    with pytest.raises(UserError, match=r"backbone\.weights=/no/such\.pth: no such file"):
        build("osnet_x0_25", weights="/no/such.pth")
    path = f"{tmp_path}/other.pth"
    torch.save(built("osnet_x0_25").state_dict(), path)
    for name in ("osnet_x1_0", "osnet_ain_x1_0"):
        with pytest.raises(UserError, match="does not fit this backbone"):
            build(name, weights=path)
