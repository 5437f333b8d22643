"""The augmentation of a training run: the operations that are switched on, one after the other."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from reid.data.augment.autoaugment import random_autoaugment
from reid.data.augment.colour import random_blur, random_grayscale, random_jitter
from reid.data.augment.erasing import FILLS, random_cutout, random_erase, random_local_grayscale, random_patch
from reid.data.augment.geometry import random_flip, random_scale, random_shift_in_proportion, random_zoom
from reid.errors import UserError, unknown


@dataclass(frozen=True)
class Operation:
    """One random change.

    Attributes:
        name: its key under ``augment``.
        probability: with which each image is changed.
        words: what becomes of an image, for people.
        change: (images, probability, generator=...) -> images.
    """

    name: str
    probability: float
    words: str
    change: Callable[..., Tensor]

    def __call__(self, images: Tensor, generator: torch.Generator, probability: float | None = None) -> Tensor:
        """Change uint8 images [B, 3, H, W]; ``probability`` takes the place of its own."""
        return self.change(images, self.probability if probability is None else probability, generator=generator)


class Augment:
    """Operations in the order of the arguments, each image with its own draws; all but three off by default.

    Moves come before colours, and what hides a part of the image comes last, so that a hidden part stays whole. An
    operation that is off draws nothing. Pixels are computed in float32 whatever the network's precision.

    Args:
        scales: (height, width) of which each step draws one for the whole batch; none leaves the size alone.
        autoaugment: probability of a policy of AutoAugment, see ``random_autoaugment``.
        flip: probability of a mirror image.
        shift: probability of a random shift, by one of two ways that users of the field know:
            ``padding`` pads by that many pixels on each side and crops back (10 at 256x128, Luo et al. 2019);
            ``zoom`` enlarges by that factor and crops back (1.125, the way of torchreid).
        padding: pixels at an image height of 256; other heights take their share.
        zoom: factor above 1, or None to pad instead.
        jitter: probability of other colours, by the four strengths that follow, see ``random_jitter``.
        brightness, contrast, saturation: strengths; a factor from 1 - strength to 1 + strength.
        hue: strength up to 0.5, in turns of the colour circle.
        grayscale: probability of losing all colour.
        blur: probability of a Gaussian blur of 0.1 to 2 pixels.
        local_grayscale: probability of a rectangle without colour.
        patch: probability of a patch of another image of the batch, see ``random_patch``.
        cutout: probability of a square cut out, see ``random_cutout``.
        cutout_size: side of the square, pixels at an image height of 256.
        erase: probability of random erasing.
        erase_with: mean (colour), pixel (noise) or const (black), see ``random_erase``.

    Raises:
        UserError: a probability outside 0..1, a negative padding, a zoom of 1 or less, both ways of shifting or none,
            a negative strength or a hue above 0.5, a jitter without any strength, a size that is none, an unknown
            filling.

    Attributes:
        scales: as given.
        operations: those that are on.
    """

    def __init__(
        self,
        *,
        scales: Sequence[Sequence[int]] = (),
        autoaugment: float = 0,
        flip: float = 0.5,
        shift: float = 0.5,
        padding: int = 0,
        zoom: float | None = 1.125,
        jitter: float = 0,
        brightness: float = 0.15,
        contrast: float = 0.15,
        saturation: float = 0.1,
        hue: float = 0.1,
        grayscale: float = 0,
        blur: float = 0,
        local_grayscale: float = 0,
        patch: float = 0,
        cutout: float = 0,
        cutout_size: int = 64,
        erase: float = 0.5,
        erase_with: str = "mean",
    ) -> None:
        strengths = {"brightness": brightness, "contrast": contrast, "saturation": saturation, "hue": hue}
        by = "padding and cropping" if zoom is None else "enlarging and cropping"
        recolour = partial(random_jitter, brightness=brightness, contrast=contrast, saturation=saturation, hue=hue)
        move: Callable[..., Tensor] = partial(random_shift_in_proportion, padding=padding)
        if zoom is not None:
            move = partial(random_zoom, factor=zoom)
        every = (
            Operation("autoaugment", autoaugment, "a policy of AutoAugment for ImageNet", random_autoaugment),
            Operation("flip", flip, "its mirror image", random_flip),
            Operation("shift", shift, f"moved by {by}", move),
            Operation("jitter", jitter, f"other {_told(strengths)}", recolour),
            Operation("grayscale", grayscale, "without colour", random_grayscale),
            Operation("blur", blur, "blurred", random_blur),
            Operation("local_grayscale", local_grayscale, "a rectangle without colour", random_local_grayscale),
            Operation("patch", patch, "a patch of another image on it", random_patch),
            Operation("cutout", cutout, "a square cut out", partial(random_cutout, size=cutout_size)),
            Operation("erase", erase, f"a rectangle erased ({erase_with})", partial(random_erase, fill=erase_with)),
        )
        for operation in every:
            if not 0 <= operation.probability <= 1:
                raise UserError(f"augment.{operation.name}={operation.probability} is a probability: choose 0 to 1")
        _check_shift(shift, padding, zoom)
        _check_jitter(jitter, strengths)
        if cutout_size < 1:
            raise UserError(f"augment.cutout_size={cutout_size} must be at least 1, in pixels at a height of 256")
        if erase_with not in FILLS:
            raise unknown("augment.erase_with", erase_with, FILLS)
        self.scales = _checked_sizes(scales)
        self.operations = tuple(operation for operation in every if operation.probability > 0)

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """uint8 images [B, 3, H, W] -> changed ones, of the same size unless there are ``scales``."""
        with torch.autocast(images.device.type, enabled=False):
            if self.scales:
                images = random_scale(images, self.scales, generator)
            for operation in self.operations:
                images = operation(images, generator)
        return images


def _told(strengths: Mapping[str, float]) -> str:
    names = [name for name, strength in strengths.items() if strength > 0]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _check_shift(shift: float, padding: int, zoom: float | None) -> None:
    if shift > 0 and (padding > 0) == (zoom is not None):
        raise UserError(f"augment.shift={shift} needs augment.padding above 0 or augment.zoom, and not both")
    if padding < 0 or (zoom is not None and zoom <= 1):
        raise UserError(f"augment.padding={padding} must be at least 0, augment.zoom={zoom} above 1 or null")


def _check_jitter(jitter: float, strengths: Mapping[str, float]) -> None:
    for name, strength in strengths.items():
        if strength < 0:
            raise UserError(f"augment.{name}={strength} must be at least 0")
    if strengths["hue"] > 0.5:
        raise UserError(f"augment.hue={strengths['hue']} must be at most 0.5, half a turn of the colour circle")
    if jitter > 0 and not any(strengths.values()):
        raise UserError(f"augment.jitter={jitter} needs augment.{', augment.'.join(strengths)} or some of them above 0")


def _checked_sizes(scales: Any) -> tuple[tuple[int, int], ...]:
    fine = isinstance(scales, Sequence) and all(
        isinstance(size, Sequence) and len(size) == 2 and all(type(side) is int and side > 0 for side in size)
        for size in scales
    )
    if not fine:
        raise UserError(f"augment.scales={scales} must be a list of sizes, as [[256,128],[288,144]]")
    return tuple((size[0], size[1]) for size in scales)
