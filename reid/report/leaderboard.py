"""What a leaderboard shows, and how its cells are spelled: one place for the terminal, Markdown and the page."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from reid.report.text import DASH, short

METRICS = ("mAP", "rank-1", "mINP")
_BARE = ("true", "false", "null", "none")  # values that say nothing without their heading


@dataclass(frozen=True)
class Versus:
    """A row against the best of its table, paired by query; fractions, negative where the row is worse.

    Attributes:
        difference, low, high: the row less the best, with the ends of its 95 % interval.
        p: two-sided, of no difference.
        holm: the same, held against the number of rows that were tested (Holm 1979).
        why: why there is no test; then all numbers are NaN.
    """

    difference: float = math.nan
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    holm: float = math.nan
    why: str = ""


@dataclass(frozen=True)
class Row:
    """One experiment: runs that differ in their seed alone.

    Attributes:
        settings: the value of each of the table's ``columns``, by its full key.
        seeds, folders: of its runs, in one order.
        values: metric to the value of each run, fractions; NaN where a run lacks it.
        interval: the means of both ends of the runs' own 95 % intervals of the metric; NaN where a run has none.
        versus: the best row; None of the best itself and of rows that were not tested.
        images_per_s, hours: means over the runs, of the training steps; NaN where unknown.
        parameters: of the network, with its classifier; NaN where unknown.
        curves: column of the log to (epochs, mean over the runs), float64 [N] each.
    """

    settings: Mapping[str, str]
    seeds: tuple[int, ...]
    folders: tuple[str, ...]
    values: Mapping[str, tuple[float, ...]]
    interval: tuple[float, float]
    versus: Versus | None = None
    images_per_s: float = math.nan
    hours: float = math.nan
    parameters: float = math.nan
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    def mean(self, metric: str) -> float:
        """Of the runs; NaN where one lacks it."""
        return float(np.mean(self.values[metric]))

    def spread(self, metric: str) -> float:
        """Standard deviation over the runs, by their number less one; NaN for a single one."""
        return float(np.std(self.values[metric], ddof=1)) if len(self.seeds) > 1 else math.nan


@dataclass(frozen=True)
class Importance:
    """How much of the metric's variance over the runs one column tells by itself: ``share`` in [0, 1]."""

    name: str
    share: float
    note: str = ""


@dataclass(frozen=True)
class Table:
    """Rows that may be ranked together, the best first.

    Attributes:
        title: the test set.
        ground: what all rows have in common and no other table has: its name to its words.
        columns: full config key to its heading.
        metric: what the rows are ordered and tested by.
        tested: rows at the top that were set against the best; the others were not.
        importance: the most important first; empty where it cannot be told.
        measure: what the importance is.
        notes: what a reader has to know of some rows.
    """

    title: str
    ground: Mapping[str, str]
    columns: Mapping[str, str]
    metric: str
    rows: Sequence[Row]
    tested: int
    importance: Sequence[Importance] = ()
    measure: str = ""
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Going:
    """A run without numbers: its folder, epochs done and asked for, its last values in words, and its log's curves.

    ``quiet`` are the seconds since it last wrote; ``pruned`` if its sweep gave it up, not ``begun`` if it waits.
    """

    folder: str
    epoch: int = 0
    epochs: int = 0
    last: str = ""
    quiet: float = 0.0
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    pruned: bool = False
    begun: bool = True

    @property
    def state(self) -> str:
        """How far it is, its last values, and since when nothing was written."""
        if not self.begun:
            return "not begun"
        of = f"epoch {self.epoch} of {self.epochs}" if self.epochs else f"epoch {self.epoch}"
        since = "given up by its sweep" if self.pruned else f"last written {ago(self.quiet)} ago"
        return ", ".join(part for part in (of, self.last, since) if part)


@dataclass(frozen=True)
class Worth:
    """What the optimiser of a sweep found its values worth, for which metric and by which measure."""

    folder: str
    metric: str
    shares: Sequence[Importance]
    measure: str


@dataclass(frozen=True)
class Board:
    """All of it.

    Attributes:
        root: where the runs are.
        finished: how many runs have numbers.
        why: what the tables differ in, so that they are several; empty for one.
        going: runs that are still written, or were stopped.
        failed, damaged: folder and reason of each.
        studies: of sweeps that an optimiser led.
        notes: of the whole.
    """

    root: str
    finished: int
    tables: Sequence[Table]
    why: Sequence[str] = ()
    going: Sequence[Going] = ()
    failed: Sequence[tuple[str, str]] = ()
    damaged: Sequence[tuple[str, str]] = ()
    studies: Sequence[Worth] = ()
    notes: Sequence[str] = ()

    @property
    def summary(self) -> str:
        """How many runs of each state there are."""
        states = {"finished": self.finished, "unfinished": len(self.going), "failed": len(self.failed)}
        states["unreadable"] = len(self.damaged)
        told = [f"{count} {state}" for state, count in states.items() if count]
        return f"{sum(states.values())} runs in {self.root}: {', '.join(told) or 'none'}"


@dataclass(frozen=True)
class Cell:
    """A cell as text, and the number behind it to sort by (NaN for text); ``hint`` is told where there is room."""

    text: str
    value: float = math.nan
    hint: str = ""


def cells(table: Table, place: int) -> dict[str, Cell]:
    """Heading to cell of the row at ``place``, counted from 0; columns that no row has a value for are left out."""
    row, all_rows = table.rows[place], table.rows
    found = {"#": Cell(str(place + 1), place + 1)}
    for key, heading in table.columns.items():
        found[heading] = Cell(row.settings[key], _plain(row.settings[key]), key)
    if any(len(r.seeds) > 1 for r in all_rows):
        found["runs"] = Cell(str(len(row.seeds)), len(row.seeds), f"seeds {', '.join(map(str, row.seeds))}")
    for metric in [table.metric, *(m for m in METRICS if m != table.metric)]:
        if any(math.isfinite(r.mean(metric)) for r in all_rows):
            found[metric] = Cell(mean_and_spread(row, metric), row.mean(metric))
        if metric == table.metric:
            found["95% interval"] = Cell(_ends(row.interval), row.interval[0])
    if any(r.versus for r in all_rows):
        found["to the best"], found["p"] = _versus(row.versus, place)
    costs = {"images/s": (row.images_per_s, "images_per_s"), "hours": (row.hours, "hours")}
    costs["params, M"] = (row.parameters / 1e6, "parameters")
    for heading, (value, name) in costs.items():
        if any(math.isfinite(getattr(r, name)) for r in all_rows):
            found[heading] = Cell(_cost(value), value)
    return found


def ago(seconds: float) -> str:
    """
    >>> ago(30), ago(600), ago(7200), ago(200000)
    ('30 s', '10 min', '2 h', '2 days')
    """
    for size, unit in ((2 * 86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / (86400 if unit == 'days' else size):.0f} {unit}"
    return f"{seconds:.0f} s"


def label(table: Table, row: Row) -> str:
    """The settings of a row in a few words, for a plot; a number has its heading before it."""
    told = []
    for key, heading in table.columns.items():
        value = row.settings[key]
        plain = (value[:1].isalpha() and value not in _BARE) or value.startswith("[")
        told.append(value if plain else f"{heading} {value}")
    return " ".join(told) or table.title


def mean_and_spread(row: Row, metric: str) -> str:
    """In percent, as 84.3 ±0.4."""
    mean, spread = row.mean(metric), row.spread(metric)
    told = f"{100 * mean:.1f}" if math.isfinite(mean) else DASH
    return f"{told} ±{100 * spread:.1f}" if math.isfinite(spread) else told


def explained(table: Table) -> list[str]:
    """What the columns are, in sentences."""
    shown = cells(table, 0)
    lines = ["Metrics in percent" + ("; ± is the standard deviation over the runs." if "runs" in shown else ".")]
    lines.append(
        "95% interval: for other identities, from resampling them"
        + ("; the runs' ends averaged." if "runs" in shown else ".")
    )
    if "p" in shown:
        lines.append(
            f"To the best: difference in {table.metric} with its 95% interval, paired by query, each query's value "
            "averaged over the runs of a row; p: that swapping the two for whole identities gives such a difference, "
            "times the rows left to test (Holm). It tests these trained nets on other people; how other seeds would "
            "train ± tells. The best is chosen by the same numbers, which lean its way."
        )
        if len(table.rows) > table.tested:
            lines.append(
                f"Of {len(table.rows)} rows the first {table.tested} were tested, and the per-query files of these "
                "alone were read: top= sets how many."
            )
    if "images/s" in shown or "hours" in shown:
        lines.append("images/s and hours: of the training steps, validation left out.")
    return lines


def _versus(versus: Versus | None, place: int) -> tuple[Cell, Cell]:
    if versus is None:
        return Cell("best" if place == 0 else DASH), Cell(DASH)
    if versus.why:
        return Cell(DASH, hint=versus.why), Cell(DASH, hint=versus.why)
    text = f"{100 * versus.difference:+.1f} ({100 * versus.low:+.1f} to {100 * versus.high:+.1f})"
    if math.isnan(versus.low):
        text = f"{100 * versus.difference:+.1f}"
    p = "<0.001" if versus.holm < 0.001 else f"{versus.holm:.3f}"
    return Cell(text, versus.difference), Cell(p, versus.holm, f"of this row alone {versus.p:.4f}")


def _ends(interval: tuple[float, float]) -> str:
    return DASH if math.isnan(interval[0]) else f"{100 * interval[0]:.1f} to {100 * interval[1]:.1f}"


def _cost(value: float) -> str:
    if not math.isfinite(value):
        return DASH
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:.{digits}f}" if value >= 0.1 else short(value)


def _plain(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
