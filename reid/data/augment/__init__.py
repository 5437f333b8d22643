"""Random changes to a whole batch of images as one tensor, drawn for each image on its own.

Every ``random_`` function takes uint8 images [B, 3, H, W], a probability and a generator on their device, and gives
uint8 images of the same shape (``random_scale`` alone of another). The batch itself is not written to.
"""

from reid.data.augment.autoaugment import random_autoaugment
from reid.data.augment.colour import random_blur, random_grayscale, random_jitter
from reid.data.augment.draws import FILL
from reid.data.augment.erasing import random_cutout, random_erase, random_local_grayscale, random_patch
from reid.data.augment.geometry import random_flip, random_scale, random_shift, random_zoom
from reid.data.augment.mixing import CutMix, Mixup
from reid.data.augment.pipeline import Augment, Operation

__all__ = [
    "FILL",
    "Augment",
    "CutMix",
    "Mixup",
    "Operation",
    "random_autoaugment",
    "random_blur",
    "random_cutout",
    "random_erase",
    "random_flip",
    "random_grayscale",
    "random_jitter",
    "random_local_grayscale",
    "random_patch",
    "random_scale",
    "random_shift",
    "random_zoom",
]
