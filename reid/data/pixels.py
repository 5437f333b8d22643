"""ImageNet's pixel statistics, which every network here starts from, and arithmetic with such on whole batches."""

import torch
from torch import Tensor

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def normalise(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """RGB images [B, 3, H, W], uint8 0..255 or float 0..1 -> (images - mean) / std, both [1, 3, 1, 1] for 0..1."""
    mean, std = along_rows(mean, images), along_rows(std, images)
    if images.dtype != torch.uint8:
        return (images - mean) / std
    out = torch.empty_like(images, dtype=mean.dtype)
    on_cpu = images.device.type == "cpu"
    few = 2 * torch.get_num_threads() if on_cpu else max(len(images), 1)  # two stay in a core's cache from step to step
    for part, pixels in zip(out.split(few), images.split(few), strict=True):
        part.copy_(pixels).div_(255).sub_(mean).div_(std)
    return out


def along_rows(values: Tensor, images: Tensor) -> Tensor:
    """``values`` [b, c, 1, w], equal in all rows, as [b, 3, 1, W] that lies in memory as ``images`` [B, 3, H, W] do.

    Given a colour [1, 3, 1, 1] as it is, a CPU goes through channels_last images in steps of one pixel.
    """
    return torch.empty_like(images[: len(values), :, :1], dtype=values.dtype).copy_(values)
