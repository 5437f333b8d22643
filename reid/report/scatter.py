"""Scatter plots: a name at every point, or at those of a Pareto front."""

import html
import math
from collections.abc import Callable, Mapping, Sequence

from reid.report.charts import ticks
from reid.report.plot import plot

Point = tuple[str, float, float]  # name, x, y
Box = tuple[float, float, float]  # left, right, middle, in percent of the plot
# Sizes in percent of a plot as narrow as a phone's, so that labels that keep apart there do so everywhere.
_LETTER, _LINE, _REACH = 2.3, 7.0, 3.5
_OUTSIDE = 3  # points or names hit are better than a name that is cut
_NAMED = 12  # points that all may bear a name beside a front
# Where a name may go, best first: its side of the point and how far down.
_PLACES = (
    ("", 0.0), ("before", 0.0), ("over", -8.0), ("over", 8.0), ("", -4.0), ("", 4.0), ("before", -4.0), ("before", 4.0),
    ("", -8.0), ("", 8.0), ("before", -8.0), ("before", 8.0), ("over", -15.0), ("over", 15.0),
)  # fmt: skip


def scatter(
    title: str,
    points: Sequence[Point],
    *,
    x_label: str,
    x_format: Callable[[float], str],
    y_format: Callable[[float], str],
    log_y: bool,
    front: bool = False,
    shown: Mapping[str, str] | None = None,
) -> str:
    """A figure; ``x`` is on a logarithmic scale, ``y`` too if asked for. Texts are plain and escaped here.

    Points that are not finite, or not above 0 on a logarithmic scale, are left out; without any there is no figure.

    Args:
        front: draw the Pareto front of a cost ``x`` and a gain ``y``; of many points only its own then bear a name,
            the others tell theirs when they are pointed at.
        shown: what stands at a point in place of its name, which it still tells when it is pointed at.
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
    best = pareto_front([p[1:] for p in kept]) if front else list(range(len(kept)))
    drawing = _steps([places[i] for i in best]) if front else ""
    drawing += "".join(
        f'<path class="spot{"" if i in best else " other"}" data-name="{html.escape(name)}" d="M{x:.2f} {y:.2f}h0">'
        f"<title>{html.escape(name)}</title></path>"
        for i, (name, x, y) in sorted(enumerate(places), key=lambda one: one[0] in best)  # the front over the others
    )
    words = [(shown or {}).get(name, name) for name, _, _ in kept]
    named = [*best, *(i for i in range(len(kept)) if i not in best and len(kept) <= _NAMED)]
    obstacles = [_box(places[i]) for i in range(len(kept)) if i not in named]
    if front:  # the level parts of its steps
        ends = [*(places[i][1] for i in best[1:]), 100.0]
        obstacles += [(places[i][1], end, places[i][2]) for i, end in zip(best, ends, strict=True)]
    spans = [
        f'<span class="point {side}" style="left:{places[i][1]:.2f}%;top:{y:.2f}%">{html.escape(words[i])}</span>'
        for i, (side, y) in zip(named, labels([(words[i], *places[i][1:]) for i in named], obstacles), strict=True)
    ]
    return plot(
        title,
        drawing,
        rows=[(top(row), y_format(row)) for row in rows],
        across=[(left(x), x_format(x)) for x in across],
        x_label=x_label,
        names="".join(spans),
        css="plot points",
    )


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """The points (cost, gain) that no other beats: none gains as much for less, none gains more for as much.

    Returns:
        Their indices, the cheapest first; of equal points the first alone.

    >>> pareto_front([(2.0, 5.0), (1.0, 3.0), (3.0, 4.0), (4.0, 6.0), (2.0, 5.0)])
    [1, 0, 3]
    """
    found: list[int] = []
    for i in sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1])):
        if not found or points[i][1] > points[found[-1]][1]:
            found.append(i)
    return found


def _steps(places: Sequence[Point]) -> str:
    """What the front's points reach: level up to the cost of the next one."""
    (_, x, y), *rest = places
    path = f"M{x:.2f} {y:.2f}" + "".join(f"H{x:.2f}V{y:.2f}" for _, x, y in rest)
    return f'<path class="front" d="{path}H100"/>'


def labels(places: Sequence[Point], obstacles: Sequence[Box] = ()) -> list[tuple[str, float]]:
    """Where each name goes: to the right of its point (""), "before" it or "over" it, and at what height.

    One after the other takes the first place where it hits no point and no name; without such, where it hits least.

    Args:
        places: names with the left and the top of their points, in percent.
        obstacles: what else a name should not hit.
    """
    taken = [_box(place) for place in places]
    out = []
    for index, (name, x, y) in enumerate(places):
        wide = _LETTER * len(name)
        others = [*taken[:index], *taken[index + 1 :], *obstacles]
        starts = {"": x + _REACH, "before": x - _REACH - wide, "over": x - wide / 2}
        tried = []
        for order, (side, down) in enumerate(_PLACES):
            box = (starts[side], starts[side] + wide, y + down)
            hits = sum(b[0] < box[1] and box[0] < b[1] and abs(b[2] - box[2]) < _LINE for b in others)
            tried.append((hits + _OUTSIDE * (box[0] < -5 or box[1] > 105), order, side, box))
        _, _, side, box = min(tried)
        taken.append(box)
        out.append((side, box[2]))
    return out


def _box(place: Point) -> Box:
    """What a point takes up."""
    _, x, y = place
    return x - 2.0, x + 2.0, y


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
