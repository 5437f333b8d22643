"""One gallery block and all queries."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from reid.evaluation.labels import Ints
from reid.evaluation.ranking.frame import Frame
from reid.evaluation.ranking.ignored import Blanks
from reid.evaluation.ranking.matches import Matches
from reid.evaluation.ranking.products import Encoded, Float32, Product
from reid.evaluation.ranking.settle import Settler
from reid.evaluation.ranking.sieve import GROUP, Columns, Queries, sieve
from reid.evaluation.ranking.whole import Rows, count

_CELLS = 2**21  # of a tile, 8 MiB
_SORTED = 2**19  # of one that is counted as a whole, with several of its size beside it
_WEAK = 0.5  # of a tile's rows: where more are counted as a whole, float32 is the shorter way at once
_PART = 2**18  # numbers encoded at a time: what that needs is several times as much as its result


def columns_of(frame: Frame, product: Product, rows: Tensor, norms: Tensor | None, space: Tensor) -> Columns:
    """A block of [m, D] float32 rows, whose ``norms`` may be known; what is as large is in ``space``."""
    short = frame.short(rows, norms, space)
    size = max(1, _PART // rows.shape[1] // GROUP) * GROUP
    parts = [short.take(slice(start, start + size)) for start in range(0, len(rows), size)]
    encoded = Encoded.join([product.encode(part, GROUP) for part in parts])
    offset, doubt = frame.offsets(short)
    return Columns(short, encoded, offset, doubt + frame.slack(*(torch.zeros_like(short.norm),) * 2, short.norm))


def count_block(
    matches: Matches,
    settler: Settler,
    blanks: Blanks,
    queries: Queries,
    product: Product | None,
    rows: Tensor,
    gallery: Ints,
    space: Tensor,
    *,
    patient: bool,
) -> bool:
    """Count a block's negatives, or hand them to the settler.

    Args:
        matches: whose counts grow.
        settler: for cells too close to a match.
        blanks: cells to leave out.
        queries: all that are active.
        product: the arithmetic of the first product; None counts every row as a whole, in float32.
        rows: [m, D] float32.
        gallery: [m] their indices.
        space: [2, m or more, D] float32, the same memory for every block.
        patient: go on where most rows of the first tile have too many cells to be named.

    Returns:
        False where it did not go on; then nothing was counted.
    """
    norms = matches.norms_of(gallery)
    order = matches.frame.order(rows, norms)
    rows = torch.index_select(rows, 0, order, out=space[0, : len(rows)])
    gallery, norms = gallery[order.cpu().numpy()], None if norms is None else norms[order]
    columns = columns_of(matches.frame, product or Float32(), rows, norms, space[1, : len(rows)])
    ignored = blanks.block(gallery)
    named = [(np.zeros(0, dtype=np.int64),) * 3]
    height = max(1, (_CELLS if product is not None else _SORTED) // len(gallery))
    fine = product is None or isinstance(product, Float32)
    plain = columns if fine else replace(columns, encoded=Float32().encode(columns.short))
    for start in range(0, len(matches.queries), height):
        a = slice(start, min(start + height, len(matches.queries)))
        x, inside, many = queries.take(a), ignored.part(a), np.arange(a.stop - a.start)
        if product is None:
            whole = Rows.of(x.encoded, plain, inside)
        else:
            row, column, many, tile = sieve(product, x, columns, inside)
            if not patient and start == 0 and len(many) > _WEAK * a.stop:
                return False
            named.append((start + row, column, np.zeros_like(row)))
            if not len(many):
                continue
            inside = inside.take(many)
            if fine:
                rows_of = torch.from_numpy(many).to(tile.device)
                whole = Rows.of(x.encoded.take(rows_of), plain, inside, tile[rows_of])
            else:
                own = Float32().encode(matches.frame.short(matches.rows(start + many)))
                whole = Rows.of(own, plain, inside)
        active, column, low, high = count(whole, matches, start + many)
        if matches.frame.pairs == torch.float64:
            named.append((active, column, low))
        else:
            settler.open(active, gallery[column], low, high)
    near, column, beaten = (np.concatenate(values) for values in zip(*named, strict=True))
    by_query = np.argsort(near, kind="stable")
    near, column, beaten = near[by_query], column[by_query], beaten[by_query]
    if matches.frame.pairs == torch.float32:
        scores, slack = matches.in_float32(near, columns.short, columns.offset, column)
    else:
        scores, slack = matches.in_float64(near, rows, column)
    settler.place(near, gallery[column], beaten, scores, slack)
    return True
