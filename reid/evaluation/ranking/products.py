"""Matrix products of centred rows that are cheap, wrong by little, and know by how much.

A product encodes rows once and multiplies tiles of them at two levels: ``coarse``, the cheapest that tells which scores
may matter, and ``fine``, for the rows where many do. Both say how far from the real number x.y a cell can be, by
Cauchy-Schwarz on what the encoding leaves out: with x = x' + r and y = y' + s,

    |x.y - x'.y'| = |x.s + r.y'| <= |x| |s| + |r| |y'|.

A tile is float32 in units of its row: the score of cell (i, j) is ``x.unit[i] * tile[i, j]``. Each level also raises
every column by a number of its own, ``raised`` [m] float64.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from typing import Protocol as Interface

import torch
from torch import Tensor

_U = 2.0**-24  # unit roundoff of float32
_ROOM = 1 + 2.0**-10  # for the rounding of norms computed in float32
_STEPS = 254.0  # of the low digit in one of the high: it runs from -127 to 127 as well
_WILD = 2.0**60  # rows so long that float32 products may overflow are left out of the encoding and are all error
_FINITE = 2.0**126


@dataclass(frozen=True, eq=False)
class Encoded:
    """Rows as a product wants them; bounds are float64 [n], one a row.

    Attributes:
        code: [n, ...] in the product's own type.
        unit: [n] float32, what one step of a row is worth.
        norm: at least |x|.
        coarse_error: at least |x - x'|, x' being what ``coarse`` multiplies.
        fine_error: likewise for ``fine``.
    """

    code: Tensor
    unit: Tensor
    norm: Tensor
    coarse_error: Tensor
    fine_error: Tensor

    def take(self, rows: Tensor | slice) -> Encoded:
        """The encoding of some of the rows."""
        return Encoded(*(getattr(self, field.name)[rows] for field in fields(self)))


class Product(Interface):
    """One arithmetic. Tiles are float32 [n, m], for n rows encoded as queries and m encoded as gallery."""

    name: str

    def encode(self, rows: Tensor, gallery: bool = False) -> Encoded:
        """Encode float64 [n, D] rows for the one or the other side of a product."""

    def coarse(self, x: Encoded, y: Encoded, raised: Tensor) -> tuple[Tensor, Tensor]:
        """The coarse tile, and what ``fine`` needs of it: [n, m], whatever the type, perhaps the tile itself."""

    def fine(self, x: Encoded, y: Encoded, kept: Tensor, was: Tensor, raised: Tensor) -> Tensor:
        """The fine tile; ``kept`` are its rows of what the coarse product, raised by ``was``, kept."""

    def coarse_error(self, x: Encoded, y: Encoded) -> Tensor:
        """[m] float64: no coarse score of column j is further than this from the real number."""

    def fine_error(self, x: Encoded, y: Encoded) -> Tensor:
        """Likewise for the fine scores."""


class Int8:
    """Two digits of eight bits: coarse is high x high, fine is all of it.

    Integers add up without rounding whatever the order, so all that is lost is lost in the encoding.
    """

    name = "int8"
    widest = 2**16  # 2 * 127^2 of these still fit an int32

    def encode(self, rows: Tensor, gallery: bool = False) -> Encoded:
        if rows.shape[1] == 1:  # PyTorch 2.14's int8 product is wrong on the CPU for a single column
            rows = torch.nn.functional.pad(rows, (0, 1))
        n, width = rows.shape
        norm = torch.linalg.vector_norm(rows, dim=1)
        wild = norm > _WILD
        small = rows.float()
        small[wild] = 0
        unit = small.abs().amax(1).div_(127).clamp_(min=2.0**-120)
        steps = small.div_(unit[:, None])
        high = steps.round()
        # [high | low] of a query meets [low | high] of a gallery row, both as slices of what is stored
        code = torch.empty(n, (3 if gallery else 2) * width, dtype=torch.int8, device=rows.device)
        code[:, :width] = high
        rest = steps.sub_(high)  # exact
        coarse_error = torch.linalg.vector_norm(rest, dim=1)
        low = rest.mul(_STEPS).round_()
        code[:, width : 2 * width] = low
        if gallery:
            code[:, 2 * width :] = code[:, :width]
        fine_error = torch.linalg.vector_norm(rest.sub_(low.div_(_STEPS)), dim=1)
        rounded = 4 * _U * norm + 2.0**-118 * width  # to float32, in the division, and where rows are below any unit
        errors = [unit.double() * error * _ROOM + rounded for error in (coarse_error, fine_error)]
        return Encoded(code, unit, norm * _ROOM, *(torch.where(wild, norm * _ROOM, error) for error in errors))

    def coarse(self, x: Encoded, y: Encoded, raised: Tensor) -> tuple[Tensor, Tensor]:
        width = x.code.shape[1] // 2
        high = torch._int_mm(x.code[:, :width], y.code[:, :width].T)
        return _raise(high.float().mul_(y.unit), x, raised), high

    def fine(self, x: Encoded, y: Encoded, kept: Tensor, was: Tensor, raised: Tensor) -> Tensor:
        width = x.code.shape[1] // 2
        low = torch._int_mm(x.code[:, width:], y.code[:, width : 2 * width].T).float()
        cross = torch._int_mm(x.code, y.code[:, width:].T)
        return _raise(low.mul_(1 / _STEPS).add_(cross).mul_(1 / _STEPS).add_(kept).mul_(y.unit), x, raised)

    def coarse_error(self, x: Encoded, y: Encoded) -> Tensor:
        return _cauchy_schwarz(x.norm, x.coarse_error, y.norm, y.coarse_error)

    def fine_error(self, x: Encoded, y: Encoded) -> Tensor:
        return _cauchy_schwarz(x.norm, x.fine_error, y.norm, y.fine_error)


class FloatingPoint:
    """Coarse in bfloat16 and fine in float32, or both in float32 at once."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._coarse = torch.bfloat16 if name == "bfloat16" else torch.float32

    def encode(self, rows: Tensor, gallery: bool = False) -> Encoded:
        norm = torch.linalg.vector_norm(rows, dim=1)
        wild = norm > _WILD
        code = rows.float()
        code[wild] = 0
        rounded = 2 * _U * norm + 2.0**-100
        coarse_error = torch.linalg.vector_norm(code - code.to(self._coarse).float(), dim=1) * _ROOM + rounded
        coarse_error, rounded = torch.where(wild, norm * _ROOM, coarse_error), torch.where(wild, norm * _ROOM, rounded)
        return Encoded(code, torch.ones(len(rows), device=rows.device), norm * _ROOM, coarse_error, rounded)

    def coarse(self, x: Encoded, y: Encoded, raised: Tensor) -> tuple[Tensor, Tensor]:
        tile = _raise((x.code.to(self._coarse) @ y.code.to(self._coarse).T).float(), x, raised)
        return tile, tile

    def fine(self, x: Encoded, y: Encoded, kept: Tensor, was: Tensor, raised: Tensor) -> Tensor:
        if self._coarse == torch.float32 and was.abs().max() < _FINITE:
            return _raise(kept, x, raised - was)  # the coarse product is as fine
        return _raise(x.code @ y.code.T, x, raised)

    def coarse_error(self, x: Encoded, y: Encoded) -> Tensor:
        if self._coarse == torch.float32:
            return self.fine_error(x, y)
        # bfloat16 units may round twice where a fused step rounds once, and the result is rounded to bfloat16
        summed = (2 * x.code.shape[1] * _U + 2.0**-8) * x.norm.max() * y.norm
        return _cauchy_schwarz(x.norm, x.coarse_error, y.norm, y.coarse_error) + 1.02 * summed

    def fine_error(self, x: Encoded, y: Encoded) -> Tensor:
        summed = (x.code.shape[1] + 1) * _U * x.norm.max() * y.norm
        return _cauchy_schwarz(x.norm, x.fine_error, y.norm, y.fine_error) + 1.01 * summed


def _raise(tile: Tensor, x: Encoded, by: Tensor) -> Tensor:
    return tile.addr_(x.unit.double().reciprocal().float(), by.float())


def _cauchy_schwarz(x: Tensor, x_error: Tensor, y: Tensor, y_error: Tensor) -> Tensor:
    """[m] at least |x.y - x'.y'| for every x: |y'| is at most |y| + |y - y'|."""
    return x.max() * y_error + x_error.max() * (y + y_error)


@cache
def bounds_hold(device: torch.device) -> bool:
    """Does this device multiply float32 and float64 as exactly as is claimed above? Tried once."""
    width = 512
    rows = torch.linspace(1, 2, 128 * width, dtype=torch.float64).sin().reshape(128, width).float()
    x, y = rows[:64], rows[64:]
    exact = x.double() @ y.double().T
    length = torch.linalg.vector_norm(x.double(), dim=1)[:, None] * torch.linalg.vector_norm(y.double(), dim=1)
    for kind, unit in ((torch.float32, _U), (torch.float64, 2.0**-52)):
        found = (x.to(device, kind) @ y.to(device, kind).T).cpu().double()
        if bool(((found - exact).abs() > (width + 1) * unit * length).any()):
            return False
    return True


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
