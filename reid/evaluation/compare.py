"""Two evaluations of the same queries side by side: is the difference more than chance, and where does it come from?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reid.errors import UserError
from reid.evaluation.labels import Floats, Ints
from reid.evaluation.result import Evaluation
from reid.evaluation.uncertainty import Interval, confidence_interval, sign_flip_p_value


@dataclass(frozen=True, eq=False)
class Comparison:
    """What changes from evaluation ``a`` to evaluation ``b``; fractions, positive where ``b`` is better.

    Attributes:
        metric: "mAP", "mINP" or "rank-k".
        a: the metric of the first evaluation.
        b: the metric of the second.
        interval: of the difference ``b - a``, paired by query; see ``uncertainty.confidence_interval``.
        p_value: two-sided, of no difference; see ``uncertainty.sign_flip_p_value``.
        changed: [n] int64 indices of the queries whose AP changed most, whatever the metric, largest change first.
        ap_changes: [n] float64, the AP of each under ``b`` less that under ``a``.
        stamp: the protocol of both.
    """

    metric: str
    a: float
    b: float
    interval: Interval
    p_value: float
    changed: Ints
    ap_changes: Floats
    stamp: str

    @property
    def difference(self) -> float:
        """``b - a``."""
        return self.b - self.a

    @property
    def row(self) -> str:
        """The line of this metric in the table that ``str`` gives."""
        low, high = 100 * self.interval.low, 100 * self.interval.high
        interval = "unknown" if np.isnan(low) else f"{low:+.2f} to {high:+.2f}"
        numbers = f"{self.a:>8.2%} {self.b:>8.2%} {100 * self.difference:>+8.2f} {interval:>18} {self.p_value:>7.4f}"
        return f"{self.metric:>8} {numbers}"

    def __str__(self) -> str:
        """A small table in percent, the queries that changed most and the protocol beneath."""
        level = f"{100 * self.interval.level:g}% interval"
        ap_changes = zip(self.changed, self.ap_changes, strict=True)
        return "\n".join(
            (
                f"{'':>8} {'a':>8} {'b':>8} {'b - a':>8} {level:>18} {'p':>7}",
                self.row,
                f"{self.interval.identities} identities: resampled for the interval, swapped for p",
                "AP changed most: " + (", ".join(f"query {i} {100 * d:+.2f}" for i, d in ap_changes) or "none"),
                self.stamp,
            )
        )


def compare(
    a: Evaluation,
    b: Evaluation,
    *,
    metric: str = "mAP",
    level: float = 0.95,
    resamples: int = 1000,
    flips: int = 9999,
    changed: int = 10,
    seed: int = 0,
) -> Comparison:
    """Compare two models on the same queries and gallery, query by query.

    The interval comes from resampling identities, the p-value from swapping the two models' results for whole
    identities; ``uncertainty`` defines both. They are two answers and may part ways near the edge: the p-value is the
    one to test with, the interval says how large the difference may be. Neither knows of the spread between training
    runs: a difference between two runs of one seed each is one of these two sets of weights, not of the methods.

    Args:
        a: the first, say a baseline.
        b: the second; a positive difference means that it is better.
        metric: "mAP", "mINP" or "rank-k" with k of 1 or more.
        level: confidence of the interval.
        resamples: of the bootstrap.
        flips: random swaps behind the p-value, which cannot go below 1 / (1 + flips).
        changed: how many of the queries that changed most to keep, at most; a query that did not change never counts.
        seed: of both; the same arguments always give the same result.

    Raises:
        UserError: the stamps are unlike (the difference is spelled out), the two do not judge the same queries and
            gallery in the same order, the metric is unknown, or a number is out of range.

    >>> from reid.evaluation import evaluate
    >>> labels = dict(query_pids=[1, 2], gallery_pids=[1, 2, 1], protocol="no_camera")
    >>> gallery = [[1.0, 0], [1, 1], [0, 1]]
    >>> print(compare(evaluate(np.eye(2), gallery, **labels), evaluate([[2.0, 1], [1, 1]], gallery, **labels)))
                    a        b    b - a       95% interval       p
         mAP   66.67%   79.17%   +12.50   -25.00 to +50.00  1.0000
    2 identities: resampled for the interval, swapped for p
    AP changed most: query 1 +50.00, query 0 -25.00
    no_camera: junk -1 ignored, no distractors, cameras not considered, AP = mean precision at each true match, cosine
    """
    if changed < 0:
        raise UserError(f"changed={changed} must be 0 or more")
    _refuse_unlike(a, b)
    differences = b.per_query(metric) - a.per_query(metric)
    ap_changes = np.nan_to_num(b.ap - a.ap)
    largest = np.argsort(-np.abs(ap_changes), kind="stable")[:changed]
    largest = largest[ap_changes[largest] != 0]
    return Comparison(
        metric=metric,
        a=a.metric(metric),
        b=b.metric(metric),
        interval=confidence_interval(differences, a.query_pids, level=level, resamples=resamples, seed=seed),
        p_value=sign_flip_p_value(differences, a.query_pids, flips=flips, seed=seed),
        changed=largest,
        ap_changes=ap_changes[largest],
        stamp=a.stamp,
    )


def _refuse_unlike(a: Evaluation, b: Evaluation) -> None:
    """Raise unless both judge the same queries and gallery by the same rules, as far as labels can tell."""
    if a.stamp != b.stamp:
        raise UserError(
            f"numbers with unlike stamps are not comparable: {a.protocol.difference(b.protocol)}; "
            "evaluate both under one protocol and distance"
        )
    if a.queries != b.queries:
        raise UserError(f"a has {a.queries} queries and b {b.queries}; evaluate both on the same queries")
    unlike = a.query_pids != b.query_pids
    if unlike.any():
        i = int(np.argmax(unlike))
        raise UserError(
            f"query {i} shows identity {a.query_pids[i]} in a and {b.query_pids[i]} in b; "
            "evaluate both on the same queries in the same order"
        )
    if len(a.cmc) != len(b.cmc):
        raise UserError(f"a has {len(a.cmc)} gallery images and b {len(b.cmc)}; evaluate both on the same gallery")
    matches = a.matches, b.matches
    if (matches[0] != matches[1]).any():
        i = int(np.argmax(matches[0] != matches[1]))
        raise UserError(
            f"query {i} has {matches[0][i]} true matches in a and {matches[1][i]} in b; "
            "evaluate both on the same gallery and camera ids"
        )
