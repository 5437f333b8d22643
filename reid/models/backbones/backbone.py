"""What the rest of the framework knows of a backbone."""

from collections import OrderedDict

from torch import nn

from reid.data.pixels import IMAGENET_MEAN, IMAGENET_STD


class Backbone(nn.Sequential):
    """Named stages applied in order.

    Attributes:
        name: what people call the network.
        channels: C of the feature map.
        mean, std: the normalisation its weights were trained with, for RGB in 0..1.
        origin: where its weights came from, for the run's opening lines and its record.
    """

    def __init__(
        self,
        stages: "OrderedDict[str, nn.Module]",
        *,
        name: str,
        channels: int,
        mean: tuple[float, float, float] = IMAGENET_MEAN,
        std: tuple[float, float, float] = IMAGENET_STD,
        origin: str = "from scratch",
    ) -> None:
        super().__init__(stages)
        self.name, self.channels = name, channels
        self.mean, self.std, self.origin = mean, std, origin
