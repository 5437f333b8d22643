"""Random changes to a whole batch of images as one tensor, drawn for each image on its own.

Every function takes uint8 images [B, 3, H, W], a generator on their device, and gives uint8 images of the same shape.
Pixels that no image covers take the ImageNet mean colour, which normalisation turns into zero.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from reid.data.pixels import IMAGENET_MEAN
from reid.errors import UserError

FILL = tuple(round(255 * m) for m in IMAGENET_MEAN)


class Augment:
    """Flip, shift, erase; each off at probability 0.

    Args:
        flip: probability of a mirror image.
        shift: probability of a random shift, by one of two ways that users of the field know:
            ``padding`` pads by that many pixels on each side and crops back (10 at 256x128, Luo et al. 2019);
            ``zoom`` enlarges by that factor and crops back (1.125, the way of torchreid).
        padding: pixels at an image height of 256; other heights take their share.
        zoom: factor above 1, or None to pad instead.
        erase: probability of random erasing.

    Raises:
        UserError: a probability outside 0..1, a negative padding, a zoom of 1 or less, both ways of shifting or none.
    """

    def __init__(
        self, *, flip: float = 0.5, shift: float = 0.5, padding: int = 0, zoom: float | None = 1.125, erase: float = 0.5
    ) -> None:
        for name, p in {"flip": flip, "shift": shift, "erase": erase}.items():
            if not 0 <= p <= 1:
                raise UserError(f"augment.{name}={p} is a probability: choose 0 to 1")
        if shift > 0 and (padding > 0) == (zoom is not None):
            raise UserError(f"augment.shift={shift} needs augment.padding above 0 or augment.zoom, and not both")
        if padding < 0 or (zoom is not None and zoom <= 1):
            raise UserError(f"augment.padding={padding} must be at least 0, augment.zoom={zoom} above 1 or null")
        self.flip, self.shift, self.padding, self.zoom, self.erase = flip, shift, padding, zoom, erase

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        if self.flip > 0:
            images = random_flip(images, self.flip, generator)
        if self.shift > 0 and self.zoom is not None:
            images = random_zoom(images, self.shift, self.zoom, generator)
        elif self.shift > 0:
            padding = round(self.padding * images.shape[2] / 256)
            images = random_shift(images, self.shift, padding, generator)
        if self.erase > 0:
            images = random_erase(images, self.erase, generator)
        return images


def random_flip(images: Tensor, p: float, generator: torch.Generator) -> Tensor:
    """Mirror each image left to right with probability ``p``."""
    return torch.where(_chosen(images, p, generator)[:, None, None, None], images.flip(-1), images)


def random_shift(images: Tensor, p: float, padding: int, generator: torch.Generator) -> Tensor:
    """Pad each image by ``padding`` on all sides and crop it back at a random place, with probability ``p``."""
    height, width = images.shape[2:]
    fill = torch.tensor(FILL, dtype=torch.uint8, device=images.device)[None, :, None, None]
    padded = fill.expand(len(images), 3, height + 2 * padding, width + 2 * padding).clone()
    padded[:, :, padding : padding + height, padding : padding + width] = images
    chosen = _chosen(images, p, generator)
    top, left = (torch.where(chosen, _integers(images, 2 * padding + 1, generator), padding) for _ in range(2))
    return _crop(padded, top, left, height, width)


def random_zoom(images: Tensor, p: float, factor: float, generator: torch.Generator) -> Tensor:
    """Enlarge each image by ``factor`` and crop it back at a random place, with probability ``p``."""
    height, width = images.shape[2:]
    size = round(height * factor), round(width * factor)
    top = _integers(images, size[0] - height + 1, generator)
    left = _integers(images, size[1] - width + 1, generator)
    chosen = _chosen(images, p, generator).nonzero()[:, 0]
    exact = images[chosen] if images.device.type == "cpu" else images[chosen].float()  # only the CPU resizes bytes
    large = F.interpolate(exact, size=size, mode="bilinear", align_corners=False).round().to(torch.uint8)
    return images.clone().index_copy_(0, chosen, _crop(large, top[chosen], left[chosen], height, width))


def random_erase(
    images: Tensor,
    p: float,
    generator: torch.Generator,
    area: Sequence[float] = (0.02, 0.4),
    aspect: Sequence[float] = (0.3, 1 / 0.3),
) -> Tensor:
    """Random erasing with its published parameters (Zhong et al., Random Erasing Data Augmentation, AAAI 2020).

    With probability ``p`` a rectangle of 2 to 40 % of the area and an aspect ratio (height over width) from 0.3 to
    3.33 takes the mean colour. As in the paper a rectangle that does not fit is drawn again, here up to 10 times.
    """
    batch, _, height, width = images.shape
    tries = 10
    share = torch.rand(tries, batch, generator=generator, device=images.device)
    ratio = torch.rand(tries, batch, generator=generator, device=images.device)
    surface = (area[0] + (area[1] - area[0]) * share) * height * width
    ratio = aspect[0] + (aspect[1] - aspect[0]) * ratio
    h, w = (surface * ratio).sqrt().round().long(), (surface / ratio).sqrt().round().long()  # [tries, B]
    fits = (h < height) & (w < width)
    first = fits.int().argmax(0, keepdim=True)
    h, w, any_fits = h.gather(0, first)[0], w.gather(0, first)[0], fits.any(0)
    place = torch.rand(2, batch, generator=generator, device=images.device)
    top, left = (place[0] * (height - h + 1)).long(), (place[1] * (width - w + 1)).long()
    rows, columns = torch.arange(height, device=images.device), torch.arange(width, device=images.device)
    in_rows = (rows >= top[:, None]) & (rows < (top + h)[:, None])  # [B, H]
    in_columns = (columns >= left[:, None]) & (columns < (left + w)[:, None])  # [B, W]
    chosen = any_fits & _chosen(images, p, generator)
    mask = (chosen[:, None, None] & in_rows[:, :, None] & in_columns[:, None, :])[:, None]
    fill = torch.tensor(FILL, dtype=torch.uint8, device=images.device)[None, :, None, None]
    return torch.where(mask, fill, images)


def _chosen(images: Tensor, p: float, generator: torch.Generator) -> Tensor:
    return torch.rand(len(images), generator=generator, device=images.device) < p


def _integers(images: Tensor, high: int, generator: torch.Generator) -> Tensor:
    return torch.randint(high, (len(images),), generator=generator, device=images.device)


def _crop(images: Tensor, top: Tensor, left: Tensor, height: int, width: int) -> Tensor:
    """Cut [B, C, height, width] out of each image at its own place; the result lies in memory as channels_last."""
    batch = torch.arange(len(images), device=images.device)[:, None, None]
    rows = (top[:, None] + torch.arange(height, device=images.device))[:, :, None]
    columns = (left[:, None] + torch.arange(width, device=images.device))[:, None, :]
    return images[batch, :, rows, columns].permute(0, 3, 1, 2)
