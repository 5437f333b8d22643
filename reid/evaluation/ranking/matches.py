"""The true matches of every query, worst first, and how many negatives stand above each."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reid.evaluation.gallery import Gallery
from reid.evaluation.labels import Ints
from reid.evaluation.pairs import Pairs
from reid.evaluation.ranking.frame import Frame
from reid.evaluation.ranking.scores import Floats, Rows, pair_scores, row_norms

_QUERIES = 512  # in float64 at a time


class Matches:
    """Flat arrays over all matches; those of active query a are ``starts[a]:starts[a + 1]``, the worst first.

    Attributes:
        queries: [A] indices of the queries that have a match.
        starts: [A + 1].
        gallery: [M] gallery indices.
        scores: [M] float64, ascending within a query, in the frame.
        slack: [A] float64: no score of the query's is further than this from the defined one.
        defined: [M] float64 scores by definition, NaN where nobody has asked yet.
        counted: [M] negatives known to stand above each match.
        passing: [M + A] negatives that stand above a match and all worse ones, at the slot of the best such match; the
            slots of query a start at ``starts[a] + a`` and the one before counts none.
    """

    def __init__(self, query: Rows, gallery: Gallery, pairs: Pairs, frame: Frame, block_rows: int) -> None:
        self.query, self._blocks, self._rows = query, gallery, block_rows
        self._frame = frame
        self._norms: Floats | None = None
        query_of = np.repeat(np.arange(len(query)), np.diff(pairs.starts))[pairs.match]
        self.queries, counts = np.unique(query_of, return_counts=True)
        self.starts = np.concatenate([[0], np.cumsum(counts)])
        self.gallery = pairs.gallery[pairs.match]
        self.scores = np.zeros(len(self.gallery))
        self.slack = np.zeros(len(self.queries))
        self.defined = np.full(len(self.gallery), np.nan)
        self.counted = np.zeros(len(self.gallery), dtype=np.int64)
        self.passing = np.zeros(len(self.gallery) + len(self.queries), dtype=np.int64)
        if len(self.queries):
            self._score()
            self._sort()

    def owner(self) -> Ints:
        """[M] the active query of each match."""
        return np.repeat(np.arange(len(self.queries)), np.diff(self.starts))

    def ranks(self, total: int) -> list[Ints]:
        """Ascending 1-based ranks for each of ``total`` queries, empty without a match."""
        above = np.cumsum(self.passing)
        ranks = [np.zeros(0, dtype=np.int64)] * total
        for a, query in enumerate(self.queries):
            start, end = self.starts[a], self.starts[a + 1]
            passed = above[start + a : end + a]  # every query's slots add up to nothing
            ranks[query] = (1 + passed + self.counted[start:end])[::-1] + np.arange(end - start)
        return ranks

    def query_rows(self, size: int) -> Iterator[Tensor]:
        """The float32 rows of the active queries, so many at a time."""
        for first in range(0, len(self.queries), size):
            yield torch.from_numpy(self.query[self.queries[first : first + size]]).to(self._blocks.device)

    def define(self, which: Ints) -> None:
        """Score these matches by definition, in one pass over the gallery, unless they are already."""
        which = np.unique(which[np.isnan(self.defined[which])])
        owner = self.owner()
        for (first, rows), these in self._in_blocks(which):
            images, j = rows_at(rows, self.gallery[these] - first)
            i, distance = self.queries[owner[these]], self._frame.distance
            self.defined[these] = pair_scores(self.query, images, i, j, distance, self._query_norms())

    def _query_norms(self) -> Floats | None:
        if self._norms is None and self._frame.distance == "cosine":
            self._norms = row_norms(self.query, np.arange(len(self.query)))
        return self._norms

    def _score(self) -> None:
        owner = self.owner()
        longest = np.zeros(len(self.queries))
        for (first, rows), these in self._in_blocks(np.arange(len(self.gallery))):
            y, c = self._frame.gallery(rows)
            norms = torch.linalg.vector_norm(y, dim=1).cpu().numpy()
            local = self.gallery[these] - first
            self.scores[these] = scores_of_pairs(self._frame, self.query, self.queries[owner[these]], y, c, local)
            np.maximum.at(longest, owner[these], norms[local])
        x_norms = np.concatenate(
            [
                torch.linalg.vector_norm(self._frame.queries(rows), dim=1).cpu().numpy()
                for rows in self.query_rows(_QUERIES)
            ]
        )
        self.slack = self._frame.slack(torch.from_numpy(x_norms), torch.from_numpy(longest)).numpy()

    def _sort(self) -> None:
        """Put the worst first; where float64 cannot tell, by definition, a tie's higher index first."""
        owner = self.owner()
        order = np.lexsort((-self.gallery, self.scores, owner))
        self._reorder(order)
        gap = np.diff(self.scores)
        close = np.flatnonzero((owner[1:] == owner[:-1]) & (gap <= 2 * self.slack[owner[1:]]))
        if close.size:
            self.define(np.concatenate([close, close + 1]))
            run = np.ones(len(owner), dtype=np.int64)
            run[close + 1] = 0
            order = np.lexsort((-self.gallery, np.nan_to_num(self.defined), np.cumsum(run)))
            self._reorder(order)
            for a in np.unique(owner[close]):
                part = self.scores[self.starts[a] : self.starts[a + 1]]
                np.maximum.accumulate(part, out=part)
            self.slack *= 2  # a score was raised to its neighbour's, which is no further than the slack

    def _reorder(self, order: Ints) -> None:
        self.gallery, self.scores, self.defined = self.gallery[order], self.scores[order], self.defined[order]

    def _in_blocks(self, which: Ints) -> Iterator[tuple[tuple[int, Tensor], Ints]]:
        """Gallery blocks and those of the matches ``which`` that lie in each; blocks without any are left out."""
        order = which[np.argsort(self.gallery[which], kind="stable")]
        columns = self.gallery[order]
        done = 0
        if not len(order):
            return
        for first, rows in self._blocks.blocks(self._rows):
            end = int(np.searchsorted(columns, first + len(rows)))
            if end > done:
                yield (first, rows), np.sort(order[done:end])
            done = end
            if done == len(order):
                return


def rows_at(rows: Tensor, j: Ints) -> tuple[Rows, Ints]:
    """(rows of a block, where ``rows[j[n]]`` is among them): of a GPU's only those are fetched that are asked for."""
    if rows.device.type == "cpu":
        return rows.numpy(), j
    used, place = np.unique(j, return_inverse=True)
    return rows[torch.from_numpy(used).to(rows.device)].cpu().numpy(), place


def scores_of_pairs(frame: Frame, query: Rows, i: Ints, y: Tensor, c: Tensor, j: Ints) -> Floats:
    """Float64 scores, in the frame, of ``query[i]`` and the rows j of y; i ascending, no pair twice."""
    out = np.empty(len(i))
    used, begins = np.unique(i, return_index=True)
    begins = np.append(begins, len(i))
    for first in range(0, len(used), _QUERIES):
        rows = used[first : first + _QUERIES]
        edges = begins[first : first + len(rows) + 1]
        part = slice(edges[0], edges[-1])
        z, f = frame.multipliers(torch.from_numpy(query[rows]).to(y.device))
        dots = sampled_products(z, y, edges - edges[0], j[part])
        out[part] = dots * f.cpu().numpy()[np.repeat(np.arange(len(rows)), np.diff(edges))]
    return out if frame.distance == "cosine" else out + c.cpu().numpy()[j]


def sampled_products(z: Tensor, y: Tensor, edges: Ints, j: Ints) -> NDArray[np.float64]:
    """z[i].y[j] for the pairs of a compressed sparse row pattern: nothing is gathered."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*Sparse CSR tensor support is in beta.*")
        pattern = torch.sparse_csr_tensor(
            torch.from_numpy(edges).to(y.device),
            torch.from_numpy(j).to(y.device),
            torch.zeros(len(j), dtype=y.dtype, device=y.device),
            (len(z), len(y)),
            check_invariants=False,
        )
    return torch.sparse.sampled_addmm(pattern, z, y.T, beta=0.0).values().cpu().numpy()
