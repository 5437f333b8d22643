"""The pictures on the page of a run, and those that cannot be read."""

import base64
import io
import os
import re
from pathlib import Path

import pytest
from PIL import Image
from report.pages import Reader, ranking, write

from reid.report import RankedQuery


def test_gallery_is_cut_at_ten_and_marked(tmp_path: Path, picture: Path) -> None:
    text = write(tmp_path, ranked=ranking(picture, queries=1, gallery=12), log=[])
    captions = re.findall(r'<li class="(right|wrong)">.*?<b>(.) (\d+)</b><span>cam (\d)</span>', text, re.S)
    assert captions == [
        ("right" if rank % 2 == 0 else "wrong", "✓" if rank % 2 == 0 else "✗", str(rank), str(1 + rank % 6))
        for rank in range(1, 11)
    ]
    alts = [image["alt"] for image in Reader(text).all("img")]
    assert alts[0] == "query, person 500, camera 3"
    assert alts[1] == "rank 1, wrong, person 701, camera 2"
    assert alts[2] == "rank 2, true match, person 702, camera 3"


def test_pictures_are_small_and_intact(tmp_path: Path, picture: Path) -> None:
    text = write(tmp_path, ranked=ranking(picture, queries=12))
    sources = [str(image["src"]) for image in Reader(text).all("img")]
    assert len(sources) == 12 * 11
    for source in set(sources):
        with Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))) as image:
            assert image.size == (64, 128)
    # noise compresses worst of all: real pictures are a third of this
    assert len(text) < 12 * 11 * 12_000 + 60_000


@pytest.mark.parametrize(
    ("mode", "size", "expected"),
    [("RGBA", (60, 120), (60, 120)), ("L", (300, 100), (256, 85)), ("P", (64, 400), (20, 128)), ("1", (8, 8), (8, 8))],
)
def test_other_kinds_of_picture(tmp_path: Path, mode: str, size: tuple[int, int], expected: tuple[int, int]) -> None:
    path = tmp_path / "picture.png"
    Image.new(mode, size).save(path)
    image = Reader(write(tmp_path, ranked=ranking(path, queries=1, gallery=0))).all("img")[0]
    assert (int(str(image["width"])), int(str(image["height"]))) == pytest.approx(expected, abs=1)


@pytest.mark.parametrize("content", [None, b"", b"no picture", b"\xff\xd8\xff\xe0 broken"])
def test_unreadable_pictures_become_boxes(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "broken.jpg"
    if content is not None:
        path.write_bytes(content)
    page = Reader(write(tmp_path, ranked=ranking(path, queries=1, gallery=2)))
    assert not page.all("img")
    boxes = [attributes for attributes in page.all("span") if attributes.get("role") == "img"]
    assert [box["aria-label"] for box in boxes] == [
        "query, person 500, camera 3 (picture cannot be read)",
        "rank 1, wrong, person 701, camera 2 (picture cannot be read)",
        "rank 2, true match, person 702, camera 3 (picture cannot be read)",
    ]


def test_truncated_picture_becomes_a_box(tmp_path: Path, picture: Path) -> None:
    picture.write_bytes(picture.read_bytes()[:3000])
    assert "cannot<br>be read" in write(tmp_path, ranked=ranking(picture, queries=1))


def test_folder_and_odd_bytes_as_paths(tmp_path: Path) -> None:
    odd = RankedQuery(os.fsdecode(b"\xff\xfe.jpg"), 1, 1, float("nan"), "worst", [])
    page = Reader(write(tmp_path, ranked=[odd, *ranking(tmp_path, queries=1)]))
    assert "–" in page.text
    assert "The gallery holds no picture for it." in page.text
