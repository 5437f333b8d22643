"""Several networks side by side."""

import re
from itertools import combinations
from typing import Any

import pytest
from report.networks import network, unmeasured
from report.pages import HOSTILE, Reader

from reid.report.anatomy_comparison import (
    comparison_markdown,
    comparison_page,
    comparison_rows,
    comparison_text,
)
from reid.report.scatter import labels, scatter

SMALL = network()
LARGE = network(
    backbone="large",
    parameters=23_508_032,
    macs=4_053_270_528,
    training_bytes=60 * 2**20,
    latency=[{"batch": 1, "milliseconds": 10.0, "images_per_second": 100.0}],
)


def accuracy(backbone: str, **changes: Any) -> dict[str, Any]:
    return {
        "backbone": backbone, "dataset": "toy", "image_size": [8, 4], "protocol": "market1501, cosine", "epochs": 60,
        "mAP": 0.8123, "rank-1": 0.9, "run": "runs/x", **changes,
    }  # fmt: skip


BOTH = {"tiny": accuracy("tiny"), "large": accuracy("large", mAP=0.9, **{"rank-1": 0.9})}


def cells(name: str, networks: list[dict[str, Any]], known: dict[str, Any]) -> list[tuple[str, bool]]:
    return [(row[name].text, row[name].best) for row in comparison_rows(networks, accuracy=known)]


def test_cells_and_the_best_of_each() -> None:
    both = [SMALL, LARGE]
    assert cells("parameters", both, {}) == [("216", True), ("23.5 M", False)]
    assert cells("MACs", both, {}) == [("1.73 k", True), ("4.05 G", False)]
    assert cells("training", both, {}) == [("5.0 MiB", True), ("60.0 MiB", False)]
    assert cells("inference", both, {}) == [("3.0 MiB", False), ("3.0 MiB", False)]  # none is better
    assert cells("ms/image at 1", both, {}) == [("2.5", True), ("10", False)]
    assert cells("ms/image at 32", both, {})[1] == ("–", False)
    assert cells("effective", both, {}) == [("28.1%", False), ("28.1%", False)]
    assert cells("shift 8 px", both, {}) == [("0.9135", False), ("0.9135", False)]
    assert cells("mAP", both, BOTH) == [("81.2%", False), ("90.0%", True)]
    assert cells("rank-1", both, BOTH) == [("90.0%", False), ("90.0%", False)]


def test_unlike_sizes_and_devices_have_no_best() -> None:
    other = {**LARGE, "size": [3, 16, 8]}
    assert not any(best for _, best in cells("MACs", [SMALL, other], {}))
    assert [text for text, _ in cells("input", [SMALL, other], {})] == ["3 × 8 × 4", "3 × 16 × 8"]
    assert not any(best for _, best in cells("ms/image at 1", [SMALL, {**LARGE, "device": "cuda:0"}], {}))


@pytest.mark.parametrize("unlike", [{"protocol": "other rules"}, {"dataset": "market1501"}, {"image_size": [16, 8]}])
def test_unlike_accuracies_are_told_apart(unlike: dict[str, Any]) -> None:
    known = {**BOTH, "large": accuracy("large", mAP=0.9, **unlike)}
    assert not any(best for _, best in cells("mAP", [SMALL, LARGE], known))
    assert len({text for text, _ in cells("trained on", [SMALL, LARGE], known)}) == 2
    page = comparison_page([SMALL, LARGE], accuracy=known)
    assert page.count("mAP against MACs") == 2 * 2  # a plot each, named in heading and label
    for known_protocol in {a["protocol"] for a in known.values()}:
        assert known_protocol in page


def test_who_was_not_trained_has_a_dash_and_nobody_no_column() -> None:
    assert cells("mAP", [SMALL, LARGE], {"tiny": accuracy("tiny")}) == [("81.2%", False), ("–", False)]
    assert cells("trained on", [SMALL], {"tiny": accuracy("tiny", epochs=1)}) == [("toy, 8 × 4, 1 epoch [a]", False)]
    assert "mAP" not in comparison_rows([SMALL], accuracy={"someone else": accuracy("x")})[0]


def test_an_accuracy_without_its_network_leaves_no_trace() -> None:
    assert "elsewhere" not in comparison_page([SMALL], accuracy={"absent": accuracy("absent", dataset="elsewhere")})


def test_text_and_markdown_hold_the_same_cells() -> None:
    rows = comparison_rows([SMALL, LARGE], accuracy=BOTH)
    text = comparison_text([SMALL, LARGE], accuracy=BOTH)
    markdown = comparison_markdown([SMALL, LARGE], accuracy=BOTH)
    lines = markdown.splitlines()
    assert re.fullmatch(r"(\| :?--:? )+\|", lines[1])
    assert len({line.count("|") for line in lines[:4]}) == 1
    for row, line in zip(rows, lines[2:4], strict=True):
        assert [c.strip().strip("*") for c in line.strip("|").split(" | ")] == [c.text for c in row.values()]
        assert all(c.text in text for c in row.values())
    assert "90.0%*" in text
    assert "**90.0%**" in markdown
    assert "[a] market1501, cosine" in text
    assert "[a] market1501, cosine" in markdown


def test_page_is_whole_and_escaped() -> None:
    hostile = network(backbone=HOSTILE, device=HOSTILE)
    known = {HOSTILE: accuracy(HOSTILE, dataset=HOSTILE, protocol=HOSTILE)}
    text = comparison_page([hostile, LARGE, unmeasured(backbone="meta")], accuracy=known, title=HOSTILE)
    found = Reader(text)
    assert not found.all("script")
    assert not found.all("img")
    assert found.text.count("alert(1)") >= 8
    assert "nan" not in found.text.lower()
    for row in comparison_rows([hostile, LARGE], accuracy=known):
        assert all(cell.text in found.text for cell in row.values())
    plain = comparison_page([SMALL, LARGE], accuracy=BOTH)
    assert not re.search(r"https?:|//[a-z]|url\(|@import", plain)
    assert {tag for tag, _ in Reader(plain).tags}.isdisjoint({"script", "link", "iframe", "img"})


def test_nothing_to_compare() -> None:
    assert comparison_text([], accuracy={}) == comparison_markdown([], accuracy={}) == ""
    assert "There is no network to compare." in Reader(comparison_page([], accuracy={})).text
    assert "meta" in Reader(comparison_page([unmeasured(backbone="meta")], accuracy={})).text


def test_points_are_where_their_logarithms_are() -> None:
    points = [("a", 1e6, 1e3), ("b", 1e8, 1e5), ("gone", 0.0, 1.0)]
    text = scatter("t", points, x_label="x", x_format=str, y_format=str, log_y=True)
    # The axes go from 10^6 to 10^8 and from 10^3 to 10^5, so the points are in the corners.
    assert re.findall(r'class="spot" data-name="(\w)" d="([^"]*)"', text) == [
        ("a", "M0.00 100.00h0"),
        ("b", "M100.00 0.00h0"),
    ]
    assert "gone" not in text


def test_names_keep_apart() -> None:
    places = [("resnet50", 50.0, 50.0), ("resnet34", 52.0, 51.0), ("osnet_x1_0", 49.0, 52.0), ("vit", 97.0, 50.0)]
    found = labels(places)
    boxes = []
    for (name, x, _), (side, y) in zip(places, found, strict=True):
        wide = 2.0 * len(name)
        left = {"": x + 3, "before": x - 3 - wide, "over": x - wide / 2}[side]
        boxes.append((left, left + wide, y))
    for a, b in combinations(boxes, 2):
        assert a[1] <= b[0] or b[1] <= a[0] or abs(a[2] - b[2]) >= 6
    assert found[-1][0]  # not to the right, where there is no room
