import base64
import io

import numpy as np
from PIL import Image
from report.pages import HOSTILE, Reader

from reid.report.preview_page import Picture, Preview, preview_page, preview_text


def flat(level: int, height: int = 20, width: int = 10) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def preview(**changes: object) -> Preview:
    given: dict = {
        "facts": {"data": HOSTILE, "images": "2"},
        "operations": {"flip": HOSTILE, "scales": "each step at one of 24x12"},
        "images": [[Picture(flat(10), HOSTILE), Picture(flat(60, 24, 12))], [Picture(flat(30)), Picture(flat(90))]],
        "alone": {"flip": [Picture(flat(120)), Picture(flat(150), "b")]},
        **changes,
    }
    return Preview(**given)


def test_every_picture_is_inside_the_page_in_order() -> None:
    page = Reader(preview_page(preview()))
    images = [given for tag, given in page.tags if tag == "img"]
    assert [(i["width"], i["height"]) for i in images] == [("10", "20"), ("12", "24")] + [("10", "20")] * 4
    levels = []
    for image in images:
        data = str(image["src"]).removeprefix("data:image/jpeg;base64,")
        levels.append(round(float(np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))).mean())))
    np.testing.assert_allclose(levels, [10, 60, 30, 90, 120, 150], atol=2)


def test_what_has_no_pictures_of_its_own_stands_above() -> None:
    page = Reader(preview_page(preview())).text
    assert page.index("each step at one of 24x12") < page.index("As training shows them")


def test_names_stay_text() -> None:
    page = Reader(preview_page(preview()))
    assert not [tag for tag, _ in page.tags if tag == "script"]
    assert page.text.count("alert(1)") == 3  # the data, a caption, an operation
    assert {i["alt"] for tag, i in page.tags if tag == "img"} == {HOSTILE, "", "b"}


def test_the_words_for_the_terminal() -> None:
    lines = preview_text(preview(facts={"data": "toy"}, operations={"grayscale": "probability 0.2: without colour"}))
    assert lines.splitlines() == ["data       toy", "grayscale  probability 0.2: without colour"]
    assert "nothing is switched on" in preview_text(preview(operations={}))


def test_without_operations_there_is_no_section_for_them() -> None:
    assert "The operations" not in preview_page(preview(alone={}))
