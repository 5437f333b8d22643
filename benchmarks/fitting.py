"""What the benchmarks of training have in common: the objective of the usual recipe, and a clock around a fit."""

import time

import pytorch_lightning as pl
import torch

from reid.losses.cross_entropy import CrossEntropy
from reid.losses.objective import Objective
from reid.losses.triplet import BatchHardTriplet


def objective() -> Objective:
    """Cross-entropy and batch-hard triplet loss, each by a weight of 1."""
    return Objective({
        "cross_entropy": {"loss": CrossEntropy(), "input": "logits", "weight": 1.0},
        "triplet": {"loss": BatchHardTriplet(), "input": "feature", "weight": 1.0},
    })  # fmt: skip


class Clock(pl.Callback):
    """``seconds`` from the first step of a fit to the end of the last one, on its device."""

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.begin = self.now(module)

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.seconds = self.now(module) - self.begin

    @staticmethod
    def now(module: pl.LightningModule) -> float:
        if module.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()
