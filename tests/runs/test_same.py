"""1, 2 and 4 processes go the same way."""

from pathlib import Path

import pytest
import torch
from tiny_processes import maker, noise

from reid.runs.same import Steps, Watched, compare, table, watch


@pytest.mark.parametrize("frozen", [False, True])
def test_loss_and_gradient_of_twenty_steps_are_those_of_one_process(tmp_path: Path, frozen: bool) -> None:
    rows = compare(Watched(maker(noise(tmp_path)), steps=20, frozen=frozen), [1, 2, 4])
    print(table(rows, 1))
    assert [row[0] for row in rows] == [2, 4]
    assert max(difference for row in rows for difference in row[1:]) < 1e-5


def test_two_processes_in_chunks_go_the_way_of_one_without(tmp_path: Path) -> None:
    split = noise(tmp_path)
    one = watch(Watched(maker(split), steps=4, frozen=True), 1)
    two = watch(Watched(maker(split, chunk=3), steps=4, frozen=True), 2)
    assert max(one.differences(two)) < 1e-5


def test_differences_are_relative_to_the_first() -> None:
    one = Steps(torch.tensor([2.0, 4.0]), torch.tensor([[3.0, 4.0], [0.0, 1.0]]), [])
    two = Steps(torch.tensor([2.0, 5.0]), torch.tensor([[3.0, 3.5], [0.0, 1.0]]), [])
    assert one.differences(two) == pytest.approx((0.25, 0.1))
