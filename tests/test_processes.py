"""What processes tell one another, beside one process that has it all."""

import torch
from tiny_processes import on_processes
from torch import Tensor

from reid import processes
from reid.errors import UserError
from reid.losses.triplet import BatchHardTriplet
from reid.processes import Shares

SIZES = (4, 2, 5)
LABELS = torch.tensor([0, 0, 1, 1, 2, 2, 1, 0, 3, 3, 2])


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(len(LABELS), 3, generator=generator), torch.randn(3, 4, generator=generator)


def mined() -> dict[str, Tensor]:
    """The triplet loss of the batch, this process embedding its share; the mean gradient as DDP takes it."""
    inputs, weight = batch()
    own = inputs.split(SIZES)[processes.rank()] if processes.count() > 1 else inputs
    weight.requires_grad_()
    shares = Shares.of(own)
    (feature,) = shares.join_all([own @ weight])
    loss = BatchHardTriplet(0.3)(feature, LABELS)
    loss.backward()
    assert weight.grad is not None
    gradient = processes.total(weight.grad) / processes.count()
    return {"loss": loss.detach(), "gradient": gradient, "joined": shares.join(own), "own": shares.own(inputs) - own}


def test_mining_over_processes_with_unequal_shares_is_that_of_the_batch() -> None:
    expected = mined()
    for found in on_processes(mined, 3):
        torch.testing.assert_close(found["loss"], expected["loss"])
        torch.testing.assert_close(found["gradient"], expected["gradient"])
        assert torch.equal(found["joined"], batch()[0])
        assert not found["own"].any()


def told() -> tuple[int, list[int], list[str]]:
    """What the first says, what it hears, its refusal and its failure."""

    def refuse() -> int:
        raise UserError(f"no, says {processes.rank()}")

    def fail() -> int:
        raise KeyError(f"lost by {processes.rank()}")

    said = processes.from_first(lambda: 10 + processes.rank())
    heard = processes.to_first(processes.rank())
    errors = []
    for work in (refuse, fail):
        try:
            processes.from_first(work)
        except (UserError, KeyError, RuntimeError) as error:
            errors.append(f"{type(error).__name__}: {error}")
    return said, heard, errors


def test_the_first_tells_all_and_hears_all() -> None:
    first = ["UserError: no, says 0", "KeyError: 'lost by 0'"]
    other = ["UserError: no, says 0", "RuntimeError: the first process has failed: KeyError: 'lost by 0'"]
    assert on_processes(told, 3) == [(10, [0, 1, 2], first), (10, [], other), (10, [], other)]
    assert told() == (10, [0], first)
