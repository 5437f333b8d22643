import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from data.augment.drawn import noise, seeded, uniform
from torch import Tensor

from reid.data.augment import CutMix, Mixup
from reid.data.augment.mixing import cutmix, draw_partners, draw_shares, mixed_labels, mixup
from reid.data.augment.rectangles import Rectangles
from reid.errors import UserError
from reid.losses.cross_entropy import CrossEntropy
from reid.losses.objective import Objective

MIXES = [Mixup(0.4), CutMix(1.0)]
LABELS = torch.arange(24) % 7


def slow_targets(labels: Tensor, partner: Tensor, share: list[float], classes: int) -> np.ndarray:
    targets = np.zeros((len(labels), classes))
    for i, mine in enumerate(share):
        targets[i, labels[i]] += mine
        targets[i, labels[partner[i]]] += 1 - mine
    return targets


def test_mixup_equals_a_loop() -> None:
    images, draws = noise(24, 10, 6), seeded()
    out, targets = Mixup(0.4)(images, LABELS, 7, seeded())
    partner, share = draw_partners(images, draws), draw_shares(images, 0.4, draws)
    for i, j in enumerate(partner.tolist()):
        mine = float(share[i])
        expected = mine * images[i].double() + (1 - mine) * images[j].double()
        assert (out[i] - expected).abs().max() <= 0.501
    assert targets.dtype == torch.float32
    np.testing.assert_allclose(targets, slow_targets(LABELS, partner, share.tolist(), 7), atol=1e-6)


def test_cutmix_equals_a_loop() -> None:
    """The authors' bounding boxes: sides by the square root of the share that is cut, a centre anywhere, clipped."""
    height, width = 20, 12
    images, draws = noise(24, height, width), seeded()
    out, targets = CutMix(1.0)(images, LABELS, 7, seeded())
    partner, share = draw_partners(images, draws), draw_shares(images, 1.0, draws)
    rows, columns = (torch.randint(side, (24,), generator=draws).tolist() for side in (height, width))
    left = []
    for i, j in enumerate(partner.tolist()):
        h, w = (int(side * math.sqrt(1 - float(share[i]))) for side in (height, width))
        expected, shown = images[i].clone(), 0
        for y in range(rows[i] - h // 2, rows[i] - h // 2 + h):
            for x in range(columns[i] - w // 2, columns[i] - w // 2 + w):
                if 0 <= y < height and 0 <= x < width:
                    expected[:, y, x] = images[j, :, y, x]
                    shown += 1
        assert torch.equal(out[i], expected)
        left.append(1 - shown / (height * width))
    np.testing.assert_allclose(targets, slow_targets(LABELS, partner, left, 7), atol=1e-6)


def test_mixing_by_given_shares() -> None:
    images = torch.tensor([0, 100, 200], dtype=torch.uint8)[:, None, None, None].expand(3, 3, 4, 5)
    partner, share = torch.tensor([1, 2, 2]), torch.tensor([0.3, 1.0, 0.5])
    assert mixup(images, partner, share)[:, 0, 0, 0].tolist() == [70, 100, 200]
    places = Rectangles(*(torch.tensor(v) for v in ([1, 0, 0], [0, 0, 0], [2, 0, 4], [3, 5, 5])))
    shown = cutmix(images, partner, places)[:, 0]
    assert shown[0].tolist() == [[0] * 5, [100, 100, 100, 0, 0], [100, 100, 100, 0, 0], [0] * 5]
    assert shown[1].unique().tolist() == [100]
    assert mixed_labels(torch.tensor([0, 2, 2]), partner, share, 3).tolist() == [
        [pytest.approx(0.3), 0, pytest.approx(0.7)],
        [0, 0, 1],
        [0, 0, 1],
    ]


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_shares_have_the_moments_of_their_beta(alpha: float) -> None:
    shares = draw_shares(torch.zeros(40_000, 1), alpha, seeded()).double()
    variance = 1 / (4 * (2 * alpha + 1))
    assert abs(float(shares.mean()) - 0.5) < 5 * math.sqrt(variance / 40_000)
    assert float(shares.var()) == pytest.approx(variance, rel=0.05)
    if alpha == 1:
        assert uniform(np.histogram(shares, bins=20, range=(0, 1))[0])


def test_every_image_is_a_partner_once() -> None:
    assert draw_partners(torch.zeros(50, 1), seeded()).sort()[0].tolist() == list(range(50))


@pytest.mark.parametrize("mix", MIXES)
def test_the_generator_decides_everything_and_the_batch_is_not_written_to(mix: Mixup | CutMix) -> None:
    images = noise(24, 10, 6)
    before = images.clone()
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first, targets = mix(images, LABELS, 7, seeded(1))
    again = mix(images, LABELS, 7, seeded(1))
    assert torch.equal(first, again[0])
    assert torch.equal(targets, again[1])
    assert not torch.equal(first, mix(images, LABELS, 7, seeded(2))[0])
    assert torch.equal(images, before)
    assert torch.equal(torch.get_rng_state(), state)
    assert first.dtype == torch.uint8
    torch.testing.assert_close(targets.sum(1), torch.ones(24))


@pytest.mark.parametrize("mix", MIXES)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_of_mixed_labels_is_the_mixture_of_the_losses(mix: Mixup | CutMix, smoothing: float) -> None:
    images, logits = noise(24, 10, 6), torch.randn(24, 7, generator=seeded())
    _, targets = mix(images, LABELS, 7, seeded(4))
    partner = draw_partners(images, seeded(4))
    shares = []
    for i, j in enumerate(partner.tolist()):  # of two equal labels any share is right
        shares.append(float(targets[i, LABELS[i]]) if LABELS[i] != LABELS[j] else 1.0)
    ce = [F.cross_entropy(logits, labels, reduction="none", label_smoothing=smoothing)
          for labels in (LABELS, LABELS[partner])]  # fmt: skip
    share = torch.tensor(shares)
    expected = (share * ce[0] + (1 - share) * ce[1]).mean()
    loss = CrossEntropy(smoothing)
    torch.testing.assert_close(loss(logits, targets), expected)
    objective = Objective({"id": {"loss": loss, "input": "logits", "weight": 2.0}})
    total, terms = objective(torch.zeros(24, 3), logits, targets, [logits])  # an auxiliary classifier of weight 0.3
    torch.testing.assert_close(terms["id"], expected)
    torch.testing.assert_close(total, 2 * 1.3 * expected)


@pytest.mark.parametrize("mix", [Mixup, CutMix])
@pytest.mark.parametrize("alpha", [0.0, -1.0])
def test_an_alpha_that_is_none_is_told(mix: type, alpha: float) -> None:
    with pytest.raises(UserError, match=f"mix.alpha={alpha} must be above 0; mix=none"):
        mix(alpha)
