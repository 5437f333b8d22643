"""What the operations share: numbers drawn one for each image, and work on the chosen images alone."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from reid.data.pixels import IMAGENET_MEAN

FILL = tuple(round(255 * m) for m in IMAGENET_MEAN)  # normalisation turns it into zero


def chosen(images: Tensor, p: float, generator: torch.Generator) -> Tensor:
    """Which images are changed, bool [B]: each with probability ``p``."""
    return torch.rand(len(images), generator=generator, device=images.device) < p


def integers(images: Tensor, high: int, generator: torch.Generator) -> Tensor:
    """Whole numbers 0 to ``high`` - 1, int64 [B]."""
    return torch.randint(high, (len(images),), generator=generator, device=images.device)


def uniform(images: Tensor, low: float, high: float, generator: torch.Generator) -> Tensor:
    """Numbers from ``low`` to ``high``, float32 [B]."""
    return low + (high - low) * torch.rand(len(images), generator=generator, device=images.device)


def on_chosen(images: Tensor, which: Tensor, change: Callable[..., Tensor], **drawn: Tensor) -> Tensor:
    """``change(images, **drawn)`` for the images that ``which`` bool [B] names; the others stay as they are.

    ``drawn`` are values [B, ...], of which ``change`` gets those of its images.
    """
    index = which.nonzero()[:, 0]
    if len(index) == 0:
        return images
    changed = change(pick(images, index), **{name: values[index] for name, values in drawn.items()})
    return put(images, index, changed)


def pick(images: Tensor, index: Tensor) -> Tensor:
    """``images[index]``, in memory as channels_last; of such images a CPU copies them several times as fast."""
    return images.permute(0, 2, 3, 1).index_select(0, index).permute(0, 3, 1, 2)


def put(images: Tensor, index: Tensor, changed: Tensor) -> Tensor:
    """A copy of ``images`` with ``changed`` in the places ``index`` int64 [b], in memory as channels_last."""
    out = images.clone(memory_format=torch.channels_last)
    if images.device.type == "cpu":  # NumPy copies an image at a time, PyTorch a byte
        lines(out)[index.numpy()] = lines(changed)
    else:
        out[index] = changed
    return out


def lines(images: Tensor) -> np.ndarray:
    """Images [B, 3, H, W] on the CPU line by line, [B, H, 3 W]: the same memory where they are channels_last."""
    return images.permute(0, 2, 3, 1).flatten(2).numpy()


def fill_colour(images: Tensor) -> Tensor:
    """The mean colour beside a batch: uint8 [1, 3, 1, 1]."""
    return torch.tensor(FILL, dtype=torch.uint8, device=images.device)[None, :, None, None]
