import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, LRScheduler, MultiStepLR

from reid.errors import UserError
from reid.training.schedules import constant, cosine, multistep

SQRT3 = math.sqrt(3)


@pytest.mark.parametrize(
    ("schedule", "points"),
    [
        (cosine, {0: 1, 1 / 6: (2 + SQRT3) / 4, 1 / 3: 0.75, 0.5: 0.5, 2 / 3: 0.25, 1: 0}),
        (partial(cosine, floor=0.1), {0: 1, 1 / 3: 0.775, 0.5: 0.55, 1: 0.1}),
        (partial(cosine, warmup=0.2), {0: 0.01, 0.1: 0.505, 0.2: 1, 0.6: 0.5, 1: 0}),
        (partial(cosine, warmup=0.5, floor=0.2), {0: 0.01, 0.25: 0.505, 0.5: 1, 0.75: 0.6, 1: 0.2}),
        (multistep, {0: 1, 39 / 120: 1, 40 / 120: 0.1, 69 / 120: 0.1, 70 / 120: 0.01, 1: 0.01}),
        (
            partial(multistep, warmup=0.1, milestones=(0.5, 0.75, 0.9), gamma=0.5),
            {0: 0.01, 0.05: 0.505, 0.1: 1, 0.49: 1, 0.5: 0.5, 0.75: 0.25, 0.9: 0.125, 1: 0.125},
        ),
        (partial(multistep, milestones=()), {0: 1, 1: 1}),
        (constant, {0: 1, 0.5: 1, 1: 1}),
        (partial(constant, warmup=0.4), {0: 0.01, 0.1: 0.2575, 0.2: 0.505, 0.4: 1, 1: 1}),
    ],
)
def test_values_worked_by_hand(schedule: Callable[[float], float], points: dict[float, float]) -> None:
    for progress, expected in points.items():
        assert schedule(progress) == pytest.approx(expected, abs=1e-12)


def torch_rates(build: Callable[[torch.optim.Optimizer], LRScheduler], steps: int) -> list[float]:
    """Rates of a torch scheduler on an optimiser of rate 1."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = build(optimizer)
    rates = []
    for _ in range(steps):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize("floor", [0.0, 0.03])
@pytest.mark.parametrize("steps", [1, 7, 120])
def test_cosine_is_that_of_torch(steps: int, floor: float) -> None:
    expected = torch_rates(lambda o: CosineAnnealingLR(o, T_max=steps, eta_min=floor), steps + 1)
    assert [cosine(i / steps, floor=floor) for i in range(steps + 1)] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("steps", [12, 120, 1200, 22560])  # 188 batches in each of 120 epochs at the end
def test_multistep_is_that_of_torch_to_the_step(steps: int) -> None:
    milestones = [steps // 3, steps * 7 // 12]
    expected = torch_rates(lambda o: MultiStepLR(o, milestones=milestones, gamma=0.1), steps)
    assert [multistep(i / steps) for i in range(steps)] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("schedule", [cosine, multistep, constant])
def test_warmup_is_that_of_torch(schedule: Callable[..., float]) -> None:
    steps, warm = 200, 20
    expected = torch_rates(lambda o: LinearLR(o, start_factor=0.01, total_iters=warm), warm + 1)
    assert [schedule(i / steps, warmup=warm / steps) for i in range(warm + 1)] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("schedule", [cosine, multistep, constant])
@pytest.mark.parametrize("warmup", [-0.1, 1.0, 10])
def test_warmup_that_is_no_share_of_the_run_is_refused(schedule: Callable[..., float], warmup: float) -> None:
    with pytest.raises(UserError, match=f"schedule\\.warmup={warmup} is a share of the run"):
        schedule(0.5, warmup=warmup)
