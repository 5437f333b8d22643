"""The effective receptive field: how much each pixel really moves the centre of the last feature map.

Luo, Li, Urtasun and Zemel: Understanding the Effective Receptive Field in Deep Convolutional Neural Networks,
NIPS 2016.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reid.anatomy.sight import Field
from reid.errors import UserError

HELD = 0.95


@dataclass(frozen=True, eq=False)
class Effective:
    """Attributes:
    map: float64 of the size of the image [H, W], sums to 1.
    unit: position of the centre unit in the last map.
    pixels: the fewest pixels that hold 95 % of the sum.
    box: pixels of the theoretical field of that unit inside the image; the whole image where the field is global,
        None where it is not known.
    of_field: pixels / box. of_image: pixels / pixels of the image.
    """

    map: np.ndarray
    unit: tuple[int, ...]
    pixels: int
    box: int | None
    of_field: float | None
    of_image: float

    def to_dict(self) -> dict[str, Any]:
        return {
            "map": self.map.tolist(), "unit": list(self.unit), "pixels": self.pixels, "box": self.box,
            "of_field": self.of_field, "of_image": self.of_image,
        }  # fmt: skip


def effective(
    maps: Callable[[Tensor], Tensor], size: tuple[int, ...], field: Field | None, *, inputs: int, seed: int,
    device: torch.device, dtype: torch.dtype,
) -> Effective:  # fmt: skip
    """Mean over standard normal images and their channels of |d centre / d pixel|.

    The centre is the mean over channels of unit n // 2 of the map along each axis.

    Args:
        maps: images [1, C, H, W] to the last map [1, D, h, w], differentiable.
        size: (C, H, W).
        inputs: images drawn.

    Raises:
        UserError: no gradient reaches the image.
    """
    total = np.zeros(size[1:])
    unit: tuple[int, ...] = ()
    for image in normal_images(inputs, size, seed):
        pixels = image[None].to(device, dtype).requires_grad_()
        with torch.enable_grad():
            out = maps(pixels * 1)  # a network whose first layer works in place may not touch a leaf
            unit = tuple(n // 2 for n in out.shape[2:])
            centre = out[0].movedim(0, -1)[unit].float().mean()
            if not centre.requires_grad:
                raise UserError("no gradient reaches the image: leave the effective field out with effective_inputs=0")
            (gradient,) = torch.autograd.grad(centre, pixels)
        total += gradient[0].abs().double().sum(0).cpu().numpy()
    if not np.isfinite(total).all() or total.sum() == 0:
        raise UserError(
            "the centre of the last map has no finite gradient other than zero: leave the effective field out with "
            "effective_inputs=0"
        )
    total /= total.sum()
    count, box = pixels_holding(total, HELD), _box(field, unit, size[1:])
    return Effective(total, unit, count, box, None if box is None else count / box, count / total.size)


def pixels_holding(shares: np.ndarray, held: float) -> int:
    """The fewest entries of ``shares`` (which sum to 1) that sum to ``held`` or more."""
    strongest = np.sort(shares, axis=None)[::-1].cumsum()
    return min(int(np.searchsorted(strongest, held - 1e-12)) + 1, shares.size)


def normal_images(count: int, size: tuple[int, ...], seed: int) -> Tensor:
    """Standard normal float32 images [count, C, H, W], the same for a seed on every device."""
    return torch.randn(count, *size, generator=torch.Generator().manual_seed(seed))


def _box(field: Field | None, unit: tuple[int, ...], sizes: tuple[int, ...]) -> int | None:
    if field is None:
        return None
    sides = []
    for i, n in enumerate(sizes):
        size, jump, start = field.size[i], field.jump[i], field.start[i]
        if field.whole[i] or size is None or jump is None or start is None:
            sides.append(n)
        else:
            first = start + unit[i] * jump - (size - 1) / 2
            sides.append(max(int(min(first + size, n) - max(first, 0)), 0))
    return prod(sides) or None
