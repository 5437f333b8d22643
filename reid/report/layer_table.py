"""Every layer of a network in a table that opens on demand."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

from reid.report.quantities import field_size, shape
from reid.report.text import DASH, short

_TEXT = ("layer", "kind")


def layer_table(layers: Sequence[Mapping[str, Any]]) -> str:
    """A section; ``layers`` are as ``reid.anatomy.Layer.to_dict`` gives them."""
    if not layers:
        return ""
    rows = [_cells(index, layer) for index, layer in enumerate(layers, 1)]
    head = "".join(f'<th scope="col"{_css(name)}>{name}</th>' for name in rows[0])
    body = "".join(
        ('<tr class="differs">' if layer["differs"] else "<tr>")
        + "".join(f"<td{_css(name)}>{cell}</td>" for name, cell in row.items())
        + "</tr>"
        for row, layer in zip(rows, layers, strict=True)
    )
    wrong = sum(layer["differs"] for layer in layers)
    told = (
        "Every map has the size that the formula gives."
        if not wrong
        else f"{wrong} {'map has' if wrong == 1 else 'maps have'} another size than the formula gives (marked)."
    )
    return (
        '<section><h2>Layer by layer</h2><p class="note">Output = ⌊(n + 2p − d (k − 1) − 1) / s⌋ + 1 along each axis.'
        f' {told}</p><details class="card"><summary>Show all {len(layers)} layers</summary><div class="wide">'
        f'<table class="layers"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div></details></section>'
    )


def _css(name: str) -> str:
    return ' class="text"' if name in _TEXT else ""


def _cells(index: int, layer: Mapping[str, Any]) -> dict[str, str]:
    """Column to HTML."""
    window, field, expected = layer["window"], layer["field"], layer["expected"]
    kind, why = layer["type"], html.escape(layer["why"])
    settings = dict.fromkeys(("kernel", "stride", "pad", "dilation", "groups"), "")
    if window is not None:
        kind = " + ".join(window["flags"]) if window["in_channels"] is not None else f"{window['kind']} pool"
        settings = {
            "kernel": _by(window["kernel"]),
            "stride": _by(window["stride"]),
            "pad": "same" if window["same"] else _by([_padding(p) for p in window["padding"]]),
            "dilation": _by(window["dilation"]),
            "groups": str(window["groups"]),
        }
    formula = "" if expected is None else f"<b>≠ {shape(expected)}</b>" if layer["differs"] else f"= {shape(expected)}"
    jump = None if field is None else field["jump"]
    return {
        "#": str(index),
        "layer": html.escape(layer["name"] or "the network"),
        "kind": html.escape(kind),
        **settings,
        "input": ", ".join(shape(s) for s in layer["inputs"]),
        "output": shape(layer["output"]),
        "formula": formula,
        "parameters": f"{layer['parameters']:,}",
        "MACs": f"{layer['macs']:,}" if layer["macs"] else "",
        "activations": f"{layer['activations']:,}",
        "field": f'<span title="{why}">{field_size(field)}</span>',
        "jump": DASH if jump is None or None in jump else _by([short(j) for j in jump]),
    }


def _padding(sides: Sequence[int]) -> str:
    """
    >>> _padding((1, 1)), _padding((1, 2))
    ('1', '1+2')
    """
    return str(sides[0]) if len(set(sides)) == 1 else "+".join(map(str, sides))


def _by(numbers: Sequence[object]) -> str:
    """One number where all axes agree."""
    return str(numbers[0]) if len(set(numbers)) == 1 else shape(numbers)
