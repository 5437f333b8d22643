"""The files of per-query results in a run folder: what they are called, and what is in them."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

COLUMNS = ("query", "pid", "camid", "AP", "first_match", "last_match")


@dataclass(frozen=True, eq=False)
class PerQuery:
    """One file read.

    Attributes:
        queries: the file names, the pids and the camids; of a path the name alone, which older runs have.
        pids: int64 [Q].
        ap: float64 [Q], NaN where a query has no match.
        first_match: float64 [Q], the rank of the first true match from 1, NaN likewise.
    """

    queries: tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
    pids: np.ndarray
    ap: np.ndarray
    first_match: np.ndarray

    def values(self, metric: str) -> np.ndarray:
        """What the metric, "mAP" or "rank-1", is the mean of: float64 [Q], NaN without a match."""
        return self.ap if metric == "mAP" else np.where(np.isnan(self.first_match), np.nan, self.first_match == 1)


def per_query_files(names: Sequence[str]) -> list[str]:
    """The file of each target's queries: the first has the plain name, the others their own made safe and unlike.

    >>> per_query_files(["toy", "my set", "my/set"])
    ['per_query.csv', 'per_query_my_set.csv', 'per_query_my_set_2.csv']
    """
    found = ["per_query.csv"]
    for name in names[1:]:
        stem = f"per_query_{re.sub(r'[^A-Za-z0-9.-]+', '_', name).strip('_') or 'set'}"
        file, attempt = f"{stem}.csv", 1
        while file.lower() in (f.lower() for f in found):
            attempt += 1
            file = f"{stem}_{attempt}.csv"
        found.append(file)
    return found


def read_per_query(path: Path) -> PerQuery:
    """Read one such file.

    Raises:
        OSError: it cannot be opened.
        ValueError: it is not whole, or another kind of file.
    """
    with path.open(newline="") as file:
        head, *rows = csv.reader(file)
    if tuple(head) != COLUMNS or not rows or any(len(row) != len(COLUMNS) for row in rows):
        raise ValueError(f"{path.name} is damaged or of another version")
    name, pid, camid, ap, first, _ = zip(*rows, strict=True)
    return PerQuery(
        queries=(tuple(n.rpartition("/")[2] for n in name), pid, camid),
        pids=np.array(list(map(int, pid)), dtype=np.int64),
        ap=np.array([float(v or "nan") for v in ap]),
        first_match=np.array([float(v or "nan") for v in first]),
    )
