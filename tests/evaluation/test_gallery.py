"""A gallery in blocks: every dtype, layout and source gives the same float32 rows, and what is wrong is told."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reid.errors import UserError
from reid.evaluation import Gallery

ROWS = np.random.default_rng(0).standard_normal((13, 5)).astype(np.float32)
HALF = ROWS.astype(np.float16)


def read(gallery: Gallery, size: int) -> np.ndarray:
    blocks = []
    for start, block in gallery.blocks(size):
        assert start == sum(map(len, blocks))
        assert (block.dtype, block.device.type, block.is_contiguous()) == (torch.float32, "cpu", True)
        assert 0 < len(block) <= size
        blocks.append(block.numpy().copy())
    return np.concatenate(blocks)


class Sliced:
    """What an HDF5 file gives: a shape, a dtype, and rows when sliced; never all of it."""

    shape, dtype = ROWS.shape, ROWS.dtype

    def __getitem__(self, rows: slice) -> np.ndarray:
        assert rows.stop - (rows.start or 0) <= 4
        return ROWS[rows]


def memory_map(folder: Path, rows: np.ndarray) -> np.ndarray:
    np.save(folder / "gallery.npy", rows)
    return np.load(folder / "gallery.npy", mmap_mode="r")


SOURCES: dict[str, tuple[Any, np.ndarray]] = {
    "float32": (ROWS, ROWS),
    "float16": (HALF, HALF),
    "float64": (ROWS.astype(np.float64), ROWS),
    "long double": (ROWS.astype(np.longdouble), ROWS),
    "other byte order": (ROWS.astype(">f4"), ROWS),
    "Fortran order": (np.asfortranarray(ROWS), ROWS),
    "every second": (np.repeat(ROWS, 2, axis=0)[::2], ROWS),
    "backwards": (ROWS[::-1], ROWS[::-1]),
    "columns backwards": (ROWS[:, ::-1], ROWS[:, ::-1]),
    "one column backwards": (ROWS[::-1, :1], ROWS[::-1, :1]),
    "one row backwards": (ROWS[:1][::-1], ROWS[:1]),
    "one row, columns backwards": (ROWS[:1, ::-1], ROWS[:1, ::-1]),
    "repeated row": (np.broadcast_to(ROWS[0], (6, 5)), np.repeat(ROWS[:1], 6, axis=0)),
    "unaligned": (np.frombuffer(b"x" + ROWS.tobytes(), dtype=np.uint8)[1:].view(np.float32).reshape(13, 5), ROWS),
    "list": (ROWS.tolist(), ROWS),
    "sliced": (Sliced(), ROWS),
    "tensor": (torch.from_numpy(ROWS), ROWS),
    "tensor with a gradient": (torch.from_numpy(ROWS).requires_grad_(), ROWS),
    "double tensor": (torch.from_numpy(ROWS).double(), ROWS),
    "half tensor": (torch.from_numpy(HALF), HALF),
    "transposed tensor": (torch.from_numpy(ROWS.T.copy()).T, ROWS),
    "bfloat16 tensor": (torch.from_numpy(ROWS).bfloat16(), torch.from_numpy(ROWS).bfloat16().float().numpy()),
}


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_gives_its_float32_rows(name: str) -> None:
    values, expected = SOURCES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gallery = Gallery.of(values)
        assert (gallery.rows, gallery.width) == expected.shape
        for size in (1, 3, 4):
            assert (read(gallery, size) == expected).all()
        if name != "sliced":
            assert (gallery.array() == expected).all()
            assert gallery.array().dtype == np.float32


def test_a_memory_map(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of torch, about memory that is not writable
        gallery = Gallery.of(memory_map(tmp_path, ROWS))
        assert (read(gallery, 4) == ROWS).all()
        assert (read(gallery.select(np.array([0, 12])), 4) == ROWS[[0, 12]]).all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_tensor_on_a_gpu() -> None:
    assert (read(Gallery.of(torch.from_numpy(ROWS).cuda()), 4) == ROWS).all()


def test_float32_arrays_are_not_copied() -> None:
    _, block = next(iter(Gallery.of(ROWS).blocks(4)))
    assert np.shares_memory(block.numpy(), ROWS)
    assert Gallery.of(ROWS).array() is ROWS


@pytest.mark.parametrize("size", [1, 2, 3, 100])
@pytest.mark.parametrize("images", [[0], [12], [0, 1, 2, 3, 4, 5], [1, 4, 5, 6, 11]])
def test_select(images: list[int], size: int) -> None:
    chosen = Gallery.of(ROWS).select(np.array(images))
    assert chosen.rows == len(images)
    assert (read(chosen, size) == ROWS[images]).all()
    assert (chosen.array() == ROWS[images]).all()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.ones((2, 2), dtype=np.int32), r"features are whole numbers \(int32\); give floating-point features"),
        (np.ones((2, 2), dtype=np.uint8), "uint8"),
        ([[1, 0]], "features are whole numbers"),
        (torch.ones(2, 2).int(), r"whole numbers \(int32\)"),
        (np.ones(3), r"features must be numbers of shape \[images, dimensions\], not float64 \[3\]"),
        (np.ones((2, 2, 2)), r"not float64 \[2, 2, 2\]"),
        (torch.ones(2, 2, dtype=torch.complex64), "not complex64"),
        ([["a"]], "must be numbers"),
        ([[1.0], [1.0, 2.0]], "must be numbers of shape"),
        (None, "must be numbers"),
        (np.ones((0, 4)), r"features is empty \(shape \[0, 4\]\)"),
    ],
)
def test_what_are_no_features(values: Any, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        Gallery.of(values, "features")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["array", "tensor", "selected"])
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([5], "features: row 5 holds a value that is NaN or infinite in float32"),
        ([0, 1], "features: rows 0, 1 hold a value"),
        ([1, 4, 6, 9], "features: rows 1, 4, 6 and more hold a value"),
    ],
)
def test_rows_that_are_not_finite_are_named(bad: list[int], message: str, kind: str) -> None:
    for value in (np.nan, np.inf, -np.inf, 1e300):
        rows = ROWS.astype(np.float64)
        rows[bad, 2] = value
        gallery = Gallery.of(torch.from_numpy(rows) if kind == "tensor" else rows, "features")
        for _ in range(2):  # told again, not only once
            with pytest.raises(UserError, match=message):
                gallery.select(np.array([0])) if kind == "selected" else read(gallery, 13)


def test_a_later_block_that_is_not_finite() -> None:
    rows = ROWS.copy()
    rows[11, 0] = np.nan
    with pytest.raises(UserError, match="row 11 holds"):
        read(Gallery.of(rows), 4)
