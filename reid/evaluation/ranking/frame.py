"""Where scores become x.y + c with short rows x and y, so that cheap arithmetic can order them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from reid.evaluation.ranking.scores import Distance, row_norms

_U = 2.0**-53  # unit roundoff of float64
_TIGHT = 2.0**-12  # a gallery this narrow about its mean, as a fraction of its norms, asks for norms without rounding


@dataclass(frozen=True, eq=False)
class Frame:
    """A shift and a scale of all rows under which no order changes.

    With m a point amid the gallery, s a power of two, and rows divided by their norms for cosine (^),

        cosine:     s^2 (q^.g^ - q^.m)           = x.y + c,  x = s (q^ - m), y = s (g^ - m), c = s m.y
        euclidean:  s^2 (|q - m|^2 - |q - g|^2)/2 = x.y + c,  x = s (q - m),  y = s (g - m),  c = -|y|^2 / 2

    The left side is the score of ``scores``, in real numbers, but for a positive factor and what is the same for a
    whole query. Trained or not, embeddings lie closer to their mean than to the origin, and what a product loses
    is a share of |x| |y|; a collapsed network's rows differ in their last digits only, which these keep.
    """

    distance: Distance
    mean: Tensor
    scale: float
    tight: bool

    @classmethod
    def of(cls, sample: Tensor, distance: Distance) -> Frame:
        """Put the frame amid some [n, D] float32 rows of the gallery; any rows will do, typical ones are best."""
        rows = _directions(sample, tight=False) if distance == "cosine" else sample.double()
        mean = rows.mean(0)
        spread = float(torch.linalg.vector_norm(rows - mean, dim=1).max())
        typical = float(torch.linalg.vector_norm(rows, dim=1).max())
        exponent = -math.frexp(spread)[1] if spread > 0 else 0
        return cls(distance, mean, 2.0**exponent, spread < _TIGHT * typical)

    def gallery(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """(y [n, D], c [n]) of float32 rows, in float64."""
        y = _directions(rows, self.tight) if self.distance == "cosine" else rows.double()
        y.sub_(self.mean).mul_(self.scale)
        c = (
            y @ self.mean * self.scale
            if self.distance == "cosine"
            else torch.linalg.vector_norm(y, dim=1).square() / -2
        )
        return y, c

    def queries(self, rows: Tensor) -> Tensor:
        """X [n, D] of float32 rows, in float64."""
        x = _directions(rows, self.tight) if self.distance == "cosine" else rows.double()
        return x.sub_(self.mean).mul_(self.scale)

    def multipliers(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """(z [n, D], f [n]) float64, f.z.y being x.y + c (cosine) or x.y (euclidean), for the float64 products."""
        if self.distance == "cosine":
            z = rows.double()
            norm = torch.linalg.vector_norm(z, dim=1)
            return z, torch.where(norm > 0, self.scale / norm, 0)
        return self.queries(rows), torch.ones(len(rows), dtype=torch.float64, device=rows.device)

    def slack(self, x_norm: Tensor, y_norm: Tensor) -> Tensor:
        """How far the float64 score of a pair may lie from the defined one (shift, scale and factor applied).

        |x| and |y| are [...] float64, or bounds on them. With u = 2^-53 and sums of D terms in any order (Higham,
        Accuracy and Stability of Numerical Algorithms, 2002, section 3.1):

        cosine: D u s |y| for q^.y, with 3 u for its scaling and u |y| for the shift; g^ is off by its norm, that is by
        (D / 2 + 2) u or, if tight, 1.5 u, and by u in the division, times s^2; and the definition rounds the sum of
        products (u), the norm of g (1.5 u), the product of the norms and the quotient (u each), the norm of q being one
        factor for all. That is 5.5 u s^2 beside the norm of g^, and 7 covers u^2.

        euclidean: (D + 3) u |x| |y| for x.y with the shifts, (D + 4) u |y|^2 / 2 for c; and the definition, of
        (|x| + |y|)^2 / 2 at most, rounds four times.
        """
        width = len(self.mean)
        if self.distance == "cosine":
            norm = 2 if self.tight else width / 2 + 2
            return _U * ((width + 8) * self.scale * y_norm + (norm + 7) * self.scale**2)
        return _U * (width + 16) * (x_norm + y_norm).square()


def _directions(rows: Tensor, tight: bool) -> Tensor:
    """Float64 rows divided by their norms; a row of zeros stays."""
    wide = rows.double()
    if tight:
        norm = torch.from_numpy(row_norms(rows.cpu().numpy(), np.arange(len(rows)))).to(rows.device)
    else:
        norm = torch.linalg.vector_norm(wide, dim=1)
    return wide.div_(torch.where(norm > 0, norm, 1)[:, None])
