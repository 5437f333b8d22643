"""Intervals and p-values against loops and exact enumeration, and by how often they are right on simulated sets."""

import itertools
import math
import random

import numpy as np
import pytest

from reid.errors import UserError
from reid.evaluation import Evaluation, evaluate
from reid.evaluation.uncertainty import confidence_interval, identity_sums, resampled_means, sign_flip_p_value


def clustered(rng: np.random.Generator, identities: int, spread: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Values of mean 0, 1 to 6 queries an identity, most of their variance shared within an identity."""
    pids = np.repeat(np.arange(identities), rng.integers(1, 7, identities))
    return spread * rng.normal(size=identities)[pids] + 0.5 * rng.normal(size=len(pids)), pids


def slow_mean(values: list[float], pids: list[int], drawn: list[int]) -> float:
    """Gather the queries of every identity drawn, as often as it was drawn, and average them."""
    gathered = [v for pid in drawn for v, p in zip(values, pids, strict=True) if p == pid and not math.isnan(v)]
    return sum(gathered) / len(gathered)


def test_resampled_means_equal_the_loop() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        pids = rng.integers(-3, 9, int(rng.integers(1, 40)))
        values = rng.random(len(pids))
        values[1:][rng.random(len(pids) - 1) < 0.3] = np.nan
        known = sorted({int(p) for p, v in zip(pids, values, strict=True) if not np.isnan(v)})
        draws = rng.integers(len(known), size=(7, len(known)))
        expected = [slow_mean(values.tolist(), pids.tolist(), [known[i] for i in row]) for row in draws]
        assert resampled_means(*identity_sums(values, pids), draws) == pytest.approx(expected, rel=1e-12)


def test_interval_equals_that_of_a_loop_with_other_random_numbers() -> None:
    values, pids = clustered(np.random.default_rng(1), 40)
    values[::7] = np.nan
    known = sorted({int(p) for p, v in zip(pids, values, strict=True) if not np.isnan(v)})
    by_pid = {pid: [v for v in values[pids == pid].tolist() if not math.isnan(v)] for pid in known}
    draw = random.Random(0)
    means = []
    for _ in range(4000):
        drawn = [by_pid[pid] for pid in draw.choices(known, k=len(known))]
        means.append(sum(map(sum, drawn)) / sum(map(len, drawn)))
    means.sort()
    interval = confidence_interval(values, pids, level=0.9, resamples=4000, seed=0)
    error = 0.1 * np.std(means)  # some four standard errors of a 5% quantile of 4,000
    assert interval.low == pytest.approx(means[200], abs=error)
    assert interval.high == pytest.approx(means[3800], abs=error)
    assert (interval.level, interval.identities, interval.resamples) == (0.9, len(known), 4000)


def test_two_identities_worked_by_hand() -> None:
    """Identity 1 scores (1, 1, 0), 2 scores 0: the mean is 2/3, 1/2 or 0 with probability 1/4, 1/2, 1/4."""
    values, pids = np.array([1.0, 0.0, 1.0, 0.0]), np.array([1, 2, 1, 1])
    ends = {}
    for level in (0.95, 0.6, 0.4):
        interval = confidence_interval(values, pids, level=level, resamples=1000)
        ends[level] = [interval.low, interval.high]
    assert ends == {level: pytest.approx([0, 2 / 3]) for level in (0.95, 0.6)} | {0.4: pytest.approx([0.5, 0.5])}


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_equal_queries_leave_no_width(value: float) -> None:
    interval = confidence_interval(np.full(50, value), np.arange(50) // 3)
    assert [interval.low, interval.high] == pytest.approx([value, value], abs=1e-15)


def test_one_identity_gives_no_interval() -> None:
    interval = confidence_interval(np.array([0.2, 0.9, np.nan]), np.array([4, 4, 5]))
    assert np.isnan([interval.low, interval.high]).all()
    assert interval.identities == 1
    assert "single identity" in str(interval)


def test_correlated_queries_widen_the_interval() -> None:
    """4 equal queries an identity carry the news of one: twice as wide as if they were independent."""
    pids = np.repeat(np.arange(200), 4)
    values = np.random.default_rng(2).normal(size=200)[pids]
    by_identity, by_query = (confidence_interval(values, ids, resamples=4000) for ids in (pids, np.arange(800)))
    assert (by_identity.high - by_identity.low) / (by_query.high - by_query.low) == pytest.approx(2, rel=0.1)


def test_interval_covers_the_true_mean_as_often_as_it_says() -> None:
    """500 sets of 60 identities at level 0.9; the bounds are four standard errors of a share, 0.013, either way."""
    rng = np.random.default_rng(3)
    hits = {"identities": 0, "queries": 0}
    for seed in range(500):
        values, pids = clustered(rng, 60)
        for name, ids in (("identities", pids), ("queries", np.arange(len(pids)))):
            interval = confidence_interval(values, ids, level=0.9, resamples=300, seed=seed)
            hits[name] += interval.low <= 0 <= interval.high
    assert 0.846 <= hits["identities"] / 500 <= 0.954
    assert hits["queries"] / 500 < 0.7  # what the clusters are for


def test_the_seed_decides_and_blocks_of_draws_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    values, pids = clustered(np.random.default_rng(4), 30)
    first = confidence_interval(values, pids, seed=5), sign_flip_p_value(values, pids, seed=5)
    np.random.seed(0)
    assert (confidence_interval(values, pids, seed=5), sign_flip_p_value(values, pids, seed=5)) == first
    assert confidence_interval(values, pids, seed=6) != first[0]
    monkeypatch.setattr("reid.evaluation.uncertainty._DRAWS", 1000)
    assert confidence_interval(values, pids, seed=5) == first[0]
    assert sign_flip_p_value(values, pids, seed=5) == pytest.approx(first[1], abs=0.02)


def test_p_value_of_few_identities_counts_every_swap() -> None:
    rng = np.random.default_rng(5)
    for _ in range(40):
        pids = rng.integers(0, 8, int(rng.integers(1, 25)))
        differences = rng.integers(-2, 3, len(pids)) / 10  # many ties and zeros
        totals = []
        for signs in itertools.product((1, -1), repeat=8):
            totals.append(sum(signs[p] * round(10 * d) for p, d in zip(pids, differences, strict=True)))
        share = sum(abs(total) >= abs(totals[0]) for total in totals) / len(totals)
        assert sign_flip_p_value(differences, pids) == share


def test_p_value_by_hand() -> None:
    assert sign_flip_p_value(np.full(5, 0.1), np.arange(5)) == 2 / 2**5  # only none and all swapped reach it
    assert sign_flip_p_value(np.full(5, 0.1), np.zeros(5, dtype=np.int64)) == 1  # one identity proves nothing
    assert sign_flip_p_value(np.zeros(5), np.arange(5)) == 1
    few = np.array([0.1] * 3 + [0.0] * 40)  # of 43 identities the 3 that changed decide, by all their 8 swaps
    assert sign_flip_p_value(few, np.arange(43)) == 2 / 2**3
    assert sign_flip_p_value(np.full(100, 0.1), np.arange(100), flips=499) == 1 / 500  # none of the random swaps


def test_random_swaps_come_close_to_all_of_them() -> None:
    rng = np.random.default_rng(6)
    for _ in range(5):
        values, pids = clustered(rng, 12)
        every, some = (sign_flip_p_value(values + 0.2, pids, flips=flips) for flips in (4095, 4000))
        assert some == pytest.approx(every, abs=4 * math.sqrt(0.25 / 4000) + 1 / 4000)
        assert every == sign_flip_p_value(values + 0.2, pids, flips=4095, seed=1)
        assert some != sign_flip_p_value(values + 0.2, pids, flips=4000, seed=1)


def test_p_values_are_uniform_where_there_is_no_difference() -> None:
    """Kolmogorov-Smirnov distance of 400 p-values from the uniform: below 1.63 / sqrt(400) in 99% of all seeds."""
    rng = np.random.default_rng(7)
    distances = []
    for by_identity in (True, False):
        p_values = []
        for seed in range(400):
            values, pids = clustered(rng, 30)
            ids = pids if by_identity else np.arange(len(pids))
            p_values.append(sign_flip_p_value(values, ids, flips=199, seed=seed))
        places = np.arange(1, 401) / 400
        distances.append(np.abs(np.sort(p_values) - places).max())
    assert distances[0] < 1.63 / 20
    assert distances[1] > 0.2  # queries taken for independent ones find differences that are not there


def test_a_true_difference_is_found() -> None:
    values, pids = clustered(np.random.default_rng(8), 100)
    assert sign_flip_p_value(values + 0.6, pids) < 0.001
    assert sign_flip_p_value(-values - 0.6, pids) < 0.001


# Queries 0 to 3 at 0 on a line; identity 1 stands at ranks 1 and 4, identity 2 at 3, and 9 is absent.
def small() -> Evaluation:
    return evaluate(
        [[0.0]] * 4,
        [[1.0], [2.0], [3.0], [4.0]],
        query_pids=[1, 2, 9, 1],
        gallery_pids=[1, 5, 2, 1],
        protocol="no_camera",
        distance="euclidean",
    )


@pytest.mark.parametrize(
    ("metric", "values"),
    [
        ("mAP", [0.75, 1 / 3, np.nan, 0.75]),
        ("mINP", [0.5, 1 / 3, np.nan, 0.5]),
        ("rank-1", [1, 0, np.nan, 1]),
        ("rank-2", [1, 0, np.nan, 1]),
        ("rank-3", [1, 1, np.nan, 1]),
        ("rank-99", [1, 1, np.nan, 1]),
    ],
)
def test_values_of_each_query(metric: str, values: list[float]) -> None:
    result = small()
    assert result.per_query(metric) == pytest.approx(values, nan_ok=True)
    expected = result.to_dict()[metric] if metric in result.to_dict() else result.rank(int(metric[5:]))
    assert np.nanmean(result.per_query(metric)) == pytest.approx(expected)
    interval = result.confidence_interval(metric, level=0.9, resamples=500)  # two identities: the ends are each alone
    assert [interval.low, interval.high] == pytest.approx(sorted([values[1], values[0]]))


def test_defaults() -> None:
    result = small()
    assert result.query_pids.tolist() == [1, 2, 9, 1]
    interval = result.confidence_interval()
    assert (interval.level, interval.identities, interval.resamples) == (0.95, 2, 1000)
    assert interval == result.confidence_interval("mAP", 0.95, 1000, 0)
    assert str(interval) == "33.33% to 75.00% (95%, 2 identities)"


@pytest.mark.parametrize("metric", ["map", "rank-0", "rank-", "rank-1.5", "rank--1", "rank-01", "top-1", ""])
def test_unknown_metric(metric: str) -> None:
    with pytest.raises(UserError, match=f"metric='{metric}' is unknown; choose mAP, mINP, rank-1"):
        small().confidence_interval(metric)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": 0}, "level=0 must lie between 0 and 1"),
        ({"level": 95}, "level=95 must lie between 0 and 1; 0.95 asks"),
        ({"resamples": 39}, "resamples=39 are too few for level=0.95; give 40 or more"),
        ({"level": 0.99, "resamples": 100}, "give 200 or more"),
    ],
)
def test_interval_errors(options: dict[str, float], message: str) -> None:
    with pytest.raises(UserError, match=message):
        small().confidence_interval(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("function", [confidence_interval, sign_flip_p_value])
def test_values_that_have_no_mean(function) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UserError, match="every value is NaN"):
        function(np.full(3, np.nan), np.arange(3))
    with pytest.raises(UserError, match="2 values for 3 identities"):
        function(np.zeros(2), np.arange(3))


def test_no_flips() -> None:
    with pytest.raises(UserError, match="flips=0 must be 1 or more"):
        sign_flip_p_value(np.zeros(2), np.arange(2), flips=0)
