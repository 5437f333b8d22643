"""CPU time and memory of k-reciprocal re-ranking at Market-1501's shape.

    python benchmarks/rerank.py [--dimensions 512 2048] [--threads 2]

3,368 queries x 19,732 gallery images, each width in a process of its own. Features are drawn from a seed and made to
look like a trained embedding: 750 identities whose centres and spread fill a few hundred directions unevenly, and
6,617 distractors. Timed is ``reranked_match_ranks``, from features to the ranks of all true matches; memory is the peak
of the process's own pages (RssAnon of /proc/self/status, Linux) less those it held before, features included there.
"""

import argparse
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

QUERIES, IMAGES, IDENTITIES, DISTRACTORS = 3368, 19732, 750, 6617


def anonymous_mb() -> float:
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")) * 1024 / 1e6


def embedding(dimensions: int, noise: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Features and identities of queries and gallery; ``noise`` is the spread of an identity beside that of all."""
    rng, directions = np.random.default_rng(0), 256
    pids = np.concatenate(
        [
            np.arange(QUERIES) % IDENTITIES,
            rng.permutation(np.arange(IMAGES - DISTRACTORS) % IDENTITIES),
            IDENTITIES + np.arange(DISTRACTORS),
        ]
    )
    spectrum = np.arange(1, directions + 1) ** -0.5
    mixing = np.linalg.qr(rng.standard_normal((dimensions, directions)))[0] * spectrum
    centres = rng.standard_normal((pids.max() + 1, directions))
    latent = centres[pids] + noise * rng.standard_normal((len(pids), directions))
    features = np.empty((len(pids), dimensions), dtype=np.float32)
    for start in range(0, len(pids), 1024):
        rows = latent[start : start + 1024] @ mixing.T
        features[start : start + 1024] = rows + rng.standard_normal(rows.shape) * 0.2 * rows.std()
    return features[:QUERIES].copy(), features[QUERIES:].copy(), pids[:QUERIES], pids[QUERIES:]


def measure(dimensions: int, noise: float) -> None:
    """One width in this process; prints a row of the table."""
    from reid.evaluation import evaluate
    from reid.evaluation.inputs import check_inputs
    from reid.evaluation.metrics import average_precision
    from reid.evaluation.reranking.rerank import Rerank, reranked_match_ranks

    query, gallery, query_pids, gallery_pids = embedding(dimensions, noise)
    labels = {"query_pids": query_pids, "gallery_pids": gallery_pids, "protocol": "no_camera"}
    pairs = check_inputs(query, gallery, **labels).pairs
    before, peak, done = anonymous_mb(), [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.003):
            peak[0] = max(peak[0], anonymous_mb())

    threading.Thread(target=watch, daemon=True).start()
    cpu, wall = time.process_time(), time.perf_counter()
    ranks = reranked_match_ranks(query, gallery, pairs, Rerank())
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    done.set()
    mean = np.mean([average_precision(r) for r in ranks])
    plain = evaluate(query, gallery, **labels).mAP
    print(f"{dimensions:10d} {cpu:8.1f} {wall:8.1f} {peak[0] - before:9.0f} {plain:8.2%} {mean:8.2%}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dimensions", type=int, nargs="+", default=[512, 2048])
    parser.add_argument("--noise", type=float, default=0.78)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.one:
        return measure(a.one, a.noise)
    print(
        f"{'dimensions':>10s} {'CPU, s':>8s} {'wall, s':>8s} {'extra, MB':>9s} {'mAP':>8s} {'after':>8s}",
        flush=True,
    )
    threads = {"OMP_NUM_THREADS": str(a.threads), "OPENBLAS_NUM_THREADS": str(a.threads)}
    for dimensions in a.dimensions:
        command = [sys.executable, __file__, "--one", str(dimensions), "--noise", str(a.noise)]
        subprocess.run(command, env=os.environ | threads, check=True)


if __name__ == "__main__":
    main()
