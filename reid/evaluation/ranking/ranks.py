"""The exact rank of every true match.

With the scores that ``scores`` defines,

    rank(m) = 1 + #{j not ignored: score_j > score_m, or score_j == score_m and j < m}

so a tie goes to the lower gallery index, as in a stable sort. Only negatives that beat some match of their query can
matter, and most are far from that. So the gallery passes a block at a time, and no row of scores is ever kept:

1. the matches are scored, in float32, and those close to each other better (``matches.py``);
2. every block is multiplied with the queries in cheap arithmetic with a proven error (``products.py``), in a frame
   that keeps this error small (``frame.py``). What may beat a match is a *cell*. A row with few of them has them scored
   in float32; a row with many is multiplied in float32 as a whole and counted without looking at any (``sieve.py``).
   Cells that are closer to a match than float32 can tell wait and are scored in float64 in another pass, and what is
   open then is settled by the definition (``settle.py``).

A collapsed network's rows are too close for step 2: ``copies.py`` and ``near.py`` count them by definition at once.

A network so weak that most rows have many cells, which some rows of the first block tell, has every row counted as a
whole.

What is kept is a count for each match, a norm for each gallery row, and the cells that wait.
"""

from __future__ import annotations

import numpy as np
import torch

from reid.errors import UserError
from reid.evaluation.gallery import Gallery
from reid.evaluation.labels import Ints
from reid.evaluation.pairs import Pairs
from reid.evaluation.precision import full_float32
from reid.evaluation.ranking.block import ByRow, BySieve, weak
from reid.evaluation.ranking.copies import count_copies, distinct_rows
from reid.evaluation.ranking.frame import Frame, typical
from reid.evaluation.ranking.ignored import Blanks
from reid.evaluation.ranking.matches import Matches
from reid.evaluation.ranking.near import Near, count_near
from reid.evaluation.ranking.products import BFloat16, Float32, Int8, Product, int8_is_exact, int8_pays
from reid.evaluation.ranking.rounding import bounds_hold, quiet_sampling
from reid.evaluation.ranking.scores import Distance, Rows
from reid.evaluation.ranking.settle import Settler

ROUTES = ("auto", "int8", "bfloat16", "float32")
_NUMBERS = 2**21  # of a gallery block, 8 MiB in float32
_WIDEST = 4096  # rows of a block at most
_SAMPLE = 512  # rows that show where the gallery lies


@full_float32()
@quiet_sampling()
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
    _, rows = next(gallery.blocks(block_rows))
    sample = typical(rows[:: max(1, len(rows) // _SAMPLE)], distance)
    frame = Frame.of(sample, distance)
    matches = Matches(query, gallery, pairs, frame, block_rows)
    if not len(matches.queries):
        return matches.ranks(len(query))
    near = None
    if frame.tight and distance == "cosine":
        near = Near(query[matches.queries], sample.double().mean(0).float().cpu().numpy())
    _rank(matches, gallery, pairs, near, product, block_rows, patient=route != "auto")
    return matches.ranks(len(query))


def _rank(
    matches: Matches,
    gallery: Gallery,
    pairs: Pairs,
    near: Near | None,
    product: Product,
    block_rows: int,
    *,
    patient: bool,
) -> None:
    """Count for every match the negatives above it.

    Args:
        matches: whose counts grow.
        gallery: the rows.
        pairs: whom to ignore.
        near: how a collapsed network's rows are counted.
        product: the arithmetic of the first product.
        block_rows: gallery rows at a time.
        patient: use this product even if the network is weak.
    """
    way: BySieve | ByRow | None = None  # a collapsed network needs none
    blanks = Blanks(pairs, matches.queries, gallery.device)
    settler = Settler(matches)
    sides, most = (matches, settler, blanks), min(block_rows, gallery.rows)
    for first, rows in gallery.blocks(block_rows):
        kept = np.flatnonzero(~pairs.left_out[first : first + len(rows)])
        part = rows if len(kept) == len(rows) else rows[torch.from_numpy(kept).to(rows.device)]
        if not len(kept):
            continue
        if not blanks.groups and (few := distinct_rows(part)):
            ignored = blanks.block(first + kept)
            count_copies(matches, part.cpu().numpy(), few, first + kept, ignored)
            continue
        if near and (block := near.block(part.cpu().numpy())):
            matches.define(np.arange(len(matches.gallery)))
            ignored = blanks.block(first + kept)
            for a, tile in near.tiles(block, part.device):
                ignored.part(a).blank(tile)
                count_near(tile, first + kept, matches, a)
            continue
        if way is None:
            by_row = not patient and weak(matches, blanks, product, part, first + kept)
            way = ByRow(*sides, most) if by_row else BySieve(*sides, product, most)
        way.block(part, first + kept)
    del way  # what follows has needs of its own
    settler.finish()


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
