import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
import pytorch_lightning as pl
import tiny
import torch
from pytorch_lightning.callbacks import Callback
from tiny_training import batches, fit, module
from torch import nn

from reid.errors import UserError
from reid.losses.objective import Objective
from reid.models import weights
from reid.training.checkpoints import AtomicCheckpoints, Checkpoints, newest_sound
from reid.training.rollback import Rollback


def files(folder: Path) -> list[str]:
    return sorted(f.name for f in folder.iterdir())


def read(path: Path) -> dict[str, Any]:
    return torch.load(path, weights_only=True)


def breaks_with(error: BaseException) -> Callable[[object, BinaryIO], None]:
    def save(content: object, file: BinaryIO) -> None:
        file.write(b"half of it")
        raise error

    return save


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a" / "new" / "last.ckpt"
    AtomicCheckpoints().save_checkpoint({"x": torch.arange(3), "reid": {"bf16": False}}, path)
    again = AtomicCheckpoints().load_checkpoint(path)
    assert again["x"].tolist() == [0, 1, 2]
    assert again["reid"] == {"bf16": False}
    assert files(path.parent) == ["last.ckpt"]
    AtomicCheckpoints().remove_checkpoint(path)
    assert files(path.parent) == []


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (RuntimeError("[enforce fail at inline_container.cc:664] . unexpected pos\nmore lines"), "unexpected pos"),
    ],
)
def test_write_that_fails_keeps_the_earlier_file(
    tmp_path: Path, error: BaseException, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "last.ckpt"
    AtomicCheckpoints().save_checkpoint({"epoch": 1}, path)
    monkeypatch.setattr(torch, "save", breaks_with(error))
    with pytest.raises(UserError, match="cannot write .*last.ckpt") as caught:
        AtomicCheckpoints().save_checkpoint({"epoch": 2}, path)
    for words in (str(path), reason, "free some space", "the earlier one is kept"):
        assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert files(tmp_path) == ["last.ckpt"]
    assert read(path) == {"epoch": 1}


def test_write_that_fails_without_an_earlier_file_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "save", breaks_with(OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises(UserError, match="no earlier one exists"):
        AtomicCheckpoints().save_checkpoint({"epoch": 2}, tmp_path / "last.ckpt")
    assert files(tmp_path) == []


def test_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write .*last.ckpt"):
        AtomicCheckpoints().save_checkpoint({}, tmp_path / "file" / "last.ckpt")


def test_process_killed_while_it_writes_leaves_the_earlier_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "last.ckpt"
    AtomicCheckpoints().save_checkpoint({"epoch": 1}, path)
    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", breaks_with(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            AtomicCheckpoints().save_checkpoint({"epoch": 2}, path)
    assert read(path) == {"epoch": 1}
    AtomicCheckpoints().save_checkpoint({"epoch": 3}, path)  # what the killed one left is in nobody's way
    assert files(tmp_path) == ["last.ckpt"]
    assert read(path) == {"epoch": 3}


class Harmful:
    """Unpickling it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable, tuple[Path]]:
        return Path.mkdir, (self.folder,)


@pytest.mark.parametrize("content", [{"state_dict": {}}, [1, 2], torch.ones(2)])
def test_checkpoint_of_another_framework_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "last.ckpt")
    with pytest.raises(UserError, match=r"resume=.*last\.ckpt is not a checkpoint of this framework"):
        AtomicCheckpoints().load_checkpoint(tmp_path / "last.ckpt")


@pytest.mark.parametrize("asked", [None, False, True])
def test_no_code_is_run_by_reading(tmp_path: Path, asked: bool | None) -> None:
    path, made = tmp_path / "last.ckpt", tmp_path / "made"
    torch.save({"epoch": 1, "extra": Harmful(made)}, path)
    with pytest.raises(UserError, match=r"resume=.*last\.ckpt .*objects that could run code"):
        AtomicCheckpoints().load_checkpoint(path, weights_only=asked)
    assert not made.exists()


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


class Spoil(Callback):
    """Makes the weights NaN before one step, as a step that diverges does for the next."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *batch: object) -> None:
        if trainer.global_step == self.step:
            with torch.no_grad():
                next(pl_module.embedder.parameters()).fill_(torch.nan)


@pytest.mark.parametrize(("spoilt", "kept"), [(2, 0), (3, 2), (4, 2), (5, 4)])
def test_checkpoint_whose_very_next_step_fails_gives_way_to_the_one_before(
    tmp_path: Path, spoilt: int, kept: int
) -> None:
    with pytest.raises(UserError, match="the last good checkpoint is kept"):
        fit(tmp_path, module(), batches(2), epochs=3, callbacks=[Spoil(spoilt), Checkpoints(tmp_path)])
    assert read(tmp_path / "last.ckpt")["global_step"] == kept


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


def test_any_bit_that_changes_is_noticed_or_without_effect(tmp_path: Path) -> None:
    path, rng = tmp_path / "a.ckpt", np.random.default_rng(0)
    content = {"a": torch.arange(300.0), "b": {"c": [1, "text"], "d": torch.ones(7, dtype=torch.int64)}}
    AtomicCheckpoints().save_checkpoint(content, path)
    whole = path.read_bytes()
    assert weights.is_sound(path)
    noticed = 0
    for at in rng.permutation(len(whole))[:600]:
        spoilt = bytearray(whole)
        spoilt[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(spoilt)
        if weights.is_sound(path):
            again = read(path)
            assert torch.equal(again["a"], content["a"])
            assert torch.equal(again["b"]["d"], content["b"]["d"])
            assert again["b"]["c"] == [1, "text"]
        else:
            noticed += 1
    assert noticed > 200
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        assert not weights.is_sound(path)


def test_newest_sound_checkpoint(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert newest_sound(tmp_path, option="resume") is None
    last, previous = tmp_path / "last.ckpt", tmp_path / "previous.ckpt"
    for path in (last, previous):
        torch.save({"a": torch.ones(5)}, path)
    assert newest_sound(tmp_path, option="resume") == last
    assert not caplog.messages
    last.write_bytes(last.read_bytes()[:-9])
    assert newest_sound(tmp_path, option="resume") == previous
    assert len(caplog.messages) == 1
    previous.write_bytes(b"")
    with pytest.raises(UserError, match=r"resume=.*last\.ckpt .* and so is previous\.ckpt"):
        newest_sound(tmp_path, option="resume")
    previous.unlink()
    with pytest.raises(UserError, match="and there is none before it"):
        newest_sound(tmp_path, option="resume")


class Leaping(nn.Module):
    """A loss of 2, and of 9 in one step."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at, self.calls = at, 0

    def forward(self, feature: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return (9.0 if self.calls == self.at else 2.0) + 0 * feature.sum()


def leaping(at: int) -> Objective:
    return Objective({"leap": {"loss": Leaping(at), "input": "feature", "weight": 1.0}})


@pytest.mark.parametrize(("at", "kept"), [(53, 0), (54, 52)])
def test_checkpoint_whose_very_next_loss_leaps_gives_way_to_the_one_before(tmp_path: Path, at: int, kept: int) -> None:
    """The weights that the 53rd loss is of are those saved after 52 steps."""
    callbacks = [Rollback(spike=4.0), Checkpoints(tmp_path)]
    with pytest.raises(UserError, match=f"the loss leaps to 9 at step {at}"):
        fit(tmp_path, module(objective=leaping(at)), batches(52), epochs=2, callbacks=callbacks)
    assert read(tmp_path / "last.ckpt")["global_step"] == kept


def test_loss_that_leaps_is_told(tmp_path: Path) -> None:
    """49 losses of about 2 and 50 to look back on: the leap at step 51 is seen, the same one earlier is not."""

    def train(at: int, spike: float) -> None:
        fit(tmp_path, module(objective=leaping(at)), batches(52), callbacks=[Rollback(spike=spike)])

    train(50, 4.0)
    train(51, 5.0)
    with pytest.raises(UserError, match=r"the loss leaps to 9 at step 51, above 4 times its usual 2: the last good"):
        train(51, 4.0)
