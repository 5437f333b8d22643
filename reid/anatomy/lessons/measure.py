"""What the lessons ask of ``analyse``, in short words."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from reid.anatomy.analyse import Anatomy, analyse

MIB = 2**20


def counted(net: nn.Module, size: tuple[int, ...], **measured: Any) -> Anatomy:
    """``analyse`` that counts, and measures only what ``measured`` asks for: all within a blink."""
    return analyse(net, size, **{"effective_inputs": 0, "shifts": (), "batches": (), **measured})


def field(anatomy: Anatomy) -> tuple[int, ...]:
    """The receptive field of the last map, height and width in pixels of what went in."""
    assert anatomy.last_map is not None
    assert anatomy.last_map.field is not None
    sides = tuple(side for side in anatomy.last_map.field.size if side is not None)
    assert len(sides) == 2
    return sides


def by(numbers: Sequence[int]) -> str:
    """Sizes as people write them.

    >>> by((16, 8))
    '16x8'
    """
    return "x".join(map(str, numbers))


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """The same random weights every time; the caller's stream of random numbers goes on as if nothing was drawn."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
