"""Which gallery images share a query's identity: the only pairs that labels decide, and far fewer than all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reid.evaluation.labels import Bools, Ints, Labels
from reid.evaluation.protocol import Protocol


@dataclass(frozen=True, eq=False)
class Pairs:
    """Every gallery image that shares a query's identity, query by query. All others are negatives, or left out.

    Attributes:
        starts: [Q + 1] int64; the pairs ``starts[i]:starts[i + 1]`` belong to query i.
        gallery: [P] int64 gallery indices, ascending within a query.
        match: [P] bool, a true match; where False the image is ignored for this query.
        left_out: [G] bool, ignored for every query.
        query_group: [Q] int64 or None; a gallery image of the query's group is ignored whatever its identity.
        gallery_group: [G] int64 or None, likewise.
    """

    starts: Ints
    gallery: Ints
    match: Bools
    left_out: Bools
    query_group: Ints | None = None
    gallery_group: Ints | None = None

    @property
    def query(self) -> Ints:
        """[P] int64, the query of each pair."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))

    @property
    def matches(self) -> Ints:
        """[Q] int64, the number of true matches of each query."""
        return np.bincount(self.query[self.match], minlength=len(self.starts) - 1)


def make_pairs(query: Labels, gallery: Labels, protocol: Protocol, query_gallery_index: Ints | None = None) -> Pairs:
    """Pair by identity, and let the protocol judge the pairs.

    Time and memory go with the number of pairs: the gallery is sorted by identity once.

    Args:
        query: labels of Q images.
        gallery: labels of G images.
        protocol: whose rules apply.
        query_gallery_index: [Q] int64, where each query stands in the gallery, -1 where it does not.

    >>> query, gallery = Labels(np.array([7, 9])), Labels(np.array([9, 7, -1, 7]))
    >>> pairs = make_pairs(query, gallery, Protocol("example", ignore_same_camera=False), np.array([3, -1]))
    >>> pairs.starts.tolist(), pairs.gallery.tolist(), pairs.match.tolist(), pairs.left_out.tolist()
    ([0, 2, 3], [1, 3, 0], [True, False, True], [False, False, True, False])
    """
    order = np.argsort(gallery.pids, kind="stable")
    by_pid = gallery.pids[order]
    first, last = (np.searchsorted(by_pid, query.pids, side=side) for side in ("left", "right"))
    starts = np.concatenate([[0], np.cumsum(last - first)])
    images = order[np.repeat(first - starts[:-1], last - first) + np.arange(starts[-1])]
    queries = np.repeat(np.arange(len(query)), last - first)
    left_out = np.isin(gallery.pids, list(protocol.junk_pids))
    ignored = protocol.ignored(query.take(queries), gallery.take(images)) | left_out[images]
    if query_gallery_index is not None:
        ignored |= images == query_gallery_index[queries]
    match = ~ignored & ~np.isin(gallery.pids[images], list(protocol.distractor_pids))
    groups = (query.camids, gallery.camids) if protocol.ignore_camera else (None, None)
    return Pairs(starts, images, match, left_out, *groups)
