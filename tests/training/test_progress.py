import csv
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import tiny
import torch
from pytorch_lightning.callbacks import Callback
from tiny_training import Batch, fit, module
from torch import Tensor, nn

from reid.errors import UserError
from reid.losses.objective import Objective
from reid.training.checkpoints import Checkpoints
from reid.training.progress import Progress, TrainLog, read_log


class Count(nn.Module):
    """A loss that is 1 at the first step, 2 at the second and so on."""

    def __init__(self, start: int = 0) -> None:
        super().__init__()
        self.calls = start

    def forward(self, feature: Tensor, labels: Tensor) -> Tensor:
        self.calls += 1
        return self.calls + 0 * feature.sum()


def counting(start: int = 0) -> Objective:
    """The loss is twice the count."""
    return Objective({"count": {"loss": Count(start), "input": "feature", "weight": 2.0}})


def batches(*sizes: int) -> list[Batch]:
    return [(tiny.images(n), *(torch.zeros(2, n, dtype=torch.int64))) for n in sizes]


def log(folder: Path) -> TrainLog:
    return TrainLog(folder / "train_log.csv", ["count"], ["mAP"])


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "train_log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def column(folder: Path, name: str) -> list[str]:
    return [row[name] for row in rows(folder)]


def test_one_row_an_epoch_with_means_worked_by_hand(tmp_path: Path) -> None:
    callback = log(tmp_path)
    net = module(objective=counting(), schedule=lambda done: 1 - done)
    fit(tmp_path, net, batches(2, 3, 4), epochs=2, callbacks=[callback])
    header = (tmp_path / "train_log.csv").read_text().splitlines()[0]
    assert header == "epoch,step,lr,loss,count,images_per_s,seconds,val_mAP"
    assert column(tmp_path, "epoch") == ["1", "2"]
    assert column(tmp_path, "step") == ["3", "6"]
    assert column(tmp_path, "count") == ["2.00000", "5.00000"]  # (1 + 2 + 3) / 3 and (4 + 5 + 6) / 3
    assert column(tmp_path, "loss") == ["4.00000", "10.00000"]
    assert column(tmp_path, "lr") == ["2.500e-02", "0.000e+00"]  # after the epoch's last step
    assert column(tmp_path, "val_mAP") == ["", ""]
    assert callback.images_trained == 18
    assert callback.seconds_trained == pytest.approx(sum(map(float, column(tmp_path, "seconds"))), abs=0.011)
    assert all(float(rate) > 0 for rate in column(tmp_path, "images_per_s"))


def test_validation_stands_in_the_rows_of_the_epochs_that_had_it(tmp_path: Path) -> None:
    values = [0.25, 0.5]
    net = module(objective=counting(), score=lambda features: {"mAP": values.pop(0)})
    fit(tmp_path, net, batches(2), epochs=5, callbacks=[log(tmp_path)], validation=batches(2), val_every_n_epochs=2)
    assert column(tmp_path, "val_mAP") == ["", "0.25000", "", "0.50000", ""]


def test_rows_that_a_resumed_run_trains_again_are_replaced(tmp_path: Path) -> None:
    fit(tmp_path, module(objective=counting()), batches(2), epochs=2, callbacks=[log(tmp_path), Checkpoints(tmp_path)])
    kept = rows(tmp_path)
    with (tmp_path / "train_log.csv").open("a", newline="") as file:  # an epoch whose checkpoint was never written
        file.write("3,3,9.000e-01,99.0,99.0,1.0,1.00,\r\n4,4,9.0")
    net, callbacks = module(objective=counting(10)), [log(tmp_path), Checkpoints(tmp_path)]
    fit(tmp_path, net, batches(2), epochs=4, callbacks=callbacks, resume=tmp_path / "last.ckpt")
    assert rows(tmp_path)[:2] == kept
    assert column(tmp_path, "epoch") == ["1", "2", "3", "4"]
    assert column(tmp_path, "count") == ["1.00000", "2.00000", "11.00000", "12.00000"]


def test_new_run_begins_a_new_file(tmp_path: Path) -> None:
    for _ in range(2):
        fit(tmp_path, module(objective=counting()), batches(2), epochs=2, callbacks=[log(tmp_path)])
        assert column(tmp_path, "count") == ["1.00000", "2.00000"]


def test_row_is_on_the_disk_before_the_checkpoint_of_its_epoch(tmp_path: Path) -> None:
    class NoSpace(Checkpoints):
        def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            raise UserError("no space")

    with pytest.raises(UserError, match="no space"):
        fit(tmp_path, module(objective=counting()), batches(2), callbacks=[NoSpace(tmp_path), log(tmp_path)])
    assert column(tmp_path, "epoch") == ["1"]


def test_line_cut_short_is_dropped_wherever_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "train_log.csv"
    head = "epoch,step,loss,val_mAP\r\n1,5,0.75000,0.50000\r\n"
    line = "2,10,0.25000,0.62500\r\n"
    for end in range(len(line)):
        path.write_bytes((head + line[:end]).encode())
        assert [row["epoch"] for row in read_log(path)] == ["1"]
    path.write_bytes((head + line).encode())
    assert read_log(path)[1] == {"epoch": "2", "step": "10", "loss": "0.25000", "val_mAP": "0.62500"}


def test_log_that_is_not_there_has_no_rows(tmp_path: Path) -> None:
    assert read_log(tmp_path / "train_log.csv") == []
    (tmp_path / "train_log.csv").touch()
    assert read_log(tmp_path / "train_log.csv") == []


def test_a_line_an_epoch_where_there_is_no_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = module(objective=counting(), score=lambda features: {"mAP": 0.25})
    fit(tmp_path, net, batches(2, 2, 2), epochs=2, callbacks=[Progress(["loss", "count"])], validation=batches(2))
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("epoch 1/2 loss 6.000 count 3.000 val_mAP 0.250 ")
    assert second.startswith("epoch 2/2 loss 12.000 count 6.000 val_mAP 0.250 ")
    assert second.endswith(" images/s, 0 s left")


def test_a_bar_over_the_whole_run_on_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    fit(tmp_path, module(objective=counting()), batches(2, 2, 2), epochs=2, callbacks=[Progress(["loss"])])
    told = capsys.readouterr().err
    assert "6/6" in told.split("\r")[-1]
    assert "epoch 2/2" in told
    assert "s left" not in told


def test_bar_is_closed_when_the_run_breaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Break(Callback):
        def on_train_batch_end(self, *args: Any) -> None:
            raise ZeroDivisionError

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    progress = Progress(["loss"])
    with pytest.raises(ZeroDivisionError):
        fit(tmp_path, module(objective=counting()), batches(2), callbacks=[progress, Break()])
    assert progress._bar.disable  # as tqdm marks a closed bar


def test_file_is_never_seen_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fit(tmp_path, module(objective=counting()), batches(2), callbacks=[log(tmp_path), Checkpoints(tmp_path)])
    before = (tmp_path / "train_log.csv").read_bytes()

    def stop(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", stop)  # the text is written, the file not yet in place
        with pytest.raises((KeyboardInterrupt, SystemExit)):
            fit(
                tmp_path, module(objective=counting()), batches(2), epochs=2,
                callbacks=[log(tmp_path), Checkpoints(tmp_path)], resume=tmp_path / "last.ckpt",
            )  # fmt: skip
    assert (tmp_path / "train_log.csv").read_bytes() == before
    assert os.stat(tmp_path / "train_log.csv").st_size > 0
