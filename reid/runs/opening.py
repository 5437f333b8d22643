"""What a run says and writes down before its first step."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytorch_lightning as pl
import torch

from reid import files
from reid.data.datamodule import ReIDData
from reid.data.samplers import IdentitySampler
from reid.errors import UserError
from reid.models.embedder import Embedder
from reid.runs.folder import RunFolder, environment, git_commit
from reid.runs.targets import Target, sizes
from reid.training.settings import TrainerSettings


def begin(run: RunFolder, config: str, description: Mapping[str, Any]) -> None:
    """Write what a new run is: its config, what it runs on, and its data."""
    files.write(run.config, config)
    files.write_json(run.environment, environment())
    files.write_json(run.data, description)


def describe(data: ReIDData, targets: Sequence[Target], run: RunFolder, *, resumed: bool) -> dict[str, Any]:
    """The content of data.json; UserError where a resumed run had other data."""
    found = data.split.describe()
    if resumed and run.data.is_file():
        before = json.loads(run.data.read_text())
        if before["fingerprint"] != found["fingerprint"]:
            raise UserError(
                f"resume={run.path}: training identities or images are not those it began with (see {run.data}): "
                "bring them back, or start a new run"
            )
    left_out = len(data.train_images.unreadable)
    known = (data.split, *data.split.sets)
    elsewhere = [t.split.describe() for t in targets if all(t.split is not one for one in known)]
    return {
        **found,
        **({"targets": elsewhere} if elsewhere else {}),
        **({"unreadable_training_images_left_out": left_out} if left_out else {}),
    }


def go_on(trainer: pl.Trainer, run: RunFolder, config: str) -> None:
    """A resumed run keeps the values changed for it, and loses results that its further training makes stale."""
    if not trainer.is_global_zero:
        return
    files.write(run.config, config)
    told = json.loads(run.environment.read_text())
    files.write_json(run.environment, {**told, "resumed": [*told.get("resumed", []), environment()]})
    if trainer.current_epoch < (trainer.max_epochs or 0):
        for stale in (run.metrics, run.report, *run.path.glob("per_query*.csv")):
            stale.unlink(missing_ok=True)


def learning_rate(optimizer: Callable[..., torch.optim.Optimizer], factor: float, settings: TrainerSettings) -> str:
    """The learning rate, and whether it is the one that was given."""
    given = optimizer([torch.nn.Parameter()]).defaults["lr"]
    if settings.scale_lr_from is None:
        return f"{given:g} as given, whatever the batch and the number of devices"
    return f"{given * factor:g}, that is optimizer.lr={given:g} for {settings.scale_lr_from} images x {factor:g}"


def summary(
    data: ReIDData,
    targets: Sequence[Target],
    labels: str,
    embedder: Embedder,
    settings: TrainerSettings,
    lr: str,
    device: str,
    run: RunFolder,
    seed: int,
) -> dict[str, str]:
    """The opening lines: what the run is about to do."""
    split, validation = data.split, data.validation
    parameters = sum(p.numel() for p in embedder.parameters())
    identities = data.num_classes
    held = f"; {len({r.pid for r in validation.query})} identities held out to choose on" if validation else ""
    backbone = embedder.backbone
    steps = min(data.steps_per_epoch(), settings.limit_train_batches or data.steps_per_epoch())
    batch = (
        f"{data.batch_images} images, {-(-steps // settings.accumulate)} steps an epoch, {settings.max_epochs} epochs"
    )
    if settings.accumulate > 1:
        batch += f", a step of {settings.accumulate} batches"
    if settings.chunk is not None:
        batch += f", {settings.chunk} in memory at a time, which is what BatchNorm in the backbone sees"
    if type(data.sampler) is not IdentitySampler:
        batch += f", drawn by {type(data.sampler).__name__}"
    return {
        "data": "\n".join(f"{one.name} in {one.root}" for one in split.sets or (split,)),
        "train": f"{len(data.train_images)} images of {identities} identities{held}",
        "test": sizes(targets),
        "labels": labels,
        "net": f"{backbone.name}, {parameters / 1e6:.1f} M parameters, embedding of {embedder.dim}",
        "weights": backbone.origin,
        "images": "{}x{}, last map {}x{}".format(*embedder.image_size, *embedder.map_size),
        "batch": batch,
        "rate": lr,
        "device": device,
        "seed": f"{seed}, source {git_commit(short=True) or 'outside git'}",
        "run": str(run.path),
    }
