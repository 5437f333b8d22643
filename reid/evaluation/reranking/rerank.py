"""k-reciprocal re-ranking (Zhong et al., Re-ranking Person Re-identification with k-reciprocal Encoding, CVPR 2017).

Definition, over all N = Q + G images of query and gallery together; d is the squared Euclidean distance, of unit rows
under cosine (see ``points``), and of images at equal distance the one with the lower index is nearer, queries first:

    u(i, j)    = d(i, j) / max_l d(i, l)                      each row by its own maximum; 0 where all d are 0
    N(i, k)    = the k + 1 images nearest to i                i itself is one of them, as a rule the first
    R(i, k)    = {j in N(i, k): i in N(j, k)}                 k-reciprocal neighbours
    R*(i)      = R(i, k1) joined with R(j, h) for each j in R(i, k1) of which more than two thirds lie in R(i, k1),
                 where h is k1 / 2 rounded half to even       never with what was joined before
    V(i, j)    = exp(-u(i, j)) for j in R*(i), else 0, divided by the sum over j
    W(i)       = mean of V(j) over the k2 images j nearest to i, i itself included
    jaccard(q, g) = 1 - m / (2 - m),   m = sum_j min(W(q, j), W(g, j))
    distance(q, g) = (1 - lambda) jaccard(q, g) + lambda u(q, g)

These are the semantics of the authors' Python code, which torchreid and reid-strong-baseline took over. What goes under
the same name and differs: the authors' Matlab code looks at round((k1 + 1) / 2) images where this looks at h + 1;
torchreid hands squared Euclidean or cosine distances to code that squares what it gets; fast-reid counts k1 neighbours,
i among them, where this counts k1 + 1, takes exp(-d) without the maximum, and blends with a distance that no maximum
divides; half precision moves distances by 0.004 (reid-strong-baseline) or, where it swaps neighbours, by 0.1 and more
(the authors' version for features); and k1=50, k2=15 is common too.

Nothing of size N x N exists: V and W are sparse, a few dozen images a row, and distances come by blocks of queries.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from reid.errors import UserError
from reid.evaluation.labels import Ints
from reid.evaluation.pairs import Pairs
from reid.evaluation.reranking.neighbours import nearest
from reid.evaluation.reranking.points import Floats32, Points, checked_features
from reid.evaluation.reranking.reciprocal import average, encode, shared

_QUERIES, _FEW = 256, 64  # in a block of distances, and compared by their encodings at a time
_TILE = 1024  # gallery images of one product


@dataclass(frozen=True)
class Rerank:
    """The values of k-reciprocal re-ranking; the defaults are the paper's for Market-1501.

    Attributes:
        k1: neighbours that must be mutual, 1 or more.
        k2: images whose encodings are averaged, 1 or more; 1 averages nothing.
        lambda_value: weight of the original distance, 0 to 1; 1 re-ranks nothing.

    >>> Rerank(k1=50, k2=15).stamp
    'k-reciprocal re-ranking k1=50 k2=15 lambda=0.3'
    """

    k1: int = 20
    k2: int = 6
    lambda_value: float = 0.3

    def __post_init__(self) -> None:
        for name, value in (("k1", self.k1), ("k2", self.k2)):
            if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
                raise UserError(f"{name}={value!r} of re-ranking must be a whole number, 1 or more")
        if not 0 <= self.lambda_value <= 1:
            raise UserError(
                f"lambda_value={self.lambda_value!r} of re-ranking must lie in 0 to 1; 0.3 is usual, 1 re-ranks nothing"
            )

    @property
    def stamp(self) -> str:
        """A few words that stand beside every number made with these values."""
        return f"k-reciprocal re-ranking k1={self.k1} k2={self.k2} lambda={self.lambda_value:g}"


def reranked_distances(
    query_features: Any, gallery_features: Any, rerank: Rerank | None = None, *, distance: str = "cosine"
) -> Iterator[tuple[slice, Floats32]]:
    """Distances after k-reciprocal re-ranking, 0 to 1 but for rounding, smaller is nearer; a block of queries at a time.

    Neighbour lists are exact and distances in float32: within 1e-5 of a dense float64 computation, and 1e-6 as a rule.
    Images that the protocol ignores take part as neighbours, as in the authors' code, for labels are not known yet.

    Args:
        query_features: [Q, D], as for ``evaluate``.
        gallery_features: [G, D], likewise; it stays in memory, for every image is compared with every other.
        rerank: the values; ``Rerank()`` by default.
        distance: "cosine" (rows are divided by their norms first) or "euclidean".

    Returns:
        An iterator of (queries, distances), consecutive slices of 0..Q and float32 [queries, G] arrays.

    Raises:
        UserError: features are wrong as for ``evaluate``, or the distance is unknown.

    >>> features = np.array([[0.0], [1.0], [1.0], [7.0], [8.0]])
    >>> for queries, distances in reranked_distances(features[:1], features[1:], Rerank(k1=2, k2=1), distance="euclidean"):
    ...     print(queries, distances.round(2))
    slice(0, 1, None) [[0.02 0.02 0.93 1.  ]]
    """  # noqa: E501
    query, gallery = checked_features(query_features, gallery_features, distance)
    return _distance_blocks(query, gallery, rerank or Rerank(), distance)


def reranked_match_ranks(
    query: Floats32, gallery: Floats32, pairs: Pairs, rerank: Rerank, distance: str = "cosine"
) -> list[Ints]:
    """Rank every true match by the distances of ``reranked_distances``; a tie goes to the lower gallery index.

    Args:
        query: [Q, D] float32, ``Inputs.query``.
        gallery: [G, D] float32, ``Inputs.gallery``.
        pairs: the gallery images of each query's identity, which of them match, and what is ignored: ``Inputs.pairs``.
        rerank: the values.
        distance: "cosine" or "euclidean".

    Returns:
        One ascending int64 array of 1-based ranks a query; empty where the query has no match.
    """
    ranks = []
    for queries, block in _distance_blocks(query, gallery, rerank, distance):
        for i, row in zip(range(queries.start, queries.stop), block, strict=True):
            own = slice(pairs.starts[i], pairs.starts[i + 1])
            same, match = pairs.gallery[own], pairs.match[own]
            row[pairs.left_out] = np.inf
            if pairs.query_group is not None and pairs.gallery_group is not None:
                row[pairs.gallery_group == pairs.query_group[i]] = np.inf
            row[same[~match]] = np.inf
            ranks.append(_ranks(row, same[np.isfinite(row[same])]))
    return ranks


def _ranks(row: Floats32, matches: Ints) -> Ints:
    """Places of the matches in the stable order of a row: [matches] int64, ascending."""
    ranks = []
    near = np.flatnonzero(row <= row[matches].max(initial=-np.inf))
    close = row[near]
    for match in matches:
        ties = close[: np.searchsorted(near, match)] == row[match]
        ranks.append(1 + np.count_nonzero(close < row[match]) + np.count_nonzero(ties))
    return np.sort(np.array(ranks, dtype=np.int64))


def _distance_blocks(
    query: Floats32, gallery: Floats32, rerank: Rerank, distance: str
) -> Iterator[tuple[slice, Floats32]]:
    points = Points(query, gallery, distance)
    near, farthest = nearest(points, max(rerank.k1 + 1, rerank.k2))
    lists, farthest = near[points.inverse], farthest[points.inverse]
    scale = np.divide(1, farthest, out=np.zeros_like(farthest), where=farthest > 0)
    encoded = average(encode(points, lists, scale, rerank.k1), lists[:, : rerank.k2])
    columns = encoded.transposed(len(query))
    for start in range(0, len(query), _QUERIES):
        queries = slice(start, min(start + _QUERIES, len(query)))
        block = _plain(points, queries, np.float32(rerank.lambda_value) * scale[queries, None])
        for first in range(queries.start, queries.stop, _FEW):
            few = np.arange(first, min(first + _FEW, queries.stop))
            jaccard = shared(encoded, few, columns, len(gallery))
            np.minimum(jaccard, 1, out=jaccard)  # rounding
            jaccard /= 2 - jaccard
            np.subtract(1, jaccard, out=jaccard)
            jaccard *= np.float32(1 - rerank.lambda_value)
            block[few - start] += jaccard
        yield queries, block


def _plain(points: Points, queries: slice, weight: Floats32) -> Floats32:
    """Squared distances of some queries to the gallery, [queries, G], each row times its ``weight`` [queries, 1].

    Equal gallery rows get equal distances to the last bit, wherever a matrix product places them.
    """
    skip = points.queries
    block = np.empty((len(weight), len(points.inverse) - skip), dtype=np.float32)
    left, squares = -2 * weight * points.of_images(queries), np.square(points.norms).astype(np.float32)[points.inverse]
    for first in range(skip, len(points.inverse), _TILE):
        images = slice(first, min(first + _TILE, len(points.inverse)))
        product = left @ points.of_images(images).T
        product += weight * squares[queries, None]
        product += weight * squares[images]
        np.maximum(product, 0, out=block[:, first - skip : images.stop - skip])
    block[:, points.copies] = block[:, points.originals]
    return block
