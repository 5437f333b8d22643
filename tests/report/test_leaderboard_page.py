"""A leaderboard as text, Markdown, CSV and page: the same numbers in each, and nothing from elsewhere."""

import base64
import csv
import hashlib
import io
import math
import re
from typing import Any

import numpy as np
import pytest
from report.pages import HOSTILE, Reader

from reid.report.leaderboard import Board, Going, Importance, Row, Table, Versus, Worth
from reid.report.leaderboard_page import leaderboard_page
from reid.report.leaderboard_text import leaderboard_csv, leaderboard_markdown, leaderboard_text
from reid.report.scatter import pareto_front

CURVE = (np.array([1.0, 2.0]), np.array([3.0, 2.0]))


def row(name: str, *maps: float, **changes: Any) -> Row:
    made: dict[str, Any] = {
        "settings": {"backbone.name": name, "optimizer.lr": "0.00035"},
        "seeds": tuple(range(len(maps))),
        "folders": tuple(f"2026/{name}_{i}" for i in range(len(maps))),
        "values": {"mAP": maps, "rank-1": tuple(m + 0.1 for m in maps), "mINP": (math.nan,) * len(maps)},
        "interval": (min(maps) - 0.02, max(maps) + 0.02),
        "images_per_s": 123.4,
        "hours": 1.5,
        "parameters": 25.6e6,
        "curves": {"loss": CURVE},
    }
    return Row(**{**made, **changes})


def table(*rows: Row, **changes: Any) -> Table:
    made: dict[str, Any] = {
        "title": "market1501",
        "ground": {"protocol": "market1501, cosine", "data": "market1501 abcdef", "trained on": "all 751"},
        "columns": {"backbone.name": "backbone", "optimizer.lr": "lr"},
        "metric": "mAP",
        "rows": rows,
        "tested": len(rows),
        "importance": [Importance("backbone", 0.625), Importance("lr", 0.125, "in quarters")],
        "measure": "eta squared",
    }
    return Table(**{**made, **changes})


TESTED = Versus(-0.10, -0.12, -0.08, 0.0004, 0.0008)
BOARD = Board(
    root="runs",
    finished=4,
    tables=[table(row("resnet50", 0.80, 0.82), row("vgg16", 0.70, 0.72, versus=TESTED, hours=0.5))],
    going=[Going("2026/going", 3, 60, "loss 2.5", 7200.0, {"loss": CURVE})],
    failed=[("sweep/003", "backbone=resnet1 is unknown")],
    damaged=[("2026/cut", "metrics.json is damaged")],
    studies=[Worth("sweep", "val mAP", [Importance("optimizer.lr", 0.75)], "PED-ANOVA of Optuna over 20 trials")],
    notes=["2 runs are of another version"],
)


def test_the_terminal_shows_every_row() -> None:
    text = leaderboard_text(BOARD)
    lines = text.splitlines()
    assert lines[0] == "7 runs in runs: 4 finished, 1 unfinished, 1 failed, 1 unreadable"
    first = next(line for line in lines if " resnet50 " in line)
    assert first.split() == (
        ["1", "resnet50", "0.00035", "2", "81.0", "±1.4", "78.0", "to", "84.0", "91.0", "±1.4", "best", "–", "123",
         "1.50", "25.6"]
    )  # fmt: skip
    assert "-10.0 (-12.0 to -8.0)  <0.001" in text
    for expected in ("2026/going: epoch 3 of 60, loss 2.5, last written 2 h ago", "sweep/003: backbone=resnet1 is unk",
                     "2026/cut: metrics.json is damaged", "val mAP: optimizer.lr 75.0% (PED-ANOVA"):  # fmt: skip
        assert expected in text
    assert "vgg16" not in leaderboard_text(BOARD, top=1)
    assert "and 1 more" in leaderboard_text(BOARD, top=1)


def test_csv_holds_unrounded_numbers_under_full_keys() -> None:
    first, second = csv.DictReader(io.StringIO(leaderboard_csv(BOARD)))
    assert (first["backbone.name"], first["optimizer.lr"], first["place"], first["seeds"]) == (
        "resnet50", "0.00035", "1", "0 1",
    )  # fmt: skip
    assert float(first["mAP"]) == np.mean([0.80, 0.82])
    assert float(first["mAP_std"]) == np.std([0.80, 0.82], ddof=1)
    assert first["difference"] == first["mINP"] == ""
    tested = [float(second[name]) for name in ("difference", "difference_low", "difference_high", "p", "p_holm")]
    assert tested == [-0.10, -0.12, -0.08, 0.0004, 0.0008]
    assert second["folders"].split("|") == ["2026/vgg16_0", "2026/vgg16_1"]
    assert float(second["parameters"]) == 25.6e6


def test_markdown_has_the_cells_of_the_terminal() -> None:
    lines = [line for line in leaderboard_markdown(BOARD).splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[0][:5] == ["#", "backbone", "lr", "runs", "mAP"]
    assert cells[2][:5] == ["1", "resnet50", "0.00035", "2", "81.0 ±1.4"]
    assert len({len(line) for line in cells}) == 1
    piped = Board("runs", 1, [table(row("a|b", 0.5))])
    assert "a\\|b" in leaderboard_markdown(piped)


def test_the_page_has_what_the_terminal_has() -> None:
    found = Reader(leaderboard_page(BOARD))
    for expected in (
        "resnet50", "81.0", "±1.4", "78.0 to 84.0", "-10.0", "<0.001", "1.50", "25.6", "market1501, cosine",
        "2026/going", "epoch 3 of 60", "backbone=resnet1 is unknown", "metrics.json is damaged", "62.5%", "in quarters",
        "PED-ANOVA", "2 runs are of another version", "mAP against hours of training",
    ):  # fmt: skip
        assert expected in found.text, expected
    assert "nan" not in found.text.lower()
    assert [cell.get("data-v") for tag, cell in found.tags if tag == "td" and cell.get("class") == "metric"] == [
        "0.81", "0.71",
    ]  # fmt: skip


def test_it_asks_for_nothing_and_runs_one_script() -> None:
    page = leaderboard_page(BOARD)
    found = Reader(page)
    assert not re.search(r"https?:|//[a-z]|url\(|@import", page)
    assert {tag for tag, _ in found.tags}.isdisjoint({"link", "iframe", "object", "base", "form", "img"})
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = [str(meta["content"]) for meta in found.all("meta") if "default-src" in str(meta.get("content"))]
    assert policy == f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"


def test_hostile_text_stays_text() -> None:
    bad = row(HOSTILE, 0.5, versus=Versus(why=HOSTILE), folders=(HOSTILE,))
    hostile = Board(
        HOSTILE,
        2,
        [table(row("a", 0.6), bad, title=HOSTILE, ground={HOSTILE: HOSTILE}, notes=[HOSTILE], measure=HOSTILE)],
        [HOSTILE, HOSTILE],
        [Going(HOSTILE, 1, 2, HOSTILE, 1.0, {"loss": CURVE})],
        [(HOSTILE, HOSTILE)],
        studies=[Worth(HOSTILE, HOSTILE, [Importance(HOSTILE, 0.5)], HOSTILE)],
    )
    found = Reader(leaderboard_page(hostile))
    assert len(found.all("script")) == 1
    assert not found.all("img")
    assert found.text.count("alert(1)") >= 12


@pytest.mark.parametrize("rows", [0, 1, 40])
def test_any_number_of_rows(rows: int) -> None:
    many = [row(f"net{i}", 0.9 - 0.01 * i) for i in range(rows)]
    board = Board("runs", 1, [table(*many)] if rows else [], damaged=[("a", "b")])
    found = Reader(leaderboard_page(board))
    assert len(found.all("tbody")) == min(rows, 1)
    assert sum(str(tag.get("class", "")).startswith("line s") for tag in found.all("path")) == min(rows, 5)
    assert sum(tag.get("class") == "faint" for tag in found.all("path")) == max(rows - 5, 0)
    assert leaderboard_markdown(board)
    assert leaderboard_text(board)
    assert len(leaderboard_csv(board).splitlines()) == rows + 1


def test_the_front_is_what_no_other_point_beats() -> None:
    points = [(float(a), float(b)) for a, b in np.random.default_rng(0).integers(0, 12, size=(60, 2))]
    beaten = {
        p for p in points for q in points
        if (q[0] <= p[0] and q[1] > p[1]) or (q[0] < p[0] and q[1] >= p[1])
    }  # fmt: skip
    assert [points[i] for i in pareto_front(points)] == sorted(set(points) - beaten)
