"""Metrics worked by hand, and the examples in the docstrings of the whole folder."""

import doctest
import importlib
import pkgutil

import numpy as np
import pytest
from reference import brute_force

import reid.evaluation
from reid.errors import UserError
from reid.evaluation.metrics import (
    average_precision,
    average_precisions,
    cumulative_matching,
    inverse_negative_penalties,
    inverse_negative_penalty,
)


@pytest.mark.parametrize(
    ("ranks", "ap", "inp"),
    [
        ([1], 1, 1),
        ([1, 2, 3], 1, 1),
        ([4], 1 / 4, 1 / 4),
        ([2, 3], (1 / 2 + 2 / 3) / 2, 2 / 3),
        ([1, 3, 6], (1 + 2 / 3 + 3 / 6) / 3, 3 / 6),
        ([1, 2, 100], (1 + 1 + 3 / 100) / 3, 3 / 100),
    ],
)
def test_one_query(ranks, ap, inp):
    assert average_precision(np.array(ranks)) == pytest.approx(ap)
    assert inverse_negative_penalty(np.array(ranks)) == pytest.approx(inp)


@pytest.mark.parametrize(
    ("ranks", "ap"),
    [
        ([1], 1),
        ([1, 2, 3], 1),
        ([1, 3], (1 + (1 / 2 + 2 / 3) / 2) / 2),  # 0.792, where the precision at each match gives 0.833
        ([2], (0 + 1 / 2) / 2),
        ([4], (0 + 1 / 4) / 2),
        ([2, 3], ((0 + 1 / 2) / 2 + (1 / 2 + 2 / 3) / 2) / 2),
    ],
)
def test_trapezoid(ranks, ap):
    assert average_precision(np.array(ranks), "trapezoid") == pytest.approx(ap)
    assert brute_force.trapezoid_average_precision(ranks) == pytest.approx(ap)


def test_many_queries_at_once_equal_one_at_a_time():
    rng = np.random.default_rng(0)
    for _ in range(50):
        counts = rng.integers(0, 6, rng.integers(1, 8))
        ranks = [np.sort(rng.choice(20, count, replace=False)) + 1 for count in counts]
        flat = np.concatenate(ranks).astype(np.int64)
        found = {
            brute_force.average_precision: average_precisions(flat, counts),
            brute_force.trapezoid_average_precision: average_precisions(flat, counts, "trapezoid"),
            brute_force.inverse_negative_penalty: inverse_negative_penalties(flat, counts),
        }
        for slow, values in found.items():
            expected = [slow(r.tolist()) if len(r) else np.nan for r in ranks]
            assert values == pytest.approx(expected, nan_ok=True)


def test_curve():
    first = np.array([2, 1, 7, 2])
    assert cumulative_matching(first, 5).tolist() == [0.25, 0.75, 0.75, 0.75, 0.75]
    assert cumulative_matching(first, 1).tolist() == [0.25]
    assert cumulative_matching(first, 9).tolist() == [0.25, 0.75, 0.75, 0.75, 0.75, 0.75, 1, 1, 1]


@pytest.mark.parametrize("metric", [average_precision, inverse_negative_penalty])
@pytest.mark.parametrize(
    ("ranks", "message"), [([], "ranks are empty"), ([0, 1], "1 or more"), ([2, 1], "ascending"), ([1, 1], "ascending")]
)
def test_ranks_that_are_none(metric, ranks, message):
    with pytest.raises(UserError, match=message):
        metric(np.array(ranks, dtype=np.int64))


def test_curves_that_are_none():
    with pytest.raises(UserError, match="length=0"):
        cumulative_matching(np.array([1]), 0)
    with pytest.raises(UserError, match="ranks are empty"):
        cumulative_matching(np.array([], dtype=np.int64), 3)
    with pytest.raises(UserError, match="1 or more"):
        cumulative_matching(np.array([3, 0]), 3)


@pytest.mark.parametrize("name", [m.name for m in pkgutil.walk_packages(reid.evaluation.__path__, "reid.evaluation.")])
def test_docstring_examples(name):
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0


def test_every_public_function_has_an_example():
    modules = (
        "protocol",
        "protocols",
        "labels",
        "pairs",
        "gallery",
        "stream",
        "ranking.scores",
        "ranking.ranks",
        "ranking.tracks",
        "metrics",
    )
    modules += ("search.lists", "evaluate", "uncertainty", "compare", "cameras")
    attempted = [doctest.testmod(importlib.import_module(f"reid.evaluation.{name}")).attempted for name in modules]
    assert all(attempted)
