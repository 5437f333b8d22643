"""Classifiers on the way to the last feature map, which training alone uses."""

import torch.nn.functional as F
from torch import Tensor, nn


class Auxiliary(nn.Module):
    """A classifier of a map on the way, so that a gradient reaches the early layers on a shorter path.

    Szegedy et al., Going Deeper with Convolutions, CVPR 2015, section 5: the map averaged to 4 x 4, a 1x1 convolution
    to 128 channels, 1,024 hidden units, 70 % of them dropped. Batch normalisation follows the convolution, as in
    torchvision's network.

    Args:
        channels: of the map.
        num_classes: training identities.
    """

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 128, 1, bias=False)
        self.norm = nn.BatchNorm2d(128, eps=0.001)
        self.hidden = nn.Linear(128 * 4 * 4, 1024)
        self.dropout = nn.Dropout(0.7)
        self.classifier = nn.Linear(1024, num_classes)

    def forward(self, maps: Tensor) -> Tensor:
        """Maps [B, channels, h, w] -> logits [B, num_classes]."""
        small = F.relu(self.norm(self.conv(F.adaptive_avg_pool2d(maps, 4))))
        return self.classifier(self.dropout(F.relu(self.hidden(small.flatten(1)))))
