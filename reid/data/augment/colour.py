"""Colours of each image changed by amounts of its own. torchvision does this to a whole batch by one amount only."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms.v2.functional import rgb_to_grayscale

from reid.data.augment.draws import chosen, on_chosen, uniform

REACH = 6  # pixels to each side of a blurring kernel, three of the largest standard deviation


def random_jitter(
    images: Tensor,
    p: float,
    generator: torch.Generator,
    *,
    brightness: float = 0.15,
    contrast: float = 0.15,
    saturation: float = 0.1,
    hue: float = 0.1,
) -> Tensor:
    """Change brightness, contrast, saturation and hue, in this order, of each image with probability ``p``.

    The first three by a factor from 1 - strength (at least 0) to 1 + strength, hue by -strength to +strength of a turn
    of the colour circle. Strengths as in torchvision's ColorJitter, which shuffles the order.
    """
    which = chosen(images, p, generator)
    amounts = draw_jitter(images, generator, brightness=brightness, contrast=contrast, saturation=saturation, hue=hue)
    return on_chosen(images, which, jitter, **amounts)


def random_grayscale(images: Tensor, p: float, generator: torch.Generator) -> Tensor:
    """Take the colour from each image with probability ``p``."""
    return on_chosen(images, chosen(images, p, generator), grayscale)


def random_blur(images: Tensor, p: float, generator: torch.Generator, sigma: Sequence[float] = (0.1, 2.0)) -> Tensor:
    """Blur each image with probability ``p`` by a Gaussian whose standard deviation in pixels is drawn from ``sigma``.

    The range is that of Chen et al., A Simple Framework for Contrastive Learning, ICML 2020, appendix A.
    """
    which = chosen(images, p, generator)
    return on_chosen(images, which, blur, sigma=uniform(images, sigma[0], sigma[1], generator))


def draw_jitter(images: Tensor, generator: torch.Generator, **strength: float) -> dict[str, Tensor]:
    """Amounts float32 [B] by name, as ``jitter`` takes them; none of what has the strength 0."""
    ends = {
        name: (-most, most) if name == "hue" else (max(0.0, 1 - most), 1 + most)
        for name, most in strength.items()
        if most > 0
    }
    return {name: uniform(images, low, high, generator) for name, (low, high) in ends.items()}


def jitter(images: Tensor, **amounts: Tensor) -> Tensor:
    """Change uint8 images [B, 3, H, W] by ``amounts`` float32 [B], any of the names in ``ADJUST``.

    Factors for brightness, contrast and saturation, parts of a turn for hue. Rounded once, at the end.
    """
    pixels = images.to(torch.float32, memory_format=torch.contiguous_format)  # so that sums do not hang on the layout
    for name, adjust in ADJUST.items():
        if name in amounts:
            pixels = adjust(pixels, amounts[name][:, None, None, None])
    return pixels.round_().to(torch.uint8)


def grayscale(images: Tensor) -> Tensor:
    """Each pixel's luma in all three channels."""
    return rgb_to_grayscale(images, num_output_channels=3)


def blur(images: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian blur of uint8 images [B, 3, H, W] by ``sigma`` float32 [B] pixels; borders are reflected."""
    batch, channels, height, width = images.shape
    reach = min(REACH, height - 1, width - 1)
    steps = torch.arange(-reach, reach + 1, device=images.device)
    kernel = torch.softmax(-(steps**2) / (2 * sigma[:, None] ** 2), 1).repeat_interleave(channels, 0)[:, None]
    pixels = F.pad(images.float(), (reach,) * 4, mode="reflect").flatten(0, 1)[None]  # [1, B C, ...]
    for weight in (kernel[..., None, :], kernel[..., :, None]):
        pixels = F.conv2d(pixels, weight, groups=batch * channels)
    return pixels.reshape(images.shape).round_().to(torch.uint8)


def _brightness(pixels: Tensor, factor: Tensor) -> Tensor:
    return pixels.mul_(factor).clamp_(0, 255)


def _contrast(pixels: Tensor, factor: Tensor) -> Tensor:
    mean = rgb_to_grayscale(pixels).mean((1, 2, 3), keepdim=True)
    return pixels.mul_(factor).add_(mean * (1 - factor)).clamp_(0, 255)


def _saturation(pixels: Tensor, factor: Tensor) -> Tensor:
    gray = rgb_to_grayscale(pixels)
    return pixels.mul_(factor).add_(gray * (1 - factor)).clamp_(0, 255)


def _hue(pixels: Tensor, turn: Tensor) -> Tensor:
    """Turn the colour circle. With the least channel l of a pixel, its chroma c and its new hue h in sixths of a turn
    (0..6), the channels are ``l + c w`` with w = |h - 3| - 1 for red, 2 - |h - 2| for green and 2 - |h - 4| for blue,
    each within 0..1.
    """
    red, green, blue = pixels.unbind(1)
    value = torch.maximum(torch.maximum(red, green), blue)  # much faster than amax over three channels
    low = torch.minimum(torch.minimum(red, green), blue)
    chroma = value - low
    some = chroma.clamp(min=1e-6)  # a gray pixel has no hue, and stays
    hue = torch.where(value == green, 2 + (blue - red) / some, 4 + (red - green) / some)
    hue = torch.where(value == red, (green - blue) / some, hue).add_(6 * turn[:, 0]).remainder_(6)
    weights = (hue - 3).abs_().sub_(1), 2 - (hue - 2).abs_(), 2 - (hue - 4).abs_()
    return torch.stack([low + chroma * weight.clamp_(0, 1) for weight in weights], 1)


ADJUST: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "brightness": _brightness,
    "contrast": _contrast,
    "saturation": _saturation,
    "hue": _hue,
}
