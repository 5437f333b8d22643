"""Rows of a tile that have too many cells near their matches to name each: they are counted by sorting.

What is sorted tells where it stood: the last digits of every score say which few columns it is from, so that the rare
cell that is too close to a match is found again without looking through its row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reid.evaluation.labels import Ints
from reid.evaluation.ranking.ignored import Ignored
from reid.evaluation.ranking.matches import Matches
from reid.evaluation.ranking.products import Encoded, Float32
from reid.evaluation.ranking.rounding import FINITE, down, product, tiles, up
from reid.evaluation.ranking.scores import Floats
from reid.evaluation.ranking.settle import count_below, ranges
from reid.evaluation.ranking.sieve import Columns, Error

Limits = NDArray[np.float32]
_TOGETHER = 8  # columns that have one mark
_NUMBERS = 2**18  # compared at a time, to find the open cells
_TINY = 2.0**-100  # what is less becomes this much
_MARK = 2.0**-98  # more than that and a mark add to any score


@dataclass(frozen=True, eq=False)
class Rows:
    """What is counted.

    Attributes:
        keys: [n, m] float32, scores in the frame whose last bits are the marks of their columns; an ignored cell's is
            below every limit.
        ascending: [n, m] the keys of every row in order.
        doubt: [n] float64: how far a score may be off.
        spoilt: how far a key is from its score at most, as a share of that.
        odd: (row, column) of cells that may be further off; their keys are below every limit too.
    """

    keys: Tensor
    ascending: Tensor
    doubt: Tensor
    spoilt: float
    odd: tuple[Ints, Ints]

    @classmethod
    def of(cls, x: Encoded, y: Columns, ignored: Ignored, space: Tensor, tile: Tensor | None = None) -> Rows:
        """Of n queries and m gallery rows, both encoded for float32.

        ``space`` is [2, n * m or more] float32; ``tile`` is the product, not as it was afterwards, if it is at hand.
        """
        keys, other = tiles(space, len(x.code), len(y.encoded.code))
        keys = product(x.code, y.encoded.code, space) if tile is None else keys.copy_(tile)
        keys.add_(y.offset.float())
        ignored.blank(keys)
        error = Error.of(Float32(), y)
        far, usual = error.far()
        row, place = (values.cpu().numpy() for values in torch.nonzero(keys[:, far] >= -FINITE, as_tuple=True))
        keys[:, far] = torch.finfo(torch.float32).min
        marks = torch.arange(keys.shape[1], dtype=torch.int32, device=keys.device) // _TOGETHER
        bits = _bits(keys.shape[1])
        keys.view(torch.int32).bitwise_and_(-(2**bits)).bitwise_or_(marks)
        ascending = _sorted(keys, other)
        tiny = torch.tensor([-_TINY, _TINY]).repeat(len(keys), 1).to(keys.device)
        if bool((torch.searchsorted(ascending, tiny).diff(dim=1) > 0).any()):
            # what a mark makes of them would all be zero to a processor that is told to flush such numbers
            small = torch.full_like(marks, _TINY, dtype=torch.float32).view(torch.int32).bitwise_or_(marks)
            keys.copy_(torch.where(keys.abs() < _TINY, small.view(torch.float32), keys))
            ascending = _sorted(keys, other)
        odd = row, far.cpu().numpy()[place]
        return cls(keys, ascending, error.rows(x, usual), 2.0 ** (bits - 23), odd)

    def limits(self, scores: Floats, doubt: Floats) -> tuple[Limits, Limits]:
        """(keys from which a cell may beat matches of these scores, and from which it surely does), [k] both.

        ``doubt`` [k] float64 is how far a match's and a cell's score may be off together.
        """
        low, high = scores - doubt, scores + doubt
        low, high = low - self.spoilt * np.abs(low) - _MARK, high + self.spoilt * np.abs(high) + _MARK
        limits = down(torch.from_numpy(low)), up(torch.from_numpy(high))
        below, above = (limit.clamp_(min=-FINITE).numpy() for limit in limits)
        return below, above

    def below(self, limits: Limits, there: NDArray[np.bool_]) -> Ints:
        """How many keys of a row are below each of its limits, which are where [n, k] ``there`` says in that order."""
        padded = np.full(there.shape, FINITE, dtype=np.float32)
        padded[there] = limits
        wanted = torch.from_numpy(padded).to(self.keys.device)
        return torch.searchsorted(self.ascending, wanted).cpu().numpy()[there]

    def columns(self, row: Ints, keys: Tensor) -> tuple[Ints, Ints]:
        """(number of the key, column) of the cells in these rows that have these keys; [n] both."""
        found = [(row[:0], row[:0])]
        near = torch.arange(_TOGETHER, device=keys.device)
        for start in range(0, len(row), _NUMBERS // _TOGETHER):
            part = slice(start, start + _NUMBERS // _TOGETHER)
            mark = keys[part].view(torch.int32).bitwise_and(2 ** _bits(self.keys.shape[1]) - 1)
            column = mark.long()[:, None] * _TOGETHER + near
            column = torch.where(column < self.keys.shape[1], column, column[:, :1])  # which has a twin then
            at = torch.from_numpy(row[part]).to(keys.device)[:, None]
            hit = self.keys[at, column] == keys[part, None]
            hit[:, 1:] &= column[:, 1:] != column[:, :1]
            which, place = torch.nonzero(hit, as_tuple=True)
            found.append((start + which.cpu().numpy(), column[which, place].cpu().numpy()))
        numbers, columns = (np.concatenate(values) for values in zip(*found, strict=True))
        return numbers, columns


def count(rows: Rows, matches: Matches, active: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """Count the negatives of whole rows that surely beat each match, and find the cells that may or may not.

    Args:
        rows: n queries and m gallery rows.
        matches: whose ``counted`` grows.
        active: [n] the queries' numbers.

    Returns:
        (active query, column, how many of its worst matches it is counted for, how many it may beat) of each such cell.
    """
    starts, counts = matches.starts[active], np.diff(matches.starts)[active]
    row, slot = ranges(starts, counts)
    there = np.arange(counts.max()) < counts[:, None]
    low, high = rows.limits(matches.scores[slot], (rows.doubt.cpu().numpy() + matches.slack[active])[row])
    begin, end = rows.below(low, there), rows.below(high, there)
    matches.counted[slot] += rows.keys.shape[1] - end
    row, keys = _between(rows.ascending, row, begin, end)
    which, column = rows.columns(row, keys)
    row, of_cell = row[which], keys.cpu().numpy()[which]
    end = np.cumsum(counts)[row]
    surely, perhaps = (count_below(limit, end - counts[row], end, of_cell, strict=False) for limit in (high, low))
    odd, far = rows.odd
    return (
        np.append(active[row], active[odd]),
        np.append(column, far),
        np.append(surely, np.zeros_like(odd)),
        np.append(perhaps, counts[odd]),
    )


def _between(ascending: Tensor, row: Ints, begin: Ints, end: Ints) -> tuple[Ints, Tensor]:
    """(row, key) of what lies between places begin and end of some row, each once; both ascend within a row."""
    open_ = np.flatnonzero(begin < end)
    row, begin, end = row[open_], begin[open_], end[open_]
    begin[1:] = np.where(row[1:] == row[:-1], np.maximum(begin[1:], end[:-1]), begin[1:])  # where they overlap
    which, place = ranges(row * ascending.shape[1] + begin, end - begin)
    row, keys = row[which], ascending.view(-1)[torch.from_numpy(place).to(ascending.device)]
    again = (row[1:] == row[:-1]) & (keys[1:] == keys[:-1]).cpu().numpy()
    once = np.append(True, ~again) if len(row) else again
    return row[once], keys[torch.from_numpy(once).to(keys.device)]


def _bits(width: int) -> int:
    """What it takes to tell which columns a key is from."""
    return int((width - 1) // _TOGETHER).bit_length()


def _sorted(tile: Tensor, out: Tensor) -> Tensor:
    """Every row in ascending order, put into ``out`` of that shape; NumPy sorts ten times as fast as PyTorch."""
    out.copy_(tile)
    if tile.device.type != "cpu":
        return torch.sort(out, dim=1).values
    out.numpy().sort(axis=1)
    return out
