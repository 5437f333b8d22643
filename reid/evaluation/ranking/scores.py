"""The score of a query and a gallery image, by definition; see ``ranking`` for what is done with it.

For float32 rows q and g, all arithmetic in float64, every sum rounded once (``math.fsum``), so that a score depends on
nothing but its two rows, neither on the processor nor on the order of summation:

    cosine:     score(q, g) = sum(q * g) / (sqrt(sum(q * q)) * sqrt(sum(g * g))), and 0 where a row is all zeros
    euclidean:  score(q, g) = -sum((q - g)^2)

A product of two float32 numbers is exact in float64, so the sums of cosine are the real ones, rounded.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Distance = Literal["cosine", "euclidean"]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Rows = NDArray[np.float32]
_NUMBERS = 2**16  # in a float64 array at a time: it stays in the processor's cache


def pair_scores(
    query: Rows, gallery: Rows, i: Ints, j: Ints, distance: Distance, query_norms: Floats | None = None
) -> Floats:
    """Score ``query[i[n]]`` against ``gallery[j[n]]`` for every n: [N] float64, larger is better.

    ``query_norms`` are those of all queries, for who scores them time and again.

    >>> q, g = np.float32([[1, 0]]), np.float32([[3, 4], [0, 0], [-2, 0]])
    >>> pair_scores(q, g, np.array([0, 0, 0]), np.arange(3), "cosine").tolist()
    [0.6, 0.0, -1.0]
    >>> pair_scores(q, g, np.array([0, 0, 0]), np.arange(3), "euclidean").tolist()
    [-20.0, -1.0, -9.0]
    """
    scores, step = np.zeros(len(i)), max(1, _NUMBERS // query.shape[1])
    if distance == "cosine":
        of_query = row_norms(query, i) if query_norms is None else query_norms[i]
        norms = of_query * row_norms(gallery, j)
    for start in range(0, len(i), step):
        part = slice(start, start + step)
        q, g = query[i[part]].astype(np.float64), gallery[j[part]].astype(np.float64)
        if distance == "euclidean":
            scores[part] = -rounded_sums(np.square(q - g))
        else:
            np.divide(rounded_sums(q * g), norms[part], out=scores[part], where=norms[part] > 0)
    return scores


def row_norms(rows: Rows, which: Ints) -> Floats:
    """The norm of ``rows[which[n]]`` for every n, each row looked at once."""
    used, place = np.unique(which, return_inverse=True)
    step = max(1, _NUMBERS // rows.shape[1])
    parts = (rows[used[start : start + step]].T.astype(np.float64, order="C") for start in range(0, len(used), step))
    return np.sqrt(np.concatenate([rounded_sums(np.square(part).T) for part in parts] or [np.zeros(0)]))[place]


def rounded_sums(terms: Floats) -> Floats:
    """``math.fsum`` of every row of [n, D]: the real sum, rounded once; [n] float64.

    >>> rounded_sums(np.array([[1e100, 1.0, -1e100], [0.1, 0.2, 0.3]])).tolist()
    [1.0, 0.6]
    """
    return split_sums(terms)[0]


def split_sums(terms: Floats) -> tuple[Floats, Floats]:
    """(the sum of every row of [n, D] as ``math.fsum`` has it, what it lacks to the real one): [n] float64 both.

    Halves are added to each other, and what each addition loses is kept, exactly (Knuth's TwoSum). Where the lost
    parts, whose own sum is rounded, could tip the result to the next float64, ``math.fsum`` decides. The rest is off by
    at most (D + 64) 2^-52 times the sum of the lost magnitudes, which is at most 2^-53 a level times that of the terms.
    """
    sums = np.ascontiguousarray(terms.T)
    lost, doubt = np.zeros(len(terms)), np.zeros(len(terms))
    while (width := len(sums)) > 1:
        half = width // 2
        a, b = sums[:half], sums[half : 2 * half]
        total = a + b
        of_b = total - a
        left = (a - (total - of_b)) + (b - of_b)
        lost += left.sum(axis=0)
        doubt += np.abs(left, out=left).sum(axis=0)
        sums = np.concatenate([total, sums[2 * half :]]) if width % 2 else total
    results = sums[0] + lost
    rest = (sums[0] - results) + lost
    doubt *= (terms.shape[1] + 64) * 2.0**-52
    unsure = np.flatnonzero((results + (rest - doubt) != results) | (results + (rest + doubt) != results))
    for n in unsure:
        results[n] = math.fsum(terms[n].tolist())
    rest[unsure] = (sums[0][unsure] - results[unsure]) + lost[unsure]
    return results, rest


def first_copies(rows: NDArray[Any]) -> Ints:
    """For each row the index of the first row with the same bytes; [len(rows)] int64.

    >>> first_copies(np.float32([[1, 2], [3, 4], [1, 2]])).tolist()
    [0, 1, 0]
    """
    first: dict[bytes, int] = {}
    return np.array([first.setdefault(hashlib.sha256(row.tobytes()).digest(), i) for i, row in enumerate(rows)])
