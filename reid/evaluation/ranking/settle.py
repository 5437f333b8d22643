"""The last word on the cells that cheap arithmetic leaves open."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from reid.evaluation.labels import Ints
from reid.evaluation.ranking.frame import Frame
from reid.evaluation.ranking.matches import Matches, rows_at
from reid.evaluation.ranking.scores import Floats, first_copies, pair_scores

_OPEN = 2**20  # pairs of a cell and a match kept before the gallery is asked for the matches' rows


class Settler:
    """Places cells among their query's matches: by float64 scores, and by definition where these are too close."""

    def __init__(self, matches: Matches, frame: Frame) -> None:
        self._matches, self._frame = matches, frame
        self._open: list[tuple[Ints, Ints, Floats, Ints, Ints]] = []
        self._size = 0

    def place(self, a: Ints, j: Ints, beaten: Ints, scores: Floats, slack: Floats, rows: Tensor, first: int) -> None:
        """Count cells for the matches that they beat.

        Args:
            a: [n] active queries.
            j: [n] gallery indices, of rows in this block.
            beaten: [n] how many of the query's worst matches were counted for the cell already.
            scores: [n] float64 in the frame.
            slack: [n] float64, of these scores and of the query's matches together.
            rows: the block's float32 rows, of which the first is number ``first`` of the gallery.
        """
        m = self._matches
        low = count_below(m.scores, m.starts[a], m.starts[a + 1], scores - slack, strict=True)
        high = count_below(m.scores, m.starts[a], m.starts[a + 1], scores + slack, strict=False)
        sure = low == high
        pass_matches(m, a[sure], beaten[sure], low[sure])
        if sure.all():
            return
        a, j, beaten, low, high = (values[~sure] for values in (a, j, beaten, low, high))
        # a collapsed network's rows are copies of few: each is scored once a query
        images, local = rows_at(rows, j - first)
        same, place = np.unique(a * len(images) + first_copies(images)[local], return_inverse=True)
        query, image = np.divmod(same, len(images))
        defined = pair_scores(m.query, images, m.queries[query], image, self._frame.distance)[place]
        pass_matches(m, a, beaten, low)
        self._open.append((a, j, defined, low, high))
        self._size += int((high - low).sum())
        if self._size > _OPEN:
            self.finish()

    def finish(self) -> None:
        """Decide what is open; the matches concerned are scored by definition."""
        if not self._open:
            return
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
