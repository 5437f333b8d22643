"""CMC, average precision and inverse negative penalty: pure functions of the ranks of true matches.

Ranks are 1-based places in a query's gallery, junk left out, in ascending order: what ``match_ranks`` returns.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid.errors import UserError
from reid.evaluation.labels import Floats, Ints
from reid.evaluation.protocol import APRule


def average_precision(ranks: Ints, rule: APRule = "precision_at_hit") -> float:
    """Area under the precision-recall curve of one query with M true matches, the n-th at rank_n.

    "precision_at_hit": AP = 1/M sum_n n / rank_n, the mean of the precision at each true match, as in nearly all work
    since Zheng et al., Scalable Person Re-identification: A Benchmark, ICCV 2015.

    "trapezoid": each term is averaged with the precision just before it, AP = 1/M sum_n (b_n + n / rank_n) / 2 with
    b_n = (n - 1) / (rank_n - 1), and 1 where rank_n = 1. The rule of Philbin et al., Object Retrieval with Large
    Vocabularies and Fast Spatial Matching, CVPR 2007 (Oxford buildings), and of the MATLAB script published with
    Market-1501. It is never above the other.

    Args:
        ranks: [M] int64, ascending, M >= 1.
        rule: one of the two.

    Returns:
        A fraction in (0, 1]; 1 where all matches precede all others.

    Raises:
        UserError: ``ranks`` is empty or not ascending from 1 or more.

    >>> average_precision(np.array([1, 3]))  # (1/1 + 2/3) / 2
    0.8333333333333333
    >>> average_precision(np.array([1, 3]), "trapezoid")  # ((1 + 1/1) / 2 + (1/2 + 2/3) / 2) / 2
    0.7916666666666666
    """
    _check(ranks)
    return float(average_precisions(ranks, np.array([len(ranks)]), rule)[0])


def average_precisions(ranks: Ints, counts: Ints, rule: APRule = "precision_at_hit") -> Floats:
    """``average_precision`` of many queries at once, unchecked.

    Args:
        ranks: [P] int64, the ranks of all queries, query by query, ascending within a query.
        counts: [Q] int64, how many of them belong to each; they sum to P.
        rule: as there.

    Returns:
        [Q] float64, NaN for a query without a match.

    >>> average_precisions(np.array([1, 3, 2]), np.array([2, 0, 1])).tolist()
    [0.8333333333333333, nan, 0.5]
    """
    number = np.arange(1, len(ranks) + 1) - np.repeat(np.cumsum(counts) - counts, counts)
    precision = number / ranks
    if rule == "trapezoid":
        before = np.where(ranks > 1, (number - 1) / np.maximum(ranks - 1, 1), 1)
        precision = (before + precision) / 2
    sums = np.bincount(np.repeat(np.arange(len(counts)), counts), weights=precision, minlength=len(counts))
    return _share(sums, counts)


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
    return float(inverse_negative_penalties(ranks, np.array([len(ranks)]))[0])


def inverse_negative_penalties(ranks: Ints, counts: Ints) -> Floats:
    """``inverse_negative_penalty`` of many queries at once, unchecked; as for ``average_precisions``.

    >>> inverse_negative_penalties(np.array([1, 3, 2]), np.array([2, 0, 1])).tolist()
    [0.6666666666666666, nan, 0.5]
    """
    last = np.ones(len(counts), dtype=np.int64)
    last[counts > 0] = ranks[np.cumsum(counts)[counts > 0] - 1]
    return _share(counts / last, np.minimum(counts, 1))


def cumulative_matching(first_ranks: Ints, length: int) -> Floats:
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


def _share(sums: NDArray[Any], counts: Ints) -> Floats:
    return np.divide(sums, counts, out=np.full(len(counts), np.nan), where=counts > 0)


def _check(ranks: Ints) -> None:
    if len(ranks) == 0:
        raise UserError("ranks are empty: a query without a true match has no score; leave it out and count it")
    if ranks[0] < 1 or (np.diff(ranks) <= 0).any():
        raise UserError("ranks must be 1 or more and strictly ascending; sort them, counting from 1")
