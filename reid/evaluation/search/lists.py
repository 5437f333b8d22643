"""Ranked lists by FAISS: the first k gallery images of each query, in exactly the order that ``ranking`` defines."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid.errors import UserError
from reid.evaluation.inputs import Inputs, check_inputs
from reid.evaluation.labels import Floats
from reid.evaluation.protocol import Ints, Protocol
from reid.evaluation.ranking.scores import first_copies, pair_scores

_QUERIES = 256  # a block


def ranked_gallery(
    query_features: Any,
    gallery_features: Any,
    *,
    query_pids: Any,
    gallery_pids: Any,
    query_camids: Any = None,
    gallery_camids: Any = None,
    protocol: str | Protocol = "market1501",
    distance: str | None = None,
    k: int = 10,
    **labels: Any,
) -> Ints:
    """List the k nearest gallery images of every query, best first, junk left out, ties to the lower index.

    A FAISS ``IndexFlatIP`` (cosine) or ``IndexFlatL2`` searches in float32, 256 queries at a time, for more candidates
    than k: until those left behind are further from the k-th than float32 can err. The candidates are then scored in
    float64 and sorted. FAISS holds the gallery in memory, so two float32 copies of the features exist meanwhile.

    Args:
        query_features: as for ``evaluate``, and so are the next seven.
        k: length of each list.
        labels: tracks, times and clothes of both sides, as for ``evaluate``.

    Returns:
        [Q, k] int64 gallery indices; -1 where fewer than k images are not junk.

    Raises:
        UserError: ``k`` is below 1, or an argument is wrong as for ``evaluate``.

    >>> ranked_gallery(
    ...     np.eye(2), [[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]],
    ...     query_pids=[1, 2], gallery_pids=[1, 2, -1], protocol="no_camera", k=3,
    ... )
    array([[ 0,  1, -1],
           [ 1,  0, -1]])
    """
    import faiss  # heavy, and needed for lists only

    if k < 1:
        raise UserError(f"k={k} asks for an empty ranked list; give 1 or more")
    inputs = check_inputs(
        query_features,
        gallery_features,
        query_pids=query_pids,
        gallery_pids=gallery_pids,
        query_camids=query_camids,
        gallery_camids=gallery_camids,
        protocol=protocol,
        distance=distance,
        **labels,
    )
    query, gallery = _unit_ball(inputs)
    index = (faiss.IndexFlatIP if inputs.distance == "cosine" else faiss.IndexFlatL2)(gallery.shape[1])
    index.add(gallery)

    copies = first_copies(inputs.gallery)
    lists = np.full((len(query), k), -1, dtype=np.int64)
    for start in range(0, len(query), _QUERIES):
        _, junk = inputs.judge(slice(start, start + _QUERIES))
        todo = np.arange(start, start + len(junk))
        candidates = 2 * k + 32
        while todo.size:
            candidates = min(candidates, len(gallery))
            found, indices = index.search(query[todo], candidates)
            scores = (found if inputs.distance == "cosine" else -found).astype(np.float64)
            undecided = []
            for i, near, rows in zip(todo, scores, indices, strict=True):
                kept = ~junk[i - start, rows]
                threshold = _threshold(near[kept], k, query.shape[1])
                if near[-1] < threshold or candidates == len(gallery):
                    rows = rows[kept & (near >= threshold)]
                    exact = pair_scores(
                        inputs.query, inputs.gallery, np.full(len(rows), i), copies[rows], inputs.distance
                    )
                    best = rows[np.lexsort((rows, -exact))][:k]
                    lists[i, : len(best)] = best
                else:
                    undecided.append(i)
            todo, candidates = np.array(undecided, dtype=np.int64), 4 * candidates
    return lists


def _threshold(scores: Floats, k: int, dimensions: int) -> float:
    """The float32 score below which no image can be among the first k; ``scores`` are descending, junk left out.

    Inside the unit ball, with u = 2^-24 and counted as in ``ranking``, the float32 score of a pair is within
    4 (D + 5) u of its defined score, rounding the rows to float32 included. An image is out of the list once its score
    lies twice that below the k-th.
    """
    return -np.inf if len(scores) < k else float(scores[k - 1]) - 8 * (dimensions + 8) * 2.0**-24


def _unit_ball(inputs: Inputs) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Float32 rows of norm 1 (cosine), or all divided by the longest norm (euclidean), so that nothing overflows."""
    query, gallery = (np.array(rows, dtype=np.float32, order="C") for rows in (inputs.query, inputs.gallery))
    norms = [np.sqrt(np.einsum("nd,nd->n", rows, rows, dtype=np.float64)) for rows in (query, gallery)]
    longest = max(float(n.max()) for n in norms)
    for rows, norm in zip((query, gallery), norms, strict=True):
        scale = norm if inputs.distance == "cosine" else np.full(len(rows), longest)
        np.divide(rows, np.where(scale > 0, scale, 1)[:, None], out=rows, casting="same_kind")
    return query, gallery
