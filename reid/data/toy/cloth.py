"""From a label image to a picture: colours, fabric patterns, seams and rounding shade."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

from reid.data.toy.brush import BOTTOM, CENTRE, FAR, FEET, HEIGHT, TALL, TOP, WIDTH, Body
from reid.data.toy.people import Cloth, Person

_X = ((np.arange(WIDTH, dtype=np.float32) + 0.5 - CENTRE) / TALL)[None, :]
_Y = ((np.arange(HEIGHT, dtype=np.float32) + 0.5 - FEET) / TALL + 1)[:, None]


def pattern_mask(cloth: Cloth, u: np.ndarray, v: np.ndarray, top: float, bottom: float) -> np.ndarray | None:
    """Where a cloth shows its second colour; `u` [1, W] across and `v` [H, 1] down, in body heights; None for solid."""
    p, t = cloth.period, (v - top) / (bottom - top)
    across, down = u / p, v / p
    a, d = across % 1, down % 1
    match cloth.pattern:
        case "hstripes":
            return d < 0.5
        case "vstripes":
            return a < 0.5
        case "checks":
            return (a < 0.5) ^ (d < 0.5)
        case "grid":
            return (a < 0.3) | (d < 0.3)
        case "dots":
            shifted = (across + 0.5 * (np.floor(down) % 2)) % 1
            return (shifted - 0.5) ** 2 + (d - 0.5) ** 2 < 0.11
        case "diagonal":
            return (across + down) % 1 < 0.5
        case "zigzag":
            return (down + np.abs(a - 0.5) * 1.2) % 1 < 0.5
        case "band":
            return (t > 0.3) & (t < 0.6)
        case "half":
            return t > 0.5
        case "yoke":
            return t < 0.27
        case "hem":
            return t > 0.78
        case "panel":
            return np.abs(u) < 0.04 + 0 * v
        case "sash":
            return np.abs(u * 3 + t - 0.5) < 0.17
        case "logo":
            return (np.abs(u) < 0.055) & (t > 0.2) & (t < 0.58)
    return None


def dye(drawn: Image.Image, person: Person, body: Body, hem: float) -> Image.Image:
    """Look materials up in the person's colours, lay patterns over cloth, darken seams and the rim of the body."""
    left, upper, right, lower = drawn.getbbox() or (0, 0, WIDTH, HEIGHT)
    labels = np.asarray(drawn)[upper:lower, left:right]
    top, bottom = person.top_cloth, person.bottom_cloth
    table = np.zeros((32, 3), np.uint8)
    plain = (None, person.skin, person.hair_colour, top.colours[0], person.inner, bottom.colours[0], person.shoe_colour)
    rest = (person.sock_colour, person.hat_colour, *person.bag_colours, person.scarf, (24, 22, 24), (120, 122, 126))
    for material, colour in enumerate(plain + rest):
        if colour is not None:
            table[material] = colour
            table[material + FAR] = [int(0.72 * c) for c in colour]
    rgb = table[labels]
    u = _X[:, left:right] / body.girth + 0.05 * body.side  # a turn of the body carries the pattern round
    spans = ((TOP, top, body.shoulder, hem), (BOTTOM, bottom, body.hip, 0.97))
    for material, cloth, start, end in spans:
        mask = pattern_mask(cloth, u, _Y[upper:lower], start, end)
        if mask is not None:
            second = np.asarray(cloth.colours[1], np.float32)
            rgb[mask & (labels == material)] = second.astype(np.uint8)
            rgb[mask & (labels == material + FAR)] = (0.72 * second).astype(np.uint8)
    seam = np.zeros(labels.shape, bool)
    seam[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    seam[1:] |= labels[1:] != labels[:-1]
    alpha = drawn.point([0] + 255 * [255])
    rim = np.asarray(alpha.filter(ImageFilter.BoxBlur(7)))[upper:lower, left:right]
    inside = rim.astype(np.float32) * np.float32(0.42 / 255) + np.float32(0.57)
    inside[seam] *= np.float32(0.8)
    picture = Image.new("RGBA", (WIDTH, HEIGHT))
    picture.paste(Image.fromarray((rgb * inside[:, :, None]).astype(np.uint8)), (left, upper))
    picture.putalpha(alpha)
    return picture
