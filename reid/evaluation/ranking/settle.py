"""The last word on the cells that cheap arithmetic leaves open."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reid.evaluation.labels import Ints
from reid.evaluation.ranking.frame import Frame, Short
from reid.evaluation.ranking.matches import Matches, places, rows_at
from reid.evaluation.ranking.scores import Floats, first_copies, pair_scores

Cells = tuple[Ints, Ints, Ints]  # active queries ascending, columns, how many of its worst matches each was counted for
_HELD = 3 * 2**20  # numbers of the gallery rows that wait for float64
_OPEN = 2**20  # pairs of a cell and a match kept before the gallery is asked for the matches' rows


class Settler:
    """Places cells among their query's matches by their scores, each in arithmetic as exact as it needs."""

    def __init__(self, matches: Matches, frame: Frame) -> None:
        self._matches, self._frame = matches, frame
        self._held: list[tuple[Tensor, Ints, Ints, Ints, Ints]] = []
        self._open: list[tuple[Ints, Ints, Floats, Ints, Ints]] = []
        self._size = 0

    def in_float32(self, cells: Cells, y: Short, c: Tensor) -> Cells:
        """Count what float32 can place.

        Args:
            cells: active queries ascending, rows of ``y``, how many of the query's worst matches each was counted for;
                no cell twice.
            y: gallery rows in the frame.
            c: their offsets.

        Returns:
            The cells that are open.
        """
        a, column, beaten = cells
        m = self._matches
        scores = m.in_frame(a, y.rows, c if self._frame.distance == "euclidean" else None, column)
        lengths, norms = torch.from_numpy(m.lengths[a]), torch.from_numpy(m.norms[a])
        slack = self._frame.slack(lengths, norms, y.norm.cpu()[torch.from_numpy(column)], torch.float32).numpy()
        slack += m.slack[a]
        left = self._place(a, beaten, np.where(np.isinf(slack), 0, scores), slack)[0]
        return a[left], column[left], beaten[left]

    def in_float64(self, cells: Cells, rows: Tensor, gallery: Ints) -> None:
        """Count what float64 can place and what the definition must, now or when there are more.

        Args:
            cells: active queries, rows, how many of the query's worst matches each was counted for.
            rows: [m, D] float32.
            gallery: [m] their gallery indices.
        """
        a, column, beaten = cells
        used, place = places(column)
        held = sum(len(images) for images, *_ in self._held)
        self._held.append((rows[torch.from_numpy(used).to(rows.device)], gallery[used], a, held + place, beaten))
        if (held + len(used)) * rows.shape[1] > _HELD:
            self._score()

    def _score(self) -> None:
        images = torch.cat([rows for rows, *_ in self._held])
        gallery, a, column, beaten = (np.concatenate(values) for values in list(zip(*self._held, strict=True))[1:])
        self._held = []
        m = self._matches
        order = np.argsort(a, kind="stable")
        a, column, beaten = a[order], column[order], beaten[order]
        scores, norms = m.in_float64(a, images, column)
        slack = self._frame.slack(*(torch.from_numpy(values) for values in (m.lengths[a], m.norms[a], norms))).numpy()
        left, low, high = self._place(a, beaten, scores, slack + m.slack[a])
        if not len(left):
            return
        a, column, beaten = a[left], column[left], beaten[left]
        # a collapsed network's rows are copies of few: each is scored once a query
        local, place = rows_at(images, column)
        same, place = np.unique(a * len(local) + first_copies(local)[place], return_inverse=True)
        query, image = np.divmod(same, len(local))
        defined = pair_scores(m.query, local, m.queries[query], image, self._frame.distance)[place]
        pass_matches(m, a, beaten, low)
        self._open.append((a, gallery[column], defined, low, high))
        self._size += int((high - low).sum())
        if self._size > _OPEN:
            self._decide()

    def _place(self, a: Ints, beaten: Ints, scores: Floats, slack: Floats) -> tuple[Ints, Ints, Ints]:
        """Count the cells whose place is sure; (which are open, at least and at most how many matches each beats)."""
        m = self._matches
        starts, ends = m.starts[a], m.starts[a + 1]
        low = count_below(m.scores, starts, ends, scores - slack, strict=True)
        following = np.append(m.scores, np.inf)[starts + low]
        sure = (following > scores + slack) | (starts + low == ends)
        pass_matches(m, a[sure], beaten[sure], low[sure])
        left = np.flatnonzero(~sure)
        high = count_below(m.scores, starts[left], ends[left], (scores + slack)[left], strict=False)
        return left, low[left], high

    def finish(self) -> None:
        """Count what is held."""
        if self._held:
            self._score()
        if self._open:
            self._decide()

    def _decide(self) -> None:
        """Decide what is open by definition; the matches concerned are scored so too."""
        m = self._matches
        a, j, defined, low, high = (np.concatenate(parts) for parts in zip(*self._open, strict=True))
        self._open, self._size = [], 0
        counts = high - low
        cell = np.repeat(np.arange(len(a)), counts)
        match = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + (m.starts[a] + low)[cell]
        m.define(match)
        theirs = m.defined[match]
        beats = (defined[cell] > theirs) | ((defined[cell] == theirs) & (j[cell] < m.gallery[match]))
        pass_matches(m, a, low, low + np.bincount(cell[beats], minlength=len(a)))


def pass_matches(m: Matches, a: Ints, start: Ints, end: Ints, negatives: int = 1) -> None:
    """Count negatives for the matches start:end of the active queries a, worst first."""
    slots = m.starts[a] + a
    np.add.at(m.passing, slots + start, negatives)
    np.subtract.at(m.passing, slots + end, negatives)


def count_below(
    values: NDArray[np.floating], starts: Ints, ends: Ints, limits: NDArray[np.floating], *, strict: bool
) -> Ints:
    """How many of the ascending values[starts:ends] lie below each limit, or at most at it unless ``strict``."""
    low, high = starts.copy(), ends.copy()
    while (todo := low < high).any():
        middle = (low + high) // 2
        value = values[np.minimum(middle, len(values) - 1)]
        below = todo & ((value < limits) if strict else (value <= limits))
        low = np.where(below, middle + 1, low)
        high = np.where(todo & ~below, middle, high)
    return low - starts
