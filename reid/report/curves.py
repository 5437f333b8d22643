"""From the rows of a training log to the series worth drawing."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from reid.report.charts import Series
from reid.report.text import number

# Columns that are neither a loss nor a score. What is left over counts as a loss term, so that the chart of a loss
# nobody has thought of yet needs no change here.
_BOOKKEEPING = re.compile(
    r"^(epoch|step|global_step|time|seconds|samples|images)$|_(s|ms|mb|gb|norm|seconds|per_s)$", re.I
)
_LEARNING_RATE = re.compile(r"(^|[_/])(lr|learning_rate)($|[_/-])", re.I)
_SCORE = re.compile(r"^(val|train)[_/]|acc(uracy)?$|^mAP$|^mINP$|^rank-?\d+$", re.I)


def column(log: Sequence[Mapping[str, object]], name: str) -> np.ndarray:
    """One column as float64 [rows]; NaN where a row lacks it or holds no number."""
    return np.array([number(row.get(name)) for row in log], dtype=np.float64)


def log_series(log: Sequence[Mapping[str, object]]) -> dict[str, list[Series]]:
    """Sort a log's columns into ``loss``, ``validation``, ``lr`` and ``speed``; a kind without a number is empty.

    The horizontal axis is ``epoch``, or the row number where no row has an epoch. Validation scores are fractions; a
    ``val_`` column outside [0, 1] that is not a loss is not drawn.
    """
    kinds: dict[str, list[Series]] = {"loss": [], "validation": [], "lr": [], "speed": []}
    x = column(log, "epoch")
    if not np.isfinite(x).any():
        x = np.arange(1, len(log) + 1, dtype=np.float64)
    for name in dict.fromkeys(str(key) for row in log for key in row):
        # A row without the column (validation every few epochs) is passed over, a NaN that was written is a gap.
        rows = [index for index, row in enumerate(log) if row.get(name) not in (None, "")]
        y = column(log, name)[rows]
        finite = y[np.isfinite(y)]
        if not finite.size:
            continue
        kind = _kind(name, finite)
        if kind:
            kinds[kind].append(Series(name, x[rows], y))
    return kinds


def _kind(name: str, values: np.ndarray) -> str | None:
    if name == "images_per_s":
        return "speed"
    if _LEARNING_RATE.search(name):
        return "lr"
    if _BOOKKEEPING.search(name):
        return None
    if "loss" in name.lower():
        return "loss"
    if _SCORE.search(name):
        return "validation" if values.min() >= 0 and values.max() <= 1 else None
    return "loss"
