import math
import random

import numpy as np
import pytest
import torch
from data.augment.drawn import MEAN_COLOUR, close_to_binomial, noise, seeded, uniform
from torch import Tensor

from reid.data.augment import random_cutout, random_erase, random_local_grayscale, random_patch
from reid.data.augment.erasing import paste
from reid.data.augment.rectangles import Rectangles, around

Box = tuple[int, int, int, int]  # top, left, height, width


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


def boxes(before: Tensor, after: Tensor) -> list[Box]:
    """The smallest rectangle around what changed in each image."""
    found = []
    for one, other in zip(before.numpy(), after.numpy(), strict=True):
        rows, columns = np.nonzero((one != other).any(0))
        found.append((int(rows.min()), int(columns.min()), int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1))
    return found


def inside(box: Box) -> tuple[slice, slice]:
    top, left, height, width = box
    return slice(top, top + height), slice(left, left + width)


def test_erasing_with_pixels_fills_the_same_rectangles_with_noise() -> None:
    images = noise(400, 64, 32, low=150)
    out, mean = random_erase(images, 0.6, seeded(), fill="pixel"), random_erase(images, 0.6, seeded())
    mask = (mean != images).any(1, keepdim=True).expand(images.shape)
    assert torch.equal(out[~mask], images[~mask])
    values = np.bincount(out[mask].numpy(), minlength=256)
    assert uniform(values)
    drawn = out[mask].double()  # no pixel tells of the next, nor one channel of another
    assert abs(np.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < 5 / math.sqrt(len(drawn))


def test_erasing_with_a_constant_fills_the_same_rectangles_with_black() -> None:
    images = noise(50, 64, 32, low=150)
    out, mean = random_erase(images, 1.0, seeded(), fill="const"), random_erase(images, 1.0, seeded())
    expected = images.clone()
    for image, box in zip(expected, boxes(images, mean), strict=True):
        image[:, *inside(box)] = 0
    assert torch.equal(out, expected)


def test_rectangles_about_a_pixel_are_cut_off_at_the_border() -> None:
    draw = random.Random(3)
    height, width, count = 20, 11, 300
    drawn = [(draw.randrange(height), draw.randrange(width), draw.randrange(1, 15), draw.randrange(1, 15))
             for _ in range(count)]  # fmt: skip
    found = around(*(torch.tensor(column) for column in zip(*drawn, strict=True)), height, width)
    masks = found.mask(height, width)[:, 0].numpy()
    for (row, column, h, w), mask in zip(drawn, masks, strict=True):
        expected = np.zeros((height, width), bool)
        for y in range(row - h // 2, row - h // 2 + h):
            for x in range(column - w // 2, column - w // 2 + w):
                if 0 <= y < height and 0 <= x < width:
                    expected[y, x] = True
        np.testing.assert_array_equal(mask, expected)


@pytest.mark.parametrize(("height", "side"), [(64, 16), (32, 8)])
def test_cutout_is_a_square_about_any_pixel(height: int, side: int) -> None:
    width, count = 24, 3000
    images = noise(count, height, width, low=150)
    out = random_cutout(images, 1.0, seeded(), size=64)  # 64 at a height of 256
    centres = []
    for before, after, (top, left, h, w) in zip(images, out, boxes(images, out), strict=True):
        expected = before.clone()
        expected[:, *inside((top, left, h, w))] = torch.from_numpy(MEAN_COLOUR)[:, None, None]
        assert torch.equal(after, expected)
        assert h == side or top == 0 or top + h == height
        assert w == side or left == 0 or left + w == width
        bottom, right = top + h, left + w
        centres.append(
            (top + side // 2 if top else bottom - side // 2, left + side // 2 if left else right - side // 2)
        )
    rows, columns = np.array(centres).T
    assert uniform(np.bincount(rows, minlength=height))
    assert uniform(np.bincount(columns, minlength=width))
    assert rows.min() == columns.min() == 0


def test_local_grayscale_takes_the_colour_from_a_rectangle() -> None:
    images = noise(500, 64, 32)
    images[:, 0] = images[:, 1] // 2  # no pixel is gray by chance, dark ones aside
    images[:, 1].clamp_(min=40)
    out = random_local_grayscale(images, 1.0, seeded())
    for before, after, box in zip(images, out, boxes(images, out), strict=True):
        luma = torch.tensor([0.299, 0.587, 0.114]) @ before.flatten(1).float()
        expected = before.clone().float()
        expected[:, *inside(box)] = luma.reshape(1, 64, 32)[:, *inside(box)]
        assert (after - expected).abs().max() < 1.05  # bytes are cut, not rounded; 0.299 is 0.2989 there
        share = box[2] * box[3] / (64 * 32)
        assert 0.01 < share < 0.45  # 2 to 40 %, sides rounded


def test_a_patch_shows_a_rectangle_of_another_image() -> None:
    images = noise(6, 12, 9)
    places = Rectangles(*(torch.tensor(v) for v in ([0, 3, 8, 5, 2, 0], [1, 0, 4, 2, 0, 0], [5, 9, 4, 0, 1, 11],
                                                    [8, 3, 5, 6, 9, 8])))  # fmt: skip
    other, mirrored = torch.tensor([1, 2, 3, 4, 5, 0]), torch.tensor([True, False, True, False, True, False])
    top, left = torch.tensor([2, 0, 8, 1, 11, 1]), torch.tensor([0, 6, 3, 1, 0, 1])
    out = paste(images, places, other, top, left, mirrored)
    for i in range(6):
        y, x, h, w = (int(side[i]) for side in places)
        patch = images[other[i], :, top[i] : top[i] + h, left[i] : left[i] + w]
        expected = images[i].clone()
        expected[:, y : y + h, x : x + w] = patch.flip(-1) if mirrored[i] else patch
        assert torch.equal(out[i], expected)


def test_patches_come_from_any_other_image_with_the_published_sizes() -> None:
    count, height, width = 2000, 64, 32
    images = torch.arange(8, dtype=torch.uint8).repeat(count // 8)[:, None, None, None].expand(-1, 3, height, width)
    rising = images * 32 + torch.arange(width, dtype=torch.uint8)  # to tell where it comes from, and its mirror image
    further, backwards = np.zeros(8), 0
    shares, ratios = [], []
    batches = zip(rising.split(8), range(count // 8), strict=True)
    for batch, seed in batches:
        out = random_patch(batch, 1.0, seeded(seed))
        for i, (after, box) in enumerate(zip(out, boxes(batch, out), strict=True)):
            patch = after[0, *inside(box)].int()
            source = patch // 32
            assert (source == source[0, 0]).all()
            further[(int(source[0, 0]) - i) % 8] += 1
            step = patch[0].diff()
            assert len(step) == 0 or (step == step[0]).all()
            backwards += len(step) > 0 and int(step[0]) == -1
            shares.append(box[2] * box[3] / (height * width))
            ratios.append(box[2] / box[3])
    assert further[0] == 0
    assert uniform(further[1:])
    assert close_to_binomial(int(backwards), count, 0.5)
    assert 0.005 < min(shares) < 0.03
    assert 0.45 < max(shares) < 0.53
    assert max(ratios) < 13


def test_a_batch_of_one_image_patches_itself() -> None:
    images = noise(1, 12, 8)
    assert random_patch(images, 1.0, seeded()).shape == images.shape
