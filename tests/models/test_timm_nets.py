"""timm's networks as backbones: maps whatever their layout, any size, one clear line where not."""

import math

import pytest
import timm
import torch
from torch import Tensor

from reid.errors import UserError
from reid.models.backbones.timm_nets import build
from reid.models.embedder import Embedder

SIZES = [(256, 128), (384, 128), (128, 64)]
# whole nets with a classifier of 1000, as their papers or timm's pages give them, in millions; and the stride
NETS = {"seresnet50": (28.09, 32), "resnest50d": (27.48, 32), "inception_v4": (42.68, None),
        "inception_resnet_v2": (55.84, None), "vit_small_patch16_224": (22.05, 16), "vit_base_patch16_224": (86.57, 16),
        "vit_small_patch14_dinov2": (22.06, 14), "swin_tiny_patch4_window7_224": (28.29, 32)}  # fmt: skip


def noise(height: int, width: int) -> Tensor:
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", NETS)
def test_parameters_are_the_published_ones(name: str) -> None:
    net = build(name, pretrained=False)
    classifier = 0 if "dinov2" in name else net.channels * 1000 + 1000  # DINOv2 has none
    assert sum(p.numel() for p in net.parameters()) + classifier == pytest.approx(NETS[name][0] * 1e6, abs=1e4)


@torch.inference_mode()
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", [n for n, (_, stride) in NETS.items() if stride])
def test_maps_have_the_stride_of_the_net(name: str, size: tuple[int, int]) -> None:
    net, stride = build(name, pretrained=False).eval(), NETS[name][1]
    maps = net(noise(*size))
    assert maps.shape == (2, net.channels, *(math.ceil(n / stride) for n in size))


@torch.inference_mode()
@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "swin_tiny_patch4_window7_224", "resnet10t"])
def test_pooled_maps_are_timms_own_pooled_features(name: str) -> None:
    torch.manual_seed(0)
    net = build(name, pretrained=False).eval()
    pool = {"global_pool": "avg", "fc_norm": False} if "vit" in name else {}
    theirs = timm.create_model(name, num_classes=0, **pool).eval()
    theirs.load_state_dict(net.net.state_dict())
    images = noise(224, 224)
    torch.testing.assert_close(net(images).mean((2, 3)), theirs(images), rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_a_map_of_patches_keeps_their_places() -> None:
    """A change in the top left corner shows most at the top left, in a net of one layer."""
    net = build("vit_tiny_patch16_224", pretrained=False).eval()
    net.net.blocks = torch.nn.Sequential()
    images = noise(64, 96)
    changed = images.clone()
    changed[:, :, 16:32, 32:48] += 1
    moved = (net(changed) - net(images)).abs().sum((0, 1))
    assert moved.nonzero().tolist() == [[1, 2]]


@torch.inference_mode()
def test_class_token_and_overlapping_patches() -> None:
    net = build("vit_tiny_patch16_224", pretrained=False, patch_stride=12, tokens="patches").eval()
    assert net(noise(256, 128)).shape[2:] == ((256 - 16) // 12 + 1, (128 - 16) // 12 + 1)  # TransReID's 21 x 10
    token = build("vit_tiny_patch16_224", pretrained=False, tokens="class").eval()
    images = noise(64, 64)
    torch.testing.assert_close(token(images)[:, :, 0, 0], token.net.forward_features(images)[:, 0])


@pytest.mark.parametrize(
    "name", ["test_convnext", "test_mambaout", "mobilenetv3_small_050", "test_efficientnet", "test_vit", "resnet10t"]
)
def test_what_is_trained_is_what_has_a_gradient(name: str) -> None:
    """DistributedDataParallel stops at a parameter that waits for one in vain."""
    net = build(name, pretrained=False)
    net(noise(64, 64)).square().sum().backward()
    trained = {key for key, p in net.named_parameters() if p.requires_grad}
    assert trained == {key for key, p in net.named_parameters() if p.grad is not None}


@torch.inference_mode()
def test_last_stride_one_doubles_the_map() -> None:
    assert build("seresnet50", pretrained=False, last_stride=1).eval()(noise(128, 64)).shape[2:] == (8, 4)


def test_weights_in_timms_names_load_and_say_so(tmp_path: object) -> None:
    torch.manual_seed(3)
    whole = timm.create_model("resnet10t", num_classes=10)
    torch.save(whole.state_dict(), f"{tmp_path}/net.pth")
    net = build("resnet10t", weights=f"{tmp_path}/net.pth")
    assert "not used: 2 (fc.weight, fc.bias)" in net.origin
    assert torch.equal(net.net.conv1[0].weight, whole.conv1[0].weight)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "resnet5O"}, r"backbone\.name=resnet5O is no model of timm .*did you mean resnet50"),
        ({"name": "vgg11", "last_stride": 1}, r"backbone\.last_stride is not for vgg11"),
        ({"name": "resnet18", "last_stride": 3}, r"backbone\.last_stride=3 must be 1 or 2"),
        ({"name": "resnet18", "tokens": "class"}, r"backbone\.tokens=class is for vision transformers"),
        (
            {"name": "vit_tiny_patch16_224", "tokens": "all"},
            r"backbone\.tokens=all is unknown: choose patches or class",
        ),
        ({"name": "resnet18", "patch_stride": 8}, r"backbone\.patch_stride is for plain vision transformers; resnet18"),
        ({"name": "vit_tiny_patch16_224", "patch_stride": 20}, r"backbone\.patch_stride=20 must be 1 to .*16"),
    ],
)
def test_bad_options_are_told(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(**{"pretrained": False, **arguments})


def test_a_size_that_the_net_cannot_take_is_told_with_one_that_it_can() -> None:
    net = build("swin_tiny_patch4_window7_224", pretrained=False)
    with pytest.raises(UserError, match=r"image\.size=\[90,60\] does not fit this backbone: \[96,64\] would"):
        Embedder(net, image_size=(90, 60), num_classes=2)


@torch.inference_mode()
@pytest.mark.parametrize("name", ["cait_xxs24_224", "gmlp_s16_224", "vit_relpos_small_patch16_224"])
def test_families_made_for_one_size_are_made_for_the_images(name: str) -> None:
    with torch.device("meta"):
        net = build(name, pretrained=False, image_size=(256, 128)).eval()
    assert net(torch.zeros(1, 3, 256, 128, device="meta")).shape == (1, net.channels, 16, 8)
