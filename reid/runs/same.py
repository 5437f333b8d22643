"""The same training on one and on several processes, step by step (scripts/same_on_n.py)."""

import os
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from reid import processes
from reid.data.augment import Augment
from reid.data.datamodule import ReIDData
from reid.data.toy import read
from reid.losses.cross_entropy import CrossEntropy
from reid.losses.objective import Objective
from reid.losses.triplet import BatchHardTriplet
from reid.models.backbones import Backbone
from reid.models.embedder import Embedder
from reid.processes import run_on
from reid.training.module import ReIDModule
from reid.training.schedules import constant
from reid.training.settings import TrainerSettings, build_trainer

Make = Callable[[], tuple[ReIDModule, ReIDData]]


@dataclass(frozen=True)
class Steps:
    """What a training did: of each of S steps the loss float32 [S], the whole gradient float32 [S, P] after the mean
    over the processes, and the state of the module before it."""

    losses: Tensor
    gradients: Tensor
    states: Sequence[dict[str, Tensor]]

    def differences(self, other: "Steps") -> tuple[float, float]:
        """Largest relative difference over the steps: of the loss, and of the gradient by the norm of its vector."""
        loss = (self.losses - other.losses).abs() / self.losses.abs()
        gradient = (self.gradients - other.gradients).norm(dim=1) / self.gradients.norm(dim=1)
        return float(loss.max()), float(gradient.max())


@dataclass(frozen=True)
class Watched:
    """How to train and watch.

    Attributes:
        make: builds the same module and data on every process; a function that can be imported.
        steps: how many.
        frozen: keep the statistics of BatchNorm as they are; else they are synchronised.
        lead: begin each step with the state that another training had there; None trains on.
    """

    make: Make
    steps: int = 20
    frozen: bool = False
    lead: Steps | None = None


def watch(how: Watched, count: int) -> Steps:
    """Train on so many CPU processes of one thread each, in float32."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        torch.save([] if how.lead is None else how.lead.states, path / "lead.pt")
        run_on(count, _work, replace(how, lead=None), count, path)
        losses, gradients, states = torch.load(path / "steps.pt", weights_only=True)
    return Steps(losses, gradients, states)


def compare(how: Watched, counts: Sequence[int]) -> list[tuple[int, float, float, float, float]]:
    """Of each number of processes beside the first: its differences of loss and gradient in a training of its own, and
    those when each step begins with the weights of the first."""
    first = watch(how, counts[0])
    rows = []
    for count in counts[1:]:
        own, led = watch(how, count), watch(replace(how, lead=first), count)
        rows.append((count, *first.differences(own), *first.differences(led)))
    return rows


def table(rows: Sequence[tuple[int, float, float, float, float]], first: int) -> str:
    """``compare``'s numbers for people."""
    lines = [
        f"largest relative difference from {first} process{'es' * (first > 1)} over all steps",
        "           in a training of its own   from the same weights",
        "processes  loss       gradient        loss       gradient",
    ]
    lines += [f"{n:<9}  {a:.1e}    {b:.1e}         {c:.1e}    {d:.1e}" for n, a, b, c, d in rows]
    return "\n".join(lines)


def on_toy(root: Path, identities: int) -> tuple[ReIDModule, ReIDData]:
    """Two smooth convolutions on the toy set at 64x32: cross-entropy, batch-hard triplet loss, augmentation.

    Smooth, since one ReLU whose input is 0 but for rounding makes a step's gradient differ by 4e-4 and all that follow:
    deeper nets differ from themselves as much when only the memory format of their images changes.
    """
    size, data = (64, 32), ReIDData(read(root), image_size=(64, 32), identities=identities)
    torch.manual_seed(0)
    stages = OrderedDict(
        conv1=nn.Conv2d(3, 16, 7, stride=4, padding=3, bias=False),
        bn1=nn.BatchNorm2d(16),
        act1=nn.SiLU(),
        conv2=nn.Conv2d(16, 32, 3, stride=2, padding=1, bias=False),
        bn2=nn.BatchNorm2d(32),
        act2=nn.SiLU(),
    )
    backbone = Backbone(stages, name="two convolutions", channels=32)
    terms = {
        "id": {"loss": CrossEntropy(), "input": "logits", "weight": 1.0},
        "triplet": {"loss": BatchHardTriplet(), "input": "feature", "weight": 1.0},
    }
    module = ReIDModule(
        Embedder(backbone, image_size=size, num_classes=data.num_classes),
        Objective(terms),
        optimizer=partial(torch.optim.SGD, lr=1e-3, momentum=0.9, weight_decay=5e-4),
        schedule=constant,
        augment=Augment(),
    )
    return module, data


class _Watch(Callback):
    def __init__(self, how: Watched, lead: Sequence[dict[str, Tensor]]) -> None:
        self.how, self.lead = how, lead
        self.losses: list[Tensor] = []
        self.gradients: list[Tensor] = []
        self.states: list[dict[str, Tensor]] = []

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any) -> None:
        if self.how.frozen:
            for norm in (m for m in pl_module.modules() if isinstance(m, _BatchNorm)):
                norm.eval()
        if self.lead:
            pl_module.load_state_dict(self.lead[trainer.global_step])
        self.states.append({k: v.clone() for k, v in pl_module.state_dict().items()})

    def on_before_optimizer_step(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any) -> None:
        found = [p.grad.flatten() for p in pl_module.parameters() if p.grad is not None]
        self.gradients.append(torch.cat(found))

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, *args: Any) -> None:
        self.losses.append(outputs["told"]["loss"])
        trainer.should_stop = trainer.global_step >= self.how.steps


def _work(how: Watched, count: int, folder: Path) -> None:
    os.environ["LOCAL_RANK"] = str(processes.rank())  # so that Lightning starts no others
    module, data = how.make()
    watching = _Watch(how, torch.load(folder / "lead.pt", weights_only=True))
    settings = TrainerSettings(
        max_epochs=how.steps,
        accelerator="cpu",
        devices=count,
        strategy="ddp" if count > 1 else "auto",
        sync_batchnorm=not how.frozen,
    )
    trainer = build_trainer(settings, root=str(folder), bf16=False, callbacks=[watching], plugins=[], logger=False)
    trainer.fit(module, datamodule=data)
    if processes.rank() == 0:
        parts = torch.stack(watching.losses), torch.stack(watching.gradients), watching.states
        torch.save(parts, folder / "steps.pt")
