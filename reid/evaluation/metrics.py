"""CMC, average precision and inverse negative penalty: pure functions of the ranks of true matches.

Ranks are 1-based places in a query's gallery, junk left out, in ascending order: what ``match_ranks`` returns.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reid.errors import UserError
from reid.evaluation.protocol import Ints


def average_precision(ranks: Ints) -> float:
    """Mean of the precision at each true match: AP = 1/M sum_n n / rank_n, n = 1..M.

    Its mean over queries is the mAP of Zheng et al., Scalable Person Re-identification: A Benchmark, ICCV 2015. The
    Matlab script published with that paper averages neighbouring precisions (the trapezoid rule) and so reports
    slightly less; this is the rule of later work and of ``Protocol.stamp``.

    Args:
        ranks: [M] int64, ascending, M >= 1.

    Returns:
        A fraction in (0, 1]; 1 where all matches precede all others.

    Raises:
        UserError: ``ranks`` is empty or not ascending from 1 or more.

    >>> average_precision(np.array([1, 3]))  # (1/1 + 2/3) / 2
    0.8333333333333333
    """
    _check(ranks)
    return float(np.mean(np.arange(1, len(ranks) + 1) / ranks))


def inverse_negative_penalty(ranks: Ints) -> float:
    """How early the hardest match comes: INP = M / rank_M, the matches over the rank of the last of them.

    Its mean over queries is the mINP of Ye et al., Deep Learning for Person Re-identification: A Survey and Outlook,
    TPAMI 2021.

    Args:
        ranks: [M] int64, ascending, M >= 1.

    Returns:
        A fraction in (0, 1]; 1 where all matches precede all others.

    Raises:
        UserError: ``ranks`` is empty or not ascending from 1 or more.

    >>> inverse_negative_penalty(np.array([1, 3, 10]))
    0.3
    """
    _check(ranks)
    return len(ranks) / int(ranks[-1])


def cumulative_matching(first_ranks: Ints, length: int) -> NDArray[np.float64]:
    """CMC: the fraction of queries whose first true match comes at rank k or before, CMC_k = 1/Q #{q: rank_q1 <= k}.

    The curve for several true matches a query, as in Zheng et al., ICCV 2015: only the first of them counts.

    Args:
        first_ranks: [Q] int64, the rank of each query's first match, in any order, Q >= 1.
        length: number of ranks in the curve.

    Returns:
        [length] float64, ascending; index 0 is rank-1.

    Raises:
        UserError: ``first_ranks`` is empty or holds a rank below 1, or ``length`` is below 1.

    >>> cumulative_matching(np.array([1, 3, 1, 9]), 4).tolist()
    [0.5, 0.5, 0.75, 0.75]
    """
    if length < 1:
        raise UserError(f"length={length} of a CMC curve must be 1 or more")
    _check(np.unique(first_ranks))
    hits = np.bincount(np.minimum(first_ranks, length + 1), minlength=length + 2)
    return np.cumsum(hits[1 : length + 1]) / len(first_ranks)


def _check(ranks: Ints) -> None:
    if len(ranks) == 0:
        raise UserError("ranks are empty: a query without a true match has no score; leave it out and count it")
    if ranks[0] < 1 or (np.diff(ranks) <= 0).any():
        raise UserError("ranks must be 1 or more and strictly ascending; sort them, counting from 1")
