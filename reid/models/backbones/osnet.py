"""OSNet, and its kin with instance normalisation, under the tensor names of the published files.

OSNet: Zhou et al., "Omni-Scale Feature Learning for Person Re-Identification", ICCV 2019. OSNet-IBN and OSNet-AIN: Zhou
et al., "Learning Generalisable Omni-Scale Representations for Person Re-Identification", TPAMI 2021.
"""

from collections import OrderedDict

from torch import Tensor, nn
from torch.nn import functional as F

from reid.errors import unknown
from reid.models.backbones.backbone import Backbone
from reid.models.backbones.filling import fill_from_file

# Channels after the first convolution and after each of the three stages of two blocks.
WIDTHS = {
    "osnet_x1_0": (64, 256, 384, 512),
    "osnet_x0_75": (48, 192, 288, 384),
    "osnet_x0_5": (32, 128, 192, 256),
    "osnet_x0_25": (16, 64, 96, 128),
    "osnet_ibn_x1_0": (64, 256, 384, 512),
    "osnet_ain_x1_0": (64, 256, 384, 512),
}

# Where the six blocks normalise each image by itself: "after" the shortcut is added (IBN) or "inside" the residual
# (AIN, as its search found it).
_PLAIN = ((None, None), (None, None), (None, None))
_IBN = (("after", "after"), (None, None), (None, None))
_AIN = (("inside", "inside"), (None, "inside"), ("inside", None))


def build(name: str, *, weights: str | None = None) -> Backbone:
    """An OSNet up to its last feature map: [B, 3, H, W] -> [B, C, about H / 16, about W / 16], none below zero.

    The vector of 512 that the papers take from the pooled map, and their classifier, are left to the head.

    Args:
        name: a key of ``WIDTHS``.
        weights: a .pth or .safetensors file to take the weights from. The tensor names are torchreid's, so its ImageNet
            and re-ID files load as they are; the ``fc`` and ``classifier`` in them are not used.

    Raises:
        UserError: unknown name, weights that cannot be read or do not fit.
    """
    if name not in WIDTHS:
        raise unknown("backbone.name", name, WIDTHS)
    ain, ibn = "_ain_" in name, "_ibn_" in name
    width, *widths = WIDTHS[name]
    stages: OrderedDict[str, nn.Module] = OrderedDict()
    stages["conv1"] = _conv(3, width, 7, stride=2, norm=nn.InstanceNorm2d if ain or ibn else nn.BatchNorm2d)
    stages["maxpool"] = nn.MaxPool2d(3, stride=2, padding=1)
    for i, (wider, (first, second)) in enumerate(zip(widths, _AIN if ain else _IBN if ibn else _PLAIN, strict=True), 2):
        stage = nn.Sequential(Block(width, wider, first, nested=ain), Block(wider, wider, second, nested=ain))
        stages[f"conv{i}"] = stage
        if i < 4:  # the last stage keeps its resolution
            halve = nn.Sequential(_conv(wider, wider), nn.AvgPool2d(2))
            if ain:  # the same layers, but under another name in its files
                stages[f"pool{i}"] = halve
            else:
                stage.append(halve)
        width = wider
    stages["conv5"] = _conv(width, width)
    for module in stages.values():
        module.apply(_start)
    return fill_from_file(Backbone(stages, name=name, channels=width), weights)


class Block(nn.Module):
    """Omni-scale residual block (ICCV 2019, equations 1 to 3): [B, C, h, w] -> [B, D, h, w].

    Stream t of 1..4 stacks t light 3x3 convolutions and so sees 2t + 1 pixels square; one gate, shared by all, weighs
    every channel of every stream by what the image holds before they are summed.

    Args:
        channels: C.
        out: D; the streams have D / 4 channels.
        instance_norm: normalise each image by itself "after" the shortcut is added, "inside" the residual, or not.
        nested: name the streams ``conv2.0.layers`` and so on, as OSNet-AIN does, and not ``conv2a`` to ``conv2d``.
    """

    def __init__(self, channels: int, out: int, instance_norm: str | None = None, *, nested: bool = False) -> None:
        super().__init__()
        mid = out // 4
        self.conv1 = _conv(channels, mid)
        streams = [nn.Sequential(*(_light(mid) for _ in range(depth))) for depth in (1, 2, 3, 4)]
        self.nested = nested
        if nested:
            self.conv2 = nn.ModuleList(nn.Sequential(OrderedDict(layers=stream)) for stream in streams)
        else:
            self.conv2a, self.conv2b, self.conv2c, self.conv2d = streams[0][0], *streams[1:]
        self.gate = Gate(mid)
        self.conv3 = _conv(mid, out, norm=None if instance_norm == "inside" else nn.BatchNorm2d, relu=False)
        self.downsample = _conv(channels, out, relu=False) if channels != out else None
        self.instance_norm = instance_norm
        self.IN = nn.InstanceNorm2d(out, affine=True) if instance_norm else None

    def forward(self, x: Tensor) -> Tensor:
        reduced = self.conv1(x)  # [B, D / 4, h, w], as every stream's result
        streams = self.conv2 if self.nested else (self.conv2a, self.conv2b, self.conv2c, self.conv2d)
        a, b, c, d = (self.gate(stream(reduced)) for stream in streams)
        residual = self.conv3(a + b + c + d)
        if self.IN is not None and self.instance_norm == "inside":
            residual = self.IN(residual)
        x = residual + (x if self.downsample is None else self.downsample(x))
        if self.IN is not None and self.instance_norm == "after":
            x = self.IN(x)
        return F.relu(x)


class Gate(nn.Sequential):
    """Weight every channel by a number in 0..1 that the means of all channels decide: [B, C, h, w] to the same."""

    def __init__(self, channels: int) -> None:
        hidden = channels // 16
        super().__init__(
            OrderedDict(
                global_avgpool=nn.AdaptiveAvgPool2d(1),
                fc1=nn.Conv2d(channels, hidden, 1),
                relu=nn.ReLU(inplace=True),
                fc2=nn.Conv2d(hidden, channels, 1),
                gate_activation=nn.Sigmoid(),
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        return x * super().forward(x)


def _conv(
    channels: int,
    out: int,
    size: int = 1,
    *,
    stride: int = 1,
    norm: type[nn.BatchNorm2d] | type[nn.InstanceNorm2d] | None = nn.BatchNorm2d,
    relu: bool = True,
) -> nn.Sequential:
    """Convolution, normalisation, ReLU."""
    conv = nn.Conv2d(channels, out, size, stride=stride, padding=size // 2, bias=False)
    layers: OrderedDict[str, nn.Module] = OrderedDict(conv=conv)
    if norm is not None:
        layers["bn"] = norm(out, affine=True)
    if relu:
        layers["relu"] = nn.ReLU(inplace=True)
    return nn.Sequential(layers)


def _light(channels: int) -> nn.Sequential:
    """A 3x3 convolution in two parts: 1x1 over the channels, then 3x3 within each (ICCV 2019, section 3.1)."""
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(channels, channels, 1, bias=False),
            conv2=nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
            bn=nn.BatchNorm2d(channels),
            relu=nn.ReLU(inplace=True),
        )
    )


def _start(module: nn.Module) -> None:
    """He et al.'s first weights for a convolution; the norms already start as 1 and 0."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
