"""Line charts as inline SVG."""

import html
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from reid.report.plot import plot
from reid.report.text import short

COLOURS = 6  # the classes s0..s5 of the style sheet
_DOTS = 30
_TOOLTIPS = 400  # more strips than this would be thinner than a pixel and only make the page heavy


@dataclass(frozen=True)
class Series:
    """A named line: ``x`` and ``y`` are float arrays of one length [N]; a non-finite value is a gap in the line.

    A ``faint`` one is drawn thin and grey behind the others, without a name: what many lines are together.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    faint: bool = False


def ticks(low: float, high: float, target: int = 5, whole: bool = False) -> list[float]:
    """Round numbers that cover [low, high], about ``target`` of them, in steps of 1, 2, 2.5 or 5 times a power of ten.

    >>> ticks(0.0, 0.87, 4), ticks(1, 15, 5, whole=True)
    ([0.0, 0.25, 0.5, 0.75, 1.0], [0.0, 5.0, 10.0, 15.0])
    """
    if not high - low > 1e-12 * max(abs(low), abs(high), 1e-200):  # flat, or as good as
        low, high = (low - 1, high + 1) if whole else _around(low)
    raw = (high - low) / target
    magnitude = 10.0 ** math.floor(math.log10(raw))
    step = next((factor * magnitude for factor in (1, 2, 2.5, 5) if factor * magnitude >= raw * 0.999), 10 * magnitude)
    if whole:
        step = max(1.0, 2.0 if step == 2.5 else step)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 12 - math.floor(math.log10(step))) for index in range(first, last + 1)]


def _around(value: float) -> tuple[float, float]:
    """A range around a flat line: from zero up to a quarter above it."""
    if value == 0:
        return 0.0, 1.0
    return (0.0, 1.25 * value) if value > 0 else (1.25 * value, 0.0)


def line_chart(
    title: str,
    series: Sequence[Series],
    *,
    x_label: str,
    y_format: Callable[[float], str] = short,
    from_zero: bool = True,
    fraction: bool = False,
    x_ticks: Sequence[float] | None = None,
    legend: bool = True,
) -> str:
    """A figure with title, legend (each line's last value) and axes.

    Args:
        title, x_label: plain text, escaped here.
        series: lines; one point alone is a dot, no finite point at all is a sentence instead of a plot.
        y_format: spells the vertical labels, the legend's and the tooltips' values.
        from_zero: the vertical axis of non-negative values starts at 0.
        fraction: the values are at most 1, so the vertical axis is cut there.
        x_ticks: horizontal labels; round whole numbers if not given.
        legend: name the lines and give their last values.
    """
    kept = [(line, _usable(line)) for line in series]
    kept = [(line, usable) for line, usable in kept if usable.any()]
    if not kept:
        return (
            f'<figure class="chart"><figcaption><h3>{html.escape(title)}</h3></figcaption>'
            '<p class="empty">No values were recorded.</p></figure>'
        )
    xs = np.concatenate([line.x[usable] for line, usable in kept])
    ys = np.concatenate([line.y[usable] for line, usable in kept])
    x_low, x_high = float(xs.min()), float(xs.max())
    if x_low == x_high:
        x_low, x_high = x_low - 1, x_high + 1
    y_low = 0.0 if from_zero and ys.min() >= 0 else float(ys.min())
    y_ticks = ticks(y_low, float(ys.max()), 4)
    if fraction and ys.max() <= 1:
        y_ticks = [value for value in y_ticks if value <= 1]  # every step of ticks() divides 1: the last label is there
    across = [value for value in (x_ticks or ticks(x_low, x_high, 6, whole=True)) if x_low <= value <= x_high]

    def left(value: float) -> float:
        return 100 * (value - x_low) / (x_high - x_low)

    def top(value: float) -> float:
        return 100 * (y_ticks[-1] - value) / (y_ticks[-1] - y_ticks[0])

    drawing = "".join(
        f'<path class="faint" data-name="{html.escape(line.name)}" d="{_path(line, usable, left, top)}"/>'
        for line, usable in kept
        if line.faint
    )
    kept = [one for one in kept if not one[0].faint]
    drawing += "".join(
        f'<g data-name="{html.escape(line.name)}">'
        f'<path class="line s{index % COLOURS}" d="{_path(line, usable, left, top)}"/>'
        f'<path class="dot s{index % COLOURS}" d="{_dots(line, usable, left, top)}"/></g>'
        for index, (line, usable) in enumerate(kept)
    )
    names = "".join(
        f'<li class="s{index % COLOURS}">{html.escape(line.name)} <b>{html.escape(y_format(float(line.y[usable][-1])))}'
        "</b></li>"
        for index, (line, usable) in enumerate(kept)
    )
    return plot(
        title,
        f"{drawing}{_tooltips(kept, left, x_label, y_format)}",
        rows=[(top(value), y_format(value)) for value in y_ticks],
        across=[(left(value), short(value)) for value in across],
        x_label=x_label,
        legend=f'<ul class="legend">{names}</ul>' if legend else "",
    )


def _usable(line: Series) -> np.ndarray:
    """Where both coordinates can be drawn; the bound keeps the range of a diverged loss from overflowing."""
    return (np.abs(line.x) < 1e300) & (np.abs(line.y) < 1e300)


def _path(line: Series, usable: np.ndarray, left: Callable[[float], float], top: Callable[[float], float]) -> str:
    """Path data with a new stroke after each gap; a lone point has length 0: a round cap makes it a dot."""
    parts = []
    for index in np.flatnonzero(usable):
        joined = index > 0 and usable[index - 1]
        follows = index + 1 < len(usable) and usable[index + 1]
        point = f"{left(line.x[index]):.2f} {top(line.y[index]):.2f}"
        parts.append(f"L{point}" if joined else f"M{point}" if follows else f"M{point}h0")
    return "".join(parts)


def _dots(line: Series, usable: np.ndarray, left: Callable[[float], float], top: Callable[[float], float]) -> str:
    """Path data with a dot on each point while they are few enough to be told apart."""
    points = np.flatnonzero(usable)
    shown = points if len(points) <= _DOTS else points[:0]
    return "".join(f"M{left(line.x[point]):.2f} {top(line.y[point]):.2f}h0" for point in shown)


def _tooltips(
    kept: Sequence[tuple[Series, np.ndarray]],
    left: Callable[[float], float],
    x_label: str,
    y_format: Callable[[float], str],
) -> str:
    """Invisible upright strips, one for each x, whose title (shown on hover, no script) lists every line's value."""
    at: dict[float, list[str]] = {}
    for line, usable in kept:
        for x, y in zip(line.x[usable], line.y[usable], strict=True):
            at.setdefault(float(x), []).append(f"{line.name}  {y_format(y)}")
    if len(at) > _TOOLTIPS:
        return ""
    xs = sorted(at)
    middles = [(left(a) + left(b)) / 2 for a, b in pairwise(xs)]
    strips = []
    for x, start, end in zip(xs, [0.0, *middles], [*middles, 100.0], strict=True):
        title = html.escape("\n".join([f"{x_label} {short(x)}", *at[x]]))
        strips.append(
            f'<rect class="strip" x="{start:.2f}" y="0" width="{end - start:.2f}" height="100">'
            f"<title>{title}</title></rect>"
        )
    return "".join(strips)
