"""A leaderboard as one self-contained page: sortable tables, accuracy against cost, learning curves, importance."""

import html
import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from reid.report.charts import Series, line_chart
from reid.report.frame import page_frame, pairs
from reid.report.leaderboard import Board, Cell, Going, Importance, Row, Table, Worth, cells, label
from reid.report.leaderboard_style import CSS, SCRIPT
from reid.report.leaderboard_text import apart, meaning
from reid.report.scatter import scatter
from reid.report.text import percent, short

COLOURED, DRAWN = 5, 60  # lines with a colour and a name, and all lines of a chart
_LONG = 20  # characters; with longer names the points of a plot bear the places of their rows
_CURVES = {"loss": ("Loss", short, False), "val_mAP": ("mAP on the identities held out", percent, True)}


def leaderboard_page(board: Board, *, title: str = "Leaderboard") -> str:
    """The page as HTML; all text is escaped here, and nothing in it comes from elsewhere."""
    sections = [f"<h1>{html.escape(title)}</h1>", f'<p class="note">{html.escape(board.summary)}</p>']
    if board.why:
        sections.append(f'<p class="apart">{html.escape(apart(board))}</p>')
    sections += [_table_section(table) for table in board.tables]
    sections += [
        _studies(board.studies),
        _going(board.going),
        _lost("Failed", board.failed),
        _lost("Unreadable", board.damaged),
    ]
    told = [*meaning(board), *board.notes]
    if told:
        lines = "".join(f"<p>{html.escape(line)}</p>" for line in told)
        sections.append(f'<section><h2>How to read it</h2><div class="card meaning">{lines}</div></section>')
    return page_frame(title, sections, css=CSS, script=SCRIPT)


def _table_section(table: Table) -> str:
    runs = sum(len(row.seeds) for row in table.rows)
    size = f"{len(table.rows)} setting{'s' * (len(table.rows) != 1)}, {runs} run{'s' * (runs != 1)}"
    notes = "".join(f'<p class="note">{html.escape(note)}</p>' for note in table.notes)
    return (
        f"<section><h2>{html.escape(table.title)} <small>{size}</small></h2>"
        f"{pairs(table.ground, 'pairs ground')}{_table(table)}{notes}{_charts(table)}</section>"
    )


def _table(table: Table) -> str:
    rows = [cells(table, place) for place in range(len(table.rows))]
    low, high = _span(table)
    text = {*table.columns.values()} - {name for name in rows[0] if all(math.isfinite(r[name].value) for r in rows)}
    head = ""
    for name, cell in rows[0].items():
        side = ' class="text"' if name in text else ""
        first = "descending" if name in ("mAP", "rank-1", "mINP", "to the best", "images/s", "runs") else "ascending"
        order = ' aria-sort="descending"' if name == table.metric else ""
        hint = f' title="{html.escape(cell.hint)}"' if name in table.columns.values() else ""
        button = f"<button{hint}>{html.escape(name)}</button>"
        head += f'<th scope="col"{side} data-first="{first}"{order}>{button}</th>'
    body = ""
    for place, (row, told) in enumerate(zip(table.rows, rows, strict=True)):
        inner = "".join(_cell(name, cell, name in text, table, row, (low, high)) for name, cell in told.items())
        first = ' class="first"' if place == 0 else ""
        body += f'<tr{first} data-name="{html.escape(label(table, row))}">{inner}</tr>'
    return f'<div class="card board"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(name: str, cell: Cell, text: bool, table: Table, row: Row, span: tuple[float, float]) -> str:
    css = ["text"] if text else []
    inner = html.escape(cell.text)
    if name == table.metric:
        css.append("metric")
    if "±" in cell.text or " (" in cell.text:
        main, _, rest = inner.partition(" ")
        inner = f"{main} <small>{rest}</small>"
    if name == "95% interval" and math.isfinite(row.interval[0]):
        inner += _range(row.interval, row.mean(table.metric), span)
    if name == "p" and row.versus and row.versus.holm >= 0.05:
        css.append("alike")
    hint = "\n".join(row.folders) if name == "#" else "" if name in table.columns.values() else cell.hint
    told = {
        "class": " ".join(css),
        "data-v": repr(cell.value) if math.isfinite(cell.value) else "",
        "title": html.escape(hint),
    }
    attributes = "".join(f' {key}="{value}"' for key, value in told.items() if value)
    return f"<td{attributes}>{inner}</td>"


def _span(table: Table) -> tuple[float, float]:
    """From the lowest to the highest end of the rows' intervals."""
    ends = [end for row in table.rows for end in row.interval if math.isfinite(end)]
    return (min(ends), max(ends)) if ends and max(ends) > min(ends) else (0.0, 1.0)


def _range(interval: tuple[float, float], mean: float, span: tuple[float, float]) -> str:
    """The interval as a bar on the span of all rows, the mean as a mark on it."""
    low, high, at = (100 * (v - span[0]) / (span[1] - span[0]) for v in (*interval, mean))
    return (
        f'<span class="range" aria-hidden="true"><i style="left:{low:.1f}%;width:{high - low:.1f}%"></i>'
        f'<b style="left:{at:.1f}%"></b></span>'
    )


def _charts(table: Table) -> str:
    costs = {
        "hours of training": [row.hours for row in table.rows],
        "parameters, millions": [row.parameters / 1e6 for row in table.rows],
    }
    charts = [_against(table, name, values) for name, values in costs.items()]
    rows = [(label(table, row), row.curves) for row in table.rows]
    charts += [_overlaid(name, rows) for name in _CURVES]
    charts.append(_importance(f"What {table.metric} depends on", table.importance, table.measure))
    charts = [chart for chart in charts if chart]
    layout = " one" if len(charts) == 1 else ""
    return f'<div class="charts{layout}">{"".join(charts)}</div>' if charts else ""


def _against(table: Table, name: str, costs: Sequence[float]) -> str:
    """Accuracy against one cost; of one row it would say nothing."""
    points = [(label(table, row), cost, row.mean(table.metric)) for row, cost in zip(table.rows, costs, strict=True)]
    if sum(math.isfinite(cost) and cost > 0 for cost in costs) < 2:
        return ""
    places = {who: f"#{place}" for place, (who, _, _) in enumerate(points, 1)}
    numbered = max(map(len, places)) > _LONG
    return scatter(
        f"{table.metric} against {name}; dashed: nothing is as good for less",
        points,
        x_label=name,
        x_format=short,
        y_format=percent,
        log_y=False,
        front=True,
        shown=places if numbered else None,
    )


def _overlaid(name: str, named: Sequence[tuple[str, Mapping[str, tuple[np.ndarray, np.ndarray]]]]) -> str:
    """The curves of all rows in their order: the first with a colour, the others faint behind them."""
    heading, spell, fraction = _CURVES[name]
    lines = [(who, *curves[name]) for who, curves in named if name in curves][:DRAWN]
    if not lines:
        return ""
    series = [Series(who, x, y, faint=index >= COLOURED) for index, (who, x, y) in enumerate(lines)]
    rest = len(lines) - COLOURED
    note = f"; {rest} more in grey" if rest > 0 else ""
    return line_chart(f"{heading}{note}", series, x_label="epoch", y_format=spell, fraction=fraction)


def _importance(heading: str, shares: Sequence[Importance], measure: str) -> str:
    if not shares:
        return ""
    bars = ""
    for one in shares:
        note = f" <small>{html.escape(one.note)}</small>" if one.note else ""
        bar = f'<span><i style="width:{100 * one.share:.1f}%"></i></span>'
        bars += f"<div><dt>{html.escape(one.name)}{note}</dt>{bar}<dd>{percent(one.share)}</dd></div>"
    return (
        f'<figure class="chart flat"><figcaption><h3>{html.escape(heading)}</h3></figcaption>'
        f'<dl class="rows">{bars}</dl><p class="note below">{html.escape(measure)}</p></figure>'
    )


def _studies(found: Sequence[Worth]) -> str:
    charts = [_importance(f"What {one.metric} depends on in {one.folder}", one.shares, one.measure) for one in found]
    layout = " one" if len(charts) == 1 else ""
    return f'<section><h2>Sweeps</h2><div class="charts{layout}">{"".join(charts)}</div></section>' if charts else ""


def _going(runs: Sequence[Going]) -> str:
    if not runs:
        return ""
    items = [(run.folder, run.state) for run in runs]
    charts = [chart for name in _CURVES if (chart := _overlaid(name, [(run.folder, run.curves) for run in runs]))]
    layout = " one" if len(charts) == 1 else ""
    drawn = f'<div class="charts{layout}">{"".join(charts)}</div>' if charts else ""
    return f"<section><h2>Unfinished</h2>{_list(items)}{drawn}</section>"


def _lost(heading: str, found: Sequence[tuple[str, str]]) -> str:
    return f"<section><h2>{heading}</h2>{_list(found, ' class=bad')}</section>" if found else ""


def _list(items: Iterable[tuple[str, str]], css: str = "") -> str:
    lines = "".join(f"<li{css}><b>{html.escape(a)}</b><span>{html.escape(b)}</span></li>" for a, b in items)
    return f'<ul class="card list">{lines}</ul>'
