"""Ranked lists equal the brute force's, through FAISS and past its float32 rounding."""

from dataclasses import replace

import numpy as np
import pytest
from reference import brute_force
from reference.cases import random_case

from reid.errors import UserError
from reid.evaluation import ranked_gallery


def check(case, k):
    features, labels = case.arguments()
    lists = ranked_gallery(*features, **labels, k=k)
    assert lists.dtype == np.int64
    assert lists.shape == (len(case.query), k)
    for found, row in zip(lists.tolist(), case.query_rows(), strict=True):
        expected = brute_force.ranked_list(*row, distance=case.distance)
        assert found == (expected + [-1] * k)[:k]


@pytest.mark.parametrize("seed", range(270))
def test_random_case(seed):
    check(random_case(seed), k=1 + seed % 50)


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("kind", ["normal", "nearly equal", "copies", "junk first"])
def test_more_images_than_the_first_search_returns(kind, distance):
    rng = np.random.default_rng(2)
    features = rng.standard_normal((403, 64))
    if kind == "nearly equal":
        features = features[:1] * (1 + 1e-7 * rng.integers(-1, 2, features.shape))
    if kind == "copies":
        features = features[rng.integers(0, 3, 403)]
    case = replace(
        random_case(0),
        query=features[:3],
        gallery=features[3:],
        query_pids=np.array([1, 2, 3]),
        gallery_pids=rng.integers(-1, 5, 400),
        query_camids=np.zeros(3, dtype=int),
        gallery_camids=rng.integers(0, 2, 400),
        distance=distance,
    )
    if kind == "junk first":  # the nearest 300 images are bad detections
        case.gallery[:300] = case.query[0]
        case.gallery_pids[:300] = -1
    check(case, k=5)


def test_more_queries_than_a_block(monkeypatch):
    monkeypatch.setattr("reid.evaluation.search.lists._QUERIES", 2)
    for seed in range(20):
        check(random_case(seed), k=4)


def test_an_empty_list_is_refused():
    with pytest.raises(UserError, match="k=0 asks for an empty ranked list; give 1 or more"):
        ranked_gallery([[1.0]], [[1.0]], query_pids=[1], gallery_pids=[1], protocol="no_camera", k=0)
