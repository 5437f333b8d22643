"""Where an evaluation's numbers come from: which identities, which queries, and how far matches and others part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reid.errors import UserError
from reid.evaluation.evaluate import Evaluation
from reid.evaluation.inputs import check_inputs
from reid.evaluation.protocol import Ints, Protocol
from reid.evaluation.tiles import count_pairs

Floats = NDArray[np.float64]
_SHOWN = 20  # identities in a printed table


@dataclass(frozen=True, eq=False)
class IdentityTable:
    """Means over the queries of each identity, as fractions; worst mAP first, a tie to the lower identity.

    Attributes:
        pids: [I] int64, the identities of all queries; those without a matched query come last.
        queries: [I] int64, the queries with a match, over which the means are taken.
        mAP: [I] float64, NaN where no query has a match, and so are the next two.
        rank_1: [I] float64.
        mINP: [I] float64.
        stamp: the protocol and distance.
    """

    pids: Ints
    queries: Ints
    mAP: Floats  # noqa: N815, the field's own spelling
    rank_1: Floats
    mINP: Floats  # noqa: N815
    stamp: str

    def to_dict(self) -> dict[str, Any]:
        """One entry an identity, for JSON; None where no query has a match."""
        rows = zip(self.pids.tolist(), self.queries.tolist(), *self._means(), strict=True)
        names = "pid", "queries", "mAP", "rank-1", "mINP"
        return {"identities": [dict(zip(names, row, strict=True)) for row in rows], "protocol": self.stamp}

    def __str__(self) -> str:
        """The 20 worst identities in percent, the protocol beneath."""
        lines = [f"{'pid':>8} {'queries':>8} {'mAP':>8} {'rank-1':>8} {'mINP':>8}"]
        for pid, count, *means in list(zip(self.pids, self.queries, *self._means(), strict=True))[:_SHOWN]:
            lines.append(f"{pid:>8} {count:>8} " + " ".join(f"{'-' if m is None else f'{m:.2%}':>8}" for m in means))
        if len(self.pids) > _SHOWN:
            lines.append(f"and {len(self.pids) - _SHOWN} more identities")
        return "\n".join((*lines, self.stamp))

    def _means(self) -> list[list[float | None]]:
        columns = self.mAP.tolist(), self.rank_1.tolist(), self.mINP.tolist()
        return [[None if np.isnan(value) else value for value in column] for column in columns]


class HardQuery(NamedTuple):
    """One query that went badly."""

    query: int
    pid: int
    ap: float
    first_rank: int
    matches: int


@dataclass(frozen=True, eq=False)
class ScoreDistributions:
    """Histograms of the scores of match and non-match pairs, and how far apart the two are.

    Attributes:
        edges: [B + 1] float64, ascending; bin b holds the scores in [edges[b], edges[b + 1]).
        matches: [B] int64, the match pairs in each bin.
        nonmatches: [B] int64, the non-match pairs.
        match_mean: mean of the scores themselves, not of the bins, and so are the next three.
        match_std: standard deviation of the population.
        nonmatch_mean: likewise.
        nonmatch_std: likewise.
        stamp: the protocol and distance.
    """

    edges: Floats
    matches: Ints
    nonmatches: Ints
    match_mean: float
    match_std: float
    nonmatch_mean: float
    nonmatch_std: float
    stamp: str

    @property
    def d_prime(self) -> float:
        """The means' distance in common standard deviations: (m1 - m0) / sqrt((s1^2 + s0^2) / 2).

        0 for distributions with one mean; the decidability of Daugman, The Importance of Being Random, Pattern
        Recognition 2003. NaN where neither spreads. It knows two moments only: for the tails see ``verify``.
        """
        spread = np.sqrt((self.match_std**2 + self.nonmatch_std**2) / 2)
        return float((self.match_mean - self.nonmatch_mean) / spread) if spread else np.nan

    def to_dict(self) -> dict[str, Any]:
        """For JSON; None where d' is NaN."""
        plain = {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in vars(self).items()}
        d_prime = None if np.isnan(self.d_prime) else self.d_prime
        return {"protocol": plain.pop("stamp"), "d_prime": d_prime, **plain}

    def __str__(self) -> str:
        """Two lines of moments, d' and the protocol beneath."""
        d_prime = "unknown: neither spreads" if np.isnan(self.d_prime) else f"{self.d_prime:.3f}"
        lines = [f"{'':>10} {'pairs':>14} {'mean':>10} {'std':>10}"]
        for name, counts, mean, std in (
            ("match", self.matches, self.match_mean, self.match_std),
            ("non-match", self.nonmatches, self.nonmatch_mean, self.nonmatch_std),
        ):
            lines.append(f"{name:>10} {counts.sum():>14,} {mean:>10.4g} {std:>10.4g}")
        return "\n".join((*lines, f"d' {d_prime}", self.stamp))


def by_identity(evaluation: Evaluation) -> IdentityTable:
    """Average the queries of each identity: who is hard to find.

    >>> from reid.evaluation import evaluate
    >>> labels = dict(query_pids=[1, 2], gallery_pids=[1, 2, 1], protocol="no_camera")
    >>> print(by_identity(evaluate(np.eye(2), [[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]], **labels)))
         pid  queries      mAP   rank-1     mINP
           2        1   50.00%    0.00%   50.00%
           1        1   83.33%  100.00%   66.67%
    no_camera: junk -1 ignored, no distractors, cameras not considered, AP = mean precision at each true match, cosine
    """
    pids, index = np.unique(evaluation.query_pids, return_inverse=True)
    matched = ~np.isnan(evaluation.ap)
    queries = np.bincount(index[matched], minlength=len(pids))
    columns = []
    for metric in ("mAP", "rank-1", "mINP"):
        sums = np.bincount(index[matched], evaluation.per_query(metric)[matched], minlength=len(pids))
        columns.append(np.divide(sums, queries, out=np.full(len(pids), np.nan), where=queries > 0))
    worst = np.argsort(columns[0], kind="stable")  # NaN goes last
    return IdentityTable(
        pids[worst], queries[worst], columns[0][worst], columns[1][worst], columns[2][worst], evaluation.stamp
    )


def hardest_queries(evaluation: Evaluation, n: int = 10) -> list[HardQuery]:
    """The ``n`` queries of lowest AP, worst first, a tie to the lower index; those without a match are not judged.

    Raises:
        UserError: ``n`` is below 1.

    >>> from reid.evaluation import evaluate
    >>> labels = dict(query_pids=[1, 2], gallery_pids=[1, 2, 1], protocol="no_camera")
    >>> hardest_queries(evaluate(np.eye(2), [[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]], **labels), 1)
    [HardQuery(query=1, pid=2, ap=0.5, first_rank=2, matches=1)]
    """
    if n < 1:
        raise UserError(f"n={n} asks for no query; give 1 or more")
    hardest = []
    for i in np.argsort(evaluation.ap, kind="stable")[: min(n, int((~np.isnan(evaluation.ap)).sum()))]:
        ranks = evaluation.match_ranks(int(i))
        pid, ap = int(evaluation.query_pids[i]), float(evaluation.ap[i])
        hardest.append(HardQuery(int(i), pid, ap, int(ranks[0]), len(ranks)))
    return hardest


def score_distributions(
    query_features: Any,
    gallery_features: Any,
    *,
    query_pids: Any,
    gallery_pids: Any,
    query_camids: Any = None,
    gallery_camids: Any = None,
    protocol: str | Protocol = "market1501",
    distance: str | None = None,
    bins: int = 100,
) -> ScoreDistributions:
    """Histograms of the scores of all match and non-match pairs that the protocol keeps; ``tiles`` defines a score.

    Args:
        query_features: as for ``evaluate``, and so are the others.
        bins: the most there may be; all equally wide, from the lowest to the highest score that occurs.

    Raises:
        UserError: ``bins`` is below 1, no pair matches or every pair does, or an argument is wrong as for ``evaluate``.

    >>> gallery = [[1.0, 0], [4, 3], [3, 4], [0, 1]]
    >>> labels = dict(query_pids=[1], gallery_pids=[1, 1, 2, 2], protocol="no_camera")
    >>> result = score_distributions([[1.0, 0.0]], gallery, **labels, bins=5)
    >>> result.matches, result.nonmatches
    (array([0, 0, 0, 1, 1]), array([1, 0, 1, 0, 0]))
    >>> print(f"d' {result.d_prime:.2f}")
    d' 2.68
    """
    if bins < 1:
        raise UserError(f"bins={bins} must be 1 or more")
    inputs = check_inputs(
        query_features,
        gallery_features,
        query_pids=query_pids,
        gallery_pids=gallery_pids,
        query_camids=query_camids,
        gallery_camids=gallery_camids,
        protocol=protocol,
        distance=distance,
    )
    counts = count_pairs(inputs)
    steps = np.rint((counts.scores - counts.scores[0]) / counts.step).astype(np.int64)
    width = -(-int(steps[-1] + 1) // bins)  # in whole steps, so that no score is split
    bin_of = steps // width
    edges = counts.scores[0] + np.arange(bin_of[-1] + 2) * width * counts.step
    histograms, moments = [], []
    for of_kind in (counts.matches, counts.nonmatches):
        histograms.append(np.bincount(bin_of, of_kind).astype(np.int64))  # float64 sums: exact below 2^53
        mean = float(np.average(counts.scores, weights=of_kind))
        moments += [mean, float(np.sqrt(np.average(np.square(counts.scores - mean), weights=of_kind)))]
    return ScoreDistributions(
        edges,
        histograms[0],
        histograms[1],
        moments[0],
        moments[1],
        moments[2],
        moments[3],
        inputs.protocol.stamp,
    )
