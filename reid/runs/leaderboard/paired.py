"""Rows against the best one, query by query."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from reid.report.leaderboard import Versus
from reid.runs.per_query import PerQuery, read_per_query


class UnpairedError(ValueError):
    """Why two rows cannot be paired, in a few words."""


def against_best(best: Sequence[Path], others: Sequence[Sequence[Path]], metric: str) -> list[Versus]:
    """Each of ``others`` less ``best``; a row is the per-query files of its runs.

    A query's value is its mean over the runs of a row. The interval of the difference and its p-value are those of
    ``reid.evaluation.compare``: identities are resampled, and swapped. What is tested is whether these nets would
    differ on other people too; that other seeds would make other nets the runs' spread tells.

    Args:
        metric: "mAP" or "rank-1".

    Returns:
        One a row, with the reason in place of numbers where files are missing or damaged or of other queries.
    """
    from reid.evaluation.uncertainty import confidence_interval, sign_flip_p_value  # torch takes two seconds to import

    found = []
    try:
        queries, pids, of_best = _mean(best, metric)
    except UnpairedError as error:
        return [Versus(why=f"the best row: {error}") for _ in others]
    for other in others:
        try:
            its_queries, _, its_values = _mean(other, metric)
            if its_queries != queries:
                raise UnpairedError("its queries are not those of the best row")
            difference = its_values - of_best
            if np.isnan(difference).all():
                raise UnpairedError("no query has a match")
            interval, p = confidence_interval(difference, pids), sign_flip_p_value(difference, pids)
            found.append(Versus(float(np.nanmean(difference)), interval.low, interval.high, p, p))
        except UnpairedError as error:
            found.append(Versus(why=str(error)))
    return with_holm(found)


def with_holm(rows: Sequence[Versus]) -> list[Versus]:
    """The rows with the p-values that hold for all of them together (Holm, Scandinavian J. of Statistics 1979).

    The smallest of m is multiplied by m, the next by m - 1 and so on, and none may be below one before it.

    >>> [v.holm for v in with_holm([Versus(p=0.25), Versus(p=0.125), Versus(why="none"), Versus(p=0.5)])]
    [0.5, 0.375, nan, 0.5]
    """
    ordered = sorted((i for i, row in enumerate(rows) if not row.why), key=lambda i: rows[i].p)
    found, least = list(rows), 0.0
    for rank, i in enumerate(ordered):
        row = rows[i]
        least = max(least, min(1.0, (len(ordered) - rank) * row.p))
        found[i] = Versus(row.difference, row.low, row.high, row.p, least)
    return found


def _mean(files: Sequence[Path], metric: str) -> tuple[object, np.ndarray, np.ndarray]:
    """The queries of some runs, their identities int64 [Q], and the means of their values over the runs [Q]."""
    runs = [_read(file) for file in files]
    if any(one.queries != runs[0].queries for one in runs):
        raise UnpairedError("its runs have unlike queries")
    return runs[0].queries, runs[0].pids, np.mean([one.values(metric) for one in runs], axis=0)


def _read(file: Path) -> PerQuery:
    try:
        return read_per_query(file)
    except OSError as error:
        raise UnpairedError(f"{file.parent.name}/{file.name} cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise UnpairedError(f"{file.parent.name}: {error}") from error
