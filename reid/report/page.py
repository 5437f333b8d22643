"""One self-contained HTML page about one run: no request leaves it, and it needs no script."""

import html
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from reid import files
from reid.report.charts import Series, line_chart
from reid.report.curves import log_series
from reid.report.frame import page_frame, pairs
from reid.report.pictures import picture_html
from reid.report.ranked import RankedImage, RankedQuery
from reid.report.text import HEADLINE, count, interval, number, percent, scientific, short, stamps

_CMC_RANKS = 50
_GALLERY = 10
_GROUPS = {
    "best": ("Best", "highest average precision"),
    "median": ("Median", "the middle of the field"),
    "worst": ("Worst", "lowest average precision, the worst first"),
}


def write_report(
    path: Path | str,
    *,
    title: str,
    summary: Mapping[str, str],
    metrics: Mapping[str, object],
    cmc: np.ndarray,
    log: Sequence[Mapping[str, object]],
    ranked: Sequence[RankedQuery],
    config: str,
) -> None:
    """Write the page of one run, whole or not at all.

    Args:
        path: the HTML file; its folder is made if needed, and an older file is replaced only by a finished one.
        title: the heading. All text is escaped here.
        summary: facts to list under the numbers, in this order.
        metrics: as ``Evaluation.to_dict()`` gives them (fractions), with ``model`` (which epoch was chosen and why),
            and optionally ``feature``, ``split``, the ``..._interval`` pairs, ``by_camera`` and, for several test sets,
            ``targets`` and ``dataset``, as in metrics.json; what is absent is left out or shown as a dash.
        cmc: float array [K], the fraction of queries with a match among the first k, index 0 for rank 1.
        log: one row an epoch; see :func:`reid.report.curves.log_series` for what each column becomes. May be empty.
        ranked: queries to show with their gallery; each picture is embedded at no more than 128 pixels in height, and
            one that cannot be read becomes a grey box.
        config: the composed configuration as text.

    Raises:
        UserError: the file cannot be written.
    """
    sections = [
        f"<h1>{html.escape(title)}</h1>",
        _headline(metrics),
        _targets(metrics.get("targets")),
        _summary(summary),
        _training(log),
        _cmc(np.asarray(cmc, dtype=np.float64)),
        _cameras(metrics.get("by_camera")),
        _ranking(ranked),
        _config(config),
    ]
    # A file name may hold bytes that are no text; they must not cost the page.
    files.write(path, page_frame(title, sections))


def _headline(metrics: Mapping[str, object]) -> str:
    numbers = "".join(
        f"<div{large}><dt>{name}</dt><dd>{percent(metrics.get(name))}</dd></div>"
        for name, large in zip(HEADLINE, (' class="large"', ' class="large"', "", "", ""), strict=True)
    )
    facts = {
        "Data set": str(metrics.get("dataset") or "") if "targets" in metrics else "",
        "Interval": interval(metrics),
        "Queries": f"{number(metrics['queries']):,.0f}" if "queries" in metrics else "",
        "Without a match": f"{number(metrics.get('queries_without_match', 0)):,.0f}",
        "Feature": str(metrics.get("feature") or ""),
        "Model": str(metrics.get("model") or ""),
        "Split": str(metrics.get("split") or ""),
    }
    return (
        f'<section class="card headline"><dl class="numbers">{numbers}</dl>'
        '<div class="measured"><h2>Protocol</h2>'
        f'<p class="stamp">{html.escape(str(metrics.get("protocol") or "not stated"))}</p>'
        f"{pairs({key: value for key, value in facts.items() if value}, 'pairs')}</div></section>"
    )


def _targets(targets: object) -> str:
    """A row for each of several sets that the model was judged on."""
    if not isinstance(targets, Sequence):
        return ""
    head = "".join(f'<th scope="col">{name}</th>' for name in (*HEADLINE, "queries", "gallery"))
    rows = "".join(
        f'<tr><th scope="row">{html.escape(str(target["dataset"]))}</th>'
        + "".join(f"<td>{percent(target.get(name))}</td>" for name in HEADLINE)
        + "".join(f"<td>{count(target.get(name))}</td>" for name in ("queries", "gallery"))
        + "</tr>"
        for target in targets
    )
    note = "".join(f"<p class='note'>{html.escape(stamp)}</p>" for stamp in stamps(targets))
    return (
        f'<section><h2>Targets</h2><div class="card cameras"><table><tr><td></td>{head}</tr>{rows}</table></div>'
        f"{note}</section>"
    )


def _summary(summary: Mapping[str, str]) -> str:
    return f'<section><h2>The run</h2><div class="card">{pairs(summary, "facts")}</div></section>' if summary else ""


def _training(log: Sequence[Mapping[str, object]]) -> str:
    if not log:
        return ""
    kinds = log_series(log)
    spelling: dict[str, tuple[str, Callable[[float], str], bool]] = {
        "loss": ("Loss", short, False),
        "validation": ("Validation", percent, True),
        "lr": ("Learning rate", scientific, False),
        "speed": ("Images per second", short, False),
    }
    charts = [
        line_chart(heading, kinds[kind], x_label="epoch", y_format=y_format, fraction=fraction)
        for kind, (heading, y_format, fraction) in spelling.items()
        if kinds[kind]
    ]
    if not charts:
        return ""
    layout = {1: " one", 3: " three"}.get(len(charts), "")
    return (
        "<section><h2>Training</h2>"
        "<p class='note'>The legend gives each line's last value; point at a plot for the others.</p>"
        f'<div class="charts{layout}">{"".join(charts)}</div></section>'
    )


def _cmc(cmc: np.ndarray) -> str:
    curve = cmc[:_CMC_RANKS]
    if not np.isfinite(curve).any():
        return ""
    ranks = np.arange(1, len(curve) + 1, dtype=np.float64)
    chart = line_chart(
        "Share of queries with a match among the first k",
        [Series("CMC", ranks, curve)],
        x_label="rank k",
        y_format=percent,
        from_zero=False,
        fraction=True,
        legend=False,
        x_ticks=(1, 5, 10, 20, 30, 40, 50) if len(curve) >= 10 else None,
    )
    rows = "".join(
        f'<tr><th scope="row">rank-{rank}</th><td>{percent(curve[rank - 1])}</td></tr>'
        for rank in (1, 5, 10, 20, 50)
        if rank <= len(curve)
    )
    return (
        "<section><h2>Cumulative matching characteristic</h2>"
        f'<div class="cmc">{chart}<div class="card"><table>{rows}</table></div></div></section>'
    )


def _cameras(matrix: object) -> str:
    """The mAP of every query camera in every gallery camera, as ``CameraMatrix.to_dict`` gives it."""
    if not isinstance(matrix, Mapping):
        return ""
    head = "".join(f'<th scope="col">{camera}</th>' for camera in matrix["gallery_camids"])
    rows = "".join(
        f'<tr><th scope="row">{camera}</th>{"".join(f"<td>{percent(value)}</td>" for value in values)}</tr>'
        for camera, values in zip(matrix["query_camids"], matrix["mAP"], strict=True)
    )
    return (
        "<section><h2>mAP from camera to camera</h2>"
        "<p class='note'>Query cameras downwards, gallery cameras across; each cell judges as if the gallery had that"
        " camera alone. A shorter gallery is an easier one: compare models in a cell, not cells in a row.</p>"
        f'<div class="card cameras"><table><tr><td></td>{head}</tr>{rows}</table></div></section>'
    )


def _ranking(ranked: Sequence[RankedQuery]) -> str:
    if not ranked:
        return ""
    parts = [
        "<section><h2>Ranked results</h2>",
        '<p class="note">Each query and its first ten gallery pictures, best first. ✓ and a green frame: the same'
        " person; ✗ and a red frame: somebody else.</p>",
    ]
    for group in dict.fromkeys(query.group for query in ranked):
        heading, meaning = _GROUPS.get(group, (group, ""))
        parts.append(f'<h3 class="group">{html.escape(heading)} <small>{html.escape(meaning)}</small></h3>')
        parts.extend(_query(query) for query in ranked if query.group == group)
    return "\n".join([*parts, "</section>"])


def _query(query: RankedQuery) -> str:
    alt = f"query, person {query.pid}, camera {query.camid}"
    facts = {"Person": str(query.pid), "Camera": str(query.camid), "AP": percent(query.ap)}
    found = "".join(_found(image) for image in query.gallery[:_GALLERY])
    gallery = (
        f'<ol class="found">{found}</ol>' if found else '<p class="empty">The gallery holds no picture for it.</p>'
    )
    return (
        f'<article class="card query"><div class="asked"><div class="frame">{picture_html(query.path, alt)}</div>'
        f"{pairs(facts, '')}</div>{gallery}</article>"
    )


def _found(image: RankedImage) -> str:
    css, mark, verdict = ("right", "✓", "true match") if image.correct else ("wrong", "✗", "wrong")
    alt = f"rank {image.rank}, {verdict}, person {image.pid}, camera {image.camid}"
    return (
        f'<li class="{css}"><div class="frame">{picture_html(image.path, alt)}</div>'
        f"<p><b>{mark} {image.rank}</b><span>cam {image.camid}</span></p></li>"
    )


def _config(config: str) -> str:
    if not config.strip():
        return ""
    return (
        '<section><h2>Configuration</h2><details class="card"><summary>Show the composed configuration</summary>'
        f"<pre>{html.escape(config)}</pre></details></section>"
    )
