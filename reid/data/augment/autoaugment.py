"""AutoAugment for a few images of the batch, one by one, since every policy is its own chain of changes."""

import torch
from torch import Tensor
from torchvision.transforms.v2 import AutoAugment, InterpolationMode

from reid.data.augment.draws import FILL, chosen, integers

_POLICY = AutoAugment(interpolation=InterpolationMode.BILINEAR, fill=[float(value) for value in FILL])


def random_autoaugment(images: Tensor, p: float, generator: torch.Generator) -> Tensor:
    """With probability ``p`` an ImageNet policy of Cubuk et al., AutoAugment, CVPR 2019, as torchvision has them.

    Each image draws one of the 25 policies; pixels that nothing covers take the mean colour. fast-reid's recipe SBS has
    ``p`` = 0.1.
    """
    which = chosen(images, p, generator)
    seeds = integers(images, 2**62, generator).tolist()
    changed = images.clone()
    for i in which.nonzero()[:, 0].tolist():
        changed[i] = autoaugment(images[i], seeds[i])
    return changed


def autoaugment(image: Tensor, seed: int) -> Tensor:
    """One uint8 image [3, H, W] after the policy that ``seed`` draws.

    torchvision draws from torch's own stream on the CPU, which is put back as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed the GPU as well
        return _POLICY(image)
