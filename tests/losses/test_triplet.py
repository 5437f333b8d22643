import itertools
import math

import numpy as np
import pytest
import torch

from reid.errors import UserError
from reid.losses.triplet import BatchHardTriplet, hardest


def slow_batch_hard(features: np.ndarray, labels: np.ndarray, margin: float | None) -> float:
    """The definition, anchor by anchor in float64 (Hermans et al. 2017, equation 5 and section 2)."""
    x = features.astype(np.float64)
    terms = []
    for a in range(len(x)):
        positives = [np.linalg.norm(x[a] - x[j]) for j in range(len(x)) if labels[j] == labels[a] and j != a]
        negatives = [np.linalg.norm(x[a] - x[j]) for j in range(len(x)) if labels[j] != labels[a]]
        if positives and negatives:
            gap = max(positives) - min(negatives)
            terms.append(math.log1p(math.exp(gap)) if margin is None else max(0.0, margin + gap))
    return sum(terms) / len(terms) if terms else 0.0


@pytest.mark.parametrize("margin", [None, 0.0, 0.3, 2.0])
def test_equals_the_loop_on_random_batches(margin: float | None) -> None:
    rng = np.random.default_rng(0)
    for _ in range(100):
        batch, dim = rng.integers(1, 14), rng.integers(1, 9)
        features = rng.normal(size=(batch, dim)).astype(np.float32)
        labels = rng.integers(0, rng.integers(1, 6), size=batch)
        loss = BatchHardTriplet(margin)(torch.from_numpy(features), torch.from_numpy(labels))
        assert float(loss) == pytest.approx(slow_batch_hard(features, labels, margin), rel=1e-5, abs=1e-6)


def test_points_on_a_circle_at_known_angles() -> None:
    # The chord of an angle t is 2 sin(t / 2). Identity 0 at 0 and 60 degrees, identity 1 at 180 and 270.
    angles = torch.deg2rad(torch.tensor([0.0, 60.0, 180.0, 270.0]))
    features = torch.stack([angles.cos(), angles.sin()], dim=1)
    labels = torch.tensor([0, 0, 1, 1])
    root2, root3 = math.sqrt(2), math.sqrt(3)
    # anchor: positive chord, nearest negative: 0: 60 and 90 degrees; 60: 60 and 120; 180: 90 and 120; 270: 90 and 90
    gaps = [1 - root2, 1 - root3, root2 - root3, 0.0]
    assert float(BatchHardTriplet(0.5)(features, labels)) == pytest.approx(
        sum(max(0.0, 0.5 + g) for g in gaps) / 4, rel=1e-6
    )
    assert float(BatchHardTriplet(None)(features, labels)) == pytest.approx(
        sum(math.log(1 + math.exp(g)) for g in gaps) / 4, rel=1e-6
    )


def test_hardest_pairs_of_a_hand_made_line() -> None:
    features = torch.tensor([[0.0], [1.0], [5.0], [2.0], [9.0]])
    positive, negative, valid = hardest(features, torch.tensor([7, 7, 7, 3, 4]))
    assert positive[:3].tolist() == [2, 2, 0]
    assert negative.tolist() == [3, 3, 3, 1, 2]
    assert valid.tolist() == [True, True, True, False, False]  # identities 3 and 4 have one image each


def test_close_features_far_from_the_origin_keep_their_distances() -> None:
    # Multiples of 1/1024 around 1000 are exact in float32, but |x|^2 + |y|^2 - 2xy is not.
    rng = np.random.default_rng(1)
    features = (1000 + rng.integers(0, 64, size=(12, 8)) / 1024).astype(np.float32)
    labels = np.repeat(np.arange(3), 4)
    loss = BatchHardTriplet(0.3)(torch.from_numpy(features), torch.from_numpy(labels))
    assert float(loss) == pytest.approx(slow_batch_hard(features, labels, 0.3), rel=1e-5)


@pytest.mark.parametrize("margin", [None, 0.3, 5.0])
def test_gradient_equals_finite_differences(margin: float | None) -> None:
    rng = np.random.default_rng(2)
    labels = torch.tensor([0, 0, 0, 1, 1, 2, 2, 3])
    features = torch.from_numpy(rng.normal(size=(8, 5))).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: BatchHardTriplet(margin)(x, labels), (features,))


def test_gradient_where_two_features_are_equal() -> None:
    # Identity 0 twice at the origin, identity 1 at (3, 4) and (6, 8). Anchors 0 and 1: 2 + 0 - 5 < 0, no gradient for
    # a margin of 2; for one of 9 the positive pair gives none and the negative pulls along (3, 4) / 5.
    points = [[0.0, 0.0], [0.0, 0.0], [3.0, 4.0], [6.0, 8.0]]
    labels = torch.tensor([0, 0, 1, 1])
    features = torch.tensor(points, requires_grad=True)
    BatchHardTriplet(9.0)(features, labels).backward()
    u = np.array([0.6, 0.8])
    # Negatives: 0 and 1 take 2 (both rows of the pair move); 2 and 3 take 0 or 1, which are tied: together +2u.
    # Anchor 2: +|2-3| - |2-n|; anchor 3: +|3-2| - |3-n|.
    grad = features.grad.numpy()
    np.testing.assert_allclose(grad[0] + grad[1], (2 * u + 2 * u) / 4, atol=1e-6)
    np.testing.assert_allclose(grad[2], (-2 * u - u - u - u) / 4, atol=1e-6)
    np.testing.assert_allclose(grad[3], (u + u - u) / 4, atol=1e-6)


@pytest.mark.parametrize("margin", [None, 0.3])
@pytest.mark.parametrize("value", [0.0, 1.0, 1e4])
def test_gradient_is_exactly_zero_where_all_features_are_equal(margin: float | None, value: float) -> None:
    features = torch.full((6, 4), value, requires_grad=True)
    loss = BatchHardTriplet(margin)(features, torch.tensor([0, 0, 1, 1, 2, 2]))
    loss.backward()
    assert float(loss.detach()) == pytest.approx(math.log(2) if margin is None else margin)
    assert torch.equal(features.grad, torch.zeros(6, 4))


@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2], [5]], ids=["one identity", "no pair", "one image"])
@pytest.mark.parametrize("margin", [None, 0.3])
def test_batch_without_a_triplet_is_zero_and_still_connected(labels: list[int], margin: float | None) -> None:
    features = torch.randn(len(labels), 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    loss = BatchHardTriplet(margin)(features, torch.tensor(labels))
    loss.backward()
    assert float(loss.detach()) == 0
    assert torch.equal(features.grad, torch.zeros(len(labels), 3))


def test_value_does_not_depend_on_the_order_of_the_batch() -> None:
    generator = torch.Generator().manual_seed(3)
    features = torch.randn(8, 4, generator=generator)
    labels = torch.tensor([0, 0, 1, 1, 1, 2, 3, 3])
    loss = BatchHardTriplet(0.3)
    for order in itertools.islice(itertools.permutations(range(8)), 0, 40320, 4001):
        index = torch.tensor(order)
        assert float(loss(features[index], labels[index])) == pytest.approx(float(loss(features, labels)), rel=1e-5)


def test_autocast_leaves_the_result_in_float32() -> None:
    features = torch.randn(8, 16, generator=torch.Generator().manual_seed(4))
    labels = torch.arange(4).repeat_interleave(2)
    plain = BatchHardTriplet(0.3)(features, labels)
    with torch.autocast("cpu", torch.bfloat16):
        cast = BatchHardTriplet(0.3)(features, labels)
    assert cast.dtype == torch.float32
    assert torch.equal(cast, plain)


def test_negative_margin_is_refused() -> None:
    with pytest.raises(UserError, match="margin=-0.1 must be at least 0"):
        BatchHardTriplet(-0.1)
