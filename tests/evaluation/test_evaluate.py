"""The result object on one problem worked by hand, and every error a user can meet."""

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from reid.errors import UserError
from reid.evaluation import PROTOCOLS, Protocol, check_labels, evaluate, ranked_gallery

# On a line, the query at 0: images at 1, 2, 3, ... are ranked in this order.
LINE = {
    "query_features": [[0.0], [0.0], [0.0], [0.0]],
    "gallery_features": [[1.0], [2.0], [3.0], [4.0], [5.0], [6.0]],
    "query_pids": [1, 2, 9, 3],
    "gallery_pids": [-1, 1, 0, 2, 1, 3],
    "query_camids": [1, 1, 1, 5],
    "gallery_camids": [1, 2, 1, 2, 3, 5],
    "distance": "euclidean",
}


def test_worked_by_hand():
    """Without the junk at 1, identity 1 stands at ranks 1 and 4, 2 at 3; 9 is absent; 3 only in its own camera."""
    result = evaluate(**LINE)
    assert [result.match_ranks(i).tolist() for i in range(4)] == [[1, 4], [3], [], []]
    assert result.ap[:2] == pytest.approx([(1 + 2 / 4) / 2, 1 / 3])
    assert result.inp[:2] == pytest.approx([2 / 4, 1 / 3])
    assert np.isnan(result.ap[2:]).all()
    assert np.isnan(result.inp[2:]).all()
    assert result.cmc.tolist() == [0.5, 0.5, 1, 1, 1, 1]
    assert result.cmc.dtype == result.ap.dtype == np.float64
    assert result.match_ranks(2).dtype == np.int64
    assert (result.queries, result.queries_without_match) == (4, 2)
    assert result.unmatched_reasons == {
        "identity not in the gallery": 1,
        "identity only in the query's own camera": 1,
    }
    assert result.protocol == replace(PROTOCOLS["market1501"], distance="euclidean")
    assert result.matches.tolist() == [2, 1, 0, 0]


def test_dictionary():
    result = evaluate(**LINE)
    numbers = json.loads(json.dumps(result.to_dict()))
    assert numbers == {
        "mAP": pytest.approx((3 / 4 + 1 / 3) / 2),
        "rank-1": 0.5,
        "rank-5": 1.0,
        "rank-10": 1.0,
        "rank-20": 1.0,
        "mINP": pytest.approx((1 / 2 + 1 / 3) / 2),
        "protocol": replace(PROTOCOLS["market1501"], distance="euclidean").stamp,
        "queries": 4,
        "queries_without_match": 2,
    }


def test_table():
    assert str(evaluate(**LINE)).splitlines() == [
        "     mAP   rank-1   rank-5  rank-10  rank-20     mINP",
        "  54.17%   50.00%  100.00%  100.00%  100.00%   41.67%",
        "4 queries; 1 left out: identity not in the gallery; 1 left out: identity only in the query's own camera",
        replace(PROTOCOLS["market1501"], distance="euclidean").stamp,
    ]


def test_a_protocol_of_ones_own():
    mine = Protocol("mine", junk_pids=frozenset(), distractor_pids=frozenset({-1, 0}))
    result = evaluate(**LINE, protocol=mine)
    assert result.match_ranks(0).tolist() == [2, 5]
    assert result.to_dict()["protocol"].startswith("mine: no junk, -1 0000 kept")


def test_rank_zero():
    with pytest.raises(UserError, match="ranks count from 1"):
        evaluate(**LINE).rank(0)


REST = [[1.0]] * 4
NAN, INF, HUGE = [[1.0], [np.nan], *REST], [[np.inf], [1.0], *REST], [[1.0], [1e300], *REST]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"protocol": "market"},
            "protocol='market' is unknown; choose one of market1501, msmt17, cuhk03_single_shot, no_camera",
        ),
        ({"distance": "l2"}, "distance='l2' is unknown; choose one of cosine, euclidean"),
        ({"query_features": [1.0, 2.0]}, r"query_features must be .* \[images, dimensions\], not float64 \[2\]"),
        ({"gallery_features": [["a"]] * 6}, "gallery_features must be numbers"),
        ({"query_features": np.zeros((0, 1))}, r"query_features is empty \(shape \[0, 1\]\)"),
        ({"gallery_features": np.zeros((0, 1))}, "gallery_features is empty"),
        ({"gallery_features": np.zeros((6, 0))}, "gallery_features is empty"),
        ({"query_features": NAN[:4]}, "query_features: row 1 holds a value that is NaN or infinite"),
        ({"gallery_features": INF}, "gallery_features: row 0 holds"),
        ({"gallery_features": HUGE}, "gallery_features: row 1 holds .* in float32"),
        ({"gallery_features": torch.tensor(NAN)}, "gallery_features: row 1 holds"),
        ({"query_features": np.ones((4, 1), dtype=int)}, r"query_features are whole numbers \(int64\); give floating"),
        ({"gallery_features": torch.ones(6, 1).long()}, r"gallery_features are whole numbers \(int64\)"),
        ({"gallery_features": [[True]] * 6}, r"gallery_features are whole numbers \(bool\)"),
        ({"gallery_features": np.ones((6, 1), dtype=complex)}, "gallery_features must be numbers of shape"),
        ({"gallery_features": [[1.0], [1.0, 2.0]]}, "gallery_features must be numbers of shape"),
        ({"gallery_features": np.full((6, 1), np.nan)}, "gallery_features: rows 0, 1, 2 and more hold a value"),
        ({"gallery_features": np.ones((6, 2))}, "query_features have 1 dimensions and gallery_features 2"),
        ({"gallery_pids": None}, "gallery_pids missing; give the identity of each image"),
        ({"query_pids": [1, 2]}, "query_pids has 2 values for 4 images"),
        ({"gallery_pids": [1] * 7}, "gallery_pids has 7 values for 6 images"),
        ({"query_camids": [1]}, "query_camids has 1 values for 4 images"),
        ({"gallery_camids": np.ones((6, 1), dtype=int)}, r"gallery_camids has shape \[6, 1\] for 6 images"),
        ({"query_pids": [1.0, 2.0, 3.0, 4.0]}, "query_pids must be integers, not float64"),
        ({"gallery_pids": ["a"] * 6}, "gallery_pids must be integers"),
        ({"query_camids": None}, "query_camids missing: protocol market1501 .* protocol='no_camera'"),
        ({"query_camids": None, "gallery_camids": None}, "query_camids and gallery_camids missing"),
        ({"query_pids": [1, 2, 0, 3]}, "query 2 has identity 0, which protocol market1501 reserves"),
        ({"query_pids": [1, -1, 2, 3]}, "query 1 has identity -1, which protocol market1501 reserves"),
    ],
)
@pytest.mark.parametrize("function", [evaluate, ranked_gallery])
def test_errors_name_the_argument_and_the_way_out(function, changes, message):
    with pytest.raises(UserError, match=message) as caught:
        function(**{**LINE, **changes})
    assert "\n" not in str(caught.value)


MORE = [
    ({"average_precision": "map"}, "average_precision='map' is unknown; choose one of precision_at_hit, trapezoid"),
    ({"protocol": "time_gap"}, "query_tracks and gallery_tracks missing: protocol time_gap ignores matches of the"),
    ({"protocol": "time_gap", "query_times": [0] * 4}, "query_tracks and gallery_tracks missing"),
    ({"protocol": Protocol("p", ignore_within=5)}, "query_times and gallery_times missing: protocol p ignores matches"),
    ({"protocol": "cross_camera_only", "query_camids": None}, "query_camids missing: .* images of the query's own"),
    ({"query_times": ["a"] * 4}, "query_times must be finite numbers"),
    ({"gallery_times": [np.nan] * 6}, "gallery_times must be finite numbers"),
    ({"query_tracks": [0.5] * 4}, "query_tracks must be integers, not float64"),
    ({"query_gallery_index": [0, 1]}, "query_gallery_index has 2 values for 4 images"),
    ({"query_gallery_index": [-1, -1, -1, 6]}, "query 3 has 6, and the gallery has 6 images; count from 0"),
    ({"query_gallery_index": [-2, -1, -1, -1]}, "query_gallery_index: query 0 has -2"),
    ({"query_gallery_index": [-1, 4, -1, -1]}, "query 1 shows identity 2 and gallery image 4, .* 1; check the order"),
]


@pytest.mark.parametrize(("changes", "message"), MORE)
def test_errors_of_further_labels(changes, message):
    with pytest.raises(UserError, match=message) as caught:
        evaluate(**{**LINE, **changes})
    assert "\n" not in str(caught.value)


def test_an_evaluation_of_one_gallery_has_no_spread():
    with pytest.raises(UserError, match="needs two trials or more, and protocol market1501 has 0"):
        evaluate(**LINE).spread()


def test_an_evaluation_can_be_pickled_without_its_features():
    result = evaluate(**LINE)
    again = pickle.loads(pickle.dumps(result))
    assert again.to_dict() == result.to_dict()
    assert again.match_ranks(0).tolist() == [1, 4]
    with pytest.raises(UserError, match="was pickled"):
        again.by_camera()
    assert result.by_camera().queries.sum() == 3


def test_labels_alone_tell_what_is_hopeless():
    labels = {name: LINE[name] for name in ("query_pids", "gallery_pids", "query_camids", "gallery_camids")}
    check_labels(**labels, protocol="market1501")
    with pytest.raises(UserError, match="none of the 4 queries has a true match"):
        check_labels(**{**labels, "query_pids": [7, 8, 9, 5]}, protocol="market1501")
    with pytest.raises(UserError, match="query_times and gallery_times missing"):
        check_labels(**labels, protocol=Protocol("p", ignore_within=1))
