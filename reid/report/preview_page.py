"""One self-contained page that shows what an augmentation does to training images."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from reid.report.frame import page_frame, pairs
from reid.report.pictures import data_uri

CSS = """
.strip-of { list-style: none; display: flex; gap: 10px; margin: 0; padding: 14px 22px; overflow-x: auto; }
.strip-of + .strip-of { border-top: 1px solid var(--line); }
.strip-of li { flex: 0 1 118px; min-width: 64px; }
.strip-of li.first { margin-right: 10px; }
.strip-of img { display: block; max-width: 100%; height: auto; margin: 0 auto; border-radius: 3px; }
.strip-of p { margin-top: 4px; text-align: center; font-size: 0.7rem; line-height: 1.3; color: var(--muted); }
.strip-of p { overflow-wrap: anywhere; }
.alone { margin-top: 12px; }
.alone h3 { padding: 14px 22px 0; }
.alone h3 span { font-weight: 400; color: var(--muted); margin-left: 8px; }
"""


@dataclass(frozen=True)
class Picture:
    """Pixels uint8 [H, W, 3] and what stands below them."""

    pixels: np.ndarray
    caption: str = ""


@dataclass(frozen=True)
class Preview:
    """What the page shows.

    Attributes:
        facts: about the images, by name.
        operations: what is switched on and what it does, by name.
        images: for each training image itself, then its augmented versions.
        alone: by the names of ``operations``, every image after that one alone.
    """

    facts: Mapping[str, str]
    operations: Mapping[str, str]
    images: Sequence[Sequence[Picture]]
    alone: Mapping[str, Sequence[Picture]]


def preview_text(shown: Preview) -> str:
    """The same in words, for the terminal."""
    lines = {**shown.facts, **(shown.operations or {"augment": "nothing is switched on, the images stay as they are"})}
    width = max(map(len, lines)) + 2
    return "\n".join(f"{name:<{width}}{text}" for name, text in lines.items())


def preview_page(shown: Preview) -> str:
    """The page as HTML."""
    title = "What the augmentation does"
    not_shown = {name: words for name, words in shown.operations.items() if name not in shown.alone}
    sections = [
        f"<h1>{title}</h1>",
        f'<section><div class="card">{pairs({**shown.facts, **not_shown}, "facts")}</div></section>',
        "<section><h2>As training shows them</h2><p class='note'>First the image as it is, then draws of everything "
        f"together.</p><div class='card'>{''.join(_strip(row, first=True) for row in shown.images)}</div></section>",
        _alone(shown),
    ]
    return page_frame(title, sections, css=CSS)


def _alone(shown: Preview) -> str:
    if not shown.alone:
        return ""
    rows = "".join(
        f'<article class="card alone"><h3>{html.escape(name)}<span>{html.escape(shown.operations[name])}</span></h3>'
        f"{_strip(pictures)}</article>"
        for name, pictures in shown.alone.items()
    )
    note = "Each on its own and on every image, whatever its probability."
    return f"<section><h2>The operations</h2><p class='note'>{note}</p>{rows}</section>"


def _strip(pictures: Sequence[Picture], first: bool = False) -> str:
    items = "".join(
        f"<li{' class=first' * (first and i == 0)}>{_image(picture)}</li>" for i, picture in enumerate(pictures)
    )
    return f'<ul class="strip-of">{items}</ul>'


def _image(picture: Picture) -> str:
    height, width = picture.pixels.shape[:2]
    caption = html.escape(picture.caption)
    below = f"<p>{caption}</p>" if caption else ""
    source = data_uri(Image.fromarray(picture.pixels))
    return f'<img src="{source}" width="{width}" height="{height}" alt="{caption}">{below}'
