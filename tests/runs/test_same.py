"""1, 2 and 4 processes go the same way."""

from pathlib import Path

import pytest
import torch
from tiny_processes import maker, noise

from reid.runs.same import Steps, Watched, compare, table


@pytest.mark.parametrize("frozen", [False, True])
def test_loss_and_gradient_of_twenty_steps_are_those_of_one_process(tmp_path: Path, frozen: bool) -> None:
    rows = compare(Watched(maker(noise(tmp_path)), steps=20, frozen=frozen), [1, 2, 4])
    print(table(rows, 1))
    assert [row[0] for row in rows] == [2, 4]
    assert max(difference for row in rows for difference in row[1:]) < 1e-5


def test_differences_are_relative_to_the_first() -> None:
    one = Steps(torch.tensor([2.0, 4.0]), torch.tensor([[3.0, 4.0], [0.0, 1.0]]), [])
    two = Steps(torch.tensor([2.0, 5.0]), torch.tensor([[3.0, 3.5], [0.0, 1.0]]), [])
    assert one.differences(two) == pytest.approx((0.25, 0.1))
