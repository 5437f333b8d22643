"""A collapsed network's gallery: rows so close that their scores differ in the last digits only.

Nearly every cell is too close to some match for arithmetic with an error there, so all are scored by definition. With m
a point amid the rows, x = q - m and d = g - m,

    sum(q * g) = sum(q * m) + (sum(g * m) - sum(m * m)) + sum(x * d).

The first sum is one for a whole query, the bracket one for a gallery row; both are kept as two float64 numbers. The
last sum is tiny, and so is the error of a plain float64 product for it: far less than a last digit of the whole. So
nearly every sum is rounded as ``math.fsum`` rounds it; where the error could tip the rounding, ``scores`` decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from reid.evaluation.labels import Floats, Ints
from reid.evaluation.ranking.matches import Matches
from reid.evaluation.ranking.scores import Rows, pair_scores, split_sums

_U = 2.0**-53
_CROWDED = 2.0**30  # last digits between the scores of a query at most; beyond, the usual way is the shorter
_TYPICAL = 0.99  # of the rows; the others cost more time and nothing else
_SMALL = 2**15 - 1  # the largest int16
_CELLS = 3 * 2**17  # of a tile, 3 MiB
_NUMBERS = 2**16  # in a float64 array at a time: it stays in the processor's cache


@dataclass(frozen=True, eq=False)
class Side:
    """Rows and the parts of their scores; all but the rows are float64 [n].

    Attributes:
        rows: [n, D] float32.
        high: the sum of row * m, rounded.
        low: what is missing in ``high``.
        norm: by definition.
        away: |row - m|.
    """

    rows: Rows
    high: Floats
    low: Floats
    norm: Floats
    away: Floats

    @classmethod
    def of(cls, rows: Rows, middle: Floats) -> Side:
        step = max(1, _NUMBERS // rows.shape[1])
        parts = []
        for start in range(0, len(rows), step):
            columns = rows[start : start + step].T.astype(np.float64, order="C")  # as ``split_sums`` wants the terms
            high, low = split_sums((columns * middle[:, None]).T)
            norm = np.sqrt(split_sums(np.square(columns).T)[0])
            away = np.linalg.norm(np.subtract(columns, middle[:, None], out=columns), axis=0)
            parts.append((high, low, norm, away))
        return cls(rows, *(np.concatenate(values) for values in zip(*parts, strict=True)))


class Near:
    """Queries about a point: the cosine by definition of all of them and rows about the same point."""

    def __init__(self, queries: Rows, middle: Rows) -> None:
        """``queries`` are [A, D] float32 and ``middle`` is [D] float32."""
        self._middle = middle.astype(np.float64)
        self._queries = Side.of(queries, self._middle)
        self._self = Side.of(middle[None], self._middle)
        self._away = float(np.quantile(self._queries.away, _TYPICAL))

    def block(self, rows: Rows) -> Side | None:
        """What is needed of [m, D] float32 rows, or None where they are not close enough to be worth it."""
        side = Side.of(rows, self._middle)
        away = float(np.quantile(side.away, _TYPICAL))
        crowded = (away + self._away) * away < _CROWDED * _U * float(self._self.high[0])
        return side if crowded else None

    def tiles(self, block: Side, device: torch.device) -> Iterator[tuple[slice, Tensor]]:
        """Some queries and their scores by definition with a block, [n, m] float64, until all queries are through.

        With u = 2^-53 the product errs by (D + 2) u |x| |d| (Higham, Accuracy and Stability of Numerical Algorithms,
        2002, section 3.1) and by 2 u |x| |d| for x and d; six sums of these terms are rounded, none above
        |x| |d| + |bracket| + 3 u |m| (|q| + |g| + |m|); and ``split_sums`` errs by 2 (D + 64) u of what it loses in
        32 levels at most, u |m| (|q| + |g| + |m|) in each. With |q| <= |x| + |m| and |g| <= |d| + |m| all of this is
        less than ``doubt``. Rounding keeps order: if it takes both ends of an interval to one number, then the real sum
        inside too.
        """

        def put(values: Floats) -> Tensor:
            return torch.from_numpy(values).to(device)

        q, own, width = self._queries, self._self, len(self._middle)
        d, norm = put(block.rows - self._middle).T, put(block.norm)
        bracket = (block.high - own.high) + (block.low - own.low)
        lost = 96 * (width + 64) * _U * own.norm
        d_doubt = put(_U * ((width + 12) * block.away + lost))
        doubts = put(_U * (8 * np.abs(bracket) + lost * (block.away + 3 * own.norm)))
        of_g = put(bracket)
        height = max(1, _CELLS // len(block.rows))
        for start in range(0, len(q.rows), height):
            a = slice(start, min(start + height, len(q.rows)))
            short = (put(q.rows[a] - self._middle) @ d).add_(of_g).add_(put(q.low[a, None]))
            doubt = torch.addr(doubts, put(q.away[a]), d_doubt)
            scores = (short - doubt).add_(put(q.high[a, None]))
            width_of = short.add_(doubt).add_(put(q.high[a, None])).sub_(scores)  # of the interval: mostly none
            rows = torch.nonzero(width_of.sum(1))[:, 0]
            i, j = torch.nonzero(width_of[rows], as_tuple=True)
            i = rows[i]
            scores.div_(torch.mul(put(q.norm[a, None]), norm, out=doubt))
            scores[i, j] = put(pair_scores(q.rows[a], block.rows, i.cpu().numpy(), j.cpu().numpy(), "cosine"))
            del short, doubt  # nobody needs them while the scores are counted
            yield a, scores


def count_near(scores: Tensor, gallery: Ints, matches: Matches, a: slice) -> None:
    """Count a tile of negatives for the matches of the active queries ``a``, all of which are defined.

    Args:
        scores: [n, m] float64, by definition; the least number where a cell plays no part. Not what it was afterwards.
        gallery: [m] the columns' gallery indices, ascending.
        matches: whose ``counted`` grows.
        a: n active queries.
    """
    starts, lengths = matches.starts[a], np.diff(matches.starts)[a]
    order = np.argsort(-lengths, kind="stable")  # so that a match number takes the first few rows
    number = np.arange(lengths.max(initial=0))[:, None]
    there = number < lengths[order]
    which = (starts[order] + number)[there]
    row = np.broadcast_to(np.arange(len(order)), there.shape)[there]
    score, image = matches.defined[which], matches.gallery[which]
    limit = np.where(image > gallery[-1], score, np.nextafter(score, np.inf))  # of ties, what comes before
    base = matches.defined[starts]
    kind = _ticks_in(base, limit - base[order][row], len(gallery))
    if kind is not None:
        limit, score = ((values - base[order][row]) / _U for values in (limit, score))
        scores.sub_(torch.from_numpy(base).to(scores.device)[:, None]).mul_(1 / _U)
        scores = scores.clamp_(-_SMALL, _SMALL).to(kind) if kind == torch.int16 else scores.to(kind)
    tile = scores[torch.from_numpy(order).to(scores.device)]
    padded = np.zeros(there.shape)
    padded[there] = limit
    limits, above = torch.from_numpy(padded).to(tile), tile.new_zeros(there.shape)
    flags = torch.empty_like(tile)  # numbers like the tile's: to write and to sum booleans takes longer
    for r, n in enumerate(there.sum(1).tolist()):
        torch.ge(tile[:n], limits[r, :n, None], out=flags[:n])
        torch.sum(flags[:n], 1, dtype=flags.dtype, out=above[r, :n])
    matches.counted[which] += above.cpu().numpy()[there].astype(np.int64)
    amid = np.flatnonzero((gallery[0] < image) & (image <= gallery[-1]))
    before = np.searchsorted(gallery, image)
    for part in np.array_split(amid, len(amid) // len(order) + 1):
        matches.counted[which[part]] += _ties(tile, row[part], score[part], before[part], flags)


def _ticks_in(base: Floats, limits: Floats, columns: int) -> torch.dtype | None:
    """The shortest type for scores less the ``base`` of their row, in multiples of 2^-53; None where none will do.

    Near its base a score of about 1 is a whole number of these away, exactly. The type must hold the ``limits`` of the
    matches and count the ``columns``; cells further away stay further, since rounding and clamping keep order.
    """
    furthest = np.abs(limits).max(initial=0.0) / _U
    if base.min(initial=1.0) < 0.75 or furthest >= 2**24:
        return None
    return torch.int16 if max(furthest, columns) < _SMALL - 1 else torch.float32


def _ties(tile: Tensor, row: Ints, score: Floats, before: Ints, space: Tensor) -> Ints:
    """How many cells of each row tie with the score among the first ``before`` columns."""
    at, theirs, end = (torch.from_numpy(values).to(tile.device) for values in (row, score[:, None], before[:, None]))
    chosen = tile[at]
    tied = torch.eq(chosen, theirs.to(tile), out=space[: len(row)])
    column = torch.arange(tile.shape[1], device=tile.device).to(tile)
    before_it = torch.lt(column, end.to(tile), out=chosen)
    return tied.mul_(before_it).sum(1, dtype=tied.dtype).cpu().numpy().astype(np.int64)
