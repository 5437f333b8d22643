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
from reid.evaluation.ranking.products import Encoded, Product
from reid.evaluation.ranking.rounding import FINITE, down

GROUP = 32  # columns that are looked at as one
_MANY = 0.5  # of a row's groups: one that has cells in more is counted as a whole, which then is the cheaper way
_WORTH = 16  # such rows at least
_FAR = 4  # times the usual error of a column, and
_FEW = 8  # such columns of a block are looked at apart
_FLOAT32 = 2.0**-22  # four roundings of a tile's numbers, as a fraction of the largest


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
    """Active queries as the sieve sees them.

    Attributes:
        encoded: n of them, for the product.
        limit: [n] float64 in the frame: no score below can beat a match.
    """

    encoded: Encoded
    limit: Tensor

    @classmethod
    def of(cls, encoded: Encoded, matches: Matches, active: Ints | slice = slice(None)) -> Queries:
        worst = (matches.scores[matches.starts[:-1]] - matches.slack)[active]
        return cls(encoded, torch.from_numpy(worst).to(encoded.unit.device))

    def take(self, a: slice) -> Queries:
        return Queries(self.encoded.take(a), self.limit[a])


def sieve(product: Product, x: Queries, y: Columns, ignored: Ignored) -> tuple[Ints, Ints, Ints, Tensor]:
    """Find the cells of a tile that may beat a match.

    Args:
        product: the arithmetic of ``x`` and ``y``.
        x: n queries.
        y: m gallery rows; those of a group have one unit, and offsets that are close, or the sieve is coarse.
        ignored: cells to leave out.

    Returns:
        (row, column, many, tile): the cells; rows that have too many to be named; and the product, [n, m] in its own
        numbers, good until the next one.
    """
    error = Error.of(product, y)
    most = [_most(values) for values in (y.offset + error.fixed, error.of_norm, error.of_error)]
    shrink, share = x.encoded.unit.double().reciprocal(), y.encoded.unit[::GROUP].double().reciprocal()
    # a cell counts if unit_i unit_j tile_ij + offset_j + error_ij >= limit_i
    left = torch.stack([x.limit, -torch.ones_like(shrink), -x.encoded.norm, -x.encoded.error], dim=1)
    limit = (left * shrink[:, None]) @ (torch.stack([torch.ones_like(share), *most]) * share)
    tile = product.tile(x.encoded.code, y.encoded.code)
    ignored.blank(tile)
    if not tile.is_floating_point():
        return *_near(tile, limit.ceil_().clamp_(1 - 2**31, 2**31 - 1).to(tile.dtype)), tile
    return *_near(tile, down(limit).clamp_(min=-FINITE)), tile


@dataclass(frozen=True, eq=False)
class Error:
    """How far cell (i, j) may be from the defined score: ``|x_i| of_norm_j + error_i of_error_j + fixed_j``.

    That is |x| |s| + |r| |y'|, see ``products``, with |y'| <= |y| + |s|, and what is lost in multiplying, in rounding
    and in the offset. All are [m] float64.
    """

    of_norm: Tensor
    of_error: Tensor
    fixed: Tensor

    @classmethod
    def of(cls, product: Product, y: Columns) -> Error:
        far = y.encoded.norm + y.encoded.error
        share = product.loss(y.encoded.code.shape[1]) + _FLOAT32
        return cls(y.encoded.error + share * far, (1 + share) * far, _FLOAT32 * y.offset.abs() + y.doubt)

    def far(self) -> tuple[Tensor, Tensor]:
        """(the few columns whose errors are far larger than usual, the others)."""
        far = self.of_norm > _FAR * self.of_norm.median()
        if int(far.sum()) > _FEW:
            far = torch.zeros_like(far)
        return torch.nonzero(far)[:, 0], torch.nonzero(~far)[:, 0]

    def rows(self, x: Encoded, columns: Tensor) -> Tensor:
        """[n] float64: the same for all of these columns."""
        of_norm, of_error, fixed = (values[columns].max() for values in (self.of_norm, self.of_error, self.fixed))
        return x.norm * of_norm + x.error * of_error + fixed


def _most(values: Tensor) -> Tensor:
    """The largest of every group."""
    return torch.nn.functional.pad(values, (0, -len(values) % GROUP), value=-torch.inf).view(-1, GROUP).amax(1)


def _near(tile: Tensor, limit: Tensor) -> tuple[Ints, Ints, Ints]:
    """(row, column) of the cells at or above their group's limit, and rows that have them in most groups, apart."""
    edge = tile.shape[1] // GROUP * GROUP
    whole, rest = tile[:, :edge].unflatten(1, (edge // GROUP, GROUP)), tile[:, None, edge:]
    parts = [(0, whole, limit[:, : edge // GROUP]), (edge, rest, limit[:, edge // GROUP :])]
    parts = [(first, groups, least) for first, groups, least in parts if groups.shape[1] and groups.shape[2]]
    hits = []
    for _, groups, least in parts:
        hit = torch.ge(groups.amax(2), least).cpu().numpy()
        hits.append(np.divmod(np.flatnonzero(hit), hit.shape[1]))
    number = sum(np.bincount(row, minlength=len(tile)) for row, _ in hits)
    many = np.flatnonzero(number > _MANY * limit.shape[1])
    if len(many) < _WORTH:
        many = many[:0]
    apart = np.zeros(len(tile), dtype=np.bool_)
    apart[many] = True
    found = [(many[:0], many[:0])]
    for (first, groups, least), (row, group) in zip(parts, hits, strict=True):
        row, group = row[~apart[row]], group[~apart[row]]
        at, of = (torch.from_numpy(values).to(tile.device) for values in (row, group))
        cells, lowest = groups[at, of].cpu().numpy(), least[at, of, None].cpu().numpy()
        which, inside = np.divmod(np.flatnonzero(cells >= lowest), groups.shape[2])
        found.append((row[which], first + group[which] * GROUP + inside))
    row, column = (np.concatenate(values) for values in zip(*found, strict=True))
    return row, column, many
