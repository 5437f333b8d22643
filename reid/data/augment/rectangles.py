"""A rectangle for each image, as erasing, patches, local grayscale and CutMix use it."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from reid.data.augment.draws import lines

TRIES = 10


class Rectangles(NamedTuple):
    """One rectangle an image, in pixels, int64 [B] each; of height 0 where there is none."""

    top: Tensor
    left: Tensor
    height: Tensor
    width: Tensor

    def only(self, which: Tensor) -> "Rectangles":
        """None for the images that ``which`` bool [B] leaves out."""
        return self._replace(height=torch.where(which, self.height, 0))

    def of(self, index: Tensor) -> "Rectangles":
        """Those of some images, int64 [b]."""
        return Rectangles(*(side[index] for side in self))

    def mask(self, height: int, width: int) -> Tensor:
        """Their pixels in images of this size: bool [B, 1, height, width]."""
        rows, columns = self._sides(height, width)
        return rows & columns

    def cover(self, images: Tensor, new: Tensor) -> Tensor:
        """Images uint8 [B, 3, H, W] with ``new``, others or a colour [1, 3, 1, 1], in the rectangles."""
        if images.device.type != "cpu":
            return torch.where(self.mask(*images.shape[2:]), new, images)
        # a CPU would choose the bytes one by one; here it copies the lines of each rectangle
        out = images.clone(memory_format=torch.channels_last)
        into, of = lines(out), lines(new.expand(len(new), *images.shape[1:]) if new.shape[2:] == (1, 1) else new)
        places = torch.stack([self.top, self.top + self.height, 3 * self.left, 3 * (self.left + self.width)], 1)
        for i, (top, bottom, left, right) in enumerate(places.tolist()):
            into[i, top:bottom, left:right] = of[i % len(of), top:bottom, left:right]
        return out

    def _sides(self, height: int, width: int) -> tuple[Tensor, Tensor]:
        """Which rows and columns they cover: bool [B, 1, height, 1] and [B, 1, 1, width]."""
        rows, columns = (torch.arange(side, device=self.top.device) for side in (height, width))
        in_rows = (rows >= self.top[:, None]) & (rows < (self.top + self.height)[:, None])
        in_columns = (columns >= self.left[:, None]) & (columns < (self.left + self.width)[:, None])
        return in_rows[:, None, :, None], in_columns[:, None, None, :]


def draw_rectangles(
    images: Tensor, area: Sequence[float], aspect: Sequence[float], generator: torch.Generator
) -> Rectangles:
    """Rectangles of random area, shape and place (Zhong et al., Random Erasing, AAAI 2020, algorithm 1).

    A share of the image's area from the range ``area`` and an aspect ratio (height over width) from the range
    ``aspect``, each uniformly. As in the paper one that does not fit is drawn again, here up to 10 times; where none
    fits there is none.
    """
    batch, _, height, width = images.shape
    share = torch.rand(TRIES, batch, generator=generator, device=images.device)
    ratio = torch.rand(TRIES, batch, generator=generator, device=images.device)
    surface = (area[0] + (area[1] - area[0]) * share) * height * width
    ratio = aspect[0] + (aspect[1] - aspect[0]) * ratio
    h, w = (surface * ratio).sqrt().round().long(), (surface / ratio).sqrt().round().long()  # [tries, B]
    fits = (h < height) & (w < width)
    first = fits.int().argmax(0, keepdim=True)
    h, w = h.gather(0, first)[0], w.gather(0, first)[0]
    top, left = draw_places(images, h, w, generator)
    return Rectangles(top, left, h, w).only(fits.any(0))


def draw_places(images: Tensor, h: Tensor, w: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Top and left of a rectangle of height ``h`` and width ``w`` inside each image, every place as likely."""
    place = torch.rand(2, len(images), generator=generator, device=images.device)
    return (place[0] * (images.shape[2] - h + 1)).long(), (place[1] * (images.shape[3] - w + 1)).long()


def around(row: Tensor, column: Tensor, h: Tensor, w: Tensor, height: int, width: int) -> Rectangles:
    """Rectangles of height ``h`` and width ``w`` about a pixel each; what lies outside the image is cut off."""
    top, left = row - h // 2, column - w // 2
    bottom, right = (top + h).clamp(max=height), (left + w).clamp(max=width)
    top, left = top.clamp(min=0), left.clamp(min=0)
    return Rectangles(top, left, bottom - top, right - left)
