"""What ``evaluate`` does beside ranking: re-ranking and expansion, each told in the stamp."""

import numpy as np
import pytest
from reference.rerank import distances as dense_distances

from reid.errors import UserError
from reid.evaluation import PROTOCOLS, Expansion, Rerank, evaluate, expand


def problem(seed=3, queries=12, images=90, width=16):
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((15, width))
    qp, gp = rng.integers(1, 15, queries), rng.integers(1, 15, images)
    rows = [(centres[p] + 0.9 * rng.standard_normal((len(p), width))).astype(np.float32) for p in (qp, gp)]
    labels = {"query_pids": qp, "gallery_pids": gp, "query_camids": rng.integers(0, 3, queries)}
    return rows[0], rows[1], labels | {"gallery_camids": rng.integers(0, 3, images)}


def test_re_ranked_ranks_are_those_of_the_dense_distances() -> None:
    query, gallery, labels = problem()
    rerank = Rerank(k1=7, k2=3, lambda_value=0.3)
    result = evaluate(query, gallery, **labels, rerank=rerank)
    final = dense_distances(query, gallery, k1=7, k2=3, lambda_value=0.3, distance="cosine")
    for i, row in enumerate(final):
        same = labels["gallery_pids"] == labels["query_pids"][i]
        junk = same & (labels["gallery_camids"] == labels["query_camids"][i])
        order = [j for j in np.argsort(row, kind="stable") if not junk[j]]
        assert result.match_ranks(i).tolist() == [r for r, j in enumerate(order, 1) if same[j]]
    assert "re-ranked: k-reciprocal re-ranking k1=7 k2=3 lambda=0.3" in result.stamp
    assert result.mAP > evaluate(query, gallery, **labels).mAP


def test_expansion_is_evaluation_of_the_expanded_features() -> None:
    query, gallery, labels = problem()
    expansion = Expansion(query_k=3, database_k=2)
    result = evaluate(query, gallery, **labels, expansion=expansion)
    apart = evaluate(*expand(query, gallery, expansion), **labels)
    np.testing.assert_array_equal(result.ap, apart.ap)
    assert expansion.stamp in result.stamp
    assert expansion.stamp not in apart.stamp


def test_re_ranked_numbers_have_no_camera_matrix() -> None:
    query, gallery, labels = problem()
    with pytest.raises(UserError, match="re-ranked"):
        evaluate(query, gallery, **labels, rerank=Rerank()).by_camera()


def test_tracks_are_not_re_ranked() -> None:
    query, gallery, labels = problem()
    tracks = {"query_tracks": np.arange(12), "gallery_tracks": 100 + np.arange(90)}
    with pytest.raises(UserError, match="ranks tracks"):
        evaluate(query, gallery, **labels, **tracks, protocol=PROTOCOLS["vehicle"], rerank=Rerank())
