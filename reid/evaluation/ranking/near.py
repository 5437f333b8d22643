"""Scores by definition of many pairs whose gallery rows lie close together, as a collapsed network's do.

With m a point amid these rows and d = g - m, which float64 holds exactly,

    sum(q * g) = sum(q * m) + sum(q * d).

The first sum is one for a whole query and is kept as two float64 numbers. The second is short, and so is the error of a
plain float64 product for it: far less than a last digit of the whole. So nearly every sum is rounded as ``math.fsum``
rounds it for the price of a product; where the error could tip the rounding, ``scores`` decides.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray

from reid.evaluation.ranking.matches import sampled_products
from reid.evaluation.ranking.scores import Floats, Ints, Rows, pair_scores, rounded_sums, row_norms

_U = 2.0**-53
_FEW = 16  # pairs a query that are scored as fast without
_PART = 256  # rows whose differences are checked at a time


def near_scores(query: Rows, images: Rows, i: Ints, j: Ints) -> Floats:
    """The cosine of ``query[i[n]]`` and ``images[j[n]]`` by definition for every n: float64 [N].

    Args:
        query: [Q, D] float32.
        images: [G, D] float32.
        i: [N], ascending; no pair twice.
        j: [N].

    >>> near_scores(np.float32([[1, 0]]), np.float32([[3, 4], [0, 0]]), np.array([0, 0]), np.arange(2)).tolist()
    [0.6, 0.0]
    """
    used, place = np.unique(i, return_inverse=True)
    if len(i) < _FEW * len(used):
        return pair_scores(query, images, i, j, "cosine")
    q, g = query[used].astype(np.float64), images.astype(np.float64)
    m = g[j[len(j) // 2]]
    d = g - m
    exact = np.concatenate([_exact(g[k : k + _PART], m, d[k : k + _PART]) for k in range(0, len(g), _PART)])
    q_norms, d_norms, g_norms = (np.sqrt(np.einsum("nd,nd->n", rows, rows)) for rows in (q, d, g))
    # of the product, in any order of summing: Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 3.1
    doubt = (query.shape[1] + 4) * _U * q_norms[place] * d_norms[j]
    if not exact[j].all() or (8 * doubt > _U * q_norms[place] * g_norms[j]).mean() > 0.5:
        return pair_scores(query, images, i, j, "cosine")
    terms = q * m
    high = rounded_sums(terms)
    low = np.array([math.fsum([*row, -total]) for row, total in zip(terms.tolist(), high.tolist(), strict=True)])
    edges = np.searchsorted(place, np.arange(len(used) + 1))
    a, b = high[place], low[place] + sampled_products(torch.from_numpy(q), torch.from_numpy(d), edges, j)
    sums = a + b
    of_b = sums - a
    lost = (a - (sums - of_b)) + (b - of_b)
    doubt += 4 * _U * (np.abs(b) + np.abs(lost) + _U * np.abs(a))  # of b itself, and of the ends of the interval
    unsure = (sums + (lost - doubt) != sums) | (sums + (lost + doubt) != sums)
    step = max(1, _PART * 256 // query.shape[1])
    lengths = row_norms(query, i, step) * row_norms(images, j, step)
    scores = np.divide(sums, lengths, out=np.zeros(len(i)), where=lengths > 0)
    scores[unsure] = pair_scores(query, images, i[unsure], j[unsure], "cosine")
    return scores


def _exact(g: Floats, m: Floats, d: Floats) -> NDArray[np.bool_]:
    """[n] whether the row d is g - m to the last digit (Knuth's TwoSum finds what a difference lost)."""
    rounded = d - g
    return ((g - (d - rounded)) == (m + rounded)).all(1)
