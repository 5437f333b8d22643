import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from data.augment.drawn import MEAN_COLOUR, close_to_binomial, noise, seeded, uniform

from reid.data.augment import random_flip, random_scale, random_shift, random_zoom


def slow_crops(image: np.ndarray, padding: int) -> list[np.ndarray]:
    """Every crop of the padded image [3, H, W], by top then left."""
    _, height, width = image.shape
    padded = np.stack([np.pad(c, padding, constant_values=m) for c, m in zip(image, MEAN_COLOUR, strict=True)])
    places = itertools.product(range(2 * padding + 1), repeat=2)
    return [padded[:, top : top + height, left : left + width] for top, left in places]


def slow_enlarged(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bilinear sampling of one image [3, H, W] between pixel centres, pixel by pixel in float64."""
    _, height, width = image.shape
    out = np.empty((3, *size))
    for y, x in itertools.product(range(size[0]), range(size[1])):
        v = min(max((y + 0.5) * height / size[0] - 0.5, 0), height - 1)
        u = min(max((x + 0.5) * width / size[1] - 0.5, 0), width - 1)
        top, left = int(v), int(u)
        bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
        a, b = v - top, u - left
        upper = (1 - b) * image[:, top, left] + b * image[:, top, right]
        lower = (1 - b) * image[:, bottom, left] + b * image[:, bottom, right]
        out[:, y, x] = (1 - a) * upper + a * lower
    return out


def test_flip_of_probability_one_mirrors_every_image() -> None:
    images = noise(5, 4, 3)
    np.testing.assert_array_equal(random_flip(images, 1.0, seeded()).numpy(), images.numpy()[..., ::-1])


def test_flip_is_drawn_for_each_image_with_its_probability() -> None:
    images = noise(4000, 2, 3)
    out = random_flip(images, 0.3, seeded())
    mirrored = (out == images.flip(-1)).all(-1).all(-1).all(-1)
    assert torch.equal(out[~mirrored], images[~mirrored])
    assert close_to_binomial(int(mirrored.sum()), 4000, 0.3)
    assert close_to_binomial(int((mirrored[::2] & mirrored[1::2]).sum()), 2000, 0.09)  # neighbours are independent


@pytest.mark.parametrize("p", [1.0, 0.4])
def test_shift_is_one_of_the_padded_crops_and_each_is_as_likely(p: float) -> None:
    images, padding = noise(2500, 4, 3), 2
    out = random_shift(images, p, padding, seeded()).numpy()
    counts = np.zeros(25)
    for image, shifted in zip(images.numpy(), out, strict=True):
        matches = [np.array_equal(shifted, crop) for crop in slow_crops(image, padding)]
        assert sum(matches) == 1
        counts[matches.index(True)] += 1
    middle = 12  # where nothing moves
    assert close_to_binomial(int(counts[middle]), 2500, 1 - p + p / 25)
    assert uniform(np.delete(counts, middle))


@pytest.mark.parametrize("p", [1.0, 0.4])
def test_zoom_is_one_of_the_crops_of_the_enlarged_image_and_each_is_as_likely(p: float) -> None:
    images = noise(900, 8, 4)
    out = random_zoom(images, p, 1.25, seeded()).numpy().astype(np.float64)
    counts = np.zeros((3, 2))  # 10x5 has so many crops of 8x4
    unmoved = 0
    for image, zoomed in zip(images.numpy(), out, strict=True):
        if np.array_equal(image, zoomed):
            unmoved += 1
            continue
        large = slow_enlarged(image, (10, 5))
        fits = [
            (top, left)
            for top, left in np.ndindex(3, 2)
            if np.abs(zoomed - large[:, top : top + 8, left : left + 4]).max() < 1.5  # bytes are rounded once an axis
        ]
        assert len(fits) == 1
        counts[fits[0]] += 1
    assert close_to_binomial(unmoved, 900, 1 - p)
    assert uniform(counts)


def test_zoom_too_small_to_add_a_pixel_changes_nothing() -> None:
    images = noise(6, 8, 4)
    assert torch.equal(random_zoom(images, 1.0, 1.05, seeded()), images)


@pytest.mark.parametrize("size", [(32, 16), (12, 10), (20, 9)])
def test_scale_resizes_the_whole_batch(size: tuple[int, int]) -> None:
    images = noise(5, 20, 10)
    out = random_scale(images, [size], seeded())
    assert out.dtype == torch.uint8
    assert out.shape == (5, 3, *size)
    for image, resized in zip(images, out, strict=True):
        exact = F.interpolate(image[None].double(), size=size, mode="bilinear", antialias=True)[0]
        assert (resized - exact).abs().max() <= 1.5  # bytes are rounded once an axis


def test_each_scale_is_as_likely() -> None:
    sizes, images = [(8, 4), (10, 5), (12, 6)], noise(1, 8, 4)
    generator = seeded()
    heights = [random_scale(images, sizes, generator).shape[2] for _ in range(900)]
    assert uniform(np.unique(heights, return_counts=True)[1])
    assert set(heights) == {8, 10, 12}


def test_the_size_that_images_have_leaves_them_alone() -> None:
    images = noise(4, 8, 6)
    assert torch.equal(random_scale(images, [(8, 6)], seeded()), images)
