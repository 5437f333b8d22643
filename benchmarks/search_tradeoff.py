"""What a FAISS index gives up for its speed and size: recall, mAP, bytes a vector, queries a second.

    python benchmarks/search_tradeoff.py [--vectors 100000 1000000] [--dimensions 512] [--queries 500] [--kinds ...]

Random features made to look like trained embeddings, cosine: 16 images an identity around a centre of its own, in a
space whose directions matter less and less; most images are near their centre, some far off. Queries are further
images of random identities. mAP comes from lists of the first 1000 images (hnsw: of ef_search). Prints one Markdown
table for each number of vectors; build seconds are those of the shared index where only ef_search or nprobe differ.
"""

import argparse
import time

import faiss
import numpy as np

from reid.evaluation.search import KINDS, IndexOptions, search_report

IMAGES = 16  # an identity
POINTS = {
    "hnsw": [{"ef_search": ef} for ef in (32, 64, 128, 256)],
    "ivf_flat": [{"nprobe": nprobe} for nprobe in (4, 16, 64, 256)] + [{}],
    "ivf_pq": [{"nprobe": nprobe} for nprobe in (4, 16, 64, 256)] + [{}],
}


def embeddings(
    rng: np.random.Generator, centres: np.ndarray, pids: np.ndarray, scale: np.ndarray, spread: float
) -> np.ndarray:
    """One unit float32 row an identity in ``pids``: its centre and noise of a log-normal size."""
    rows = np.empty((len(pids), len(scale)), dtype=np.float32)
    for start in range(0, len(pids), 2**14):
        part = pids[start : start + 2**14]
        noise = rng.standard_normal((len(part), len(scale)), dtype=np.float32) * scale
        size = spread * np.exp(0.4 * rng.standard_normal((len(part), 1), dtype=np.float32))
        row = centres[part] + size * noise
        rows[start : start + len(part)] = row / np.linalg.norm(row, axis=1, keepdims=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--dimensions", type=int, default=512)
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--spread", type=float, default=0.8, help="size of the noise beside the centres'")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--seed", type=int, default=0)
    a = parser.parse_args()
    print(f"faiss {faiss.__version__}, {faiss.get_compile_options().strip()}, {faiss.omp_get_max_threads()} threads")
    indexes = [IndexOptions(kind, **point) for kind in a.kinds for point in POINTS.get(kind, [{}])]
    for count in a.vectors:
        start = time.perf_counter()
        rng = np.random.default_rng(a.seed)
        scale = ((1 + np.arange(a.dimensions)) ** -0.45).astype(np.float32)
        centres = rng.standard_normal((-(-count // IMAGES), a.dimensions), dtype=np.float32) * scale
        pids = np.repeat(np.arange(len(centres)), IMAGES)[:count]
        query_pids = rng.integers(0, len(centres), a.queries)
        gallery, query = (embeddings(rng, centres, each, scale, a.spread) for each in (pids, query_pids))
        report = search_report(
            query, gallery, query_pids=query_pids, gallery_pids=pids, protocol="no_camera", indexes=indexes, depth=1000
        )
        print(f"\n{count:,} x {a.dimensions}, {a.queries} queries, exact mAP {report.exact.mAP:.2%}", end="")
        print(f", rank-1 {report.exact.rank(1):.2%}; {time.perf_counter() - start:.0f} s\n\n{report}", flush=True)


if __name__ == "__main__":
    main()
