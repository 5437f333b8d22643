"""The exact rank of every true match (a stand-in for the engine of the main worker: the same function, slower)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reid.evaluation.gallery import Gallery
from reid.evaluation.labels import Ints
from reid.evaluation.pairs import Pairs
from reid.evaluation.protocol import Distance
from reid.evaluation.tracks import track_ranks


def match_ranks(
    query: NDArray[np.float32], gallery: Gallery, pairs: Pairs, distance: Distance, *, route: str = "auto"
) -> list[Ints]:
    """One ascending int64 array of 1-based ranks a query; empty where the query has no match.

    >>> from reid.evaluation.labels import Labels
    >>> from reid.evaluation.pairs import make_pairs
    >>> from reid.evaluation.protocols import PROTOCOLS
    >>> pairs = make_pairs(Labels(np.array([7])), Labels(np.array([8, 7])), PROTOCOLS["no_camera"])
    >>> match_ranks(np.float32([[1, 0]]), Gallery.of(np.float32([[3, 1], [1, 1]])), pairs, "cosine")
    [array([2])]
    """
    return track_ranks(query, gallery, pairs, np.arange(gallery.rows), distance)
