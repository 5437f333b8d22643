"""Who is found more easily: metrics by what is known of the queried people."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from reid.errors import UserError
from reid.evaluation.evaluate import Evaluation
from reid.evaluation.uncertainty import Interval, confidence_interval


@dataclass(frozen=True)
class AttributeRow:
    """Means over the queries whose person has one value of an attribute, as fractions.

    Attributes:
        queries: those with a match, over which the means are taken.
        identities: whom they show.
        interval: of the mAP, for other people of this kind.
    """

    attribute: str
    value: str
    queries: int
    identities: int
    mAP: float  # noqa: N815, the field's own spelling
    rank_1: float
    interval: Interval

    def to_dict(self) -> dict[str, Any]:
        """For JSON; the ends of the interval are None where there is one identity only."""
        ends = [None if np.isnan(end) else end for end in (self.interval.low, self.interval.high)]
        counts = {"queries": self.queries, "identities": self.identities}
        metrics = {"mAP": self.mAP, "rank-1": self.rank_1, "mAP_interval": ends}
        return {"attribute": self.attribute, "value": self.value, **counts, **metrics}


@dataclass(frozen=True)
class AttributeTable:
    """A row for each value of each attribute that a matched query has; ``stamp`` is the protocol."""

    rows: tuple[AttributeRow, ...]
    stamp: str

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"rows": [row.to_dict() for row in self.rows], "protocol": self.stamp}

    def __str__(self) -> str:
        """A line a row, in percent, the protocol beneath."""
        named = [(row.attribute, row.value) for row in self.rows]
        names, values = (max(map(len, column)) for column in zip(("attribute", "value"), *named, strict=True))
        lines = [f"{'attribute':<{names}}  {'value':<{values}} {'queries':>8} {'people':>8} {'mAP':>8} {'rank-1':>8}"]
        lines[0] += "  mAP for other people (95%)"
        for row in self.rows:
            counts = f"{row.queries:>8,} {row.identities:>8,} {row.mAP:>8.2%} {row.rank_1:>8.2%}"
            ends = "-" if np.isnan(row.interval.low) else f"{row.interval.low:.2%} to {row.interval.high:.2%}"
            lines.append(f"{row.attribute:<{names}}  {row.value:<{values}} {counts}  {ends}")
        return "\n".join((*lines, self.stamp))


def by_attribute(evaluation: Evaluation, attributes: Mapping[str, Mapping[str, Collection[int]]]) -> AttributeTable:
    """Average the queries of the people that share a value, as all who carry a backpack.

    The gallery stays whole: strangers of every kind stand between. Values differ in more than what they name, so a gap
    between two of them is no proof that it is the cause.

    Args:
        attributes: attribute -> value -> the identities that have it; those that no query shows do not matter.

    Raises:
        UserError: no query with a match shows any of these identities.

    >>> from reid.evaluation import evaluate
    >>> gallery = [[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
    >>> result = evaluate(np.eye(2), gallery, query_pids=[1, 2], gallery_pids=[1, 2, 1], protocol="no_camera")
    >>> print(by_attribute(result, {"hat": {"no": {1, 5}, "yes": {2}}}))
    attribute  value  queries   people      mAP   rank-1  mAP for other people (95%)
    hat        no           1        1   83.33%  100.00%  -
    hat        yes          1        1   50.00%    0.00%  -
    no_camera: junk -1 ignored, no distractors, cameras not considered, AP = mean precision at each true match, cosine
    """
    ap, hit, pids = evaluation.per_query("mAP"), evaluation.per_query("rank-1"), evaluation.query_pids
    rows = []
    for name, values in attributes.items():
        for value, people in values.items():
            chosen = np.isin(pids, list(people)) & ~np.isnan(ap)
            if chosen.any():
                rows.append(
                    AttributeRow(
                        attribute=name,
                        value=value,
                        queries=int(chosen.sum()),
                        identities=len(np.unique(pids[chosen])),
                        mAP=float(ap[chosen].mean()),
                        rank_1=float(hit[chosen].mean()),
                        interval=confidence_interval(ap[chosen], pids[chosen]),
                    )
                )
    if not rows:
        asked = f"{len(np.unique(pids))} queried people (first: {pids.min()})"
        raise UserError(f"the attributes are of none of the {asked}: do they number people as the data set does?")
    return AttributeTable(tuple(rows), evaluation.stamp)
