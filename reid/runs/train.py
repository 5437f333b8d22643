"""The main job: fit an embedder, judge it, write the run down."""

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import LambdaCallback
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from reid import files
from reid.data.datamodule import ReIDData
from reid.data.samplers import IdentitySampler
from reid.errors import UserError
from reid.losses.objective import Objective
from reid.models.checkpoint import load_trained
from reid.models.embedder import Embedder
from reid.report import facts, metric_table
from reid.runs.folder import RunFolder, environment, git_commit
from reid.runs.judge import Judging, score
from reid.runs.targets import Target, sizes, write_results
from reid.training.allocator import keep_freed_memory
from reid.training.checkpoints import AtomicCheckpoints, Checkpoints
from reid.training.module import Augmentation, Mix, ReIDModule
from reid.training.progress import Progress, TrainLog
from reid.training.settings import TrainerSettings, build_trainer, use_bf16

VALIDATION = ("mAP", "rank-1")


def train(
    *,
    run: RunFolder,
    resume: bool,
    config: str,
    data: ReIDData,
    labels: str,
    targets: Sequence[Target],
    embedder: Embedder,
    objective: Objective,
    optimizer: Callable[..., torch.optim.Optimizer],
    layer_decay: float,
    schedule: Callable[[float], float],
    augment: Augmentation | None,
    mix: Mix | None,
    settings: TrainerSettings,
    logger: Callable[..., Any] | None,
    how: Judging,
    spec: Mapping[str, Any],
    seed: int,
) -> Mapping[str, Any]:
    """Train, judge on every target, write ``run``; returns what metrics.json holds.

    ``labels`` says in a line what the labels of the data show; see ``reid.runs.doctor.labels_line``.

    Raises:
        UserError: among others a loss that is not finite, a checkpoint that cannot be written, a set without a match.
    """
    bf16, why = use_bf16(settings.precision, settings.device, embedder.backbone)
    spec, factor = {**spec, "bf16": bf16}, settings.rate_factor(data.batch_images)
    train_log = TrainLog(run.log, list(objective.losses), list(VALIDATION))
    checkpoints = Checkpoints(
        run.checkpoints,
        every_n_epochs=settings.checkpoint_every_n_epochs,
        monitor=f"val_{VALIDATION[0]}" if data.validation else None,
    )
    callbacks: list[Any] = [train_log, Progress(train_log.losses), checkpoints]
    if resume:  # once its checkpoint is read and fits
        callbacks.append(LambdaCallback(on_train_start=lambda trainer, _: _go_on(trainer, run, config)))
    if settings.ema is not None:
        from pytorch_lightning.callbacks import EMAWeightAveraging

        callbacks.insert(0, EMAWeightAveraging(decay=settings.ema))
    try:
        trainer = build_trainer(
            settings,
            root=str(run.path),
            bf16=bf16,
            callbacks=callbacks,
            plugins=[AtomicCheckpoints()],
            logger=logger(save_dir=run.path) if logger else False,
        )
        data.check_processes(trainer.world_size)
    except UserError:
        run.discard()
        raise
    how = replace(how, bf16=bf16, together=trainer.world_size > 1)
    description = _describe(data, targets, run, resume)
    if settings.channels_last:
        embedder = embedder.to(memory_format=torch.channels_last)
    device = f"{settings.device} x {trainer.world_size}, precision {'bf16' if bf16 else '32'} ({why})"
    lr = _learning_rate(optimizer, factor, settings)
    summary = _summary(data, targets, labels, embedder, settings, lr, device, run, seed)
    if trainer.is_global_zero:
        print(facts(summary), flush=True)
        if not resume:
            files.write(run.config, config)
            files.write_json(run.environment, environment())
            files.write_json(run.data, description)
    module = ReIDModule(
        embedder,
        objective,
        optimizer=optimizer,
        layer_decay=layer_decay,
        schedule=lambda done: factor * schedule(done),
        augment=augment,
        mix=mix,
        score=partial(_validate, data, how) if data.validation else None,
        seed=seed,
        spec=spec,
        channels_last=settings.channels_last,
        chunk=settings.chunk,
        compile=settings.compile,
    )
    if settings.device.type == "cpu":
        keep_freed_memory()
    started = time.perf_counter()
    _fit(trainer, module, data, run, resume)
    seconds = time.perf_counter() - started
    chosen, model = run.last, f"last epoch ({trainer.current_epoch})"
    if checkpoints.best_epoch is not None:
        chosen, model = run.best, f"best validation {VALIDATION[0]} (epoch {checkpoints.best_epoch})"
    if settings.ema is not None:
        model += f", moving average {settings.ema}"
    trained = load_trained(chosen, trust=True).embedder
    if not trainer.is_global_zero:
        for target in targets:
            target.help_to_judge(trained, how)
        return {}
    if train_log.seconds_trained:
        rate = train_log.images_trained / train_log.seconds_trained
        summary["training"] = f"{seconds:.0f} s, {rate:.0f} images/s in the training steps"
    told = {"feature": embedder.feature, "split": "test", "model": model, "checkpoint": f"checkpoints/{chosen.name}"}
    numbers = write_results(run, trained, targets, how, summary=summary, facts=told)
    print(f"\n{metric_table(numbers)}\n\nreport  {run.report}\nagain   python eval.py run={run.path}", flush=True)
    return numbers


def _fit(trainer: pl.Trainer, module: ReIDModule, data: ReIDData, run: RunFolder, resume: bool) -> None:
    """Lightning's fit; an interruption says how to go on."""
    again = f"python train.py resume={run.path}"
    try:
        trainer.fit(module, datamodule=data, ckpt_path=str(run.last) if resume else None, weights_only=True)
    except SystemExit:
        if trainer.interrupted:  # Lightning turns Ctrl-C into an exit
            print(f"\ninterrupted; the last whole epoch is kept, go on with: {again}", file=sys.stderr)
            raise SystemExit(130) from None
        raise
    except torch.OutOfMemoryError as error:
        raise UserError(
            "the device is out of memory: lower data.identities or image.size, or try trainer.precision=bf16"
        ) from error
    except OSError as error:  # the log on a full disk, for one; checkpoints tell it themselves
        raise UserError(f"cannot write {error.filename or run.path} ({error.strerror}); go on with: {again}") from error
    except MisconfigurationException as error:  # among others fewer epochs than the checkpoint has
        raise UserError(f"trainer: {error}") from error
    except RuntimeError as error:
        if resume and "loading state_dict" in str(error):
            raise UserError(
                f"resume={run.path}: its weights do not fit the net of this config; leave backbone, head and training "
                "identities as they were"
            ) from error
        raise


def _describe(data: ReIDData, targets: Sequence[Target], run: RunFolder, resume: bool) -> dict[str, Any]:
    """The content of data.json; UserError where a resumed run had other data."""
    found = data.split.describe()
    if resume and run.data.is_file():
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


def _go_on(trainer: pl.Trainer, run: RunFolder, config: str) -> None:
    """A resumed run keeps the values changed for it, and loses results that its further training makes stale."""
    if not trainer.is_global_zero:
        return
    files.write(run.config, config)
    told = json.loads(run.environment.read_text())
    files.write_json(run.environment, {**told, "resumed": [*told.get("resumed", []), environment()]})
    if trainer.current_epoch < (trainer.max_epochs or 0):
        for stale in (run.metrics, run.report, *run.path.glob("per_query*.csv")):
            stale.unlink(missing_ok=True)


def _validate(data: ReIDData, how: Judging, features: np.ndarray) -> Mapping[str, float]:
    assert data.validation is not None
    asked, records = set(data.validation.query), data.validation_images.records
    cut = sum(r in asked for r in records)  # queries come first
    found = score(features[:cut], features[cut:], records[:cut], records[cut:], how).to_dict()
    return {name: float(found[name]) for name in VALIDATION}


def _learning_rate(optimizer: Callable[..., torch.optim.Optimizer], factor: float, settings: TrainerSettings) -> str:
    """The learning rate, and whether it is the one that was given."""
    given = optimizer([torch.nn.Parameter()]).defaults["lr"]
    if settings.scale_lr_from is None:
        return f"{given:g} as given, whatever the batch and the number of devices"
    return f"{given * factor:g}, that is optimizer.lr={given:g} for {settings.scale_lr_from} images x {factor:g}"


def _summary(
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
