"""The gallery of centroids-reid: test labels pool the images of an identity, for each camera that asks for it.

Wieczorek et al., On the Unreasonable Effectiveness of Centroids in Image Retrieval, ICONIP 2021, and its code: for an
identity and each camera that one of its queries comes from, the mean of the gallery's rows of that identity from all
other cameras (once, where two cameras leave the same ones). An identity without a query gets none, so that distractors
leave the gallery. For a query its own identity's centroids match, but for those that its own camera contributed to.

That is what the code means. What it does: it looks up the camera of gallery image j at place j of the query's cameras
followed by the gallery's, so most centroids are made from, and kept or left out by, cameras of other images.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid.evaluation.inputs import Inputs
from reid.evaluation.labels import Ints
from reid.evaluation.translate.order import places

_QUERIES, _CENTROIDS = 64, 1024  # scored at a time


@dataclass(frozen=True, eq=False)
class Centroids:
    """[C, D] float32 unit rows, the identity of each [C] and the cameras it was made from."""

    rows: NDArray[np.float32]
    pids: Ints
    cameras: list[frozenset[int]]


def make(inputs: Inputs, *, as_meant: bool) -> Centroids:
    """Pool the gallery, which becomes as small as (identity, query camera) pairs are: a fifth of Market-1501's."""
    assert inputs.query_camids is not None
    assert inputs.gallery_camids is not None
    gallery_camids = inputs.gallery_camids
    if not as_meant:
        gallery_camids = np.concatenate([inputs.query_camids, gallery_camids])[: len(gallery_camids)]
    by_pid = np.argsort(inputs.gallery_pids, kind="stable")
    asked = np.unique(inputs.query_pids)
    firsts, lasts = (np.searchsorted(inputs.gallery_pids[by_pid], asked, side) for side in ("left", "right"))
    rows, pids, cameras = [], [], []
    for pid, first, last in zip(asked, firsts, lasts, strict=True):
        images = by_pid[first:last]
        camids, known = gallery_camids[images], set()
        for camera in np.unique(inputs.query_camids[inputs.query_pids == pid]):
            used = frozenset(camids[camids != camera].tolist())
            if used and used not in known:
                known.add(used)
                mean = inputs.gallery[images[camids != camera]].mean(axis=0, dtype=np.float64)
                rows.append((mean / (np.linalg.norm(mean) or 1)).astype(np.float32))
                pids.append(int(pid))
                cameras.append(used)
    return Centroids(np.array(rows).reshape(-1, inputs.gallery.shape[1]), np.array(pids, dtype=np.int64), cameras)


def match_ranks(inputs: Inputs, *, as_meant: bool) -> list[Ints]:
    """Ascending 1-based places of each query's matching centroids by cosine; empty where it has none."""
    assert inputs.query_camids is not None
    centroids = make(inputs, as_meant=as_meant)
    ranks = []
    for start in range(0, len(inputs.query), _QUERIES):
        block = slice(start, start + _QUERIES)
        query = inputs.query[block].astype(np.float64)
        scores = np.empty((len(query), len(centroids.rows)))
        for first in range(0, len(centroids.rows), _CENTROIDS):
            part = slice(first, first + _CENTROIDS)
            scores[:, part] = query @ centroids.rows[part].T
        for row, pid, camera in zip(scores, inputs.query_pids[block], inputs.query_camids[block], strict=True):
            own = np.flatnonzero(centroids.pids == pid)
            junk = np.array([camera in centroids.cameras[c] for c in own], dtype=bool)
            ranks.append(places(-row, own[~junk], own[junk]))
    return ranks
