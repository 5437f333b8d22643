"""What is unusual about single images."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from reid.data.doctor.findings import Finding, found
from reid.data.doctor.pixels import Picture, Unreadable

_BLANK = 2  # grey levels, of the standard deviation over the 16 x 8 mean colours
_SIZE, _ASPECT = 3.0, 2.0  # so many times the median is far
_FENCE = 3  # and so many interquartile ranges
_ALIKE = {"MPO": "JPEG"}  # several JPEGs in one file, as cameras write them


def image_findings(looked: Mapping[Path, Picture | Unreadable]) -> list[Finding]:
    """Everything that one image shows on its own, or beside the sizes of the rest."""
    pictures = {path: p for path, p in looked.items() if isinstance(p, Picture)}

    def those(says: Callable[[Path, Picture], object]) -> list[list[Path]]:
        return [[path] for path, picture in pictures.items() if says(path, picture)]

    return [
        *_unreadable({path: p.why for path, p in looked.items() if isinstance(p, Unreadable)}),
        *found(
            "warning",
            "images with a rotation flag",
            those(lambda _, p: p.orientation in range(2, 9)),
            "EXIF asks for them to be turned or mirrored when shown, which networks' loaders do not: they are read as "
            "they are stored. Turn the pixels themselves (PIL.ImageOps.exif_transpose) and save them without the flag.",
        ),
        *found(
            "warning",
            "images with more than 8 bits",
            those(lambda _, p: _deep(p)),
            "Brightness beyond 255 is cut off when they are made RGB, so they turn white: scale them to 8 bits.",
        ),
        *found(
            "warning",
            "CMYK images",
            those(lambda _, p: p.mode == "CMYK"),
            "Printing colours become RGB without their colour profile, so they look unlike the rest: save as RGB.",
        ),
        *found(
            "warning",
            "transparent images",
            those(lambda _, p: p.transparent),
            "Transparency is dropped, and what lies hidden under it is seen: paste them onto a background.",
        ),
        *found(
            "warning",
            "blank images",
            those(lambda _, p: blank(p) and not _deep(p)),
            "They show nothing but one colour: remove them.",
        ),
        *found(
            "info",
            "images named for another format",
            those(lambda path, p: _format(path) != _ALIKE.get(p.format, p.format)),
            "Their content counts here, not the ending of their name; other tools may refuse them: rename.",
        ),
        *found(
            "info",
            "grey images",
            those(lambda _, p: p.mode in ("1", "L", "LA")),
            "They have one channel, which stands for red, green and blue alike.",
        ),
        *found("info", "palette images", those(lambda _, p: p.mode in ("P", "PA")), "At most 256 colours, made RGB."),
        *_sizes(pictures),
    ]


def blank(picture: Picture) -> bool:
    """Whether it shows one colour only, noise aside; such a picture says nothing about being a copy of another."""
    return bool(picture.small.std(axis=(0, 1)).max() < _BLANK)


def odd(values: np.ndarray, factor: float) -> np.ndarray:
    """Which positive ``values`` [N] are far from the rest, bool [N].

    Far is more than ``factor`` times the median, or less than its ``factor``th part, and at the same time farther from
    the median than three interquartile ranges, on a logarithmic scale. The first condition lets small differences pass
    where nearly all are equal, the second where they vary much anyway: of log-normal values 1 in 20,000 is that far.
    """
    logs = np.log(values)
    low, middle, high = np.quantile(logs, [0.25, 0.5, 0.75])
    return np.abs(logs - middle) > max(np.log(factor), _FENCE * (high - low))


def _unreadable(why: Mapping[Path, str]) -> list[Finding]:
    reasons = ", ".join(f"{count} x {reason}" for reason, count in Counter(why.values()).most_common(3))
    return found(
        "error",
        "unreadable images",
        [[path] for path in why],
        f"They cannot be decoded ({reasons}), and training stops at them: mend or remove them, or leave them out with "
        "data.skip_unreadable=true.",
    )


def _deep(picture: Picture) -> bool:
    return picture.mode[0] in "IF"


def _format(path: Path) -> str | None:
    return Image.registered_extensions().get(path.suffix.lower())


def _sizes(pictures: Mapping[Path, Picture]) -> list[Finding]:
    if not pictures:
        return []
    paths = list(pictures)
    width, height = np.array([p.size for p in pictures.values()], dtype=np.float64).T
    side, aspect = np.sqrt(width * height), height / width
    rule = "and farther from it than three interquartile ranges (of logarithms): look whether they are whole crops."
    return [
        *found(
            "warning",
            "images of an odd size",
            _chosen(paths, odd(side, _SIZE)),
            f"The root of their area is more than {_SIZE:g} times the median of {np.median(side):.0f} pixels, or less "
            f"than a third of it, {rule}",
        ),
        *found(
            "warning",
            "images of an odd shape",
            _chosen(paths, odd(aspect, _ASPECT)),
            f"Height over width is more than {_ASPECT:g} times the median of {np.median(aspect):.2f}, or less than "
            f"half of it, {rule}",
        ),
    ]


def _chosen(paths: Sequence[Path], which: np.ndarray) -> list[list[Path]]:
    return [[path] for path, chosen in zip(paths, which, strict=True) if chosen]
