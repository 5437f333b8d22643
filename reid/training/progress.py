"""What training tells while it runs: a bar on the terminal and train_log.csv."""

import csv
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import TensorBoardLogger
from tqdm import tqdm

from reid import files


class TrainLog(Callback):
    """One row an epoch into a CSV file: mean losses, learning rate, images/s of the epoch's training, validation.

    Rows of epochs that a resumed run trains again are dropped first, so the file has each epoch once, and TensorBoard
    each step. A row is on the disk before the epoch's checkpoint is.
    """

    def __init__(self, path: Path, terms: list[str], val_metrics: list[str]) -> None:
        self.path = path
        self.losses = ["loss", *terms]
        self.val = [f"val_{m}" for m in val_metrics]
        self.columns = ["epoch", "step", "lr", *self.losses, "images_per_s", "seconds", *self.val]
        self.images_trained = 0
        self.seconds_trained = 0.0
        self._begin_epoch()

    def _begin_epoch(self) -> None:
        self._since = time.perf_counter()
        self._seconds, self._images, self._steps = 0.0, 0, 0
        self._sums: dict[str, torch.Tensor] = {}

    def state_dict(self) -> dict[str, Any]:
        """The epoch so far, for checkpoints in its midst."""
        return {"seconds": self._seconds, "images": self._images, "steps": self._steps, "sums": self._sums}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._seconds, self._images = state_dict["seconds"], state_dict["images"]
        self._steps, self._sums = state_dict["steps"], dict(state_dict["sums"])

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._step = trainer.global_step
        self._since = time.perf_counter()
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger) and trainer.ckpt_path and trainer.is_global_zero:
                logger.experiment.close()  # the next file tells readers to forget what follows
                logger.experiment.purge_step = trainer.global_step + 1
        if not trainer.is_global_zero:
            return
        rows = [r for r in read_log(self.path) if int(r["epoch"]) <= trainer.current_epoch]
        files.write_csv(self.path, self.columns, [[row.get(column, "") for column in self.columns] for row in rows])

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._begin_epoch()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._steps += 1
        self._images += outputs["images"]
        for name in self.losses:
            value = outputs["told"][name]
            self._sums[name] = self._sums[name] + value if name in self._sums else value
        fresh, self._step = trainer.global_step != self._step, trainer.global_step  # a step may take several batches
        if trainer.logger and fresh and trainer.global_step % trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            values = {f"train/{name}": float(outputs["told"][name]) for name in self.losses}
            trainer.logger.log_metrics({**values, "train/lr": _learning_rate(trainer)}, step=trainer.global_step)
        now = time.perf_counter()
        self._seconds, self._since = self._seconds + now - self._since, now

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        seconds = self._seconds  # without validation, which runs after the last batch
        self.images_trained += self._images
        self.seconds_trained += seconds
        row: dict[str, Any] = {
            "epoch": trainer.current_epoch + 1,
            "step": trainer.global_step,
            "lr": f"{_learning_rate(trainer):.3e}",
            "images_per_s": f"{self._images / max(seconds, 1e-9):.1f}",
            "seconds": f"{seconds:.2f}",
        }
        row |= {name: f"{float(total) / self._steps:.5f}" for name, total in self._sums.items()}
        fresh = (trainer.current_epoch + 1) % (trainer.check_val_every_n_epoch or 1) == 0
        row |= {
            k: f"{float(trainer.callback_metrics[k]):.5f}" for k in self.val if fresh and k in trainer.callback_metrics
        }
        if trainer.is_global_zero:
            with self.path.open("a", newline="") as file:
                csv.DictWriter(file, self.columns).writerow(row)
                file.flush()
                os.fsync(file.fileno())


def read_log(path: Path) -> list[dict[str, str]]:
    """The whole rows of a train_log.csv; a line cut short by a crash is left out."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        whole = [line for line in file if line.endswith("\n")]
    return [row for row in csv.DictReader(whole) if None not in row.values() and None not in row]


class Progress(Callback):
    """A bar over the whole run where stderr is a terminal, else one line an epoch."""

    def __init__(self, losses: list[str]) -> None:
        self.losses = losses

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._started, self._images, self._first = time.perf_counter(), 0, trainer.global_step
        shown = trainer.is_global_zero and sys.stderr.isatty()
        total = int(trainer.estimated_stepping_batches)
        self._bar = tqdm(total=total, initial=trainer.global_step, unit="step", disable=not shown, dynamic_ncols=True)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._images += outputs["images"]
        self._last = outputs["told"]
        if not self._bar.disable:
            self._bar.set_description(f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}", refresh=False)
            self._bar.set_postfix_str(f"{self._losses()} {self._images_per_s():.0f} images/s", refresh=False)
            self._bar.update(trainer.global_step - self._bar.n)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero or sys.stderr.isatty():
            return
        done, total = trainer.global_step, int(trainer.estimated_stepping_batches)
        spent = time.perf_counter() - self._started
        left = spent / max(done - self._first, 1) * (total - done)
        val = "".join(f" {k} {float(v):.3f}" for k, v in trainer.callback_metrics.items() if k.startswith("val_"))
        print(
            f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs} {self._losses()}{val} "
            f"{self._images_per_s():.0f} images/s, {left:.0f} s left",
            file=sys.stderr, flush=True,
        )  # fmt: skip

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._bar.close()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        if hasattr(self, "_bar"):
            self._bar.close()

    def _losses(self) -> str:
        return " ".join(f"{name} {float(self._last[name]):.3f}" for name in self.losses)

    def _images_per_s(self) -> float:
        return self._images / (time.perf_counter() - self._started)


def _learning_rate(trainer: pl.Trainer) -> float:
    return max(float(group["lr"]) for group in trainer.optimizers[0].param_groups)
