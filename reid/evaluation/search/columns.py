"""What goes into a ``GalleryIndex``, checked: feature rows in blocks, and a column for each kind of label."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from reid.errors import UserError
from reid.evaluation.protocol import Bools, Ints

_BLOCK = 2**14  # rows in float32 at a time
_LONGEST = 2.0**62  # norm; squared distances of longer rows overflow float32


@dataclass(eq=False)
class Columns:
    """Labels by row number, the removed images' included; ``alive`` tells which remain."""

    pids: Ints
    camids: Ints | None
    names: NDArray[np.object_] | None
    alive: Bools

    @classmethod
    def checked(cls, count: int, pids: Any, camids: Any, names: Any) -> Columns:
        """Columns of ``count`` new images.

        Raises:
            UserError: a label is not an integer, or there is not one for each image.
        """
        if names is not None:
            if isinstance(names, str) or len(names) != count:
                raise UserError(f"names has {len(names)} values for {count} images; give one an image, in a list")
            names = np.array([str(name) for name in names], dtype=object)
        camids = None if camids is None else _integers("camids", camids, count)
        return cls(_integers("pids", pids, count), camids, names, np.ones(count, dtype=np.bool_))

    def joined(self, more: Columns) -> Columns:
        """These and then more.

        Raises:
            UserError: one has cameras or names and the other has not.
        """
        for what in ("camids", "names"):
            if (getattr(self, what) is None) != (getattr(more, what) is None):
                missing = getattr(more, what) is None
                way_out = "give them here too" if missing else "leave them out, or build the gallery with them"
                raise UserError(f"{what}: the gallery was built {'with' if missing else 'without'} them; {way_out}")
        pairs = ((self.pids, more.pids), (self.camids, more.camids), (self.names, more.names), (self.alive, more.alive))
        return Columns(*(None if old is None else np.concatenate([old, new]) for old, new in pairs))  # type: ignore

    def forget(self, rows: Ints) -> None:
        """Mark images as removed; only their identity and camera numbers stay."""
        self.alive[rows] = False
        if self.names is not None:
            self.names[rows] = ""

    def at(self, rows: Ints) -> tuple[Ints, Ints | None, NDArray[np.object_] | None]:
        """(pids, camids, names) in the shape of ``rows``; -1 and "" at row -1."""
        outside = (rows < -1) | (rows >= len(self.pids))
        if rows.dtype.kind not in "iu" or outside.any():
            raise UserError(f"rows must be row numbers of this gallery, -1 to {len(self.pids) - 1}")
        pids, camids, names = (
            None if column is None else np.where(rows < 0, nobody, np.append(column, nobody)[rows])
            for column, nobody in ((self.pids, -1), (self.camids, -1), (self.names, ""))
        )
        assert pids is not None
        return pids, camids, names


def check_features(name: str, features: Any, distance: str, dimensions: int | None = None) -> NDArray[Any]:
    """Features as an array [N, D] of their own dtype, every row of it finite in float32.

    Raises:
        UserError: they are not that, or of other than ``dimensions`` columns, or too long for squared distances.
    """
    if isinstance(features, torch.Tensor):
        features = features.detach().to("cpu", torch.float32).numpy()
    rows = np.asarray(features)
    if rows.ndim != 2 or rows.dtype.kind not in "fiu" or rows.shape[1] == 0:
        raise UserError(f"{name} must be numbers of shape [images, dimensions], not {rows.dtype} {list(rows.shape)}")
    if dimensions is not None and rows.shape[1] != dimensions:
        raise UserError(
            f"{name} have {rows.shape[1]} dimensions and the index {dimensions}; extract both with the same model"
        )
    for start, norms in ((start, _norms(part)) for start, part in _float32(rows)):
        bad = ~np.isfinite(norms) | ((norms > _LONGEST) & (distance == "euclidean"))
        if bad.any():
            row = int(np.argmax(bad))
            what = "is too long for euclidean scores in float32" if np.isfinite(norms[row]) else "is NaN or infinite"
            raise UserError(f"{name}: row {start + row} {what}; extract the features again, or leave it out")
    return rows


def blocks(rows: NDArray[Any], distance: str, chosen: Ints | None = None) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield (start, float32 rows as FAISS gets them), of the ``chosen`` rows if given: for cosine, of norm 1 or 0."""
    for start, part in _float32(rows, chosen):
        if distance == "cosine":
            norms = _norms(part)
            part = np.divide(part, np.where(norms > 0, norms, 1)[:, None], dtype=np.float64).astype(np.float32)
        yield start, part


def _float32(rows: NDArray[Any], chosen: Ints | None = None) -> Iterator[tuple[int, NDArray[np.float32]]]:
    for start in range(0, len(rows) if chosen is None else len(chosen), _BLOCK):
        part = rows[start : start + _BLOCK] if chosen is None else rows[chosen[start : start + _BLOCK]]
        with np.errstate(over="ignore"):  # what overflows becomes infinite, and is told
            yield start, np.ascontiguousarray(part, dtype=np.float32)


def _norms(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.sqrt(np.einsum("nd,nd->n", rows, rows, dtype=np.float64))


def _integers(name: str, values: Any, count: int) -> Ints:
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu().numpy()
    labels = np.asarray(values)
    if labels.ndim != 1 or len(labels) != count:
        raise UserError(f"{name} has shape {list(labels.shape)} for {count} images; give one label an image")
    if count and labels.dtype.kind not in "iu":
        raise UserError(f"{name} must be integers, not {labels.dtype}; number the labels first")
    return labels.astype(np.int64)
