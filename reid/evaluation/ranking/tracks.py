"""Image to track: the rank of every true track among tracks that score as their best image.

With the scores that ``scores`` defines,

    score(track) = max over its images that are not ignored for the query
    rank(m) = 1 + #{tracks t: score_t > score_m, or score_t == score_m and t first appears before m in the gallery}

and a track without such an image is not ranked. Scores come from a float64 matrix product; where two tracks are closer
than its proven error, a second pass scores their best images again by the definition.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from reid.errors import UserError
from reid.evaluation.gallery import Gallery
from reid.evaluation.labels import Floats, Ints, Labels
from reid.evaluation.pairs import Pairs
from reid.evaluation.protocol import Distance
from reid.evaluation.ranking.scores import pair_scores

_NUMBERS = 2**22  # of an array in float64, 32 MiB


def track_numbers(labels: Labels) -> Ints:
    """[G] int64, the track of each image: 0, 1, ... as they first appear; a track is one number of one identity.

    Raises:
        UserError: a track has images of two cameras, so that the numbers are those of something else.

    >>> track_numbers(Labels(np.array([7, 7, 8, 7]), tracks=np.array([4, 5, 4, 4]))).tolist()
    [0, 1, 2, 0]
    """
    assert labels.tracks is not None  # inputs.py told the user already
    pairs = np.stack([labels.pids, labels.tracks], axis=1)
    _, first, track = np.unique(pairs, axis=0, return_index=True, return_inverse=True)
    track = track.reshape(-1)
    if labels.camids is not None:
        strange = labels.camids != labels.camids[first[track]]
        if strange.any():
            i = int(np.argmax(strange))
            raise UserError(
                f"gallery_tracks: track {labels.tracks[i]} of identity {labels.pids[i]} has images of cameras "
                f"{labels.camids[first[track[i]]]} and {labels.camids[i]}; give the tracks of each camera other numbers"
            )
    number = np.empty(len(first), dtype=np.int64)
    number[np.argsort(first)] = np.arange(len(first))
    return number[track]


def track_ranks(
    query: NDArray[np.float32], gallery: Gallery, pairs: Pairs, tracks: Ints, distance: Distance
) -> list[Ints]:
    """Rank every true track of every query exactly, the gallery a block at a time, in two passes a tile of queries.

    Args:
        query: [Q, D] float32.
        gallery: G rows in blocks.
        pairs: who matches whom, image by image; a track is a match if an image of it is.
        tracks: [G] int64, as ``track_numbers`` gives them.
        distance: "cosine" or "euclidean".

    Returns:
        One ascending int64 array of 1-based ranks a query; empty where the query has no match.
    """
    ranks: list[Ints] = []
    count = int(tracks.max()) + 1
    height = max(1, _NUMBERS // count)
    for start in range(0, len(query), height):
        tile = _Tile(query, gallery, pairs, distance, slice(start, min(start + height, len(query))))
        best, longest = np.full((tile.queries, count), -np.inf), 0.0
        for block, _, scores, norm in tile.passes():
            longest = max(longest, norm)
            column = tracks[block]
            order = np.argsort(column, kind="stable")
            present, first = np.unique(column[order], return_index=True)
            best[:, present] = np.maximum(best[:, present], np.maximum.reduceat(scores[:, order], first, axis=1))
        tolerance = _tolerance(tile.norms + longest, query.shape[1])
        matches = [np.unique(tracks[images]) for images in tile.matches]
        close = np.zeros(best.shape, dtype=np.bool_)
        for row, mine, near, width in zip(best, matches, close, tolerance, strict=True):
            for score in row[mine]:
                beside = np.abs(row - score) <= width
                if np.count_nonzero(beside) > 1:  # the match is always beside itself
                    near |= beside
        if close.any():
            exact = np.full(best.shape, -np.inf)
            for block, rows, scores, _ in tile.passes():
                column = tracks[block]
                i, j = np.nonzero(close[:, column] & (scores >= best[:, column] - tolerance[:, None]))
                np.maximum.at(exact, (i, column[j]), pair_scores(tile.query, rows, i, j, distance))
            best[close] = exact[close]
        ranks += [
            np.sort([_rank(row, m) for m in mine]).astype(np.int64) for row, mine in zip(best, matches, strict=True)
        ]
    return ranks


class _Tile:
    """Some queries against the gallery in float64."""

    def __init__(
        self, query: NDArray[np.float32], gallery: Gallery, pairs: Pairs, distance: Distance, part: slice
    ) -> None:
        self.query, self.queries = query[part], part.stop - part.start
        self._rows, self.norms = _float64_rows(self.query, distance)
        self._gallery, self._pairs, self._distance, self._part = gallery, pairs, distance, part
        low, high = pairs.starts[part.start], pairs.starts[part.stop]
        owner, images, match = pairs.query[low:high] - part.start, pairs.gallery[low:high], pairs.match[low:high]
        self.matches = [images[match & (owner == i)] for i in range(self.queries)]
        self._ignored = owner[~match], images[~match]

    def passes(self) -> Iterator[tuple[slice, NDArray[np.float32], Floats, float]]:
        """Yield (block, its float32 rows, scores [queries, rows], longest norm); -inf where an image is ignored."""
        size = max(1, _NUMBERS // max(self._gallery.width, self.queries))
        for start, rows in self._gallery.blocks(size):
            block = slice(start, start + len(rows))
            images = rows.cpu().numpy()
            wide, norms = _float64_rows(images, self._distance)
            scores = self._rows @ wide.T
            if self._distance == "euclidean":
                scores = 2 * scores - np.square(self.norms)[:, None] - np.square(norms)
            scores[:, self._pairs.left_out[block]] = -np.inf
            query, image = self._ignored
            here = (image >= block.start) & (image < block.stop)
            scores[query[here], image[here] - start] = -np.inf
            if self._pairs.query_group is not None and self._pairs.gallery_group is not None:
                scores[self._pairs.query_group[self._part, None] == self._pairs.gallery_group[block]] = -np.inf
            yield block, images, scores, float(norms.max())


def _rank(row: Floats, match: int) -> int:
    score = row[match]
    return int(1 + np.count_nonzero(row > score) + np.count_nonzero(row[:match] == score))


def _float64_rows(rows: NDArray[np.float32], distance: Distance) -> tuple[Floats, Floats]:
    """Float64 copies of the rows and their norms; for cosine, unit rows (or zeros) and the norms 1."""
    wide = np.ascontiguousarray(rows, dtype=np.float64)
    norms = np.sqrt(np.einsum("nd,nd->n", wide, wide))
    if distance == "cosine":
        wide /= np.where(norms > 0, norms, 1)[:, None]
        norms = np.ones(len(rows))
    return wide, norms


def _tolerance(norms: Floats, dimensions: int) -> Floats:
    """How far apart two approximate scores of one query must lie to prove the order of the two defined scores.

    ``norms`` is |q| + max |g|, [B]. With u = 2^-53, a float64 sum of n products is off by at most n u times the sum of
    their magnitudes, in whatever order, with or without fused steps (Higham, Accuracy and Stability of Numerical
    Algorithms, 2002, section 3.1). Let S = norms^2. Of the true score the matrix product is off by at most (D + 6) u S,
    and the definition, whose sums are rounded once, by 8 u S, norms and divisions included. Two scores need twice the
    sum of both; the rest covers u^2.
    """
    return 4 * (dimensions + 16) * 2.0**-53 * np.square(norms)
