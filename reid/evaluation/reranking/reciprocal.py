"""k-reciprocal encodings of images and how much two of them share; the sets and symbols are those of ``rerank``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid.evaluation.labels import Bools, Ints
from reid.evaluation.reranking.points import Floats32, Points

_ROWS, _PAIRS = 1024, 2**19  # at a time
Lists = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Sparse:
    """A sparse matrix by rows: those of row i stand at starts[i] to starts[i + 1], columns ascending."""

    starts: Ints
    columns: Lists
    values: Floats32

    def positions(self, rows: Ints | Lists) -> tuple[Ints, Ints]:
        """Where the cells of these rows stand, one row after the other, and how many each row has."""
        first, counts = self.starts[rows], self.starts[rows + 1] - self.starts[rows]
        return np.repeat(first - np.cumsum(counts) + counts, counts) + np.arange(counts.sum()), counts

    def transposed(self, first: int) -> Sparse:
        """The transpose of the rows from ``first`` on, which are counted from 0 then."""
        skip = self.starts[first]
        order = np.argsort(self.columns[skip:], kind="stable")
        rows = np.repeat(np.arange(len(self.starts) - 1 - first, dtype=np.int32), np.diff(self.starts[first:]))
        counts = np.bincount(self.columns[skip:], minlength=len(self.starts) - 1)
        return Sparse(_starts([counts]), rows[order], self.values[skip:][order])


def encode(points: Points, lists: Lists, scale: Floats32, k1: int) -> Sparse:
    """V, [N, N]: each image as weights of its expanded k-reciprocal neighbours.

    Args:
        points: of the N images.
        lists: [N, k1 + 1 or more, or all N], the nearest images of each image.
        scale: [N], 1 / max_l d(i, l).
        k1: neighbours that must be mutual.
    """
    near, half = lists[:, : k1 + 1], lists[:, : round(k1 / 2) + 1]
    mutual, half_mutual = _mutual(near), _mutual(half)
    blocks = []
    for start in range(0, len(lists), _ROWS):
        rows = np.arange(start, min(start + _ROWS, len(lists)))
        mine, is_mine = near[rows], mutual[rows]  # R(i, k1): [B, K] images, and which of them
        theirs = half[mine]  # R(j, h) of each j in R(i, k1): [B, K, H]
        is_theirs = half_mutual[mine] & is_mine[:, :, None]
        shared = np.zeros_like(is_theirs)
        for column, member in zip(mine.T, is_mine.T, strict=True):
            shared |= (theirs == column[:, None, None]) & member[:, None, None]
        shared &= is_theirs
        joins = 3 * shared.sum(axis=2) > 2 * is_theirs.sum(axis=2)
        is_theirs &= joins[:, :, None]
        cells = np.concatenate([_cells(mine, is_mine), _cells(theirs, is_theirs)])
        row, column = np.divmod(np.unique(cells), 2**32)
        weights = np.exp(-_distances(points, rows, row, column) * scale[rows][row])
        counts = np.bincount(row, minlength=len(rows))
        weights /= np.bincount(row, weights, minlength=len(rows))[row]
        blocks.append((counts, column, weights))
    return _sparse(blocks)


def average(encoded: Sparse, lists: Lists) -> Sparse:
    """W, [N, N]: the mean of the rows of V of each image's nearest, ``lists`` [N, k2]."""
    if lists.shape[1] == 1:  # the published code leaves V alone, though an earlier copy may be nearer than an image
        return encoded
    blocks = []
    for start in range(0, len(lists), _ROWS):
        near = lists[start : start + _ROWS]
        positions, counts = encoded.positions(near.ravel())
        row = np.repeat(np.arange(near.size) // near.shape[1], counts)
        cells, at = np.unique(row << 32 | encoded.columns[positions], return_inverse=True)
        sums = np.bincount(at, encoded.values[positions], minlength=len(cells))
        row, column = np.divmod(cells, 2**32)
        blocks.append((np.bincount(row, minlength=len(near)), column, sums / near.shape[1]))
    return _sparse(blocks)


def shared(encoded: Sparse, queries: Ints, columns: Sparse, count: int) -> Floats32:
    """m(q, g) = sum_j min(W(q, j), W(g, j)) of some rows with all of a gallery, [queries, count].

    Args:
        encoded: W.
        queries: rows of it.
        columns: the gallery's rows of W, transposed.
        count: the gallery's size.
    """
    cells, counts = encoded.positions(queries)
    offsets = np.repeat(np.arange(len(queries)) * count, counts)
    wanted, values = encoded.columns[cells], encoded.values[cells]
    sums = np.zeros(len(queries) * count, dtype=np.float32)
    ends = np.cumsum(columns.starts[wanted + 1] - columns.starts[wanted])
    for few in np.split(np.arange(len(cells)), np.flatnonzero(np.diff(ends // _PAIRS)) + 1):
        found, lengths = columns.positions(wanted[few])  # images that share the neighbour of a cell
        least = np.minimum(np.repeat(values[few], lengths), columns.values[found])
        np.add.at(sums, np.repeat(offsets[few], lengths) + columns.columns[found], least)
    return sums.reshape(len(queries), count)


def _mutual(lists: Lists) -> Bools:
    """Which of an image's neighbours have it among theirs; bool like ``lists``."""
    mutual = np.empty(lists.shape, dtype=np.bool_)
    for start in range(0, len(lists), _ROWS):
        part = slice(start, min(start + _ROWS, len(lists)))
        theirs, me = lists[lists[part]], np.arange(part.start, part.stop)[:, None]
        mutual[part] = False
        for column in range(lists.shape[1]):
            mutual[part] |= theirs[:, :, column] == me
    return mutual


def _cells(images: Lists, chosen: Bools) -> Ints:
    """row * 2^32 + image of each chosen cell."""
    return np.nonzero(chosen)[0] << 32 | images[chosen]


def _distances(points: Points, images: Ints, row: Ints, column: Ints) -> Floats32:
    """Squared distances of images[row] to images ``column``, both ascending; copies are computed once."""
    cells, at = np.unique(row << 32 | points.inverse[column], return_inverse=True)
    row, other = np.divmod(cells, 2**32)
    return points.squared(points.inverse[images], np.bincount(row, minlength=len(images)), other)[at]


def _starts(counts: list[Ints]) -> Ints:
    return np.concatenate([[0], np.cumsum(np.concatenate(counts))])


def _sparse(blocks: list[tuple[Ints, Ints, NDArray[np.float64]]]) -> Sparse:
    counts, columns, values = zip(*blocks, strict=True)
    return Sparse(
        _starts(list(counts)), np.concatenate(columns).astype(np.int32), np.concatenate(values).astype(np.float32)
    )
