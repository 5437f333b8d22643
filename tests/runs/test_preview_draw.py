"""The pictures of a preview are the training images and what was asked of them."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from reid.data.augment import Augment, CutMix, Mixup
from reid.data.records import Record, Split
from reid.errors import UserError
from reid.runs.preview import draw

SIZE = (16, 8)


@pytest.fixture
def split(tmp_path: Path) -> Split:
    """Seven training images of noise, at the size that is asked for."""
    records = []
    for i in range(7):
        path = tmp_path / f"{i}.png"
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (*SIZE, 3), dtype=np.uint8)).save(path)
        records.append(Record(path, i, 1))
    return Split(name="mine", root=tmp_path, train=tuple(records), query=(), gallery=())


def pixels(caption: str, split: Split) -> np.ndarray:
    return np.asarray(Image.open(split.root / caption.split(": ")[1]))


def off(**on: float) -> Augment:
    return Augment(**{"flip": 0, "shift": 0, "erase": 0, **on})  # type: ignore[arg-type]


def test_images_as_they_are_come_first_and_versions_after_them(split: Split) -> None:
    shown = draw(split, SIZE, augment=off(flip=0.5), mix=None, images=5, draws=20, seed=0)
    assert len(shown.images) == 5
    assert len({row[0].caption for row in shown.images}) == 5
    mirrored = 0
    for row in shown.images:
        own = pixels(row[0].caption, split)
        np.testing.assert_array_equal(row[0].pixels, own)
        assert len(row) == 21
        for version in row[1:]:
            if np.array_equal(version.pixels, own):
                continue
            np.testing.assert_array_equal(version.pixels, own[:, ::-1])
            mirrored += 1
    assert 25 <= mirrored <= 75


def test_each_operation_alone_is_on_every_image(split: Split) -> None:
    shown = draw(split, SIZE, augment=off(flip=0.1, grayscale=0.1), mix=None, images=9, draws=1, seed=0)
    assert len(shown.images) == 7  # there are no more
    assert list(shown.alone) == ["flip", "grayscale"]
    for row, mirrored, gray in zip(shown.images, shown.alone["flip"], shown.alone["grayscale"], strict=True):
        np.testing.assert_array_equal(mirrored.pixels, row[0].pixels[:, ::-1])
        assert (gray.pixels == gray.pixels[:, :, :1]).all()


@pytest.mark.parametrize("mix", [Mixup(1.0), CutMix()])
def test_mixed_images_say_what_they_are_made_of(split: Split, mix: Mixup | CutMix) -> None:
    shown = draw(split, SIZE, augment=None, mix=mix, images=7, draws=2, seed=3)
    assert list(shown.alone) == list(shown.operations) == ["mix"]
    for picture in shown.alone["mix"]:
        parts = {int(n): int(share) for share, n in re.findall(r"(\d+)% of (\d+)", picture.caption)}
        assert sum(parts.values()) == pytest.approx(100, abs=1)
        assert len(parts) <= 2
        if isinstance(mix, Mixup):
            mixture = sum(share / 100 * shown.images[n - 1][0].pixels.astype(float) for n, share in parts.items())
            assert np.abs(picture.pixels - mixture).max() < 4  # per cents are rounded
    assert all(version.caption for row in shown.images for version in row[1:])


def test_scales_are_told_and_shown(split: Split) -> None:
    shown = draw(split, SIZE, augment=Augment(scales=[(24, 12)]), mix=None, images=2, draws=1, seed=0)
    assert shown.operations["scales"] == "each step at one of 24x12"
    assert shown.images[0][1].pixels.shape == (24, 12, 3)


def test_someones_own_augmentation_is_shown_too(split: Split) -> None:
    def brighter(images: Tensor, generator: torch.Generator) -> Tensor:
        return images // 2 + 127

    shown = draw(split, SIZE, augment=brighter, mix=None, images=2, draws=1, seed=0)
    assert shown.alone == {}
    assert "does not tell its operations" in shown.operations["augment"]
    np.testing.assert_array_equal(shown.images[0][1].pixels, shown.images[0][0].pixels // 2 + 127)


def test_damaged_images_are_left_out(split: Split) -> None:
    for record in split.train[:6]:
        record.path.write_bytes(b"no image")
    shown = draw(split, SIZE, augment=None, mix=None, images=7, draws=1, seed=0)
    assert [row[0].caption for row in shown.images] == ["1: 6.png"]
    split.train[6].path.write_bytes(b"no image")
    with pytest.raises(UserError, match="0.png: not a readable image"):
        draw(split, SIZE, augment=None, mix=None, images=7, draws=1, seed=0)
