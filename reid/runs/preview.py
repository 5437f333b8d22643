"""Training images and what an augmentation makes of them."""

import numpy as np
import torch
from torch import Tensor

from reid.data.records import Split
from reid.data.store import open_images
from reid.errors import UserError
from reid.report.preview_page import Picture, Preview
from reid.training.module import Augmentation, Mix


def draw(
    split: Split,
    size: tuple[int, int],
    *,
    augment: Augmentation | None,
    mix: Mix | None,
    images: int,
    draws: int,
    seed: int,
) -> Preview:
    """Training images of ``split`` at ``size`` = (H, W), as they are and as training would show them.

    Args:
        images: how many, drawn from the training part, or all if it has fewer. Operations that look at other images of
            the batch find these alone.
        draws: augmented versions of each.
        seed: of the choice and of the draws.

    Raises:
        UserError: nothing to train on, or no image that can be read; of some, those are shown.
    """
    if not split.train:
        raise UserError(f"dataset={split.name} has nothing to train on")
    chosen = np.sort(np.random.default_rng(seed).permutation(len(split.train))[:images])
    opened = open_images([split.train[i] for i in chosen], size, cache=None, skip_unreadable=True)
    if not len(opened):
        raise UserError(f"{opened.unreadable[0]}: not a readable image, as all that seed={seed} chose")
    batch = opened.load(np.arange(len(opened)))
    generator = torch.Generator().manual_seed(seed)
    versions = [_with_captions(*_trained(batch, augment, mix, generator)) for _ in range(draws)]
    names = [f"{i + 1}: {record.path.name}" for i, record in enumerate(opened.records)]
    alone = {o.name: _with_captions(o(batch, generator, 1.0)) for o in getattr(augment, "operations", ())}
    if mix is not None:
        alone["mix"] = _with_captions(*_trained(batch, None, mix, generator))
    return Preview(
        facts={
            "data": f"{split.name} in {split.root}",
            "images": f"{len(opened)} of {len(split.train):,} training images, at {size[0]}x{size[1]}, seed {seed}",
        },
        operations=_operations(augment, mix),
        images=list(zip(_with_captions(batch, names), *versions, strict=True)),
        alone=alone,
    )


def _trained(
    batch: Tensor, augment: Augmentation | None, mix: Mix | None, generator: torch.Generator
) -> tuple[Tensor, list[str]]:
    """The images [B, 3, H, W] after augmentation and mixing, and of which images each consists where they are mixed."""
    images = augment(batch, generator) if augment is not None else batch
    if mix is None:
        return images, [""] * len(batch)
    images, shares = mix(images, torch.arange(len(batch)), len(batch), generator)
    parts = [[f"{share:.0%} of {i + 1}" for i, share in enumerate(row) if share >= 0.005] for row in shares.tolist()]
    return images, [", ".join(part) for part in parts]


def _with_captions(images: Tensor, captions: list[str] | None = None) -> list[Picture]:
    pixels = images.permute(0, 2, 3, 1).contiguous().numpy()
    return [Picture(*pair) for pair in zip(pixels, captions or [""] * len(pixels), strict=True)]


def _operations(augment: Augmentation | None, mix: Mix | None) -> dict[str, str]:
    """What is switched on, by name, and what it does in words."""
    told = {}
    if scales := getattr(augment, "scales", ()):
        told["scales"] = "each step at one of " + ", ".join(f"{height}x{width}" for height, width in scales)
    if augment is not None and not hasattr(augment, "operations"):
        told["augment"] = f"{type(augment).__name__}, which does not tell its operations"
    for operation in getattr(augment, "operations", ()):
        often = "every image" if operation.probability == 1 else f"probability {operation.probability:g}"
        told[operation.name] = f"{often}: {operation.words}"
    if mix is not None:
        told["mix"] = f"every image: {getattr(mix, 'words', type(mix).__name__)}"
    return told
