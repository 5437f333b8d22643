"""The calls made to FAISS: float32 rows in, larger-is-better scores and stable row numbers out."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid.evaluation.inputs import Distance
from reid.evaluation.protocol import Bools, Ints
from reid.evaluation.search.options import IndexOptions

Rows = NDArray[np.float32]
_CELL_TRAINING = 40  # images of a k-means cell
_CODE_TRAINING = 65_536  # images for the ranges of sq8 and the codes of ivf_pq


def training_images(options: IndexOptions, images: int) -> Ints:
    """Which images an index trains on: sorted indices, a seeded sample of a large gallery; [] without training."""
    wanted = 0 if options.nlist is None else _CELL_TRAINING * options.nlist
    if options.kind in ("sq8", "ivf_pq"):
        wanted = max(wanted, _CODE_TRAINING)
    if wanted >= images:
        return np.arange(images)
    return np.sort(np.random.default_rng(options.seed or 0).choice(images, wanted, replace=False))


def empty_index(options: IndexOptions, dimensions: int, distance: Distance, training: Rows) -> Any:
    """A trained FAISS index without images. IVF keeps row numbers itself, the others through ``IndexIDMap``."""
    faiss = _faiss()
    metric = faiss.METRIC_INNER_PRODUCT if distance == "cosine" else faiss.METRIC_L2
    if options.nlist is not None:
        return _cells(faiss, options, dimensions, metric, training)
    if options.kind == "hnsw":
        base = faiss.IndexHNSWFlat(dimensions, options.M, metric)
        base.hnsw.efConstruction = options.ef_construction
    elif options.kind == "flat":
        base = faiss.IndexFlat(dimensions, metric)
    else:
        bits = faiss.ScalarQuantizer.QT_8bit if options.kind == "sq8" else faiss.ScalarQuantizer.QT_fp16
        base = faiss.IndexScalarQuantizer(dimensions, bits, metric)
    if len(training):
        base.train(training)
    return faiss.IndexIDMap(base)


def _cells(faiss: Any, options: IndexOptions, dimensions: int, metric: int, training: Rows) -> Any:
    quantizer = faiss.IndexFlat(dimensions, metric)
    if options.pq_bits is None:
        index = faiss.IndexIVFFlat(quantizer, dimensions, options.nlist, metric)
        clusterings = [index.cp]
    else:
        index = faiss.IndexIVFPQ(quantizer, dimensions, options.nlist, options.pq_m, options.pq_bits, metric)
        clusterings = [index.cp, index.pq.cp]
        if len(training) < 2**options.pq_bits:  # k-means wants as many rows as codes: repeat them
            training = np.resize(training, (2**options.pq_bits, dimensions))
    for clustering in clusterings:
        clustering.seed, clustering.min_points_per_centroid = options.seed, 1  # no advice on stderr
    index.cp.max_points_per_centroid = len(training)  # sampled already
    index.cp.niter = 10
    index.train(training)
    return index


def search(index: Any, options: IndexOptions, query: Rows, k: int, alive: Bools) -> tuple[Rows, Ints]:
    """(scores, row numbers), both [Q, k]: best first, ties to the lower row; -inf and -1 where less was found.

    Only hnsw holds images that are not ``alive``: a filter hides them, and searches that this leaves short are repeated
    with a larger ``ef_search``.
    """
    faiss = _faiss()
    scores = np.full((len(query), k), -np.inf, dtype=np.float32)
    rows = np.full((len(query), k), -1, dtype=np.int64)
    count = int(alive.sum())
    depth, hidden = min(k, count), index.ntotal - count
    parameters: Any = None
    todo = np.arange(len(query) if depth else 0)
    if options.nprobe:
        parameters = faiss.SearchParametersIVF(nprobe=min(options.nprobe, index.nlist))
    elif options.ef_search:  # counts hidden images too, so it grows with their share
        parameters = faiss.SearchParametersHNSW(efSearch=max(depth, options.ef_search * index.ntotal // max(1, count)))
        if hidden:
            parameters.sel = faiss.IDSelectorBitmap(np.packbits(alive, bitorder="little"))
    while len(todo):
        found, near = index.search(query[todo], depth, params=parameters)
        scores[todo, :depth], rows[todo, :depth] = found, near
        todo = todo[near[:, -1] < 0]
        if not hidden or parameters.efSearch >= index.ntotal:
            break
        parameters.efSearch *= 4
    if index.metric_type == faiss.METRIC_L2:
        np.negative(scores, out=scores)
    scores[rows < 0] = -np.inf
    order = np.lexsort((rows, -scores))
    return np.take_along_axis(scores, order, axis=1), np.take_along_axis(rows, order, axis=1)


def remove(index: Any, rows: Ints) -> None:
    """Take rows out of an index of any kind but hnsw."""
    faiss = _faiss()
    index.remove_ids(faiss.IDSelectorBatch(rows))


def living(index: Any, alive: Bools, start: int, count: int) -> tuple[Rows, Ints]:
    """(features, row numbers) of the images at FAISS's places start.. of a hnsw index that are alive."""
    faiss = _faiss()
    numbers = faiss.vector_to_array(index.id_map)[start : start + count]
    vectors = index.index.reconstruct_n(start, len(numbers))
    kept = alive[numbers]
    return vectors[kept], numbers[kept]


def reach(index: Any, options: IndexOptions) -> int:
    """The most images that one search with these options considers: all, ``ef_search``, or the longest lists' sum."""
    if options.ef_search:
        return min(options.ef_search, index.ntotal)
    if options.nprobe:
        sizes = np.array([index.invlists.list_size(i) for i in range(index.nlist)])
        return int(np.sort(sizes)[-options.nprobe :].sum())
    return int(index.ntotal)


def write(index: Any, sink: Callable[[bytes], object]) -> None:
    """Serialise by pieces into ``sink``; what that raises is raised here."""
    faiss = _faiss()
    errors: list[OSError] = []

    def careful(piece: bytes) -> None:
        try:
            sink(piece)
        except OSError as error:
            errors.append(error)
            raise

    try:
        faiss.write_index(index, faiss.PyCallbackIOWriter(careful, 2**22))
    except RuntimeError:
        raise (errors[0] if errors else AssertionError("FAISS cannot write its own index")) from None


def read(source: Callable[[int], bytes]) -> Any:
    """Read what ``write`` wrote.

    Raises:
        RuntimeError: FAISS does not recognise it.
    """
    faiss = _faiss()
    return faiss.read_index(faiss.PyCallbackIOReader(source, 2**22))


def _faiss() -> Any:
    """FAISS, imported when first needed: it is heavy. Its type stubs lack half of what is used here, hence Any."""
    return importlib.import_module("faiss")
