"""A few pictures, and what the loader of an ``Images`` must give for them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reid.data import decoding
from reid.data.records import Record
from reid.data.store import Images

SIZE = (24, 12)


def pictures(folder: Path) -> list[Record]:
    """Seven of several sizes, modes and formats."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    kinds = [("RGB", "jpg"), ("L", "jpg"), ("RGBA", "png"), ("P", "png"), ("RGB", "png"), ("RGB", "jpg"), ("1", "png")]
    found = []
    for i, (mode, suffix) in enumerate(kinds):
        pixels = rng.integers(0, 256, size=(40 + i, 20 + 2 * i, 3), dtype=np.uint8)
        path = folder / f"{i}.{suffix}"
        Image.fromarray(pixels).convert(mode).save(path)
        found.append(Record(path, i, 1))
    return found


def resized_by_pil(path: Path, size: tuple[int, int] = SIZE) -> np.ndarray:
    """[H, W, 3]"""
    return np.asarray(Image.open(path).convert("RGB").resize((size[1], size[0]), Image.Resampling.BILINEAR))


def check(images: Images, records: list[Record], size: tuple[int, int] = SIZE) -> None:
    """The pictures are those of the records, in any order of asking."""
    assert images.records == tuple(records)
    index = np.array([*range(len(records) - 1, -1, -1), 0, 0])
    batch = images.load(index)
    assert str(batch.dtype) == "torch.uint8"
    assert batch.shape == (len(index), 3, *size)
    for place, i in enumerate(index):
        np.testing.assert_array_equal(batch[place].permute(1, 2, 0).numpy(), resized_by_pil(records[i].path, size))


def no_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, size: tuple[int, int]) -> np.ndarray:
        raise AssertionError(f"{path} is decoded again")

    monkeypatch.setattr(decoding, "decode", refuse)


def the_store(cache: Path) -> Path:
    """The one thing in ``cache``."""
    (folder,) = cache.iterdir()
    return folder
