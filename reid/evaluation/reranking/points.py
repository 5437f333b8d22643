"""The images of a query and a gallery as points whose squared Euclidean distances say who is near whom.

Definition. With all arithmetic in float64 on the float32 feature rows x (NumPy's sum along a row),

    p = x (euclidean), or x / |x| and 0 for a row of zeros (cosine);    d(a, b) = sum((p_a - p_b)^2)

so that for unit rows d = 2 - 2 cos. Float32 copies of the points have their mean subtracted first: that changes no
distance, and makes every rounding error small beside the spread of the points, even where a collapsed network puts all
of them within 1e-7 of each other.
"""

from __future__ import annotations

import hashlib
import itertools
import warnings
from collections.abc import Iterator
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from reid.errors import UserError
from reid.evaluation.gallery import Gallery
from reid.evaluation.labels import Ints
from reid.evaluation.protocol import Distance

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]


def checked_features(query_features: Any, gallery_features: Any, distance: str) -> tuple[Floats32, Floats32]:
    """Float32 rows of features that come without labels.

    Raises:
        UserError: the features are wrong as for ``evaluate``, or the distance is unknown.
    """
    if distance not in get_args(Distance):
        raise UserError(f"distance={distance!r} is unknown; choose one of {', '.join(get_args(Distance))}")
    query = Gallery.of(query_features, "query_features").array()
    gallery = Gallery.of(gallery_features).array()
    if query.shape[1] != gallery.shape[1]:
        raise UserError(
            f"query_features have {query.shape[1]} dimensions and gallery_features {gallery.shape[1]}; "
            "extract both with the same model"
        )
    return query, gallery


class Points:
    """All images of a query and a gallery [Q + G, D] as points, each distinct row stored once.

    Attributes:
        inverse: [Q + G] int64, the point of each image.
        first: [N] int64, the first image of each point, ascending.
        rows: [N, D] float32, the points less their mean, divided by one power of two.
        norms: [N] float64, their lengths.
        queries: the number Q.
        copies: [C] int64, gallery images whose row an earlier one has, and which: ``originals``.
    """

    def __init__(self, query: Floats32, gallery: Floats32, distance: str) -> None:
        self._query, self._gallery = query, gallery
        self.queries = len(query)
        self.first, self.inverse = _distinct(query, gallery)
        _, first, group = np.unique(self.inverse[len(query) :], return_index=True, return_inverse=True)
        self.copies = np.flatnonzero(first[group] != np.arange(len(gallery)))
        self.originals = first[group[self.copies]]
        self._lengths = np.ones(len(self.first))
        total, longest = np.zeros(query.shape[1]), 0.0
        for block in self._blocks():
            points = self._points(block)
            lengths = np.sqrt(np.square(points).sum(axis=1))
            if distance == "cosine":
                self._lengths[block] = np.where(lengths > 0, lengths, 1)
                points /= self._lengths[block, None]
            total += points.sum(axis=0)
            longest = max(longest, float(lengths.max()) if distance == "euclidean" else 1.0)
        mean, scale = total / len(self.first), 2.0 ** -np.ceil(np.log2(longest or 1.0))
        self.rows = np.empty((len(self.first), query.shape[1]), dtype=np.float32)
        self.norms = np.empty(len(self.first))
        for block in self._blocks():
            self.rows[block] = (self._points(block) - mean) * scale
            self.norms[block] = np.sqrt(np.square(self.rows[block], dtype=np.float64).sum(axis=1))

    def of_images(self, images: slice) -> Floats32:
        """``rows`` of consecutive images; a view where no image is a copy of another."""
        return self.rows[images] if len(self.first) == len(self.inverse) else self.rows[self.inverse[images]]

    def squared(self, points: Ints, counts: Ints, others: Ints) -> Floats32:
        """Squared distances of ``points[i]`` to the next ``counts[i]`` of ``others``, in the scale of ``rows``.

        No point may stand twice in one row of ``others``.
        """
        ends = np.concatenate(([0], np.cumsum(counts)))
        shape = (len(points), len(self.rows))
        with warnings.catch_warnings():  # "CSR support is in beta"
            warnings.simplefilter("ignore", UserWarning)
            pairs = torch.sparse_csr_tensor(
                torch.from_numpy(ends),
                torch.from_numpy(others),
                torch.zeros(len(others)),
                shape,
                check_invariants=False,
            )
        left = torch.from_numpy(self.rows[points])
        dots = torch.sparse.sampled_addmm(pairs, left, torch.from_numpy(self.rows).T, beta=0).values().numpy()
        squares = np.square(self.norms)
        distances = np.repeat(squares[points], counts) + squares[others] - 2 * dots.astype(np.float64)
        return np.maximum(distances, 0).astype(np.float32)

    def exact(self, points: Ints, others: Ints) -> Floats:
        """Squared distances of pairs of points as the definition says, each pair computed alone."""
        distances = np.empty(len(points))
        step = max(1, 2**20 // self.rows.shape[1])
        for start in range(0, len(points), step):
            part = slice(start, start + step)
            distances[part] = np.square(self._points(points[part]) - self._points(others[part])).sum(axis=1)
        return distances

    def _points(self, points: Ints) -> Floats:
        images = self.first[points]
        rows = np.empty((len(images), self._query.shape[1]))
        mine = images < len(self._query)
        rows[mine] = self._query[images[mine]]
        rows[~mine] = self._gallery[images[~mine] - len(self._query)]
        rows /= self._lengths[points, None]
        return rows

    def _blocks(self) -> Iterator[Ints]:
        for start in range(0, len(self.first), 512):
            yield np.arange(start, min(start + 512, len(self.first)))


def _distinct(*arrays: Floats32) -> tuple[Ints, Ints]:
    """The first image of each distinct row, ascending, and for each image the number of its row."""
    numbers: dict[bytes, int] = {}
    digests = (hashlib.sha256(row.tobytes()).digest() for row in itertools.chain(*arrays))
    inverse = np.array([numbers.setdefault(digest, len(numbers)) for digest in digests])
    return np.unique(inverse, return_index=True)[1], inverse
