from collections import OrderedDict
from functools import cache

import pytest
import torch
import torchvision
from torch import Tensor
from torch.nn import functional as F

from reid.errors import UserError
from reid.models.backbones import Backbone
from reid.models.backbones.ibn import IBN, LAYERS, build

NAMES = ("resnet50_ibn_a", "resnet101_ibn_a", "resnet50_ibn_b", "se_resnet101_ibn_a")
# Totals of the published ResNets with their classifiers of 1000 classes.
WITH_CLASSIFIER = {"resnet50": 25_557_032, "resnet101": 44_549_160}
CLASSIFIER = 2048 * 1000 + 1000


@cache
def built(name: str) -> Backbone:
    """With running statistics and scales that no initialisation gives, so that swapped tensors show."""
    torch.manual_seed(0)
    net = build(name, last_stride=2).eval()
    for key, tensor in net.state_dict().items():
        if key.endswith(("running_mean", "bias")):
            tensor.normal_(0, 0.1)
        elif key.endswith("running_var") or (key.endswith("weight") and tensor.ndim == 1):
            tensor.uniform_(0.5, 1.5)
    return net


def noise(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def moments(x: Tensor, dims: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    mean = x.mean(dims, keepdim=True)
    return mean, ((x - mean) ** 2).mean(dims, keepdim=True)


def test_every_net_is_checked() -> None:
    assert set(NAMES) == set(LAYERS)


@pytest.mark.parametrize("training", [True, False])
def test_ibn_is_the_formula(training: bool) -> None:
    """Odd C: 3 channels by image, 4 by batch; float64, loops in place of torch's normalisations."""
    B, C, half = 3, 7, 3
    layer = IBN(C).double().train(training)
    x = 2 * noise(B, C, 4, 2).double() + noise(B, C, 1, 1, seed=2)
    values = {k: noise(*v.shape, seed=i).double() for i, (k, v) in enumerate(layer.named_parameters())}
    layer.load_state_dict(values, strict=False)
    running = {"mean": noise(C - half, seed=8).double(), "var": noise(C - half, seed=9).double().exp()}
    layer.BN.running_mean.copy_(running["mean"])
    layer.BN.running_var.copy_(running["var"])
    expected = torch.empty_like(x)
    for c in range(C):
        part, i = ("IN", c) if c < half else ("BN", c - half)
        for b in range(B):
            seen = x[b, c] if part == "IN" else x[:, c]
            mean, var = seen.sum() / seen.numel(), ((seen - seen.mean()) ** 2).sum() / seen.numel()
            if part == "BN" and not training:
                mean, var = running["mean"][i], running["var"][i]
            scale, shift = values[f"{part}.weight"][i], values[f"{part}.bias"][i]
            expected[b, c] = scale * (x[b, c] - mean) / (var + 1e-5) ** 0.5 + shift
    torch.testing.assert_close(layer(x), expected, rtol=1e-12, atol=1e-12)


@torch.no_grad()
@pytest.mark.parametrize("training", [True, False])
def test_half_of_ibn_does_not_see_an_image_s_contrast_and_cast(training: bool) -> None:
    layer = IBN(8).double().train(training)
    x = 100 * noise(3, 8, 6, 4).double()  # so large that the 1e-5 under the root is nothing
    gain, cast = noise(3, 8, 1, 1, seed=2).double().exp(), 100 * noise(3, 8, 1, 1, seed=3).double()
    before, after = layer(x), layer(gain * x + cast)
    torch.testing.assert_close(after[:, :4], before[:, :4], rtol=0, atol=1e-7)
    assert (after[:, 4:] - before[:, 4:]).abs().amax((0, 2, 3)).min() > 0.1


@torch.no_grad()
@pytest.mark.parametrize(("name", "invariant"), [("resnet50_ibn_b", True), ("resnet50_ibn_a", False)])
def test_the_b_net_does_not_see_an_image_s_contrast(name: str, invariant: bool) -> None:
    """Its first norm follows a linear map, so a gain an image cancels there; in the a-net it is left to BN."""
    images, gain = 100 * noise(2, 3, 64, 32), torch.tensor([0.5, 3.0])[:, None, None, None]
    before, after = built(name)(images), built(name)(gain * images)
    change = float((after - before).abs().max() / before.abs().max())
    assert change < 1e-4 if invariant else change > 1e-2


@pytest.mark.parametrize("name", NAMES)
def test_parameter_count(name: str) -> None:
    """IN and BN of C channels both have 2 C parameters, so the a-nets have those of the plain ResNet."""
    depth = name.removeprefix("se_").split("_")[0]
    expected = WITH_CLASSIFIER[depth] - CLASSIFIER
    if name.endswith("_b"):
        expected += 2 * 256 + 2 * 512  # the norms that end the first two stages
    if name.startswith("se_"):
        expected += sum(n * 2 * C * C // 16 for n, C in zip((3, 4, 23, 3), (256, 512, 1024, 2048), strict=True))
    assert sum(p.numel() for p in built(name).parameters()) == expected


def published_names(name: str) -> set[str]:
    """The plain ResNet's tensors, and what XingangPan's files have in their place; his fc is not ours."""
    depth = name.removeprefix("se_").split("_")[0]
    with torch.device("meta"):
        plain = torchvision.models.get_model(depth, weights=None).state_dict()
    names = {k for k in plain if not k.startswith("fc.")}
    if name.endswith("_b"):
        names = {k for k in names if not k.startswith("bn1.")} | {"bn1.weight", "bn1.bias"}
        return names | {f"{last}.IN.{k}" for last in ("layer1.2", "layer2.3") for k in ("weight", "bias")}
    blocks = sorted({".".join(k.split(".")[:2]) for k in names if k.startswith("layer")})
    for block in (b for b in blocks if not b.startswith("layer4")):
        inner = {k.rsplit(".", 1)[1] for k in names if k.startswith(f"{block}.bn1.")}
        names -= {f"{block}.bn1.{k}" for k in inner}
        names |= {f"{block}.bn1.BN.{k}" for k in inner} | {f"{block}.bn1.IN.{k}" for k in ("weight", "bias")}
    if name.startswith("se_"):
        names |= {f"{block}.se.fc.{i}.weight" for block in blocks for i in (0, 2)}
    return names


@pytest.mark.parametrize("name", NAMES)
def test_tensors_have_their_published_names(name: str) -> None:
    assert set(built(name).state_dict()) == published_names(name)


def norm_by_hand(x: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
    """The norm that the tensors under ``name`` tell of."""
    if f"{name}.IN.weight" in state:
        half = len(state[f"{name}.IN.weight"])
        halves = norm_by_hand(x[:, :half], state, f"{name}.IN"), norm_by_hand(x[:, half:], state, f"{name}.BN")
        return torch.cat(halves, dim=1)
    if f"{name}.running_mean" in state:
        mean, var = (state[f"{name}.running_{k}"][:, None, None] for k in ("mean", "var"))
    else:
        mean, var = moments(x, (2, 3))
    scale, shift = (state[f"{name}.{k}"][:, None, None] for k in ("weight", "bias"))
    return scale * (x - mean) / (var + 1e-5).sqrt() + shift


def net_by_hand(images: Tensor, state: dict[str, Tensor], layers: tuple[int, ...], last_stride: int) -> Tensor:
    """A ResNet (He et al. 2016) as formulas of named tensors; float64."""

    def conv(x: Tensor, name: str, stride: int = 1) -> Tensor:
        kernel = state[f"{name}.weight"]
        return F.conv2d(x, kernel, stride=stride, padding=kernel.shape[-1] // 2)

    x = norm_by_hand(conv(images, "conv1", 2), state, "bn1").clamp(min=0)
    x = F.max_pool2d(x, 3, stride=2, padding=1)
    for stage, (blocks, stage_stride) in enumerate(zip(layers, (1, 2, 2, last_stride), strict=True), start=1):
        for i in range(blocks):
            block, stride = f"layer{stage}.{i}", stage_stride if i == 0 else 1
            y = norm_by_hand(conv(x, f"{block}.conv1"), state, f"{block}.bn1").clamp(min=0)
            y = norm_by_hand(conv(y, f"{block}.conv2", stride), state, f"{block}.bn2").clamp(min=0)
            y = norm_by_hand(conv(y, f"{block}.conv3"), state, f"{block}.bn3")
            if f"{block}.se.fc.0.weight" in state:
                squeezed = y.mean((2, 3)) @ state[f"{block}.se.fc.0.weight"].T
                gate = 1 / (1 + torch.exp(-squeezed.clamp(min=0) @ state[f"{block}.se.fc.2.weight"].T))
                y = y * gate[:, :, None, None]
            if i == 0:
                x = norm_by_hand(conv(x, f"{block}.downsample.0", stride), state, f"{block}.downsample.1")
            x = x + y
            if f"{block}.IN.weight" in state:
                x = norm_by_hand(x, state, f"{block}.IN")
            x = x.clamp(min=0)
    return x


@torch.no_grad()
@pytest.mark.parametrize("name", NAMES)
def test_map_is_the_one_by_hand(name: str) -> None:
    layers = (3, 4, 6, 3) if "50" in name else (3, 4, 23, 3)
    images, state = noise(2, 3, 64, 32), {k: v.double() for k, v in built(name).state_dict().items()}
    expected = net_by_hand(images.double(), state, layers, last_stride=2)
    scale = expected.abs().max()
    torch.testing.assert_close(built(name)(images).double() / scale, expected / scale, rtol=0, atol=1e-5)


# The stem rounds 299 up to 150 and 75, the stages to 38, 19 and 10.
SIZES = [((256, 128), (16, 8), (8, 4)), ((128, 64), (8, 4), (4, 2)), ((384, 128), (24, 8), (12, 4)),
         ((299, 299), (19, 19), (10, 10))]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_map_sizes(name: str) -> None:
    with torch.device("meta"):  # shapes without numbers
        usual, finer = build(name, last_stride=2), build(name, last_stride=1)
        for size, fine, coarse in SIZES:
            images = torch.empty(2, 3, *size)
            assert usual(images).shape == (2, 2048, *coarse)
            assert finer(images).shape == (2, 2048, *fine)
    assert usual.channels == finer.channels == 2048
    shapes = [{k: v.shape for k, v in net.state_dict().items()} for net in (usual, finer)]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("name", NAMES)
def test_a_step_of_sgd_lowers_the_loss(name: str) -> None:
    """By the step's length times the squared gradient, as a step this short must; float64."""
    torch.manual_seed(0)
    net, images, labels = build(name).double(), noise(4, 3, 64, 32).double(), torch.tensor([0, 0, 1, 1])

    def loss() -> Tensor:
        return F.cross_entropy(net(images).mean((2, 3))[:, :2], labels)

    before = loss()
    before.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
    squared = sum(float((p.grad**2).sum()) for p in net.parameters())
    torch.optim.SGD(net.parameters(), lr=1e-6 * before.item() / squared).step()
    assert 1 - loss().item() / before.item() == pytest.approx(1e-6, rel=0.05)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_as_trainers_leave_it_fits(name: str, tmp_path: object) -> None:
    state = built(name).state_dict()
    classifier = {"fc.weight": noise(1000, 2048), "fc.bias": noise(1000)}
    path = f"{tmp_path}/net.pth"
    torch.save({"state_dict": OrderedDict((f"module.{k}", v) for k, v in (state | classifier).items())}, path)
    torch.manual_seed(5)
    net = build(name, weights=path)
    own = net.state_dict()
    assert own.keys() == state.keys()
    assert all(torch.equal(own[k], v) for k, v in state.items())
    wanted = sum(not k.endswith("num_batches_tracked") for k in state)
    assert net.origin == f"{path} ({wanted} of {wanted} tensors, not used: 2 (fc.weight, fc.bias))"


def test_without_options_it_starts_from_scratch_and_keeps_stride_16() -> None:
    net = build("resnet50_ibn_a")
    assert net.origin.startswith("from scratch")
    assert net(noise(1, 3, 64, 32)).shape[2:] == (4, 2)


@pytest.mark.parametrize("other", ["resnet50", "resnet50_ibn_b"])
def test_another_net_s_file_is_refused(other: str, tmp_path: object) -> None:
    net = built(other) if other in NAMES else torchvision.models.resnet50(weights=None)
    torch.save(net.state_dict(), f"{tmp_path}/net.pth")
    with pytest.raises(UserError, match=r"does not fit this backbone: .*choose the backbone it was made for"):
        build("resnet50_ibn_a", weights=f"{tmp_path}/net.pth")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "resnet50_ibn_c"}, r"backbone\.name=resnet50_ibn_c is unknown: did you mean resnet50_ibn_"),
        ({"name": "zzz"}, r"backbone\.name=zzz is unknown: known are resnet50_ibn_a, .*se_resnet101_ibn_a"),
        ({"name": "resnet50_ibn_a", "last_stride": 3}, r"backbone\.last_stride=3 must be 1 or 2"),
        ({"name": "resnet50_ibn_a", "weights": "/no/such.pth"}, r"backbone\.weights=/no/such\.pth: no such file"),
    ],
)
def test_bad_options_are_told(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(**arguments)
