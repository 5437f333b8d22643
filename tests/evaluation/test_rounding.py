"""The bounds on rounding that exact ranks rest on, against float64."""

import numpy as np
import pytest
import torch

from reid.evaluation.ranking import rounding
from reid.evaluation.ranking.rounding import FLOAT32, product, row_products, sampled, sampled_terms, terms


def positive_rows(count: int, width: int) -> torch.Tensor:
    """All roundings of a sum of their products tend to be of one sign."""
    return torch.from_numpy(np.random.default_rng(count).uniform(0.5, 1, (count, width)).astype(np.float32))


def lengths(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return torch.linalg.vector_norm(x.double(), dim=1)[:, None] * torch.linalg.vector_norm(y.double(), dim=1)


@pytest.mark.parametrize("shape", [(3, 5, 40), (7, 9, 700), (74, 72, 300), (74, 72, 257)])
def test_a_product_is_as_exact_as_it_says(monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int, int]) -> None:
    n, m, width = shape
    x, y = positive_rows(n, width), positive_rows(m, width)
    bound = terms(width) * FLOAT32 * (1 + 2.0**-8) * lengths(x, y)
    monkeypatch.setattr(rounding, "_WORTH", 1)
    for large in (2**60, 1, 1):  # added where it is made if this machine can, of which the second time decides
        monkeypatch.setattr(rounding, "_LARGE", large)
        found = product(x, y, torch.full((2, n * m + 3), torch.nan))
        assert ((found.double() - x.double() @ y.double().T).abs() <= bound).all()


def test_pairs_are_as_exact_as_they_say() -> None:
    x, y = positive_rows(5, 640), positive_rows(6, 640)
    edges, j = np.array([0, 2, 2, 3, 6, 8]), np.array([0, 5, 1, 2, 3, 4, 0, 3])
    i = np.repeat(np.arange(5), np.diff(edges))
    exact = (x.double() @ y.double().T).numpy()[i, j]
    norms = lengths(x, y).numpy()[i, j]
    for most in (64, 512):
        bound = sampled_terms(640, most) * FLOAT32 * (1 + 2.0**-8) * norms
        with rounding.quiet_sampling():
            assert (np.abs(sampled(x, y, edges, j, most) - exact) <= bound).all()
        errors = row_products(x, y[1], most) - x.double() @ y[1].double()
        assert (errors.abs() <= sampled_terms(640, most) * FLOAT32 * (1 + 2.0**-8) * lengths(x, y)[:, 1]).all()


@pytest.mark.parametrize("pieces", [1, 2, 7, 64])
def test_a_sum_that_grows_upon_the_tile_is_found_out(monkeypatch: pytest.MonkeyPatch, pieces: int) -> None:
    def addmm(tile: torch.Tensor, x: torch.Tensor, y: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        total = tile.clone()
        for part in np.array_split(np.arange(x.shape[1]), pieces):
            total += x[:, part] @ y[part]
        return out.copy_(total)

    monkeypatch.setattr(torch, "addmm", addmm)
    monkeypatch.setattr(rounding, "_LARGE", 1)
    monkeypatch.setattr(rounding, "_AT_ONCE", {})
    assert not rounding._adds_at_once(torch.empty(3, 4), 64)  # it may never come again
    assert rounding._adds_at_once(torch.empty(3, 4), 64) is (pieces == 1)


@pytest.mark.parametrize(("width", "most", "part"), [(2048, 64, 64), (1028, 64, 257), (536, 64, 67), (40, 64, 40)])
def test_rows_are_cut_into_parts_that_are_not_too_many(width: int, most: int, part: int) -> None:
    assert sampled_terms(width, most) == part + 1
