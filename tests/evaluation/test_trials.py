"""Single shot: what is drawn, that every trial is the evaluation of its draw, and that means are means."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from reference import brute_force
from reference.cases import Case, random_case

from reid.errors import UserError
from reid.evaluation import PROTOCOLS, compare, evaluate
from reid.evaluation.inputs import Inputs, check_inputs
from reid.evaluation.trials import draws

SINGLE_SHOT = replace(PROTOCOLS["cuhk03_single_shot"], trials=4)


def inputs_of(case: Case, protocol: Any = SINGLE_SHOT) -> Inputs:
    features, labels = case.arguments()
    return check_inputs(*features, **labels, protocol=protocol)


@pytest.mark.parametrize("seed", range(40))
def test_one_image_of_each_identity_that_other_cameras_saw(seed: int) -> None:
    case = random_case(seed)
    for parts in draws(inputs_of(case)):
        assert sorted(np.concatenate([queries for queries, _ in parts]).tolist()) == list(range(len(case.query)))
        for queries, images in parts:
            (camera,) = set(case.query_camids[queries].tolist())
            others = (case.gallery_camids != camera) & (case.gallery_pids != -1)
            assert sorted(case.gallery_pids[images].tolist()) == sorted(set(case.gallery_pids[others].tolist()))
            assert others[images].all()
            assert (np.diff(images) > 0).all()


def test_every_image_is_as_likely() -> None:
    case = replace(random_case(0), gallery_pids=np.array([1, 2, 1, 1]), gallery_camids=np.full(4, 9))
    inputs = inputs_of(replace(case, gallery=np.ones((4, case.query.shape[1]))), replace(SINGLE_SHOT, trials=3000))
    counts = np.zeros(4)
    for parts in draws(inputs):
        counts[parts[0][1]] += 1
    assert counts[1] == 3000
    assert np.abs(counts[[0, 2, 3]] - 1000).max() < 4 * np.sqrt(3000 * 2 / 9)


@pytest.mark.parametrize("seed", range(60))
def test_each_trial_is_the_evaluation_of_its_draw(seed: int) -> None:
    case = random_case(seed)
    features, labels = case.arguments()
    try:
        result = evaluate(*features, **labels, protocol=SINGLE_SHOT)
    except UserError:
        return
    rows = list(case.query_rows())
    for trial, parts in zip(result.trials, draws(inputs_of(case)), strict=True):
        for queries, images in parts:
            for i in queries:
                q, pid, camid, gallery, pids, camids = rows[i]
                drawn = gallery[images], [pids[j] for j in images], [camids[j] for j in images]
                expected = brute_force.match_ranks(q, pid, camid, *drawn, distance=case.distance)
                assert trial.match_ranks(i).tolist() == expected
                assert len(expected) <= 1


def test_means_and_spread() -> None:
    rng = np.random.default_rng(0)
    labels: dict[str, Any] = {
        "query_pids": np.arange(1, 9),
        "gallery_pids": np.tile(np.arange(1, 9), 5),
        "query_camids": np.ones(8, dtype=int),
        "gallery_camids": np.full(40, 2),
    }
    features = rng.normal(size=(8, 4)), rng.normal(size=(40, 4))
    result = evaluate(*features, **labels, protocol="cuhk03_single_shot")
    for metric in ("mAP", "mINP", "rank-1", "rank-3"):
        values = [trial.metric(metric) for trial in result.trials]
        assert result.metric(metric) == pytest.approx(np.mean(values))
        assert result.spread(metric) == pytest.approx(np.std(values, ddof=1))
        assert result.confidence_interval(metric).low <= result.metric(metric)
    assert (result.rank(3), result.mAP) == pytest.approx((result.metric("rank-3"), result.metric("mAP")))
    assert result.to_dict()["trials"] == 100
    assert result.to_dict()["mAP_spread"] == result.spread()
    assert str(result).splitlines()[2].endswith("over the trials")
    assert f"+-{100 * result.spread('rank-5'):.2f}" in str(result)
    assert "mAP" in str(compare(result, result))

    again = evaluate(*features, **labels, protocol="cuhk03_single_shot")
    other = evaluate(*features, **labels, protocol=replace(PROTOCOLS["cuhk03_single_shot"], seed=1))
    assert again.to_dict() == result.to_dict()
    assert other.mAP != result.mAP
    fewer = evaluate(*features, **labels, protocol=SINGLE_SHOT)
    assert [t.mAP for t in fewer.trials] == [t.mAP for t in result.trials[:4]]


def test_a_query_may_be_unlucky() -> None:
    """Of identity 1 the clothes of the query or others are drawn: in the first case the query has no match."""
    protocol = replace(PROTOCOLS["cloth_changing"], trials=50)
    labels: dict[str, Any] = {"query_pids": [1, 2], "gallery_pids": [1, 1, 2], "query_camids": [1, 1]}
    labels |= {"gallery_camids": [2, 2, 2], "query_clothes": [1, 1], "gallery_clothes": [1, 2, 2]}
    result = evaluate(np.ones((2, 1)), np.ones((3, 1)), **labels, protocol=protocol)
    unlucky = [trial.queries_without_match for trial in result.trials]
    assert set(unlucky) == {0, 1}
    for trial, count in zip(result.trials, unlucky, strict=True):
        assert trial.unmatched_reasons == ({"image drawn of the identity is ignored": 1} if count else {})
    assert (result.ap[0], result.queries_without_match) == (1, 0)


def test_what_several_galleries_do_not_have() -> None:
    labels: dict[str, Any] = {"query_pids": [1], "gallery_pids": [1], "query_camids": [1], "gallery_camids": [2]}
    result = evaluate(np.ones((1, 1)), np.ones((1, 1)), **labels, protocol=SINGLE_SHOT)
    with pytest.raises(UserError, match=r"4 galleries were drawn: ask one of them, .trials\[0\].match_ranks\(0\)"):
        result.match_ranks(0)
    with pytest.raises(UserError, match="a drawn one has no camera matrix"):
        result.by_camera()
    with pytest.raises(UserError, match="the gallery was drawn"):
        result.trials[0].by_camera()
