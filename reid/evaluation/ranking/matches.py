"""The true matches of every query, worst first, and how many negatives stand above each."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from reid.evaluation.gallery import Gallery
from reid.evaluation.labels import Ints
from reid.evaluation.pairs import Pairs
from reid.evaluation.ranking.frame import Frame, Short, usual
from reid.evaluation.ranking.rounding import sampled
from reid.evaluation.ranking.scores import Floats, Rows, first_copies, pair_scores, row_norms

_MATCH, _CELL = 64, 512  # columns of a pair that are summed at once in float32: a match meets many cells
_NUMBERS = 2**19  # of rows that are at hand in float64 at a time, 4 MiB
_HELD = 2**22  # of gallery rows that wait in float64, 32 MiB
_WIDER = 2  # so many blocks at a time while all matches are scored: each meets all queries


class Matches:
    """Flat arrays over all matches; those of active query a are ``starts[a]:starts[a + 1]``, the worst first.

    Attributes:
        frame: where they are scored.
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
        self.query, self._blocks, self._size = query, gallery, block_rows
        self.frame = frame
        self._norms, self._row_norms = np.full(len(query), np.nan), np.full(gallery.rows, np.nan)
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
        return self._query_rows(self.queries[a], self._blocks.device)

    def norms_of(self, gallery: Ints) -> Tensor | None:
        """[n] float64, the norms of these gallery rows as they come, if all are known."""
        norms = self._row_norms[gallery]
        return None if np.isnan(norms).any() else torch.from_numpy(norms).to(self._blocks.device)

    def parts(self) -> Iterator[slice]:
        """The active queries, some at a time."""
        size = max(1, _NUMBERS // self.query.shape[1])
        return (slice(start, start + size) for start in range(0, len(self.queries), size))

    def in_float32(self, a: Ints, y: Short, c: Tensor, j: Ints, *, fine: bool = False) -> tuple[Floats, Floats]:
        """(scores in the frame, how far they may be off) of pairs, [n] float64, in float32.

        Args:
            a: [n] active queries, ascending.
            y: m gallery rows.
            c: [m] float64, their offsets.
            j: [n] rows of ``y``, no pair twice.
            fine: exactly, which takes longer.
        """
        most = _MATCH if fine else _CELL
        scores = self._products(a, y.rows, j, most)
        if self.frame.distance == "euclidean":
            scores += c.cpu().numpy()[j]
        slack = self._slack(a, y.norm.cpu().numpy()[j], torch.float32, most)
        return np.where(np.isinf(slack), 0, scores), slack

    def in_float64(self, a: Ints, rows: Tensor, j: Ints, norms: Tensor | None = None) -> tuple[Floats, Floats]:
        """The same in float64, of float32 rows [m, D] whose norms may be known; only those of ``j`` are looked at."""
        used, column = places(j)
        if len(used) < len(rows):
            which = torch.from_numpy(used).to(rows.device)
            rows, norms = rows[which], None if norms is None else norms[which]
        return self._in_float64(a, self.frame.centred(rows, norms=norms), column)

    def _in_float64(self, a: Ints, y: Tensor, j: Ints) -> tuple[Floats, Floats]:
        """The same of rows of the frame."""
        norm = torch.linalg.vector_norm(y, dim=1).cpu().numpy()[j]
        scores = self._products(a, y, j, y.shape[1])
        if self.frame.distance == "euclidean":
            scores -= np.square(norm) / 2
        return scores, self._slack(a, norm, torch.float64, y.shape[1])

    def scores_of(self, a: Ints, j: Ints) -> tuple[Floats, Floats]:
        """The same of active queries and gallery indices in any order, in one pass over the gallery."""
        scores, slack = np.empty(len(a)), np.empty(len(a))
        width, device = self._blocks.width, self._blocks.device
        most = min(max(self._size, _HELD // width), len(places(j)[0]))
        y = torch.empty(most, width, dtype=torch.float64, device=device)  # rows that wait, to meet all queries at once
        held, pairs = 0, [(np.zeros(0, dtype=np.int64),) * 2]

        def score() -> None:
            which, row = (np.concatenate(values) for values in zip(*pairs, strict=True))
            order = np.argsort(a[which], kind="stable")
            which = which[order]
            scores[which], slack[which] = self._in_float64(a[which], y[:held], row[order])
            pairs.clear()

        for (first, rows), these in self._in_blocks(a, j):
            used, at = places(j[these] - first)
            if held + len(used) > most:
                score()
                held = 0
            some = rows if len(used) == len(rows) else rows[torch.from_numpy(used).to(device)]
            self.frame.centred(some, norms=self.norms_of(first + used), out=y[held : held + len(used)])
            pairs.append((these, held + at))
            held += len(used)
        if held:
            score()
        return scores, slack

    def defined_of(self, a: Ints, j: Ints) -> Floats:
        """[n] float64 scores by definition of active queries and gallery indices, in one pass over the gallery."""
        scores, i = np.empty(len(a)), self.queries[a]
        norms = self._defined_norms(i) if self.frame.distance == "cosine" else None
        for (first, rows), these in self._in_blocks(a, j):
            used, column = places(j[these] - first)
            images = rows[torch.from_numpy(used).to(rows.device)].cpu().numpy()
            # a collapsed network's rows are copies of few: each is scored once a query
            same, place = np.unique(i[these] * len(images) + first_copies(images)[column], return_inverse=True)
            query, image = np.divmod(same, len(images))
            scores[these] = pair_scores(self.query, images, query, image, self.frame.distance, norms)[place]
        return scores

    def define(self, which: Ints) -> None:
        """Score these matches by definition, unless they are already."""
        which = np.unique(which[np.isnan(self.defined[which])])
        self.defined[which] = self.defined_of(self.owner()[which], self.gallery[which])

    def _defined_norms(self, i: Ints) -> Floats:
        """[Q] float64, the norms by definition of the queries i; the others NaN where nobody has asked yet."""
        new = np.unique(i[np.isnan(self._norms[i])])
        self._norms[new] = row_norms(self.query, new)
        return self._norms

    def _products(self, a: Ints, y: Tensor, j: Ints, most: int) -> Floats:
        """F z.y of pairs, in y's arithmetic; see ``frame``."""
        out, i = np.empty(len(a)), self.queries[a]
        used, place = places(i)
        if len(used) and 2 * len(used) > used[-1] - used[0] + 1:  # those between cost less than a copy
            used, place = np.arange(used[0], used[-1] + 1), i - used[0]
        edges = np.append(0, np.cumsum(np.bincount(place)))
        as_it_is = self.frame.distance == "cosine" and y.dtype == torch.float32
        size = len(used) if as_it_is else _NUMBERS // y.shape[1]
        size = min(size, len(used) * _NUMBERS * most // max(1, len(a) * y.shape[1]))  # what ``sampled`` makes of them
        size = max(1, size)
        for first in range(0, len(used), size):
            own = used[first : first + size]
            inner = edges[first : first + len(own) + 1]
            part = slice(inner[0], inner[-1])
            z = self.frame.multipliers(self._query_rows(own, y.device), y.dtype)
            out[part] = sampled(z, y, inner - inner[0], j[part], most)
        return out * self.frame.factors(self.lengths)[a]

    def _query_rows(self, of: Ints, device: torch.device) -> Tensor:
        together = len(of) and of[-1] - of[0] + 1 == len(of)  # then nothing is copied
        return torch.from_numpy(self.query[of[0] : of[-1] + 1] if together else self.query[of]).to(device)

    def _slack(self, a: Ints, norm: Floats, dtype: torch.dtype, most: int) -> Floats:
        lengths, norms, of_y = (torch.from_numpy(values) for values in (self.lengths[a], self.norms[a], norm))
        return self.frame.slack(lengths, norms, of_y, dtype, most).numpy()

    def _score(self) -> None:
        for part in self.parts():
            norms, in_frame = self.frame.lengths(self.rows(part))
            self.lengths[part], self.norms[part] = norms.cpu().numpy(), in_frame.cpu().numpy()
        owner = self.owner()
        shift = self._shift() if self.frame.distance == "cosine" else None
        for (first, rows), these in self._in_blocks(owner, self.gallery, _WIDER):
            a, j = owner[these], self.gallery[these] - first
            found = self._in_float32(a, rows, j, first, shift) if self.frame.pairs == torch.float32 else None
            self.scores[these], slack = found or self.in_float64(a, rows, j)
            np.maximum.at(self.slack, a, slack)

    def _shift(self) -> Floats:
        """[A] float64, s^2 q^.m, where cosines begin in the frame."""
        mean, scale = self.frame.mean, self.frame.scale
        dots = np.empty(len(self.queries))
        for part in self.parts():
            dots[part] = (self.rows(part).double() @ mean).cpu().numpy()
        return scale**2 * np.divide(dots, self.lengths, out=np.zeros_like(dots), where=self.lengths > 0)

    def _in_float32(
        self, a: Ints, rows: Tensor, j: Ints, first: int, shift: Floats | None
    ) -> tuple[Floats, Floats] | None:
        """``in_float32`` of rows as they come, or None where float32 is too short for them."""
        if shift is None:
            short = self.frame.short(rows)
            scores, slack = self.in_float32(a, short, self.frame.offsets(short)[0], j, fine=True)
            return None if np.isinf(slack).any() else (scores, slack)
        # cosine: s q^.g^ less the shift, which saves the rows of the frame
        norms = self.frame.norms(rows)
        self._row_norms[first : first + len(rows)] = norms.cpu().numpy()
        if not bool(usual(norms).all() and usual(torch.from_numpy(self.lengths)).all()):
            return None
        slack = self._slack(a, np.full(len(a), self.frame.scale), torch.float32, _MATCH)
        return self._products(a, rows, j, _MATCH) * self.frame.factors(norms.cpu().numpy())[j] - shift[a], slack

    def _sort(self) -> None:
        """Put the worst first; what is close in float64, or by definition, and a tie's higher index first."""
        owner = self.owner()
        order = np.argsort(self.scores)
        short = owner.astype(np.min_scalar_type(len(self.queries)))  # NumPy sorts these by counting
        self._reorder(order[np.argsort(short[order], kind="stable")])
        close = (owner[1:] == owner[:-1]) & (np.diff(self.scores) <= 2 * self.slack[owner[1:]])
        if not close.any():
            return
        # in every run of close ones first the float64 scores decide, then in every run of these the definition
        which = np.flatnonzero(np.append(close, False) | np.append(False, close))
        run = np.cumsum(np.append(True, ~close))[which]
        better, slack = self.scores_of(owner[which], self.gallery[which])
        order = np.lexsort((better, run))
        self._reorder(which[order], which)
        better, slack = better[order], slack[order]
        tied = (run[1:] == run[:-1]) & (np.diff(better) <= slack[1:] + slack[:-1])
        if tied.any():
            run = np.cumsum(np.append(True, ~tied))
            self.define(which[np.append(tied, False) | np.append(False, tied)])
            order = np.lexsort((-self.gallery[which], np.nan_to_num(self.defined[which]), run))
            self._reorder(which[order], which)
        for a in np.unique(owner[which]):
            part = self.scores[self.starts[a] : self.starts[a + 1]]
            np.maximum.accumulate(part, out=part)  # stays within the slack: what raises a score is truly no better

    def _reorder(self, order: Ints, to: Ints | slice = slice(None)) -> None:
        for values in (self.gallery, self.scores, self.defined):
            values[to] = values[order]

    def _in_blocks(self, a: Ints, j: Ints, wider: int = 1) -> Iterator[tuple[tuple[int, Tensor], Ints]]:
        """Gallery blocks, and which of the pairs (a, j) lie in each, a ascending; blocks without any are left out."""
        size = wider * self._size
        order = np.lexsort((a, j // size))
        number = j[order] // size
        done = 0
        if not len(order):
            return
        for first, rows in self._blocks.blocks(size):
            end = int(np.searchsorted(number, first // size, side="right"))
            these, done = order[done:end], end
            if (j[these] >= first + len(rows)).any():
                continue  # a stream that has become shorter, which it tells at its end
            if len(these):
                yield (first, rows), these
            if done == len(order):
                return


def places(values: Ints) -> tuple[Ints, Ints]:
    """(the different values, ascending, where each of ``values`` is among them); they are small and not negative."""
    there = np.zeros(values.max(initial=-1) + 1, dtype=np.bool_)
    there[values] = True
    return np.flatnonzero(there), (np.cumsum(there) - 1)[values]
