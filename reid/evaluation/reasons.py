"""Why a query has no true match."""

from __future__ import annotations

import numpy as np

from reid.evaluation.inputs import Inputs
from reid.evaluation.labels import Ints

ABSENT = "identity not in the gallery"
OWN = "identity only in the query image itself"
SEVERAL = "identity only in images that the protocol ignores"
_BY_RULE = {
    "camera": "identity only in the query's own camera",
    "track": "identity only in the query's own track",
    "time": "identity only near the query in time",
    "clothes": "identity only in the query's own clothes",
}


def reasons(inputs: Inputs) -> dict[str, Ints]:
    """The queries without a true match, by reason; reasons without a query are left out.

    A query stands under the first rule that ignores every image of its identity, or under ``SEVERAL`` where it takes
    more than one rule.
    """
    pairs = inputs.pairs
    total = np.diff(pairs.starts)
    left = pairs.matches == 0
    if not left.any():
        return {}
    found = {ABSENT: left & (total == 0)}
    left &= total > 0
    query = pairs.query
    rules = dict(inputs.protocol.rules(inputs.query_labels.take(query), inputs.gallery_labels.take(pairs.gallery)))
    if inputs.query_gallery_index is not None:
        rules = {"own": pairs.gallery == inputs.query_gallery_index[query], **rules}
    for name, ignored in rules.items():
        every = left & (np.bincount(query[ignored], minlength=len(total)) == total)
        found[_BY_RULE.get(name, OWN)] = every
        left &= ~every
    found[SEVERAL] = left
    return {reason: np.flatnonzero(queries) for reason, queries in found.items() if queries.any()}


def nothing_to_score(inputs: Inputs) -> str:
    """Say, for queries that all lack a match, why and what to do."""
    told, ways_out = [], []
    for reason, queries in reasons(inputs).items():
        pids = np.unique(inputs.query_pids[queries])
        if reason == ABSENT:
            told.append(f"{len(queries)} show identities that are not in the gallery (first: {_first(pids)})")
            ways_out.append("check that query and gallery come from the same split")
        else:
            told.append(f"{len(queries)} show identities that are there only {reason.removeprefix('identity only ')}")
            if reason == _BY_RULE["camera"]:
                ways_out.append("choose protocol='no_camera' if camera ids mean nothing here")
            else:
                ways_out.append("choose a protocol that ignores less")
    sides = {"query": inputs.query_pids, "gallery": inputs.gallery_pids}
    ranges = " and ".join(f"{side} identities run from {pids.min()} to {pids.max()}" for side, pids in sides.items())
    return (
        f"none of the {len(inputs.query_pids)} queries has a true match: {', '.join(told)}; {ranges}; "
        f"{', or '.join(dict.fromkeys(ways_out))}"
    )


def _first(pids: Ints) -> str:
    return ", ".join(map(str, pids[:3]))
