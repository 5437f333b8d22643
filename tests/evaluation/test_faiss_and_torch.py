"""FAISS and torch bring an OpenMP library each: in one process, whichever comes first, both compute with threads."""

import subprocess
import sys
from pathlib import Path

import pytest

_WORK = """
import numpy as np
rng = np.random.default_rng(0)
gallery = rng.standard_normal((5000, 64)).astype(np.float32)
index = faiss.IndexFlatL2(64)
graph = faiss.IndexHNSWFlat(64, 16)
torch.set_num_threads(2)
faiss.omp_set_num_threads(2)
for _ in range(3):  # in turn: each after the other's threads exist
    a = torch.from_numpy(gallery[:512]).requires_grad_()
    b = torch.from_numpy(gallery[512:1024])
    product = a @ b.T
    (product**2).sum().backward()
    expected = 2 * (gallery[:512].astype(np.float64) @ gallery[512:1024].T) @ gallery[512:1024]
    assert np.allclose(a.grad.numpy(), expected, rtol=1e-3, atol=1e-1), "torch is wrong"
    index.reset(); index.add(gallery)
    _, rows = index.search(gallery[:300] + np.float32(1e-3), 1)
    assert (rows[:, 0] == np.arange(300)).all(), "FAISS is wrong"
    graph.reset(); graph.add(gallery)
    _, rows = graph.search(gallery[:300], 1)
    assert (rows[:, 0] == np.arange(300)).mean() > 0.9, "FAISS's graph is wrong"
    torch.nn.functional.conv2d(torch.ones(2, 3, 32, 32), torch.ones(4, 3, 3, 3)).sum().item()
print("done", torch.get_num_threads(), faiss.omp_get_max_threads())
"""


@pytest.mark.parametrize("order", ["import torch; import faiss", "import faiss; import torch"])
def test_both_work_in_one_process(order: str) -> None:
    run(f"{order}\n{_WORK}", "done 2 2")


def test_evaluation_and_a_backward_pass_in_one_process() -> None:
    """The way a training run meets them: the package first, FAISS at its first search."""
    run(f"from reid.evaluation import evaluate\nimport torch\nimport faiss\n{_WORK}", "done 2 2")


def run(code: str, expected: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout.strip()) == (0, expected), done.stderr
    assert "OMP" not in done.stderr
