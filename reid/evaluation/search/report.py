"""What each index costs and gives: recall, mAP lost, bytes a vector, queries a second."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reid.errors import UserError
from reid.evaluation.evaluate import Evaluation, evaluate_inputs
from reid.evaluation.inputs import Inputs, check_inputs
from reid.evaluation.protocol import Ints, Protocol
from reid.evaluation.search.gallery import GalleryIndex
from reid.evaluation.search.judged import judge_index
from reid.evaluation.search.options import KINDS, IndexOptions, as_options


@dataclass(frozen=True)
class SearchRow:
    """One index at one operating point; fractions, bytes of the written FAISS index, seconds."""

    options: IndexOptions
    recall: dict[int, float]
    mAP: float  # noqa: N815
    mAP_lost: float  # noqa: N815
    bytes_per_vector: float
    build_seconds: float
    queries_per_second: float


@dataclass(frozen=True, eq=False)
class SearchReport:
    """Rows in the order asked for, the exact ``Evaluation``; printed, a Markdown table."""

    rows: tuple[SearchRow, ...]
    exact: Evaluation

    def __str__(self) -> str:
        recalls = [f"recall@{k}" for k in self.rows[0].recall]
        columns = ["index", *recalls, "mAP lost, points", "bytes/vector", "build, s", "queries/s"]
        lines = [" | ".join(columns), " | ".join(["---"] + ["---:"] * (len(columns) - 1))]
        for row in self.rows:
            recall = [f"{value:.4f}" for value in row.recall.values()]
            lost = f"{100 * row.mAP_lost + 0.0:.2f}"
            speed = [f"{row.bytes_per_vector:.0f}", f"{row.build_seconds:.1f}", f"{row.queries_per_second:,.0f}"]
            lines.append(" | ".join([str(row.options), *recall, lost, *speed]))
        return "\n".join(f"| {line} |" for line in lines)


def search_report(
    query_features: Any,
    gallery_features: Any,
    *,
    query_pids: Any,
    gallery_pids: Any,
    query_camids: Any = None,
    gallery_camids: Any = None,
    protocol: str | Protocol = "market1501",
    distance: str = "cosine",
    indexes: Sequence[str | IndexOptions] = tuple(KINDS),
    ks: Sequence[int] = (1, 10),
    depth: int | None = None,
) -> SearchReport:
    """Measure indexes on one gallery; neighbours that differ in ``ef_search`` or ``nprobe`` alone share a build.

    recall@k is the share of the k nearest images (FAISS's exact float32 order, junk included) among the k that the
    index returns. queries/s is a search for the largest k with all queries in one call, the better of two
    (the first alone where that took over 5 seconds).

    Args:
        query_features: as for ``evaluate``, and so are the next seven.
        indexes: kinds or ``IndexOptions``; by default every kind at its defaults.
        ks: the k of recall@k.
        depth: of the lists that mAP is taken from, as for ``evaluate_index``.

    Raises:
        UserError: as ``evaluate_index``; ``indexes`` or ``ks`` is empty; or a k is outside 1 .. the gallery's size.

    >>> rng = np.random.default_rng(0)
    >>> images, people = rng.standard_normal((300, 16)), np.repeat(np.arange(1, 61), 5)
    >>> report = search_report(images, images, query_pids=people, gallery_pids=people, protocol="no_camera")
    >>> [row.options.kind for row in report.rows], report.rows[0].recall
    (['flat', 'hnsw', 'ivf_flat', 'ivf_pq', 'sq8', 'fp16'], {1: 1.0, 10: 1.0})
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
    if not indexes or not ks:
        raise UserError("indexes and ks must not be empty; name at least one index and one k")
    for k in ks:
        if not 1 <= k <= len(inputs.gallery):
            raise UserError(f"k={k} of recall@k must be from 1 to the gallery's {len(inputs.gallery)} images")
    exact, nearest = evaluate_inputs(inputs), _build(inputs, IndexOptions("flat")).search(inputs.query, max(ks))[1]
    rows: list[SearchRow] = []
    index, size, built_in = None, 0.0, 0.0
    for options in map(as_options, indexes):
        options = options.resolved(*inputs.gallery.shape)
        if index is None or not index.options.builds_as(options):
            index = None  # two indexes are never held at once
            start = time.perf_counter()
            index = _build(inputs, options)
            built_in, size = time.perf_counter() - start, index.nbytes / len(index)
        index.options = options
        found, seconds = _timed_search(index, inputs, max(ks))
        judged = judge_index(index, inputs, exact, depth)
        recall = {k: _recall(found[:, :k], nearest[:, :k]) for k in ks}
        speed = len(found) / seconds
        rows.append(SearchRow(options, recall, judged.found.mAP, judged.lost("mAP"), size, built_in, speed))
    return SearchReport(tuple(rows), exact)


def _build(inputs: Inputs, options: IndexOptions) -> GalleryIndex:
    return GalleryIndex.build(inputs.gallery, inputs.gallery_pids, options=options, distance=inputs.distance)


def _timed_search(index: GalleryIndex, inputs: Inputs, k: int) -> tuple[Ints, float]:
    seconds: list[float] = []
    while not seconds or (len(seconds) < 2 and seconds[0] < 5):
        start = time.perf_counter()
        _, found = index.search(inputs.query, k)
        seconds.append(time.perf_counter() - start)
    return found, min(seconds)


def _recall(found: Ints, nearest: Ints) -> float:
    """Mean share of each row of ``nearest`` that is in the same row of ``found``."""
    return float(np.mean([np.isin(near, got).mean() for near, got in zip(nearest, found, strict=True)]))
