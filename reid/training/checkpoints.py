"""Checkpoints that are either whole or not there."""

import contextlib
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
from reid.training import stopping

log = logging.getLogger(__name__)

LAST, PREVIOUS = "last.ckpt", "previous.ckpt"


class NotFiniteError(UserError):
    """The loss is infinite or NaN, or leaps.

    Args:
        found: what was seen and where.
        way_out: what the user can do.
    """

    def __init__(self, found: str, way_out: str) -> None:
        super().__init__(f"{found}: the last good checkpoint is kept; {way_out}")
        self.found = found


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
    where held-out identities are judged. In the midst of an epoch every so many steps, and when asked to stop.

    The one before the first epoch lets a run that is stopped early be resumed. While training goes on the last but one
    is kept too, whole at every moment: for a disk that damages the last, and if the first step after a checkpoint
    fails: the weights in it were already spoilt, and ``last.ckpt`` is the one before again. It is removed at the end,
    once the last is read back and sound.

    Args:
        folder: where they go.
        every_n_epochs: spacing of the numbered ones; 0 for none.
        every_n_steps: spacing of ``last.ckpt`` inside an epoch; 0 for none.
        monitor: metric whose highest value makes ``best.ckpt``; None for none.

    Raises:
        Stopped: when asked to, after a step or an epoch is saved.
    """

    def __init__(
        self, folder: Path, *, every_n_epochs: int = 0, every_n_steps: int = 0, monitor: str | None = None
    ) -> None:
        self.folder, self.every_n_epochs, self.every_n_steps = folder, every_n_epochs, every_n_steps
        self.monitor = monitor
        self.best: float = float("-inf")
        self.best_epoch: int | None = None
        self._last, self._previous, self._kept = folder / LAST, folder / PREVIOUS, folder / f".{LAST}.kept"
        self._processes: int | None = None  # that the resumed checkpoint was written by

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        stopping.listen()  # Lightning has just put a handler of its own in place
        self._step = self._saved_at = trainer.global_step
        if trainer.is_global_zero:
            if str(trainer.ckpt_path) == str(self._previous):  # last.ckpt is damaged
                self._previous.replace(self._last)
            for left in (self._kept, *self.folder.glob(".*.partial")):  # by a process that was killed
                with contextlib.suppress(OSError):  # in nobody's way
                    left.unlink(missing_ok=True)
            if self._processes not in (None, trainer.world_size):
                log.warning(
                    "begun on %d processes, goes on with %d: the batches over all of them are the same",
                    self._processes, trainer.world_size,
                )  # fmt: skip
        if trainer.global_step == 0:
            trainer.save_checkpoint(self._last)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        stepped, self._step = trainer.global_step != self._step, trainer.global_step  # a step may take several batches
        if not stepped or batch_idx + 1 == trainer.num_training_batches:  # validation and the epoch's end are to come
            return
        asked = stopping.agreed(trainer)
        if asked or (self.every_n_steps and trainer.global_step % self.every_n_steps == 0):
            self._save(trainer)
        if asked:
            raise stopping.Stopped(asked)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        value = trainer.callback_metrics.get(self.monitor) if self.monitor else None
        if value is not None and float(value) > self.best:
            self.best, self.best_epoch = float(value), epoch
            trainer.save_checkpoint(self.folder / "best.ckpt")
        if self.every_n_epochs and epoch % self.every_n_epochs == 0:
            trainer.save_checkpoint(self.folder / f"epoch_{epoch:03d}.ckpt")
        self._save(trainer)
        if asked := stopping.agreed(trainer):
            raise stopping.Stopped(asked)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        # Of the steps that this callback has seen end: a leap is found when its own step is already taken.
        failed = isinstance(exception, NotFiniteError) and self._step == self._saved_at
        if trainer.is_global_zero and failed and self._previous.exists():
            self._previous.replace(self._last)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.is_global_zero and weights.is_sound(self._last):
            self._previous.unlink(missing_ok=True)

    def _save(self, trainer: pl.Trainer) -> None:
        """A new last checkpoint. The one there was becomes the previous one when the new one is whole, not before."""
        for logger in trainer.loggers:
            logger.save()  # what a resumed run will not log again must be on the disk
        first = trainer.is_global_zero
        if first:
            self._keep()
        try:
            trainer.save_checkpoint(self._last)
        except BaseException:
            if first:
                self._kept.unlink(missing_ok=True)
            raise
        if first:
            self._kept.replace(self._previous)
        self._saved_at = trainer.global_step

    def _keep(self) -> None:
        self._kept.unlink(missing_ok=True)
        try:
            os.link(self._last, self._kept)
        except OSError:  # a file system without links
            shutil.copyfile(self._last, self._kept)

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "best_epoch": self.best_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best, self.best_epoch = state_dict["best"], state_dict["best_epoch"]

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint["processes"] = trainer.world_size

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self._processes = checkpoint.get("processes")
