"""What an evaluation found: ranks, the metrics that follow from them, and the protocol they were made by."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from reid.errors import UserError
from reid.evaluation.cameras import CameraMatrix, camera_matrix
from reid.evaluation.inputs import Inputs
from reid.evaluation.labels import Floats, Ints
from reid.evaluation.protocol import Distance, Protocol
from reid.evaluation.uncertainty import Interval, confidence_interval


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The ranks of all true matches and the metrics that follow from them, all as fractions.

    Queries without a match are left out of every mean, and counted. Where the protocol draws its gallery, every value
    is the mean over the trials, and ``trials`` holds each of them.

    Attributes:
        protocol: the rules applied.
        cmc: [G] float64, G the number of gallery images (tracks, where these are ranked); index 0 is rank-1.
        ap: [Q] float64 average precisions, NaN where a query has no match.
        inp: [Q] float64 inverse negative penalties, NaN likewise.
        query_pids: [Q] int64, the identity of each query.
        unmatched_reasons: number of queries without a match for each reason; empty where all have one.
        trials: one ``Evaluation`` a draw; empty where the whole gallery was ranked.
    """

    protocol: Protocol
    cmc: Floats
    ap: Floats
    inp: Floats
    query_pids: Ints
    unmatched_reasons: dict[str, int]
    _ranks: tuple[Ints, ...]
    trials: tuple[Evaluation, ...] = ()
    _inputs: Inputs | None = field(default=None, repr=False)

    @property
    def distance(self) -> Distance:
        """The protocol's distance."""
        return self.protocol.distance

    @property
    def mAP(self) -> float:
        """Mean average precision; see ``metrics.average_precision``."""
        return _mean(self.ap)

    @property
    def mINP(self) -> float:
        """Mean inverse negative penalty; see ``metrics.inverse_negative_penalty``."""
        return _mean(self.inp)

    @property
    def queries(self) -> int:
        """Number of queries, those without a match included."""
        return len(self.ap)

    @property
    def queries_without_match(self) -> int:
        """Number of queries left out of the means."""
        return int(np.isnan(self.ap).sum())

    @property
    def matches(self) -> Ints:
        """[Q] int64, the number of true matches of each query; over all trials where there are some."""
        if self.trials:
            return np.sum([trial.matches for trial in self.trials], axis=0)
        return np.array([len(ranks) for ranks in self._ranks])

    @property
    def stamp(self) -> str:
        """The protocol in one line; numbers with unlike stamps are not comparable."""
        return self.protocol.stamp

    def match_ranks(self, query: int) -> Ints:
        """Ascending 1-based ranks of one query's true matches, junk left out; int64, empty without a match."""
        if self.trials:
            raise UserError(
                f"{len(self.trials)} galleries were drawn: ask one of them, .trials[0].match_ranks({query})"
            )
        return self._ranks[query]

    def rank(self, k: int) -> float:
        """Fraction of queries with a true match among their first k images; beyond the gallery, among all of it."""
        if k < 1:
            raise UserError(f"rank {k} does not exist; ranks count from 1")
        return float(self.cmc[min(k, len(self.cmc)) - 1])

    def metric(self, name: str) -> float:
        """mAP, mINP or rank-k by its name."""
        return _mean(self.per_query(name))

    def per_query(self, metric: str) -> Floats:
        """The values whose mean is the metric (mAP, mINP or rank-k): [Q] float64, NaN where a query has no match."""
        if metric in ("mAP", "mINP"):
            return self.ap if metric == "mAP" else self.inp
        if not re.fullmatch(r"rank-[1-9][0-9]*", metric):
            raise UserError(f"metric={metric!r} is unknown; choose mAP, mINP, rank-1, rank-5 or another rank-k")
        if self.trials:
            return mean_over_trials([trial.per_query(metric) for trial in self.trials])
        k = int(metric.removeprefix("rank-"))
        return np.array([float(ranks[0] <= k) if len(ranks) else np.nan for ranks in self._ranks])

    def spread(self, metric: str = "mAP") -> float:
        """Standard deviation of the metric over the trials that have it, divided by their number less one.

        Raises:
            UserError: the metric is unknown, or fewer than two galleries were drawn.
        """
        if len(self.trials) < 2:
            raise UserError(
                f"a spread needs two trials or more, and protocol {self.protocol.name} has {len(self.trials)}"
            )
        values = np.array([trial.metric(metric) for trial in self.trials])
        known = values[~np.isnan(values)]
        return float(np.std(known, ddof=1)) if len(known) > 1 else np.nan

    def confidence_interval(
        self, metric: str = "mAP", level: float = 0.95, resamples: int = 1000, seed: int = 0
    ) -> Interval:
        """Where the metric may lie for other identities; see ``uncertainty.confidence_interval``, edge cases too."""
        values = self.per_query(metric)
        return confidence_interval(values, self.query_pids, level=level, resamples=resamples, seed=seed)

    def by_camera(self) -> CameraMatrix:
        """The mAP of every query camera in every gallery camera, ranked when asked for; see ``by_camera``.

        The evaluation holds on to the features it was made of for this, as they were handed in.

        Raises:
            UserError: there are no camera ids, or the gallery was drawn or re-ranked.
        """
        if self._inputs is None:
            raise UserError("no camera matrix: the gallery was drawn or re-ranked, or the evaluation was pickled")
        return camera_matrix(self._inputs)

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: everything but the features."""
        return {**vars(self), "_inputs": None}

    def to_dict(self) -> dict[str, float | int | str]:
        """The numbers of a results file, ready for JSON; metrics are fractions."""
        spread = {"trials": len(self.trials), "mAP_spread": self.spread()} if len(self.trials) > 1 else {}
        return {
            **self._metrics(),
            "protocol": self.stamp,
            "queries": self.queries,
            "queries_without_match": self.queries_without_match,
            **spread,
        }

    def _metrics(self) -> dict[str, float]:
        return {"mAP": self.mAP, **{f"rank-{k}": self.rank(k) for k in (1, 5, 10, 20)}, "mINP": self.mINP}

    def __str__(self) -> str:
        """A small table in percent, the protocol beneath."""
        metrics = self._metrics()
        left_out = "; ".join(f"{count} left out: {reason}" for reason, count in self.unmatched_reasons.items())
        lines = [" ".join(f"{name:>8}" for name in metrics), " ".join(f"{value:>8.2%}" for value in metrics.values())]
        if len(self.trials) > 1:
            lines.append(" ".join(f"{f'+-{100 * self.spread(name):.2f}':>8}" for name in metrics) + "  over the trials")
        return "\n".join((*lines, f"{self.queries} queries" + (f"; {left_out}" if left_out else ""), self.stamp))


def _mean(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(np.mean(known)) if len(known) else np.nan


def mean_over_trials(values: list[Floats]) -> Floats:
    """[Q] the mean of each query over the trials in which it has a match; NaN where it never has one."""
    table = np.array(values)
    known = ~np.isnan(table)
    sums, counts = np.where(known, table, 0).sum(axis=0), known.sum(axis=0)
    return np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
