"""A rectangle of each image hidden: erased, cut out, covered with a patch of another image, or turned gray."""

from collections.abc import Sequence

import torch
from torch import Tensor

from reid.data.augment.colour import grayscale
from reid.data.augment.draws import chosen, fill_colour, integers, on_chosen, pick, put
from reid.data.augment.geometry import take
from reid.data.augment.rectangles import Rectangles, around, draw_places, draw_rectangles

FILLS = ("mean", "pixel", "const")


def random_erase(
    images: Tensor,
    p: float,
    generator: torch.Generator,
    area: Sequence[float] = (0.02, 0.4),
    aspect: Sequence[float] = (0.3, 1 / 0.3),
    fill: str = "mean",
) -> Tensor:
    """Random erasing with its published parameters (Zhong et al., Random Erasing Data Augmentation, AAAI 2020).

    With probability ``p`` a rectangle of 2 to 40 % of the area and an aspect ratio (height over width) from 0.3 to
    3.33 takes the mean colour (RE-M in the paper), a random value in each pixel and channel (``fill="pixel"``, RE-R:
    uniform from 0 to 255) or black (``fill="const"``, RE-0).
    """
    places = draw_rectangles(images, area, aspect, generator)
    places = places.only(chosen(images, p, generator))
    if fill == "pixel":
        noise = torch.randint(256, images.shape, generator=generator, device=images.device, dtype=torch.uint8)
        return places.cover(images, noise)
    return places.cover(images, fill_colour(images) if fill == "mean" else torch.zeros_like(fill_colour(images)))


def random_cutout(images: Tensor, p: float, generator: torch.Generator, size: int = 64) -> Tensor:
    """Cutout (DeVries and Taylor, Improved Regularization of Convolutional Neural Networks with Cutout, 2017).

    With probability ``p`` a square about a random pixel, which may lie partly outside the image, takes the mean colour,
    the zero of normalised images. Its side is ``size`` pixels at an image height of 256; other heights take their
    share. The paper cuts out always.
    """
    height, width = images.shape[2:]
    side = torch.full((len(images),), round(size * height / 256), device=images.device)
    row, column = integers(images, height, generator), integers(images, width, generator)
    places = around(row, column, side, side, height, width).only(chosen(images, p, generator))
    return places.cover(images, fill_colour(images))


def random_local_grayscale(
    images: Tensor,
    p: float,
    generator: torch.Generator,
    area: Sequence[float] = (0.02, 0.4),
    aspect: Sequence[float] = (0.3, 1 / 0.3),
) -> Tensor:
    """A rectangle without colour (Gong et al., Eliminate Deviation with Deviation for Data Augmentation and a General
    Multi-modal Data Learning Method, 2021: local grayscale transformation), drawn as that of random erasing.
    """
    places = draw_rectangles(images, area, aspect, generator).only(chosen(images, p, generator))
    return on_chosen(images, places.height > 0, _without_colour, mask=places.mask(*images.shape[2:]))


def _without_colour(images: Tensor, mask: Tensor) -> Tensor:
    return torch.where(mask, grayscale(images), images)


def random_patch(
    images: Tensor,
    p: float,
    generator: torch.Generator,
    area: Sequence[float] = (0.01, 0.5),
    aspect: Sequence[float] = (0.1, 10.0),
) -> Tensor:
    """With probability ``p`` cover a rectangle with a patch of another image of the batch.

    After Zhou et al., Omni-Scale Feature Learning for Person Re-Identification, ICCV 2019, with the parameters of
    their code: 1 to 50 % of the area, an aspect ratio from 0.1 to 10, half of the patches mirrored. They draw from a
    pool of past images and also turn patches by up to 10 degrees; here the batch is the pool and none is turned.
    """
    places = draw_rectangles(images, area, aspect, generator).only(chosen(images, p, generator))
    top, left = draw_places(images, places.height, places.width, generator)
    further = 1 + integers(images, max(len(images) - 1, 1), generator)  # never the image itself
    other = (torch.arange(len(images), device=images.device) + further) % len(images)
    return paste(images, places, other, top, left, mirrored=chosen(images, 0.5, generator))


def paste(images: Tensor, places: Rectangles, other: Tensor, top: Tensor, left: Tensor, mirrored: Tensor) -> Tensor:
    """Cover each of ``places`` with what image ``other`` int64 [B] shows in an equal rectangle at ``top`` and ``left``
    int64 [B], left to right where ``mirrored`` bool [B].
    """
    height, width = images.shape[2:]
    index = places.height.nonzero()[:, 0]
    places, top, left, mirrored = places.of(index), top[index, None], left[index, None], mirrored[index, None]
    rows = torch.arange(height, device=images.device) - places.top[:, None]  # within the patch
    columns = torch.arange(width, device=images.device) - places.left[:, None]
    columns = torch.where(mirrored, places.width[:, None] - 1 - columns, columns)
    rows, columns = (top + rows).clamp(0, height - 1), (left + columns).clamp(0, width - 1)
    covered = places.cover(pick(images, index), take(images, other[index], rows, columns))
    return put(images, index, covered)
