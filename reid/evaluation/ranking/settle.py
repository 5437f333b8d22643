"""The last word on the cells that cheap arithmetic leaves open."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reid.evaluation.labels import Ints
from reid.evaluation.ranking.matches import Matches
from reid.evaluation.ranking.scores import Floats

_OPEN = 2**18  # pairs of a cell and a match kept before the gallery is asked for their rows, or
_EACH = 4  # so many a match


class Settler:
    """Places cells among their query's matches; what the first scores leave open waits for better ones."""

    def __init__(self, matches: Matches) -> None:
        self._matches = matches
        self._open: list[tuple[Ints, Ints, Ints, Ints]] = []
        self._size = 0

    def place(self, a: Ints, j: Ints, beaten: Ints, scores: Floats, slack: Floats) -> None:
        """Count cells for the matches that they beat.

        Args:
            a: [n] active queries.
            j: [n] gallery indices.
            beaten: [n] how many of the query's worst matches each was counted for already.
            scores: [n] float64 in the frame.
            slack: [n] float64: how far they may be off.
        """
        m = self._matches
        starts, ends, slack = m.starts[a], m.starts[a + 1], slack + m.slack[a]
        low = np.maximum(beaten, count_below(m.scores, starts, ends, scores - slack, strict=True))
        following = np.append(m.scores, np.inf)[starts + low]
        sure = (following > scores + slack) | (starts + low == ends)
        pass_matches(m, a, beaten, low)
        left = np.flatnonzero(~sure)
        high = count_below(m.scores, starts[left], ends[left], (scores + slack)[left], strict=False)
        self.open(a[left], j[left], low[left], high)

    def open(self, a: Ints, j: Ints, low: Ints, high: Ints) -> None:
        """Keep cells that were counted for ``low`` matches and may beat ``high``."""
        size, most = np.cumsum(high - low), max(_OPEN, _EACH * len(self._matches.gallery))
        for part in np.split(np.arange(len(a)), np.flatnonzero(np.diff(size // most)) + 1):
            self._open.append((a[part], j[part], low[part], high[part]))
            self._size += int((high - low)[part].sum())
            if self._size > most:
                self.finish()

    def finish(self) -> None:
        """Decide what is open, in float64, and by definition where that is too close."""
        if not self._size:
            return
        m = self._matches
        a, j, low, high = (np.concatenate(parts) for parts in zip(*self._open, strict=True))
        self._open, self._size = [], 0
        cell, of_pair = ranges(m.starts[a] + low, high - low)
        match, of_pair = np.unique(of_pair, return_inverse=True)
        queries, images = np.append(a, m.owner()[match]), np.append(j, m.gallery[match])
        scores, slack = m.scores_of(queries, images)
        theirs = len(a) + of_pair
        ahead, doubt = scores[cell] - scores[theirs], slack[cell] + slack[theirs]
        beats = ahead > doubt
        close = np.flatnonzero(np.abs(ahead) <= doubt)
        if len(close):
            used, place = np.unique(np.append(cell[close], theirs[close]), return_inverse=True)
            defined = m.defined_of(queries[used], images[used])
            mine, other = defined[place[: len(close)]], defined[place[len(close) :]]
            beats[close] = (mine > other) | ((mine == other) & (images[cell[close]] < images[theirs[close]]))
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


def ranges(starts: Ints, lengths: Ints) -> tuple[Ints, Ints]:
    """(which range, number) for every number of the ranges that begin at ``starts``."""
    owner = np.repeat(np.arange(len(starts)), lengths)
    return owner, np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths) + starts[owner]
