"""The camera matrix: one problem by hand, random ones against the brute force on each camera alone, and errors."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from reference import brute_force
from reference.cases import random_case

from reid.errors import UserError
from reid.evaluation import PROTOCOLS, by_camera, evaluate

# On a line, all queries at 0: images are ranked in this order.
LINE: dict[str, Any] = {
    "query_features": [[0.0], [0.0], [0.0], [0.0]],
    "gallery_features": [[1.0], [2.0], [3.0], [4.0], [5.0], [6.0], [7.0]],
    "query_pids": [1, 2, 9, 3],
    "gallery_pids": [-1, 1, 0, 2, 1, 3, 1],
    "query_camids": [1, 1, 1, 5],
    "gallery_camids": [3, 2, 3, 2, 3, 5, 7],
    "distance": "euclidean",
}


def test_worked_by_hand() -> None:
    """In camera 2: 1 at rank 1, 2 at rank 2. In 3: junk, a distractor, then 1 at rank 2. In 5: only the query's own."""
    result = by_camera(**LINE)
    nan = np.nan
    assert result.query_camids.tolist() == [1, 5]
    assert result.gallery_camids.tolist() == [2, 3, 5, 7]
    assert result.mAP == pytest.approx(np.array([[0.75, 0.5, nan, 1], [nan, nan, nan, nan]]), nan_ok=True)
    assert result.queries.tolist() == [[2, 1, 0, 1], [0, 0, 0, 0]]
    assert str(result).splitlines() == [
        "     mAP        2        3        5        7",
        "       1   75.00%   50.00%        -  100.00%",
        "       5        -        -        -        -",
        "query cameras downwards, gallery cameras across",
        replace(PROTOCOLS["market1501"], distance="euclidean").stamp,
    ]
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False)) == {
        "query_camids": [1, 5],
        "gallery_camids": [2, 3, 5, 7],
        "mAP": [[0.75, 0.5, None, 1.0], [None] * 4],
        "queries": [[2, 1, 0, 1], [0, 0, 0, 0]],
        "protocol": replace(PROTOCOLS["market1501"], distance="euclidean").stamp,
    }


def test_own_camera_counts_where_the_protocol_lets_it() -> None:
    result = by_camera(**LINE, protocol="no_camera")
    assert result.mAP[1, 2] == 1
    assert result.queries.tolist() == [[2, 1, 0, 1], [0, 0, 1, 0]]


def test_of_an_evaluation() -> None:
    assert str(evaluate(**LINE).by_camera()) == str(by_camera(**LINE))
    assert str(evaluate(**LINE, protocol="no_camera").by_camera()) == str(by_camera(**LINE, protocol="no_camera"))


def test_a_stream_has_one_too() -> None:
    blocks = [
        (LINE["gallery_features"][i:j], LINE["gallery_pids"][i:j], LINE["gallery_camids"][i:j])
        for i, j in ((0, 3), (3, 4), (4, 7))
    ]
    labels = {name: LINE[name] for name in ("query_pids", "query_camids", "distance")}
    assert str(by_camera(LINE["query_features"], blocks, **labels)) == str(by_camera(**LINE))


def test_the_own_image_is_ignored_in_its_camera() -> None:
    """Query 3 is gallery image 5, the only one of its identity: where that is told, camera 5 has no match for it."""
    own = {"protocol": "no_camera", "query_gallery_index": [-1, -1, -1, 5]}
    assert by_camera(**LINE, **own).queries.tolist() == [[2, 1, 0, 1], [0, 0, 0, 0]]


@pytest.mark.parametrize("seed", range(90))
def test_equals_the_brute_force_on_each_camera_alone(seed: int) -> None:
    case = random_case(seed)
    features, labels = case.arguments()
    expected: dict[tuple[int, int], list[float]] = {}
    for q, pid, camid, gallery, pids, camids in case.query_rows():
        for camera in set(camids):
            rows = [j for j in range(len(gallery)) if camids[j] == camera]
            ranks = brute_force.match_ranks(
                q, pid, camid, gallery[rows], [pids[j] for j in rows], [camera] * len(rows), distance=case.distance
            )
            cell = expected.setdefault((camid, camera), [])
            if ranks:
                cell.append(brute_force.average_precision(ranks))
    if not any(expected.values()):
        with pytest.raises(UserError, match="queries has a true match"):
            by_camera(*features, **labels)
        return
    result = by_camera(*features, **labels)
    assert {(int(c), int(d)) for c in result.query_camids for d in result.gallery_camids} == set(expected)
    for (camid, camera), aps in expected.items():
        cell = (result.query_camids == camid).argmax(), (result.gallery_camids == camera).argmax()
        assert result.queries[cell] == len(aps)
        assert result.mAP[cell] == pytest.approx(np.mean(aps) if aps else np.nan, rel=1e-12, nan_ok=True)


def test_one_camera_each_is_the_whole_evaluation() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(20, 4)), rng.normal(size=(50, 4))
    labels: dict[str, Any] = {
        "query_pids": rng.integers(1, 6, 20),
        "gallery_pids": rng.integers(-1, 6, 50),
        "query_camids": np.full(20, 1),
        "gallery_camids": np.full(50, 2),
    }
    result, whole = by_camera(*features, **labels), evaluate(*features, **labels)
    assert result.mAP.tolist() == [[pytest.approx(whole.mAP)]]
    assert result.queries.tolist() == [[whole.queries - whole.queries_without_match]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"query_camids": None}, "query_camids missing: protocol market1501"),
        ({"query_camids": None, "protocol": "no_camera"}, "needs query_camids and gallery_camids under every protocol"),
        ({"gallery_camids": None, "protocol": "no_camera"}, "needs query_camids and gallery_camids"),
        ({"query_pids": [1, 2]}, "query_pids has 2 values for 4 images"),
        (
            {"protocol": "cuhk03_single_shot"},
            "protocol cuhk03_single_shot draws its gallery, and a drawn one has no camera matrix",
        ),
        ({"query_pids": [16, 12, 12, 15]}, "none of the 4 queries has a true match: 4 show identities .*first: 12"),
    ],
)
def test_errors(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        by_camera(**{**LINE, **changes})
