"""One tile of queries and gallery rows: which cells may beat a match, and how many surely do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from reid.evaluation.labels import Ints
from reid.evaluation.ranking.matches import Matches
from reid.evaluation.ranking.products import Encoded, Product
from reid.evaluation.ranking.settle import count_below

_FEW = 12  # cells a row that are cheaper to score one by one in float64 than to multiply the row once more
_FLOAT32 = 2.0**-20  # sixteen roundings of a tile's numbers, as a fraction of the largest
_FINITE = 3e38


@dataclass(frozen=True, eq=False)
class Columns:
    """A gallery block as the sieve sees it: encoded rows and, for each, c and a bound on |y|; see ``frame``."""

    encoded: Encoded
    offset: Tensor
    slack: Tensor


@dataclass(frozen=True, eq=False)
class Ignored:
    """Cells of a tile that play no part: pairs (row, column), rows ascending, and columns of the row's own group."""

    row: Ints
    column: Ints
    row_group: Tensor | None = None
    column_group: Tensor | None = None

    def blank(self, tile: Tensor, value: float, rows: Ints | None = None) -> None:
        """Put the value into these cells of the whole tile, or of a tile that has ``rows`` of it."""
        row, column = self.row, self.column
        if rows is not None:
            place = np.full(int(max(self.row.max(initial=0), rows.max())) + 1, -1)
            place[rows] = np.arange(len(rows))
            row = place[row]
            row, column = row[row >= 0], column[row >= 0]
        tile[torch.from_numpy(row).to(tile.device), torch.from_numpy(column).to(tile.device)] = value
        if self.row_group is not None and self.column_group is not None:
            groups = self.row_group if rows is None else self.row_group[torch.from_numpy(rows).to(tile.device)]
            tile.masked_fill_(groups[:, None] == self.column_group, value)


def sieve(
    product: Product, x: Encoded, y: Columns, ignored: Ignored, matches: Matches, a: slice
) -> tuple[Ints, Ints, Ints]:
    """Find the cells of a tile whose place is open, and count the others.

    Args:
        product: the arithmetic of ``x`` and ``y``.
        x: the n encoded queries ``a``.
        y: the m gallery rows.
        ignored: cells to leave out.
        matches: whose ``counted`` takes what is sure.
        a: the active queries.

    Returns:
        (row, column, beaten): the open cells, rows ascending, and how many of its query's worst matches each was
        counted for already.
    """
    # in float64 numbers of the frame; divided by the unit, of the tile
    unit = x.unit.double()
    slack = torch.from_numpy(matches.slack[a]).to(unit.device).max() + y.slack.max()
    worst = torch.from_numpy(matches.scores[matches.starts[:-1][a]]).to(unit.device)
    rounding = _FLOAT32 * (x.norm.max() * y.encoded.norm + y.offset.abs())
    raised = y.offset + product.coarse_error(x, y.encoded) + rounding
    tile, kept = product.coarse(x, y.encoded, raised)
    ignored.blank(tile, -torch.inf)
    limit = _down((worst - 3 * slack) / unit)
    top = tile.amax(1)
    rows = torch.nonzero(top >= limit)[:, 0]
    if not len(rows):
        return _none()
    near = torch.ge(tile[rows], limit[rows, None], out=torch.empty(len(rows), tile.shape[1], device=tile.device))
    ignored.blank(near, 0.0, rows.cpu().numpy())  # a limit may be as low as the blanks
    many = near.sum(1) > _FEW
    row, column = torch.nonzero(near[~many], as_tuple=True)
    few = rows[~many][row].cpu().numpy(), column.cpu().numpy(), np.zeros(len(row), dtype=np.int64)
    if not many.any():
        return few
    top = top.double() * unit
    found = _fine(product, x, y, kept, raised, ignored, matches, a.start, rows[many], top, 3 * slack, rounding)
    together = [np.concatenate(parts) for parts in zip(few, found, strict=True)]
    order = np.argsort(together[0], kind="stable")
    return together[0][order], together[1][order], together[2][order]


def _fine(
    product: Product,
    x: Encoded,
    y: Columns,
    kept: Tensor,
    raised: Tensor,
    ignored: Ignored,
    matches: Matches,
    first: int,
    rows: Tensor,
    top: Tensor,
    slack: Tensor,
    rounding: Tensor,
) -> tuple[Ints, Ints, Ints]:
    """The same for ``rows`` in which many cells are near, by the finer product."""
    # which matches of a row are in reach; rows with the most of them first, so that a match number takes the first few
    index = rows.cpu().numpy()
    starts, counts = matches.starts[first + index], np.diff(matches.starts)[first + index]
    depth = int(counts.max())
    number = np.arange(depth)
    scores = np.full((len(index), depth), np.inf)
    inside = number < counts[:, None]
    scores[inside] = matches.scores[(starts[:, None] + number)[inside]]
    reach = (scores <= (top[rows].cpu().numpy() + float(slack))[:, None]).sum(1)
    order = np.argsort(-reach, kind="stable")
    index, starts, reach, scores = index[order], starts[order], reach[order], scores[order]
    rows = rows[torch.from_numpy(order).to(rows.device)]

    chosen = x.take(rows)
    unit = chosen.unit.double()
    tile = product.fine(chosen, y.encoded, kept[rows], raised, y.offset)
    ignored.blank(tile, -torch.inf, index)
    margin = float((product.fine_error(chosen, y.encoded) + rounding).max() + slack)
    at = torch.from_numpy(scores).to(unit.device)
    low = _down((at - margin) / unit[:, None])
    high = _up((at + margin) / unit[:, None]).clamp_(min=-_FINITE)
    open_cells = torch.zeros_like(tile)
    flags, sure = torch.empty_like(tile), torch.empty_like(tile)
    for r in range(int(reach.max(initial=0))):
        n = int(np.searchsorted(-reach, -r))  # rows with more than r in reach
        maybe = torch.ge(tile[:n], low[:n, r, None], out=flags[:n])
        certain = torch.ge(tile[:n], high[:n, r, None], out=sure[:n])
        counted = certain.sum(1)
        matches.counted[starts[:n] + r] += counted.cpu().numpy().astype(np.int64)
        if (maybe.sum(1) > counted).any():
            open_cells[:n] += maybe.sub_(certain)
    ignored.blank(open_cells, 0.0, index)
    row, column = torch.nonzero(open_cells, as_tuple=True)
    values = tile[row, column]
    at_row = row.cpu().numpy()
    begin = at_row * depth
    beaten = count_below(high.ravel().cpu().numpy(), begin, begin + depth, values.cpu().numpy(), strict=False)
    return index[at_row], column.cpu().numpy(), beaten


def _none() -> tuple[Ints, Ints, Ints]:
    empty = np.zeros(0, dtype=np.int64)
    return empty, empty, empty


def _down(values: Tensor) -> Tensor:
    short = values.float()
    return torch.nextafter(short, torch.full_like(short, -torch.inf))


def _up(values: Tensor) -> Tensor:
    short = values.float()
    return torch.nextafter(short, torch.full_like(short, torch.inf))
