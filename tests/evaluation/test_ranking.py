"""Every rank equals the float64 brute force, ties included."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from reference import brute_force
from reference.cases import random_case

from reid.errors import UserError
from reid.evaluation import evaluate
from reid.evaluation.inputs import check_inputs
from reid.evaluation.ranking.ranks import match_ranks


def ranks_of(case, protocol="market1501"):
    features, labels = case.arguments()
    inputs = check_inputs(*features, **labels, protocol=protocol)
    return [r.tolist() for r in match_ranks(inputs.query, inputs.features, inputs.pairs, inputs.distance)]


def brute_ranks(case, **rules):
    return [brute_force.match_ranks(*row, distance=case.distance, **rules) for row in case.query_rows()]


@pytest.mark.parametrize("seed", range(540))
def test_random_case(seed):
    case = random_case(seed)
    features, labels = case.arguments()
    expected = brute_ranks(case)
    assert ranks_of(case) == expected
    assert ranks_of(case, protocol="no_camera") == brute_ranks(case, ignore_same_camera=False)

    matched = [ranks for ranks in expected if ranks]
    if not matched:
        with pytest.raises(UserError, match="none of the"):
            evaluate(*features, **labels)
        return
    result = evaluate(*features, **labels)
    assert [result.match_ranks(i).tolist() for i in range(result.queries)] == expected
    assert result.queries_without_match == expected.count([]) == sum(result.unmatched_reasons.values())
    assert result.cmc == pytest.approx([brute_force.cmc(expected, k) for k in range(1, len(case.gallery) + 1)])
    assert result.mAP == pytest.approx(np.mean([brute_force.average_precision(ranks) for ranks in matched]))
    assert result.mINP == pytest.approx(np.mean([brute_force.inverse_negative_penalty(ranks) for ranks in matched]))
    assert np.isnan(result.ap).tolist() == np.isnan(result.inp).tolist() == [not ranks for ranks in expected]


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("kind", ["normal", "nearly equal"])
def test_wide_features_and_several_gallery_blocks(monkeypatch, kind, distance):
    monkeypatch.setattr("reid.evaluation.ranking.tracks._NUMBERS", 37 * 2048)
    rng = np.random.default_rng(5)
    features = rng.standard_normal((204, 2048))
    if kind == "nearly equal":  # rows differ in the last bits of a float32: a matrix product cannot order them
        features = features[:1] * (1 + 1e-7 * rng.integers(-1, 2, features.shape))
    features[150:160] = features[50:60]
    case = replace(
        random_case(0),
        query=features[:4],
        gallery=features[4:],
        query_pids=np.array([1, 2, 3, 4]),
        gallery_pids=rng.integers(0, 6, 200),
        query_camids=np.zeros(4, dtype=int),
        gallery_camids=rng.integers(0, 3, 200),
        distance=distance,
    )
    assert ranks_of(case) == brute_ranks(case)


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_gallery_order_matters_for_ties_only(distance):
    rng = np.random.default_rng(3)
    case = replace(
        random_case(0),
        query=rng.standard_normal((3, 16)),
        gallery=rng.standard_normal((40, 16)),  # no ties
        query_pids=np.array([1, 2, 3]),
        gallery_pids=rng.integers(-1, 5, 40),
        query_camids=np.array([1, 2, 3]),
        gallery_camids=rng.integers(1, 4, 40),
        distance=distance,
    )
    order = rng.permutation(40)
    shuffled = replace(
        case,
        gallery=case.gallery[order],
        gallery_pids=case.gallery_pids[order],
        gallery_camids=case.gallery_camids[order],
    )
    assert all(ranks_of(case))
    assert ranks_of(shuffled) == ranks_of(case)


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize(("gallery_pids", "rank"), [([1, 2, 3], 1), ([2, 1, 3], 2), ([2, 3, 1], 3)])
def test_a_tie_goes_to_the_lower_index(gallery_pids, rank, distance):
    result = evaluate(
        np.ones((1, 4)),
        np.ones((3, 4)),
        query_pids=[1],
        gallery_pids=gallery_pids,
        protocol="no_camera",
        distance=distance,
    )
    assert result.match_ranks(0).tolist() == [rank]


def test_a_zero_row_has_cosine_zero():
    """Orthogonal to all: behind what points the query's way, before what points away from it."""
    gallery = [[-1.0, 0.0], [0.0, 0.0], [1.0, 1.0]]
    result = evaluate([[1.0, 0.0]], gallery, query_pids=[1], gallery_pids=[9, 1, 8], protocol="no_camera")
    assert result.match_ranks(0).tolist() == [2]
    blank = evaluate([[0.0, 0.0]], gallery, query_pids=[1], gallery_pids=[9, 8, 1], protocol="no_camera")
    assert blank.match_ranks(0).tolist() == [3]  # all tie at 0


def test_a_gallery_of_one():
    result = evaluate([[1.0]], [[-1.0]], query_pids=[1], gallery_pids=[1], query_camids=[1], gallery_camids=[2])
    assert result.to_dict()["rank-20"] == result.mAP == result.mINP == 1.0


@pytest.mark.parametrize("seed", [9, 10, 12, 18])
def test_features_may_be_tensors_views_and_memory_maps(seed, tmp_path):
    case = random_case(seed)
    case = replace(case, query=case.query.astype(np.float32), gallery=case.gallery.astype(np.float32))
    expected = ranks_of(case)
    np.save(tmp_path / "gallery.npy", case.gallery)
    labels = ("query_pids", "gallery_pids", "query_camids", "gallery_camids")
    same = [
        {"gallery": np.load(tmp_path / "gallery.npy", mmap_mode="r")},
        {"gallery": np.asfortranarray(case.gallery), "query": np.repeat(case.query, 2, axis=0)[::2]},
        {"gallery": torch.from_numpy(case.gallery).double(), "query": torch.tensor(case.query, requires_grad=True)},
        {name: torch.from_numpy(getattr(case, name)) for name in labels},
        {name: getattr(case, name).tolist() for name in ("query", "gallery")},
    ]
    for changes in same:
        assert ranks_of(replace(case, **changes)) == expected


def test_bfloat16_and_cuda_tensors():
    rng = np.random.default_rng(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    query, gallery = (torch.from_numpy(rng.standard_normal((n, 8))).to(device, torch.bfloat16) for n in (3, 20))
    labels = {"query_pids": [1, 2, 3], "gallery_pids": [1, 2, 3, 4] * 5, "protocol": "no_camera"}
    result = evaluate(query, gallery, **labels)
    wide = evaluate(query.float().cpu().numpy(), gallery.float().cpu().numpy(), **labels)
    assert all((result.match_ranks(i) == wide.match_ranks(i)).all() for i in range(3))
