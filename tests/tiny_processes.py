"""Several processes on the CPU, and the same tiny training on each of them."""

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tiny
import torch
from PIL import Image
from tiny_training import module

from reid import processes
from reid.data.augment import Augment
from reid.data.datamodule import ReIDData
from reid.data.records import Record, Split
from reid.processes import run_on
from reid.training.module import ReIDModule

PEOPLE = 18  # by eight a batch: three of six, which four processes share unequally


def noise(folder: Path) -> Split:
    """People with three noise pictures each."""
    rng, records = np.random.default_rng(0), []
    for pid in range(PEOPLE):
        for n in range(3):
            path = folder / f"{pid}_{n}.png"
            Image.fromarray(rng.integers(0, 256, size=(*tiny.SIZE, 3), dtype=np.uint8)).save(path)
            records.append(Record(path, pid, n % 2))
    return Split("noise", folder, tuple(records), tuple(records[:3]), tuple(records[3:]))


def make(split: Split, **changes: Any) -> tuple[ReIDModule, ReIDData]:
    """Cross-entropy and triplet loss on the tiny net, with augmentation that looks at other images of the batch."""
    data = ReIDData(split, image_size=tiny.SIZE, identities=8, images=2, cache="memory", seed=3)
    how = {"augment": Augment(jitter=0.5, patch=0.5, erase_with="pixel"), "seed": 3, **changes}
    return module(embedder=tiny.embedder(PEOPLE), **how), data


def on_processes(work: Callable[..., Any], count: int, *arguments: Any) -> list[Any]:
    """What ``work(*arguments)`` gives on each of so many processes that know one another."""
    with tempfile.TemporaryDirectory() as folder:
        run_on(count, _keep, folder, work, *arguments)
        return [torch.load(f"{folder}/{rank}.pt", weights_only=False) for rank in range(count)]


def _keep(folder: str, work: Callable[..., Any], *arguments: Any) -> None:
    torch.save(work(*arguments), f"{folder}/{processes.rank()}.pt")


def maker(split: Split, **changes: Any) -> Callable[[], tuple[ReIDModule, ReIDData]]:
    return partial(make, split, **changes)
