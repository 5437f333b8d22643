"""Which checkpoints a training leaves, and how one goes on from them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import pytorch_lightning as pl
import tiny
import torch
from pytorch_lightning.callbacks import Callback
from tiny_training import batches, fit, module
from training.saved import files, read

from reid.models import weights
from reid.training.checkpoints import Checkpoints


def scores(*values: float) -> Callable[[object], dict[str, float]]:
    left = list(values)
    return lambda features: {"mAP": left.pop(0)}


VALIDATION = [(tiny.images(4, seed=9), torch.arange(4), torch.ones(4).long())]


def test_files_of_a_fit(tmp_path: Path) -> None:
    callback = Checkpoints(tmp_path / "c", every_n_epochs=2, monitor="val_mAP")
    net = module(score=scores(0.2, 0.5, 0.4, 0.5, 0.3))
    fit(tmp_path, net, batches(2), epochs=5, callbacks=[callback], validation=VALIDATION)
    assert files(tmp_path / "c") == ["best.ckpt", "epoch_002.ckpt", "epoch_004.ckpt", "last.ckpt"]
    found = {name: read(tmp_path / "c" / name) for name in files(tmp_path / "c")}
    done = {name: content["global_step"] // 2 for name, content in found.items()}
    assert done == {"best.ckpt": 2, "epoch_002.ckpt": 2, "epoch_004.ckpt": 4, "last.ckpt": 5}  # a tie changes nothing
    assert (callback.best, callback.best_epoch) == (0.5, 2)
    weights = {name: content["state_dict"]["embedder.backbone.conv.weight"] for name, content in found.items()}
    assert torch.equal(weights["best.ckpt"], weights["epoch_002.ckpt"])
    assert not torch.equal(weights["best.ckpt"], weights["last.ckpt"])
    assert torch.equal(weights["last.ckpt"], net.embedder.backbone.conv.weight)


def test_without_validation_and_intervals_there_is_only_the_last(tmp_path: Path) -> None:
    callback = Checkpoints(tmp_path / "c")
    fit(tmp_path, module(), batches(2), epochs=2, callbacks=[callback])
    assert files(tmp_path / "c") == ["last.ckpt"]
    assert callback.best_epoch is None


def test_best_is_sought_where_there_is_a_score(tmp_path: Path) -> None:
    callback = Checkpoints(tmp_path / "c", monitor="val_mAP")
    net = module(score=scores(0.3, 0.6))
    fit(tmp_path, net, batches(2), epochs=5, callbacks=[callback], validation=VALIDATION, val_every_n_epochs=2)
    assert callback.best_epoch == 4
    assert read(tmp_path / "c" / "best.ckpt")["global_step"] == 8


def test_best_of_a_resumed_run_is_that_of_the_whole_run(tmp_path: Path) -> None:
    callback = Checkpoints(tmp_path / "c", monitor="val_mAP")
    fit(tmp_path, module(score=scores(0.5)), batches(2), callbacks=[callback], validation=VALIDATION)
    callback = Checkpoints(tmp_path / "c", monitor="val_mAP")
    last, net = tmp_path / "c" / "last.ckpt", module(score=scores(0.4, 0.3))
    fit(tmp_path, net, batches(2), epochs=3, callbacks=[callback], validation=VALIDATION, resume=last)
    assert (callback.best, callback.best_epoch) == (0.5, 1)
    assert read(tmp_path / "c" / "best.ckpt")["global_step"] == 2
    assert read(last)["global_step"] == 6


class Stop(Callback):
    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        if trainer.global_step == 1:
            raise ZeroDivisionError


def test_run_stopped_in_its_first_epoch_can_be_resumed(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        fit(tmp_path, module(), batches(2), epochs=2, callbacks=[Stop(), Checkpoints(tmp_path / "c")])
    last = tmp_path / "c" / "last.ckpt"
    assert read(last)["global_step"] == 0
    resumed, unbroken = module(), module()
    fit(tmp_path, resumed, batches(2), epochs=2, callbacks=[Checkpoints(tmp_path / "c")], resume=last)
    fit(tmp_path, unbroken, batches(2), epochs=2)
    assert torch.equal(resumed.embedder.backbone.conv.weight, unbroken.embedder.backbone.conv.weight)


def test_last_but_one_is_gone_after_the_end(tmp_path: Path) -> None:
    fit(tmp_path, module(), batches(2), epochs=3, callbacks=[Checkpoints(tmp_path)])
    assert [path.name for path in tmp_path.glob("*.ckpt")] == ["last.ckpt"]


def steps(folder: Path) -> dict[str, int]:
    return {path.name: read(path)["global_step"] for path in sorted(folder.glob("*.ckpt"))}


def test_two_different_checkpoints_are_whole_while_a_third_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, save = [], torch.save

    def look(content: dict[str, Any], file: BinaryIO) -> None:
        seen.append(steps(tmp_path))
        save(content, file)

    monkeypatch.setattr(torch, "save", look)
    with pytest.raises(ZeroDivisionError):
        fit(tmp_path, module(), batches(2), epochs=5, callbacks=[Checkpoints(tmp_path), StopAt(6)])
    last = [{"last.ckpt": b, "previous.ckpt": a} for a, b in ((0, 2), (2, 4))]
    assert seen == [{}, {"last.ckpt": 0}, *last]
    assert steps(tmp_path) == {"last.ckpt": 6, "previous.ckpt": 4}


class StopAt(Callback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: pl.Trainer, *args: Any) -> None:
        if trainer.global_step == self.step:
            raise ZeroDivisionError


def test_last_but_one_stays_after_the_end_where_the_last_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "is_sound", lambda path: False)
    fit(tmp_path, module(), batches(2), epochs=2, callbacks=[Checkpoints(tmp_path)])
    assert steps(tmp_path) == {"last.ckpt": 4, "previous.ckpt": 2}


def test_what_killed_processes_left_is_removed(tmp_path: Path) -> None:
    for name in (".last.ckpt.7.partial", ".last.ckpt.kept"):
        (tmp_path / name).write_text("half")
    (tmp_path / ".nfs0001").write_text("of the file system")
    (tmp_path / ".folder").mkdir()
    fit(tmp_path, module(), batches(2), callbacks=[Checkpoints(tmp_path)])
    assert files(tmp_path) == [".folder", ".nfs0001", "last.ckpt"]


def test_another_number_of_processes_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fit(tmp_path, module(), batches(2), callbacks=[Checkpoints(tmp_path)])
    fit(tmp_path, module(), batches(2), epochs=2, callbacks=[Checkpoints(tmp_path)], resume=tmp_path / "last.ckpt")
    assert not caplog.messages
    torch.save({**read(tmp_path / "last.ckpt"), "processes": 4}, tmp_path / "last.ckpt")
    fit(tmp_path, module(), batches(2), epochs=3, callbacks=[Checkpoints(tmp_path)], resume=tmp_path / "last.ckpt")
    assert caplog.messages == ["begun on 4 processes, goes on with 1: the batches over all of them are the same"]
