"""Neighbour lists are those of a float64 sort, and every shortcut errs within its stated bound."""

import numpy as np
import pytest
import torch
from reference import rerank as reference
from reference.embeddings import people

from reid.evaluation.reranking.neighbours import _Int8, _rounding, nearest
from reid.evaluation.reranking.points import Points


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("kind", ["embedding", "copies", "grid", "nearly equal", "outlier"])
def test_neighbour_lists_are_exact(kind: str, distance: str) -> None:
    rng = np.random.default_rng(1)
    features = {
        "embedding": people(1, 400, 40),
        "copies": people(1, 60, 40)[rng.integers(0, 60, 400)],
        "grid": rng.integers(0, 2, (400, 9)).astype(np.float32),  # ties of different rows
        "nearly equal": (rng.random(40) * (1 + 1e-7 * rng.integers(-1, 2, (400, 40)))).astype(np.float32),
        "outlier": people(1, 400, 40) * np.where(np.arange(400) == 7, 1e6, 1)[:, None].astype(np.float32),
    }[kind]
    points = Points(features[:50], features[50:], distance)
    lists, farthest = nearest(points, 21)
    squared = reference.squared_distances(features, distance)
    assert lists[points.inverse].tolist() == [order[:21] for order in reference.neighbours(squared)]
    scale = squared.max() / farthest.max()  # rows are kept divided by a power of two
    assert scale == pytest.approx(4.0 ** np.round(np.log2(scale) / 2), rel=1e-5)
    assert farthest[points.inverse] * scale == pytest.approx(squared.max(axis=1), rel=1e-5)


@pytest.mark.parametrize("dimensions", [1, 2, 64, 1000])
@pytest.mark.parametrize("kind", ["normal", "one large value", "all rounded the same way", "tiny"])
def test_int8_errs_by_no_more_than_its_bound(kind: str, dimensions: int) -> None:
    rng = np.random.default_rng(dimensions)
    normal = rng.standard_normal((60, dimensions))
    rows = {
        "normal": normal,
        "one large value": normal * np.where(np.arange(dimensions) == 0, 100, 1),
        "all rounded the same way": np.concatenate([np.full((60, dimensions - 1), 40.49), np.full((60, 1), 127)], 1),
        "tiny": normal * 1e-30,
    }[kind].astype(np.float32)
    codes, norms = _Int8(rows), torch.from_numpy(rows).norm(dim=1)
    block, tile, products = slice(0, 60), slice(10, 60), torch.empty(60, 50)
    codes.product(block, tile, products)
    errors = np.abs(products.double().numpy() - np.float64(rows) @ np.float64(rows[tile]).T)
    bounds = (
        codes.error(block, tile, norms, float(norms[tile].max())) + _rounding(norms, norms[tile].max(), 0)
    ).numpy()
    assert (errors.max(axis=1) <= bounds).all()
    if kind == "all rounded the same way" and dimensions == 1000:
        assert (errors.max(axis=1) > 0.95 * bounds).all()  # the bound is reached: it must not be any smaller


@pytest.mark.parametrize("dimensions", [1, 3, 64, 1000])
def test_float32_distances_err_by_no_more_than_their_bound(dimensions: int) -> None:
    features = people(8, 60, dimensions) + 3
    points = Points(features[:10], features[10:], "euclidean")
    everyone = np.arange(60)
    found = points.squared(everyone, np.full(60, 60), np.tile(everyone, 60)).reshape(60, 60)
    scale = np.median(points.exact(everyone[1:], everyone[:-1]) / found[everyone[1:], everyone[:-1]])
    exact = points.exact(np.repeat(everyone, 60), np.tile(everyone, 60)).reshape(60, 60)
    scale = 4.0 ** np.round(np.log2(scale) / 2)
    assert (np.abs(found - exact / scale) <= 2 * _rounding(points.norms[:, None], points.norms, dimensions)).all()


@pytest.mark.parametrize("seed", range(8))
def test_lists_are_exact_with_the_worst_rounding_that_the_bounds_allow(
    monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    features = (people(seed, 1, 16) + 1e-3 * rng.integers(0, 2, (300, 16))).astype(np.float32)  # many near ties
    points, squared, product = Points(features[:9], features[9:], "euclidean"), Points.squared, _Int8.product
    everyone = reference.neighbours(reference.squared_distances(features, "euclidean"))

    def rough_squared(self: Points, mine: np.ndarray, counts: np.ndarray, others: np.ndarray) -> np.ndarray:
        found = squared(self, mine, counts, others)
        width = 2 * _rounding(np.repeat(self.norms[mine], counts), self.norms[others], 16)
        return np.maximum(found + 0.9 * width * rng.choice([-1, 1], len(found)), 0).astype(np.float32)

    def rough_product(self: _Int8, block: slice, tile: slice, out: torch.Tensor) -> None:
        product(self, block, tile, out)
        norms = torch.from_numpy(points.norms).float()
        bound = self.error(block, tile, norms[block], float(norms[tile].max()))
        exact = points.rows[block].astype(np.float64) @ points.rows[tile].T.astype(np.float64)
        out.copy_(torch.from_numpy(exact) + 0.9 * bound[:, None] * torch.from_numpy(rng.choice([-1, 1], exact.shape)))

    monkeypatch.setattr(Points, "squared", rough_squared)
    monkeypatch.setattr(_Int8, "product", rough_product)
    assert nearest(points, 21)[0][points.inverse].tolist() == [order[:21] for order in everyone]
