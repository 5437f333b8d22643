"""What line charts and scatter plots are put in.

The drawing stretches with its box while strokes and labels do not: the SVG holds paths only, in percent of the plot,
and the labels are ordinary text placed around it. So one plot reads as well on a phone as on a wide screen.
"""

import html
from collections.abc import Sequence

Label = tuple[float, str]  # where, in percent of the plot, and what


def plot(
    title: str,
    drawing: str,
    *,
    rows: Sequence[Label],
    across: Sequence[Label],
    x_label: str,
    legend: str = "",
    names: str = "",
    css: str = "plot",
) -> str:
    """A figure with a line across the plot at each of ``rows``.

    Args:
        title, x_label, and the labels: plain text, escaped here.
        drawing: finished SVG.
        rows, across: labels of the axes, from the top and from the left.
        legend, names: finished HTML, of what stands above the plot and of what stands in it.
        css: classes of the plot.
    """
    title = html.escape(title)
    grid = "".join(f"M0 {top:.2f}H100" for top, _ in rows)
    labels = [f'<span class="y" style="top:{top:.2f}%">{html.escape(text)}</span>' for top, text in rows]
    labels += [f'<span class="x" style="left:{left:.2f}%">{html.escape(text)}</span>' for left, text in across]
    gutter = max(len(text) for _, text in rows)
    return (
        f'<figure class="chart"><figcaption><h3>{title}</h3>{legend}</figcaption>'
        f'<div class="{css}" style="--gutter:{gutter}ch">'
        f'<svg viewBox="0 0 100 100" preserveAspectRatio="none" role="img" aria-label="{title}">'
        f'<path class="grid" d="{grid}"/>{drawing}</svg>{"".join(labels)}{names}</div>'
        f'<p class="axis">{html.escape(x_label)}</p></figure>'
    )
