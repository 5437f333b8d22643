"""Where the toy people are seen: six cameras, each with its own street, light, angle and faults."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from reid.data.toy.brush import CENTRE, FEET, HEIGHT, TALL, WIDTH, Pose
from reid.data.toy.figure import draw_figure
from reid.data.toy.people import GARMENT_COLOURS, Person

SIZE = (80, 160)  # width, height of a picture, pixels
_STREET = (480, 240)  # width, height of a camera's whole background, at final resolution
_HORIZON = 130


@dataclass(frozen=True)
class Camera:
    """One camera. `gains` of red, green, blue; `yaw` in radians, where most people face; `detail` 1 is fully sharp."""

    scene: str
    gains: tuple[float, float, float]
    saturation: float
    gamma: float
    yaw: float
    tilt: float
    zoom: float
    blur: float
    detail: float
    noise: int
    occluder: str


CAMERAS: tuple[Camera, ...] = (
    Camera("plaza", (1.05, 1.00, 0.93), 1.05, 0.92, 0.3, 0.2, 1.00, 0.3, 1.00, 4, "pole"),
    Camera("park", (0.94, 1.03, 0.92), 0.95, 1.08, 2.9, 0.4, 0.96, 0.4, 0.92, 5, "hedge"),
    Camera("shop", (1.08, 0.98, 0.88), 1.08, 1.00, 1.2, 0.7, 1.03, 0.3, 0.95, 5, "shelf"),
    Camera("metro", (0.90, 0.98, 1.08), 0.85, 1.05, -1.2, 0.5, 0.98, 0.4, 0.88, 7, "pole"),
    Camera("street", (0.98, 0.98, 1.04), 0.92, 1.22, 3.6, 0.3, 0.97, 0.5, 0.92, 8, "bench"),
    Camera("hall", (1.02, 1.04, 1.00), 0.82, 0.88, -0.4, 0.8, 1.02, 0.5, 0.88, 5, "shelf"),
)


@cache
def street(camera: int, seed: int) -> Image.Image:
    """The background of camera 1..6, an RGB picture; the same for every picture this camera takes."""
    rng = np.random.default_rng([seed, 3, camera])
    width, height = _STREET
    palettes = {
        "plaza": ((196, 172, 150), (170, 162, 150)),
        "park": ((150, 178, 140), (126, 140, 92)),
        "shop": ((206, 200, 190), (182, 172, 160)),
        "metro": ((186, 196, 200), (112, 116, 122)),
        "street": ((142, 144, 150), (92, 94, 98)),
        "hall": ((214, 208, 196), (150, 134, 116)),
    }
    scene = CAMERAS[camera - 1].scene
    wall, ground = (np.array(c, np.float32) for c in palettes[scene])
    rows = np.linspace(0.85, 1.12, height, dtype=np.float32)[:, None, None]
    tone = np.where(np.arange(height)[:, None, None] < _HORIZON, wall, ground) * rows
    picture = Image.fromarray(np.broadcast_to(np.clip(tone, 0, 255), (height, width, 3)).astype(np.uint8))
    draw = ImageDraw.Draw(picture)

    def some(low: int, high: int) -> int:
        return int(rng.integers(low, high))

    def cloth() -> tuple[int, int, int]:
        r, g, b = GARMENT_COLOURS[some(0, len(GARMENT_COLOURS))]
        return (r + 160) // 2, (g + 160) // 2, (b + 160) // 2

    line = (int(wall[0] * 0.8), int(wall[1] * 0.8), int(wall[2] * 0.8))
    if scene in ("plaza", "metro"):  # bricks and tiles
        step = 12 if scene == "plaza" else 20
        for row, y in enumerate(range(0, _HORIZON, step)):
            draw.line((0, y, width, y), fill=line)
            for x in range((row % 2) * step, width, 2 * step):
                draw.line((x, y, x, min(y + step, _HORIZON)), fill=line)
    if scene == "park":
        for _ in range(14):
            x, r = some(0, width), some(18, 38)
            draw.rectangle((x - 4, 60, x + 4, _HORIZON + 8), fill=(98, 74, 52))
            draw.ellipse((x - r, 40 - r, x + r, 40 + r), fill=(some(60, 100), some(110, 150), some(56, 90)))
    elif scene == "shop":
        for y in range(14, _HORIZON, 30):
            x = 0
            while x < width:
                w, h = some(8, 20), some(12, 24)
                draw.rectangle((x, y + 26 - h, x + w - 2, y + 26), fill=cloth())
                x += w
            draw.rectangle((0, y + 26, width, y + 29), fill=(120, 110, 100))
    else:
        for _ in range(9):  # windows, doors and posters
            x, y, w, h = some(0, width), some(4, 60), some(24, 52), some(34, 66)
            draw.rectangle((x, y, x + w, y + h), fill=cloth(), outline=line)
            draw.line((x + w // 2, y, x + w // 2, y + h), fill=line)
    if scene == "street":
        for _ in range(4):  # parked cars
            x, colour = some(0, width), cloth()
            draw.rounded_rectangle((x, 108, x + 92, 138), 9, fill=colour)
            draw.rounded_rectangle((x + 18, 90, x + 72, 114), 9, fill=colour, outline=(60, 64, 70))
            for wheel in (20, 72):
                draw.ellipse((x + wheel - 9, 128, x + wheel + 9, 146), fill=(36, 36, 38))
    seam = tuple(int(c * 0.87) for c in ground)
    for k in range(-8, 9):  # paving towards a vanishing point
        draw.line((width // 2 + 22 * k, _HORIZON, width // 2 + 90 * k, height), fill=seam)
    for k in range(6):
        y = _HORIZON + 3 + int(3.2 * k * (k + 1))
        draw.line((0, y, width, y), fill=seam)
    return picture.filter(ImageFilter.GaussianBlur(1.0))


def _occlude(canvas: Image.Image, kind: str, rng: np.random.Generator) -> None:
    """Draw something between the camera and the person on the RGBA canvas."""
    draw = ImageDraw.Draw(canvas)
    x, low = CENTRE + rng.uniform(-70, 70), FEET - TALL * rng.uniform(0.12, 0.34)
    if kind == "pole":
        draw.rectangle((x - 9, 0, x + 9, HEIGHT), fill=(92, 94, 96, 255))
        draw.rectangle((x - 9, 0, x - 4, HEIGHT), fill=(124, 126, 128, 255))
    elif kind == "hedge":
        for i in range(26):
            y, r = low + rng.uniform(0, 40), rng.uniform(14, 24)
            green = int(rng.integers(84, 124))
            draw.ellipse((10 * i - r, y - r, 10 * i + r, y + r + 60), fill=(52, green, 48, 255))
    elif kind == "shelf":
        left = x if x > CENTRE else x - WIDTH
        draw.rectangle((left, low, left + WIDTH, HEIGHT), fill=(150, 136, 118, 255))
        draw.rectangle((left, low, left + WIDTH, low + 8), fill=(178, 166, 148, 255))
    else:
        for y in (low, low + 22, low + 48):
            draw.rectangle((0, y, WIDTH, y + 12), fill=(122, 88, 56, 255))
        draw.rectangle((x - 8, low, x + 8, HEIGHT), fill=(70, 70, 72, 255))


def _crop_box(camera: Camera, rng: np.random.Generator, junk: bool) -> tuple[float, float, float, float]:
    """The window of the canvas that becomes the picture: a detector's box, loose or tight; for junk a bad one."""
    tall = TALL / 0.9 / camera.zoom * rng.uniform(0.95, 1.07)
    x, y = CENTRE + rng.normal(0, 5), FEET - TALL / 2 + rng.normal(0, 6)
    if junk:
        tall *= rng.uniform(0.35, 0.55) if rng.random() < 0.6 else rng.uniform(1.0, 1.1)
        x += rng.choice((-1, 1)) * rng.uniform(0.1, 0.2) * TALL
        y += rng.choice((-1, 1)) * rng.uniform(0.25, 0.4) * TALL
    wide = tall * SIZE[0] / SIZE[1]
    x = min(max(x, wide / 2), WIDTH - wide / 2)
    y = min(max(y, tall / 2), HEIGHT - tall / 2)
    return x - wide / 2, y - tall / 2, x + wide / 2, y + tall / 2


def take_picture(
    person: Person | None,
    camera: int,
    rng: np.random.Generator,
    *,
    seed: int,
    heading: float,
    passer_by: Person,
    junk: bool,
) -> Image.Image:
    """Photograph a person (None: nobody there) with camera 1..6; RGB of SIZE.

    `heading` (radians) turns the person away from the camera's usual walking direction; `passer_by` may get in the way.
    """
    spec = CAMERAS[camera - 1]
    canvas = Image.new("RGBA", (WIDTH, HEIGHT))
    if rng.random() < 0.12:
        other = draw_figure(passer_by, Pose(rng.uniform(-math.pi, math.pi), rng.uniform(0, 6.3), spec.tilt))
        canvas.paste(other, (int(rng.choice((-1, 1)) * rng.uniform(70, 110)), int(rng.uniform(-22, 0))), other)
    if person is not None:
        pose = Pose(spec.yaw + heading + rng.normal(0, 0.25), rng.uniform(0, 6.3), spec.tilt)
        shadow = ImageDraw.Draw(canvas)
        shadow.ellipse((CENTRE - 52, FEET - 12, CENTRE + 52, FEET + 8), fill=(30, 30, 34, 120))
        figure = draw_figure(person, pose)
        canvas.alpha_composite(figure)
    if rng.random() < 0.10:
        _occlude(canvas, spec.occluder, rng)
    box = _crop_box(spec, rng, junk)
    layer = canvas.resize(SIZE, Image.Resampling.BILINEAR, box=box)

    scale = rng.uniform(0.8, 1.1) * (box[3] - box[1]) / 324
    w, h = SIZE[0] * scale, SIZE[1] * scale
    left, top = rng.uniform(0, _STREET[0] - w), rng.uniform(18, 46)
    picture = street(camera, seed).resize(SIZE, Image.Resampling.BILINEAR, box=(left, top, left + w, min(top + h, 240)))
    picture.paste(layer, (0, 0), layer)
    return _expose(_soften(picture, spec, rng), spec, rng)


def _soften(picture: Image.Image, spec: Camera, rng: np.random.Generator) -> Image.Image:
    detail = spec.detail * rng.uniform(0.8, 1.0)
    small = (round(SIZE[0] * detail), round(SIZE[1] * detail))
    picture = picture.resize(small, Image.Resampling.BILINEAR).resize(SIZE, Image.Resampling.BICUBIC)
    return picture.filter(ImageFilter.GaussianBlur(spec.blur * rng.uniform(0.5, 1.5)))


def _expose(picture: Image.Image, spec: Camera, rng: np.random.Generator) -> Image.Image:
    """Colour balance, exposure, light falling off across the picture, and sensor noise."""
    grey = np.array([0.299, 0.587, 0.114])
    mix = spec.saturation * rng.uniform(0.9, 1.1)
    matrix = mix * np.eye(3) + (1 - mix) * grey  # rows: output channel
    gains = np.array(spec.gains) * rng.uniform(0.96, 1.04, 3) * rng.uniform(0.88, 1.1)
    pixels = np.asarray(picture, np.float32) @ (matrix * gains[:, None]).T.astype(np.float32)
    slope = rng.uniform(-0.13, 0.13, 2).astype(np.float32)
    across = np.linspace(-1, 1, SIZE[0], dtype=np.float32)[None, :, None] * slope[0]
    down = np.linspace(-1, 1, SIZE[1], dtype=np.float32)[:, None, None] * slope[1]
    pixels *= 1 + across + down
    levels = np.linspace(0, 1, 256) ** (spec.gamma * rng.uniform(0.9, 1.1)) * 255
    pixels = levels.astype(np.float32)[np.clip(pixels, 0, 255).astype(np.uint8)]
    # two uniform integers make a triangular law: no libm in the loop, so the same noise on every machine
    noise = rng.integers(-spec.noise, spec.noise + 1, (2, *pixels.shape), dtype=np.int8).sum(0, dtype=np.float32)
    return Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8))
