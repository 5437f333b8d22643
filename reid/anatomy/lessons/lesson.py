"""A lesson: a small measured table and what it teaches, for the terminal, for Markdown and for JSON."""

import textwrap
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]  # column -> int, float or str
_WIDTH = 100


@dataclass(frozen=True)
class Lesson:
    """Attributes:
    title: of a few words.
    compares: what the rows are and where the figures come from.
    first: heading of the names of the rows.
    table: the name of each row -> its columns; every row has the same ones.
    shows: what the figures say, with numbers taken from ``table``.
    """

    title: str
    compares: str
    first: str
    table: dict[str, Row]
    shows: str

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.first, *next(iter(self.table.values())))

    @property
    def rows(self) -> tuple[tuple[Any, ...], ...]:
        return tuple((name, *row.values()) for name, row in self.table.items())

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, numbers and strings, ready for JSON."""
        return {
            "title": self.title, "compares": self.compares, "columns": list(self.columns),
            "rows": [list(row) for row in self.rows], "shows": self.shows,
        }  # fmt: skip


def to_text(lesson: Lesson) -> str:
    """For a terminal: numbers are right-aligned, sentences wrapped."""
    spelt = [lesson.columns, *(tuple(map(_cell, row)) for row in lesson.rows)]
    widths = [max(map(len, column)) for column in zip(*spelt, strict=True)]
    right = _numeric(lesson)
    lines = [
        "  ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right, strict=True)).rstrip()
        for row in spelt
    ]
    rule = "-" * max(map(len, lines))
    return "\n".join([
        lesson.title, "", textwrap.fill(lesson.compares, _WIDTH), "", lines[0], rule, *lines[1:], "",
        textwrap.fill(lesson.shows, _WIDTH),
    ])  # fmt: skip


def to_markdown(lesson: Lesson) -> str:
    """A section with a table."""
    rule = ["--:" if r else ":--" for r in _numeric(lesson)]
    table = [lesson.columns, rule, *([_cell(c) for c in row] for row in lesson.rows)]
    lines = ["| " + " | ".join(row) + " |" for row in table]
    return "\n".join([f"## {lesson.title}", "", lesson.compares, "", *lines, "", lesson.shows, ""])


def _numeric(lesson: Lesson) -> list[bool]:
    return [all(c == "" or not isinstance(c, str) for c in column) for column in zip(*lesson.rows, strict=True)]


def _cell(value: Any) -> str:
    """Counts in full, four significant digits of everything else.

    >>> _cell(163696), _cell(0.99987), _cell(3.21e-13), _cell(196611.5), _cell("5x5")
    ('163,696', '0.9999', '3.21e-13', '196,612', '5x5')
    """
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if isinstance(value, int) or value >= 1000 else f"{value:.4g}"
