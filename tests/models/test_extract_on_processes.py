"""Features made by several processes have the bits of those made by one."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from PIL import Image
from tiny_processes import on_processes

from reid.data.records import Record
from reid.data.store import open_images
from reid.models.extract import extract


def features(folder: Path, count: int, together: bool) -> np.ndarray:
    records = tuple(Record(folder / f"{n}.png", n, 0) for n in range(count))
    return extract(tiny.embedder(), open_images(records, tiny.SIZE, cache=None), batch_size=3, together=together)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for n in range(11):
        Image.fromarray(rng.integers(0, 256, size=(*tiny.SIZE, 3), dtype=np.uint8)).save(tmp_path / f"{n}.png")
    return tmp_path


@pytest.mark.parametrize(("count", "processes"), [(11, 2), (11, 3), (4, 4)])
def test_all_in_order_on_the_first_whatever_the_number(folder: Path, count: int, processes: int) -> None:
    """The last batch is smaller, some processes have more batches than others, and some have none."""
    first, *others = on_processes(partial(features, folder, count), processes, True)
    alone = features(folder, count, False)
    assert np.array_equal(first, alone)
    assert torch.from_numpy(alone).norm(dim=1).allclose(torch.ones(count))
    assert all(other.shape == (0, 6) for other in others)
