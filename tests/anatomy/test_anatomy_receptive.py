"""Published fields: Araujo, Norris and Sim (Distill 2019) give AlexNet 195, VGG-16 212, ResNet-50 483, ResNet-101 1027,
ResNet-152 1507, Inception-v3 1311.

torchvision's AlexNet, VGG-16 and Inception-v3 agree. Its ResNets ("v1.5") stride in the 3x3 convolution, which then
reads the finer map: at each of the three strided stages 2 * (jump after - jump before) pixels less, 8 + 16 + 32 = 56
in all, so 427, 971 and 1451. With the strides put back into the 1x1 convolution they have the published sizes.
"""

import pytest
import torch
import torchvision
from torch import Tensor, nn

from reid.anatomy import Anatomy, Field, analyse

COUNTS_ONLY = {"effective_inputs": 0, "shifts": (), "batches": ()}
FIELDS = {
    "alexnet": 195, "vgg16": 212, "resnet50": 483 - 56, "resnet101": 1027 - 56, "resnet152": 1507 - 56,
    "inception_v3": 1311,
}  # fmt: skip


def bare(name: str, device: str = "meta") -> nn.Module:
    extra = {"init_weights": False, "aux_logits": False} if name in ("inception_v3", "googlenet") else {}
    with torch.device(device):
        return torchvision.models.get_model(name, weights=None, **extra).eval()


def taken_apart(net: nn.Module, size: int = 224) -> Anatomy:
    return analyse(net, (3, size, size), **COUNTS_ONLY)


def field(net: nn.Module, *size: int) -> Field:
    anatomy = analyse(net, size, **COUNTS_ONLY)
    assert anatomy.layers[-1].field is not None, anatomy.layers[-1].why
    return anatomy.layers[-1].field


@pytest.mark.parametrize("name", FIELDS)
def test_published_fields(name: str) -> None:
    last = taken_apart(bare(name)).last_map
    assert last is not None
    assert last.field is not None
    assert last.field.size == (FIELDS[name],) * 2
    assert last.field.jump == (32, 32)
    assert not last.field.is_global


@pytest.mark.parametrize(("name", "size"), [("resnet50", 483), ("resnet101", 1027), ("resnet152", 1507)])
def test_published_resnets_stride_in_the_1x1(name: str, size: int) -> None:
    net = bare(name)
    for block in net.modules():
        if isinstance(block, torchvision.models.resnet.Bottleneck):
            block.conv1.stride, block.conv2.stride = block.conv2.stride, (1, 1)
    last = taken_apart(net).last_map
    assert last is not None
    assert last.field is not None
    assert last.field.size == (size, size)


def test_field_of_vgg_layer_by_layer() -> None:
    """The textbook table: 3x3 convolutions add 2 jumps, 2x2 pools one and double the jump."""
    layers = [x for x in taken_apart(bare("vgg16")).layers if x.window is not None]
    sizes = [3, 5, 6, 10, 14, 16, 24, 32, 40, 44, 60, 76, 92, 100, 132, 164, 196, 212]
    assert [x.field and x.field.size[0] for x in layers] == sizes


def test_field_does_not_depend_on_the_image() -> None:
    for size in (64, 100, 224):
        last = taken_apart(bare("resnet18"), size).last_map
        assert last is not None
        assert last.field is not None
        assert last.field.size == (435, 435)


# Gradients as the judge: with positive weights nothing cancels, so a unit's gradient is zero exactly where it sees
# nothing. Maxima pass only one pixel on and are replaced by means over the same windows.


def positive(net: nn.Module) -> nn.Module:
    for module in net.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.MaxPool2d):
                mean = nn.AvgPool2d(child.kernel_size, child.stride, child.padding, child.ceil_mode)
                setattr(module, name, mean)
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.constant_(module.weight, 1 / module.weight[0].numel())
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return net.double().eval()


def support(net: nn.Module, images: Tensor, unit: int) -> tuple[int, int] | None:
    """First and last column of the image with a gradient of a unit of the middle row; the map is the net's output."""
    pixels = images.double().requires_grad_()
    out = net(pixels)
    (gradient,) = torch.autograd.grad(out[0, :, out.shape[2] // 2, unit].sum(), pixels)
    columns = gradient[0].abs().sum((0, 1)).nonzero().flatten().tolist()
    return (columns[0], columns[-1]) if columns else None


class Map(nn.Module):
    """A torchvision network up to its last map."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        heads = ("avgpool", "fc", "dropout", "classifier", "AuxLogits", "aux1", "aux2")
        self.stages = nn.Sequential(*(m for n, m in net.named_children() if n not in heads))

    def forward(self, x: Tensor) -> Tensor:
        return self.stages(x)


@pytest.mark.parametrize(
    ("name", "height", "width"),
    [("resnet18", 32, 704), ("resnet50", 32, 704), ("googlenet", 32, 704), ("inception_v3", 75, 1535),
     ("densenet121", 32, 2304), ("mobilenet_v2", 32, 704)],
)  # fmt: skip
def test_gradients_reach_as_far_as_the_field(name: str, height: int, width: int) -> None:
    net = positive(Map(bare(name, "cpu")))
    last = analyse(net, (3, height, width), **COUNTS_ONLY).last_map
    assert last is not None
    assert last.field is not None
    size, jump, start = last.field.size[1], last.field.jump[1], last.field.start[1]
    assert size is not None
    assert jump is not None
    assert start is not None
    unit = round((width / 2 - start) / jump)
    centre = start + unit * jump
    found = support(net, torch.full((1, 3, height, width), 1e-3), unit)  # small: below the 6 of ReLU6
    assert found == (centre - (size - 1) / 2, centre + (size - 1) / 2)
    assert found[0] > 0
    assert found[1] < width - 1


class Branches(nn.Module):
    """A skip, a concatenation of unlike windows and functional pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 2, 5, 2, 2)
        self.wide = nn.Conv2d(2, 2, (1, 7), padding=(0, 3))
        self.dilated = nn.Conv2d(2, 2, 3, padding=4, dilation=4)
        self.mix = nn.Conv2d(6, 2, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).relu_()
        pooled = nn.functional.avg_pool2d(x, 3, 1, 1)
        both = torch.cat([self.wide(x), self.dilated(x) + x, pooled], 1)
        return self.mix(both)


NETS = {
    "branches": Branches(),
    "even kernels, same": nn.Sequential(nn.Conv2d(1, 2, 4, padding="same"), nn.Conv2d(2, 2, 2, 2, padding=1)),
    "transposed": nn.Sequential(nn.Conv2d(1, 2, 3, 2), nn.ConvTranspose2d(2, 2, 4, 2, 1), nn.Conv2d(2, 2, 2)),
    "transposed, odd": nn.Sequential(nn.Conv2d(1, 2, 3, 2), nn.ConvTranspose2d(2, 2, 5, 3, 1), nn.Conv2d(2, 1, 3, 2)),
    "transposed, dilated": nn.ConvTranspose2d(1, 1, 3, 2, dilation=3),
    "holes": nn.Sequential(nn.ConvTranspose2d(1, 1, 1, 2), nn.Conv2d(1, 1, 2)),
    "nearest": nn.Sequential(nn.Conv2d(1, 1, 3, 2), nn.Upsample(scale_factor=2), nn.Conv2d(1, 1, 3)),
    "nearest, odd": nn.Sequential(nn.AvgPool2d(2), nn.Upsample(scale_factor=1.5), nn.Conv2d(1, 1, 3)),
    "bilinear": nn.Sequential(nn.AvgPool2d(2), nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(1, 1, 3)),
    "bilinear, odd": nn.Sequential(nn.Upsample(scale_factor=3, mode="bilinear"), nn.Conv2d(1, 1, 2)),
    "adaptive": nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.AdaptiveAvgPool2d(48)),
    "adaptive, larger": nn.Sequential(nn.AvgPool2d(3, 2, 1), nn.AdaptiveAvgPool2d(48), nn.Conv2d(1, 1, 3)),
    "shuffle": nn.Sequential(nn.Conv2d(1, 4, 3, 2), nn.PixelShuffle(2), nn.Conv2d(1, 1, 3)),
    "reflected": nn.Sequential(nn.ReflectionPad2d((3, 0, 0, 0)), nn.Conv2d(1, 1, 5)),
}


@pytest.mark.parametrize("name", NETS)
def test_every_window_is_followed_exactly(name: str) -> None:
    net, images = positive(NETS[name]), torch.ones(1, 1, 128, 128)
    seen = field(net, 1, 128, 128)
    size, jump, start = seen.size[1], seen.jump[1], seen.start[1]
    assert jump is not None
    assert start is not None
    width = net(images.double()).shape[-1]
    first = 12 * (width // 24)  # all patterns here repeat after 1, 2, 3, 4 or 6 units
    spans = [support(net, images, unit) for unit in range(first, first + 12)]
    assert size == max(s[1] - s[0] + 1 for s in spans if s is not None)
    for unit in (first, first + 12):
        found = support(net, images, unit)
        assert found is not None
        assert sum(found) / 2 == pytest.approx(start + unit * jump)


class Gate(nn.Module):
    """Squeeze and excitation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.fc(x.mean((2, 3), keepdim=True)).sigmoid()


def test_a_gate_sees_everything_and_leaves_the_local_field() -> None:
    anatomy = analyse(nn.Sequential(nn.Conv2d(3, 4, 3), Gate(4), nn.Conv2d(4, 4, 3)), (3, 20, 20), **COUNTS_ONLY)
    fields = [x.field for x in anatomy.layers]
    assert [f and f.size for f in fields] == [(3, 3), (None, None), (5, 5)]
    assert [f and f.is_global for f in fields] == [False, True, True]


@pytest.mark.parametrize(
    ("layer", "size", "whole"),
    [
        (nn.AdaptiveAvgPool2d((4, 1)), (3 + 4 - 1, None), (False, True)),  # stripes, as PCB has: 16 rows in 4
        (nn.AdaptiveMaxPool2d(1), (None, None), (True, True)),
        (nn.GroupNorm(2, 4), (3, 3), (True, True)),
        (nn.InstanceNorm2d(4), (3, 3), (True, True)),
        (nn.BatchNorm2d(4), (3, 3), (False, False)),
        (nn.Hardswish(), (3, 3), (False, False)),
        (nn.ChannelShuffle(2), (3, 3), (False, False)),
        (nn.Sequential(nn.Flatten(2), nn.Softmax(1)), (3, 3), (False, False)),
        (nn.Sequential(nn.Flatten(2), nn.Softmax(2)), (3, 3), (True, True)),
        (nn.Sequential(nn.Flatten(), nn.Linear(4 * 256, 2)), (None, None), (True, True)),
    ],
    ids=str,
)
def test_what_sees_the_whole_image(layer: nn.Module, size: tuple[int, int], whole: tuple[bool, bool]) -> None:
    seen = field(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), layer), 3, 16, 16)
    assert (seen.size, seen.whole) == (size, whole)


def test_channels_last_linear_layers_are_local_and_attention_is_not() -> None:
    convnext = taken_apart(bare("convnext_tiny"), 64).last_map
    assert convnext is not None
    assert convnext.field is not None
    # Stem 4; depthwise 7x7 at jumps 4, 8, 16, 32 in 3, 3, 9, 3 blocks; between them 2x2 at stride 2.
    size = 4 + 6 * (3 * 4 + 3 * 8 + 9 * 16 + 3 * 32) + 4 + 8 + 16
    assert convnext.field.size == (size, size)
    vit = {x.name: x.field for x in analyse(bare("vit_b_16"), (3, 224, 224), **COUNTS_ONLY).layers}
    before, after = vit["encoder.layers.encoder_layer_0.ln_1"], vit["encoder.layers.encoder_layer_0.ln_2"]
    assert before is not None
    assert after is not None
    assert (before.size, before.is_global) == ((16, 16), False)
    assert after.is_global


class Halves(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x[..., ::2], x[..., 1::2]], 3)


class Filled(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        out = torch.zeros_like(x)
        out[:, :, 1:] = x[:, :, :-1]
        return out * 1


@pytest.mark.parametrize(
    ("layer", "why"),
    [
        (Halves(), "concatenated along an axis"),
        (Filled(), "filled in pieces"),
        (nn.Unflatten(2, (2, 8)), "cuts an axis"),
        (nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True), "aligned corners"),
    ],
    ids=str,
)
def test_what_is_not_known_is_said(layer: nn.Module, why: str) -> None:
    anatomy = analyse(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), layer), (3, 16, 16), **COUNTS_ONLY)
    assert anatomy.layers[-1].field is None
    assert why in anatomy.layers[-1].why
    assert why in anatomy.notes[0]


def test_in_place_sums_are_followed() -> None:
    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.end = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 1)

        def forward(self, x: Tensor) -> Tensor:
            out = x.clone()
            out += self.conv(x)
            return self.end(out)

    assert field(Sum(), 3, 8, 8).size == (3, 3)


def test_one_position_spread_over_a_map_is_the_whole_map() -> None:
    class Spread(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.avg_pool2d(x, 8).expand(-1, -1, 8, 8) + x

    seen = field(nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), Spread(), nn.Conv2d(3, 3, 3)), 3, 8, 8)
    assert (seen.size, seen.is_global) == ((5, 5), True)


def test_one_dimension() -> None:
    seen = field(nn.Sequential(nn.Conv1d(2, 4, 5, 2), nn.MaxPool1d(2), nn.Conv1d(4, 4, 3)), 2, 40)
    assert (seen.size, seen.jump, seen.start) == ((5 + 2 + 2 * 4,), (4,), (2 + 1 + 4,))
