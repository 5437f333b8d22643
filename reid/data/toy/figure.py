"""Draw one person in one pose: a picture with transparency, at twice the final resolution.

Parts are painted back to front as material numbers on a label image; one table look-up then turns labels into colours.
That keeps a figure under two milliseconds, and lets a fabric's pattern run across torso, sleeves and skirt.
"""

from __future__ import annotations

import math

from PIL import Image

from reid.data.toy.belongings import draw_behind, draw_in_hand, draw_on_back
from reid.data.toy.brush import (
    BOTTOM,
    CENTRE,
    EMPTY,
    FAR,
    FEET,
    HAIR,
    HAT,
    HEIGHT,
    INK,
    INNER,
    SCARF,
    SHOE,
    SKIN,
    SOCK,
    TOP,
    WIDTH,
    Body,
    Brush,
    Pose,
    measure,
)
from reid.data.toy.cloth import dye
from reid.data.toy.people import Person


def _legs(brush: Brush, person: Person, body: Body) -> None:
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


def _arm(brush: Brush, person: Person, body: Body, sign: int, shade: int) -> None:
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


def _torso(brush: Brush, person: Person, body: Body) -> float:
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


def _head(brush: Brush, person: Person, body: Body) -> None:
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
        brush.box(
            HAIR, x - (0.22 + 0.6 * abs(body.side)) * rx, -0.16 * h, x + (0.22 + 0.6 * abs(body.side)) * rx, 0.2 * h
        )
    _hat(brush, person.hat, x, h, rx, body)


def _hat(brush: Brush, hat: str, x: float, h: float, rx: float, body: Body) -> None:
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


def draw_figure(person: Person, pose: Pose) -> Image.Image:
    """Return an RGBA picture [HEIGHT, WIDTH] of the person; the soles stand at row FEET, the body axis at CENTRE."""
    brush, body = Brush(), measure(person, pose)
    draw_behind(brush, person, body)
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
        brush.polygon(
            TOP,
            (-0.5 * s, body.shoulder),
            (0.5 * s, body.shoulder),
            (1.75 * s, low - 0.05),
            (0.0, low),
            (-1.75 * s, low - 0.05),
        )
        hem = low
    if person.scarf is not None:
        brush.box(SCARF, -0.055 * body.girth, body.neck - 0.012, 0.055 * body.girth, body.neck + 0.035, 0.02)
        if body.front > -0.2:
            brush.box(SCARF, 0.005, body.neck + 0.02, 0.05, body.neck + 0.17, 0.008)
    draw_on_back(brush, person, body)
    _head(brush, person, body)
    draw_in_hand(brush, person, body)
    picture = dye(brush.labels, person, body, hem)
    if person.carried != "umbrella":
        return picture
    small = picture.resize((round(0.88 * WIDTH), round(0.88 * HEIGHT)), Image.Resampling.BILINEAR)
    picture = Image.new("RGBA", (WIDTH, HEIGHT))  # stand further away, so that the umbrella fits into the picture
    picture.paste(small, (round(0.12 * CENTRE), round(0.12 * FEET)))
    return picture
