"""The score of every query x gallery pair, streamed: what verification, open-set search and distributions stand on.

Definition. Ranks need the order of a few near pairs; these views need all pairs, so their scores are whole numbers of
a small step. Let u and v be the rows q and g over a scale, rounded to multiples of 2^-26:

    cosine:     score = <u, v>            scale |row|, u = 0 where the row is all zeros     step 2^-20
    euclidean:  score = -S^2 |u - v|^2    scale S, the least power of two above             step 2^-21 S^2
                                          max |q| + max |g|

rounded to a whole step and held within [-1, 1] or [-S^2, 0]; every rounding is to the nearest, half to even. Products
of such rows are multiples of 2^-52 and no partial sum reaches 2: a float64 matrix product adds them without rounding at
all. Equal rows get equal scores, whatever the library, block size, thread count or place in the gallery. A tie is what
lies on the same step.

A score is that of ``ranking`` to within 2^-21 + sqrt(D) 2^-26 for cosine (D dimensions; 1.2e-6 for 2048, as a rule
5e-7), or S^2 (2^-22 + sqrt(D) 2^-25): one row far longer than the others coarsens all euclidean scores. The gain is
that 2^21 + 1 counters hold every pair there can be: one pass, and any threshold afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid.errors import UserError
from reid.evaluation.evaluate import nothing_to_score
from reid.evaluation.inputs import Inputs
from reid.evaluation.protocol import Ints

Floats = NDArray[np.float64]
MATCH, JUNK = 1, 2  # kinds of pairs; 0 is a non-match
_STEPS = 2**21  # from the lowest score to the highest
_UNIT = 2.0**-26
_TILE = 512, 1024  # queries x gallery images
_KINDS = 2**25  # pairs judged ahead: bytes


@dataclass(frozen=True, eq=False)
class PairCounts:
    """How many match and non-match pairs have each score that occurs.

    Attributes:
        scores: [C] float64, ascending.
        matches: [C] int64.
        nonmatches: [C] int64.
        step: the distance of neighbouring scores, a power of two.
    """

    scores: Floats
    matches: Ints
    nonmatches: Ints
    step: float


def count_pairs(inputs: Inputs) -> PairCounts:
    """Score every pair that the protocol does not ignore, and count.

    Raises:
        UserError: there is no match pair, or no non-match pair.
    """
    grid = Grid(inputs)
    matches, nonmatches = np.zeros((2, _STEPS + 1), dtype=np.int64)
    for _, steps, kinds in score_tiles(inputs, grid):
        np.add.at(nonmatches, steps[kinds == 0], 1)
        np.add.at(matches, steps[kinds == MATCH], 1)
    if not matches.any():
        raise UserError(nothing_to_score(inputs))
    if not nonmatches.any():
        raise UserError(
            "every pair is a match or ignored by the protocol, so there is nothing to tell matches from; "
            "give a gallery with other identities too"
        )
    seen = np.flatnonzero(matches + nonmatches)
    return PairCounts(grid.scores(seen), matches[seen], nonmatches[seen], grid.step)


class Grid:
    """Where the scores of ``inputs`` lie: step 0 is the lowest possible score, step 2^21 the highest."""

    def __init__(self, inputs: Inputs) -> None:
        self.cosine = inputs.distance == "cosine"
        self._scale = 1.0
        if not self.cosine:
            longest = sum(
                max(float(_norms(block).max()) for block in _blocks(x)) for x in (inputs.query, inputs.gallery)
            )
            self._scale = 2.0 ** math.frexp(longest)[1]
        self.step = self._scale**2 / _STEPS * (2 if self.cosine else 1)
        self._zero = _STEPS // 2 if self.cosine else _STEPS  # where a score of 0 lies

    def scores(self, steps: Ints) -> Floats:
        """The score of each step; exact, a power of two times an integer."""
        return np.asarray((steps - self._zero) * self.step, dtype=np.float64)

    def rows(self, features: NDArray[np.float32]) -> Floats:
        """Rows over their scale in units of 2^-26: whole numbers."""
        wide = np.array(features, dtype=np.float64, order="C")
        if self.cosine:
            norms = _norms(wide)[:, None]
            np.divide(wide, norms * _UNIT, out=wide, where=norms > 0)
        else:
            wide /= self._scale * _UNIT
        return np.rint(wide, out=wide)

    def steps(self, u: Floats, v: Floats) -> Ints:
        """The step of every pair of ``rows``; [len(u), len(v)] int64."""
        sums = u @ v.T  # whole numbers below 2^53, and so are all that follow
        if not self.cosine:
            sums *= 2
            sums -= np.square(u).sum(axis=1)[:, None]
            sums -= np.square(v).sum(axis=1)
        sums *= _UNIT**2 * self._zero
        np.rint(sums, out=sums)
        sums += self._zero
        return np.clip(sums, 0, _STEPS, out=sums).astype(np.int64)


def score_tiles(inputs: Inputs, grid: Grid) -> Iterator[tuple[slice, Ints, NDArray[np.int8]]]:
    """Yield (queries, their steps, their kinds: 0, MATCH or JUNK) tile by tile, [rows, columns] both."""
    count = len(inputs.gallery)
    height = max(1, min(_TILE[0], _KINDS // count))
    for start in range(0, len(inputs.query), height):
        queries = slice(start, min(start + height, len(inputs.query)))
        u, kinds = grid.rows(inputs.query[queries]), _kinds(inputs, queries)
        for first in range(0, count, _TILE[1]):
            part = slice(first, first + _TILE[1])
            yield queries, grid.steps(u, grid.rows(inputs.gallery[part])), kinds[:, part]


def _kinds(inputs: Inputs, queries: slice) -> NDArray[np.int8]:
    """The kind of every pair of these queries, judged a few queries at a time: [rows, G] int8."""
    kinds = np.empty((queries.stop - queries.start, len(inputs.gallery)), dtype=np.int8)
    for start in range(queries.start, queries.stop, 32):
        few = slice(start, min(start + 32, queries.stop))
        match, junk = inputs.judge(few)
        kinds[few.start - queries.start : few.stop - queries.start] = MATCH * match + JUNK * junk
    return kinds


def _norms(rows: NDArray[np.floating]) -> Floats:
    """Summed row by row: a row's norm does not depend on the rows around it."""
    return np.sqrt(np.square(rows, dtype=np.float64).sum(axis=1))


def _blocks(rows: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    for start in range(0, len(rows), _TILE[1]):
        yield np.ascontiguousarray(rows[start : start + _TILE[1]])
