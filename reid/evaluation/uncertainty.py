"""How far chance may have moved a mean over queries: its interval, and the p-value of a paired difference.

Queries of one identity are not independent: an odd coat makes all of them easy. So identities are drawn, never queries,
and all queries of an identity come and go together. Everything here is a function of one value a query (NaN where a
query has no match: left out, as in the means) and of the identity it shows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid.errors import UserError
from reid.evaluation.labels import Floats, Ints

_DRAWS = 2**20  # identities drawn at a time: 10,000 resamples of a large set take no more memory than 1,000


@dataclass(frozen=True)
class Interval:
    """A confidence interval for other identities from where these came; fractions, like the metric itself.

    Attributes:
        low: lower end; NaN where there is one identity only.
        high: upper end, likewise.
        level: the confidence, 0.95 for 95%.
        identities: number of identities that were resampled, those without a matched query left out.
        resamples: how often.
    """

    low: float
    high: float
    level: float
    identities: int
    resamples: int

    def __str__(self) -> str:
        if np.isnan(self.low):
            return "unknown: a single identity says nothing about others"
        return f"{self.low:.2%} to {self.high:.2%} ({100 * self.level:g}%, {self.identities} identities)"


def confidence_interval(
    values: Floats, identities: Ints, *, level: float = 0.95, resamples: int = 1000, seed: int = 0
) -> Interval:
    """Percentile interval of the mean of ``values`` by the cluster bootstrap over identities.

    Each of R resamples draws I identities of the I with replacement, takes every matched query of each (as often as it
    was drawn) and the mean over these queries; the interval runs from the (1 - level) / 2 to the (1 + level) / 2
    quantile of the R means (Davison and Hinkley, Bootstrap Methods and their Application, 1997, sections 3.8 and 5.3;
    Field and Welsh, Bootstrapping Clustered Data, JRSS B 2007). It covers new identities under the same cameras and
    gallery distractors, not another training run.

    With one identity both ends are NaN: nothing is known about the spread between identities. Below some 30 identities
    it is too narrow (Cameron, Gelbach and Miller, Review of Economics and Statistics 2008). Its width is zero where all
    identities score alike, as with a rank-1 of 100%: up to 3 in I of other identities may fail all the same (at 95%,
    the rule of three).

    Args:
        values: [Q] float64, one value a query, NaN where it has no match.
        identities: [Q] int64.
        level: confidence, inside (0, 1).
        resamples: number R of resamples, at least 2 / (1 - level), so that each tail holds one.
        seed: of the draws; the same arguments always give the same interval.

    Raises:
        UserError: ``level`` or ``resamples`` is out of range, lengths differ, or every value is NaN.

    >>> print(confidence_interval(np.array([1.0, 0.5, 0.8, 0.2, np.nan]), np.array([1, 1, 2, 3, 3])))
    20.00% to 80.00% (95%, 3 identities)
    """
    if not 0 < level < 1:
        raise UserError(f"level={level} must lie between 0 and 1; 0.95 asks for a 95% interval")
    fewest = int(np.ceil(round(2 / (1 - level), 6)))
    if resamples < fewest:
        raise UserError(f"resamples={resamples} are too few for level={level}; give {fewest} or more")
    sums, counts = identity_sums(values, identities)
    if len(sums) == 1:
        return Interval(np.nan, np.nan, level, 1, resamples)
    rng = np.random.default_rng(seed)
    means = [
        resampled_means(sums, counts, rng.integers(len(sums), size=(rows, len(sums))))
        for rows in _blocks(resamples, len(sums))
    ]
    low, high = np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), level, len(sums), resamples)


def identity_sums(values: Floats, identities: Ints) -> tuple[Floats, Ints]:
    """(sum, number) of the values that are not NaN, for each identity that has one, in ascending order of identity.

    >>> identity_sums(np.array([0.5, np.nan, 1.0, np.nan, 0.25]), np.array([7, 7, 3, 5, 7]))
    (array([1.  , 0.75]), array([1, 2]))
    """
    if len(values) != len(identities):
        raise UserError(f"{len(values)} values for {len(identities)} identities; give one identity a query")
    matched = ~np.isnan(values)
    if not matched.any():
        raise UserError("every value is NaN: no query has a match, so there is no mean to judge")
    _, index, counts = np.unique(identities[matched], return_inverse=True, return_counts=True)
    return np.bincount(index, weights=values[matched]).astype(np.float64), counts


def resampled_means(sums: Floats, counts: Ints, draws: Ints) -> Floats:
    """Mean over all queries of the identities drawn, for each resample.

    Args:
        sums: [I] float64, as ``identity_sums`` gives them.
        counts: [I] int64, likewise.
        draws: [R, n] int64 indices of identities; one that stands there twice counts twice.

    Returns:
        [R] float64.

    >>> resampled_means(np.array([1.0, 0.75]), np.array([1, 2]), np.array([[0, 0], [0, 1], [1, 1]])).tolist()
    [1.0, 0.5833333333333334, 0.375]
    """
    return sums[draws].sum(axis=1) / counts[draws].sum(axis=1)


def sign_flip_p_value(differences: Floats, identities: Ints, *, flips: int = 9999, seed: int = 0) -> float:
    """Two-sided p-value of a mean paired difference, by flipping the sign of whole identities.

    Were two models equally good, each identity could as well have had their results swapped, all its queries at once.
    So the sum of all differences is set against the sums under random swaps: p = (1 + #{|sum*| >= |sum|}) / (1 + F),
    or, where F allows for every one of the 2^I swaps, the exact share of them. A randomisation test of paired values
    (Smucker, Allan and Carterette, A Comparison of Statistical Significance Tests for Information Retrieval Evaluation,
    CIKM 2007) over clusters (Canay, Romano and Shaikh, Randomization Tests under an Approximate Symmetry Assumption,
    Econometrica 2017), with the + 1 of Phipson and Smyth, SAGMB 2010. Preferred to a p-value read off the bootstrap,
    which is not drawn under the hypothesis of no difference: this one holds its level for any number of identities. It
    cannot go below 2 / 2^I: few identities prove little, and one gives 1.

    Args:
        differences: [Q] float64, one a query, NaN where it has no match.
        identities: [Q] int64.
        flips: number F of random swaps.
        seed: of the swaps.

    Raises:
        UserError: ``flips`` is below 1, lengths differ, or every difference is NaN.

    >>> sign_flip_p_value(np.array([0.1, 0.2, 0.3, 0.1]), np.array([1, 1, 2, 3]))  # 2 of the 8 swaps: none and all
    0.25
    """
    if flips < 1:
        raise UserError(f"flips={flips} must be 1 or more")
    sums, _ = identity_sums(differences, identities)
    rounding = 1e-12 * float(np.nansum(np.abs(differences)))  # swaps that tie on paper count as ties
    sums = sums[np.abs(sums) > rounding]  # swapping nothing changes nothing
    total, count = sums.sum(), len(sums)

    def extreme(swapped: NDArray[np.integer]) -> int:
        return int(np.count_nonzero(np.abs(total - 2 * (swapped @ sums)) >= abs(total) - rounding))

    if 2**count <= flips + 1:
        return extreme(np.arange(2**count)[:, None] >> np.arange(count) & 1) / 2**count
    rng = np.random.default_rng(seed)
    hits = sum(extreme(rng.integers(2, size=(rows, count), dtype=np.int8)) for rows in _blocks(flips, count))
    return (1 + hits) / (1 + flips)


def _blocks(rows: int, width: int) -> list[int]:
    """Split ``rows`` so that a block of them, ``width`` wide, holds about ``_DRAWS`` numbers."""
    most = max(1, _DRAWS // width)
    return [min(most, rows - start) for start in range(0, rows, most)]
