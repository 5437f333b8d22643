"""Where scores become x.y + c with short rows x and y, so that cheap arithmetic can order them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from reid.evaluation.ranking.rounding import FLOAT32, FLOAT64, ROOM, row_products, sampled_terms, unit_of
from reid.evaluation.ranking.scores import Distance, Floats, row_norms

_TIGHT = 2.0**-12  # a gallery this narrow about its mean, as a fraction of its norms, asks for norms without rounding
_NARROW = 2.0**-5  # likewise for pairs in float64 at once
_SUMMED = 512  # columns of an offset that are summed at once
_LONG, _SHORT = 2.0**60, 2.0**-30  # between these lengths float32 neither overflows nor loses its smallest numbers
_NUMBERS = 2**19  # worked on at a time: they stay in the processor's cache
_TINY = 2.0**-60  # its square is more than what is lost below the smallest float32 numbers, and so are products with it


@dataclass(frozen=True, eq=False)
class Short:
    """Rows of the frame in float32, and what that costs.

    Attributes:
        rows: [n, D] float32; zeros where a row is too long for it.
        norm: [n] float64, at least the length of the real row.
        lost: [n] float64, at least the length of what ``rows`` lacks to the real one.
    """

    rows: Tensor
    norm: Tensor
    lost: Tensor

    def take(self, rows: slice) -> Short:
        """Some of them."""
        return Short(self.rows[rows], self.norm[rows], self.lost[rows])


@dataclass(frozen=True, eq=False)
class Frame:
    """A shift and a scale of all rows under which no order changes.

    With m a point amid the gallery, s a power of two, and rows divided by their norms for cosine (^),

        cosine:     s^2 (q^.g^ - q^.m)           = x.y + c,  x = s (q^ - m), y = s (g^ - m), c = s m.y
        euclidean:  s^2 (|q - m|^2 - |q - g|^2)/2 = x.y + c,  x = s (q - m),  y = s (g - m),  c = -|y|^2 / 2

    The left side is the score of ``scores``, in real numbers, but for a positive factor and what is the same for a
    whole query. Trained or not, embeddings lie closer to their mean than to the origin, and what a product loses
    is a share of |x| |y|; a collapsed network's rows differ in their last digits only, which these keep.

    Below, u is the unit roundoff of the arithmetic and v = 2^-53 that of float64, in which norms are. Sums of D terms
    err by D u times the sum of their magnitudes, in any order (Higham, Accuracy and Stability of Numerical Algorithms,
    2002, section 3.1).
    """

    distance: Distance
    mean: Tensor  # float64, each number one of float32, so that s m is exact
    scale: float
    tight: bool  # too much so for float32 until the mean is gone
    pairs: torch.dtype  # the arithmetic in which single pairs are scored first

    @classmethod
    def of(cls, sample: Tensor, distance: Distance) -> Frame:
        """Put the frame amid some [n, D] float32 rows of the gallery; any rows will do, typical ones are best."""
        rows = _directions(sample, distance)
        mean = rows.mean(0).float().double()
        spread = 2 * float(torch.linalg.vector_norm(rows - mean, dim=1).max())
        typical = float(torch.linalg.vector_norm(rows, dim=1).max())
        scale = 2.0 ** -(math.frexp(spread)[1] if spread > 0 else 0)
        if distance == "cosine":
            scale = min(scale, 2.0**54)  # unit rows are no closer in float64; s m stays within float32
        tight = spread < _TIGHT * typical or not 1 / _LONG < scale < _LONG
        pairs = torch.float64 if tight or spread < _NARROW * typical else torch.float32
        return cls(distance, mean, scale, tight, pairs)

    def norms(self, rows: Tensor) -> Tensor:
        """[n] float64, of float32 rows as they come."""
        if self.tight:
            return torch.from_numpy(row_norms(rows.cpu().numpy(), np.arange(len(rows)))).to(rows.device)
        return _lengths(rows)

    def centred(
        self, rows: Tensor, dtype: torch.dtype = torch.float64, norms: Tensor | None = None, out: Tensor | None = None
    ) -> Tensor:
        """X or y, [n, D] of this type, of float32 rows; their ``norms`` are used if they are known."""
        out = torch.empty(rows.shape, dtype=dtype, device=rows.device) if out is None else out
        size = max(1, _NUMBERS // rows.shape[1])
        less = -self.mean
        for start in range(0, len(rows), size):
            part, to = rows[start : start + size], out[start : start + size]
            norm = None
            if self.distance == "cosine":
                norm = self.norms(part) if norms is None else norms[start : start + size]
            exact = self.tight or (norm is not None and not bool(usual(norm).all()))
            values = torch.empty_like(to, dtype=torch.float64) if exact else to
            start_from = part if part.dtype == values.dtype else values.copy_(part)
            if norm is None:
                torch.add(start_from, less.to(values), out=values).mul_(self.scale)
            else:
                factor = torch.where(norm > 0, self.scale / norm, 0).to(values)[:, None]
                torch.addcmul((less * self.scale).to(values), start_from, factor, out=values)
            if exact:
                to.copy_(values)
        return out

    def short(self, rows: Tensor, norms: Tensor | None = None, out: Tensor | None = None) -> Short:
        """X or y of float32 rows, whose ``norms`` may be known; put into ``out``, which may not be the rows.

        cosine: the factor s / |g| is rounded (u; its norm by (D / 2 + 3) v), then the product (u) and the difference
        (u |y|). euclidean: only the difference, s being a power of two. If tight, only the result.
        """
        values = self.centred(rows, torch.float32, norms, out)
        norm = torch.linalg.vector_norm(values, dim=1).double()
        long = ~(norm < _LONG)
        norm.mul_(ROOM)
        of_factor = (2 * FLOAT32 + (len(self.mean) / 2 + 3) * FLOAT64) * self.scale * (self.distance == "cosine")
        lost = ROOM * (2 * FLOAT32 * norm + (FLOAT64 * 8 * self.scale if self.tight else of_factor)) + _TINY
        if long.any():
            values[long] = 0
            norm[long] = lost[long] = torch.linalg.vector_norm(self.centred(rows[long]), dim=1) * ROOM
        return Short(values, norm.add_(lost), lost)

    def offsets(self, y: Short) -> tuple[Tensor, Tensor]:
        """(c, how far it may be off), both [n] float64."""
        if self.distance == "euclidean":
            c = _lengths(y.rows).square_().div_(-2)
            return c, ROOM * y.norm * y.lost + FLOAT64 * len(self.mean) * y.norm.square()
        length = self.scale * float(torch.linalg.vector_norm(self.mean))
        c = row_products(y.rows, (self.mean * self.scale).float(), _SUMMED)
        return c, ROOM * length * (y.lost + FLOAT32 * sampled_terms(len(self.mean), _SUMMED) * y.norm)

    def order(self, rows: Tensor, norms: Tensor | None) -> Tensor:
        """[n] such that the offsets of these rows, whose ``norms`` may be known, ascend or nearly so."""
        norms = torch.linalg.vector_norm(rows, dim=1) if norms is None else norms
        along = row_products(rows, self.mean.float(), _SUMMED)
        return torch.argsort(along / norms if self.distance == "cosine" else 2 * along - norms.square())

    def lengths(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """(their norms as they come, at least |x|), both [n] float64, of float32 queries."""
        norms = _lengths(rows)
        if self.distance == "cosine":
            return norms, torch.full_like(norms, self.scale * (1 + float(torch.linalg.vector_norm(self.mean))) * ROOM)
        return norms, torch.linalg.vector_norm(self.centred(rows), dim=1) * ROOM

    def multipliers(self, rows: Tensor, dtype: torch.dtype) -> Tensor:
        """Z [n, D] of float32 queries: with f of ``factors`` f z.y is x.y + c (cosine) or x.y (euclidean)."""
        return rows.to(dtype) if self.distance == "cosine" else self.centred(rows, dtype)

    def factors(self, norms: Floats) -> Floats:
        """F [n] of queries that have these norms as they come; of gallery rows for cosine s / |g| likewise."""
        if self.distance == "euclidean":
            return np.ones_like(norms)
        return np.divide(self.scale, norms, out=np.zeros_like(norms), where=norms > 0)

    def slack(
        self, norms: Tensor, x_norm: Tensor, y_norm: Tensor, dtype: torch.dtype = torch.float64, most: int = 1
    ) -> Tensor:
        """How far f z.y (and c) in an arithmetic may lie from the defined score (shift, scale and factor applied).

        |x| and |y| are [...] float64, or bounds on them, ``norms`` those of the queries as they come.

        cosine: D u s |y| for q^.y, the scaling and the shift of y (3 u s |y|); g^ is off by its factor, 2 u, and by its
        norm, (D / 2 + 2) v or, if tight, 1.5 v, times s^2; and the definition rounds the sum of products (v), the norm
        of g (1.5 v), the product of the norms and the quotient (v each), the norm of q being one factor for all.
        If tight, y is rounded after the shift only.

        euclidean: (D + 3) u |x| |y| for x.y with the shifts, (D + 4) v |y|^2 / 2 and u |y|^2 for c; and the definition,
        of (|x| + |y|)^2 / 2 at most, rounds four times.

        Here D is what is left of it by ``rounding.sampled``.
        """
        width, u, terms = len(self.mean), unit_of(dtype), sampled_terms(len(self.mean), most, dtype)
        if self.distance == "cosine":
            norm = 2 if self.tight else width / 2 + 2
            factor = 0 if self.tight and dtype != torch.float64 else 2 * u
            slack = (terms + 8) * u * self.scale * y_norm + (factor + (norm + 7) * FLOAT64) * self.scale**2
        else:
            slack = u * ((terms + 4) * x_norm * y_norm + 2 * y_norm.square())
            slack += FLOAT64 * (width + 16) * (x_norm + y_norm).square()
        slack *= ROOM
        if dtype == torch.float64:
            return slack
        fits = usual(norms) & (x_norm < _LONG) & (y_norm < _LONG)
        return torch.where(fits, slack + _TINY * max(1, self.scale), torch.inf)


def typical(sample: Tensor, distance: Distance) -> Tensor:
    """The half of some float32 rows that is nearest to their mean; an odd row would hide that the others collapsed."""
    rows = _directions(sample, distance)
    away = torch.linalg.vector_norm(rows - rows.mean(0), dim=1)
    return sample[away <= away.median()]


def _lengths(rows: Tensor) -> Tensor:
    """[n] float64 lengths of float32 rows, some at a time: PyTorch copies them to float64."""
    lengths = torch.empty(len(rows), dtype=torch.float64, device=rows.device)
    for part, to in zip(*(values.split(max(1, _NUMBERS // rows.shape[1])) for values in (rows, lengths)), strict=True):
        torch.linalg.vector_norm(part, dim=1, dtype=torch.float64, out=to)
    return lengths


def _directions(rows: Tensor, distance: Distance) -> Tensor:
    """Float64 rows, divided by their norms for cosine."""
    wide = rows.double()
    if distance == "euclidean":
        return wide
    norm = torch.linalg.vector_norm(wide, dim=1)
    return wide.div_(torch.where(norm > 0, norm, 1)[:, None])


def usual(norm: Tensor) -> Tensor:
    """Which lengths are no trouble in float32."""
    return (norm < _LONG) & (norm > _SHORT) | (norm == 0)
