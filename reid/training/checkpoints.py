"""Checkpoints that are either whole or not there."""

import logging
import os
import shutil
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.plugins.io import CheckpointIO
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from reid.errors import UserError
from reid.files import replacing
from reid.models import weights

log = logging.getLogger(__name__)

LAST, PREVIOUS = "last.ckpt", "previous.ckpt"


class NotFiniteError(UserError):
    """The loss is infinite or NaN."""


def newest_sound(folder: Path, *, option: str) -> Path | None:
    """The last checkpoint in ``folder``, or the one before it if the last is damaged, which is said aloud.

    Returns:
        None where there is no checkpoint.

    Raises:
        UserError: all there are are damaged.
    """
    there = [path for path in (folder / LAST, folder / PREVIOUS) if path.exists()]
    for path in there:
        if weights.is_sound(path):
            if path.name == PREVIOUS:
                rank_zero_only(log.warning)(
                    "%s is %s: going on from the checkpoint before it",
                    folder / LAST, "damaged (its checksums do not match)" if len(there) > 1 else "missing",
                )  # fmt: skip
            return path
    if there:
        both = f" and so is {there[1].name}" if len(there) > 1 else " and there is none before it"
        raise UserError(
            f"{option}={there[0]} is truncated or damaged (its checksums do not match){both}: nothing to go on from; "
            "start again in another folder"
        )
    return None


class AtomicCheckpoints(CheckpointIO):
    """Writes under a temporary name, flushes to the disk and renames; reads nothing that can run code."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        with replacing(path) as file:
            try:
                torch.save(checkpoint, file)
            except RuntimeError as error:  # torch reports a full disk as this or as an OSError
                raise OSError(str(error).splitlines()[0]) from error

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

    The one before the first epoch lets a run that is stopped early be resumed. While training goes on the last but one
    is kept too: if the first step after a checkpoint fails, the weights in it were already spoilt, and ``last.ckpt`` is
    the one before again.

    Args:
        folder: where they go.
        every_n_epochs: spacing of the numbered ones; 0 for none.
        monitor: metric whose highest value makes ``best.ckpt``; None for none.
    """

    def __init__(self, folder: Path, *, every_n_epochs: int = 0, monitor: str | None = None) -> None:
        self.folder, self.every_n_epochs, self.monitor = folder, every_n_epochs, monitor
        self.best: float = float("-inf")
        self.best_epoch: int | None = None
        self._last, self._previous = folder / LAST, folder / PREVIOUS
        self._saved_at = -1

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.global_step == 0:
            trainer.save_checkpoint(self._last)
        elif trainer.is_global_zero and str(trainer.ckpt_path) == str(self._previous):  # last.ckpt is damaged
            self._previous.replace(self._last)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        value = trainer.callback_metrics.get(self.monitor) if self.monitor else None
        if value is not None and float(value) > self.best:
            self.best, self.best_epoch = float(value), epoch
            trainer.save_checkpoint(self.folder / "best.ckpt")
        if self.every_n_epochs and epoch % self.every_n_epochs == 0:
            trainer.save_checkpoint(self.folder / f"epoch_{epoch:03d}.ckpt")
        if trainer.is_global_zero:
            self._keep_previous()
        trainer.save_checkpoint(self._last)
        self._saved_at = trainer.global_step

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        failed = isinstance(exception, NotFiniteError) and trainer.global_step == self._saved_at
        if trainer.is_global_zero and failed and self._previous.exists():
            self._previous.replace(self._last)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.is_global_zero:
            self._previous.unlink(missing_ok=True)

    def _keep_previous(self) -> None:
        self._previous.unlink(missing_ok=True)
        try:
            os.link(self._last, self._previous)  # last.ckpt is never away, not for a moment
        except OSError:  # a file system without links
            shutil.copyfile(self._last, self._previous)

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "best_epoch": self.best_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best, self.best_epoch = state_dict["best"], state_dict["best_epoch"]
