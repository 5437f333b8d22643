"""Sparse k-reciprocal re-ranking equals the dense float64 definition, and its ranks a stable sort."""

import numpy as np
import pytest
import torch
from reference import brute_force
from reference import rerank as reference
from reference.cases import KINDS, random_case
from reference.embeddings import people

from reid.errors import UserError
from reid.evaluation.pairs import Pairs
from reid.evaluation.reranking.rerank import Rerank, reranked_distances, reranked_match_ranks

DISTANCES = ("cosine", "euclidean")


def distances_of(query, gallery, distance="cosine", **values) -> np.ndarray:
    blocks = list(reranked_distances(query, gallery, Rerank(**values), distance=distance))
    assert [i for rows, _ in blocks for i in range(rows.start, rows.stop)] == list(range(len(query)))
    assert all(block.dtype == np.float32 and (block >= 0).all() for _, block in blocks)
    return np.concatenate([block for _, block in blocks])


def check(query, gallery, distance="cosine", **values) -> None:
    expected = reference.distances(query, gallery, distance=distance, **values)
    assert distances_of(query, gallery, distance, **values) == pytest.approx(expected, abs=1e-5, rel=0)


@pytest.mark.parametrize("seed", range(162))
def test_random_case(seed: int) -> None:
    """Ties, copies, zeros, extreme norms; most galleries are smaller than k1."""
    case, rng = random_case(seed), np.random.default_rng(seed)
    values = {"k1": int(rng.choice([1, 2, 3, 5, 7, 20])), "k2": int(rng.choice([1, 2, 6, 25]))}
    check(case.query, case.gallery, case.distance, **values, lambda_value=float(rng.choice([0, 0.3, 1])))


@pytest.mark.parametrize("seed", range(2 * len(KINDS)))
def test_small_blocks_tiles_and_both_routes_change_nothing(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    case = random_case(seed)
    for name, value in {"_TILE": 7, "_KEY_CELLS": 1, "_PAIRS": 16, "_LONG": 1000 * (seed % 2)}.items():
        monkeypatch.setattr(f"reid.evaluation.reranking.neighbours.{name}", value)
    monkeypatch.setattr("reid.evaluation.reranking.neighbours.int8_pays", lambda: seed % 3 > 0)
    for name, value in {"_ROWS": 5, "_PAIRS": 9}.items():
        monkeypatch.setattr(f"reid.evaluation.reranking.reciprocal.{name}", value)
    for name, value in {"_QUERIES": 2, "_FEW": 1, "_TILE": 3}.items():
        monkeypatch.setattr(f"reid.evaluation.reranking.rerank.{name}", value)
    check(case.query, case.gallery, case.distance, k1=5, k2=3)


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("exact", [True, False], ids=["int8", "float32"])
def test_an_embedding_with_the_usual_values(monkeypatch: pytest.MonkeyPatch, exact: bool, distance: str) -> None:
    monkeypatch.setattr("reid.evaluation.reranking.neighbours.int8_pays", lambda: exact)
    monkeypatch.setattr("reid.evaluation.reranking.neighbours._TILE", 100)
    features = people(0, 180, 96, identities=7)
    check(features[:20], features[20:], distance)


def test_worked_by_hand() -> None:
    """Points 0 | 1, 4 on a line, k1 = k2 = 1, each image's own maximum: 16, 9, 16.

    Nearest two: {0, 1} for both 0 and 1, {4, 1} for 4. Mutual: 0 with 1; 4 with itself alone. With half of k1 rounded
    to 0, each R(j, 0) is {j}. So V(0) = (1, e^-1/16, 0) / sum, V(1) = (e^-1/9, 1, 0) / sum and V(4) = (0, 0, 1).
    """
    a, b = np.exp(-1 / 16), np.exp(-1 / 9)
    shared = min(1 / (1 + a), b / (1 + b)) + min(a / (1 + a), 1 / (1 + b))
    found = distances_of([[0.0]], [[1.0], [4.0]], "euclidean", k1=1, k2=1)
    assert found[0].tolist() == pytest.approx([0.7 * (1 - shared / (2 - shared)) + 0.3 / 16, 1.0])


def test_more_copies_than_neighbours() -> None:
    """The last copies are in nobody's list, not even their own: without averages they share nothing with anyone."""
    features = np.concatenate([np.tile(people(0, 1, 8), (30, 1)), people(1, 20, 8)])
    check(features[:3], features[3:], k1=10)
    check(features[:3], features[3:], k1=10, k2=1)
    assert (distances_of(features[:3], features[3:], k1=10, k2=1, lambda_value=0)[:, 20:27] == 1).all()


@pytest.mark.parametrize("distance", DISTANCES)
def test_equal_gallery_images_tie_to_the_last_bit(distance: str) -> None:
    rows = people(2, 40, 333)
    gallery = np.concatenate([rows, people(3, 1050, 333), rows])
    found = distances_of(people(4, 5, 333), gallery, distance, lambda_value=1)
    assert (found[:, :40] == found[:, -40:]).all()


@pytest.mark.parametrize("distance", DISTANCES)
def test_the_order_of_the_gallery_and_the_unit_of_the_features_do_not_matter(distance: str) -> None:
    features, order = people(5, 120, 24, identities=6), np.random.default_rng(0).permutation(110)
    query, gallery = features[:10], features[10:]
    found = distances_of(query, gallery, distance)
    assert distances_of(query, gallery[order], distance) == pytest.approx(found[:, order], abs=2e-6)
    assert distances_of(1000 * query, 1000 * gallery, distance) == pytest.approx(found, abs=2e-6)
    assert distances_of(torch.from_numpy(query), torch.from_numpy(gallery).T.contiguous().T, distance) == pytest.approx(
        found, abs=1e-7
    )


def pairs_of(match: np.ndarray, junk: np.ndarray, **more: np.ndarray) -> Pairs:
    """What a protocol says of every pair, as lists of the pairs that matter; junk for all goes to ``left_out``."""
    left_out = junk.all(axis=0)
    cells = [np.flatnonzero(row) for row in (match | junk) & ~left_out]
    starts = np.concatenate([[0], np.cumsum([len(c) for c in cells])])
    hits = np.concatenate([row[c] for row, c in zip(match, cells, strict=True)])
    return Pairs(starts, np.concatenate(cells), hits, left_out, **more)


@pytest.mark.parametrize("seed", range(2 * len(KINDS)))
def test_ranks_are_those_of_a_stable_sort_of_the_distances(seed: int) -> None:
    case, rng = random_case(seed), np.random.default_rng(seed)
    query, gallery = case.query.astype(np.float32), case.gallery.astype(np.float32)
    match = rng.random((len(query), len(gallery))) < rng.choice([0.1, 0.5])
    junk = ~match & ((rng.random(match.shape) < 0.2) | (rng.random(len(gallery)) < 0.1))
    match &= ~junk.all(axis=0)
    ranks = reranked_match_ranks(query, gallery, pairs_of(match, junk), Rerank(k1=4, k2=2), case.distance)
    for found, row, hit, ignored in zip(
        ranks, distances_of(query, gallery, case.distance, k1=4, k2=2), match, junk, strict=True
    ):
        ranked = [j for j in sorted(range(len(row)), key=lambda j, row=row: row[j]) if not ignored[j]]
        assert found.dtype == np.int64
        assert found.tolist() == [place for place, j in enumerate(ranked, 1) if hit[j]]


def test_images_of_the_querys_group_are_ignored() -> None:
    query, gallery = np.float32([[0.0], [1.0]]), np.float32([[0.0], [0.1], [0.2], [5.0]])
    match = np.array([[0, 0, 1, 0], [0, 0, 1, 0]], dtype=bool)
    groups = {"query_group": np.array([3, 4]), "gallery_group": np.array([3, 4, 9, 9])}
    pairs = pairs_of(match, np.zeros_like(match), **groups)
    plain = Rerank(k1=1, k2=1, lambda_value=1)
    ranks = reranked_match_ranks(query, gallery, pairs, plain, "euclidean")
    assert [r.tolist() for r in ranks] == [[2], [1]]


@pytest.mark.parametrize("distance", DISTANCES)
def test_with_lambda_1_ranks_are_those_of_plain_evaluation(distance: str) -> None:
    features, rng = people(6, 90, 32), np.random.default_rng(6)
    query, gallery, match = features[:8], features[8:], rng.random((8, 82)) < 0.2
    pairs = pairs_of(match, np.zeros_like(match))
    ranks = reranked_match_ranks(query, gallery, pairs, Rerank(lambda_value=1), distance)
    for found, row, hit in zip(ranks, query, match, strict=True):
        rules = {"distance": distance, "ignore_same_camera": False}
        assert found.tolist() == brute_force.match_ranks(row, 1, 0, gallery, hit.astype(int), [0] * 82, **rules)


def test_a_training_runs_choice_of_precision_survives() -> None:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        check(people(7, 4, 64), people(7, 60, 64))
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


def test_the_stamp_names_every_value() -> None:
    assert Rerank().stamp == "k-reciprocal re-ranking k1=20 k2=6 lambda=0.3"
    stamps = {Rerank(*values).stamp for values in [(20, 6, 0.3), (21, 6, 0.3), (20, 7, 0.3), (20, 6, 0.35)]}
    assert len(stamps) == 4


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"k1": 0}, "k1=0 .*1 or more"),
        ({"k1": 2.5}, "k1=2.5 .*whole number"),
        ({"k2": -1}, "k2=-1 .*1 or more"),
        ({"k2": True}, "k2=True .*whole number"),
        ({"lambda_value": 1.01}, "lambda_value=1.01 .*0 to 1"),
        ({"lambda_value": -0.1}, "lambda_value=-0.1 .*0 to 1"),
        ({"lambda_value": float("nan")}, "lambda_value=nan .*0 to 1"),
    ],
)
def test_bad_values_are_refused(values: dict[str, float], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Rerank(**values)


@pytest.mark.parametrize(
    ("query", "gallery", "distance", "message"),
    [
        ([[1.0, 2.0]], [[1.0]], "cosine", "2 dimensions and gallery_features 1"),
        ([[np.nan]], [[1.0]], "cosine", "query_features: row 0"),
        ([[1.0]], [[1.0]], "jaccard", "distance='jaccard'"),
    ],
)
def test_bad_features_are_refused_at_once(query: list, gallery: list, distance: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        reranked_distances(query, gallery, distance=distance)  # before the first block is asked for
