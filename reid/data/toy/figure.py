"""Draw one person in one pose: a picture with transparency, at twice the final resolution.

Parts are painted back to front as material numbers on a label image; one table look-up then turns labels into colours.
That keeps a figure under two milliseconds, and lets a fabric's pattern run across torso, sleeves and skirt.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from reid.data.toy.people import Cloth, Person

WIDTH, HEIGHT = 240, 400  # canvas, pixels; the final crop takes about 160 x 320 of it
CENTRE, FEET, TALL = 120.0, 364.0, 292.0  # body axis, ground line and body height on the canvas, pixels

(EMPTY, SKIN, HAIR, TOP, INNER, BOTTOM, SHOE, SOCK, HAT, BAG, BAG2, SCARF, INK, METAL) = range(14)
FAR = 16  # added to a material on the far side of the body: same cloth, less light

_X = ((np.arange(WIDTH, dtype=np.float32) + 0.5 - CENTRE) / TALL)[None, :]
_Y = ((np.arange(HEIGHT, dtype=np.float32) + 0.5 - FEET) / TALL + 1)[:, None]
Point = tuple[float, float]


@dataclass(frozen=True)
class Pose:
    """`yaw` in radians (0 faces the camera, pi turns the back), `phase` of the walk in radians, `tilt` 0..1 looks down."""

    yaw: float
    phase: float
    tilt: float


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


class _Brush:
    """Paints materials on the label image, in body coordinates: x from the body axis, y from crown 0 to sole 1."""

    def __init__(self) -> None:
        self.labels = Image.new("L", (WIDTH, HEIGHT))
        self._draw = ImageDraw.Draw(self.labels)

    @staticmethod
    def _at(x: float, y: float) -> Point:
        return CENTRE + x * TALL, FEET + (y - 1) * TALL

    def polygon(self, material: int, *points: Point) -> None:
        self._draw.polygon([self._at(*p) for p in points], fill=material)

    def ellipse(self, material: int, x: float, y: float, rx: float, ry: float) -> None:
        self._draw.ellipse([self._at(x - rx, y - ry), self._at(x + rx, y + ry)], fill=material)

    def top_half(self, material: int, x: float, y: float, rx: float, ry: float) -> None:
        self._draw.pieslice([self._at(x - rx, y - ry), self._at(x + rx, y + ry)], 180, 360, fill=material)

    def box(self, material: int, x0: float, y0: float, x1: float, y1: float, radius: float = 0.01) -> None:
        corners = [self._at(min(x0, x1), min(y0, y1)), self._at(max(x0, x1), max(y0, y1))]
        self._draw.rounded_rectangle(corners, radius * TALL, fill=material)

    def line(self, material: int, start: Point, end: Point, width: float) -> None:
        self._draw.line([self._at(*start), self._at(*end)], fill=material, width=max(1, round(width * TALL)))

    def limb(self, material: int, start: Point, end: Point, w0: float, w1: float) -> None:
        """A tapered stroke with round ends; `w0` and `w1` are half widths."""
        dx, dy = end[0] - start[0], end[1] - start[1]
        norm = math.hypot(dx, dy) or 1.0
        nx, ny = -dy / norm, dx / norm
        (x0, y0), (x1, y1) = start, end
        self.polygon(
            material,
            (x0 + nx * w0, y0 + ny * w0),
            (x1 + nx * w1, y1 + ny * w1),
            (x1 - nx * w1, y1 - ny * w1),
            (x0 - nx * w0, y0 - ny * w0),
        )
        self.ellipse(material, x0, y0, w0, w0)
        self.ellipse(material, x1, y1, w1, w1)


@dataclass(frozen=True)
class _Body:
    """Measurements of one person in one pose; x in screen direction, y down."""

    front: float  # cosine of yaw: 1 front view, -1 back view
    side: float  # sine of yaw: which way the person faces on screen
    girth: float  # factor on widths: a body is narrower from the side
    neck: float
    shoulder: float
    hip: float
    shoulder_w: float
    hip_w: float
    swing: float


def _measure(person: Person, pose: Pose) -> _Body:
    front, side = math.cos(pose.yaw), math.sin(pose.yaw)
    girth = person.build * (0.68 + 0.32 * abs(front))
    neck = person.head * (1 + 0.12 * pose.tilt)
    return _Body(
        front=front,
        side=side,
        girth=girth,
        neck=neck,
        shoulder=neck + 0.012,
        hip=1 - person.legs * (1 - 0.1 * pose.tilt),
        shoulder_w=0.108 * person.shoulders * girth,
        hip_w=0.092 * person.hips * girth,
        swing=math.sin(pose.phase),
    )


def _legs(brush: _Brush, person: Person, body: _Body) -> None:
    span = 1 - body.hip
    for far, sign in ((True, 1), (False, -1)):
        shade = FAR if far and abs(body.side) > 0.35 else 0
        step = sign * body.swing
        stride = 0.13 * step * body.side
        hip = (sign * 0.5 * body.hip_w * abs(body.front), body.hip - 0.005)
        lift = 0.035 * max(0.0, step) * abs(body.front)
        knee = (hip[0] + 0.55 * stride + 0.02 * body.side, body.hip + 0.5 * span - 0.5 * lift)
        ankle = (hip[0] + stride - 0.02 * body.side * (step < 0), 0.965 - lift)
        thick = 0.045 * person.build
        brush.limb(SKIN + shade, hip, knee, thick, 0.75 * thick)
        brush.limb(SKIN + shade, knee, ankle, 0.75 * thick, 0.5 * thick)
        if person.footwear != "shoes":
            material = SHOE if person.footwear == "boots" else SOCK
            mid = (0.35 * knee[0] + 0.65 * ankle[0], 0.35 * knee[1] + 0.65 * ankle[1])
            brush.limb(material + shade, mid, ankle, 0.82 * thick, 0.62 * thick)
        toe = (ankle[0] + 0.045 * body.side + sign * 0.012 * abs(body.front), ankle[1] + 0.018)
        brush.limb(SHOE + shade, (ankle[0], ankle[1] + 0.012), toe, 0.026, 0.021)
        width = {"slim": 1.05, "wide": 1.35, "shorts": 1.3, "breeches": 1.1}.get(person.bottom)
        if width is None:
            continue
        brush.limb(BOTTOM + shade, hip, knee, 1.1 * thick, (width - 0.15) * thick)
        if person.bottom in ("slim", "wide"):
            cuff = 0.62 if person.bottom == "slim" else 1.5
            brush.limb(BOTTOM + shade, knee, ankle, (width - 0.2) * thick, cuff * thick)
        elif person.bottom == "breeches":
            mid = (0.5 * (knee[0] + ankle[0]), 0.5 * (knee[1] + ankle[1]))
            brush.limb(BOTTOM + shade, knee, mid, 0.95 * thick, 0.85 * thick)
    if person.bottom in ("skirt", "long skirt"):
        length, flare = (0.5, 1.35) if person.bottom == "skirt" else (0.84, 1.45)
        sway = 0.02 * body.swing * body.side
        low, w = body.hip + length * span, body.hip_w
        brush.polygon(
            BOTTOM, (-w, body.hip - 0.03), (w, body.hip - 0.03), (w * flare + sway, low), (-w * flare + sway, low)
        )


def _arm(brush: _Brush, person: Person, body: _Body, sign: int, shade: int) -> None:
    swing = -sign * body.swing
    x = sign * (body.shoulder_w - 0.016) * abs(body.front)
    shoulder, length = (x, body.shoulder + 0.035), body.hip - body.shoulder
    elbow = (x + sign * 0.03 * abs(body.front) + 0.05 * swing * body.side, shoulder[1] + 0.5 * length)
    hand = (elbow[0] + (0.075 * swing + 0.03) * body.side, elbow[1] + 0.45 * length - 0.02 * abs(swing))
    thick = 0.03 * person.build**0.5
    brush.limb(SKIN + shade, shoulder, elbow, thick, 0.85 * thick)
    brush.limb(SKIN + shade, elbow, hand, 0.85 * thick, 0.65 * thick)
    brush.ellipse(SKIN + shade, hand[0], hand[1] + 0.012, 0.02, 0.022)
    sleeve = {"tank": EMPTY, "poncho": EMPTY, "vest": INNER}.get(person.top, TOP)
    if sleeve == EMPTY:
        return
    if person.top == "tee" or person.top == "dress":
        mid = (0.4 * shoulder[0] + 0.6 * elbow[0], 0.4 * shoulder[1] + 0.6 * elbow[1])
        brush.limb(sleeve + shade, shoulder, mid, 1.3 * thick, 1.25 * thick)
        return
    puff = 1.35 if person.top in ("coat", "jacket") else 1.15
    brush.limb(sleeve + shade, shoulder, elbow, puff * thick, puff * thick)
    brush.limb(sleeve + shade, elbow, hand, puff * thick, 0.95 * puff * thick)


def _torso(brush: _Brush, person: Person, body: _Body) -> float:
    """Paint the upper garment and return the height of its hem."""
    s, w, y0 = body.shoulder_w, body.hip_w, body.shoulder
    waist_y, waist = 0.45 * y0 + 0.55 * body.hip, 0.5 * (s + w) * 0.9
    span = 1 - body.hip
    hem = body.hip + person.hem
    flare = w * 1.06
    if person.top in ("coat", "dress"):
        hem, flare = body.hip + (0.52 if person.top == "coat" else 0.42) * span, w * 1.35
    brush.limb(SKIN, (0.0, body.neck - 0.03), (0.0, y0 + 0.02), 0.026, 0.03)
    outline = [(-s, y0 + 0.02), (-s * 0.6, y0), (s * 0.6, y0), (s, y0 + 0.02), (waist, waist_y)]
    outline += [(w, body.hip), (flare, hem), (-flare, hem), (-w, body.hip), (-waist, waist_y)]
    brush.polygon(TOP, *outline)
    if person.top in ("jacket", "coat", "vest") and body.front > -0.25:
        shift, gap = 0.55 * s * body.side, 0.3 * s * max(0.35, body.front)
        low = hem if person.top != "coat" else hem - 0.03
        brush.polygon(INNER, (shift - gap, y0), (shift + gap, y0), (shift + 0.75 * gap, low), (shift - 0.75 * gap, low))
    elif person.top == "tank":
        for sign in (-1, 1):
            brush.polygon(SKIN, (sign * s * 1.05, y0), (sign * s * 0.62, y0), (sign * s * 0.95, y0 + 0.11))
    elif person.top == "hoodie" and body.front < 0.4:
        brush.ellipse(TOP + FAR, -0.5 * s * body.side, y0 + 0.035, 0.55 * s, 0.045)
    return hem


def _head(brush: _Brush, person: Person, body: _Body) -> None:
    h = body.neck
    ry, rx = 0.5 * h, 0.4 * h
    y, x = 0.5 * h, 0.015 * body.side
    back = -body.side * rx  # where the back of the head is, on screen
    style, crown = person.hair, HAIR
    if style == "bob":
        brush.box(HAIR, x - 1.15 * rx + 0.2 * back, 0.3 * h, x + 1.15 * rx + 0.2 * back, 1.02 * h, 0.015)
    elif style == "long":
        brush.box(HAIR, x - 1.1 * rx + 0.35 * back, 0.3 * h, x + 1.1 * rx + 0.35 * back, 1.65 * h, 0.02)
    elif style == "afro":
        brush.ellipse(HAIR, x + 0.1 * back, 0.4 * h, 1.55 * rx, 1.15 * ry)
    elif style == "bun":
        brush.ellipse(HAIR, x + 0.5 * back, 0.02 * h, 0.6 * rx, 0.5 * rx)
    if style == "bald":
        crown = SKIN
    brush.ellipse(SKIN, x, y, rx, ry)
    brush.ellipse(crown, x, y - 0.02 * h, 1.06 * rx, 1.02 * ry)
    if body.front > -0.45:
        look = x + 0.42 * rx * body.side
        brush.ellipse(SKIN, look, y + 0.12 * h, (0.62 + 0.26 * max(0.0, body.front)) * rx, 0.78 * ry)
        for eye in (-0.34, 0.34) if body.front > 0.35 else (0.25 * math.copysign(1, body.side),):
            brush.ellipse(INK, look + eye * rx * 1.05, y + 0.04 * h, 0.007, 0.009)
    if style == "ponytail":
        brush.limb(HAIR, (x + 1.1 * back, 0.35 * h), (x + 1.6 * back, 1.25 * h), 0.028, 0.016)
    elif style == "mohawk":
        brush.box(HAIR, x - (0.22 + 0.6 * abs(body.side)) * rx, -0.16 * h, x + (0.22 + 0.6 * abs(body.side)) * rx, 0.2 * h)
    _hat(brush, person.hat, x, h, rx, body)


def _hat(brush: _Brush, hat: str, x: float, h: float, rx: float, body: _Body) -> None:
    if hat in ("cap", "beanie"):
        brush.top_half(HAT, x, 0.34 * h, 1.2 * rx, 0.4 * h)
    if hat == "cap" and body.front > -0.6:
        reach = 1.5 * rx * body.side
        brush.box(HAT + FAR, x - 0.85 * rx + min(0, reach), 0.29 * h, x + 0.85 * rx + max(0, reach), 0.39 * h)
    elif hat == "beanie":
        brush.box(HAT, x - 1.22 * rx, 0.24 * h, x + 1.22 * rx, 0.4 * h)
        brush.ellipse(HAT + FAR, x, -0.08 * h, 0.4 * rx, 0.4 * rx)
    elif hat in ("brim", "tophat"):
        high = -0.12 if hat == "brim" else -0.32
        brush.box(HAT, x - 0.92 * rx, high * h, x + 0.92 * rx, 0.3 * h, 0.012)
        brush.box(HAT + FAR, x - 0.95 * rx, 0.16 * h, x + 0.95 * rx, 0.26 * h, 0.0)
        reach = 2.0 if hat == "brim" else 1.45
        brush.ellipse(HAT, x, 0.29 * h, reach * rx, 0.07 * h)


def _behind(brush: _Brush, person: Person, body: _Body) -> None:
    """What hangs on the back, when the body hides part of it."""
    x = -body.side * (body.shoulder_w + 0.03)
    if person.carried == "backpack":
        w = 0.055 + 0.06 * abs(body.front)
        brush.box(BAG, x - w, body.shoulder + 0.0, x + w, body.shoulder + 0.26, 0.03)
    elif person.carried == "case":
        brush.limb(BAG, (x + 0.06, 0.02), (x - 0.06, body.hip + 0.08), 0.035, 0.08)


def _on_back(brush: _Brush, person: Person, body: _Body) -> None:
    """What hangs on the back, seen from behind; its straps, seen from the front."""
    if person.carried not in ("backpack", "case"):
        return
    if body.front < -0.3:
        x = -0.4 * body.side * body.shoulder_w
        if person.carried == "backpack":
            w = 0.098 * abs(body.front) + 0.01
            brush.box(BAG, x - w, body.shoulder + 0.005, x + w, body.shoulder + 0.26, 0.035)
            brush.box(BAG2, x - 0.7 * w, body.shoulder + 0.14, x + 0.7 * w, body.shoulder + 0.235, 0.02)
        else:
            brush.limb(BAG, (x + 0.06, 0.02), (x - 0.06, body.hip + 0.08), 0.035, 0.08)
            brush.limb(BAG2, (x - 0.055, body.hip + 0.07), (x - 0.05, body.hip + 0.05), 0.035, 0.035)
    elif person.carried == "backpack":
        for sign in (-1, 1):
            x = sign * 0.62 * body.shoulder_w * max(0.4, body.front) + 0.2 * body.side * body.shoulder_w
            brush.line(BAG, (x, body.shoulder), (x, body.shoulder + 0.19), 0.026)
    else:
        s = body.shoulder_w
        brush.line(BAG, (s * 0.7, body.shoulder), (-s * 0.8, body.hip - 0.04), 0.024)


def _in_hand(brush: _Brush, person: Person, body: _Body) -> None:
    hand = 1 if body.front >= 0 else -1  # the left hand is on the right of the picture in a front view
    x, y = hand * (body.shoulder_w + 0.03), body.hip - 0.02
    match person.carried:
        case "satchel":
            s = body.shoulder_w * hand
            brush.line(BAG2, (-0.65 * s, body.shoulder), (0.95 * s, body.hip - 0.02), 0.022)
            brush.box(BAG, 1.05 * s - 0.065, body.hip - 0.03, 1.05 * s + 0.065, body.hip + 0.085, 0.015)
            brush.box(BAG2, 1.05 * s - 0.065, body.hip - 0.03, 1.05 * s + 0.065, body.hip + 0.01, 0.01)
        case "handbag":
            brush.line(BAG2, (x - 0.03, y + 0.06), (x, y - 0.01), 0.014)
            brush.line(BAG2, (x + 0.03, y + 0.06), (x, y - 0.01), 0.014)
            brush.polygon(BAG, (x - 0.05, y + 0.05), (x + 0.05, y + 0.05), (x + 0.075, y + 0.16), (x - 0.075, y + 0.16))
        case "trolley":
            x = x * 0.6 + hand * 0.08 - 0.1 * body.side
            brush.line(METAL, (x, y - 0.02), (x, 0.76), 0.014)
            brush.box(BAG, x - 0.065, 0.73, x + 0.065, 0.965, 0.015)
            brush.box(BAG2, x - 0.045, 0.78, x + 0.045, 0.8, 0.0)
            brush.box(BAG2, x - 0.045, 0.88, x + 0.045, 0.9, 0.0)
            for wheel in (-0.045, 0.045):
                brush.ellipse(INK, x + wheel, 0.98, 0.016, 0.016)
        case "shopping":
            for sign in (-1, 1):
                bx, material = sign * (body.shoulder_w + 0.035), BAG if sign * hand > 0 else BAG2
                brush.line(INK, (bx, y - 0.01), (bx, y + 0.06), 0.02)
                brush.box(material, bx - 0.055, y + 0.05, bx + 0.055, y + 0.2, 0.004)
        case "umbrella":
            x = hand * 0.04 + 0.05 * body.side
            brush.line(METAL, (x, -0.02), (x, body.hip - 0.1), 0.012)
            for i, (a, b) in enumerate(((-1.0, -0.5), (-0.5, 0.0), (0.0, 0.5), (0.5, 1.0))):
                arc = [(x + 0.27 * t, 0.02 - 0.13 * math.sqrt(max(0.0, 1 - t * t))) for t in np.linspace(a, b, 7)]
                low = (x + 0.27 * 0.5 * (a + b), 0.035)
                brush.polygon(BAG if i % 2 else BAG2, *arc, low, (x, -0.02))


def draw_figure(person: Person, pose: Pose) -> Image.Image:
    """Return an RGBA picture [HEIGHT, WIDTH] of the person; the soles stand at row FEET, the body axis at CENTRE."""
    brush, body = _Brush(), _measure(person, pose)
    _behind(brush, person, body)
    far_arm = 1 if body.side > 0 else -1
    if abs(body.side) > 0.35:
        _arm(brush, person, body, far_arm, FAR)
    _legs(brush, person, body)
    hem = _torso(brush, person, body)
    if person.top != "poncho":
        for sign in (far_arm, -far_arm):
            if abs(body.side) <= 0.35 or sign != far_arm:
                _arm(brush, person, body, sign, 0)
    else:
        for sign in (-1, 1):
            _arm(brush, person, body, sign, 0)
        low, s = body.hip + 0.05, body.shoulder_w
        brush.polygon(TOP, (-0.5 * s, body.shoulder), (0.5 * s, body.shoulder), (1.75 * s, low - 0.05), (0.0, low), (-1.75 * s, low - 0.05))
        hem = low
    if person.scarf is not None:
        brush.box(SCARF, -0.055 * body.girth, body.neck - 0.012, 0.055 * body.girth, body.neck + 0.035, 0.02)
        if body.front > -0.2:
            brush.box(SCARF, 0.005, body.neck + 0.02, 0.05, body.neck + 0.17, 0.008)
    _on_back(brush, person, body)
    _head(brush, person, body)
    _in_hand(brush, person, body)
    return _colour(brush.labels, person, body, hem)


def _colour(drawn: Image.Image, person: Person, body: _Body, hem: float) -> Image.Image:
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
