"""The k nearest images of every image of a set, and the distance to its farthest: what re-ranking starts from.

Distances are those that ``points`` defines; of two images at equal distance the one with the lower index is nearer, and
an image is among its own neighbours. The lists are exact, yet nearly all arithmetic is cheap. Int8 products with a
bound on their error leave some hundred images a row that may be near enough; float32 leaves those few whose order is
closer than its own bound; these are computed as the definition says.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from reid.evaluation.labels import Bools, Ints
from reid.evaluation.precision import full_float32
from reid.evaluation.ranking.products import int8_pays
from reid.evaluation.reranking.points import Floats32, Points

_TILE = 1024  # columns of one product: wider ones are slower
_KEY_CELLS = 12 * 2**20  # of a block of rows against all images
_LONG = 1000  # candidates a row: beyond this, a float32 product is cheaper than scoring what int8 leaves
_PAIRS = 2**20  # scored again at a time
_HALF_ULP = 2.0**-24  # float32


def nearest(points: Points, k: int) -> tuple[NDArray[np.int32], Floats32]:
    """The k nearest images of every point, nearest first, and the squared distance to its farthest.

    Returns:
        [N, min(k, Q + G)] int32 image indices, exactly as defined above, and [N] float32 squared distances in the scale
        of ``points.rows``.
    """
    count, images = len(points.rows), len(points.inverse)
    k, size = min(k, images), min(512, count, max(16, _KEY_CELLS // count))
    lists, farthest = np.empty((count, k), dtype=np.int32), np.empty(count, dtype=np.float32)
    by_point = np.argsort(points.inverse, kind="stable")  # images of point 0, of point 1, ...
    keys, kept = torch.empty(size, count), torch.zeros(size, -(-count // 8) * 8, dtype=torch.bool)
    codes = _Int8(points.rows) if int8_pays() else None
    for start in range(0, count, size):
        block = slice(start, min(start + size, count))
        mask = _shortlist(points, codes, block, k, keys, kept)
        counts = np.count_nonzero(mask, axis=1)
        if codes and counts.mean() > _LONG:
            codes = None
            mask = _shortlist(points, codes, block, k, keys, kept)
            counts = np.count_nonzero(mask, axis=1)
        cuts = np.flatnonzero(np.diff(np.cumsum(counts) // _PAIRS)) + 1
        for rows in np.split(np.arange(len(counts)), cuts):
            part = slice(start + rows[0], start + rows[-1] + 1)
            candidates = _true_cells(mask[rows[0] : rows[-1] + 1])
            lists[part], farthest[part] = _settle(points, by_point, part, counts[rows], candidates, k)
    return lists, farthest


def _shortlist(
    points: Points, codes: _Int8 | None, block: slice, k: int, keys: torch.Tensor, kept: torch.Tensor
) -> Bools:
    """Which points may be among the k nearest of a block's points, or the farthest: bool [block, N or a few more].

    For a point i, near is where the key c_i.c_j - |c_j|^2 / 2 is large, which is -d(i, j) / 2 but for a constant.
    ``keys`` and ``kept`` are memory to work in.
    """
    norms = torch.from_numpy(points.norms).float()
    mine, size, dimensions = norms[block], len(norms[block]), points.rows.shape[1]
    tiles = [slice(first, min(first + _TILE, len(norms))) for first in range(0, len(norms), _TILE)]
    errors, best, worst = torch.empty(size, len(tiles)), [], []
    for t, tile in enumerate(tiles):
        key, longest = keys[:size, tile], float(norms[tile].max())
        if codes:
            codes.product(block, tile, key)
            errors[:, t] = codes.error(block, tile, mine, longest) + _rounding(mine, longest, 0)
        else:
            product(points.rows[block], points.rows[tile], key)
            errors[:, t] = _rounding(mine, longest, dimensions)
        key.sub_(norms[tile].square() / 2)
        groups = max(1, key.shape[1] // 16)  # the maxima of k disjoint groups lie below the k best
        best.append(key[:, : key.shape[1] // groups * groups].unflatten(1, (-1, groups)).amax(1) - errors[:, t, None])
        worst.append(key.amin(1) + errors[:, t])
    maxima = torch.cat(best, dim=1)
    enough = maxima.topk(k, dim=1).values[:, -1] if maxima.shape[1] >= k else torch.full((size,), -torch.inf)
    low, high = enough[:, None] - errors, torch.stack(worst).amin(0)[:, None] + errors
    for t, tile in enumerate(tiles):
        key, mask = keys[:size, tile], kept[:size, tile]
        torch.ge(key, low[:, t, None], out=mask)
        mask |= key <= high[:, t, None]
    return kept[:size].numpy()


def _settle(
    points: Points, by_point: Ints, part: slice, counts: Ints, others: Ints, k: int
) -> tuple[NDArray[np.int32], Floats32]:
    """Order the candidates of consecutive points: their lists [part, k] and farthest distances [part]."""
    mine = np.arange(part.start, part.stop)
    distance = points.squared(mine, counts, others)
    row, starts = np.repeat(np.arange(len(mine)), counts), np.cumsum(counts) - counts
    farthest = np.maximum.reduceat(distance, starts)
    width = 2 * _rounding(np.repeat(points.norms[mine], counts), points.norms[others], points.rows.shape[1])

    upper = (distance + width).astype(np.float32)
    last = starts + k - 1  # a row of fewer candidates holds every point
    kth = np.where(counts >= k, upper[_by_row(row, upper)][np.minimum(last, len(upper) - 1)], np.inf)
    near = np.flatnonzero(distance - 1.001 * width <= kth[row])  # 0.001: upper was rounded
    near = near[_by_row(row[near], distance[near])]
    row, others, distance, width = row[near], others[near], distance[near], width[near]

    counts = np.bincount(row)
    starts = np.cumsum(counts) - counts
    gap = 2 * np.maximum.reduceat(width, starts)[row[1:]]
    cut = np.concatenate(([True], (np.diff(distance.astype(np.float64)) > gap) | (np.diff(row) > 0)))
    run = np.cumsum(cut) - 1  # of candidates that float32 cannot order
    matters = (np.bincount(run) > 1) & ((np.arange(len(row)) - starts[row])[cut] < k)
    open_ = np.flatnonzero(matters[run])
    exact = np.zeros(len(row))
    exact[open_] = points.exact(mine[row[open_]], others[open_])

    copies = np.bincount(points.inverse, minlength=len(points.first))
    firsts, copies = (np.cumsum(copies) - copies)[others], np.minimum(copies[others], k)
    image = by_point[np.repeat(firsts - np.cumsum(copies) + copies, copies) + np.arange(copies.sum())]
    row, run, exact = np.repeat(row, copies), np.repeat(run, copies), np.repeat(exact, copies)
    image = image[np.lexsort((image, exact, run))]
    counts = np.bincount(row)
    return image[(np.cumsum(counts) - counts)[:, None] + np.arange(k)].astype(np.int32), farthest


def product(rows: Floats32, others: Floats32, out: torch.Tensor) -> None:
    """Write the dot products of all pairs of rows, in float32 even where training was allowed to use less."""
    with full_float32():
        torch.mm(torch.from_numpy(rows), torch.from_numpy(others).T, out=out)


def _rounding(norms: Any, others: Any, dimensions: int) -> Any:
    """Bound on the error of a key of two points of these lengths: product of D terms in float32, and all else.

    With u = 2^-24, a float32 product of D terms is off by at most D u |a| |b| (1 + D u), in whatever order (Higham,
    Accuracy and Stability of Numerical Algorithms, 2002, section 3.1). Rounding the points to float32 moves a key by at
    most u (|a| + |b|)^2, and each of five further steps by u times half of that at most. The last term: underflow.
    """
    sums = norms + others
    return 1.01 * _HALF_ULP * (dimensions * norms * others + 8 * sums * sums) + 2.0**-120


class _Int8:
    """The points as int8 rows times a scale each, with the length of what the rounding left."""

    def __init__(self, rows: Floats32) -> None:
        width = rows.shape[1]
        self.codes = torch.zeros(len(rows), max(width, 2), dtype=torch.int8)  # torch's product errs at width 1
        self.scales, self.lost = torch.empty(len(rows)), torch.empty(len(rows))
        for start in range(0, len(rows), 1024):
            part = slice(start, start + 1024)
            block = torch.from_numpy(rows[part])
            scales = block.abs().amax(1) / 127
            scales[scales < 2.0**-100] = 1  # shorter rows become zeros, and are lost whole
            rounded = (block / scales[:, None]).round_()
            self.codes[part, :width], self.scales[part] = rounded.to(torch.int8), scales
            lost = (block - rounded.mul_(scales[:, None])).norm(dim=1)
            self.lost[part] = 1.001 * lost + 4 * _HALF_ULP * block.norm(dim=1)

    def product(self, block: slice, tile: slice, out: torch.Tensor) -> None:
        """Approximate c_i.c_j: exact in int32, then scaled."""
        out.copy_(torch._int_mm(self.codes[block], self.codes[tile].T))
        out.mul_(self.scales[tile]).mul_(self.scales[block, None])

    def error(self, block: slice, tile: slice, norms: torch.Tensor, longest: float) -> torch.Tensor:
        """Bound for a row of the block and any of the tile, [block]: with c = s h + r, c_i.c_j - s_i s_j h_i.h_j is
        r_i.c_j + (c_i - r_i).r_j, and Cauchy-Schwarz bounds both."""
        lost = self.lost[block]
        return 1.001 * (lost * longest + (norms + lost) * self.lost[tile].max())


def _by_row(row: Ints, values: Floats32) -> Ints:
    """The order that sorts by row, then by value >= 0: a float32's bits ascend with it."""
    return np.argsort(row << 32 | values.view(np.int32))


def _true_cells(mask: Bools) -> Ints:
    """Column of each true cell, row after row; rare cells are found fast in words of eight."""
    flat = mask.reshape(-1)
    words = np.flatnonzero(flat.view(np.uint64))
    cells = (8 * words[:, None] + np.arange(8))[flat.reshape(-1, 8)[words]]
    return cells % mask.shape[1]
