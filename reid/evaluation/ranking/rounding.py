"""Products and how far from the real numbers they may be."""

from __future__ import annotations

import math
import warnings
from functools import cache

import torch
from torch import Tensor

FLOAT64 = 2.0**-53  # unit roundoffs
FLOAT32 = 2.0**-24
_TERMS = 256  # summed in one product; beyond, the bound on the error costs more than another addition


def unit_of(dtype: torch.dtype) -> float:
    """How far a rounded number may be from the real one, as a fraction of it."""
    return torch.finfo(dtype).eps / 2


def product(x: Tensor, y: Tensor) -> Tensor:
    """``x @ y.T`` for float32 [n, D] and [m, D], a sum of products of a few columns each: [n, m].

    Every cell is within ``terms(D)`` 2^-24 (1 + 2^-8) |x| |y| of the real number.
    """
    total = x[:, :_TERMS] @ y[:, :_TERMS].T
    for start in range(_TERMS, x.shape[1], _TERMS):
        total.add_(x[:, start : start + _TERMS] @ y[:, start : start + _TERMS].T)
    return total


def terms(width: int) -> int:
    """The roundings that meet in a number of ``product`` (Higham, Accuracy and Stability, 2002, section 3.1)."""
    return min(width, _TERMS) + math.ceil(width / _TERMS)


@cache
def bounds_hold(device: torch.device) -> bool:
    """Does this device multiply float32 and float64 as exactly as claimed, matrices and single pairs? Tried once."""
    width = 512
    rows = torch.linspace(1, 2, 128 * width, dtype=torch.float64).sin().reshape(128, width).float()
    x, y = rows[:64], rows[64:]
    exact = x.double() @ y.double().T
    length = torch.linalg.vector_norm(x.double(), dim=1)[:, None] * torch.linalg.vector_norm(y.double(), dim=1)
    for kind, unit in ((torch.float32, FLOAT32), (torch.float64, 2 * FLOAT64)):
        a, b = x.to(device, kind), y.to(device, kind)
        found = [(a @ b.T).cpu().double(), sampled(a, b, torch.arange(0, 64 * 65, 64), torch.arange(64).repeat(64))]
        if any(bool(((values.reshape(64, 64) - exact).abs() > (width + 1) * unit * length).any()) for values in found):
            return False
    return True


def sampled(z: Tensor, y: Tensor, edges: Tensor, j: Tensor) -> Tensor:
    """z[i].y[j] for the pairs of a compressed sparse row pattern, float64 on the CPU: nothing is gathered."""
    zeros = torch.zeros(len(j), dtype=y.dtype, device=y.device)
    shape = len(z), len(y)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*Sparse CSR tensor support is in beta.*")
        pattern = torch.sparse_csr_tensor(edges.to(y.device), j.to(y.device), zeros, shape, check_invariants=False)
    return torch.sparse.sampled_addmm(pattern, z, y.T, beta=0.0).values().cpu().double()
