import logging
from functools import cache
from urllib.error import URLError

import pytest
import torch
import torchvision
from torch import Tensor, nn

from reid.errors import UserError
from reid.models.backbones import Backbone
from reid.models.backbones.torchvision_nets import CHANNELS, build

# Maps of 160x80 images. Most nets have stride 32 and round up; those whose windows have no padding round down.
MAPS = {
    "resnet18": (512, 5, 3), "resnet34": (512, 5, 3), "resnet50": (2048, 5, 3), "resnet101": (2048, 5, 3),
    "resnet152": (2048, 5, 3), "resnext50_32x4d": (2048, 5, 3), "wide_resnet50_2": (2048, 5, 3),
    "densenet121": (1024, 5, 2), "densenet161": (2208, 5, 2), "densenet169": (1664, 5, 2), "densenet201": (1920, 5, 2),
    "inception_v3": (2048, 3, 1), "googlenet": (1024, 5, 3), "alexnet": (256, 4, 1), "mobilenet_v2": (1280, 5, 3),
    **{f"vgg{depth}{bn}": (512, 5, 2) for depth in (11, 13, 16, 19) for bn in ("", "_bn")},
    "mobilenet_v3_large": (960, 5, 3), "efficientnet_b0": (1280, 5, 3), "convnext_tiny": (768, 5, 2),
}  # fmt: skip
# Parameters of the whole nets, as papers and torchvision's pages give them, and of the classifiers left out here.
WHOLE = {
    "resnet18": 11_689_512, "resnet34": 21_797_672, "resnet50": 25_557_032, "resnet101": 44_549_160,
    "resnet152": 60_192_808, "resnext50_32x4d": 25_028_904, "wide_resnet50_2": 68_883_240,
    "densenet121": 7_978_856, "densenet161": 28_681_000, "densenet169": 14_149_480, "densenet201": 20_013_928,
    "inception_v3": 23_834_568, "googlenet": 6_624_904, "alexnet": 61_100_840, "mobilenet_v2": 3_504_872,
    "vgg11": 132_863_336, "vgg13": 133_047_848, "vgg16": 138_357_544, "vgg19": 143_667_240,
    "vgg11_bn": 132_868_840, "vgg13_bn": 133_053_736, "vgg16_bn": 138_365_992, "vgg19_bn": 143_678_248,
    "mobilenet_v3_large": 5_483_032, "efficientnet_b0": 5_288_548, "convnext_tiny": 28_589_128,
}  # fmt: skip


def linear(wide: int, out: int) -> int:
    return wide * out + out


CLASSIFIERS = {
    "vgg": linear(512 * 7 * 7, 4096) + linear(4096, 4096) + linear(4096, 1000),
    "alexnet": linear(256 * 6 * 6, 4096) + linear(4096, 4096) + linear(4096, 1000),
    "mobilenet_v3": linear(960, 1280) + linear(1280, 1000),
    "convnext": 2 * 768 + linear(768, 1000),  # a layer normalisation too
}
WITH_THEIR_OWN_PIXELS = ("inception_v3", "googlenet")


@cache
def built(name: str) -> Backbone:
    torch.manual_seed(0)
    return build(name, pretrained=False).eval()


@cache
def original(name: str) -> nn.Module:
    """torchvision's network around the same tensors; its classifier, which is large, has shapes but no numbers."""
    extra = {"aux_logits": False, "init_weights": False} if name in WITH_THEIR_OWN_PIXELS else {}
    with torch.device("meta"):
        net = torchvision.models.get_model(name, weights=None, **extra)
    missing, unexpected = net.load_state_dict(built(name).state_dict(), strict=False, assign=True)
    assert not unexpected  # torchvision's own tensor names
    assert all(k.split(".")[0] in ("fc", "classifier") for k in missing)
    return net.eval()


def noise(height: int = 160, width: int = 80, seed: int = 1) -> Tensor:
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(seed))


class Reached(Exception):  # noqa: N818
    """Ends a forward pass."""


def last_map(net: nn.Module, images: Tensor) -> Tensor:
    """What torchvision's forward hands to its pooling; the pooled map [B, C] where pooling is no module."""

    def stop(module: nn.Module, inputs: tuple[Tensor]) -> None:
        raise Reached(inputs[0])

    watched = net.avgpool if hasattr(net, "avgpool") else net.classifier
    handle = watched.register_forward_pre_hook(stop)
    try:
        net(images)
    except Reached as reached:
        return reached.args[0]
    finally:
        handle.remove()
    raise AssertionError("the pooling is never reached")


@torch.no_grad()
@pytest.mark.parametrize("name", CHANNELS)
def test_map_is_that_of_torchvision(name: str) -> None:
    images = noise()
    maps = built(name)(images)
    assert tuple(maps.shape[1:]) == MAPS[name]
    assert built(name).channels == CHANNELS[name] == MAPS[name][0]
    assert maps.std() > 1e-3 * maps.abs().max()  # it shows something
    theirs = last_map(original(name), images)
    torch.testing.assert_close(maps if theirs.ndim == 4 else maps.mean((2, 3)), theirs, rtol=1e-4, atol=1e-5)


def test_every_net_is_checked() -> None:
    assert set(MAPS) == set(CHANNELS) == set(WHOLE)


@pytest.mark.parametrize("name", CHANNELS)
def test_parameters_are_the_published_ones(name: str) -> None:
    classifier = next((n for start, n in CLASSIFIERS.items() if name.startswith(start)), linear(MAPS[name][0], 1000))
    assert sum(p.numel() for p in built(name).parameters()) == WHOLE[name] - classifier


@torch.no_grad()
@pytest.mark.parametrize("name", ["resnet18", "inception_v3", "googlenet"])
def test_normalisation_is_the_one_the_published_weights_expect(name: str) -> None:
    """torchvision gives all its nets ImageNet's normalisation; the Inceptions turn it into -1..1 themselves."""
    net, images = built(name), torch.rand(2, 3, 160, 80, generator=torch.Generator().manual_seed(2))
    mean, std = (torch.tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    theirs = original(name)
    if name in WITH_THEIR_OWN_PIXELS:
        theirs.transform_input = True  # as it is set with pretrained weights
    expected = last_map(theirs, (images - mean) / std)
    ours = net((images - torch.tensor(net.mean)[:, None, None]) / torch.tensor(net.std)[:, None, None])
    if name in WITH_THEIR_OWN_PIXELS:
        theirs.transform_input = False
    torch.testing.assert_close(ours / expected.max(), expected / expected.max(), rtol=1e-3, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize(("name", "strided"), [("resnet18", "conv1"), ("resnet50", "conv2")])
def test_last_stride_one_doubles_the_map_and_leaves_the_weights_alone(name: str, strided: str) -> None:
    usual, finer = built(name), build(name, pretrained=False, last_stride=1).eval()
    shapes = {k: v.shape for k, v in usual.state_dict().items()}
    assert {k: v.shape for k, v in finer.state_dict().items()} == shapes
    finer.load_state_dict(usual.state_dict())
    images = noise(64, 32)
    assert usual(images).shape[2:] == (2, 1)
    assert finer(images).shape[2:] == (4, 2)
    for layer in (strided, "downsample"):  # the convolution of stride 1 is that of stride 2 at every place
        a, b = (getattr(net.layer4[0], layer) for net in (usual, finer))
        x = torch.randn(1, next(a.parameters()).shape[1], 6, 4, generator=torch.Generator().manual_seed(3))
        torch.testing.assert_close(b(x)[:, :, ::2, ::2], a(x), rtol=1e-4, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("name", ["densenet121", "vgg11_bn", "mobilenet_v2", "mobilenet_v3_large", "efficientnet_b0"])
def test_every_family_can_keep_its_last_map_large(name: str) -> None:
    finer = build(name, pretrained=False, last_stride=1).eval()
    finer.load_state_dict(built(name).state_dict())
    images = noise(128, 64)
    coarse, fine = built(name)(images), finer(images)
    assert coarse.shape[2:] == (4, 2)
    assert fine.shape[2:] == (8, 4)
    if name.startswith("vgg"):  # only its last pooling went
        assert torch.equal(nn.functional.max_pool2d(fine, 2), coarse)


@torch.no_grad()
def test_last_stride_two_is_the_original() -> None:
    net = build("resnet18", pretrained=False, last_stride=2).eval()
    net.load_state_dict(built("resnet18").state_dict())
    assert torch.equal(net(noise(64, 32)), built("resnet18")(noise(64, 32)))


@cache
def published() -> dict[str, Tensor]:
    """A whole file of weights as torchvision publishes it, classifier and all."""
    torch.manual_seed(7)
    return torchvision.models.mobilenet_v2(weights=None).state_dict()


def no_network(monkeypatch: pytest.MonkeyPatch, error: Exception | None) -> list[str]:
    """Downloads raise ``error``, or all succeed; returns what is asked for."""
    asked: list[str] = []

    def download(url: str, **options: object) -> dict[str, Tensor]:
        asked.append(url)
        assert options["check_hash"]
        if error is not None:
            raise error
        return published()

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", download)
    return asked


FAILURES = [URLError("no route to host"), ConnectionResetError("reset"), RuntimeError("invalid hash value")]
REASONS = ["no route to host", "reset", "invalid hash value"]


@pytest.mark.parametrize(("error", "reason"), list(zip(FAILURES, REASONS, strict=True)), ids=REASONS)
def test_auto_starts_from_scratch_aloud_where_weights_cannot_be_had(
    error: Exception, reason: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked = no_network(monkeypatch, error)
    with caplog.at_level(logging.WARNING):
        net = build("mobilenet_v2")
    assert len(asked) == 1
    assert net.origin == "from scratch (ImageNet weights could not be had)"
    for words in ("NO PRETRAINED WEIGHTS", "mobilenet_v2", reason, "backbone.weights=FILE"):
        assert words in caplog.text


@pytest.mark.parametrize(("error", "reason"), list(zip(FAILURES, REASONS, strict=True)), ids=REASONS)
def test_true_insists_on_weights(error: Exception, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    no_network(monkeypatch, error)
    with pytest.raises(UserError, match=r"backbone\.pretrained=true") as caught:
        build("mobilenet_v2", pretrained=True)
    for words in ("mobilenet_v2", reason, "backbone.weights=FILE", "backbone.pretrained=false"):
        assert words in str(caught.value)


def test_false_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = no_network(monkeypatch, None)
    assert build("mobilenet_v2", pretrained=False).origin == "from scratch (backbone.pretrained=false)"
    assert asked == []


@pytest.mark.parametrize("pretrained", ["auto", True])
def test_weights_that_can_be_had_are_taken(pretrained: str | bool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = no_network(monkeypatch, None)
    net = build("mobilenet_v2", pretrained=pretrained)
    assert asked == [torchvision.models.MobileNet_V2_Weights.IMAGENET1K_V1.url]
    assert all(torch.equal(v, published()[k]) for k, v in net.state_dict().items())
    assert net.origin.startswith("ImageNet, torchvision IMAGENET1K_V1 (260 of 260 tensors, not used: 2 (classifier.1")


def test_a_file_of_weights_goes_before_a_download(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = no_network(monkeypatch, None)
    path = f"{tmp_path}/net.pth"
    torch.save(published(), path)
    net = build("mobilenet_v2", pretrained="auto", weights=path)
    assert asked == []
    assert net.origin.startswith(f"{path} (260 of 260 tensors")
    assert all(torch.equal(v, published()[k]) for k, v in net.state_dict().items())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "resnet500"}, r"backbone\.name=resnet500 is unknown: did you mean resnet50"),
        ({"name": "mobilenetv2"}, r"did you mean mobilenet_v2"),
        ({"name": "zzz"}, r"backbone\.name=zzz is unknown: known are resnet18, .*mobilenet_v2"),
        ({"name": "resnet18", "pretrained": "yes"}, r"backbone\.pretrained=yes is unknown: choose auto, true or false"),
        ({"name": "resnet18", "last_stride": 3}, r"backbone\.last_stride=3 must be 1 or 2"),
        ({"name": "alexnet", "last_stride": 1}, r"backbone\.last_stride is for nets .*resnet.*; alexnet has no such"),
        ({"name": "resnet18", "drop_path": 0.1}, r"backbone\.drop_path is for convnext_tiny .*; resnet18 has no such"),
        ({"name": "convnext_tiny", "drop_path": 1.5}, r"backbone\.drop_path=1\.5 must be at least 0 and below 1"),
        ({"name": "alexnet", "weights": "/no/such.pth"}, r"backbone\.weights=/no/such\.pth: no such file"),
    ],
)
def test_bad_options_are_told(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(**{"pretrained": False, **arguments})
