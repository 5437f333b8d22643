"""IBN-Nets: residual networks that remove appearance from early features (Pan et al., ECCV 2018).

Instance normalisation takes each image's own contrast and colour cast out of a channel, batch normalisation keeps
them; these nets use both in the shallow stages and only the latter in the deepest. Tensor names are those of
XingangPan/IBN-Net, so its published files fit.
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck, ResNet

from reid.errors import unknown
from reid.models.backbones.backbone import Backbone
from reid.models.backbones.filling import fill_from_file
from reid.models.backbones.torchvision_nets import set_last_stride

# Blocks of each stage.
LAYERS = {
    "resnet50_ibn_a": (3, 4, 6, 3), "resnet101_ibn_a": (3, 4, 23, 3), "resnet50_ibn_b": (3, 4, 6, 3),
    "se_resnet101_ibn_a": (3, 4, 23, 3),
}  # fmt: skip
_CHANNELS = 2048


class IBN(nn.Module):
    """Instance normalisation of the first half of the channels, batch normalisation of the others.

    [B, C, h, w] -> [B, C, h, w] with h * w > 1. "Two at Once: Enhancing Learning and Generalization Capacities via
    IBN-Net" (Pan et al., ECCV 2018), figure 3 (a). The first half is normalised by the image's own mean and variance
    in evaluation too.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = channels // 2
        self.IN = nn.InstanceNorm2d(self.first, affine=True)
        self.BN = nn.BatchNorm2d(channels - self.first)

    def forward(self, x: Tensor) -> Tensor:
        by_image, by_batch = x[:, : self.first].contiguous(), x[:, self.first :].contiguous()  # or the norms are slower
        return torch.cat([self.IN(by_image), self.BN(by_batch)], dim=1)


class SqueezeExcite(nn.Module):
    """Scales each channel by a gate in 0..1 that all channels' means decide, [B, C, h, w] -> [B, C, h, w].

    "Squeeze-and-Excitation Networks" (Hu et al., CVPR 2018), equations 2 to 4.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        self.fc = nn.Sequential(
            nn.Linear(channels, channels // reduction, bias=False),
            nn.ReLU(inplace=True),
            nn.Linear(channels // reduction, channels, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x * self.fc(x.mean((2, 3)))[:, :, None, None]


class _Block(Bottleneck):
    """torchvision's bottleneck with a place for a gate before the sum and a place for a norm after it."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.se: nn.Module = nn.Identity()
        self.IN: nn.Module = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.se(self.bn3(self.conv3(out)))
        out = out + (x if self.downsample is None else self.downsample(x))
        return self.relu(self.IN(out))


def build(name: str, *, weights: str | None = None, last_stride: int = 1) -> Backbone:
    """An IBN-Net up to its last feature map, [B, 3, H, W] -> [B, 2048, H/16, W/16] (H/32, W/32 with last_stride=2).

    Args:
        name: a key of ``LAYERS``. The a-nets normalise half of the channels inside each block of the first three
            stages by instance; the b-net normalises all of them, after its first convolution and at the end of the
            first two stages; se_ adds squeeze-and-excitation to every block.
        weights: a .pth or .safetensors file to take the weights from.
        last_stride: 1 keeps the last stage at stride 16 (Luo et al. 2019); 2 is the original.

    Raises:
        UserError: unknown name or last_stride, weights that cannot be read or do not fit.
    """
    if name not in LAYERS:
        raise unknown("backbone.name", name, LAYERS)
    net = ResNet(_Block, LAYERS[name])
    set_last_stride(net, "resnet", last_stride)
    if name.endswith("_a"):
        for block in (*net.layer1, *net.layer2, *net.layer3):
            block.bn1 = IBN(block.conv1.out_channels)
    else:
        net.bn1 = nn.InstanceNorm2d(net.conv1.out_channels, affine=True)
        for block in (net.layer1[-1], net.layer2[-1]):
            block.IN = nn.InstanceNorm2d(block.conv3.out_channels, affine=True)
    if name.startswith("se_"):
        for block in (*net.layer1, *net.layer2, *net.layer3, *net.layer4):
            block.se = SqueezeExcite(block.conv3.out_channels)
    stages = OrderedDict((k, m) for k, m in net.named_children() if k not in ("avgpool", "fc"))
    return fill_from_file(Backbone(stages, name=name, channels=_CHANNELS), weights)
