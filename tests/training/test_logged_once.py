"""A run that breaks and is resumed has each line of its logs once, and none is missing."""

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.summary.writer import event_file_writer
from tiny_training import batches, module
from torch.utils.data import DataLoader

from reid.training.checkpoints import AtomicCheckpoints, Checkpoints
from reid.training.progress import TrainLog, read_log
from reid.training.settings import TrainerSettings, build_trainer


class Break(Callback):
    """Before a step, or after the validation that follows it and before the checkpoint of its epoch."""

    def __init__(self, step: int, validated: bool) -> None:
        self.step, self.validated = step, validated

    def on_train_batch_start(self, trainer: pl.Trainer, *args: Any) -> None:
        if not self.validated:
            self._break(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        if self.validated:
            self._break(trainer)

    def _break(self, trainer: pl.Trainer) -> None:
        if trainer.global_step == self.step:
            trainer.logger.experiment.flush()  # type: ignore[union-attr]  # what is on the disk will be logged again
            raise ZeroDivisionError


def train(folder: Path, *, stop: int | None = None, validated: bool = False, resume: bool = False) -> None:
    callbacks = [TrainLog(folder / "train_log.csv", ["id", "triplet"], ["mAP"]), Checkpoints(folder, every_n_steps=2)]
    trainer = build_trainer(
        TrainerSettings(max_epochs=4, accelerator="cpu", log_every_n_steps=1),
        root=str(folder),
        bf16=False,
        callbacks=[*callbacks, *([Break(stop, validated)] if stop is not None else [])],
        plugins=[AtomicCheckpoints()],
        logger=TensorBoardLogger(folder, name="tensorboard", version=""),
    )
    data, validation = (DataLoader(batches(n), batch_size=None) for n in (3, 1))  # type: ignore[arg-type]
    trainer.fit(
        module(score=lambda _: {"mAP": 0.5}),
        data,
        validation,
        ckpt_path=folder / "last.ckpt" if resume else None,
        weights_only=True,
    )


def points(folder: Path) -> dict[str, list[int]]:
    reader = EventAccumulator(str(folder / "tensorboard"))
    reader.Reload()
    return {tag: [event.step for event in reader.Scalars(tag)] for tag in reader.Tags()["scalars"]}


def test_each_step_is_in_tensorboard_once_and_each_epoch_in_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Readers sort files by second, process and a count, as text: all of these are begun in a second by one process.
    monkeypatch.setattr(event_file_writer, "_global_uid", event_file_writer.AtomicCounter(100))
    for stop, validated in ((2, False), (3, True), (3, False), (8, False), (9, True), (11, False)):
        with pytest.raises(ZeroDivisionError):
            train(tmp_path, stop=stop, validated=validated, resume=stop > 2)
    train(tmp_path, resume=True)
    every = list(range(1, 13))
    found = points(tmp_path)
    assert found.pop("val_mAP") == [3, 6, 9, 12]
    assert found == {f"train/{name}": every for name in ("loss", "id", "triplet", "lr")}
    assert [row["epoch"] for row in read_log(tmp_path / "train_log.csv")] == ["1", "2", "3", "4"]
