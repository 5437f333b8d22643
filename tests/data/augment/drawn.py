"""Noise to augment, and whether what was drawn is distributed as it should be."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from reid.data.augment import (
    Augment,
    random_autoaugment,
    random_blur,
    random_cutout,
    random_erase,
    random_flip,
    random_grayscale,
    random_jitter,
    random_local_grayscale,
    random_patch,
    random_shift,
    random_zoom,
)

MEAN_COLOUR = np.array([124, 116, 104], np.uint8)  # 255 times 0.485, 0.456, 0.406
Change = Callable[[Tensor, float, torch.Generator], Tensor]


def noise(count: int, height: int, width: int, *, low: int = 0, high: int = 256) -> Tensor:
    generator = torch.Generator().manual_seed(99)
    return torch.randint(low, high, (count, 3, height, width), generator=generator, dtype=torch.uint8)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def close_to_binomial(count: int, n: int, p: float) -> bool:
    """Within five standard deviations, which a right drawer leaves once in two million seeds."""
    return abs(count - n * p) <= 5 * math.sqrt(n * p * (1 - p)) + 1e-9


def uniform(counts: np.ndarray) -> bool:
    """Pearson's chi-square within five standard deviations of its mean."""
    expected, freedom = counts.sum() / counts.size, counts.size - 1
    return ((counts - expected) ** 2 / expected).sum() < freedom + 5 * math.sqrt(2 * freedom)


def differs(one: Tensor, other: Tensor) -> Tensor:
    """Which images of two batches are not the same, bool [B]."""
    return (one != other).flatten(1).any(1)


def everything(images: Tensor, p: float, generator: torch.Generator, **move: float | None) -> Tensor:
    """All operations at once."""
    names = ("autoaugment", "flip", "shift", "jitter", "grayscale", "blur", "local_grayscale", "cutout", "erase")
    return Augment(**dict.fromkeys(names, p), **move)(images, generator)  # type: ignore[arg-type]


FUNCTIONS: dict[str, Change] = {  # each image by itself
    "flip": random_flip,
    "shift": lambda images, p, generator: random_shift(images, p, 2, generator),
    "zoom": lambda images, p, generator: random_zoom(images, p, 1.25, generator),
    "autoaugment": random_autoaugment,
    "jitter": random_jitter,
    "grayscale": random_grayscale,
    "blur": partial(random_blur, sigma=(0.5, 2.0)),
    "erase": random_erase,
    "erase pixel": partial(random_erase, fill="pixel"),
    "erase const": partial(random_erase, fill="const"),
    "cutout": random_cutout,
    "local_grayscale": random_local_grayscale,
    "all": partial(everything, padding=30, zoom=None),
    "all with zoom": partial(everything, zoom=1.25),
}
WITH_NEIGHBOURS: dict[str, Change] = {**FUNCTIONS, "patch": random_patch}
