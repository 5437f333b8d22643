"""Embeddings and labels in, one ``Evaluation`` out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid.errors import UserError
from reid.evaluation.inputs import Inputs, check_inputs
from reid.evaluation.metrics import average_precision, cumulative_matching, inverse_negative_penalty
from reid.evaluation.protocol import Ints, Protocol
from reid.evaluation.ranking import match_ranks
from reid.evaluation.uncertainty import Interval, confidence_interval

_ABSENT = "identity not in the gallery"
_SAME_CAMERA = "identity only in the query's own camera"


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The ranks of all true matches and the metrics that follow from them, all as fractions.

    Queries without a match are left out of every mean, and counted.

    Attributes:
        protocol: the rules applied.
        distance: "cosine" or "euclidean".
        cmc: [G] float64, G the gallery's size; index 0 is rank-1.
        ap: [Q] float64 average precisions, NaN where a query has no match.
        inp: [Q] float64 inverse negative penalties, NaN likewise.
        query_pids: [Q] int64, the identity of each query.
        unmatched_reasons: number of queries without a match for each reason; empty where all have one.
    """

    protocol: Protocol
    distance: str
    cmc: NDArray[np.float64]
    ap: NDArray[np.float64]
    inp: NDArray[np.float64]
    query_pids: Ints
    unmatched_reasons: dict[str, int]
    _ranks: tuple[Ints, ...]

    @property
    def mAP(self) -> float:
        """Mean average precision; see ``metrics.average_precision``."""
        return float(np.nanmean(self.ap))

    @property
    def mINP(self) -> float:
        """Mean inverse negative penalty; see ``metrics.inverse_negative_penalty``."""
        return float(np.nanmean(self.inp))

    @property
    def queries(self) -> int:
        """Number of queries, those without a match included."""
        return len(self.ap)

    @property
    def queries_without_match(self) -> int:
        """Number of queries left out of the means."""
        return int(np.isnan(self.ap).sum())

    @property
    def stamp(self) -> str:
        """The protocol and distance in one line; numbers with unlike stamps are not comparable."""
        return self.protocol.stamp(self.distance)

    def match_ranks(self, query: int) -> Ints:
        """Ascending 1-based ranks of one query's true matches, junk left out; int64, empty without a match."""
        return self._ranks[query]

    def rank(self, k: int) -> float:
        """Fraction of queries with a true match among their first k images; beyond the gallery, among all of it."""
        if k < 1:
            raise UserError(f"rank {k} does not exist; ranks count from 1")
        return float(self.cmc[min(k, len(self.cmc)) - 1])

    def per_query(self, metric: str) -> NDArray[np.float64]:
        """The values whose mean is the metric (mAP, mINP or rank-k): [Q] float64, NaN where a query has no match."""
        if metric in ("mAP", "mINP"):
            return self.ap if metric == "mAP" else self.inp
        if not re.fullmatch(r"rank-[1-9][0-9]*", metric):
            raise UserError(f"metric={metric!r} is unknown; choose mAP, mINP, rank-1, rank-5 or another rank-k")
        k = int(metric.removeprefix("rank-"))
        return np.array([float(ranks[0] <= k) if len(ranks) else np.nan for ranks in self._ranks])

    def confidence_interval(
        self, metric: str = "mAP", level: float = 0.95, resamples: int = 1000, seed: int = 0
    ) -> Interval:
        """Where the metric may lie for other identities; see ``uncertainty.confidence_interval``, edge cases too."""
        values = self.per_query(metric)
        return confidence_interval(values, self.query_pids, level=level, resamples=resamples, seed=seed)

    def to_dict(self) -> dict[str, float | int | str]:
        """The numbers of a results file, ready for JSON; metrics are fractions."""
        return {
            "mAP": self.mAP,
            **{f"rank-{k}": self.rank(k) for k in (1, 5, 10, 20)},
            "mINP": self.mINP,
            "protocol": self.stamp,
            "queries": self.queries,
            "queries_without_match": self.queries_without_match,
        }

    def __str__(self) -> str:
        """A small table in percent, the protocol beneath."""
        metrics = {name: value for name, value in self.to_dict().items() if isinstance(value, float)}
        left_out = "; ".join(f"{count} left out: {reason}" for reason, count in self.unmatched_reasons.items())
        return "\n".join(
            (
                " ".join(f"{name:>8}" for name in metrics),
                " ".join(f"{value:>8.2%}" for value in metrics.values()),
                f"{self.queries} queries" + (f"; {left_out}" if left_out else ""),
                self.stamp,
            )
        )


def evaluate(
    query_features: Any,
    gallery_features: Any,
    *,
    query_pids: Any,
    gallery_pids: Any,
    query_camids: Any = None,
    gallery_camids: Any = None,
    protocol: str | Protocol = "market1501",
    distance: str = "cosine",
) -> Evaluation:
    """Rank the gallery for every query and score the ranks: CMC, mAP and mINP.

    Every rank equals that of a float64 brute force over the float32 features, ties included; ``ranking`` holds the
    definition.

    Args:
        query_features: [Q, D] NumPy array (memory-mapped too) or tensor on any device; converted to float32 rows,
            whatever the dtype.
        gallery_features: [G, D], likewise.
        query_pids: [Q] integers, the identity of each image.
        gallery_pids: [G] integers.
        query_camids: [Q] integers, the camera of each image; only protocols without a camera rule do without.
        gallery_camids: [G] integers, likewise.
        protocol: a name in ``PROTOCOLS`` or a ``Protocol``.
        distance: "cosine" or "euclidean"; features need not be normalised for either.

    Raises:
        UserError: an argument is unknown, empty, of another length or dimension, not finite, or missing; a query has an
            identity reserved for junk or distractors; or no query has a true match.

    >>> result = evaluate(
    ...     np.eye(2), [[1, 0], [1, 1], [0, 1]], query_pids=[1, 2], gallery_pids=[1, 2, 1], protocol="no_camera"
    ... )
    >>> print(result)
         mAP   rank-1   rank-5  rank-10  rank-20     mINP
      66.67%   50.00%  100.00%  100.00%  100.00%   58.33%
    2 queries
    no_camera: junk -1 ignored, no distractors, cameras not considered, AP = mean precision at each true match, cosine
    """
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
    ranks = match_ranks(inputs)
    matched = np.array([len(r) > 0 for r in ranks])
    if not matched.any():
        raise UserError(nothing_to_score(inputs))
    absent = ~matched & ~np.isin(inputs.query_pids, inputs.gallery_pids)
    reasons = {_ABSENT: int(absent.sum()), _SAME_CAMERA: int((~matched & ~absent).sum())}
    return Evaluation(
        protocol=inputs.protocol,
        distance=inputs.distance,
        cmc=cumulative_matching(np.array([r[0] for r in ranks if len(r)]), len(inputs.gallery)),
        ap=np.array([average_precision(r) if len(r) else np.nan for r in ranks]),
        inp=np.array([inverse_negative_penalty(r) if len(r) else np.nan for r in ranks]),
        query_pids=inputs.query_pids,
        unmatched_reasons={reason: count for reason, count in reasons.items() if count},
        _ranks=tuple(ranks),
    )


def check_labels(*, query_pids: Any, gallery_pids: Any, **options: Any) -> None:
    """Raise what ``evaluate`` would raise for these labels and options whatever the features, before there are any."""
    query, gallery = np.zeros((len(query_pids), 1)), np.zeros((len(gallery_pids), 1))
    inputs = check_inputs(query, gallery, query_pids=query_pids, gallery_pids=gallery_pids, **options)
    blocks = (slice(start, start + 64) for start in range(0, len(query), 64))
    if not any(inputs.judge(block)[0].any() for block in blocks):
        raise UserError(nothing_to_score(inputs))


def nothing_to_score(inputs: Inputs) -> str:
    """Say, for queries that all lack a match, why and what to do."""
    absent = ~np.isin(inputs.query_pids, inputs.gallery_pids)
    reasons, ways_out = [], []
    if absent.any():
        first = ", ".join(map(str, np.unique(inputs.query_pids[absent])[:3]))
        reasons.append(f"{absent.sum()} show identities that are not in the gallery (first: {first})")
        ways_out.append("check that query and gallery come from the same split")
    if not absent.all():
        reasons.append(f"{(~absent).sum()} show identities that are there only in the query's own camera")
        ways_out.append("choose protocol='no_camera' if camera ids mean nothing here")
    return f"none of the {len(absent)} queries has a true match: {', '.join(reasons)}; {', or '.join(ways_out)}"
