"""Learning rate over a run, as pure functions of the share of it that is done.

``progress`` runs from 0 to 1, the result multiplies the optimiser's rate. Lengths are shares of the run, so a shorter
run keeps its shape.
"""

import math
from collections.abc import Sequence

from reid.errors import UserError


def cosine(progress: float, *, warmup: float = 0.0, floor: float = 0.0) -> float:
    """Linear warmup from 1 % for the first ``warmup``, then half a cosine down to ``floor``
    (Loshchilov and Hutter, SGDR, ICLR 2017, equation 5)."""
    _check(warmup)
    if progress < warmup:
        return _ramp(progress / warmup)
    done = (progress - warmup) / (1 - warmup)
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


def multistep(
    progress: float, *, warmup: float = 0.0, milestones: Sequence[float] = (1 / 3, 7 / 12), gamma: float = 0.1
) -> float:
    """Linear warmup from 1 % for the first ``warmup``, then ``gamma`` for each milestone passed.

    The defaults are epochs 40 and 70 of 120 (Luo et al. 2019).
    """
    _check(warmup)
    if progress < warmup:
        return _ramp(progress / warmup)
    return gamma ** sum(progress >= m for m in milestones)


def constant(progress: float, *, warmup: float = 0.0) -> float:
    """Linear warmup from 1 %, then the full rate."""
    _check(warmup)
    return _ramp(progress / warmup) if progress < warmup else 1.0


def _ramp(done: float) -> float:
    return 0.01 + 0.99 * done


def _check(warmup: float) -> None:
    if not 0 <= warmup < 1:
        raise UserError(f"schedule.warmup={warmup} is a share of the run: choose 0 or more and under 1")
