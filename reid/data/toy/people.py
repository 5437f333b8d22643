"""Who walks through the toy city: everything that belongs to an identity, nothing that belongs to one picture of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Colour = tuple[int, int, int]

# Few garment colours on purpose: most pairs of people share some, so colour alone cannot tell them apart.
GARMENT_COLOURS: tuple[Colour, ...] = (
    (38, 38, 46),
    (226, 222, 212),
    (128, 130, 134),
    (44, 72, 140),
    (176, 48, 50),
    (66, 116, 78),
    (196, 152, 84),
)
SKIN_COLOURS: tuple[Colour, ...] = ((242, 208, 180), (214, 166, 126), (158, 108, 76), (98, 66, 48))
HAIR_COLOURS: tuple[Colour, ...] = ((30, 26, 26), (92, 58, 36), (206, 168, 92), (150, 150, 152), (150, 66, 36))

TOPS = ("tee", "long", "tank", "jacket", "coat", "vest", "dress", "poncho", "hoodie")
BOTTOMS = ("slim", "wide", "shorts", "skirt", "long skirt", "breeches")
TEXTURES = ("hstripes", "vstripes", "checks", "grid", "dots", "diagonal", "zigzag")
BLOCKS = ("band", "half", "yoke", "hem", "panel", "sash", "logo")
BOTTOM_TEXTURES = ("solid", "solid", "solid", "vstripes", "hstripes", "checks", "dots", "hem", "half", "band")
HAIR_STYLES = ("bald", "short", "afro", "bob", "long", "bun", "ponytail", "mohawk")
HATS = ("none", "none", "none", "cap", "beanie", "brim", "tophat")
CARRIED = ("none", "backpack", "satchel", "handbag", "trolley", "umbrella", "case", "shopping")
FOOTWEAR = ("shoes", "shoes", "boots", "high socks")


@dataclass(frozen=True)
class Cloth:
    """A fabric: `pattern` in the second of two colours; `period` is the repeat, as a fraction of body height."""

    pattern: str
    period: float
    colours: tuple[Colour, Colour]


@dataclass(frozen=True)
class Person:
    """One identity. Lengths are fractions of body height, widths factors around 1."""

    build: float
    shoulders: float
    hips: float
    legs: float
    head: float
    skin: Colour
    hair: str
    hair_colour: Colour
    hat: str
    hat_colour: Colour
    top: str
    top_cloth: Cloth
    hem: float
    inner: Colour
    bottom: str
    bottom_cloth: Cloth
    footwear: str
    shoe_colour: Colour
    sock_colour: Colour
    carried: str
    bag_colours: tuple[Colour, Colour]
    scarf: Colour | None


def draw_person(rng: np.random.Generator) -> Person:
    """Draw one identity; every trait is independent, so people unseen in training are new mixtures of known traits."""

    def pick(options: tuple[str, ...]) -> str:
        return options[int(rng.integers(len(options)))]

    def colours(count: int) -> list[Colour]:
        return [GARMENT_COLOURS[i] for i in rng.permutation(len(GARMENT_COLOURS))[:count]]

    def cloth(pattern: str) -> Cloth:
        first, second = colours(2)
        return Cloth(pattern, float(rng.choice((0.05, 0.075, 0.11))), (first, second))

    style = rng.random()
    top_pattern = pick(TEXTURES) if style < 0.45 else pick(BLOCKS) if style < 0.85 else "solid"
    hat_colour, inner, shoe, sock, scarf = (colours(1)[0] for _ in range(5))
    return Person(
        build=float(rng.uniform(0.8, 1.3)),
        shoulders=float(rng.uniform(0.9, 1.12)),
        hips=float(rng.uniform(0.88, 1.15)),
        legs=float(rng.uniform(0.42, 0.52)),
        head=float(rng.uniform(0.135, 0.165)),
        skin=SKIN_COLOURS[int(rng.integers(len(SKIN_COLOURS)))],
        hair=pick(HAIR_STYLES),
        hair_colour=HAIR_COLOURS[int(rng.integers(len(HAIR_COLOURS)))],
        hat=pick(HATS),
        hat_colour=hat_colour,
        top=pick(TOPS),
        top_cloth=cloth(top_pattern),
        hem=float(rng.uniform(0.0, 0.07)),
        inner=inner,
        bottom=pick(BOTTOMS),
        bottom_cloth=cloth(pick(BOTTOM_TEXTURES)),
        footwear=pick(FOOTWEAR),
        shoe_colour=shoe,
        sock_colour=sock,
        carried=pick(CARRIED),
        bag_colours=(colours(2)[0], colours(2)[1]),
        scarf=scarf if rng.random() < 0.2 else None,
    )
