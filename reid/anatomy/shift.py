"""Translation: does a network notice that the picture moved? Pooling forgives a shift, strides do not quite.

Zhang: Making Convolutional Networks Shift-Invariant Again, ICML 2019.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

SHIFTS = (1, 2, 4, 8, 16, 32)


@dataclass(frozen=True)
class Shift:
    """Mean over images of cosine similarities (-1..1) between a picture and the same scene ``pixels`` to the left.

    Attributes:
        embedding: of the embeddings; 1 is perfect invariance.
        map: of the last maps, unit by unit.
        moved: of the last maps once one is moved along by ``pixels`` / stride units, over the units both have; 1 is
            perfect equivariance. None where that is no whole number of units or leaves none.
    """

    pixels: int
    embedding: float
    map: float
    moved: float | None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@torch.no_grad()
def translation(
    maps: Callable[[Tensor], Tensor], embed: Callable[[Tensor], Tensor] | None, scenes: Tensor, width: int,
    shifts: tuple[int, ...], jump: float | None,
) -> tuple[Shift, ...]:  # fmt: skip
    """Compare windows of the same scenes, so that no border is made up.

    Args:
        maps: images [B, C, H, W] to maps [B, D, h, w].
        embed: images to embeddings [B, ...]; None takes the mean of the map over its positions.
        scenes: [B, C, H, at least W + the largest shift].
        width: W.
        jump: pixels between units of the map along the last axis, None if not known.
    """

    def look(left: int) -> tuple[Tensor, Tensor]:
        images = scenes[..., left : left + width].contiguous()
        found = maps(images).float()
        embedding = found.flatten(2).mean(2) if embed is None else embed(images).float()
        return embedding.flatten(1), found

    embedding, found = look(0)
    out = []
    for pixels in shifts:
        other, shifted = look(pixels)
        units = None if not jump or pixels % jump else int(pixels / jump)
        moved = None
        if units is not None and units < found.shape[-1]:
            moved = _similarity(found[..., units:], shifted[..., : found.shape[-1] - units])
        out.append(Shift(pixels, _similarity(embedding, other), _similarity(found, shifted), moved))
    return tuple(out)


def scenes_like_nature(count: int, size: tuple[int, ...], seed: int) -> Tensor:
    """Random images [count, C, ...] with the 1 / frequency amplitudes of natural images (Field 1987), mean 0 and
    standard deviation 1 each."""
    noise = torch.randn(count, *size, generator=torch.Generator().manual_seed(seed))
    axes = tuple(range(2, noise.ndim))
    grids = torch.meshgrid(*(torch.fft.fftfreq(n) for n in size[1:]), indexing="ij")
    frequency = torch.stack(grids).square().sum(0).sqrt()
    frequency.view(-1)[0] = torch.inf  # no constant part
    images = torch.fft.ifftn(torch.fft.fftn(noise, dim=axes) / frequency, dim=axes).real
    return images / images.flatten(1).std(1).view(-1, *[1] * (noise.ndim - 1))


def _similarity(a: Tensor, b: Tensor) -> float:
    """Mean cosine of rows, also of rows so small that their squares are 0: an untrained GoogLeNet gives 1e-20."""
    left, right = (x.flatten(1).double() for x in (a, b))
    left, right = (x / x.abs().amax(1, keepdim=True).clamp(min=1e-300) for x in (left, right))
    return float(cosine_similarity(left, right).mean())
