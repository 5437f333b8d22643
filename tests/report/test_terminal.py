import doctest

import pytest

from reid.report import charts, facts, metric_table, ranked, terminal, text

METRICS = {
    "mAP": 0.84321,
    "rank-1": 0.93616,
    "rank-5": 0.9775,
    "rank-10": 1.0,
    "mINP": 0.0449,
    "protocol": "market1501 | cosine",
    "queries": 3368,
    "queries_without_match": 2,
}


def test_columns_line_up_and_numbers_are_rounded() -> None:
    head, rule, row, blank, *stamp = metric_table(METRICS).splitlines()
    assert head.split() == ["mAP", "rank-1", "rank-5", "rank-10", "mINP"]
    assert row.split() == ["84.3%", "93.6%", "97.8%", "100.0%", "4.5%"]
    assert len(head) == len(rule) == len(row)
    assert [head.index(name) + len(name) for name in head.split()] == [
        row.index(value) + len(value) for value in row.split()
    ]
    assert blank == ""
    assert stamp == ["protocol  market1501 | cosine", "queries   3,368, of these 2 without a match in the gallery"]


def test_queries_without_a_match_are_told_only_if_there_are_any() -> None:
    assert "without" not in metric_table({**METRICS, "queries_without_match": 0})


def test_what_is_known_about_the_model_stands_below() -> None:
    table = metric_table({**METRICS, "model": "last epoch (15)", "split": "test", "feature": "after BNNeck"})
    assert table.splitlines()[-3:] == ["split     test", "feature   after BNNeck", "model     last epoch (15)"]


def test_interval_of_the_map_stands_below() -> None:
    lines = metric_table({**METRICS, "mAP_interval": [0.8212, 0.8649]}).splitlines()
    assert lines[5] == "interval  mAP 82.1% to 86.5% (95%, for other identities)"


@pytest.mark.parametrize("metrics", [{}, {"mAP": float("nan"), "rank-1": None}])
def test_no_numbers_are_dashes(metrics: dict[str, object]) -> None:
    assert metric_table(metrics).splitlines()[2].split() == ["–"] * 5


def test_several_targets_have_a_row_each() -> None:
    toy = {"dataset": "toy", "gallery": 1200, **METRICS}
    mine = {**toy, "dataset": "my long name", "mAP": 0.25, "rank-1": None, "queries": 7, "queries_without_match": 0}
    head, rule, first, second, blank, *stamp = metric_table(
        {**METRICS, "model": "m", "targets": [toy, mine]}
    ).splitlines()
    assert head.split() == ["mAP", "rank-1", "rank-5", "rank-10", "mINP", "queries", "gallery"]
    assert first.split() == ["toy", "84.3%", "93.6%", "97.8%", "100.0%", "4.5%", "3,368", "1,200"]
    assert second.split() == ["my", "long", "name", "25.0%", "–", "97.8%", "100.0%", "4.5%", "7", "1,200"]
    assert len(head) == len(rule) == len(first) == len(second)
    assert blank == ""
    assert stamp == ["protocol  market1501 | cosine", "no match  2 queries of toy", "model     m"]


def test_unlike_protocols_of_targets_are_told_apart() -> None:
    rows = [{"dataset": name, "protocol": stamp} for name, stamp in (("a", "x"), ("b", "y"), ("c", "x"))]
    assert metric_table({"targets": rows}).splitlines()[-2:] == ["protocol  x (a, c)", "          y (b)"]


def test_table_has_no_escape_codes() -> None:
    assert "\x1b" not in metric_table(METRICS)


def test_facts_align() -> None:
    assert facts({"net": "resnet50", "batch": "16 x 4"}) == "net    resnet50\nbatch  16 x 4"
    assert facts({"a": "one\ntwo", "bc": ""}) == "a   one\n    two\nbc"
    assert facts({}) == ""


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0, "0"), (0.000350, "0.00035"), (3.5e-6, "3.5e-6"), (1480.4, "1480"), (2.5e7, "2.5e7"), (-12.34, "-12.3")],
)
def test_short_numbers(value: float, expected: str) -> None:
    assert text.short(value) == expected


@pytest.mark.parametrize("exponent", range(-8, 4))
def test_learning_rates(exponent: int) -> None:
    assert text.scientific(float(f"1e{exponent}")) == f"1e{exponent}"
    assert text.scientific(float(f"3.5e{exponent}")) == f"3.5e{exponent}"


@pytest.mark.parametrize("module", [terminal, text, charts, ranked])
def test_examples_of_the_docstrings(module: object) -> None:
    failed, tried = doctest.testmod(module)  # type: ignore[arg-type]
    assert tried
    assert not failed
