"""The ranked results as one PNG, for places that show pictures and no pages."""

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from reid import files
from reid.report.pictures import open_thumbnail
from reid.report.ranked import RankedImage, RankedQuery
from reid.report.text import percent

_W, _H, _FRAME = 72, 144, 4  # a person's picture is 1:2; the frame lies outside it
_GAP, _MARGIN, _CAPTION, _HEADING = 12, 24, 44, 38
_GROUND, _INK, _MUTED, _BOX = "#ffffff", "#1c2127", "#626a74", "#d9dad6"
_RIGHT, _WRONG, _ASKED = "#17824a", "#cc3333", "#626a74"
_ASKED_WIDTH = 200  # the query's picture with its facts beside it


def save_ranking_png(path: Path | str, ranked: Sequence[RankedQuery], columns: int = 10) -> None:
    """Draw each query in a row with its first ``columns`` gallery pictures, under a heading for each group.

    A true match has a green frame and a tick, a wrong one a red frame and a cross. An unreadable picture is a grey box.

    Raises:
        ValueError: there is no query to draw, or ``columns`` is not positive.
        UserError: the file cannot be written.
    """
    if not ranked or columns < 1:
        raise ValueError(f"need at least one query and one column, got {len(ranked)} and {columns}")
    groups = list(dict.fromkeys(query.group for query in ranked))
    row = _H + 2 * _FRAME + _CAPTION + _GAP
    width = 2 * _MARGIN + _ASKED_WIDTH + columns * (_W + 2 * _FRAME + _GAP) - _GAP
    height = 2 * _MARGIN - _GAP + len(groups) * _HEADING + len(ranked) * row
    canvas = Image.new("RGB", (width, height), _GROUND)
    draw = ImageDraw.Draw(canvas)
    y = _MARGIN
    for group in groups:
        draw.text((_MARGIN, y), group.capitalize(), fill=_INK, font=_font(20))
        y += _HEADING
        for query in (query for query in ranked if query.group == group):
            _draw_query(canvas, draw, y, query, columns)
            y += row
    buffer = io.BytesIO()
    canvas.save(buffer, "PNG", optimize=True)
    files.write(path, buffer.getvalue())


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _draw_query(canvas: Image.Image, draw: ImageDraw.ImageDraw, y: int, query: RankedQuery, columns: int) -> None:
    _paste(canvas, draw, (_MARGIN, y), query.path, _ASKED)
    x = _MARGIN + _W + 2 * _FRAME + 16
    for index, (name, value) in enumerate(
        {"person": str(query.pid), "camera": str(query.camid), "AP": percent(query.ap)}.items()
    ):
        draw.text((x, y + 2 + 46 * index), name, fill=_MUTED, font=_font(14))
        draw.text((x, y + 18 + 46 * index), value, fill=_INK, font=_font(17))
    for column, image in enumerate(query.gallery[:columns]):
        x = _MARGIN + _ASKED_WIDTH + column * (_W + 2 * _FRAME + _GAP)
        colour = _RIGHT if image.correct else _WRONG
        _paste(canvas, draw, (x, y), image.path, colour)
        _caption(draw, (x, y + _H + 2 * _FRAME + 7), image, colour)


def _paste(canvas: Image.Image, draw: ImageDraw.ImageDraw, at: tuple[int, int], path: Path | str, colour: str) -> None:
    x, y = at
    draw.rounded_rectangle((x, y, x + _W + 2 * _FRAME - 1, y + _H + 2 * _FRAME - 1), 5, fill=colour)
    draw.rectangle((x + _FRAME, y + _FRAME, x + _FRAME + _W - 1, y + _FRAME + _H - 1), fill=_BOX)
    picture = open_thumbnail(path, height=_H, width=_W)
    if picture is None:
        draw.text((x + _FRAME + _W / 2, y + _FRAME + _H / 2), "no picture", fill=_MUTED, font=_font(12), anchor="mm")
        return
    scale = min(_W / picture.width, _H / picture.height)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    picture = picture.resize(size, Image.Resampling.LANCZOS)
    canvas.paste(picture, (x + _FRAME + (_W - size[0]) // 2, y + _FRAME + (_H - size[1]) // 2))


def _caption(draw: ImageDraw.ImageDraw, at: tuple[int, int], image: RankedImage, colour: str) -> None:
    """Mark and rank, the camera below. The marks are drawn: the default font has neither sign."""
    x, y = at
    middle = x + (_W + 2 * _FRAME) / 2
    rank, font = str(image.rank), _font(15)
    left = round(middle - (18 + draw.textlength(rank, font=font)) / 2)
    # Lines are not smoothed by Pillow, so the mark is drawn at four times its size and shrunk to a mask.
    mark = Image.new("L", (56, 56))
    pen = ImageDraw.Draw(mark)
    if image.correct:
        pen.line([(6, 30), (20, 46), (50, 10)], fill=255, width=10, joint="curve")
    else:
        pen.line([(10, 10), (46, 46)], fill=255, width=10)
        pen.line([(46, 10), (10, 46)], fill=255, width=10)
    draw.bitmap((left, y), mark.resize((14, 14), Image.Resampling.LANCZOS), fill=colour)
    draw.text((left + 18, y + 7), rank, fill=colour, font=font, anchor="lm")
    draw.text((middle, y + 25), f"cam {image.camid}", fill=_MUTED, font=_font(13), anchor="mm")
