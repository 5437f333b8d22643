"""A network of two convolutions, for tests in which the real one does not matter."""

from collections import OrderedDict

import torch
from torch import nn

from reid.models.backbones import Backbone
from reid.models.embedder import Embedder

SIZE = (16, 8)  # of its images: height, width


def backbone(channels: int = 6, *, dropout: float = 0.0, seed: int = 0, pretrained: bool = False) -> Backbone:
    """Stride 4, so 16x8 images give a 4x2 map. The arguments suit the config of a checkpoint."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        stages = OrderedDict(
            conv=nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=False),
            norm=nn.BatchNorm2d(4),
            relu=nn.ReLU(),
            dropout=nn.Dropout(dropout),
            last=nn.Conv2d(4, channels, 3, stride=2, padding=1),
        )
    return Backbone(stages, name="tiny", channels=channels, origin="pretrained" if pretrained else "from scratch")


def embedder(num_classes: int = 4, *, channels: int = 6, dropout: float = 0.0, seed: int = 0, **head: str) -> Embedder:
    """The whole network, its BatchNorms as if trained: weights, means and variances that are not 0 and 1."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = Embedder(backbone(channels, dropout=dropout, seed=seed), image_size=SIZE, num_classes=num_classes, **head)
        for norm in (net.backbone.norm, net.bnneck):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.uniform_(norm.running_mean, -0.2, 0.2)
            nn.init.uniform_(norm.running_var, 0.5, 1.5)
        nn.init.normal_(net.classifier.weight, std=0.3)
    return net


def images(count: int, *, size: tuple[int, int] = SIZE, seed: int = 0) -> torch.Tensor:
    """uint8 [count, 3, H, W] of noise."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (count, 3, *size), generator=generator, dtype=torch.uint8)
