"""What a setting is worth: as Optuna judged it in its sweep, or by the variance that it tells alone."""

from collections.abc import Mapping, Sequence

import numpy as np

from reid.report.leaderboard import Importance
from reid.report.text import DASH

LEVELS = 6  # a number of more values than this is cut into QUARTERS parts of about as many runs
QUARTERS = 4
MEASURE = (
    "Each setting alone: the part of the variance over the runs that lies between its values (eta squared = sum of "
    "squares between / in all). It counts what two settings tell together twice, grows with the number of values, and "
    "is a cause only where the other settings were drawn apart from it."
)


def importance(columns: Mapping[str, Sequence[str]], values: Sequence[float]) -> list[Importance]:
    """Eta squared of each column over the runs, the largest first.

    Args:
        columns: heading to the value of each run, as text.
        values: [N] the metric of each run; one that is not finite leaves the run out.

    Returns:
        Nothing below four runs or where all are alike; no column that has one value alone or another in each run.
    """
    y = np.asarray(values, dtype=np.float64)
    known = np.isfinite(y)
    y = y[known]
    if len(y) < 4 or np.ptp(y) == 0:
        return []
    found = []
    for name, cells in columns.items():
        groups, note = _levels([cell for cell, k in zip(cells, known, strict=True) if k])
        if 1 < len(set(groups)) < len(groups):
            found.append(Importance(name, eta_squared(groups, y), note))
    return sorted(found, key=lambda one: -one.share)


def eta_squared(groups: Sequence[object], values: np.ndarray) -> float:
    """Sum of squares between groups over that in all, of float64 [N].

    >>> eta_squared(["a", "a", "b", "b"], np.array([1.0, 3.0, 5.0, 7.0]))  # means 2 and 6: 16 of 20
    0.8
    """
    _, index = np.unique(np.array([str(g) for g in groups]), return_inverse=True)
    counts = np.bincount(index)
    means = np.bincount(index, weights=values) / counts
    total = ((values - values.mean()) ** 2).sum()
    return float((counts * (means - values.mean()) ** 2).sum() / total)


def _levels(cells: Sequence[str]) -> tuple[list[object], str]:
    """The group of each run: its value, or the quarter it is in where there are many numbers."""
    numbers = [_number(cell) for cell in cells]
    distinct = sorted({n for n in numbers if n is not None})
    if len(distinct) <= LEVELS or any(n is None and cell != DASH for n, cell in zip(numbers, cells, strict=True)):
        return list(cells), ""
    cuts = np.quantile([n for n in numbers if n is not None], np.arange(1, QUARTERS) / QUARTERS)
    return [DASH if n is None else int(np.searchsorted(cuts, n, side="right")) for n in numbers], "in quarters"


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None
