import numpy as np
import pytest
import torch

from reid.errors import UserError
from reid.models.pooling import POOLINGS, GeM, build

EPS = 1e-6


def maps(kind: str, seed: int = 0) -> np.ndarray:
    """float32 [3, 5, 4, 2]"""
    x = np.random.default_rng(seed).normal(size=(3, 5, 4, 2)).astype(np.float32)
    return {"signed": x, "after a ReLU": np.maximum(x, 0), "large": 1000 * np.abs(x), "zero": 0 * x}[kind]


def by_definition(name: str, x: np.ndarray, p: float = 3.0) -> np.ndarray:
    """[B, C, h, w] -> [B, C] in float64."""
    flat = x.astype(np.float64).reshape(*x.shape[:2], -1)
    mean, most = flat.mean(2), flat.max(2)
    generalised = (np.maximum(flat, EPS) ** p).mean(2) ** (1 / p)
    return {"avg": mean, "max": most, "avgmax": mean + most, "gem": generalised}[name]


@pytest.mark.parametrize("kind", ["signed", "after a ReLU", "large", "zero"])
@pytest.mark.parametrize("name", ["avg", "max", "avgmax", "gem"])
def test_value_equals_the_definition(name: str, kind: str) -> None:
    x = maps(kind)
    out = build(name)(torch.from_numpy(x)).detach()
    assert out.shape == (3, 5)
    np.testing.assert_allclose(out.numpy(), by_definition(name, x), rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("name", POOLINGS)
def test_bfloat16_maps_are_pooled_in_float32(name: str) -> None:
    x = torch.from_numpy(maps("after a ReLU")).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        out = build(name)(x).detach()
    assert out.dtype == torch.float32
    np.testing.assert_allclose(out.numpy(), by_definition(name, x.float().numpy()), rtol=2e-6, atol=1e-7)


def test_gem_of_power_one_is_the_mean() -> None:
    x = maps("large")
    np.testing.assert_allclose(GeM(1.0)(torch.from_numpy(x)).detach(), by_definition("avg", x), rtol=2e-6)


def test_gem_of_a_large_power_comes_near_the_maximum() -> None:
    x = np.random.default_rng(1).uniform(0.5, 1.5, size=(3, 5, 4, 2)).astype(np.float32)
    most = by_definition("max", x)
    last = np.full_like(most, np.inf)
    for p in (4.0, 16.0, 64.0):
        out = GeM(p)(torch.from_numpy(x)).detach().numpy().astype(np.float64)
        gap = most - out
        assert (gap >= 0).all()
        assert (gap < last).all()
        assert (out >= most * 8 ** (-1 / p) * (1 - 1e-5)).all()  # one of the 8 positions has the maximum
        last = gap


def test_gem_learns_its_power() -> None:
    x, p, step = np.abs(maps("signed")), 3.0, 1e-5
    net = GeM(p)
    net(torch.from_numpy(x)).sum().backward()
    slope = (by_definition("gem", x, p + step).sum() - by_definition("gem", x, p - step).sum()) / (2 * step)
    assert net.p.grad.item() == pytest.approx(slope, rel=1e-4)


@pytest.mark.parametrize("name", POOLINGS)
@pytest.mark.parametrize("kind", ["zero", "after a ReLU"])
def test_gradient_stays_finite_where_the_map_is_zero(name: str, kind: str) -> None:
    net, x = build(name), torch.from_numpy(maps(kind)).requires_grad_()
    net(x).sum().backward()
    assert all(g.isfinite().all() for g in (x.grad, *(q.grad for q in net.parameters())))


def test_unknown_pooling_lists_the_known() -> None:
    with pytest.raises(UserError, match=r"head\.pooling=mean is unknown: choose one of avg, max, avgmax, gem"):
        build("mean")
