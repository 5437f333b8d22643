"""Products and how far from the real numbers they may be."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import numpy as np
import torch
from torch import Tensor

from reid.evaluation.labels import Floats, Ints

FLOAT64 = 2.0**-53  # unit roundoffs
FLOAT32 = 2.0**-24
ROOM = 1 + 2.0**-6  # for what is of second order, and for norms of float32 rows that are computed in float32
FINITE = 3e38  # about the largest of float32
_LARGE, _WORTH = 2**20, 4  # cells of a tile and parts of a product that are worth a trial
_TERMS = 256  # summed in one product; beyond, the bound on the error costs more than another addition


def unit_of(dtype: torch.dtype) -> float:
    """How far a rounded number may be from the real one, as a fraction of it."""
    return torch.finfo(dtype).eps / 2


def product(x: Tensor, y: Tensor, space: Tensor) -> Tensor:
    """``x @ y.T`` for float32 [n, D] and [m, D], a sum of products of a few columns each: [n, m].

    It lies in ``space``, [2, n * m or more]. Every cell is within ``terms(D)`` 2^-24 (1 + 2^-8) |x| |y| of the real
    number.
    """
    total, more = tiles(space, len(x), len(y))
    parts = [slice(start, start + _TERMS) for start in range(0, x.shape[1], _TERMS)]
    at_once = len(parts) >= _WORTH and _adds_at_once(more, _TERMS) and _adds_at_once(more, x[:, parts[-1]].shape[1])
    torch.mm(x[:, parts[0]], y[:, parts[0]].T, out=total)
    for part in parts[1:]:
        if at_once:
            torch.addmm(total, x[:, part], y[:, part].T, out=total)
        else:
            total.add_(torch.mm(x[:, part], y[:, part].T, out=more))
    return total


_AT_ONCE: dict[tuple[int, ...], bool | None] = {}  # what was found, by shape and number of threads; None is not yet


def _adds_at_once(tile: Tensor, terms: int) -> bool:
    """Does ``addmm`` of so many columns add them up before it adds the sum to a tile like this one, which is lost?

    Then it takes up to a fifth less time for as many roundings. Tried when a large shape comes for the second time: in
    float32 2^24 + 1 is 2^24, so that only if the first product and the last meet before is 2^24 + 1 + 1 more than that.
    """
    if tile.device.type != "cpu" or tile.numel() < _LARGE:
        return False
    key = *tile.shape, terms, torch.get_num_threads()
    if key not in _AT_ONCE:
        _AT_ONCE[key] = None
    elif _AT_ONCE[key] is None:
        x, y = (torch.zeros(size, terms + 16)[:, :terms] for size in tile.shape)  # of wider rows, as the real ones
        for ends in (x, y):
            ends[:, [0, -1]] = 1
        found = torch.addmm(tile.fill_(2.0**24), x, y.T, out=tile)
        _AT_ONCE[key] = bool((found == 2.0**24 + (2 if terms > 1 else 0)).all())
    return bool(_AT_ONCE[key])


def tiles(space: Tensor, n: int, m: int) -> tuple[Tensor, Tensor]:
    """Two [n, m] tiles in [2, n * m or more] numbers."""
    first, second = space[:, : n * m].view(2, n, m)
    return first, second


def row_products(x: Tensor, v: Tensor, most: int) -> Tensor:
    """``x @ v`` of float32 [n, D] and [D], [n] float64, as exactly as ``sampled``."""
    width = _part(x.shape[1], most)
    parts = x.view(len(x), -1, width).transpose(0, 1)
    return torch.bmm(parts, v.view(-1, width, 1))[:, :, 0].double().sum(0)


def terms(width: int) -> int:
    """The roundings that meet in a number of ``product`` (Higham, Accuracy and Stability, 2002, section 3.1)."""
    return min(width, _TERMS) + math.ceil(width / _TERMS)


def sampled(z: Tensor, y: Tensor, edges: Ints, j: Ints, most: int) -> Floats:
    """z[i].y[j] for the pairs of a compressed sparse row pattern, [len(j)] float64: nothing is gathered.

    Every one is within ``sampled_terms(D, most)`` units of the arithmetic (1 + 2^-8) |z| |y| of the real number. Rows
    in float32 are taken for several short ones, of ``most`` columns, whose products are added in float64.
    """
    width = _part(z.shape[1], most) if z.dtype == torch.float32 else z.shape[1]
    parts = z.shape[1] // width
    column, begins, place = j, edges, np.arange(len(j))[:, None]
    if parts > 1:
        # part k of row i holds its pairs again, from parts * edges[i] + k * count[i] on
        count = np.diff(edges)
        row = np.repeat(np.arange(len(count)), count)
        place = place + (edges[row] * (parts - 1))[:, None] + np.arange(parts) * count[row, None]
        column = np.empty(parts * len(j), dtype=np.int64)
        column[place] = j[:, None] * parts + np.arange(parts)
        begins = np.append(0, np.cumsum(np.repeat(count, parts)))
    pattern = torch.sparse_csr_tensor(
        torch.from_numpy(begins).to(y.device),
        torch.from_numpy(column).to(y.device),
        torch.zeros(len(column), dtype=y.dtype, device=y.device),
        (parts * len(z), parts * len(y)),
        check_invariants=False,
    )
    z, y = z.reshape(-1, width), y.reshape(-1, width)
    return torch.sparse.sampled_addmm(pattern, z, y.T, beta=0.0).values().cpu().double().numpy()[place].sum(1)


@contextmanager
def quiet_sampling() -> Iterator[None]:
    """Within it, PyTorch does not warn that its sparse tensors are young."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*Sparse CSR tensor support is in beta.*")
        yield


def sampled_terms(width: int, most: int, dtype: torch.dtype = torch.float32) -> int:
    """The roundings that meet in a number of ``sampled``."""
    return (_part(width, most) if dtype == torch.float32 else width) + 1


@cache
def _part(width: int, most: int) -> int:
    """The longest part of at most so many columns that a row can be cut into; if that is short, the next longer one."""
    parts = [part for part in range(1, width + 1) if width % part == 0]
    longest = max(part for part in parts if part <= most)
    return longest if 2 * longest >= min(width, most) else min(part for part in parts if part > most)


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
        pairs = sampled(a, b, np.arange(0, 64 * 65, 64), np.tile(np.arange(64), 64), width).reshape(64, 64)
        one_by_one = (
            torch.stack([row_products(a, row, width) for row in b], dim=1) if kind == torch.float32 else a @ b.T
        )
        for found in (a @ b.T, torch.from_numpy(pairs), one_by_one):
            if bool(((found.cpu().double() - exact).abs() > (width + 1) * unit * length).any()):
                return False
    return True


def down(values: Tensor) -> Tensor:
    """The float32 below float64 numbers, or the one before it."""
    short = values.float()
    return torch.nextafter(short, torch.full_like(short, -torch.inf))


def up(values: Tensor) -> Tensor:
    """The float32 above float64 numbers, or the one after it."""
    return -down(-values)
