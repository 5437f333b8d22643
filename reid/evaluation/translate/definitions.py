"""Average precisions and rank-1s that go by the same names elsewhere: pure functions of the ranks of true matches.

``ranks`` are ascending 1-based places [M] int64 of a query's true matches, as ``match_ranks`` returns them, M >= 1.
"""

from __future__ import annotations

import numpy as np

from reid.evaluation.labels import Ints


def mean_over_hits(ranks: Ints, k: int) -> float:
    """Mean of the precision at those matches that are among the first k, 0 where none is: the others cost nothing.

    >>> mean_over_hits(np.array([1, 3, 9]), k=5)  # (1/1 + 2/3) / 2
    0.8333333333333333
    """
    hits = ranks[ranks <= k]
    return float(np.mean(np.arange(1, len(hits) + 1) / hits)) if len(hits) else 0.0


def at_r(ranks: Ints) -> float:
    """MAP@R: 1/M sum of the precision at those matches that are among the first M.

    Musgrave et al., A Metric Learning Reality Check, ECCV 2020, section 3.2.

    >>> round(at_r(np.array([1, 3, 9])), 12)  # (1/1 + 2/3 + 0) / 3
    0.555555555556
    """
    hits = ranks[ranks <= len(ranks)]
    return float(np.sum(np.arange(1, len(hits) + 1) / hits)) / len(ranks)


def before_all_others(ranks: Ints) -> float:
    """The share of the matches that precede every other image.

    >>> before_all_others(np.array([1, 2, 4, 9]))
    0.5
    """
    return float(np.mean(ranks == np.arange(1, len(ranks) + 1)))
