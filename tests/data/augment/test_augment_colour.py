"""Colours of a batch against torchvision's functions on one image at a time."""

import colorsys
import itertools

import numpy as np
import pytest
import torch
from data.augment.drawn import noise, seeded, uniform
from torch import Tensor
from torchvision.transforms.v2 import functional as one

from reid.data.augment import random_blur, random_grayscale, random_jitter
from reid.data.augment.colour import blur, draw_jitter, jitter

FACTORS = {"brightness": one.adjust_brightness, "contrast": one.adjust_contrast, "saturation": one.adjust_saturation}
STRENGTHS = {"brightness": 0.4, "contrast": 0.3, "saturation": 0.6, "hue": 0.5}


def pictures(count: int) -> Tensor:
    """Noise, soft gradients, gray, black, white and pure colours: what conversions of colour trip over."""
    images = noise(count, 20, 12)
    across = torch.linspace(0, 255, 12).to(torch.uint8)
    images[0] = torch.stack([across, across.flip(0), across // 2])[:, None].expand(3, 20, 12)
    images[1], images[2], images[3] = 0, 255, 119
    images[4] = torch.tensor([255, 0, 0], dtype=torch.uint8)[:, None, None]
    images[5] = torch.tensor([0, 255, 255], dtype=torch.uint8)[:, None, None]
    return images


def of_each(images: Tensor, amounts: dict[str, Tensor]) -> Tensor:
    """torchvision's functions on float images, one after the other, in gray levels."""
    found = []
    for i, image in enumerate(images):
        pixels = image.float() / 255
        for name, adjust in {**FACTORS, "hue": one.adjust_hue}.items():
            if name in amounts:
                pixels = adjust(pixels, float(amounts[name][i]))
        found.append(pixels * 255)
    return torch.stack(found)


@pytest.mark.parametrize("names", [(n,) for n in STRENGTHS] + [("brightness", "contrast"), tuple(STRENGTHS)])
def test_jitter_equals_torchvision_image_by_image(names: tuple[str, ...]) -> None:
    images = pictures(40)
    amounts = draw_jitter(images, seeded(), **{name: STRENGTHS[name] for name in names})
    assert set(amounts) == set(names)
    assert (jitter(images, **amounts) - of_each(images, amounts)).abs().max() <= 0.51  # rounded to whole levels


def test_hue_equals_the_standard_library_pixel_by_pixel() -> None:
    images, turn = pictures(8)[:, :, ::4, ::4], torch.linspace(-0.5, 0.5, 8)
    out = jitter(images, hue=turn)
    for i, y, x in itertools.product(range(8), range(5), range(3)):
        h, s, v = colorsys.rgb_to_hsv(*(images[i, :, y, x].double() / 255).tolist())
        expected = colorsys.hsv_to_rgb((h + float(turn[i])) % 1, s, v)
        np.testing.assert_allclose(out[i, :, y, x].numpy(), np.array(expected) * 255, atol=0.51)


def test_amounts_are_uniform_within_their_strength() -> None:
    amounts = draw_jitter(torch.zeros(5000, 3, 1, 1), seeded(), brightness=0.4, contrast=1.5, saturation=0.0, hue=0.2)
    ends = {"brightness": (0.6, 1.4), "contrast": (0, 2.5), "hue": (-0.2, 0.2)}
    assert set(amounts) == set(ends)
    for name, (low, high) in ends.items():
        assert uniform(np.histogram(amounts[name].numpy(), bins=20, range=(low, high))[0])
        assert low <= amounts[name].min() <= amounts[name].max() <= high
    assert abs(np.corrcoef(amounts["brightness"], amounts["hue"])[0, 1]) < 0.07  # five standard deviations


def test_jitter_of_no_amount_changes_nothing() -> None:
    images = pictures(10)
    same = {name: torch.ones(10) for name in FACTORS} | {"hue": torch.zeros(10)}
    assert torch.equal(jitter(images, **same), images)
    assert torch.equal(random_jitter(images, 1.0, seeded(), brightness=0, contrast=0, saturation=0, hue=0), images)


def test_random_jitter_changes_the_chosen_images_by_their_own_amounts() -> None:
    images, draws = pictures(60), seeded(3)
    out = random_jitter(images, 0.5, seeded(3), **STRENGTHS)
    hit = torch.rand(60, generator=draws) < 0.5
    expected = of_each(images, draw_jitter(images, draws, **STRENGTHS))
    assert torch.equal(out[~hit], images[~hit])
    assert (out[hit] - expected[hit]).abs().max() <= 0.51


def test_grayscale_is_the_luma_in_all_channels() -> None:
    images = pictures(30)
    out = random_grayscale(images, 0.5, seeded())
    hit = torch.rand(30, generator=seeded()) < 0.5
    luma = torch.einsum("c,bchw->bhw", torch.tensor([0.299, 0.587, 0.114]), images.float())
    assert torch.equal(out[~hit], images[~hit])
    assert (out[hit] - luma[hit, None]).abs().max() < 1.05  # bytes are cut, not rounded; 0.299 is 0.2989 there


def test_blur_equals_torchvision_image_by_image() -> None:
    images = pictures(30)
    images = torch.cat([images, images], 3)  # 20 x 24
    sigma = torch.linspace(0.1, 2, 30)
    expected = [one.gaussian_blur(image, [13, 13], [float(s)] * 2) for image, s in zip(images, sigma, strict=True)]
    assert (blur(images, sigma).int() - torch.stack(expected).int()).abs().max() <= 1


def test_blur_of_an_image_smaller_than_its_kernel() -> None:
    images = noise(5, 4, 3)
    expected = torch.stack([one.gaussian_blur(image, [5, 5], [1.5, 1.5]) for image in images])  # what reflection allows
    assert (blur(images, torch.full((5,), 1.5)).int() - expected.int()).abs().max() <= 1


def test_standard_deviations_are_drawn_from_their_range() -> None:
    """A bright pixel keeps the share of a Gaussian's middle, which tells its standard deviation."""
    images = torch.zeros(4000, 3, 13, 13, dtype=torch.uint8)
    images[:, :, 6, 6] = 255
    out = random_blur(images, 1.0, seeded(), sigma=(0.5, 1.0))
    reach = torch.arange(-6, 7)
    edges = torch.linspace(0.5, 1.0, 9)
    middle = [255 / float(torch.exp(-(reach**2) / (2 * s**2)).sum()) ** 2 for s in edges]
    counts = np.histogram(out[:, 0, 6, 6].numpy(), bins=np.array(middle[::-1]))[0]
    assert counts.sum() >= 3900  # rounding moves some over the ends
    assert counts.min() > 300  # of 500
