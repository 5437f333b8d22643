"""One tile of queries and gallery rows: which cells may beat a match, and how many surely do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from reid.evaluation.labels import Ints
from reid.evaluation.ranking.frame import Short
from reid.evaluation.ranking.ignored import Ignored
from reid.evaluation.ranking.matches import Matches
from reid.evaluation.ranking.products import Encoded, Float32, Product
from reid.evaluation.ranking.settle import count_below

_GROUP = 32  # cells that are looked at as one
_MANY = 0.5  # of a row's groups: one that has cells in more is counted as a whole, which then is the cheaper way
_WORTH = 16  # such rows at least
_CELLS = 2**18  # looked through for the open ones at a time
_FLOAT32 = 2.0**-20  # sixteen roundings of a tile's numbers, as a fraction of the largest
_FINITE = 3e38


@dataclass(frozen=True, eq=False)
class Columns:
    """A gallery block as the sieve sees it.

    Attributes:
        short: its m rows in the frame.
        encoded: the same for the product.
        offset: [m] float64, c of the frame.
        doubt: [m] float64: how far c and a score by definition may be off.
    """

    short: Short
    encoded: Encoded
    offset: Tensor
    doubt: Tensor


@dataclass(frozen=True, eq=False)
class Queries:
    """The active queries as the sieve sees them.

    Attributes:
        encoded: for the product.
        shrink: [A] float32, what divides by the unit of a row.
        limit: [A] float32 in these units: no cell below can beat a match.
    """

    encoded: Encoded
    shrink: Tensor
    limit: Tensor

    @classmethod
    def of(cls, encoded: Encoded, matches: Matches) -> Queries:
        unit = encoded.unit.double()
        worst = matches.scores[matches.starts[:-1]] - matches.slack
        return cls(encoded, unit.reciprocal().float(), _down(torch.from_numpy(worst).to(unit.device) / unit))

    def take(self, a: slice) -> Queries:
        return Queries(self.encoded.take(a), self.shrink[a], self.limit[a])


@dataclass(frozen=True, eq=False)
class Rows:
    """Some rows of a tile in float32, for ``count``.

    Attributes:
        tile: [n, m], ignored cells blank.
        doubt: how far a cell may be off.
    """

    tile: Tensor
    doubt: float


def sieve(product: Product, x: Queries, y: Columns, ignored: Ignored) -> tuple[Ints, Ints, Ints, Rows | None]:
    """Find the cells of a tile that may beat a match.

    Args:
        product: the arithmetic of ``x`` and ``y``.
        x: n queries.
        y: m gallery rows.
        ignored: cells to leave out.

    Returns:
        (row, column, many, their rows): the cells; rows that have too many to be named; and what ``count`` needs of
        these, if the product is fine enough for it.
    """
    # in float64 numbers of the frame; divided by the unit, of the tile
    error = _error(product, x.encoded, y)
    raised = y.offset + error
    tile = torch.empty(len(x.limit), len(raised), device=raised.device)
    product.multiply(x.encoded.code, y.encoded, tile)
    tile.addr_(x.shrink, raised.float())
    ignored.blank(tile)
    row, column, many = _near(tile, x.limit)
    if bool(torch.isinf(x.limit).any()):  # as low as what is blank
        there = ~ignored.among(row, column)
        row, column = row[there], column[there]
    if not (len(many) and isinstance(product, Float32) and raised.abs().max() < _FINITE):
        return row, column, many, None
    own = tile[torch.from_numpy(many).to(tile.device)]
    return row, column, many, Rows(own.add_((y.offset - raised).float()), float(error.max()))


def whole_rows(x: Encoded, y: Columns, ignored: Ignored) -> Rows:
    """The product of n queries and m gallery rows, both encoded for float32."""
    tile = torch.empty(len(x.code), len(y.offset), device=x.code.device)
    Float32().multiply(x.code, y.encoded, tile)
    tile.add_(y.offset.float())
    ignored.blank(tile)
    return Rows(tile, float(_error(Float32(), x, y).max()))


def _error(product: Product, x: Encoded, y: Columns) -> Tensor:
    """[m] float64: how far a cell of the tile may be from the defined score."""
    rounding = _FLOAT32 * (x.norm.max() * y.encoded.norm + y.offset.abs())
    return product.error(x, y.encoded) + rounding + y.doubt


def _near(tile: Tensor, limit: Tensor) -> tuple[Ints, Ints, Ints]:
    """(row, column) of the cells at or above their row's limit, and rows that have them in most groups, apart."""
    edge = tile.shape[1] // _GROUP * _GROUP
    parts = [(0, tile[:, :edge].unflatten(1, (edge // _GROUP, _GROUP))), (edge, tile[:, None, edge:])]
    parts = [(first, groups) for first, groups in parts if groups.shape[1] and groups.shape[2]]
    hits = []
    for _, groups in parts:
        hit = torch.ge(groups.amax(2), limit[:, None]).cpu().numpy()
        hits.append(np.divmod(np.flatnonzero(hit), hit.shape[1]))
    number = sum(np.bincount(row, minlength=len(tile)) for row, _ in hits)
    many = np.flatnonzero(number > _MANY * sum(groups.shape[1] for _, groups in parts))
    if len(many) < _WORTH:
        many = many[:0]
    apart = np.zeros(len(tile), dtype=np.bool_)
    apart[many] = True
    found = [(many[:0], many[:0])]
    for (first, groups), (row, group) in zip(parts, hits, strict=True):
        row, group = row[~apart[row]], group[~apart[row]]
        at = torch.from_numpy(row).to(tile.device)
        cells = groups[at, torch.from_numpy(group).to(tile.device)].cpu().numpy()
        which, inside = np.divmod(np.flatnonzero(cells >= limit[at, None].cpu().numpy()), groups.shape[2])
        found.append((row[which], first + group[which] * _GROUP + inside))
    row, column = (np.concatenate(values) for values in zip(*found, strict=True))
    return row, column, many


def count(rows: Rows, ignored: Ignored, matches: Matches, active: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """Count the negatives of whole rows that surely beat each match, and find the cells that may or may not.

    Args:
        rows: n queries and m gallery rows.
        ignored: cells to leave out.
        matches: whose ``counted`` grows.
        active: [n] the queries' numbers.

    Returns:
        (active query, column, how many of its worst matches it is counted for, how many it may beat) of each such cell.
    """
    tile = rows.tile
    doubt = rows.doubt + matches.slack[active]
    # the matches of a row, and where a cell must be to be surely above each, or perhaps
    starts, counts = matches.starts[active], np.diff(matches.starts)[active]
    number = np.arange(counts.max())
    there = number < counts[:, None]
    slot = (starts[:, None] + number)[there]
    scores = np.full(there.shape, np.inf)
    scores[there] = matches.scores[slot]
    low = _down(torch.from_numpy(scores - doubt[:, None])).to(tile.device)
    high = _up(torch.from_numpy(scores + doubt[:, None])).clamp_(min=-_FINITE).to(tile.device)
    ascending = _sorted(tile)
    surely, perhaps = (tile.shape[1] - torch.searchsorted(ascending, limit).cpu().numpy() for limit in (high, low))
    matches.counted[slot] += surely[there]
    row, column = _between(tile, low, high, *np.nonzero(there & (perhaps > surely)))
    if bool(torch.isneginf(low).any()):
        kept = ~ignored.among(row, column)
        row, column = row[kept], column[kept]
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


def _down(values: Tensor) -> Tensor:
    short = values.float()
    return torch.nextafter(short, torch.full_like(short, -torch.inf))


def _up(values: Tensor) -> Tensor:
    short = values.float()
    return torch.nextafter(short, torch.full_like(short, torch.inf))
