"""Metrics of the ranked lists that an index returns: what a deployed system scores, beside the exact numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from reid.errors import UserError
from reid.evaluation.evaluate import Evaluation, evaluate_inputs
from reid.evaluation.inputs import Inputs, check_inputs
from reid.evaluation.metrics import average_precision, cumulative_matching, inverse_negative_penalty
from reid.evaluation.protocol import Ints, Protocol
from reid.evaluation.search.gallery import GalleryIndex
from reid.evaluation.search.options import IndexOptions

_LIST_BYTES = 2**26  # of the lists and judgements of a block of queries


@dataclass(frozen=True, eq=False)
class IndexEvaluation:
    """Metrics through an index and the exact ones.

    Attributes:
        found: the ``Evaluation`` of the lists that the index returned.
        exact: the ``Evaluation`` of the exact order.
        options: the index.
        depth: images asked for, a query.
        matches: number of true matches of all queries.
        matches_not_found: how many of them no list held. Each query's are ranked last: the last places of its gallery,
            junk left out, which are the worst ranks they could have had.
    """

    found: Evaluation
    exact: Evaluation
    options: IndexOptions
    depth: int
    matches: int
    matches_not_found: int

    @property
    def stamp(self) -> str:
        """The exact evaluation's stamp and the index."""
        return f"{self.exact.stamp}, ranked by FAISS {self.options} to depth {self.depth}"

    def lost(self, metric: str = "mAP") -> float:
        """Exact minus found: a fraction, below 0 where the index was lucky; metric as for ``Evaluation.per_query``."""
        return float(np.nanmean(self.exact.per_query(metric)) - np.nanmean(self.found.per_query(metric)))

    def to_dict(self) -> dict[str, float | int | str]:
        """The numbers of a results file; the exact ones under their names with "exact " before them."""
        exact = {f"exact {name}": value for name, value in _metrics(self.exact).items()}
        misses = {"matches": self.matches, "matches_not_found": self.matches_not_found}
        return {**self.found.to_dict(), **exact, **misses, "protocol": self.stamp}

    def __str__(self) -> str:
        """A small table in percent: through the index, exact, and what was lost; the stamp beneath."""
        found, exact = _metrics(self.found), _metrics(self.exact)
        lost = {name: exact[name] - found[name] for name in found}
        lines = [" " * 5 + "".join(f" {name:>8}" for name in found)]
        for label, row in (("index", found), ("exact", exact), ("lost", lost)):
            lines.append(f"{label:<5}" + "".join(f" {value + 0.0:>8.2%}" for value in row.values()))
        misses = f"{self.matches_not_found} of {self.matches} true matches not found and ranked last"
        return "\n".join([*lines, misses, self.stamp])


def evaluate_index(
    index: str | IndexOptions | GalleryIndex,
    query_features: Any,
    gallery_features: Any,
    *,
    query_pids: Any,
    gallery_pids: Any,
    query_camids: Any = None,
    gallery_camids: Any = None,
    protocol: str | Protocol = "market1501",
    distance: str | None = None,
    depth: int | None = None,
    exact: Evaluation | None = None,
) -> IndexEvaluation:
    """Score the ranked lists of a FAISS index as ``evaluate`` scores the exact order: CMC, mAP and mINP.

    Lists are those of ``GalleryIndex.search``: junk counts towards the depth and is then left out; a true match that
    the index does not return is ranked last and counted. "flat" agrees with ``evaluate`` in every rank but among ties:
    images whose scores float32 sums cannot tell apart.

    Args:
        index: a kind or ``IndexOptions`` to build; or a ``GalleryIndex`` of exactly these gallery features, in order.
        query_features: as for ``evaluate``, and so are the next seven.
        depth: images asked for, a query; by default, and at most, as many as one search weighs
            (``GalleryIndex.reach``): the whole gallery for flat, fp16 and sq8, ``ef_search`` for hnsw (asked for more,
            hnsw would search as with a larger one), what ``nprobe`` cells hold for ivf.
        exact: the ``Evaluation`` of the same arguments, where it is known already.

    Raises:
        UserError: an argument is wrong as for ``evaluate`` or ``GalleryIndex.build``; depth is below 1; or the
            ``GalleryIndex`` does not hold the gallery.

    >>> images = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [-1.0, 0.0]])
    >>> print(evaluate_index("flat", images, images, query_pids=[1, 1, 2, 2], gallery_pids=[1, 1, 2, 2],
    ...                      protocol="no_camera"))
               mAP   rank-1   rank-5  rank-10  rank-20     mINP
    index   93.75%  100.00%  100.00%  100.00%  100.00%   87.50%
    exact   93.75%  100.00%  100.00%  100.00%  100.00%   87.50%
    lost     0.00%    0.00%    0.00%    0.00%    0.00%    0.00%
    0 of 8 true matches not found and ranked last
    no_camera: junk -1 ignored, no distractors, cameras not considered, AP = mean precision at each true match, \
cosine, ranked by FAISS flat to depth 4
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
    if not isinstance(index, GalleryIndex):
        index = GalleryIndex.build(inputs.gallery, inputs.gallery_pids, options=index, distance=inputs.distance)
    return judge_index(index, inputs, exact or evaluate_inputs(inputs), depth)


def judge_index(index: GalleryIndex, inputs: Inputs, exact: Evaluation, depth: int | None = None) -> IndexEvaluation:
    """``evaluate_index`` behind its checks."""
    depth = index.reach if depth is None else min(depth, index.reach)
    ranks, missing = ranks_through(index, inputs, depth)
    return IndexEvaluation(_with_ranks(exact, ranks), exact, index.options, depth, sum(map(len, ranks)), missing)


def ranks_through(index: GalleryIndex, inputs: Inputs, depth: int) -> tuple[list[Ints], int]:
    """The rank of every true match in the lists of an index that holds ``inputs.gallery``, row by row.

    Blocks of queries bound the memory: about 64 MiB, or one query.

    Returns:
        One ascending int64 array of 1-based ranks a query; and how many matches no list held. With N images that are
        not junk for a query, its m matches not found have the ranks N - m + 1 .. N.

    Raises:
        UserError: the index does not hold the gallery, or depth is below 1.
    """
    if depth < 1:
        raise UserError(f"depth={depth} asks for empty lists; give 1 or more")
    if (len(index), index.dimensions, index.distance) != (*inputs.gallery.shape, inputs.distance):
        raise UserError(f"{index} does not hold these {len(inputs.gallery)} gallery images; build it from them")
    ranks, missing = [], 0
    count = len(inputs.gallery)
    block = max(1, _LIST_BYTES // (48 * depth + 4 * count))  # scores, rows and their sorting; two judgements
    for start in range(0, len(inputs.query), block):
        match, junk = inputs.judge(slice(start, start + block))
        _, lists = index.search(inputs.query[start : start + block], depth)
        for rows, is_match, is_junk in zip(lists, match, junk, strict=True):
            rows = rows[rows >= 0]
            kept = rows[~is_junk[rows]]
            hits = 1 + np.flatnonzero(is_match[kept])
            lost = int(np.count_nonzero(is_match)) - len(hits)
            last = count - int(np.count_nonzero(is_junk))
            ranks.append(np.concatenate([hits, np.arange(last - lost + 1, last + 1)]))
            missing += lost
    return ranks, missing


def _with_ranks(exact: Evaluation, ranks: list[Ints]) -> Evaluation:
    """The same evaluation of other ranks: the one place that knows how an ``Evaluation`` is made."""
    return replace(
        exact,
        cmc=cumulative_matching(np.array([r[0] for r in ranks if len(r)]), len(exact.cmc)),
        ap=np.array([average_precision(r) if len(r) else np.nan for r in ranks]),
        inp=np.array([inverse_negative_penalty(r) if len(r) else np.nan for r in ranks]),
        _ranks=tuple(ranks),
        _inputs=None,
    )


def _metrics(evaluation: Evaluation) -> dict[str, float]:
    return {name: value for name, value in evaluation.to_dict().items() if isinstance(value, float)}
