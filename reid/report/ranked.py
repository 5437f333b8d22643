"""What a ranking to be shown consists of, and which queries are worth showing."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class RankedImage:
    """One gallery picture as a query sees it; ``rank`` is 1-based, ``correct`` means the identities agree."""

    path: Path | str
    pid: int
    camid: int
    rank: int
    correct: bool


@dataclass(frozen=True)
class RankedQuery:
    """One query with its gallery, best first; ``ap`` is a fraction, ``group`` is best, median or worst."""

    path: Path | str
    pid: int
    camid: int
    ap: float
    group: str
    gallery: list[RankedImage]


def choose_queries(ap: np.ndarray, count: int = 12) -> list[tuple[int, str]]:
    """Pick queries from both ends and the middle of the average precisions.

    Queries are ordered by falling AP, equal APs by index, and NaN (a query without a match) is left out. The best third
    comes from the front of that order, the worst third from its end, and the median third is centred on the middle of
    what remains. If ``count`` is not a multiple of three, best gets the first spare place and worst the second.

    Args:
        ap: float array [Q], one AP for each query, NaN where it is undefined.
        count: how many queries to pick; fewer come back if fewer have an AP.

    Returns:
        Pairs (index into ``ap``, group), no index twice: best from the best down, median from the higher AP down, worst
        from the worst up, so that each end of the list starts with its most telling query.

    Raises:
        ValueError: ``ap`` is not one-dimensional or ``count`` is negative.

    >>> choose_queries(np.array([0.2, float("nan"), 0.9, 0.5]), count=3)
    [(2, 'best'), (3, 'median'), (0, 'worst')]
    """
    ap = np.asarray(ap, dtype=np.float64)
    if ap.ndim != 1:
        raise ValueError(f"ap must have one dimension, got shape {ap.shape}")
    if count < 0:
        raise ValueError(f"count must not be negative, got {count}")
    valid = np.flatnonzero(~np.isnan(ap))
    order = [int(index) for index in valid[np.argsort(-ap[valid], kind="stable")]]
    count = min(count, len(order))
    best, worst = (count + 2) // 3, (count + 1) // 3
    median = count - best - worst
    middle = order[best : len(order) - worst]
    start = (len(middle) - median) // 2
    groups = {
        "best": order[:best],
        "median": middle[start : start + median],
        "worst": order[len(order) - worst :][::-1],
    }
    return [(index, group) for group, indices in groups.items() for index in indices]
