"""A leaderboard for the terminal, as Markdown and as CSV."""

import csv
import io
import math
from collections.abc import Iterable

from reid.report.leaderboard import METRICS, Board, Table, Worth, cells, explained
from reid.report.terminal import facts
from reid.report.text import percent

_LINE = 140  # characters of a reason in the terminal; files have it whole


def leaderboard_text(board: Board, *, top: int | None = None) -> str:
    """The tables with at most ``top`` rows each, and under them the runs that are in none."""
    parts = [board.summary]
    if board.why:
        parts.append(apart(board))
    for table in board.tables:
        told = facts({table.title: "", **table.ground})
        parts.append("\n".join([told, "", *_aligned(table, top), *(f"note: {note}" for note in table.notes)]))
    if board.tables:
        parts.append("\n".join(meaning(board)))
    parts += (
        [facts({"unfinished": "\n".join(f"{run.folder}: {run.state}" for run in board.going)})] if board.going else []
    )
    for name, lost in (("failed", board.failed), ("unreadable", board.damaged)):
        parts += [facts({name: "\n".join(f"{folder}: {why}" for folder, why in lost)})] if lost else []
    parts += [facts({f"worth in {one.folder}": worth(one)}) for one in board.studies]
    parts += [f"note: {note}" for note in board.notes]
    return "\n\n".join(parts)


def leaderboard_markdown(board: Board) -> str:
    """All rows as Markdown tables, with what they mean and what is missing from them."""
    parts = [f"# Leaderboard\n\n{board.summary}"]
    if board.why:
        parts.append(apart(board))
    for table in board.tables:
        lines = [f"## {_plain(table.title)}", "", *(f"- {k}: {_plain(v)}" for k, v in table.ground.items()), ""]
        rows = [cells(table, place) for place in range(len(table.rows))]
        names = list(rows[0])
        left = {"#", *table.columns.values()}
        lines.append(_line(names))
        lines.append(_line(":--" if name in left else "--:" for name in names))
        lines += [_line(row[name].text for name in names) for row in rows]
        parts.append("\n".join([*lines, *(f"\n{_plain(note)}" for note in table.notes)]))
    if board.tables:
        parts.append("\n".join(f"- {line}" for line in meaning(board)))
    lists = {
        "Unfinished": [f"{run.folder}: {run.state}" for run in board.going],
        "Failed": [f"{folder}: {why}" for folder, why in board.failed],
        "Unreadable": [f"{folder}: {why}" for folder, why in board.damaged],
        "Sweeps": [f"{one.folder}: {worth(one)}" for one in board.studies],
        "Notes": list(board.notes),
    }
    parts += [f"## {name}\n\n" + "\n".join(f"- {_plain(x)}" for x in lines) for name, lines in lists.items() if lines]
    return "\n\n".join(parts) + "\n"


def leaderboard_csv(board: Board) -> str:
    """One line a row of all tables, numbers unrounded and metrics as fractions; an empty cell is not known.

    ``table`` counts the tables: places in unlike tables do not compare. Settings stand under their full config keys.
    """
    keys = list(dict.fromkeys(key for table in board.tables for key in table.columns))
    ground = list(dict.fromkeys(name for table in board.tables for name in table.ground))
    measured = [f"{metric}{part}" for metric in METRICS for part in ("", "_std")]
    tested = ["difference", "difference_low", "difference_high", "p", "p_holm"]
    head = ["table", "test_set", *ground, "place", *keys, "runs", "seeds", *measured, "metric", "low", "high", *tested]
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([*head, "images_per_s", "hours", "parameters", "folders"])
    for index, table in enumerate(board.tables, 1):
        for place, row in enumerate(table.rows, 1):
            versus = row.versus
            numbers = [row.mean(m) if part else row.spread(m) for m in METRICS for part in (True, False)]
            test = [versus.difference, versus.low, versus.high, versus.p, versus.holm] if versus else [math.nan] * 5
            writer.writerow(
                [
                    index, table.title, *(table.ground.get(name, "") for name in ground), place,
                    *(row.settings.get(key, "") for key in keys), len(row.seeds), " ".join(map(str, row.seeds)),
                    *map(_number, numbers), table.metric, *map(_number, row.interval), *map(_number, test),
                    *map(_number, (row.images_per_s, row.hours, row.parameters)), "|".join(row.folders),
                ]
            )  # fmt: skip
    return text.getvalue()


def apart(board: Board) -> str:
    """Why there are several tables."""
    what = board.why[0] if len(board.why) == 1 else f"{', '.join(board.why[:-1])} and {board.why[-1]}"
    return f"{len(board.tables)} tables: runs that differ in {what} are not ranked together."


def meaning(board: Board) -> list[str]:
    """What the columns of all tables are, each sentence once."""
    return list(dict.fromkeys(line for table in board.tables for line in explained(table)))


def worth(study: Worth) -> str:
    """What a sweep's values are worth, in a line."""
    shares = ", ".join(f"{one.name} {percent(one.share)}" for one in study.shares)
    return f"{study.metric}: {shares} ({study.measure})"


def _aligned(table: Table, top: int | None) -> list[str]:
    shown = min(len(table.rows), top or len(table.rows))
    rows = [cells(table, place) for place in range(shown)]
    left = set(table.columns.values())
    lines = [list(rows[0]), *([cell.text for cell in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    sides = [name in left for name in rows[0]]
    told = [
        "  ".join(c.ljust(w) if side else c.rjust(w) for c, w, side in zip(line, widths, sides, strict=True)).rstrip()
        for line in lines
    ]
    if shown < len(table.rows):
        told.append(f"and {len(table.rows) - shown} more: top=null, or output=board.html, .md or .csv, has all")
    return told


def _line(parts: Iterable[str]) -> str:
    return "| " + " | ".join(_plain(part) for part in parts) + " |"


def _plain(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _number(value: float) -> str:
    return repr(float(value)) if math.isfinite(value) else ""
