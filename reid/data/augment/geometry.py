"""Images mirrored, moved and resized.

Pixels that no image covers take the ImageNet mean colour, which normalisation turns into zero.
"""

from collections.abc import Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms.v2.functional import resize

from reid.data.augment.draws import chosen, fill_colour, integers, lines, on_chosen
from reid.data.pixels import along_rows


def random_flip(images: Tensor, p: float, generator: torch.Generator) -> Tensor:
    """Mirror each image left to right with probability ``p``."""
    which = chosen(images, p, generator)
    if images.device.type == "cpu":
        return on_chosen(images, which, partial(torch.flip, dims=(-1,)))
    return torch.where(which[:, None, None, None], images.flip(-1), images)  # to count the chosen ones would wait


def random_shift(images: Tensor, p: float, padding: int, generator: torch.Generator) -> Tensor:
    """Pad each image by ``padding`` on all sides and crop it back at a random place, with probability ``p``."""
    moved = chosen(images, p, generator)
    top, left = (torch.where(moved, integers(images, 2 * padding + 1, generator), padding) for _ in range(2))
    if images.device.type == "cpu":
        return _moved(images, top - padding, left - padding)
    height, width = images.shape[2:]
    size = len(images), 3, height + 2 * padding, width + 2 * padding
    padded = torch.empty(size, dtype=torch.uint8, device=images.device, memory_format=torch.channels_last)
    padded[:] = along_rows(fill_colour(images), padded)
    padded[:, :, padding : padding + height, padding : padding + width] = images
    return _crop(padded, top, left, height, width)


def _moved(images: Tensor, up: Tensor, left: Tensor) -> Tensor:
    """Each image moved by its own numbers of pixels int64 [B], without a padded copy of it: on a CPU, line by line."""
    height, width = images.shape[2:]
    out = torch.empty_like(images, memory_format=torch.channels_last)
    out[:] = along_rows(fill_colour(images), out)
    into, of = lines(out), lines(images)
    for i, (y, x) in enumerate(torch.stack([up, left], 1).tolist()):
        (rows, to_rows), (columns, to_columns) = _overlap(y, height, 1), _overlap(x, width, 3)
        into[i, to_rows, to_columns] = of[i, rows, columns]
    return out


def _overlap(by: int, length: int, step: int) -> tuple[slice, slice]:
    """What is left of a side of this length that moves ``by`` towards its beginning: from where, and to where."""
    kept = max(length - abs(by), 0)
    start, to = max(by, 0), max(-by, 0)
    return slice(step * start, step * (start + kept)), slice(step * to, step * (to + kept))


def random_shift_in_proportion(images: Tensor, p: float, padding: int, generator: torch.Generator) -> Tensor:
    """The same by ``padding`` pixels at an image height of 256; other heights take their share."""
    return random_shift(images, p, round(padding * images.shape[2] / 256), generator)


def random_zoom(images: Tensor, p: float, factor: float, generator: torch.Generator) -> Tensor:
    """Enlarge each image by ``factor`` and crop it back at a random place, with probability ``p``."""
    height, width = images.shape[2:]
    size = round(height * factor), round(width * factor)
    top = integers(images, size[0] - height + 1, generator)
    left = integers(images, size[1] - width + 1, generator)
    return on_chosen(images, chosen(images, p, generator), partial(_enlarged, size=size), top=top, left=left)


def _enlarged(images: Tensor, size: tuple[int, int], top: Tensor, left: Tensor) -> Tensor:
    exact = images if images.device.type == "cpu" else images.float()  # only the CPU resizes bytes
    large = F.interpolate(exact, size=size, mode="bilinear", align_corners=False).round().to(torch.uint8)
    return _crop(large, top, left, *images.shape[2:])


def random_scale(images: Tensor, sizes: Sequence[Sequence[int]], generator: torch.Generator) -> Tensor:
    """The whole batch at one of ``sizes`` = (H, W), each as likely; bilinear, smoothed where it shrinks."""
    draw = int(torch.randint(len(sizes), (), generator=generator, device=images.device))
    return resize(images, list(sizes[draw]), antialias=True)


def take(images: Tensor, which: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Pixels of image ``which[i]`` at the crossings of ``rows[i]`` and ``columns[i]``.

    Indices int64 [B], [B, h] and [B, w] -> [B, C, h, w], in memory as channels_last.
    """
    return images[which[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _crop(images: Tensor, top: Tensor, left: Tensor, height: int, width: int) -> Tensor:
    """Cut [B, C, height, width] out of each image at its own place, in memory as channels_last."""
    batch, channels, rows, columns = images.shape
    line = torch.arange(height, device=images.device)
    first = (torch.arange(batch, device=images.device) * rows + top)[:, None]  # of all lines of the batch
    pixel = (first + line) * columns + left[:, None]  # where each line of a crop begins, [B, height]
    runs = images.permute(0, 2, 3, 1).reshape(-1).unfold(0, width * channels, channels)  # a line from every pixel on
    return runs.index_select(0, pixel.flatten()).view(batch, height, width, channels).permute(0, 3, 1, 2)
