"""Pictures small enough to live inside the page."""

import base64
import html
import io
from pathlib import Path

from PIL import Image

HEIGHT = 128
# A person is taller than wide; the bound on the width only stops a stray panorama from swelling the page.
WIDTH = 256


def open_thumbnail(path: Path | str, height: int = HEIGHT, width: int = WIDTH) -> Image.Image | None:
    """The picture in RGB, shrunk (never grown) to fit ``height`` x ``width`` pixels; None if it cannot be read."""
    try:
        with Image.open(path) as image:
            image.draft("RGB", (2 * width, 2 * height))  # a JPEG decodes at a fraction of its size: much faster
            picture = image.convert("RGB")
        picture.thumbnail((width, height), Image.Resampling.LANCZOS)
    except (
        Exception
    ):  # decoders raise a dozen types, and no broken picture is worth losing the report of a training run
        return None
    return picture


def data_uri(picture: Image.Image) -> str:
    """The picture as a JPEG in a ``data:`` address."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=85, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def picture_html(path: Path | str, alt: str) -> str:
    """An ``<img>`` with the picture inside, or a grey box that carries the same description."""
    picture = open_thumbnail(path)
    title = html.escape(f"{alt}\n{Path(path).name}")
    if picture is None:
        label = html.escape(f"{alt} (picture cannot be read)")
        return f'<span class="missing" role="img" aria-label="{label}" title="{title}">cannot<br>be read</span>'
    return (
        f'<img src="{data_uri(picture)}" width="{picture.width}" height="{picture.height}"'
        f' alt="{html.escape(alt)}" title="{title}">'
    )
