"""The processes of a run on several devices: which one this is, and what they tell one another.

Without ``torch.distributed`` there is one process, and each function does nothing.
"""

import multiprocessing
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from reid.errors import UserError

T = TypeVar("T")


def count() -> int:
    """How many processes there are."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Which of them this is, 0..count - 1."""
    return dist.get_rank() if count() > 1 else 0


def from_first(make: Callable[[], T]) -> T:
    """What ``make`` gives on the first process, on all.

    An error there is one on all of them, so that none waits for what the first will not do: a UserError as what it is,
    any other on the others as a RuntimeError that tells of it.
    """
    if count() == 1:
        return make()
    told: list[Any] = [None, None, None]
    failure: Exception | None = None
    if rank() == 0:
        try:
            told[0] = make()
        except UserError as error:
            failure, told[1] = error, str(error)
        except Exception as error:
            failure, told[2] = error, f"{type(error).__name__}: {error}"
    dist.broadcast_object_list(told)
    if failure is not None:
        raise failure
    if told[1] is not None:
        raise UserError(told[1])
    if told[2] is not None:
        raise RuntimeError(f"the first process has failed: {told[2]}")
    return told[0]


def as_first(value: Tensor) -> None:
    """Give ``value`` what it holds on the first process, in place."""
    if count() > 1:
        dist.broadcast(value, 0)


def to_first(part: T) -> list[T]:
    """The parts of all processes in their order, on the first; on the others none. All of them must call it."""
    if count() == 1:
        return [part]
    parts: list[Any] | None = [None] * count() if rank() == 0 else None
    dist.gather_object(part, parts)
    return parts or []


def total(value: Tensor) -> Tensor:
    """The sum over the processes, on all of them; the gradients of all go back to each."""
    return value if count() == 1 else _Total.apply(value)


def run_on(number: int, work: Callable[..., None], *arguments: Any) -> None:
    """Run ``work(*arguments)`` on so many new processes of one thread each on this CPU, and wait for them.

    They are forked from one that has only imported; ``work`` must be a function that can be imported.
    """
    # named one by one, since the server knows no paths that were added to sys.path
    multiprocessing.set_forkserver_preload(["pytorch_lightning", "timm", "torch.nn.parallel", work.__module__])
    with tempfile.TemporaryDirectory() as folder:
        how = {"nprocs": number, "start_method": "forkserver"}
        torch.multiprocessing.start_processes(_one, (number, f"file://{folder}/meet", work, arguments), **how)


def _one(rank: int, number: int, meet: str, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=meet, rank=rank, world_size=number)
    work(*arguments)
    dist.barrier()  # none leaves while another still needs it
    dist.destroy_process_group()


@dataclass(frozen=True)
class Shares:
    """A batch that is dealt to the processes: how many of its rows each has, one process after the other."""

    sizes: tuple[int, ...]
    rank: int

    @classmethod
    def of(cls, rows: Tensor) -> "Shares":
        """Of a batch whose share on this process is ``rows`` [b, ...]. All processes must call it."""
        if count() == 1:
            return cls((len(rows),), 0)
        sizes = torch.zeros(count(), dtype=torch.int64, device=rows.device)
        sizes[rank()] = len(rows)
        dist.all_reduce(sizes)
        return cls(tuple(sizes.tolist()), rank())

    def own(self, rows: Tensor) -> Tensor:
        """This process's share [b, ...] of the rows of the batch [B, ...]."""
        start = sum(self.sizes[: self.rank])
        return rows[start : start + self.sizes[self.rank]]

    def join(self, rows: Tensor) -> Tensor:
        """The rows [B, ...] of the batch from the shares [b, ...]; a gradient goes back to the share that a row is of.

        It is the gradient of what all processes compute alike of the whole batch, and DistributedDataParallel takes the
        mean over the processes, so each multiplies its share by their number: the mean then is the gradient that one
        process would have.
        """
        return rows if len(self.sizes) == 1 else _Join.apply(rows, self)

    def join_all(self, parts: Sequence[Tensor]) -> list[Tensor]:
        """``join`` of several at once, each [b, width], as float32."""
        if len(self.sizes) == 1:
            return list(parts)
        joined = self.join(torch.cat([part.float() for part in parts], dim=1))
        return list(joined.split([part.shape[1] for part in parts], dim=1))


class _Total(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return _summed(value)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _summed(gradient)


def _summed(value: Tensor) -> Tensor:
    value = value.clone()
    dist.all_reduce(value)
    return value


class _Join(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, shares: Shares) -> Tensor:
        ctx.shares = shares
        most = max(shares.sizes)  # gloo gathers equal shapes alone
        padded = rows.new_zeros(most, *rows.shape[1:])
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in shares.sizes]
        dist.all_gather(parts, padded)
        return torch.cat([part[:size] for part, size in zip(parts, shares.sizes, strict=True)])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return ctx.shares.own(gradient) * len(ctx.shares.sizes), None
