"""The exact rank of every true match.

Definition. For float32 feature rows q and g, with all arithmetic in float64 (NumPy's sum along a row),

    cosine:     score(q, g) = sum(q * g) / (|q| |g|), and 0 where a row is all zeros
    euclidean:  score(q, g) = -sum((q - g)^2)

    rank(m) = 1 + #{j not junk: score_j > score_m, or score_j == score_m and j < m}

so a tie goes to the lower gallery index, as in a stable sort. No gallery is ever sorted: a rank needs two counts.

Scores come from a float64 matrix product, whose rounding depends on where a row happens to lie; a proven bound on that
rounding (`_tolerance`) says which pairs it cannot order, and only those are scored again as the definition says. A
float32 product (FAISS or BLAS) would take half the time, but its bound is 2^29 times wider: on 2048 dimensions it
leaves far more to score again than it saves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from reid.evaluation.inputs import Distance, Inputs
from reid.evaluation.protocol import Ints

Floats = NDArray[np.float64]
_GALLERY_ROWS = 2048  # in float64 at a time


def match_ranks(inputs: Inputs, *, score_bytes: int = 2**26) -> list[Ints]:
    """Rank every true match of every query exactly; see the definition at the top of this file.

    Queries go through in blocks of about ``score_bytes`` of float64 scores (at least one query), and float64 copies of
    the features exist only a block at a time: beyond the features and the ranks, memory is constant for a gallery.

    Returns:
        One ascending int64 array of 1-based ranks a query; empty where the query has no match.
    """
    copies = first_copies(inputs.gallery)
    ranks = []
    for block, scores, tolerance in _score_blocks(inputs, max(1, score_bytes // (8 * len(inputs.gallery)))):
        match, junk = inputs.judge(block)
        scores[junk] = -np.inf  # never counted: every true score is finite
        for query, row, row_match, row_tolerance in zip(inputs.query[block], scores, match, tolerance, strict=True):
            matches = np.flatnonzero(row_match)
            close = _unsettled(row, matches, row_tolerance)
            if close.size:
                row[close] = pair_scores(query, inputs.gallery, copies[close], inputs.distance)
            ranks.append(np.sort(np.array([_rank(row, int(m)) for m in matches], dtype=np.int64)))
    return ranks


def pair_scores(query: NDArray[np.float32], gallery: NDArray[np.float32], rows: Ints, distance: Distance) -> Floats:
    """Score one query [D] against ``gallery[rows]`` in float64 as defined above; [len(rows)], larger is better.

    Every pair is computed alone, so equal rows get equal scores wherever they lie. An index given many times is scored
    once: with the indices of ``first_copies`` the gallery of a collapsed network costs no more than a good one.

    >>> gallery = np.array([[3, 4], [0, 0], [-2, 0]], dtype=np.float32)
    >>> pair_scores(np.float32([1, 0]), gallery, np.arange(3), "cosine").tolist()
    [0.6, 0.0, -1.0]
    >>> pair_scores(np.float32([1, 0]), gallery, np.arange(3), "euclidean").tolist()
    [-20.0, -1.0, -9.0]
    """
    q = np.ascontiguousarray(query, dtype=np.float64)
    rows, repeats = np.unique(rows, return_inverse=True)
    scores = np.zeros(len(rows))
    for start in range(0, len(rows), _GALLERY_ROWS):
        part = slice(start, start + _GALLERY_ROWS)
        g = np.ascontiguousarray(gallery[rows[part]], dtype=np.float64)
        if distance == "euclidean":
            scores[part] = -np.square(g - q).sum(axis=1)
        else:
            norms = np.sqrt(np.square(q).sum()) * np.sqrt(np.square(g).sum(axis=1))
            np.divide((g * q).sum(axis=1), norms, out=scores[part], where=norms > 0)
    return scores[repeats]


def first_copies(rows: NDArray[np.float32]) -> Ints:
    """For each row the index of the first row with the same bytes; [len(rows)] int64.

    >>> first_copies(np.float32([[1, 2], [3, 4], [1, 2]])).tolist()
    [0, 1, 0]
    """
    first: dict[bytes, int] = {}
    return np.array([first.setdefault(hashlib.sha256(row.tobytes()).digest(), i) for i, row in enumerate(rows)])


def _rank(row: Floats, match: int) -> int:
    score = row[match]
    return int(1 + np.count_nonzero(row > score) + np.count_nonzero(row[:match] == score))


def _unsettled(row: Floats, matches: Ints, tolerance: float) -> Ints:
    """Gallery indices whose order with some match is not proven, that match included; [] where every order is.

    Scoring these again settles every rank: all others lie more than a tolerance away from every match, and scoring
    again moves a score by no more than half of one.
    """
    close = np.zeros(len(row), dtype=np.bool_)
    for score in row[matches]:
        near = (row >= score - tolerance) & (row <= score + tolerance)
        if np.count_nonzero(near) > 1:  # the match is always near itself
            close |= near
    return np.flatnonzero(close)


def _score_blocks(inputs: Inputs, queries: int) -> Iterator[tuple[slice, Floats, Floats]]:
    """Yield (block of queries, approximate scores [B, G], tolerance [B]); every block reuses the memory of the scores.

    Cosine is the product of unit rows; euclidean is 2 q.g - |q|^2 - |g|^2.
    """
    count = len(inputs.gallery)
    buffer = np.empty((min(queries, len(inputs.query)), count))
    for start in range(0, len(inputs.query), queries):
        block = slice(start, start + queries)
        q, q_norms = _float64_rows(inputs.query[block], inputs.distance)
        scores = buffer[: len(q)]
        longest = 0.0
        for first in range(0, count, _GALLERY_ROWS):
            part = slice(first, first + _GALLERY_ROWS)
            g, g_norms = _float64_rows(inputs.gallery[part], inputs.distance)
            longest = max(longest, float(g_norms.max()))
            product = q @ g.T
            if inputs.distance == "euclidean":
                product *= 2
                product -= np.square(q_norms)[:, None]
                product -= np.square(g_norms)
            scores[:, part] = product
        yield block, scores, _tolerance(q_norms + longest, q.shape[1])


def _float64_rows(rows: NDArray[np.float32], distance: Distance) -> tuple[Floats, Floats]:
    """Float64 copies of the rows and their norms; for cosine, unit rows (or zeros) and the norms 1."""
    wide = np.ascontiguousarray(rows, dtype=np.float64)
    norms = np.sqrt(np.einsum("nd,nd->n", wide, wide))
    if distance == "cosine":
        wide /= np.where(norms > 0, norms, 1)[:, None]
        norms = np.ones(len(rows))
    return wide, norms


def _tolerance(norms: Floats, dimensions: int) -> Floats:
    """How far apart two approximate scores of one query must lie to prove the order of the two defined scores.

    ``norms`` is |q| + max |g|, [B]. With u = 2^-53, a float64 sum of n products is off by at most n u times the sum of
    their magnitudes, in whatever order, with or without fused steps (Higham, Accuracy and Stability of Numerical
    Algorithms, 2002, section 3.1). Let S = norms^2. Of the true euclidean score the matrix product is off by at most
    (D + 6) u S and the definition by (D + 2) u S, so one from the other by 2 (D + 4) u S; for cosine, where S = 4,
    norms and divisions included, by (D + 2) u S. Two scores need twice the larger; the 16 u S added cover u^2.
    """
    return 4 * (dimensions + 8) * 2.0**-53 * np.square(norms)
