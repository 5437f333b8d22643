"""How batches come from worker processes: through shared memory where there is plenty, else through a pipe."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

_SHARED = Path("/dev/shm")  # Linux; a container often has 64 MiB of it
_AHEAD = 2  # batches that each worker prepares, the DataLoader's own default
_PLENTY = 8  # times what is needed: other processes, one a GPU, want theirs too

Batch = tuple[Tensor, ...]


def collate(workers: int, batch_bytes: int) -> Callable[[Any], Any]:
    """``collate_fn`` of a DataLoader whose data set gives whole batches, images [B, 3, H, W] first.

    Torch has workers put tensors into shared memory, which is fast and ends in a bus error where that is full.
    """
    if workers and _SHARED.is_dir() and shutil.disk_usage(_SHARED).free < _PLENTY * _AHEAD * workers * batch_bytes:
        return Piped
    return _as_is


class Piped:
    """A batch that is pickled, byte for byte, and is a tuple of tensors again where it is unpickled."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch

    def __reduce__(self) -> tuple[Any, ...]:
        images, *others = self._batch
        return _batch, (images.permute(0, 2, 3, 1).numpy(), *(other.numpy() for other in others))


def _batch(images: Any, *others: Any) -> Batch:
    return torch.from_numpy(images).permute(0, 3, 1, 2), *map(torch.from_numpy, others)


def _as_is(batch: Batch) -> Batch:
    return batch
