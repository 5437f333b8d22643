"""Expanded queries and an augmented gallery equal sums written out by hand."""

import numpy as np
import pytest
import torch

from reid.errors import UserError
from reid.evaluation.reranking.expansion import Expansion, expand


def unit(row: np.ndarray) -> np.ndarray:
    row = np.float64(np.float32(row))
    norm = np.sqrt(np.sum(row * row))
    return row / norm if norm > 0 else row


def moved(row: np.ndarray, others: list[np.ndarray], k: int, alpha: float) -> np.ndarray:
    """One unit row plus the k nearest of the others, weighted."""
    nearest = sorted(others, key=lambda other: -np.dot(row, other))[:k]
    weights = [max(np.dot(row, other), 0) ** alpha if alpha else 1 for other in nearest]
    return unit(row + sum((w * other for w, other in zip(weights, nearest, strict=True)), np.zeros(len(row))))


def by_hand(query: np.ndarray, gallery: np.ndarray, expansion: Expansion) -> tuple[np.ndarray, np.ndarray]:
    q, g, k = [unit(row) for row in query], [unit(row) for row in gallery], expansion.database_k
    if k:
        g = [moved(row, [o for j, o in enumerate(g) if j != i], k, expansion.alpha) for i, row in enumerate(g)]
    if expansion.query_k:
        q = [moved(row, g, expansion.query_k, expansion.alpha) for row in q]
    return np.array(q), np.array(g)


@pytest.mark.parametrize("block", [512, 7])
@pytest.mark.parametrize("alpha", [0.0, 0.5, 3.0])
@pytest.mark.parametrize(("query_k", "database_k"), [(1, 0), (0, 1), (5, 0), (0, 4), (3, 6), (99, 99)])
def test_rows_move_to_the_weighted_sum(
    monkeypatch: pytest.MonkeyPatch, query_k: int, database_k: int, alpha: float, block: int
) -> None:
    monkeypatch.setattr("reid.evaluation.reranking.expansion._ROWS", block)
    rng = np.random.default_rng(query_k + database_k)
    features = rng.standard_normal((50, 12)) * rng.uniform(0.1, 9, (50, 1))  # norms must not matter
    expansion = Expansion(query_k, database_k, alpha)
    found = expand(features[:15], features[15:], expansion)
    for rows, expected in zip(found, by_hand(features[:15], features[15:], expansion), strict=True):
        assert rows.dtype == np.float32
        assert rows == pytest.approx(expected, abs=1e-5)


def test_a_query_in_the_gallery_counts_twice_and_a_gallery_image_once() -> None:
    rows = np.float32([[1, 0], [0, 1]])
    query, _ = expand(rows[:1], rows, Expansion(query_k=2))
    assert query[0] == pytest.approx(unit([2, 1]))
    _, gallery = expand(rows[:1], rows, Expansion(database_k=1))
    assert gallery == pytest.approx(np.full((2, 2), np.sqrt(0.5)))


def test_the_gallery_moves_before_the_queries_do() -> None:
    gallery = np.float32([[0, 1], [1, 0]])  # both move to the diagonal, and pull the query there
    query, _ = expand(np.float32([[0, 2]]), gallery, Expansion(query_k=1, database_k=1))
    assert query[0] == pytest.approx(unit(unit([1, 1]) + np.array([0, 1])))


def test_neighbours_pointing_away_weigh_nothing_unless_all_weigh_alike() -> None:
    query, gallery = np.float32([[1, 0]]), np.float32([[-0.6, 0.8]])
    assert expand(query, gallery, Expansion(query_k=1, alpha=1))[0][0] == pytest.approx([1, 0])
    assert expand(query, gallery, Expansion(query_k=1))[0][0] == pytest.approx(unit([0.4, 0.8]))


def test_copies_zeros_and_a_gallery_of_one() -> None:
    rows = np.float32([[3, 4]])
    for k in (1, 5):
        query, gallery = expand(np.zeros((1, 2)), np.repeat(rows, 6, axis=0), Expansion(k, k, alpha=3))
        assert gallery == pytest.approx(np.tile([0.6, 0.8], (6, 1)))
        assert query.tolist() == [[0, 0]]  # at cosine 0 from everything
    query, gallery = expand(torch.from_numpy(rows), rows, Expansion(database_k=3))
    assert gallery[0] == pytest.approx([0.6, 0.8])
    assert query[0] == pytest.approx([0.6, 0.8])


def test_the_arguments_are_left_as_they_were() -> None:
    query, gallery = np.float32([[1, 2]]), np.float32([[2, 1], [1, 1]])
    expand(query, gallery, Expansion(1, 1))
    assert query.tolist() == [[1, 2]]
    assert gallery.tolist() == [[2, 1], [1, 1]]


def test_the_stamp_names_what_is_on() -> None:
    assert Expansion(5).stamp == "average query expansion k=5"
    assert Expansion(0, 10).stamp == "average database-side augmentation k=10"
    assert Expansion(5, alpha=3).stamp == "query expansion k=5 alpha=3"
    assert Expansion(5, 10, 3).stamp == "database-side augmentation k=10 alpha=3, query expansion k=5 alpha=3"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "changes nothing: give query_k or database_k"),
        ({"query_k": -1}, "query_k=-1 .*0 or more"),
        ({"database_k": 1.5}, "database_k=1.5 .*whole number"),
        ({"query_k": 1, "alpha": -1}, "alpha=-1 .*0 or more"),
        ({"query_k": 1, "alpha": float("nan")}, "alpha=nan .*0 or more"),
    ],
)
def test_bad_values_are_refused(values: dict[str, float], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Expansion(**values)


def test_bad_features_are_refused() -> None:
    with pytest.raises(UserError, match="gallery_features: row 1"):
        expand([[1.0]], [[1.0], [np.inf]], Expansion(1))
