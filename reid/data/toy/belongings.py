"""What people carry: behind the body, on the back, or in the hand."""

from __future__ import annotations

import math

from reid.data.toy.brush import BAG, BAG2, INK, METAL, Body, Brush
from reid.data.toy.people import Person


def draw_behind(brush: Brush, person: Person, body: Body) -> None:
    """What hangs on the back, when the body hides part of it."""
    if body.front < -0.3:
        return
    x = -body.side * (body.shoulder_w + 0.03)
    if person.carried == "backpack":
        w = 0.055 + 0.06 * abs(body.front)
        brush.box(BAG, x - w, body.shoulder + 0.0, x + w, body.shoulder + 0.26, 0.03)
    elif person.carried == "case":
        brush.limb(BAG, (x + 0.06, 0.02), (x - 0.06, body.hip + 0.08), 0.035, 0.08)


def draw_on_back(brush: Brush, person: Person, body: Body) -> None:
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


def draw_in_hand(brush: Brush, person: Person, body: Body) -> None:
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
            brush.top_half(BAG2, x, 0.03, 0.27, 0.15)
            for a, b in ((-0.6, -0.2), (0.2, 0.6)):  # every second panel, between two ribs
                rib = [(math.sin(k * math.pi / 16), 0.03 - 0.15 * math.cos(k * math.pi / 16)) for k in range(9)]
                brush.polygon(
                    BAG, *[(x + 0.27 * a * r, y) for r, y in rib], *[(x + 0.27 * b * r, y) for r, y in rib[::-1]]
                )
