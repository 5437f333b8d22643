"""A checkpoint of weights that turn out to be spoilt is none to go on from."""

from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from tiny_training import batches, fit, module
from torch import nn
from training.saved import read

from reid.errors import UserError
from reid.losses.objective import Objective
from reid.training.checkpoints import Checkpoints
from reid.training.rollback import Rollback


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
