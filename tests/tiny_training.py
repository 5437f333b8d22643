"""A fit that takes a fraction of a second: two convolutions, batches of noise, an optimiser with a memory."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import tiny
import torch
from pytorch_lightning.callbacks import Callback
from torch.utils.data import DataLoader

from reid.losses.cross_entropy import CrossEntropy
from reid.losses.objective import Objective
from reid.losses.triplet import BatchHardTriplet
from reid.training.checkpoints import AtomicCheckpoints
from reid.training.module import ReIDModule
from reid.training.settings import TrainerSettings, build_trainer

Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def batches(count: int) -> list[Batch]:
    """Different images of the same four identities, two of each."""
    return [(tiny.images(8, seed=i), torch.arange(4).repeat_interleave(2), torch.ones(8).long()) for i in range(count)]


def objective() -> Objective:
    """Label smoothing 0.1, plus half the triplet loss of margin 0.3."""
    return Objective(
        {
            "id": {"loss": CrossEntropy(0.1), "input": "logits", "weight": 1.0},
            "triplet": {"loss": BatchHardTriplet(0.3), "input": "feature", "weight": 0.5},
        }
    )


def module(**changes: Any) -> ReIDModule:
    """A ReIDModule on the tiny network; ``changes`` replace its arguments."""
    arguments: dict[str, Any] = {
        "embedder": tiny.embedder(),
        "objective": objective(),
        "optimizer": lambda parameters: torch.optim.SGD(parameters, lr=0.05, momentum=0.9, weight_decay=1e-3),
        "schedule": lambda progress: 1.0,
        **changes,
    }
    return ReIDModule(arguments.pop("embedder"), arguments.pop("objective"), **arguments)


def fit(
    folder: Path,
    net: ReIDModule,
    data: Sequence[Batch] | pl.LightningDataModule,
    *,
    epochs: int = 1,
    callbacks: Iterable[Callback] = (),
    validation: Sequence[Batch] = (),
    resume: Path | None = None,
    **settings: Any,
) -> pl.Trainer:
    """Train as ``reid.runs.train`` does, on the CPU."""
    trainer = build_trainer(
        TrainerSettings(max_epochs=epochs, accelerator="cpu", **settings),
        root=str(folder),
        bf16=False,
        callbacks=list(callbacks),
        plugins=[AtomicCheckpoints()],
        logger=False,
    )
    how: dict[str, Any] = {"ckpt_path": str(resume) if resume else None, "weights_only": True}
    if isinstance(data, pl.LightningDataModule):
        trainer.fit(net, datamodule=data, **how)
    else:
        train, val = (DataLoader(list(part), batch_size=None) for part in (data, validation))
        trainer.fit(net, train, val if validation else [], **how)
    return trainer
