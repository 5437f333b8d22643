"""Checkpoints that are either whole or not there."""

import contextlib
import os
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.plugins.io import CheckpointIO

from reid.errors import UserError
from reid.models import weights


class AtomicCheckpoints(CheckpointIO):
    """Writes under a temporary name, flushes to the disk and renames; reads nothing that can run code."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        path = Path(path)
        partial = path.with_name(path.name + ".partial")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except (OSError, RuntimeError) as error:  # torch reports a full disk as either
            with contextlib.suppress(OSError):
                partial.unlink()
            kept = f"the earlier {path} is kept" if path.exists() else "no earlier one exists"
            reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
            raise UserError(f"cannot write the checkpoint {path} ({reason}): free some space; {kept}") from error

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        content = weights.read_any(Path(path), option="resume")
        if not (isinstance(content, dict) and "reid" in content):
            raise UserError(f"resume={path} is not a checkpoint of this framework")
        return content

    def remove_checkpoint(self, path: Any) -> None:
        Path(path).unlink(missing_ok=True)


class Checkpoints(Checkpoint):
    """``last.ckpt`` after every epoch and once before the first, ``epoch_NNN.ckpt`` at intervals, and ``best.ckpt``
    where held-out identities are judged.

    The one before the first epoch lets a run that is stopped early be resumed.

    Args:
        folder: where they go.
        every_n_epochs: spacing of the numbered ones; 0 for none.
        monitor: metric whose highest value makes ``best.ckpt``; None for none.
    """

    def __init__(self, folder: Path, *, every_n_epochs: int = 0, monitor: str | None = None) -> None:
        self.folder, self.every_n_epochs, self.monitor = folder, every_n_epochs, monitor
        self.best: float = float("-inf")
        self.best_epoch: int | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.global_step == 0:
            trainer.save_checkpoint(self.folder / "last.ckpt")

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        value = trainer.callback_metrics.get(self.monitor) if self.monitor else None
        improved = value is not None and float(value) > self.best
        if value is not None and improved:
            self.best, self.best_epoch = float(value), epoch
        names = ["last.ckpt"]
        if self.every_n_epochs and epoch % self.every_n_epochs == 0:
            names.insert(0, f"epoch_{epoch:03d}.ckpt")
        if improved:
            names.insert(0, "best.ckpt")
        for name in names:
            trainer.save_checkpoint(self.folder / name)

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "best_epoch": self.best_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best, self.best_epoch = state_dict["best"], state_dict["best_epoch"]
