"""The exact rank of every true match.

With the scores that ``scores`` defines,

    rank(m) = 1 + #{j not ignored: score_j > score_m, or score_j == score_m and j < m}

so a tie goes to the lower gallery index, as in a stable sort. Only negatives that beat some match of their query can
matter, and most are far from that. So the gallery passes twice, a block at a time, and no row of scores is ever kept:

1. the matches are scored, in float64 (``matches.py``);
2. every block is multiplied with the queries in cheap arithmetic with a proven error (``products.py``), in a frame
   that keeps this error small (``frame.py``). What may beat a match is a *cell*. A row with few of them has them scored
   in float32; a row with many is multiplied in float32 as a whole and counted without looking at any (``sieve.py``).
   Cells that are closer to a match than float32 can tell are scored in float64, and what is open then is settled by the
   definition (``settle.py``).

A collapsed network's rows are too close for step 2: ``copies.py`` and ``near.py`` count them by definition at once.

What is kept is a count for each match: memory does not depend on the gallery's length.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from reid.errors import UserError
from reid.evaluation.gallery import Gallery
from reid.evaluation.labels import Ints
from reid.evaluation.pairs import Pairs
from reid.evaluation.precision import full_float32
from reid.evaluation.ranking.copies import count_copies, distinct_rows
from reid.evaluation.ranking.frame import Frame, Short
from reid.evaluation.ranking.ignored import Blanks
from reid.evaluation.ranking.matches import Matches
from reid.evaluation.ranking.near import Near, count_near
from reid.evaluation.ranking.products import BFloat16, Encoded, Float32, Int8, Product, int8_is_exact, int8_pays
from reid.evaluation.ranking.rounding import bounds_hold
from reid.evaluation.ranking.scores import Distance, Rows
from reid.evaluation.ranking.settle import Cells, Settler
from reid.evaluation.ranking.sieve import Columns, Queries, count, sieve, whole_rows

Part = TypeVar("Part", Encoded, Short)
ROUTES = ("auto", "int8", "bfloat16", "float32")
_NUMBERS = 3 * 2**19  # of a gallery block, 6 MiB in float32
_WIDEST = 2048  # rows of a block at most
_WIDER = 2  # so many blocks at a time while the matches are scored, each with all queries
_CELLS = 2**20  # of a tile, 4 MiB in float32
_PART = 2**18  # numbers encoded at a time
_SAMPLE = 512  # rows that show where the gallery lies
_WEAK = 0.5  # of a block's rows: where more are counted as a whole, float32 is the shorter way at once


@full_float32()
def match_ranks(
    query: Rows,
    gallery: Gallery,
    pairs: Pairs,
    distance: Distance,
    *,
    route: str = "auto",
    block_rows: int | None = None,
) -> list[Ints]:
    """Rank every true match of every query exactly; see the definition at the top of this file.

    Args:
        query: [Q, D] float32.
        gallery: G rows in blocks, on the device that multiplies.
        pairs: who matches whom, and whom to ignore.
        distance: "cosine" or "euclidean".
        route: the arithmetic of the first product, which changes no rank: "int8", "bfloat16", "float32", or "auto" for
            the fastest here. On a GPU it is float32.
        block_rows: gallery rows at a time; changes no rank either.

    Returns:
        One ascending int64 array of 1-based ranks a query; empty where the query has no match.

    Raises:
        UserError: the route is unknown, or this processor's products are not exact enough for it.

    >>> from reid.evaluation.labels import Labels
    >>> from reid.evaluation.pairs import make_pairs
    >>> from reid.evaluation.protocols import PROTOCOLS
    >>> pairs = make_pairs(Labels(np.array([7])), Labels(np.array([8, 7])), PROTOCOLS["no_camera"])
    >>> match_ranks(np.float32([[1, 0]]), Gallery.of(np.float32([[3, 1], [1, 1]])), pairs, "cosine")
    [array([2])]
    """
    product = _product(route, gallery.width, gallery.device)
    block_rows = block_rows or int(np.clip(_NUMBERS // gallery.width, 256, _WIDEST))
    sample = _sample(gallery, block_rows)
    frame = Frame.of(sample, distance)
    matches = Matches(query, gallery, pairs, frame, _WIDER * block_rows)
    if not len(matches.queries):
        return matches.ranks(len(query))
    queries: Queries | None = None  # of a collapsed network nobody asks
    blanks = Blanks(pairs, matches.queries, gallery.device)
    settler = Settler(matches, frame)
    collapsed = frame.tight and distance == "cosine"
    near = Near(query[matches.queries], sample.double().mean(0).float().cpu().numpy()) if collapsed else None
    for first, rows in gallery.blocks(block_rows):
        kept = np.flatnonzero(~pairs.left_out[first : first + len(rows)])
        part = rows if len(kept) == len(rows) else rows[torch.from_numpy(kept).to(rows.device)]
        if not len(kept):
            continue
        ignored = blanks.block(first, len(rows), kept)
        if ignored.row_group is None and (few := distinct_rows(part)):
            count_copies(matches, part.cpu().numpy(), few, first + kept, ignored, distance)
            continue
        if near and (block := near.block(part.cpu().numpy())):
            matches.define(np.arange(len(matches.gallery)))
            for a, tile in near.tiles(block, part.device):
                ignored.part(a).blank(tile)
                count_near(tile, first + kept, matches, a)
            continue
        if queries is None:
            encoded = _join([product.encode(frame.short(matches.rows(a))) for a in matches.parts()])
            queries = Queries.of(encoded, matches)
        columns = _columns(frame, product, part)
        found, counted, weak = list[Cells](), list[Cells](), 0
        height = max(1, _CELLS // block_rows)
        for start in range(0, len(matches.queries), height):
            a = slice(start, min(start + height, len(matches.queries)))
            inside = ignored.part(a)
            row, column, many, whole = sieve(product, queries.take(a), columns, inside)
            found.append((start + row, column, np.zeros_like(row)))
            if len(many):
                inside = inside.take(many)
                whole = whole or whole_rows(frame.short(matches.rows(start + many)), columns, inside)
                counted.append(count(whole, inside, matches, start + many))
                weak += len(many)
        left = settler.in_float32(_in_order(found), columns.short, columns.offset)
        settler.in_float64(_in_order([left, *counted]), part, first + kept)
        if route == "auto" and not isinstance(product, Float32) and weak > _WEAK * len(matches.queries):
            product, queries = Float32(), None
    settler.finish()
    return matches.ranks(len(query))


def _product(route: str, width: int, device: torch.device) -> Product:
    if route not in ROUTES:
        raise UserError(f"route={route!r} is unknown; choose one of {', '.join(ROUTES)}")
    if device.type != "cpu":
        if route not in ("auto", "float32"):
            raise UserError(f"route={route!r} is proven on the CPU only; choose 'auto', 'float32' or device='cpu'")
        if not bounds_hold(device):
            raise UserError(f"{device} multiplies float32 less exactly than ranks need; choose device='cpu'")
        return Float32()
    narrow = width <= Int8.widest
    if route == "int8" and not (narrow and int8_is_exact()):
        raise UserError("route='int8' needs exact int8 products, which this processor lacks; choose 'auto'")
    if route == "int8" or (route == "auto" and narrow and int8_pays()):
        return Int8()
    return BFloat16() if route == "bfloat16" else Float32()


def _sample(gallery: Gallery, block_rows: int) -> Tensor:
    """Some rows of the first block, evenly spaced."""
    _, rows = next(gallery.blocks(block_rows))
    return rows[:: max(1, len(rows) // _SAMPLE)]


def _columns(frame: Frame, product: Product, rows: Tensor) -> Columns:
    """A gallery block, encoded a part at a time: what that needs meanwhile is several times as much as its result."""
    size = max(1, _PART // rows.shape[1])
    shorts = [frame.short(part) for part in rows.split(size)]
    encoded = _join([product.encode(short) for short in shorts])
    short = _join(shorts)
    offset, doubt = frame.offsets(short)
    return Columns(short, encoded, offset, doubt + frame.slack(*(torch.zeros_like(short.norm),) * 2, short.norm))


def _join(parts: list[Part]) -> Part:
    kind = type(parts[0])
    return kind(*(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(kind)))


def _in_order(found: list[Cells]) -> Cells:
    """All cells, by query."""
    a, column, beaten = (np.concatenate(values) for values in zip(*found, strict=True))
    order = np.argsort(a, kind="stable")
    return a[order], column[order], beaten[order]
