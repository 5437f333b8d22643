"""One self-contained page about what the convolutions of one network do."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reid.report.anatomy_style import CSS
from reid.report.charts import Series, line_chart
from reid.report.effective_picture import effective_picture
from reid.report.frame import page_frame, pairs
from reid.report.layer_table import layer_table
from reid.report.quantities import count, field_size, memory, shape
from reid.report.text import DASH, number, percent, short

_COSTS = ("parameters", "macs", "activations")
_NAMES = {"parameters": "Parameters", "macs": "MACs", "activations": "Activations"}
_LABELLED = 0.08  # a narrower piece of a bar has no room for its number


def anatomy_page(found: Mapping[str, Any], *, title: str, weights: str) -> str:
    """The page of one network as HTML.

    Args:
        found: as ``reid.anatomy.Anatomy.to_dict`` gives it. What was not measured is left out or shown as a dash.
        title: the heading. All text is escaped here.
        weights: where the weights came from.
    """
    return page_frame(
        title,
        [
            f"<h1>{html.escape(title)}</h1>",
            _headline(found, weights),
            _kinds(found),
            _sight(found),
            _depth(found),
            _translation(found),
            _speed(found),
            _notes(found["notes"]),
            layer_table(found["layers"]),
        ],
        css=CSS,
    )


def _headline(found: Mapping[str, Any], weights: str) -> str:
    effective, last, times = found["effective"], found["last_map"], found["latency"]
    field = None if last is None else last["field"]
    one, rest = found["macs"], found["counted_macs"]
    sees, seen = field_size(field).rstrip(" +"), f"of the last map; the image is {shape(found['size'][1:])}"
    if field is None or not any(field["whole"]):
        seen += "; later layers see all of it" if _first_global(found["layers"]) else ""
    elif None not in field["size"]:
        seen += ", which it sees as a whole too"
        if field["global"] and any(a < b for a, b in zip(field["size"], found["size"][1:], strict=True)):
            sees, seen = "whole image", f"of the last map; {sees} on local paths"
    numbers = [
        ("large", "Parameters", count(found["parameters"]), f"{found['parameters']:,}"),
        ("large", "MACs", count(one), f"{one:,}" if one == rest else f"{count(rest)} with all matrix products"),
        ("", "Receptive field", sees, seen),
        ("", "Effective field", percent(effective and effective["of_image"]), "of the image holds 95% of the effect"),
        ("", "Latency", f"{short(times[0]['milliseconds'])} ms" if times else DASH, _of_batch(times)),
        ("", "Memory, inference", memory(found["inference_bytes"]), "at the widest layer"),
        ("", "Memory, training", memory(found["training_bytes"]), "kept for the backward pass"),
        ("", "Activations", count(found["activations"]), f"{found['activations']:,}"),
    ]
    cells = "".join(
        f'<div class="{css}"><dt>{name}<small>{html.escape(note)}</small></dt><dd>{html.escape(value)}</dd></div>'
        for css, name, value, note in numbers
    )
    facts = {
        "Network": found["network"],
        "Weights": weights,
        "Input": shape(found["size"]),
        "Last map": DASH if last is None else f"{last['name'] or 'the output'}, {shape(last['shape'])}",
        "Unused parameters": f"{found['unused_parameters']:,}",
        "Outside layers": f"{found['loose_parameters']:,} parameters",
        "Device": found["device"],
        "Seed": str(found["seed"]),
    }
    return (
        f'<section class="card headline"><dl class="numbers">{cells}</dl>'
        f'<div class="measured"><h2>For one image</h2>{pairs(facts, "pairs")}</div></section>'
    )


def _of_batch(times: Sequence[Mapping[str, Any]]) -> str:
    return f"batch of {times[0]['batch']}" if times else "not measured"


def _kinds(found: Mapping[str, Any]) -> str:
    shares = found["shares"]
    bars = "".join(f"<dt>{_NAMES[cost]}</dt><dd>{_bar(shares, cost)}</dd>" for cost in _COSTS)
    head = "".join(f'<th scope="col">{name}</th>' for name in ("", "layers", *_NAMES.values(), "as standard"))
    rows = "".join(
        f'<tr><th scope="row"><span class="kind k-{html.escape(s["kind"])}">{html.escape(s["kind"])}</span></th>'
        f"<td>{s['layers']}</td>"
        + "".join(f"<td>{s[cost]:,}<small>{percent(s[f'of_{cost}'])}</small></td>" for cost in _COSTS)
        + f"<td>{s['standard_parameters']:,}</td></tr>"
        for s in shares
    )
    standard = sum(s["standard_parameters"] for s in shares)
    totals = "".join(f"<td>{found[cost]:,}</td>" for cost in _COSTS)
    total = f'<tr><th scope="row">all</th><td>{len(found["layers"])}</td>{totals}<td>{standard:,}</td></tr>'
    return (
        "<section><h2>Kinds of layers</h2>"
        '<p class="note">A convolution counts as the first kind that applies to it; “other” is all that is neither'
        " convolution nor product with a matrix, such as normalisation, activation and pooling.</p>"
        f'<div class="card"><div class="body"><dl class="bars">{bars}</dl></div><div class="body"><div class="wide">'
        f'<table class="kinds"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody><tfoot>{total}</tfoot></table></div>'
        f'<p class="say">{_saved(found["parameters"], standard)}</p></div></div></section>'
    )


def _bar(shares: Sequence[Mapping[str, Any]], cost: str) -> str:
    pieces = []
    for s in shares:
        part = s[f"of_{cost}"]
        if part > 0:
            kind, told = html.escape(s["kind"]), percent(part)
            label = f"{100 * part:.0f}%" if part >= _LABELLED else ""
            pieces.append(f'<i class="k-{kind}" style="flex:{part:.5f}" title="{kind} {told}">{label}</i>')
    return "".join(pieces)


def _saved(parameters: int, standard: int) -> str:
    if standard <= parameters:
        return "No convolution is grouped or factorised: as standard convolutions they would have as many parameters."
    return (
        f"With one group and a square kernel in every convolution the network would have {standard:,} parameters:"
        f" grouping and factorising save {standard - parameters:,} of them, {percent(1 - parameters / standard)}."
    )


def _sight(found: Mapping[str, Any]) -> str:
    effective, last = found["effective"], found["last_map"]
    if last is None:
        return ""
    field = last["field"]
    said = [f"The last map is {last['name'] or 'the output'}, {shape(last['shape'])}."]
    if field is not None and None not in field["jump"]:
        said.append(
            f"A unit sees {field_size(field).rstrip(' +')} pixels in theory, its neighbours"
            f" {shape([short(j) for j in field['jump']])} pixels further on."
        )
    if effective is not None:
        part = "" if effective["of_field"] is None else f", {percent(effective['of_field'])} of that field in the image"
        said.append(
            f"But 95% of what moves its centre unit come from {effective['pixels']:,} pixels:"
            f" {percent(effective['of_image'])} of the image{part}."
        )
    if first := _first_global(found["layers"]):
        said.append(f"From {first['name'] or 'its first layer'} on ({first['type']}), a unit sees the whole image too.")
    picture = "" if effective is None else effective_picture(effective, field, found["size"])
    return f'<section><h2>What a unit sees</h2><p class="note">{html.escape(" ".join(said))}</p>{picture}</section>'


def _first_global(layers: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The first layer of which a unit sees the whole image through a global step."""
    return next((x for x in layers if x["field"] is not None and x["field"]["global"]), None)


def _depth(found: Mapping[str, Any]) -> str:
    layers = found["layers"]
    if not layers:
        return ""
    at = np.arange(1, len(layers) + 1, dtype=np.float64)
    sizes = np.array([number(x["field"] and x["field"]["size"][0]) for x in layers])
    known = np.isfinite(sizes)
    # Of pictures the first axis of the map is their height.
    axis = "height" if len(found["size"]) == 3 else "first axis"
    lines = [Series("receptive field", at[known], np.maximum.accumulate(sizes[known]))]
    lines += [Series(f"image {axis}", at, np.full(len(at), float(found["size"][1])))]
    parts = []
    for cost in _COSTS:
        total = np.cumsum([x[cost] for x in layers], dtype=np.float64)
        parts.append(Series(_NAMES[cost], at, total / max(total[-1], 1)))
    charts = [
        line_chart(f"Largest receptive field so far, {axis} in pixels", lines, x_label="layer", y_format=short),
        line_chart("Share reached by this layer", parts, x_label="layer", y_format=percent, fraction=True),
    ]
    local = " The field is that of the local paths, without the steps that see the whole image."
    return (
        "<section><h2>Along the depth</h2>"
        '<p class="note">Layers in the order of their calls, numbered as in the table at the end. Where a share climbs'
        f" steeply, there most of it sits.{local if _first_global(layers) else ''}</p>"
        f'<div class="charts">{"".join(charts)}</div></section>'
    )


def _translation(found: Mapping[str, Any]) -> str:
    shifts = found["shifts"]
    if not shifts:
        return ""
    at = np.array([s["pixels"] for s in shifts], dtype=np.float64)
    names = {"embedding": "embedding", "map": "map, unit by unit", "moved": "map, moved along"}
    lines = [
        Series(name, at, np.minimum([number(s[key]) for s in shifts], 1.0))  # rounding may reach beyond 1
        for key, name in names.items()
    ]
    chart = line_chart(
        "Cosine similarity to the picture that was not moved",
        lines,
        x_label="shift in pixels",
        y_format=lambda value: f"{value:.3f}",
        fraction=True,
        x_ticks=[p for p in at if p == at[0] or p >= at.max() / 8],
    )
    return (
        f'<section><h2>A shifted picture</h2><p class="note">{html.escape(_seen(found))}</p>'
        f'<div class="charts one">{chart}</div></section>'
    )


def _seen(found: Mapping[str, Any]) -> str:
    """What the similarities say."""
    shifts, last = found["shifts"], found["last_map"]
    least = min(shifts, key=lambda s: s["embedding"])
    said = (
        f"The embedding's least similarity is {least['embedding']:.4f}, at {least['pixels']} pixels; that of the map,"
        f" compared unit by unit, is {min(s['map'] for s in shifts):.4f}. "
    )
    moved = [s for s in shifts if s["moved"] is not None]
    field = None if last is None else last["field"]
    jump = "" if field is None or field["jump"][-1] is None else f" ({short(field['jump'][-1])} pixels)"
    if not moved:
        return said + f"No shift here is a whole number of units of the map{jump}, so it cannot be moved along."
    told = ", ".join(f"{min(s['moved'], 1):.4f} at {s['pixels']} pixels" for s in moved)
    why = "" if min(s["moved"] for s in moved) > 0.9995 else (
        "; whole units pass the strides unharmed, so what is missing comes from the borders, where padding stands in"
        " for the picture, and from layers that know positions"
    )  # fmt: skip
    return said + f"Moved along by whole units{jump} it agrees to {told}{why}."


def _speed(found: Mapping[str, Any]) -> str:
    times = found["latency"]
    if not times:
        return ""
    names = ("batch", "ms a batch", "ms an image", "images a second")
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    rows = "".join(
        f'<tr><th scope="row">{t["batch"]}</th><td>{t["milliseconds"]:,.2f}</td>'
        f"<td>{t['milliseconds'] / t['batch']:,.2f}</td><td>{t['images_per_second']:,.1f}</td></tr>"
        for t in times
    )
    return (
        f'<section><h2>Latency</h2><p class="note">Median forward pass on {html.escape(found["device"])}.</p>'
        f'<div class="card body wide"><table class="kinds"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
        "</div></section>"
    )


def _notes(notes: Sequence[str]) -> str:
    items = "".join(f"<li>{html.escape(note)}</li>" for note in notes)
    return (
        f'<section><h2>Notes</h2><div class="card body"><ul class="notes">{items}</ul></div></section>' if items else ""
    )
