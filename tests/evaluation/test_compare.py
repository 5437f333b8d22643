"""Two evaluations side by side: one pair worked by hand, random pairs against their parts, and what is refused."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from reid.errors import UserError
from reid.evaluation import PROTOCOLS, Evaluation, Protocol, compare, evaluate

LINE: dict[str, Any] = {
    "query_pids": [1, 2, 9, 3],
    "gallery_pids": [1, 2, 3, 1],
    "query_camids": [1, 1, 1, 1],
    "gallery_camids": [2, 2, 2, 2],
    "distance": "euclidean",
}


def at(queries: list[float], **changes: Any) -> Evaluation:
    """Queries on a line whose gallery stands at 0, 1, 2 and 3.4 (identities 1, 2, 3, 1)."""
    arguments = {**LINE, **changes}
    gallery = np.array([0, 1, 2, 3.4])[: len(arguments["gallery_pids"]), None]
    return evaluate(np.array(queries, dtype=float)[:, None], gallery, **arguments)


def test_worked_by_hand() -> None:
    """a: ranks (1, 4), 2, -, 3; b: ranks (1, 4), 1, -, 2, so AP is 0.75, 1/2, -, 1/3 and then 0.75, 1, -, 1/2."""
    a, b = at([0, 0, 0, 0]), at([0, 1, 9, 1.1])
    result = compare(a, b)
    assert (result.a, result.b) == pytest.approx(((0.75 + 1 / 2 + 1 / 3) / 3, (0.75 + 1 + 1 / 2) / 3))
    assert result.difference == pytest.approx((1 / 2 + 1 / 6) / 3)
    assert result.changed.tolist() == [1, 3]
    assert result.ap_changes == pytest.approx([1 / 2, 1 / 6])
    assert result.p_value == 2 / 4  # identity 1 does not change; of four swaps of 2 and 3, none and all reach the sum
    assert (result.interval.low, result.interval.high) == pytest.approx((0, 1 / 2))  # 1 or 2 drawn three times: 1 in 27
    assert str(result).splitlines() == [
        "                a        b    b - a       95% interval       p",
        "     mAP   52.78%   75.00%   +22.22    +0.00 to +50.00  0.5000",
        "3 identities: resampled for the interval, swapped for p",
        "AP changed most: query 1 +50.00, query 3 +16.67",
        a.stamp,
    ]


def test_other_metrics_and_the_other_way_round() -> None:
    a, b = at([0, 0, 0, 0]), at([0, 1, 9, 1.1])
    rank, back = compare(a, b, metric="rank-1"), compare(b, a, changed=1)
    assert (rank.a, rank.b, rank.difference) == pytest.approx((1 / 3, 2 / 3, 1 / 3))
    assert rank.changed.tolist() == [1, 3]  # by AP still
    assert (back.changed.tolist(), back.ap_changes.tolist()) == ([1], [-0.5])
    assert back.difference == -compare(a, b).difference
    assert back.p_value == 0.5
    assert (back.interval.low, back.interval.high) == pytest.approx((-1 / 2, 0))


def test_a_model_against_itself() -> None:
    result = compare(at([0, 0, 0, 0]), at([0, 0, 0, 0]))
    assert (result.difference, result.p_value) == (0, 1)
    assert (result.interval.low, result.interval.high) == (0, 0)
    assert result.changed.tolist() == []
    assert "AP changed most: none" in str(result)


def test_one_identity_says_nothing() -> None:
    labels = {"query_pids": [1, 1], "gallery_pids": [2, 1], "query_camids": [1, 1], "gallery_camids": [2, 2]}
    result = compare(at([0, 0], **labels), at([1, 1], **labels))
    assert result.difference == 0.5
    assert result.p_value == 1
    assert np.isnan(result.interval.low)
    assert "unknown" in str(result)


def test_pairing_sees_what_two_intervals_cannot() -> None:
    """60 identities of which half are hopeless for both models; the second is a little better at the others."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(60, 8))
    gallery = np.repeat(centres, 3, axis=0) + 0.9 * rng.normal(size=(180, 8))
    query = np.repeat(centres, 2, axis=0)
    query[60:] = rng.normal(size=(60, 8))
    labels: dict[str, Any] = {
        "query_pids": np.repeat(np.arange(60), 2),
        "gallery_pids": np.repeat(np.arange(60), 3),
        "protocol": "no_camera",
    }
    noise = rng.normal(size=(120, 8)) * (np.arange(120) < 60)[:, None]
    a, b = (evaluate(query + scale * noise, gallery, **labels) for scale in (0.6, 0.3))
    result = compare(a, b)
    alone_a, alone_b = a.confidence_interval(), b.confidence_interval()
    assert alone_a.high > alone_b.low
    assert result.interval.low > 0
    assert result.p_value < 0.01
    order = sorted(range(120), key=lambda i: -abs(b.ap[i] - a.ap[i]))[:10]
    assert sorted(result.changed.tolist()) == sorted(order)
    assert result.ap_changes == pytest.approx(b.ap[result.changed] - a.ap[result.changed])
    assert (np.diff(np.abs(result.ap_changes)) <= 0).all()


@pytest.mark.parametrize(
    ("queries", "changes", "message"),
    [
        (
            [0, 0, 0, 0],
            {"protocol": "no_camera"},
            "numbers with unlike stamps are not comparable: a has [market1501; 0000 kept as distractors; same identity "
            "in the same camera ignored] where b has [no_camera; no distractors; cameras not considered]; evaluate "
            "both under one protocol and distance",
        ),
        ([0, 0, 0, 0], {"distance": "cosine"}, "a has [euclidean] where b has [cosine]"),
        (
            [0, 0, 0, 0],
            {"average_precision": "trapezoid"},
            "a has [AP = mean precision at each true match] where b has [AP = trapezoid rule]",
        ),
        (
            [0, 0, 0, 0],
            {"protocol": replace(PROTOCOLS["market1501"], flip="on", reranking="k-reciprocal 20 6 0.3")},
            "a has [] where b has [flip: on; re-ranked: k-reciprocal 20 6 0.3]",
        ),
        (
            [0, 0, 0, 0],
            {"protocol": Protocol("market1501", junk_pids=frozenset(), distractor_pids=frozenset({0}))},
            "a has [junk -1 ignored] where b has [no junk]",
        ),
        ([0, 0, 0], {"query_pids": [1, 2, 9], "query_camids": [1, 1, 1]}, "a has 4 queries and b 3"),
        ([0, 0, 0, 0], {"query_pids": [1, 3, 9, 2]}, "query 1 shows identity 2 in a and 3 in b"),
        ([0, 0, 0, 0], {"gallery_pids": [1, 2, 3], "gallery_camids": [2] * 3}, "a has 4 gallery images and b 3"),
        ([0, 0, 0, 0], {"gallery_pids": [1, 2, 3, 9]}, "query 0 has 2 true matches in a and 1 in b"),
        ([0, 0, 0, 0], {"gallery_camids": [2, 1, 2, 2]}, "query 1 has 1 true matches in a and 0 in b"),
    ],
)
def test_what_is_not_comparable(queries: list[float], changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        compare(at([0, 0, 0, 0]), at(queries, **changes))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "mA"}, "metric='mA' is unknown"),
        ({"changed": -1}, "changed=-1 must be 0 or more"),
        ({"flips": 0}, "flips=0 must be 1 or more"),
        ({"level": 1.0}, "level=1.0 must lie between"),
        ({"resamples": 1}, "resamples=1 are too few"),
    ],
)
def test_options_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        compare(at([0, 0, 0, 0]), at([0, 0, 0, 0]), **options)
