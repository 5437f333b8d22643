"""One gallery block and all queries."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from reid.evaluation.labels import Ints
from reid.evaluation.ranking.frame import Frame
from reid.evaluation.ranking.ignored import Ignored
from reid.evaluation.ranking.matches import Matches
from reid.evaluation.ranking.products import Encoded, Float32, Product
from reid.evaluation.ranking.settle import Settler
from reid.evaluation.ranking.sieve import GROUP, Columns, Queries, sieve
from reid.evaluation.ranking.whole import Rows, count

_CELLS = 2**21  # of a tile, 8 MiB
_PART = 2**18  # numbers encoded at a time: what that needs is several times as much as its result


def columns_of(frame: Frame, product: Product, rows: Tensor, norms: Tensor | None) -> Columns:
    """A block of [m, D] float32 rows, whose ``norms`` may be known."""
    short = frame.short(rows, norms)
    size = max(1, _PART // rows.shape[1] // GROUP) * GROUP
    parts = [short.take(slice(start, start + size)) for start in range(0, len(rows), size)]
    encoded = Encoded.join([product.encode(part, GROUP) for part in parts])
    offset, doubt = frame.offsets(short)
    return Columns(short, encoded, offset, doubt + frame.slack(*(torch.zeros_like(short.norm),) * 2, short.norm))


def count_block(
    matches: Matches,
    settler: Settler,
    queries: Queries,
    product: Product | None,
    rows: Tensor,
    columns: Columns,
    ignored: Ignored,
    gallery: Ints,
) -> int:
    """Count a block's negatives, or hand them to the settler.

    Args:
        matches: whose counts grow.
        settler: for cells too close to a match.
        queries: all that are active.
        product: the arithmetic of the first product; None counts every row as a whole, in float32.
        rows: [m, D] float32, the block.
        columns: the same, encoded.
        ignored: cells to leave out.
        gallery: [m] indices of the rows.

    Returns:
        How many queries were counted as a whole.
    """
    named, weak = [(np.zeros(0, dtype=np.int64),) * 2], 0
    height = max(1, _CELLS // len(gallery))
    plain = columns if product is None or isinstance(product, Float32) else None
    for start in range(0, len(matches.queries), height):
        a = slice(start, min(start + height, len(matches.queries)))
        x, inside, many, tile = queries.take(a), ignored.part(a), np.arange(a.stop - a.start), None
        if product is not None:
            row, column, many, tile = sieve(product, x, columns, inside)
            named.append((start + row, column))
        if not len(many):
            continue
        weak += len(many)
        active = start + many
        own = x.encoded
        if product is not None:
            inside = inside.take(many)
        if tile is not None and isinstance(product, Float32):
            tile = tile[torch.from_numpy(many).to(rows.device)]
        elif product is not None:
            own, tile = Float32().encode(matches.frame.short(matches.rows(active))), None
        plain = plain or replace(columns, encoded=Float32().encode(columns.short))
        a_open, column, low, high = count(Rows.of(own, plain, inside, tile), matches, active)
        settler.open(a_open, gallery[column], low, high)
    a_near, column = (np.concatenate(values) for values in zip(*named, strict=True))
    order = np.argsort(a_near, kind="stable")
    a_near, column = a_near[order], column[order]
    if matches.frame.pairs == torch.float32:
        scores, slack = matches.in_float32(a_near, columns.short, columns.offset, column)
    else:
        scores, slack = matches.in_float64(a_near, rows, column)
    settler.place(a_near, gallery[column], scores, slack)
    return weak
