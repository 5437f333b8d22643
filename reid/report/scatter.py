"""A scatter plot with a name at every point, drawn as the line charts are: points in an SVG, labels as text."""

import html
import math
from collections.abc import Callable, Sequence

from reid.report.charts import ticks

Point = tuple[str, float, float]  # name, x, y
# Sizes in percent of a plot as narrow as a phone's, so that labels that keep apart there do so everywhere.
_LETTER, _LINE, _REACH = 2.3, 7.0, 3.5
# Where a name may go, best first: its side of the point and how far down.
_PLACES = (
    ("", 0.0), ("before", 0.0), ("over", -8.0), ("over", 8.0), ("", -4.0), ("", 4.0), ("before", -4.0), ("before", 4.0),
    ("over", -15.0), ("over", 15.0),
)  # fmt: skip


def scatter(
    title: str,
    points: Sequence[Point],
    *,
    x_label: str,
    x_format: Callable[[float], str],
    y_format: Callable[[float], str],
    log_y: bool,
) -> str:
    """A figure; ``x`` is on a logarithmic scale, ``y`` too if asked for. Texts are plain and escaped here.

    Points that are not finite, or not above 0 on a logarithmic scale, are left out; without any there is no figure.
    """
    kept = [p for p in points if all(map(math.isfinite, p[1:])) and p[1] > 0 and (p[2] > 0 or not log_y)]
    if not kept:
        return ""
    across, up = _log_ticks([p[1] for p in kept]), [p[2] for p in kept]
    rows = _log_ticks(up) if log_y else ticks(min(up), max(up), 4)

    def left(value: float) -> float:
        return _part(math.log(value), math.log(across[0]), math.log(across[-1]))

    def top(value: float) -> float:
        scale = math.log if log_y else float
        return 100 - _part(scale(value), scale(rows[0]), scale(rows[-1]))

    places = [(name, left(x), top(y)) for name, x, y in kept]
    grid = "".join(f"M0 {top(row):.2f}H100" for row in rows)
    spots = "".join(f"M{x:.2f} {y:.2f}h0" for _, x, y in places)
    texts = [f'<span class="y" style="top:{top(row):.2f}%">{html.escape(y_format(row))}</span>' for row in rows]
    texts += [f'<span class="x" style="left:{left(x):.2f}%">{html.escape(x_format(x))}</span>' for x in across]
    for (name, x, _), (side, y) in zip(places, labels(places), strict=True):
        texts.append(f'<span class="point {side}" style="left:{x:.2f}%;top:{y:.2f}%">{html.escape(name)}</span>')
    gutter = max(len(y_format(row)) for row in rows)
    return (
        f'<figure class="chart"><figcaption><h3>{html.escape(title)}</h3></figcaption>'
        f'<div class="plot points" style="--gutter:{gutter}ch">'
        f'<svg viewBox="0 0 100 100" preserveAspectRatio="none" role="img" aria-label="{html.escape(title)}">'
        f'<path class="grid" d="{grid}"/><path class="spot" d="{spots}"/></svg>{"".join(texts)}</div>'
        f'<p class="axis">{html.escape(x_label)}</p></figure>'
    )


def labels(places: Sequence[Point]) -> list[tuple[str, float]]:
    """Where each name goes: to the right of its point (""), "before" it or "over" it, and at what height.

    One after the other takes the first place where it hits no point and no name; without such, where it hits least.

    Args:
        places: names with the left and the top of their points, in percent.
    """
    # A box is left, right, middle.
    taken = [(x - 2.0, x + 2.0, y) for _, x, y in places]
    out = []
    for index, (name, x, y) in enumerate(places):
        wide = _LETTER * len(name)
        others = taken[:index] + taken[index + 1 :]
        starts = {"": x + _REACH, "before": x - _REACH - wide, "over": x - wide / 2}
        tried = []
        for order, (side, down) in enumerate(_PLACES):
            box = (starts[side], starts[side] + wide, y + down)
            hits = sum(b[0] < box[1] and box[0] < b[1] and abs(b[2] - box[2]) < _LINE for b in others)
            tried.append((hits + (box[0] < -5 or box[1] > 105), order, side, box))
        _, _, side, box = min(tried)
        taken.append(box)
        out.append((side, box[2]))
    return out


def _part(value: float, low: float, high: float) -> float:
    return 100 * (value - low) / (high - low)


def _log_ticks(values: Sequence[float]) -> list[float]:
    """1, 2 and 5 times powers of ten, or the powers alone, around positive ``values``.

    >>> [f"{t:g}" for t in _log_ticks([0.4e9, 4e9])], [f"{t:g}" for t in _log_ticks([2e6, 3e9])]
    (['2e+08', '5e+08', '1e+09', '2e+09', '5e+09'], ['1e+06', '1e+07', '1e+08', '1e+09', '1e+10'])
    """
    low, high = math.floor(math.log10(min(values))) - 1, math.ceil(math.log10(max(values))) + 1
    fine = [factor * 10.0**power for power in range(low, high + 1) for factor in (1, 2, 5)]
    steps = [s for s in fine if 0.4 * min(values) < s] if max(values) < 40 * min(values) else fine[::3]
    below = [s for s in steps if s <= min(values)] or steps[:1]
    above = [s for s in steps if s >= max(values) and s > below[-1]]
    return [s for s in steps if below[-1] <= s <= above[0]]
