import math

import numpy as np
import pytest
import torch

from reid.errors import UserError
from reid.losses.cross_entropy import CrossEntropy


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_equals_the_formula_in_float64(smoothing: float) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(9, 5)).astype(np.float32) * 3
    labels = rng.integers(0, 5, size=9)
    total = 0.0
    for row, label in zip(logits.astype(np.float64), labels, strict=True):
        log_p = row - math.log(np.exp(row).sum())
        for c in range(5):  # Luo et al. 2019: 1 - e (C - 1) / C for the true identity, e / C for the others
            total -= (1 - smoothing * 4 / 5 if c == label else smoothing / 5) * log_p[c]
    loss = CrossEntropy(smoothing)(torch.from_numpy(logits), torch.from_numpy(labels))
    assert float(loss) == pytest.approx(total / 9, rel=1e-5)


def test_equal_logits_give_the_logarithm_of_the_number_of_identities() -> None:
    assert float(CrossEntropy(0.1)(torch.zeros(3, 7), torch.tensor([0, 3, 6]))) == pytest.approx(math.log(7))


def test_two_identities_worked_by_hand() -> None:
    # p = (0.8, 0.2), true identity 0, e = 0.2: targets 0.9 and 0.1
    logits = torch.log(torch.tensor([[0.8, 0.2]]))
    expected = -(0.9 * math.log(0.8) + 0.1 * math.log(0.2))
    assert float(CrossEntropy(0.2)(logits, torch.tensor([0]))) == pytest.approx(expected, rel=1e-6)


def test_gradient_is_softmax_minus_the_smoothed_target() -> None:
    logits = torch.tensor([[1.0, 2.0, 0.5], [0.0, -1.0, 3.0]], requires_grad=True)
    labels = torch.tensor([1, 0])
    CrossEntropy(0.3)(logits, labels).backward()
    p = np.exp(logits.detach().double().numpy())
    p /= p.sum(1, keepdims=True)
    target = np.full((2, 3), 0.1)
    target[[0, 1], [1, 0]] = 0.8
    np.testing.assert_allclose(logits.grad, (p - target) / 2, atol=1e-6)


def test_very_large_logits_stay_finite() -> None:
    loss = CrossEntropy(0.0)(torch.tensor([[1e4, 0.0]]), torch.tensor([1]))
    assert float(loss) == pytest.approx(1e4)


@pytest.mark.parametrize("smoothing", [-0.1, 1.0, 1.5])
def test_smoothing_out_of_range_is_refused(smoothing: float) -> None:
    with pytest.raises(UserError, match=f"label_smoothing={smoothing} must be at least 0 and under 1"):
        CrossEntropy(smoothing)
