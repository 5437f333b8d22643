"""One gallery block and all queries, in one of two ways."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from reid.evaluation.labels import Ints
from reid.evaluation.ranking.ignored import Blanks
from reid.evaluation.ranking.matches import Matches
from reid.evaluation.ranking.products import Encoded, Float32, Product
from reid.evaluation.ranking.settle import Settler
from reid.evaluation.ranking.sieve import GROUP, Columns, Queries, sieve
from reid.evaluation.ranking.whole import Rows, count

_CELLS = 2**22  # of a tile, 16 MiB: products of few columns want large ones
_WEAK = 0.5  # of the rows of a tile: where more are counted as a whole, float32 is the shorter way at once
_ASKED = 512  # queries and gallery rows that tell whether it is so
_PART = 2**18  # numbers encoded at a time: what that needs is several times as much as its result


class BySieve:
    """Only cells that may beat a match are looked at, and the whole of a row that has many."""

    def __init__(self, matches: Matches, settler: Settler, blanks: Blanks, product: Product, rows: int) -> None:
        """Take the active queries.

        Args:
            matches: whose counts grow.
            settler: for cells too close to a match.
            blanks: cells to leave out.
            product: the arithmetic of the first product.
            rows: of a block at most.
        """
        self._matches, self._settler, self._blanks, self._product = matches, settler, blanks, product
        device, width = matches.frame.mean.device, len(matches.frame.mean)
        self._space = torch.empty(2, rows, width, device=device)  # the same for every block
        self._queries = _queries(matches, product)

    def block(self, rows: Tensor, gallery: Ints) -> None:
        """Count the negatives of [m, D] float32 rows with indices ``gallery`` [m], or give them to the settler."""
        matches, product = self._matches, self._product
        norms = matches.norms_of(gallery)
        order = matches.frame.order(rows, norms)
        rows = torch.index_select(rows, 0, order, out=self._space[0, : len(rows)])
        gallery, norms = gallery[order.cpu().numpy()], None if norms is None else norms[order]
        columns = _columns(matches, product, rows, norms, self._space[1])
        fine = isinstance(product, Float32)
        plain = columns if fine else replace(columns, encoded=Float32().encode(columns.short))
        ignored = self._blanks.block(gallery)
        named = [(np.zeros(0, dtype=np.int64),) * 3]
        for a in _parts(len(matches.queries), _CELLS // len(gallery)):
            x, inside = self._queries.take(a), ignored.part(a)
            row, column, many, tile = sieve(product, x, columns, inside)
            named.append((a.start + row, column, np.zeros_like(row)))
            if not len(many):
                continue
            active, which = a.start + many, torch.from_numpy(many).to(tile.device)
            own = x.encoded.take(which) if fine else Float32().encode(matches.frame.short(matches.rows(active)))
            space = torch.empty(2, len(many) * len(gallery), device=tile.device)
            whole = Rows.of(own, plain, inside.take(many), space, tile[which] if fine else None)
            active, column, low, high = count(whole, matches, active)
            if matches.frame.pairs == torch.float64:
                named.append((active, column, low))
            else:
                self._settler.open(active, gallery[column], low, high)
        _place(matches, self._settler, named, rows, norms, columns, gallery)


class ByRow:
    """Every row is counted as a whole, in float32."""

    def __init__(self, matches: Matches, settler: Settler, blanks: Blanks, rows: int) -> None:
        """Take the active queries; see ``BySieve``."""
        self._matches, self._settler, self._blanks = matches, settler, blanks
        device, width = matches.frame.mean.device, len(matches.frame.mean)
        self._space = torch.empty(rows, width, device=device)
        self._tiles = torch.empty(2, max(rows, min(_CELLS, rows * len(matches.queries))), device=device)
        self._queries = _queries(matches, Float32())

    def block(self, rows: Tensor, gallery: Ints) -> None:
        """The same."""
        matches, norms = self._matches, self._matches.norms_of(gallery)
        columns = _columns(matches, Float32(), rows, norms, self._space)
        ignored, wide = self._blanks.block(gallery), matches.frame.pairs == torch.float64
        named = [(np.zeros(0, dtype=np.int64),) * 3]
        for a in _parts(len(matches.queries), self._tiles.shape[1] // len(gallery)):
            whole = Rows.of(self._queries.take(a).encoded, columns, ignored.part(a), self._tiles)
            active, column, low, high = count(whole, matches, np.arange(a.start, a.stop))
            if wide:
                named.append((active, column, low))
            else:
                self._settler.open(active, gallery[column], low, high)
        if wide:  # too many to wait
            _place(matches, self._settler, named, rows, norms, columns, gallery)


def weak(matches: Matches, blanks: Blanks, product: Product, rows: Tensor, gallery: Ints) -> bool:
    """Have most queries too many cells to be named? Asked of some of them and some of a block's rows."""
    active, some = (
        np.linspace(0, count - 1, min(count, _ASKED)).astype(np.int64) for count in (len(matches.queries), len(rows))
    )
    rows, norms = rows[torch.from_numpy(some).to(rows.device)], matches.norms_of(gallery[some])
    order = matches.frame.order(rows, norms)
    rows, norms, gallery = rows[order], None if norms is None else norms[order], gallery[some][order.cpu().numpy()]
    columns = _columns(matches, product, rows, norms, torch.empty_like(rows))
    x = Queries.of(product.encode(matches.frame.short(matches.rows(active))), matches, active)
    many = sieve(product, x, columns, blanks.block(gallery).take(active))[2]
    return len(many) > _WEAK * len(active)


def _queries(matches: Matches, product: Product) -> Queries:
    parts = (product.encode(matches.frame.short(matches.rows(a))) for a in matches.parts())
    return Queries.of(Encoded.join(parts, len(matches.queries)), matches)


def _columns(matches: Matches, product: Product, rows: Tensor, norms: Tensor | None, space: Tensor) -> Columns:
    """A block of [m, D] float32 rows, whose ``norms`` may be known; what is as large is in ``space``."""
    frame = matches.frame
    short = frame.short(rows, norms, space[: len(rows)])
    size = len(rows) if isinstance(product, Float32) else max(1, _PART // rows.shape[1] // GROUP) * GROUP
    parts = (short.take(slice(start, start + size)) for start in range(0, len(rows), size))
    encoded = Encoded.join((product.encode(part, GROUP) for part in parts), len(rows))
    offset, doubt = frame.offsets(short)
    return Columns(short, encoded, offset, doubt + frame.slack(*(torch.zeros_like(short.norm),) * 2, short.norm))


def _parts(rows: int, size: int) -> list[slice]:
    """So many rows, ``size`` of them at a time or somewhat fewer."""
    count = -(-rows // max(1, size))
    return [slice(rows * n // count, rows * (n + 1) // count) for n in range(count)]


def _place(
    matches: Matches,
    settler: Settler,
    named: Iterable[tuple[Ints, ...]],
    rows: Tensor,
    norms: Tensor | None,
    columns: Columns,
    gallery: Ints,
) -> None:
    """Score named cells, (active query, column, matches it is counted for) each, and place them among the matches."""
    near, column, beaten = (np.concatenate(values) for values in zip(*named, strict=True))
    order = np.argsort(near, kind="stable")
    near, column, beaten = near[order], column[order], beaten[order]
    if matches.frame.pairs == torch.float64:
        scores, slack = matches.in_float64(near, rows, column, norms)
    else:
        scores, slack = matches.in_float32(near, columns.short, columns.offset, column)
    settler.place(near, gallery[column], beaten, scores, slack)
