"""The page of a run."""

import html
import os
import re
from pathlib import Path

import numpy as np
import pytest
from report.pages import HOSTILE, METRICS, Reader, ranking, write

from reid.errors import UserError
from reid.report import RankedImage, RankedQuery


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


def test_camera_matrix_is_a_table_and_an_empty_cell_a_dash(tmp_path: Path) -> None:
    matrix = {"query_camids": [1, 2], "gallery_camids": [1, 2], "mAP": [[None, 0.5], [0.25, None]]}
    text = Reader(write(tmp_path, metrics={**METRICS, "by_camera": matrix})).text
    assert re.search(r"across.*1\s*2\s*1\s*–\s*50\.0%\s*2\s*25\.0%\s*–", text, re.DOTALL)
    assert "camera to camera" not in Reader(write(tmp_path)).text
