"""The gallery of a deployed system: a FAISS index and the labels of its images, in one object and one file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np

from reid.errors import UserError
from reid.evaluation.inputs import Distance
from reid.evaluation.protocol import Ints
from reid.evaluation.search import engine, storage
from reid.evaluation.search.columns import Columns, blocks, check_features
from reid.evaluation.search.options import IndexOptions, as_options


class GalleryIndex:
    """Images to search among: their features in a FAISS index, and for each its identity, camera and file name.

    Every image has a row number, given when it is added and never given again: those of the images that stay do not
    change when others are removed. Scores are larger for nearer images: the cosine of the angle, or the squared
    Euclidean distance negated; hnsw, ivf_flat and flat compute them in float32, the other kinds from fewer bits.
    Searches may run in several threads at once; ``add``, ``remove``, ``compact`` and ``tune`` need the index for
    themselves.

    Attributes:
        options: the ``IndexOptions`` in force, all filled in.
        distance: "cosine" or "euclidean".
        dimensions: of a feature row.

    >>> gallery = GalleryIndex.build(np.eye(3), pids=[7, 8, 9])
    >>> gallery.add([[0.6, 0.8, 0.0]], pids=[8])
    array([3])
    >>> scores, rows = gallery.search([[0.0, 1.0, 0.0]], k=2)
    >>> scores.round(2), rows, gallery.labels(rows).pids
    (array([[1. , 0.8]], dtype=float32), array([[1, 3]]), array([[8, 8]]))
    >>> gallery.remove(pids=[8])
    2
    >>> gallery.search([[0.1, 1.0, 0.0]], k=1)[1], gallery
    (array([[0]]), <GalleryIndex flat, cosine: 2 images of 2 identities, 3 dimensions>)
    """

    options: IndexOptions
    distance: Distance
    dimensions: int

    def __init__(self, index: Any, options: IndexOptions, distance: Distance, dimensions: int, columns: Columns):
        """Not for users: ``build`` and ``load`` make a GalleryIndex."""
        self.options, self.distance, self.dimensions = options, distance, dimensions
        self._index, self._columns = index, columns

    @classmethod
    def build(
        cls,
        features: Any,
        pids: Any,
        camids: Any = None,
        names: Any = None,
        *,
        options: str | IndexOptions = "flat",
        distance: str = "cosine",
    ) -> GalleryIndex:
        """Train an index on the features, if it is of a kind that needs that, and add them.

        ivf indexes are the same for the same seed; the graph of hnsw depends on how its threads interleave.

        Args:
            features: [N, D] NumPy array (memory-mapped too) or tensor of any float dtype; N = 0 is an empty gallery to
                add to, for all kinds that need no training. Read in blocks; nothing is held beyond the index.
            pids: [N] integers.
            camids: [N] integers; given now, or never.
            names: [N] file names or other strings; given now, or never.
            options: a kind ("flat", "hnsw", "ivf_flat", "ivf_pq", "sq8", "fp16") or ``IndexOptions``.
            distance: "cosine" or "euclidean".

        Raises:
            UserError: an argument is unknown, of another length, or not finite; or too few images to train on.
        """
        if distance not in ("cosine", "euclidean"):
            raise UserError(f"distance={distance!r} is unknown; choose one of cosine, euclidean")
        rows = check_features("features", features, distance)
        columns = Columns.checked(len(rows), pids, camids, names)
        count, dimensions = rows.shape
        chosen = as_options(options)
        if count == 0 and chosen.kind not in ("flat", "fp16", "hnsw"):
            raise UserError(f"a {chosen.kind} index trains on features and got none; start with flat, fp16 or hnsw")
        chosen = chosen.resolved(count, dimensions)
        sample = engine.training_images(chosen, count)
        training = np.empty((len(sample), dimensions), dtype=np.float32)
        for start, part in blocks(rows, distance, sample):
            training[start : start + len(part)] = part
        index = engine.empty_index(chosen, dimensions, cast(Distance, distance), training)
        gallery = cls(index, chosen, cast(Distance, distance), dimensions, columns)
        gallery._fill(rows, 0)
        return gallery

    def search(self, query_features: Any, k: int = 10) -> tuple[engine.Rows, Ints]:
        """Find the k nearest images of every query, best first; equal scores by row number.

        Args:
            query_features: [Q, D], as for ``build``.
            k: length of each list; hnsw keeps at least k candidates, whatever ``ef_search``.

        Returns:
            (scores [Q, k] float32, row numbers [Q, k] int64); -inf and -1 where the index found fewer than k images.

        Raises:
            UserError: k is below 1, or the features are of another dimension or not finite.
        """
        if k < 1:
            raise UserError(f"k={k} asks for an empty list; give 1 or more")
        rows = check_features("query_features", query_features, self.distance, self.dimensions)
        scores, found = np.empty((len(rows), k), dtype=np.float32), np.empty((len(rows), k), dtype=np.int64)
        for start, part in blocks(rows, self.distance):
            here = slice(start, start + len(part))
            scores[here], found[here] = engine.search(self._index, self.options, part, k, self._columns.alive)
        return scores, found

    def labels(self, rows: Any) -> Labels:
        """The labels of row numbers that ``search`` returned, in the same shape; -1 and "" where the row is -1."""
        return Labels(*self._columns.at(np.asarray(rows)))

    def add(self, features: Any, pids: Any, camids: Any = None, names: Any = None) -> Ints:
        """Add images, with the labels ``build`` had, and return their row numbers [N] int64. All are added or none.

        sq8, ivf_flat and ivf_pq keep what they were trained on: build anew once the gallery has outgrown it.

        Raises:
            UserError: the features or labels are not like those of ``build``.
        """
        rows = check_features("features", features, self.distance, self.dimensions)
        more = Columns.checked(len(rows), pids, camids, names)
        start = len(self._columns.alive)
        joined = self._columns.joined(more)
        self._fill(rows, start)
        self._columns = joined
        return np.arange(start, start + len(rows))

    def remove(self, pids: Any) -> int:
        """Take all images of these identities out and return how many; no search returns them again.

        hnsw hides its removed images behind a filter, since a graph cannot lose a node, and so keeps their features, in
        a saved file too, until ``compact`` (worth its time once they are a third of ``len(gallery)`` or so).

        Raises:
            UserError: an identity is not in the gallery; nothing is removed then.
        """
        wanted = np.unique(np.atleast_1d(np.asarray(pids)))
        alive = self._columns.alive
        absent = wanted[~np.isin(wanted, self._columns.pids[alive])]
        if len(absent):
            first = ", ".join(map(str, absent[:3].tolist()))
            raise UserError(f"pids: {len(absent)} identities are not in the gallery (first: {first}); nothing removed")
        gone = np.flatnonzero(alive & np.isin(self._columns.pids, wanted))
        if self.options.kind != "hnsw":
            engine.remove(self._index, gone)
        self._columns.forget(gone)
        return len(gone)

    def compact(self) -> None:
        """Build a hnsw graph again without the removed images, row numbers unchanged; other kinds hold none."""
        if self._index.ntotal == len(self):
            return
        old, alive = self._index, self._columns.alive
        untrained = np.empty((0, self.dimensions), dtype=np.float32)
        index = engine.empty_index(self.options, self.dimensions, self.distance, untrained)
        for start in range(0, old.ntotal, 2**14):
            index.add_with_ids(*engine.living(old, alive, start, 2**14))
        self._index = index

    def tune(self, *, ef_search: int | None = None, nprobe: int | None = None) -> None:
        """Trade speed for recall on the built index: ``ef_search`` for hnsw, ``nprobe`` for ivf_flat and ivf_pq."""
        if ef_search is not None:
            self.options = replace(self.options, ef_search=ef_search)
        if nprobe is not None:
            self.options = replace(self.options, nprobe=nprobe)

    def save(self, path: Path | str) -> None:
        """Write index, labels and options into one file, whole or not at all.

        Raises:
            UserError: it cannot be written; an existing file is kept.
        """
        storage.save(Path(path), self._index, self.options, self.distance, self.dimensions, self._columns)

    @classmethod
    def load(cls, path: Path | str) -> GalleryIndex:
        """Read what ``save`` wrote: the same row numbers, the same results.

        Raises:
            UserError: there is no such file, or it is damaged or something else.
        """
        return cls(*storage.load(Path(path)))

    @property
    def reach(self) -> int:
        """The most images that one search weighs: all of them, ``ef_search``, or what the fullest cells hold."""
        return min(len(self), engine.reach(self._index, self.options))

    @property
    def nbytes(self) -> int:
        """Bytes of the FAISS index when written, 8 a row number included; labels not."""
        sizes: list[int] = []
        engine.write(self._index, lambda piece: sizes.append(len(piece)))
        return sum(sizes)

    def __len__(self) -> int:
        return int(self._columns.alive.sum())

    def __repr__(self) -> str:
        identities = len(np.unique(self._columns.pids[self._columns.alive]))
        what = f"{len(self)} images of {identities} identities, {self.dimensions} dimensions"
        return f"<GalleryIndex {self.options}, {self.distance}: {what}>"

    def _fill(self, rows: Any, first: int) -> None:
        for start, part in blocks(rows, self.distance):
            self._index.add_with_ids(part, np.arange(first + start, first + start + len(part)))


class Labels(NamedTuple):
    """Identities, and cameras and file names where the gallery has them."""

    pids: Ints
    camids: Ints | None
    names: Any
