"""Several networks side by side: what they cost, what they see, and what they reached."""

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reid.report.anatomy_style import CSS
from reid.report.frame import page_frame
from reid.report.quantities import count, field_size, memory, shape
from reid.report.scatter import scatter
from reid.report.text import DASH, number, percent, short

SHIFT = 8  # pixels; a network that was not moved so far is taken at its largest shift
Network = Mapping[str, Any]
Accuracies = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Cell:
    """A cell as text; ``best`` marks the best of a column whose values may be compared."""

    text: str
    best: bool = False


def comparison_rows(networks: Sequence[Network], *, accuracy: Accuracies) -> list[dict[str, Cell]]:
    """One row a network, column to cell.

    A best cell is marked where lower or higher is plainly better and the values were made alike: costs at one image
    size, times also on one device, accuracies also on one data set by one protocol.

    Args:
        networks: each as ``Anatomy.to_dict`` gives it, with its ``backbone``.
        accuracy: backbone to ``Accuracy.to_dict`` of reid.runs.accuracies; who is not in it has a dash, and without
            any of the networks these columns are left out.
    """
    sizes, devices = {tuple(n["size"]) for n in networks}, {n["device"] for n in networks}
    alike, timed = len(sizes) == 1, len(sizes) == len(devices) == 1
    columns = {"network": [Cell(n["backbone"]) for n in networks]}
    if not alike:
        columns["input"] = [Cell(shape(n["size"])) for n in networks]
    for name, key, spell in (("parameters", "parameters", count), ("MACs", "macs", count)):
        columns[name] = _column([n[key] for n in networks], spell, -1 if alike else 0)
    columns["field"] = [Cell(field_size(n["last_map"] and n["last_map"]["field"])) for n in networks]
    columns["effective"] = _column([_effective(n) for n in networks], percent, 0)
    for name, key in (("training", "training_bytes"), ("inference", "inference_bytes")):
        columns[name] = _column([n[key] for n in networks], memory, -1 if alike else 0)
    for batch in _batches(networks):
        times = [per_image(n, batch) for n in networks]
        columns[f"ms/image at {batch}"] = _column(times, short, -1 if timed else 0)
    for pixels in _shifts(networks):
        kept = [_kept(n, pixels) for n in networks]
        columns[f"shift {pixels} px"] = _column(kept, _cosine, 1 if alike else 0)
    known = [accuracy.get(n["backbone"], {}) for n in networks]
    if any(known):
        stamps = protocols(networks, accuracy)
        same = len({(a["dataset"], tuple(a["image_size"]), a["protocol"]) for a in known if a}) == 1
        for name in ("mAP", "rank-1"):
            columns[name] = _column([a.get(name) for a in known], percent, 1 if same else 0)
        columns["trained on"] = [Cell(_trained(a, stamps)) for a in known]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def protocols(networks: Sequence[Network], accuracy: Accuracies) -> dict[str, str]:
    """Each protocol's stamp among the networks' accuracies, and the letter that stands for it in the rows."""
    stamps = dict.fromkeys(accuracy[n["backbone"]]["protocol"] for n in networks if n["backbone"] in accuracy)
    return {stamp: chr(ord("a") + index) for index, stamp in enumerate(stamps)}


def comparison_text(networks: Sequence[Network], *, accuracy: Accuracies) -> str:
    """The rows for the terminal; "*" marks the best of a column."""
    rows = comparison_rows(networks, accuracy=accuracy)
    if not rows:
        return ""
    lines = [list(rows[0]), *([c.text + "*" * c.best for c in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    left = [name in ("network", "trained on") for name in rows[0]]
    table = [
        "  ".join(
            c.ljust(w) if side else c.rjust(w) for c, w, side in zip(line, widths, left, strict=True)
        ).rstrip()
        for line in lines
    ]  # fmt: skip
    return "\n".join([*table, "", *_below(networks, accuracy)])


def comparison_markdown(networks: Sequence[Network], *, accuracy: Accuracies) -> str:
    """The rows as a Markdown table; the best of a column is bold."""
    rows = comparison_rows(networks, accuracy=accuracy)
    if not rows:
        return ""
    lines = [list(rows[0]), [":--" if name in ("network", "trained on") else "--:" for name in rows[0]]]
    for row in rows:
        lines.append([f"**{c.text}**" if c.best else c.text.replace("|", "\\|") for c in row.values()])
    table = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([*table, "", *(f"{line}  " for line in _below(networks, accuracy))]).rstrip()


def comparison_page(
    networks: Sequence[Network], *, accuracy: Accuracies, title: str = "Networks side by side"
) -> str:  # fmt: skip
    """The page as HTML; arguments as of ``comparison_rows``. All text is escaped here."""
    return page_frame(
        title,
        [
            f"<h1>{html.escape(title)}</h1>",
            _table(networks, accuracy),
            _costs(networks),
            _plots(networks, accuracy),
        ],
        css=CSS,
    )


def _table(networks: Sequence[Network], accuracy: Accuracies) -> str:
    rows = comparison_rows(networks, accuracy=accuracy)
    if not rows:
        return '<p class="empty">There is no network to compare.</p>'

    def css(name: str, best: bool = False) -> str:
        return ' class="best"' if best else ' class="text"' if name == "trained on" else ""

    head = "".join(f'<th scope="col"{css(name)}>{html.escape(name)}</th>' for name in rows[0])
    body = ""
    for row in rows:
        (_, first), *rest = row.items()
        cells = "".join(f"<td{css(name, cell.best)}>{html.escape(cell.text)}</td>" for name, cell in rest)
        body += f'<tr><th scope="row">{html.escape(first.text)}</th>{cells}</tr>'
    below = "<br>".join(map(html.escape, _below(networks, accuracy)))
    return (
        f'<section><div class="card body wide"><table class="kinds compared"><thead><tr>{head}</tr></thead>'
        f'<tbody>{body}</tbody></table></div><p class="note say">{below}</p></section>'
    )


def _costs(networks: Sequence[Network]) -> str:
    heights = [_field_height(n) for n in networks]
    tall = {n["size"][1] for n in networks}
    image = float(tall.pop()) if len(tall) == 1 else math.nan
    charts = [
        _bars("Parameters", networks, [n["parameters"] for n in networks], count),
        _bars("MACs", networks, [n["macs"] for n in networks], count),
        _bars("Receptive field of local paths, height in pixels", networks, heights, short, line=("the image", image)),
        _bars("Effective field, part of the image", networks, [_effective(n) for n in networks], percent),
        _bars("Kept in memory for training", networks, [number(n["training_bytes"]) for n in networks], memory),
    ]
    for batch in _batches(networks)[-1:]:
        times = [per_image(n, batch) for n in networks]
        charts.append(_bars(f"Milliseconds an image, batch of {batch}", networks, times, short))
    return f'<section><h2>Cost and sight</h2><div class="charts">{"".join(charts)}</div></section>'


def _bars(
    title: str,
    networks: Sequence[Network],
    values: Sequence[float],
    spell: Any,
    line: tuple[str, float] = ("", math.nan),
) -> str:
    """A bar a network, all from 0 to one scale; ``line`` is a value to compare them with."""
    finite = [v for v in (*values, line[1]) if math.isfinite(v)]
    most = max(finite, default=0.0) or 1.0
    mark = f'<u style="left:{100 * line[1] / most:.2f}%"></u>' if math.isfinite(line[1]) else ""
    rows = ""
    for n, v in zip(networks, values, strict=True):
        bar = f'<i style="width:{100 * v / most:.2f}%"></i>' if math.isfinite(v) else ""
        name, told = html.escape(n["backbone"]), html.escape(spell(v))
        rows += f"<div><dt>{name}</dt><span>{bar}{mark}</span><dd>{told}</dd></div>"
    below = f'<p class="axis">dashed: {html.escape(line[0])}, {spell(line[1])}</p>' if mark else ""
    return (
        f'<figure class="chart flat"><figcaption><h3>{html.escape(title)}</h3></figcaption>'
        f'<dl class="rows">{rows}</dl>{below}</figure>'
    )


def _plots(networks: Sequence[Network], accuracy: Accuracies) -> str:
    def plot(title: str, values: Mapping[str, float], spell: Any, log_y: bool) -> str:
        points = [(n["backbone"], float(n["macs"]), number(values.get(n["backbone"]))) for n in networks]
        return scatter(title, points, x_label="MACs", x_format=count, y_format=spell, log_y=log_y)

    charts = [plot("Parameters against MACs", {n["backbone"]: n["parameters"] for n in networks}, count, True)]
    groups: dict[str, dict[str, float]] = {}  # only what was measured alike is drawn together
    for name, a in accuracy.items():
        stamp = protocols(networks, accuracy).get(a["protocol"], "")
        group = f"mAP against MACs: {a['dataset']}, {shape(a['image_size'])}, protocol [{stamp}]"
        groups.setdefault(group, {})[name] = a["mAP"]
    charts += [plot(title, values, percent, False) for title, values in groups.items()]
    charts = [c for c in charts if c]
    layout = " one" if len(charts) == 1 else ""
    return f'<section><h2>Against the work</h2><div class="charts{layout}">{"".join(charts)}</div></section>'


def _below(networks: Sequence[Network], accuracy: Accuracies) -> list[str]:
    """What the columns mean and how their numbers were made."""
    sizes = dict.fromkeys(shape(n["size"]) for n in networks)
    devices = dict.fromkeys(n["device"] for n in networks)
    lines = [f"For one image of {' or '.join(sizes)}, timed on {' and '.join(devices)}."]
    lines += [
        'field: of the last map in pixels, "+" where it sees the whole image too',
        "effective: part of the image that holds 95% of what moves the map's centre",
        "training, inference: memory beside the weights; ms/image at a batch of that many",
        "shift: cosine similarity of the embeddings of a picture and of the same moved so far",
    ]
    return lines + [f"[{letter}] {stamp}" for stamp, letter in protocols(networks, accuracy).items()]


def _trained(a: Mapping[str, Any], stamps: Mapping[str, str]) -> str:
    if not a:
        return DASH
    epochs = f"{a['epochs']} epoch{'s' * (a['epochs'] != 1)}"
    return f"{a['dataset']}, {shape(a['image_size'])}, {epochs} [{stamps[a['protocol']]}]"


def _column(values: Sequence[Any], spell: Any, better: int) -> list[Cell]:
    """``better`` is 1 where higher is, -1 where lower is, 0 where nothing is to be marked."""
    numbers = [number(v) for v in values]
    told = [spell(n) for n in numbers]
    finite = [better * n for n in numbers if math.isfinite(n)]
    best = told[numbers.index(better * max(finite))] if better and finite else None
    plain = len({t for t in told if t != DASH}) < 2  # what reads the same is as good
    return [Cell(t, t == best and not plain) for t in told]


def _effective(network: Network) -> float:
    return number(network["effective"] and network["effective"]["of_image"])


def _field_height(network: Network) -> float:
    field = network["last_map"] and network["last_map"]["field"]
    return number(field and field["size"][0])


def _batches(networks: Sequence[Network]) -> list[int]:
    return sorted({t["batch"] for n in networks for t in n["latency"]})


def per_image(network: Network, batch: int) -> float:
    """Milliseconds an image in a batch of that size; NaN where that was not timed."""
    return next((t["milliseconds"] / batch for t in network["latency"] if t["batch"] == batch), math.nan)


def _shifts(networks: Sequence[Network]) -> list[int]:
    """The one shift that is shown: ``SHIFT``, else the largest that all have; none without."""
    common = set.intersection(*({s["pixels"] for s in n["shifts"]} for n in networks if n["shifts"])) if any(
        n["shifts"] for n in networks
    ) else set()  # fmt: skip
    return [SHIFT] if SHIFT in common else sorted(common)[-1:]


def _kept(network: Network, pixels: int) -> float:
    return next((s["embedding"] for s in network["shifts"] if s["pixels"] == pixels), math.nan)


def _cosine(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else DASH
