"""Two images of a batch in one, and the labels in the same shares.

Each image i of the batch has a partner j, its place in a random permutation, and a share of its own, where the papers'
code draws one share a batch.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from reid.data.augment.draws import pick
from reid.data.augment.rectangles import Rectangles, around
from reid.errors import UserError


class Mixup:
    """``share image_i + (1 - share) image_j`` (Zhang et al., mixup: Beyond Empirical Risk Minimization, ICLR 2018).

    Args:
        alpha: shares are drawn from Beta(alpha, alpha): near 0 mostly one image, 1 any share, above 1 mostly halves.

    Raises:
        UserError: an alpha of 0 or less.
    """

    words = "the sum of two, and of their labels"

    def __init__(self, alpha: float = 0.2) -> None:
        self.alpha = _above_zero(alpha)

    def __call__(
        self, images: Tensor, labels: Tensor, classes: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """uint8 images [B, 3, H, W], labels int64 [B] below ``classes`` -> mixed images, targets float32 [B, classes]
        whose rows sum to 1."""
        partner, share = draw_partners(images, generator), draw_shares(images, self.alpha, generator)
        return mixup(images, partner, share), mixed_labels(labels, partner, share, classes)


class CutMix:
    """A rectangle of image i shows image j (Yun et al., CutMix, ICCV 2019, section 3.1).

    Its sides are ``sqrt(1 - share)`` of the image's, its centre is any pixel, and what lies outside the image is cut
    off; the labels are mixed by the areas that are left.

    Args:
        alpha: shares are drawn from Beta(alpha, alpha); the paper has 1.

    Raises:
        UserError: an alpha of 0 or less.
    """

    words = "a rectangle shows another image; labels by area"

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = _above_zero(alpha)

    def __call__(
        self, images: Tensor, labels: Tensor, classes: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """As ``Mixup``'s."""
        partner, share = draw_partners(images, generator), draw_shares(images, self.alpha, generator)
        height, width = images.shape[2:]
        h, w = ((side * (1 - share).sqrt()).long() for side in (height, width))
        row, column = (
            torch.randint(side, (len(images),), generator=generator, device=images.device) for side in (height, width)
        )
        places = around(row, column, h, w, height, width)
        left = 1 - places.height * places.width / (height * width)
        return cutmix(images, partner, places), mixed_labels(labels, partner, left, classes)


def draw_partners(images: Tensor, generator: torch.Generator) -> Tensor:
    """A permutation of the batch, int64 [B]; an image may be its own partner."""
    return torch.randperm(len(images), generator=generator, device=images.device)


def draw_shares(images: Tensor, alpha: float, generator: torch.Generator) -> Tensor:
    """Beta(alpha, alpha), float32 [B]; by numpy, since torch draws it from its own stream alone."""
    seed = int(torch.randint(2**62, (), generator=generator, device=images.device))
    shares = np.random.default_rng(seed).beta(alpha, alpha, len(images))
    return torch.from_numpy(shares).float().to(images.device)


def mixup(images: Tensor, partner: Tensor, share: Tensor) -> Tensor:
    """Sums of images uint8 [B, 3, H, W] and their partners int64 [B] by ``share`` float32 [B], rounded to bytes."""
    pixels = images.float()
    return pixels[partner].lerp(pixels, share[:, None, None, None]).round_().to(torch.uint8)


def cutmix(images: Tensor, partner: Tensor, places: Rectangles) -> Tensor:
    """Images uint8 [B, 3, H, W] that show their partners int64 [B] in ``places``."""
    return places.cover(images, pick(images, partner))


def mixed_labels(labels: Tensor, partner: Tensor, share: Tensor, classes: int) -> Tensor:
    """``share`` float32 [B] of each image's own label int64 [B] and the rest of its partner's: float32 [B, classes]."""
    own = F.one_hot(labels, classes).float()
    return own[partner].lerp(own, share[:, None])


def _above_zero(alpha: float) -> float:
    if alpha <= 0:
        raise UserError(f"mix.alpha={alpha} must be above 0; mix=none mixes nothing")
    return alpha
