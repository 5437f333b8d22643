"""The gallery's features, a block at a time, as often as needed: from an array, a memory map, a tensor or a stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from reid.errors import UserError
from reid.evaluation.labels import Ints

_NUMBERS = 2**20  # of a block where nobody asks for a size


class Gallery:
    """Rows that can be read again and again, only a block of them in float32 at a time.

    Values that are NaN or infinite are told by the first pass that meets them.

    Attributes:
        rows: number G of rows.
        width: number D of dimensions.
        device: where the blocks are, and what is computed of them.
    """

    def __init__(
        self, read: Callable[[int], Iterator[torch.Tensor]], rows: int, width: int, name: str, device: torch.device
    ) -> None:
        """``read(size)`` starts a new pass over the rows in float32 blocks of at most ``size``, on any device."""
        self.rows, self.width, self.device = rows, width, device
        self._read, self._name = read, name
        self._finite = 0  # so many rows, from the first on, are known to be finite
        self._array: NDArray[np.float32] | None = None

    @classmethod
    def of(cls, values: Any, name: str = "gallery_features", device: torch.device | None = None) -> Gallery:
        """From [G, D] floating-point features: an array or tensor, whatever its memory layout, dtype or device.

        Blocks go to ``device``; without one they stay on the CUDA device where the tensor is, or go to the CPU.

        Raises:
            UserError: the values are no such features, or there are none.

        >>> gallery = Gallery.of(np.arange(6.0).reshape(3, 2))
        >>> [(start, block.tolist()) for start, block in gallery.blocks(2)]
        [(0, [[0.0, 1.0], [2.0, 3.0]]), (2, [[4.0, 5.0]])]
        """
        if not (hasattr(values, "shape") and hasattr(values, "dtype")):
            values = _as_array(name, values)
        if len(values.shape) == 2 and 0 in values.shape:
            raise UserError(f"{name} is empty (shape {list(values.shape)}); check that the split has images")
        as_rows(name, values[:1] if len(values.shape) == 2 else values)
        rows, width = values.shape

        def read(size: int) -> Iterator[torch.Tensor]:
            return (as_rows(name, values[start : start + size]) for start in range(0, rows, size))

        gallery = cls(read, rows, width, name, device or device_of(values))
        if isinstance(values, torch.Tensor) and values.device.type == "cpu" and values.dtype == torch.float32:
            values = values.detach().numpy()
        if isinstance(values, np.ndarray) and values.dtype == np.float32:
            gallery._array = np.asarray(values)
        return gallery

    def blocks(self, size: int) -> Iterator[tuple[int, torch.Tensor]]:
        """One pass: (index of the first row, float32 contiguous tensor [n <= size, D] on ``device``), in order."""
        start = 0
        for block in self._read(size):
            block = block.to(self.device)
            stop = start + len(block)
            if stop > self.rows:
                raise self._changed("more")
            if stop > self._finite:
                refuse_non_finite(self._name, block, start)
                self._finite = stop
            yield start, block
            start = stop
        if start < self.rows:
            raise self._changed("fewer")

    def _changed(self, how: str) -> UserError:
        return UserError(
            f"{self._name}: a later pass over the stream gave {how} than the {self.rows} rows of the first; "
            "it must give the same blocks each time"
        )

    def select(self, images: Ints) -> Gallery:
        """Only the rows ``images``, ascending; still a block at a time."""
        for _ in self.blocks(max(1, _NUMBERS // self.width)) if self._finite < self.rows else ():
            pass  # a value that is not finite is told with its place in the whole gallery

        def read(size: int) -> Iterator[torch.Tensor]:
            return resized(self._rows_at(images, size), size)

        selected = Gallery(read, len(images), self.width, self._name, self.device)
        selected._finite = selected.rows
        return selected

    def _rows_at(self, images: Ints, size: int) -> Iterator[torch.Tensor]:
        for start, block in self.blocks(size):
            first, last = np.searchsorted(images, [start, start + len(block)])
            if first < last:
                yield block[torch.from_numpy(images[first:last] - start).to(block.device)]

    def array(self) -> NDArray[np.float32]:
        """All rows as one C-contiguous float32 array [G, D]: what was handed in if it is one already, else a copy."""
        given = self._array if self._array is not None and _is_plain(self._array) else None
        array = np.empty((self.rows, self.width), dtype=np.float32) if given is None else given
        for start, block in self.blocks(max(1, _NUMBERS // self.width)):
            if given is None:
                array[start : start + len(block)] = block.cpu().numpy()
        return array


def as_rows(name: str, values: Any) -> torch.Tensor:
    """A float32 contiguous tensor [n, D] of features, where they are; shares their memory where it can.

    Raises:
        UserError: they are not floating-point numbers of two dimensions.
    """
    tensor = isinstance(values, torch.Tensor)
    if not tensor:
        values = _as_array(name, values)
    shape, dtype = list(values.shape), str(values.dtype).removeprefix("torch.")
    whole = not values.is_floating_point() and not values.is_complex() if tensor else values.dtype.kind in "iub"
    if whole and len(shape) == 2:
        raise UserError(f"{name} are whole numbers ({dtype}); give floating-point features, say .astype('float32')")
    if len(shape) != 2 or not (values.is_floating_point() if tensor else values.dtype.kind == "f"):
        raise UserError(f"{name} must be numbers of shape [images, dimensions], not {dtype} {shape}")
    if tensor:
        return values.detach().to(device_of(values), torch.float32).contiguous()
    if values.dtype != np.float32 or not _is_plain(values):
        with np.errstate(over="ignore"):  # what overflows becomes infinite, and is told
            values = np.array(values, dtype=np.float32, order="C")
    return torch.from_numpy(values)


def device_of(values: Any) -> torch.device:
    """The CUDA device where a tensor is; the CPU for all else, other accelerators too, which lack float64."""
    on_cuda = isinstance(values, torch.Tensor) and values.device.type == "cuda"
    return values.device if on_cuda else torch.device("cpu")


def _is_plain(array: NDArray[Any]) -> bool:
    """In C order for PyTorch too: a single row or column may call itself contiguous and have negative strides."""
    return bool(array.flags.carray) and min(array.strides) > 0


def refuse_non_finite(name: str, block: torch.Tensor, start: int) -> None:
    """UserError that names the first rows of a block that hold a NaN or an infinity."""
    if not len(block) or all(bool(torch.isfinite(end)) for end in torch.aminmax(block)):
        return
    bad = (start + np.flatnonzero(~torch.isfinite(block).all(dim=1).cpu().numpy())).tolist()
    rows = f"row {bad[0]} holds" if len(bad) == 1 else f"rows {', '.join(map(str, bad[:3]))}"
    several = "" if len(bad) == 1 else " hold" if len(bad) <= 3 else " and more hold"
    raise UserError(
        f"{name}: {rows}{several} a value that is NaN or infinite in float32; "
        "extract the features again in float32 or from a checkpoint before the training diverged"
    )


def resized(pieces: Iterator[torch.Tensor], size: int) -> Iterator[torch.Tensor]:
    """The same rows in blocks of exactly ``size``, the last perhaps shorter."""
    held: list[torch.Tensor] = []
    missing = size
    for piece in pieces:
        while len(piece):
            part, piece = piece[:missing], piece[missing:]
            missing -= len(part)
            if missing:
                held.append(part.clone())  # whoever made it may use its memory again
                continue
            yield torch.cat([*held, part]) if held else part
            held, missing = [], size
    if held:
        yield torch.cat(held)


def _as_array(name: str, values: Any) -> NDArray[Any]:
    try:
        return np.asarray(values)
    except ValueError as error:  # rows of different lengths
        raise UserError(f"{name} must be numbers of shape [images, dimensions]: {error}".splitlines()[0]) from None
