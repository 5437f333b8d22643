"""A whole evaluation against one bare float32 product of the same features.

    python benchmarks/evaluator.py [--only market] [--rounds 3]

The product is the fastest known here of NumPy in one piece and PyTorch in tiles of 512 x 1024, each the best of as many
rounds, in turn with the evaluation. Memory is the peak of what belongs to the process alone (RssAnon, Linux) in the
first evaluation, less what it was before. Labels: identities and cameras drawn evenly, 14 % distractors, no junk.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from embeddings import people

from reid.evaluation import Evaluation, evaluate

# name: queries, gallery, identities, cameras, distractors, width, noise
CASES = {
    "market-2048-0.87": (3368, 19732, 750, 6, 0.14, 2048, 1.25),
    "market-2048-0.95": (3368, 19732, 750, 6, 0.14, 2048, 0.65),
    "market-512-0.86": (3368, 19732, 750, 6, 0.14, 512, 1.06),
    "market-512-0.95": (3368, 19732, 750, 6, 0.14, 512, 0.56),
    "msmt-2048-0.88": (11659, 82161, 3060, 15, 0.0, 2048, 1.4),
    "msmt-512-0.88": (11659, 82161, 3060, 15, 0.0, 512, 1.07),
    "market-2048-untrained": (3368, 19732, 750, 6, 0.14, 2048, 3.72),
    "market-512-equal": (3368, 19732, 750, 6, 0.14, 512, 0.0),
    "market-512-nearly-equal": (3368, 19732, 750, 6, 0.14, 512, 1e-6),
    "market-512-nearly-equal-1e-7": (3368, 19732, 750, 6, 0.14, 512, 1e-7),
    "stream-512": (3368, 500_000, 750, 6, 0.97, 512, 0.9),
}


def anonymous_mb() -> float:
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")) * 1024 / 1e6


def make(name: str, folder: str) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    queries, images, identities, cameras, distractors, width, noise = CASES[name]
    rng = np.random.default_rng(0)
    qp = np.sort(rng.integers(1, identities + 1, queries))
    gp = np.where(rng.random(images) < distractors, 0, rng.integers(1, identities + 1, images))
    qc, gc = rng.integers(1, cameras + 1, queries), rng.integers(1, cameras + 1, images)
    labels = {"query_pids": qp, "gallery_pids": gp, "query_camids": qc, "gallery_camids": gc}
    if "equal" in name:
        row = rng.standard_normal(width)
        row /= np.linalg.norm(row)
        rows = [(row + noise * rng.standard_normal((n, width))).astype(np.float32) for n in (queries, images)]
        return rows[0], rows[1], labels
    draw = partial(people, width=width, noise=noise, identities=identities, cameras=cameras)
    query = draw(qp, qc, seed=1)
    if not name.startswith("stream"):
        return query, draw(gp, gc, seed=2), labels
    gallery = np.lib.format.open_memmap(
        Path(folder) / "gallery.npy", mode="w+", dtype=np.float32, shape=(images, width)
    )
    for start in range(0, images, 50_000):
        part = slice(start, start + 50_000)
        gallery[part] = draw(gp[part], gc[part], seed=2 + start)
    gallery.flush()
    return query, np.load(Path(folder) / "gallery.npy", mmap_mode="r"), labels


def whole(query: np.ndarray, gallery: np.ndarray) -> None:
    for start in range(0, len(gallery), 20_000):  # a part of 270 MB at a time
        query @ gallery[start : start + 20_000].T


def tiled(query: np.ndarray, gallery: np.ndarray) -> None:
    q = torch.from_numpy(query)
    for start in range(0, len(gallery), 1024):
        g = torch.from_numpy(
            np.array(gallery[start : start + 1024]) if not gallery.flags.writeable else gallery[start : start + 1024]
        )
        for first in range(0, len(q), 512):
            q[first : first + 512] @ g.T


def seconds(function, *arguments, **options) -> float:
    start = time.perf_counter()
    function(*arguments, **options)
    return time.perf_counter() - start


def watched(work: Callable[[], Evaluation]) -> tuple[Evaluation, float]:
    """The work's result, and by how many MB the process grew at most meanwhile."""
    before, peak, done = anonymous_mb(), [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.001):
            peak[0] = max(peak[0], anonymous_mb())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    result = work()
    done.set()
    watcher.join()
    return result, peak[0] - before


def measure(name: str, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        query, gallery, labels = make(name, folder)
        evaluate(*(np.eye(600, dtype=np.float32),) * 2, **dict.fromkeys(labels, np.arange(600)), protocol="no_camera")
        result, memory = watched(lambda: evaluate(query, gallery, **labels))
        times = {"whole": [], "tiled": [], "ours": []}
        for _ in range(rounds):
            times["whole"].append(seconds(whole, query, gallery))
            times["tiled"].append(seconds(tiled, query, gallery))
            times["ours"].append(seconds(evaluate, query, gallery, **labels))
    bare, ours = min(times["whole"] + times["tiled"]), min(times["ours"])
    print(
        f"| {name} | {100 * result.mAP:.1f} | {100 * result.rank(1):.1f} | {100 * result.mINP:.1f} | {bare:.2f} | "
        f"{ours:.2f} | {ours / bare:.2f} | {memory:.0f} |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    if arguments.case:
        measure(arguments.case, arguments.rounds)
        return
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"torch {torch.__version__}, numpy {np.__version__}\n"
    )
    print(
        "| case | mAP | rank-1 | mINP | bare product, s | evaluation, s | ratio | extra MB |\n|" + "---|" * 8,
        flush=True,
    )
    for name in CASES:
        if arguments.only in name:
            command = [sys.executable, __file__, "--case", name, "--rounds", str(arguments.rounds)]
            subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"})


if __name__ == "__main__":
    main()
