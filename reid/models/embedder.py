"""Backbone -> pooling -> BNNeck -> classifier."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reid.data.pixels import normalise
from reid.errors import UserError
from reid.models import pooling as poolings
from reid.models.auxiliary import Auxiliary
from reid.models.backbones import Backbone

FEATURES = ("after_bnneck", "before_bnneck")


class Embedder(nn.Module):
    """A person re-identification network with the BNNeck (Luo et al., Bag of Tricks, CVPR Workshops 2019).

    The triplet loss sees the pooled feature, the classifier sees it after a batch normalisation without bias.

    Args:
        backbone: gives a feature map [B, C, h, w] for normalised images.
        image_size: (height, width) of the images it will see.
        num_classes: training identities.
        pooling: avg, max, avgmax or gem.
        feature: what retrieval uses, ``after_bnneck`` or ``before_bnneck``.

    Raises:
        UserError: an option is unknown, or the backbone cannot take images of this size.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        backbone: Backbone,
        *,
        image_size: Sequence[int],
        num_classes: int,
        pooling: str = "avg",
        feature: str = "after_bnneck",
    ) -> None:
        super().__init__()
        if feature not in FEATURES:
            raise UserError(f"head.feature={feature} is unknown: choose one of {', '.join(FEATURES)}")
        self.image_size = (int(image_size[0]), int(image_size[1]))
        self.map_size = map_size(backbone, self.image_size)
        self.feature = feature
        self.backbone = backbone
        self.pool = poolings.build(pooling)
        self.bnneck = nn.BatchNorm1d(backbone.channels)
        self.bnneck.bias.requires_grad_(False)
        self.classifier = nn.Linear(backbone.channels, num_classes, bias=False)
        nn.init.normal_(self.classifier.weight, std=0.001)
        self.sides = nn.ModuleList(Auxiliary(channels, num_classes) for channels in backbone.sides.values())
        self.register_buffer("mean", torch.tensor(backbone.mean).reshape(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(backbone.std).reshape(1, 3, 1, 1), persistent=False)

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return self.bnneck.num_features

    def forward(self, images: Tensor, camids: Tensor | None = None) -> Tensor:
        """Images [B, 3, H, W], RGB as uint8 0..255 or float 0..1 -> embeddings float32 [B, D] of length 1.

        ``camids`` int64 [B] are for a backbone that was made with ``cameras``; others do not look at them.
        """
        return F.normalize(self.unscaled(images, camids))

    def unscaled(self, images: Tensor, camids: Tensor | None = None) -> Tensor:
        """The same images -> embeddings as the network leaves them, of any length: float32 [B, D]."""
        feature = self.pooled(images, camids)
        return self.bnneck(feature) if self.feature == "after_bnneck" else feature

    def classify(self, images: Tensor, camids: Tensor | None = None) -> tuple[Tensor, Tensor, list[Tensor]]:
        """The same images -> feature before the BNNeck float32 [B, D], logits [B, num_classes], and such logits of the
        auxiliary classifiers, if the backbone has any."""
        if self.sides:
            maps, on_the_way = self.backbone.with_sides(self._normalised(images))
            feature = self.pool(maps)
            side = [classifier(m) for classifier, m in zip(self.sides, on_the_way, strict=True)]
        else:
            feature, side = self.pooled(images, camids), []
        return feature, self.classifier(self.bnneck(feature)), side

    def pooled(self, images: Tensor, camids: Tensor | None = None) -> Tensor:
        """The same images -> pooled feature float32 [B, D]."""
        return self.pool(self.backbone(self._normalised(images), camids))

    def _normalised(self, images: Tensor) -> Tensor:
        return normalise(images, self.mean, self.std)


def map_size(backbone: Backbone, image_size: tuple[int, int], *, option: str = "image.size") -> tuple[int, int]:
    """(height, width) of the map for images of this size; UserError, which names ``option``, if it cannot take them."""
    try:
        maps = _tried(backbone, image_size)
    except RuntimeError as error:  # a pooling or convolution whose window no longer fits, or patches that do not
        asked = f"{option}=[{image_size[0]},{image_size[1]}] does not fit this backbone"
        fits = _size_that_fits(backbone, image_size)
        raise UserError(f"{asked}: {fits} ({backbone.name}: {error})") from error
    if maps.ndim != 4 or maps.shape[1] != backbone.channels:
        raise UserError(
            f"backbone {backbone.name} says channels={backbone.channels} but its output is {list(maps.shape)}: "
            "it must give maps [B, channels, h, w]"
        )
    return maps.shape[2], maps.shape[3]


@torch.no_grad()
def _tried(backbone: Backbone, image_size: tuple[int, int]) -> Tensor:
    training = backbone.training
    try:
        return backbone.eval()(torch.zeros(1, 3, *image_size), torch.tensor(backbone.cameras[:1]))
    finally:
        backbone.train(training)


def _size_that_fits(backbone: Backbone, image_size: tuple[int, int]) -> str:
    """Advice: the next size up that works, each side at least as asked and a multiple of 16."""
    for side in range(16, 321, 16):
        height, width = (max(-(-n // 16) * 16, side) for n in image_size)
        try:
            _tried(backbone, (height, width))
        except RuntimeError:
            continue
        return f"[{height},{width}] would"
    return "choose a larger one"
