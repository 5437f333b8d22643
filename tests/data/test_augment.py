import itertools
import math
import random
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from reid.data.augment import Augment, random_erase, random_flip, random_shift, random_zoom
from reid.errors import UserError

MEAN_COLOUR = np.array([124, 116, 104], np.uint8)  # 255 times 0.485, 0.456, 0.406


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


def erased(height: int, width: int, count: int = 1500) -> list[tuple[int, int, int, int]]:
    """Top, left, height and width of each erased rectangle, after a check that it is one and nothing else changes."""
    images = noise(count, height, width, low=150)  # brighter than the mean colour in all channels
    out = random_erase(images, 1.0, seeded()).numpy()
    found = []
    for before, after in zip(images.numpy(), out, strict=True):
        rows, columns = np.nonzero((before != after).any(0))
        top, left, h, w = rows.min(), columns.min(), np.ptp(rows) + 1, np.ptp(columns) + 1
        expected = before.copy()
        expected[:, top : top + h, left : left + w] = MEAN_COLOUR[:, None, None]
        np.testing.assert_array_equal(after, expected)
        found.append((int(top), int(left), int(h), int(w)))
    return found


def slow_rectangles(height: int, width: int, count: int) -> list[tuple[int, int, int, int]]:
    """Algorithm 1 of the paper, image by image."""
    draw = random.Random(5)
    found = []
    while len(found) < count:
        surface = draw.uniform(0.02, 0.4) * height * width
        ratio = draw.uniform(0.3, 1 / 0.3)
        h, w = round(math.sqrt(surface * ratio)), round(math.sqrt(surface / ratio))
        if h < height and w < width:
            found.append((draw.randint(0, height - h), draw.randint(0, width - w), h, w))
    return found


@pytest.mark.parametrize(("height", "width"), [(64, 32), (24, 24)])
def test_erased_rectangles_keep_the_limits_of_area_and_aspect(height: int, width: int) -> None:
    for _, _, h, w in erased(height, width):
        # Sides are rounded to whole pixels: the exact rectangle lies within half a pixel of each.
        assert (h + 0.5) * (w + 0.5) >= 0.02 * height * width
        assert (h - 0.5) * (w - 0.5) <= 0.40 * height * width
        assert (h + 0.5) / (w - 0.5) >= 0.3
        assert (h - 0.5) / (w + 0.5) <= 1 / 0.3


def test_erased_rectangles_are_distributed_as_in_the_paper() -> None:
    ours, paper = np.array(erased(64, 32)), np.array(slow_rectangles(64, 32, 6000))
    for column in range(4):
        values = np.arange(65)
        below = [np.mean(sample[:, column, None] <= values, axis=0) for sample in (ours, paper)]
        # Kolmogorov and Smirnov's bound at a level of one in ten thousand.
        assert np.abs(below[0] - below[1]).max() < 2.2 * math.sqrt(1 / len(ours) + 1 / len(paper))


def test_erase_is_drawn_for_each_image_with_its_probability() -> None:
    images = noise(4000, 8, 6, low=150)
    changed = (random_erase(images, 0.3, seeded()) != images).flatten(1).any(1)
    assert close_to_binomial(int(changed.sum()), 4000, 0.3)
    assert close_to_binomial(int((changed[::2] & changed[1::2]).sum()), 2000, 0.09)


FUNCTIONS: dict[str, Callable[[Tensor, float, torch.Generator], Tensor]] = {
    "flip": random_flip,
    "shift": lambda images, p, generator: random_shift(images, p, 2, generator),
    "zoom": lambda images, p, generator: random_zoom(images, p, 1.25, generator),
    "erase": random_erase,
    "all": lambda images, p, generator: Augment(flip=p, shift=p, padding=30, zoom=None, erase=p)(images, generator),
    "all with zoom": lambda images, p, generator: Augment(flip=p, shift=p, zoom=1.25, erase=p)(images, generator),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_probability_zero_leaves_images_alone(name: str) -> None:
    images = noise(20, 16, 8)
    assert torch.equal(FUNCTIONS[name](images, 0.0, seeded()), images)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_seed_decides_everything(name: str) -> None:
    images = noise(20, 16, 8)
    before = images.clone()
    first = FUNCTIONS[name](images, 0.5, seeded(1))
    assert torch.equal(first, FUNCTIONS[name](images, 0.5, seeded(1)))
    assert not torch.equal(first, FUNCTIONS[name](images, 0.5, seeded(2)))
    assert torch.equal(images, before)  # the batch itself is not written to


@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_image_does_not_depend_on_the_others_of_its_batch(name: str) -> None:
    images = noise(6, 16, 8)
    others = 255 - images
    others[3] = images[3]
    for seed in range(10):
        assert torch.equal(FUNCTIONS[name](images, 0.7, seeded(seed))[3], FUNCTIONS[name](others, 0.7, seeded(seed))[3])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_bytes_stay_bytes_whatever_the_layout_in_memory(name: str) -> None:
    images = noise(12, 16, 8)
    out = FUNCTIONS[name](images, 0.7, seeded())
    assert out.dtype == torch.uint8
    assert out.shape == images.shape
    assert torch.equal(FUNCTIONS[name](images.contiguous(memory_format=torch.channels_last), 0.7, seeded()), out)


@pytest.mark.parametrize(("height", "reach"), [(256, 10), (128, 5), (64, 2), (8, 0)])
def test_padding_scales_with_the_height_of_the_image(height: int, reach: int) -> None:
    # 10 * 64 / 256 = 2.5 pixels go to the even 2
    images = torch.full((300, 3, height, 24), 255, dtype=torch.uint8)
    out = Augment(flip=0, shift=1, padding=10, zoom=None, erase=0)(images, seeded())
    covered = (out == torch.from_numpy(MEAN_COLOUR)[:, None, None]).all(1)  # [B, H, W]
    assert covered.all(2).sum(1).max() == reach
    assert covered.all(1).sum(1).max() == reach


@pytest.mark.parametrize(("padding", "zoom"), [(10, 1.25), (0, None)])
def test_a_shift_is_by_padding_or_by_zoom(padding: int, zoom: float | None) -> None:
    with pytest.raises(UserError, match="needs augment.padding above 0 or augment.zoom, and not both"):
        Augment(flip=0, shift=1, padding=padding, zoom=zoom, erase=0)


def test_an_erased_rectangle_stays_whole_when_the_image_is_also_moved() -> None:
    images = torch.full((200, 3, 64, 32), 255, dtype=torch.uint8)
    out = Augment(flip=1, shift=1, padding=10, zoom=None, erase=1)(images, seeded())
    filled = (out != 255).all(1)
    assert filled.flatten(1).any(1).all()
    assert (filled.float().mean((1, 2)) >= 0.015).all()  # 2 % less rounding, never cropped away
