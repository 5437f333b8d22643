"""The true matches of every query, worst first, and how many negatives stand above each."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from reid.evaluation.gallery import Gallery
from reid.evaluation.labels import Ints
from reid.evaluation.pairs import Pairs
from reid.evaluation.ranking.frame import Frame
from reid.evaluation.ranking.rounding import sampled
from reid.evaluation.ranking.scores import Floats, Rows, pair_scores, row_norms

_NUMBERS = 2**20  # of rows that are at hand in float64 at a time, 8 MiB


class Matches:
    """Flat arrays over all matches; those of active query a are ``starts[a]:starts[a + 1]``, the worst first.

    Attributes:
        queries: [A] indices of the queries that have a match.
        starts: [A + 1].
        gallery: [M] gallery indices.
        scores: [M] float64, ascending within a query, in the frame.
        lengths: [A] float64 norms of the queries as they come.
        norms: [A] float64, at least their lengths in the frame.
        slack: [A] float64: no score of the query's is further than this from the defined one.
        defined: [M] float64 scores by definition, NaN where nobody has asked yet.
        counted: [M] negatives known to stand above each match.
        passing: [M + A] negatives that stand above a match and all worse ones, at the slot of the best such match; the
            slots of query a start at ``starts[a] + a`` and the one before counts none.
    """

    def __init__(self, query: Rows, gallery: Gallery, pairs: Pairs, frame: Frame, block_rows: int) -> None:
        self.query, self._blocks, self._rows = query, gallery, block_rows
        self._frame = frame
        self._defined_norms: Floats | None = None
        query_of = np.repeat(np.arange(len(query)), np.diff(pairs.starts))[pairs.match]
        self.queries, counts = np.unique(query_of, return_counts=True)
        self.starts = np.concatenate([[0], np.cumsum(counts)])
        self.gallery = pairs.gallery[pairs.match]
        self.scores = np.zeros(len(self.gallery))
        self.lengths, self.norms, self.slack = (np.zeros(len(self.queries)) for _ in range(3))
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
        owner = self.owner()
        order = self.starts[owner] + self.starts[owner + 1] - 1 - np.arange(len(owner))  # the best first
        above = np.cumsum(self.passing)[order + owner] + self.counted[order]  # every query's slots add up to nothing
        flat = 1 + above + np.arange(len(owner)) - self.starts[owner]
        ranks = [np.zeros(0, dtype=np.int64)] * total
        for query, start, end in zip(self.queries, self.starts, self.starts[1:], strict=False):
            ranks[query] = flat[start:end]
        return ranks

    def rows(self, a: slice | Ints) -> Tensor:
        """The float32 rows of some active queries."""
        of = self.queries[a]
        together = len(of) and of[-1] - of[0] + 1 == len(of)  # then nothing is copied
        rows = self.query[of[0] : of[-1] + 1] if together else self.query[of]
        return torch.from_numpy(rows).to(self._blocks.device)

    def parts(self) -> Iterator[slice]:
        """The active queries, some at a time."""
        size = max(1, _NUMBERS // self.query.shape[1])
        return (slice(start, start + size) for start in range(0, len(self.queries), size))

    def in_frame(self, a: Ints, y: Tensor, c: Tensor | None, j: Ints) -> Floats:
        """Scores in the frame of the active queries a, ascending, and rows j of y, no pair twice; in y's arithmetic.

        Args:
            a: [n].
            y: [m, D], float32 or float64.
            c: [m] float64, or None where it is nothing.
            j: [n].
        """
        out = np.empty(len(a))
        used, place = places(a)
        if len(used) and 2 * len(used) > used[-1] - used[0] + 1:  # those between cost less than a copy
            used, place = np.arange(used[0], used[-1] + 1), a - used[0]
        edges = np.append(0, np.cumsum(np.bincount(place)))
        size = max(1, _NUMBERS // y.shape[1])
        for first in range(0, len(used), size):
            own = used[first : first + size]
            inner = edges[first : first + len(own) + 1]
            part = slice(inner[0], inner[-1])
            norms = torch.from_numpy(self.lengths[own]).to(y.device)
            z, f = self._frame.multipliers(self.rows(own), norms, y.dtype)
            dots = sampled(z, y, torch.from_numpy(inner - inner[0]), torch.from_numpy(j[part])).numpy()
            out[part] = dots * f.cpu().numpy()[place[part] - first]
        return out if c is None else out + c.cpu().numpy()[j]

    def define(self, which: Ints) -> None:
        """Score these matches by definition, in one pass over the gallery, unless they are already."""
        which = np.unique(which[np.isnan(self.defined[which])])
        owner = self.owner()
        for (first, rows), these in self._in_blocks(which):
            images, j = rows_at(rows, self.gallery[these] - first)
            i, distance = self.queries[owner[these]], self._frame.distance
            self.defined[these] = pair_scores(self.query, images, i, j, distance, self._query_norms())

    def _query_norms(self) -> Floats | None:
        if self._defined_norms is None and self._frame.distance == "cosine":
            self._defined_norms = row_norms(self.query, np.arange(len(self.query)))
        return self._defined_norms

    def _score(self) -> None:
        for part in self.parts():
            norms, in_frame = self._frame.lengths(self.rows(part))
            self.lengths[part], self.norms[part] = norms.cpu().numpy(), in_frame.cpu().numpy()
        owner = self.owner()
        longest = np.zeros(len(self.queries))
        for (first, rows), these in self._in_blocks(np.arange(len(self.gallery))):
            self.scores[these], norms = self.in_float64(owner[these], rows, self.gallery[these] - first)
            np.maximum.at(longest, owner[these], norms)
        lengths, norms, reach = (torch.from_numpy(values) for values in (self.lengths, self.norms, longest))
        self.slack = self._frame.slack(lengths, norms, reach).numpy()

    def in_float64(self, a: Ints, rows: Tensor, j: Ints) -> tuple[Floats, Floats]:
        """(scores in the frame, |y|), [n] float64, of active queries a, ascending, and float32 rows j of a block."""
        used, column = places(j)
        y = self._frame.centred(rows if len(used) == len(rows) else rows[torch.from_numpy(used).to(rows.device)])
        norms = torch.linalg.vector_norm(y, dim=1)
        c = None if self._frame.distance == "cosine" else norms.square() / -2
        return self.in_frame(a, y, c, column), norms.cpu().numpy()[column]

    def _sort(self) -> None:
        """Put the worst first; where float64 cannot tell, by definition, a tie's higher index first."""
        owner = self.owner()
        self._reorder(np.lexsort((self.scores, owner)))
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


def places(values: Ints) -> tuple[Ints, Ints]:
    """(the different values, ascending, where each of ``values`` is among them); they are small and not negative."""
    there = np.zeros(values.max(initial=-1) + 1, dtype=np.bool_)
    there[values] = True
    return np.flatnonzero(there), (np.cumsum(there) - 1)[values]
