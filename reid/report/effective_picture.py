"""The effective receptive field as a picture: how much each pixel counts, and the boxes of theory and effect."""

import base64
import html
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from reid.report.quantities import shape

HELD = 0.95
_LONGEST = 256  # pixels of the picture; a larger map is averaged in blocks
# From nothing to the strongest pixel; each is lighter than the one before, so it also reads in grey.
SCALE = ((13, 15, 38), (68, 28, 116), (168, 46, 112), (240, 118, 58), (255, 240, 184))
_LEGEND = ("0", "6%", "25%", "56%", "100%")  # squares of the places along the scale
Box = tuple[float, float, float, float]  # left, top, width, height in pixels of the image


def effective_picture(effective: Mapping[str, Any], field: Mapping[str, Any] | None, size: Sequence[int]) -> str:
    """A figure for a network that takes pictures of ``size`` (C, H, W); an empty string for signals and volumes.

    Args:
        effective: as ``Effective.to_dict`` gives it; its map is [H, W] and sums to 1.
        field: that of the last map, or None.
    """
    if len(size) != 3:
        return ""
    shares, (height, width) = np.asarray(effective["map"], dtype=np.float64), size[1:]
    box, seen = theory_box(field, effective["unit"], height, width), effect_box(shares)
    lines = "" if box is None else _rect(_inside(box, height, width), "theory")
    told = f"Effective receptive field: {100 * effective['of_image']:.1f}% of the image hold 95% of the effect"
    small = " small" if max(height, width) < 100 else ""
    marks = "".join(f"<span>{mark}</span>" for mark in _LEGEND)
    keys = {
        "theory": "" if box is None else f"theoretical field, {shape([f'{box[3]:g}', f'{box[2]:g}'])}",
        "effect": f"rows and columns with 95% of the effect, {shape([int(seen[3]), int(seen[2])])}",
    }
    legend = "".join(f'<li class="{css}">{text}</li>' for css, text in keys.items() if text)
    return (
        f'<figure class="chart sight"><div class="map{small}" style="aspect-ratio:{width}/{height};--wide:{width};'
        f'--high:{height}">'
        f'<img alt="{html.escape(told)}" src="{_png(shares)}">'
        f'<svg viewBox="0 0 {width} {height}" preserveAspectRatio="none" aria-hidden="true">{lines}'
        f"{_rect(seen, 'effect')}</svg></div>"
        f'<div class="key"><h3>How much each pixel moves the centre of the last map</h3>'
        f'<div class="scale"><i style="background:linear-gradient(90deg,{_gradient()})"></i><p>{marks}</p>'
        "<small>of the strongest pixel, square-root scale</small></div>"
        f'<ul class="boxes">{legend}</ul>{_sketch(box, seen, height, width)}</div></figure>'
    )


def theory_box(field: Mapping[str, Any] | None, unit: Sequence[int], height: int, width: int) -> Box | None:
    """The theoretical field of ``unit``, which may reach beyond the image; None where no local field is known."""
    if field is None or None in (*field["size"], *field["jump"], *field["start"]):
        return None
    ends = []
    for extent, jump, start, place in zip(field["size"], field["jump"], field["start"], unit, strict=True):
        ends.append((start + place * jump - (extent - 1) / 2, float(extent)))
    (top, rows), (left, columns) = ends
    return left, top, columns, rows


def effect_box(shares: np.ndarray) -> Box:
    """The fewest neighbouring rows that hold 95 % of ``shares`` [H, W], and the fewest such columns."""
    (top, rows), (left, columns) = _shortest(shares.sum(1)), _shortest(shares.sum(0))
    return float(left), float(top), float(columns), float(rows)


def _shortest(line: np.ndarray) -> tuple[int, int]:
    """First place and length of the shortest stretch that holds ``HELD`` of the sum; of equals that which holds most"""
    total = np.concatenate([[0.0], line.cumsum()])
    needed = HELD * total[-1] - 1e-12
    for length in range(1, len(line)):
        held = total[length:] - total[:-length]
        if held.max() >= needed:
            return int(held.argmax()), length
    return 0, len(line)


def _png(shares: np.ndarray) -> str:
    """A data URI with one colour of 64 for each pixel."""
    block = -(-max(shares.shape) // _LONGEST)
    if block > 1:
        high, wide = (-(-n // block) for n in shares.shape)
        padded = np.pad(shares, ((0, high * block - shares.shape[0]), (0, wide * block - shares.shape[1])))
        shares = padded.reshape(high, block, wide, block).mean((1, 3))
    places = np.sqrt(shares / max(shares.max(), 1e-300))
    picture = Image.fromarray(np.round(63 * places).astype(np.uint8), mode="P")
    picture.putpalette([channel for place in range(64) for channel in colour(place / 63)])
    out = io.BytesIO()
    picture.save(out, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"


def colour(place: float) -> tuple[int, int, int]:
    """The colour at 0..1 along ``SCALE``."""
    stops = np.linspace(0, 1, len(SCALE))
    r, g, b = (round(float(np.interp(place, stops, channel))) for channel in zip(*SCALE, strict=True))
    return r, g, b


def _gradient() -> str:
    return ",".join("#{:02x}{:02x}{:02x}".format(*stop) for stop in SCALE)


def _inside(box: Box, height: int, width: int) -> Box:
    left, top = max(box[0], 0.0), max(box[1], 0.0)
    right, bottom = min(box[0] + box[2], width), min(box[1] + box[3], height)
    return left, top, max(right - left, 0.0), max(bottom - top, 0.0)


def _rect(box: Box, css: str) -> str:
    left, top, width, height = (f"{n:g}" for n in box)
    return f'<rect class="{css}" x="{left}" y="{top}" width="{width}" height="{height}"/>'


def _sketch(box: Box | None, seen: Box, height: int, width: int) -> str:
    """Input and boxes to one scale: the only place where a field that is larger than the image shows its size."""
    image = (0.0, 0.0, float(width), float(height))
    boxes = [image, *([] if box is None else [box])]
    left, top = min(b[0] for b in boxes), min(b[1] for b in boxes)
    wide, high = max(b[0] + b[2] for b in boxes) - left, max(b[1] + b[3] for b in boxes) - top
    edge = 0.02 * max(wide, high)
    view = f"{left - edge:g} {top - edge:g} {wide + 2 * edge:g} {high + 2 * edge:g}"
    return (
        f'<div class="sketch"><svg viewBox="{view}" preserveAspectRatio="xMinYMid" role="img"'
        ' aria-label="Input and fields to scale">'
        f"{_rect(image, 'input')}{_rect(seen, 'effect')}{'' if box is None else _rect(box, 'theory')}</svg>"
        "<small>to scale: the grey area is the input</small></div>"
    )
