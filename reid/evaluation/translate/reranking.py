"""k-reciprocal re-ranking as other frameworks have it; what ``rerank`` defines, and where each departs from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from reid.evaluation.inputs import Inputs
from reid.evaluation.labels import Ints
from reid.evaluation.reranking.neighbours import nearest
from reid.evaluation.reranking.points import Floats32, Points
from reid.evaluation.reranking.reciprocal import Lists, Sparse, average, encode, shared
from reid.evaluation.translate.order import places

_QUERIES, _TILE = 64, 1024  # in a block of distances, and gallery images of one product
_LAMBDA = 0.3  # everywhere


@dataclass(frozen=True)
class Variant:
    """In the symbols of ``rerank``.

    Attributes:
        k1, k2: likewise.
        squared_again: u is (d / max d)^2, for the code squares what already is a squared distance.
        counts_itself: N(i, k1) has k1 images with i among them, u is d in V, and 1 - cos = d / 2 where it is blended.
        half: V, W, m and the Jaccard distance are rounded to float16 at each step.
    """

    k1: int = 20
    k2: int = 6
    squared_again: bool = False
    counts_itself: bool = False
    half: bool = False


def match_ranks(inputs: Inputs, variants: list[Variant]) -> list[list[Ints]]:
    """For each variant the ascending 1-based ranks of every query's true matches, ties to the lower gallery index.

    The nearest images are found once for all variants; beyond that, memory and time are those of ``rerank``.
    """
    points = Points(inputs.query, inputs.gallery, inputs.distance)
    near, farthest = nearest(points, max(max(v.k1 + 1, v.k2) for v in variants))
    lists, farthest = near[points.inverse], farthest[points.inverse]
    ranks: list[list[Ints]] = []
    for variant in variants:
        ranks.append([])
        for queries, block in _distances(points, lists, farthest, variant):
            match, junk = inputs.judge(queries)
            for row, matches, ignored in zip(block, match, junk, strict=True):
                ranks[-1].append(places(row, np.flatnonzero(matches), np.flatnonzero(ignored)))
    return ranks


class _SquaredAgain(Points):
    """Points whose distances ``encode`` finds squared."""

    def __init__(self, points: Points) -> None:
        self.__dict__.update(vars(points))

    def squared(self, points: Ints, counts: Ints, others: Ints) -> Floats32:
        return np.square(super().squared(points, counts, others))


def _distances(points: Points, lists: Lists, farthest: Floats32, variant: Variant) -> Iterator[tuple[slice, Floats32]]:
    """Yield (queries, distances [queries, G])."""
    scale = np.divide(1, farthest, out=np.zeros_like(farthest), where=farthest > 0)
    blend = np.full_like(scale, 0.5) if variant.counts_itself else scale
    encoded = _encoded(points, lists, scale, variant)
    columns, count = encoded.transposed(points.queries), len(points.inverse) - points.queries
    for start in range(0, points.queries, _QUERIES):
        queries = slice(start, min(start + _QUERIES, points.queries))
        rows = np.arange(queries.start, queries.stop)
        block = _squared_distances(points, queries)
        block *= blend[queries, None]
        if variant.squared_again:
            np.square(block, out=block)
        block *= np.float32(_LAMBDA)
        if variant.half:
            common = np.stack([_half_shared(encoded, int(row), columns, count) for row in rows])
        else:
            common = shared(encoded, rows, columns, count)
        block += np.maximum(1 - common / (2 - common), 0) * (1 - _LAMBDA)
        yield queries, block


def _encoded(points: Points, lists: Lists, scale: Floats32, variant: Variant) -> Sparse:
    """W of the variant."""
    if variant.squared_again:
        encoded = encode(_SquaredAgain(points), lists, np.square(scale), variant.k1)
    elif variant.counts_itself:  # k1 = 20 halves to 10, and so does 19: to the even one
        encoded = encode(points, lists, np.ones_like(scale), variant.k1 - 1)
    else:
        encoded = encode(points, lists, scale, variant.k1)
    if not variant.half:
        return average(encoded, lists[:, : variant.k2])
    return _halved(average(_halved(encoded), lists[:, : variant.k2]))


def _squared_distances(points: Points, queries: slice) -> Floats32:
    """[queries, G], in the scale of ``points.rows``."""
    squares = np.square(points.norms).astype(np.float32)[points.inverse]
    rows, skip = points.of_images(queries), points.queries
    block = np.empty((len(rows), len(points.inverse) - skip), dtype=np.float32)
    for first in range(skip, len(points.inverse), _TILE):
        images = slice(first, min(first + _TILE, len(points.inverse)))
        sums = squares[queries, None] + squares[images] - 2 * (rows @ points.of_images(images).T)
        np.maximum(sums, 0, out=block[:, first - skip : images.stop - skip])
    return block


def _halved(encoded: Sparse) -> Sparse:
    return Sparse(encoded.starts, encoded.columns, encoded.values.astype(np.float16).astype(np.float32))


def _half_shared(encoded: Sparse, query: int, columns: Sparse, count: int) -> Any:
    """``shared`` of one query, [count] float16, rounded after every addition, the neighbours in ascending order."""
    sums = np.zeros(count, dtype=np.float16)
    for cell in range(encoded.starts[query], encoded.starts[query + 1]):
        column = encoded.columns[cell]
        found = slice(columns.starts[column], columns.starts[column + 1])
        least = np.minimum(columns.values[found], encoded.values[cell])
        sums[columns.columns[found]] += least.astype(np.float16)
    return sums
