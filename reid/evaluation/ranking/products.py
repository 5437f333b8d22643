"""Matrix products of short rows that are cheap, wrong by little, and know by how much.

A product encodes the rows of a frame once and multiplies tiles of them. It says how far from the real number x.y a cell
can be, by Cauchy-Schwarz on what the encoding leaves out: with x = x' + r and y = y' + s,

    |x.y - x'.y'| = |x.s + r.y'| <= |x| |s| + |r| |y'|.

The product of the rows of cell (i, j) of a tile is ``x.unit[i] * y.unit[j] * tile[i, j]``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import cache
from typing import Protocol as Interface

import torch
from torch import Tensor

from reid.evaluation.ranking.frame import Short
from reid.evaluation.ranking.rounding import FLOAT32, ROOM, product, terms


@dataclass(frozen=True, eq=False)
class Encoded:
    """Rows as a product wants them; bounds are float64 [n], one a row.

    Attributes:
        code: [n, D] in the product's own type.
        unit: [n] float32, what one step of a row is worth.
        norm: at least |x|.
        error: at least |x - x'|, x' being what is multiplied.
    """

    code: Tensor
    unit: Tensor
    norm: Tensor
    error: Tensor

    @classmethod
    def join(cls, parts: Iterable[Encoded], rows: int) -> Encoded:
        """The encodings of all their rows, so many; the parts may be made one by one."""
        whole, done = None, 0
        for part in parts:
            if len(part.code) == rows:
                return part
            values = [getattr(part, field.name) for field in fields(cls)]
            whole = whole or cls(*(value.new_empty(rows, *value.shape[1:]) for value in values))
            for field, value in zip(fields(cls), values, strict=True):
                getattr(whole, field.name)[done : done + len(value)] = value
            done += len(part.code)
        assert whole is not None
        return whole

    def take(self, rows: Tensor | slice) -> Encoded:
        """The encoding of some of the rows."""
        return Encoded(*(getattr(self, field.name)[rows] for field in fields(self)))


class Product(Interface):
    """One arithmetic."""

    def encode(self, rows: Short, share: int = 1) -> Encoded:
        """Encode [n, D] rows for either side of a product, each ``share`` of them in one unit."""

    def tile(self, x: Tensor, y: Tensor) -> Tensor:
        """The product of n and m rows, of which these are the codes: [n, m], good until the next one."""

    def loss(self, width: int) -> float:
        """What multiplying rows of so many columns loses at most, as a share of |x'| |y'|."""


class Int8:
    """Numbers of eight bits. They add up without rounding whatever the order: all that is lost is lost in encoding."""

    widest = 2**16  # 2 * 127^2 of these still fit an int32

    def __init__(self) -> None:
        self._sums = torch.empty(0, dtype=torch.int32)  # the same memory every time: it stays in the processor's cache

    def encode(self, rows: Short, share: int = 1) -> Encoded:
        values = rows.rows
        if values.shape[1] == 1:  # PyTorch 2.14's int8 product is wrong on the CPU for a single column
            values = torch.nn.functional.pad(values, (0, 1))
        unit = torch.maximum(values.amax(1), -values.amin(1)).div_(127).clamp_(min=2.0**-100)
        if share > 1:
            groups = torch.nn.functional.pad(unit, (0, -len(unit) % share)).view(-1, share)
            unit = groups.amax(1).repeat_interleave(share)[: len(unit)]
        steps = values.mul(unit.reciprocal()[:, None])
        whole = steps.round()
        code = whole.to(torch.int8)
        rest = torch.linalg.vector_norm(steps.sub_(whole), dim=1).double()  # exact, but for the rounding of ``steps``
        error = ROOM * (unit.double() * rest + 4 * FLOAT32 * rows.norm) + rows.lost
        return Encoded(code, unit, rows.norm, error)

    def tile(self, x: Tensor, y: Tensor) -> Tensor:
        cells = len(x) * len(y)
        if len(self._sums) < cells:
            self._sums = torch.empty(cells, dtype=torch.int32)
        return torch._int_mm(x, y.T, out=self._sums[:cells].view(len(x), len(y)))

    def loss(self, width: int) -> float:
        return 0


class Float32:
    """Single precision: an error of a few hundred roundings."""

    def __init__(self) -> None:
        self._space = torch.empty(2, 0)  # the same memory every time

    def encode(self, rows: Short, share: int = 1) -> Encoded:
        return Encoded(rows.rows, torch.ones(len(rows.rows), device=rows.rows.device), rows.norm, rows.lost)

    def tile(self, x: Tensor, y: Tensor) -> Tensor:
        if self._space.shape[1] < len(x) * len(y) or self._space.device != x.device:
            self._space = torch.empty(2, len(x) * len(y), device=x.device)
        return product(x, y, self._space)

    def loss(self, width: int) -> float:
        return ROOM * terms(width) * FLOAT32


class BFloat16:
    """Half the digits of float32's half, summed in float32."""

    def encode(self, rows: Short, share: int = 1) -> Encoded:
        code = rows.rows.bfloat16()
        error = torch.linalg.vector_norm(rows.rows - code.float(), dim=1).double() * ROOM + rows.lost
        return Encoded(code, torch.ones(len(code), device=code.device), rows.norm, error)

    def tile(self, x: Tensor, y: Tensor) -> Tensor:
        return (x @ y.T).float()

    def loss(self, width: int) -> float:
        # bfloat16 units may round twice where a fused step rounds once, and the result is rounded to bfloat16
        return ROOM * (2 * width * FLOAT32 + 2.0**-8)


@cache
def int8_is_exact() -> bool:
    """Does this processor add int8 products up without saturating? Tried once on the largest digits."""
    for sign in (1, -1):
        a = torch.full((32, 2048), 127, dtype=torch.int8)
        b = torch.full((64, 2048), sign * 127, dtype=torch.int8)
        if not torch.equal(torch._int_mm(a, b.T), torch.full((32, 64), sign * 127 * 127 * 2048, dtype=torch.int32)):
            return False
    return True


def int8_pays() -> bool:
    """Is it exact and fast? Where AVX-512 is absent PyTorch takes a plain loop, a hundred times slower than float32."""
    vectors = torch.backends.mkldnn.is_available() and torch.backends.cpu.get_cpu_capability() == "AVX512"
    return vectors and int8_is_exact()
