"""Scores of rows close together, against the definition worked out with math.fsum pair by pair."""

import math

import numpy as np
import pytest

from reid.evaluation.ranking import near
from reid.evaluation.ranking.near import near_scores


def by_definition(q: np.ndarray, g: np.ndarray) -> float:
    q, g = q.astype(np.float64), g.astype(np.float64)
    length = math.sqrt(math.fsum((q * q).tolist())) * math.sqrt(math.fsum((g * g).tolist()))
    return math.fsum((q * g).tolist()) / length if length > 0 else 0.0


@pytest.mark.parametrize("width", [1, 3, 64, 513])
@pytest.mark.parametrize("noise", [0.0, 1e-8, 1e-7, 1e-5, 1e-2, 1.0])
def test_every_bit_is_that_of_the_definition(monkeypatch: pytest.MonkeyPatch, noise: float, width: int) -> None:
    monkeypatch.setattr(near, "_FEW", 0)
    rng = np.random.default_rng(width)
    row = rng.standard_normal(width) * 10.0 ** rng.integers(-3, 3, width)
    query, images = (np.float32(row * (1 + noise * rng.standard_normal((n, width)))) for n in (7, 40))
    images[3], images[5], query[2] = 0, images[4], -query[1]
    i, j = (places.ravel() for places in np.meshgrid(np.arange(7), np.arange(40), indexing="ij"))
    chosen = rng.random(len(i)) < 0.7
    i, j = i[chosen], j[chosen]
    expected = [by_definition(query[a], images[b]) for a, b in zip(i, j, strict=True)]
    assert near_scores(query, images, i, j).tolist() == expected


def test_the_cheap_way_is_taken_where_rows_are_close(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    row = rng.standard_normal(256)
    query, images = (np.float32(row + 1e-6 * rng.standard_normal((n, 256))) for n in (50, 60))
    i, j = (places.ravel() for places in np.meshgrid(np.arange(50), np.arange(60), indexing="ij"))
    slow: list[int] = []

    def watched(q: np.ndarray, g: np.ndarray, i: np.ndarray, j: np.ndarray, distance: str) -> np.ndarray:
        slow.append(len(i))
        return np.array([by_definition(q[a], g[b]) for a, b in zip(i, j, strict=True)])

    monkeypatch.setattr(near, "pair_scores", watched)
    expected = [by_definition(query[a], images[b]) for a, b in zip(i, j, strict=True)]
    assert near_scores(query, images, i, j).tolist() == expected
    assert sum(slow) < 0.05 * len(i)
