import base64
import html
import io
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from reid.errors import UserError
from reid.report import RankedImage, RankedQuery, save_ranking_png, write_report

VOID = {"meta", "br", "img", "link", "hr", "input"}
HOSTILE = "</title><script>alert(1)</script><img src=\"https://evil.example/x\" onerror='x()'>&amp;"
METRICS: dict[str, object] = {
    "mAP": 0.84321,
    "rank-1": 0.93616,
    "rank-5": 0.9775,
    "rank-10": 0.98604,
    "rank-20": 0.993,
    "mINP": 0.6104,
    "protocol": "market1501 | same camera left out | cosine",
    "queries": 3368,
    "queries_without_match": 17,
    "feature": "after BNNeck",
    "model": "best validation mAP (epoch 12)",
    "split": "test",
}


class Reader(HTMLParser):
    """Fails on a tag closed out of turn; remembers tags, attributes and text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "0002_c1s1_000451_03.jpg"
    pixels = np.random.default_rng(0).integers(0, 255, (512, 256, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, quality=95)
    return path


def ranking(path: Path | str, queries: int = 3, gallery: int = 12) -> list[RankedQuery]:
    groups = ["best", "median", "worst"]
    return [
        RankedQuery(
            path,
            pid=500 + index,
            camid=3,
            ap=0.4567,
            group=groups[index % 3],
            gallery=[
                RankedImage(path, 700 + rank, 1 + rank % 6, rank, rank % 2 == 0) for rank in range(1, gallery + 1)
            ],
        )
        for index in range(queries)
    ]


def arguments(**changes: Any) -> dict[str, Any]:
    log = [
        {"epoch": str(epoch), "loss": str(3 / epoch), "triplet": str(1 / epoch), "lr": "0.00035", "val_mAP": ""}
        for epoch in range(1, 16)
    ]
    return {
        "title": "market1501, resnet50",
        "summary": {"Net": "resnet50", "Commit": "a1b2c3d"},
        "metrics": METRICS,
        "cmc": np.linspace(0.9362, 1, 100),
        "log": log,
        "ranked": [],
        "config": "seed: 1\n",
        **changes,
    }


def write(folder: Path, **changes: Any) -> str:
    path = folder / "report.html"
    write_report(path, **arguments(**changes))
    return path.read_text(encoding="utf-8")


def test_several_targets_are_a_table(tmp_path: Path) -> None:
    rows = [
        {"dataset": "toy", **METRICS, "gallery": 1234},
        {"dataset": HOSTILE, "mAP": 0.1234, "queries": 77, "protocol": "other rules"},
    ]
    page = Reader(write(tmp_path, metrics={**METRICS, "dataset": "toy", "targets": rows}))
    for expected in ("Targets", "1,234", "12.3%", "77", HOSTILE, "other rules"):
        assert expected in page.text
    assert not page.all("script")
    assert "Targets" not in Reader(write(tmp_path)).text


def test_whole_page_is_well_formed_and_shows_the_numbers(tmp_path: Path, picture: Path) -> None:
    page = Reader(write(tmp_path, ranked=ranking(picture)))
    for expected in ("84.3%", "93.6%", "97.8%", "98.6%", "61.0%", "3,368", "17", "45.7%", "resnet50", "a1b2c3d"):
        assert expected in page.text
    for key in ("protocol", "feature", "model", "split"):
        assert str(METRICS[key]) in page.text
    assert len(page.all("svg")) == 3  # loss, learning rate, CMC; no validation was recorded
    assert len(page.all("details")) == 1


def test_validation_gets_a_chart_where_there_is_some(tmp_path: Path) -> None:
    page = Reader(write(tmp_path, log=[{"epoch": 1, "loss": 2.0, "lr": 1e-3, "val_mAP": 0.5}]))
    assert len(page.all("svg")) == 4
    assert "Validation" in page.text


def test_cmc_table_and_curve_stop_at_rank_fifty(tmp_path: Path) -> None:
    cmc = np.linspace(0.5, 1.0, 101)  # rank k holds 0.5 + 0.005 (k - 1)
    text = write(tmp_path, cmc=cmc, log=[])
    rows = re.findall(r'<th scope="row">rank-(\d+)</th><td>([^<]*)</td>', text)
    assert rows == [("1", "50.0%"), ("5", "52.0%"), ("10", "54.5%"), ("20", "59.5%"), ("50", "74.5%")]
    assert text.count('class="strip"') == 50


def test_short_cmc(tmp_path: Path) -> None:
    text = write(tmp_path, cmc=np.array([0.5, 0.75, 1.0]), log=[])
    assert re.findall(r'<th scope="row">rank-(\d+)</th>', text) == ["1"]


def test_page_asks_for_nothing_from_outside(tmp_path: Path, picture: Path) -> None:
    text = write(tmp_path, ranked=ranking(picture))
    page = Reader(text)
    assert not re.search(r"https?://|//[a-z]|url\(|@import", re.sub(r"base64,[^\"]*", "", text))
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "link", "iframe", "object", "base", "form"})
    for _, attributes in page.tags:
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ("src", "href", "srcset", "data", "action"):
                assert str(value).startswith("data:image/jpeg;base64,")
    assert any("default-src 'none'" in str(meta.get("content")) for meta in page.all("meta"))


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    hostile = tmp_path / '"><script>x.jpg'
    query = RankedQuery(hostile, 1, 1, 0.5, HOSTILE, [RankedImage(HOSTILE, 2, 1, 1, False)])
    log = [{"epoch": 1, HOSTILE: 1.0, HOSTILE + "lr_lr": 1e-3, "val_" + HOSTILE: 0.5}]
    metrics = dict.fromkeys(METRICS, HOSTILE) | {"queries": 1, "queries_without_match": 0}
    page = Reader(
        write(
            tmp_path,
            title=HOSTILE,
            summary={HOSTILE: HOSTILE},
            metrics=metrics,
            log=log,
            ranked=[query],
            config=HOSTILE,
        )
    )
    assert not page.all("script")
    assert not page.all("img")
    assert HOSTILE in page.text
    assert html.unescape(page.text).count("alert(1)") >= 10


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


def test_bare_page(tmp_path: Path) -> None:
    page = Reader(write(tmp_path, summary={}, metrics={}, cmc=np.array([]), log=[], ranked=[], config=""))
    assert page.text.count("–") == 5
    assert "not stated" in page.text
    assert not page.all("svg")


def test_diverged_run(tmp_path: Path) -> None:
    nan = float("nan")
    log = [{"epoch": 1, "loss": 3.0}, {"epoch": 2, "loss": nan}, {"epoch": 3, "loss": float("inf")}]
    page = Reader(write(tmp_path, log=log, cmc=np.full(50, nan), metrics={**METRICS, "mAP": nan}))
    assert len(page.all("svg")) == 1
    assert "nan" not in page.text


def test_same_input_same_bytes(tmp_path: Path, picture: Path) -> None:
    assert write(tmp_path / "a", ranked=ranking(picture)) == write(tmp_path / "b", ranked=ranking(picture))


def test_failure_leaves_the_old_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = write(tmp_path)

    def full(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", full)
        with pytest.raises(UserError, match=r"report\.html \(No space left on device\).*the earlier one is kept"):
            write(tmp_path, title="new")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == old
    assert "new</h1>" in write(tmp_path, title="new")


def test_ranking_png(tmp_path: Path, picture: Path) -> None:
    queries = ranking(picture, queries=2, gallery=3) + ranking(tmp_path / "gone.jpg", queries=1)
    save_ranking_png(tmp_path / "deep" / "ranking.png", queries, columns=4)
    save_ranking_png(tmp_path / "ten.png", queries)
    with Image.open(tmp_path / "deep" / "ranking.png") as narrow, Image.open(tmp_path / "ten.png") as wide:
        assert narrow.format == "PNG"
        assert narrow.height == wide.height
        assert narrow.width < wide.width
        colours = {colour for _, colour in wide.convert("RGB").getcolors(1 << 24) or []}
    assert {(0x17, 0x82, 0x4A), (0xCC, 0x33, 0x33)} <= colours


@pytest.mark.parametrize(("count", "columns"), [(0, 10), (1, 0)])
def test_ranking_png_of_nothing(tmp_path: Path, count: int, columns: int) -> None:
    with pytest.raises(ValueError, match="at least one"):
        save_ranking_png(tmp_path / "ranking.png", ranking("x.jpg", queries=count), columns)


def test_camera_matrix_is_a_table_and_an_empty_cell_a_dash(tmp_path: Path) -> None:
    matrix = {"query_camids": [1, 2], "gallery_camids": [1, 2], "mAP": [[None, 0.5], [0.25, None]]}
    text = Reader(write(tmp_path, metrics={**METRICS, "by_camera": matrix})).text
    assert re.search(r"across.*1\s*2\s*1\s*–\s*50\.0%\s*2\s*25\.0%\s*–", text, re.DOTALL)
    assert "camera to camera" not in Reader(write(tmp_path)).text
