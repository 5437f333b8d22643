"""What every part of a figure is drawn with: the canvas, the materials, the pose and the measures of a body."""

from __future__ import annotations

import math
from dataclasses import dataclass

from PIL import Image, ImageDraw

from reid.data.toy.people import Person

WIDTH, HEIGHT = 240, 400  # canvas, pixels; the final crop takes about 160 x 320 of it
CENTRE, FEET, TALL = 120.0, 364.0, 292.0  # body axis, ground line and body height on the canvas, pixels

(EMPTY, SKIN, HAIR, TOP, INNER, BOTTOM, SHOE, SOCK, HAT, BAG, BAG2, SCARF, INK, METAL) = range(14)
FAR = 16  # added to a material on the far side of the body: same cloth, less light

Point = tuple[float, float]


@dataclass(frozen=True)
class Pose:
    """`yaw` (0 faces the camera, pi turns the back) and `phase` of the walk in radians; `tilt` 0..1 looks down."""

    yaw: float
    phase: float
    tilt: float


class Brush:
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
class Body:
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


def measure(person: Person, pose: Pose) -> Body:
    front, side = math.cos(pose.yaw), math.sin(pose.yaw)
    girth = person.build * (0.68 + 0.32 * abs(front))
    neck = person.head * (1 + 0.12 * pose.tilt)
    return Body(
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
