"""Query expansion and database-side augmentation: features moved towards their neighbours before they are compared.

Definition. All rows are unit rows: x / |x|, zeros where a row is zero. With s = x.y the cosine, and the neighbours of a
row its k nearest gallery rows by s,

    query expansion              q' = q + sum_j w(q, j) g_j     over the k neighbours j of the query q
    database-side augmentation   g' = g + sum_j w(g, j) g_j     over the k neighbours j of g, itself left out by index
    weights                      w(x, j) = max(x.g_j, 0)^alpha, and 1 for alpha = 0

and the result is divided by its norm again. So the row itself always counts, once, with weight 1; neighbours are k more
images, or all there are where the gallery is smaller. Where both are on, the gallery is augmented first and queries are
expanded with what came out. No query ever moves another one or the gallery.

alpha = 0 is the average query expansion of Chum et al., Total Recall, ICCV 2007 (without spatial verification, which
global features cannot do); alpha > 0 the weighted one of Radenovic et al., Fine-tuning CNN Image Retrieval with No
Human Annotation, TPAMI 2019, who use alpha = 3. Augmenting the database is Arandjelovic and Zisserman, Three Things
Everyone Should Know to Improve Object Retrieval, CVPR 2012, with the same weights. fast-reid's "AQE" is something else:
queries and gallery are one pool that moves itself, and k counts the row itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from reid.errors import UserError
from reid.evaluation.labels import Ints
from reid.evaluation.reranking.points import Floats, Floats32, checked_features

_ROWS = 512  # at a time


@dataclass(frozen=True)
class Expansion:
    """Which features move, and how far; at least one of the two numbers of neighbours is above 0.

    Attributes:
        query_k: gallery neighbours added to each query; 0 leaves queries alone.
        database_k: gallery neighbours added to each gallery image; 0 leaves the gallery alone.
        alpha: the neighbours' weight is their cosine to this power; 0 weighs all alike.

    >>> Expansion(query_k=5).stamp
    'average query expansion k=5'
    >>> Expansion(query_k=5, database_k=10, alpha=3).stamp
    'database-side augmentation k=10 alpha=3, query expansion k=5 alpha=3'
    """

    query_k: int = 0
    database_k: int = 0
    alpha: float = 0.0

    def __post_init__(self) -> None:
        for name, value in (("query_k", self.query_k), ("database_k", self.database_k)):
            if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 0:
                raise UserError(f"{name}={value!r} of the expansion must be a whole number, 0 or more")
        if not (self.query_k or self.database_k):
            raise UserError("the expansion changes nothing: give query_k or database_k, 1 or more, or no expansion")
        if not 0 <= self.alpha < np.inf:
            raise UserError(f"alpha={self.alpha!r} of the expansion must be 0 or more; 0 averages, 3 is usual")

    @property
    def stamp(self) -> str:
        """A few words that stand beside every number made with these values."""
        average, weights = ("", f" alpha={self.alpha:g}") if self.alpha else ("average ", "")
        parts = [
            f"{average}database-side augmentation k={self.database_k}{weights}" if self.database_k else "",
            f"{average}query expansion k={self.query_k}{weights}" if self.query_k else "",
        ]
        return ", ".join(part for part in parts if part)


def expand(query_features: Any, gallery_features: Any, expansion: Expansion) -> tuple[Floats32, Floats32]:
    """Expand the queries, augment the gallery, or both, as defined at the top of this file.

    Neighbours come from FAISS, by inner products in float32, 512 rows at a time; between images at equal cosine at the
    k-th place it chooses. Sums are in float64. Beyond the results, memory for 512 rows is needed.

    Args:
        query_features: [Q, D], as for ``evaluate``; need not be normalised.
        gallery_features: [G, D], likewise.
        expansion: what is on.

    Returns:
        Unit rows [Q, D] and [G, D], float32, for comparison by cosine; features that were to stay are only normalised.

    Raises:
        UserError: features are wrong as for ``evaluate``.

    >>> query, _ = expand([[1.0, 0.0]], [[0.6, 0.8], [0.0, -1.0]], Expansion(query_k=1))
    >>> query.round(3)  # (1, 0) + (0.6, 0.8), normalised
    array([[0.894, 0.447]], dtype=float32)
    """
    query, gallery = (_unit(rows) for rows in checked_features(query_features, gallery_features, "cosine"))
    if expansion.database_k:
        gallery = _moved(gallery, gallery, expansion.database_k, expansion.alpha, own=True)
    if expansion.query_k:
        query = _moved(query, gallery, expansion.query_k, expansion.alpha, own=False)
    return query, gallery


def _moved(rows: Floats32, gallery: Floats32, k: int, alpha: float, *, own: bool) -> Floats32:
    """Unit rows plus their weighted neighbours; ``own`` says that ``rows`` is the gallery itself."""
    moved = np.empty_like(rows)
    for start in range(0, len(rows), _ROWS):
        sums = rows[start : start + _ROWS].astype(np.float64)
        images = np.arange(start, start + len(sums))
        cosines, near = _neighbours(rows[images], gallery, k, images if own else None)
        weights = np.maximum(cosines.astype(np.float64), 0) ** alpha if alpha else np.ones(cosines.shape)
        for weight, image in zip(weights.T, near.T, strict=True):
            sums += weight[:, None] * gallery[image]
        moved[images] = _unit(sums)
    return moved


def _neighbours(rows: Floats32, gallery: Floats32, k: int, own: Ints | None) -> tuple[Floats32, Ints]:
    """Cosines and indices of the k gallery rows nearest to each row, ``own`` of them left out: [rows, k or fewer]."""
    import faiss  # heavy, and needed for searches only

    count = min(k + (own is not None), len(gallery))
    cosines, images = faiss.knn(rows, gallery, count, metric=faiss.METRIC_INNER_PRODUCT)
    if own is None:
        return cosines, images
    left_out = images == own[:, None]
    left_out[~left_out.any(axis=1), -1] = True  # so many copies that the image itself is not even among them
    return cosines[~left_out].reshape(len(rows), -1), images[~left_out].reshape(len(rows), -1)


def _unit(rows: Floats | Floats32) -> Floats32:
    """Float32 rows of norm 1, or zeros."""
    unit = np.empty(rows.shape, dtype=np.float32)
    for start in range(0, len(rows), _ROWS):
        part = slice(start, start + _ROWS)
        wide = rows[part].astype(np.float64)
        norms = np.sqrt(np.square(wide).sum(axis=1, keepdims=True))
        unit[part] = wide / np.where(norms > 0, norms, 1)
    return unit
