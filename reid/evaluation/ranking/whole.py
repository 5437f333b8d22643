"""Rows of a tile that have too many cells near their matches to name each: they are counted by sorting."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from reid.evaluation.labels import Ints
from reid.evaluation.ranking.ignored import Ignored
from reid.evaluation.ranking.matches import Matches
from reid.evaluation.ranking.products import Encoded, Float32
from reid.evaluation.ranking.rounding import FINITE, down, up
from reid.evaluation.ranking.settle import count_below
from reid.evaluation.ranking.sieve import Columns, Error

_CELLS = 2**18  # looked through for the open ones at a time


@dataclass(frozen=True, eq=False)
class Rows:
    """What is counted.

    Attributes:
        tile: [n, m] float32, scores in the frame, ignored cells blank.
        doubt: [n] float64: how far a cell of the row may be off.
    """

    tile: Tensor
    doubt: Tensor

    @classmethod
    def of(cls, x: Encoded, y: Columns, ignored: Ignored, tile: Tensor | None = None) -> Rows:
        """Of n queries and m gallery rows, both encoded for float32; ``tile`` is their product if it is at hand."""
        if tile is None:
            tile = Float32().tile(x.code, y.encoded.code)
        tile.add_(y.offset.float())
        ignored.blank(tile)
        return cls(tile, Error.of(Float32(), y).rows(x))


def count(rows: Rows, matches: Matches, active: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """Count the negatives of whole rows that surely beat each match, and find the cells that may or may not.

    Args:
        rows: n queries and m gallery rows.
        matches: whose ``counted`` grows.
        active: [n] the queries' numbers.

    Returns:
        (active query, column, how many of its worst matches it is counted for, how many it may beat) of each such cell.
    """
    tile = rows.tile
    doubt = rows.doubt.cpu().numpy() + matches.slack[active]
    # the matches of a row, and where a cell must be to be surely above each, or perhaps
    starts, counts = matches.starts[active], np.diff(matches.starts)[active]
    number = np.arange(counts.max())
    there = number < counts[:, None]
    slot = (starts[:, None] + number)[there]
    scores = np.full(there.shape, np.inf)
    scores[there] = matches.scores[slot]
    low = down(torch.from_numpy(scores - doubt[:, None])).clamp_(min=-FINITE).to(tile.device)
    high = up(torch.from_numpy(scores + doubt[:, None])).clamp_(min=-FINITE).to(tile.device)
    ascending = _sorted(tile)
    surely, perhaps = (tile.shape[1] - torch.searchsorted(ascending, limit).cpu().numpy() for limit in (high, low))
    matches.counted[slot] += surely[there]
    row, column = _between(tile, low, high, *np.nonzero(there & (perhaps > surely)))
    values = tile[torch.from_numpy(row).to(tile.device), torch.from_numpy(column).to(tile.device)].cpu().numpy()
    begin, end = row * len(number), (row + 1) * len(number)
    surely, perhaps = (
        count_below(limit.ravel().cpu().numpy(), begin, end, values, strict=False) for limit in (high, low)
    )
    return active[row], column, surely, perhaps


def _between(tile: Tensor, low: Tensor, high: Tensor, row: Ints, match: Ints) -> tuple[Ints, Ints]:
    """The cells that lie between the limits of the row's matches, each once; rows ascending."""
    begins, ends = low.cpu().numpy()[row, match], high.cpu().numpy()[row, match]
    # both ascend with the match; what overlaps is one interval
    apart = np.ones(len(row) + 1, dtype=np.bool_)
    apart[1:-1] = (row[1:] != row[:-1]) | (begins[1:] > ends[:-1])
    row, begins, ends = row[apart[:-1]], begins[apart[:-1]], ends[apart[1:]]
    step = max(1, _CELLS // tile.shape[1])
    found = [row[:0]]
    for start in range(0, len(row), step):
        part = slice(start, start + step)
        cells = tile[torch.from_numpy(row[part]).to(tile.device)].cpu().numpy()  # NumPy compares the faster
        inside = (cells >= begins[part, None]) & (cells < ends[part, None])
        which, column = np.divmod(np.flatnonzero(inside), tile.shape[1])
        found.append(row[start + which] * tile.shape[1] + column)
    return np.divmod(np.sort(np.concatenate(found)), tile.shape[1])


def _sorted(tile: Tensor) -> Tensor:
    """Every row in ascending order; NumPy sorts ten times as fast as PyTorch."""
    return torch.from_numpy(np.sort(tile.numpy(), axis=1)) if tile.device.type == "cpu" else tile.sort(dim=1).values
