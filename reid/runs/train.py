"""The main job: fit an embedder, judge it, write the run down."""

import contextlib
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, LambdaCallback
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from reid.data.datamodule import ReIDData
from reid.errors import UserError
from reid.losses.objective import Objective
from reid.models.checkpoint import load_trained
from reid.models.embedder import Embedder
from reid.report import facts, metric_table
from reid.runs.folder import RunFolder
from reid.runs.judge import Judging, score
from reid.runs.opening import begin, describe, go_on, learning_rate, summary
from reid.runs.targets import Target, write_results
from reid.training import stopping
from reid.training.allocator import keep_freed_memory
from reid.training.averaging import MovingAverage
from reid.training.checkpoints import AtomicCheckpoints, Checkpoints, NotFiniteError
from reid.training.launch import ending_together
from reid.training.module import Augmentation, Mix, ReIDModule
from reid.training.progress import Progress, TrainLog
from reid.training.rollback import Rollback
from reid.training.settings import TrainerSettings, build_trainer, use_bf16

VALIDATION = ("mAP", "rank-1")


def train(
    *,
    run: RunFolder,
    resume: Path | None,
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

    Args:
        run: its folder, which is let go at the end.
        resume: the checkpoint of ``run`` to go on from, or None for a new run.
        config: the composed config, as YAML.
        labels: what the labels of the data show, in a line; see ``reid.runs.doctor.labels_line``.

    Raises:
        UserError: among others a loss that is not finite, a checkpoint that cannot be written, a set without a match.
    """
    with run, contextlib.ExitStack() as failing:
        bf16, why = use_bf16(settings.precision, settings.device, embedder.backbone)
        spec, factor = {**spec, "bf16": bf16}, settings.rate_factor(data.batch_images)
        train_log = TrainLog(run.log, list(objective.losses), list(VALIDATION))
        checkpoints = Checkpoints(
            run.checkpoints,
            every_n_epochs=settings.checkpoint_every_n_epochs,
            every_n_steps=settings.checkpoint_every_n_steps,
            monitor=f"val_{VALIDATION[0]}" if data.validation else None,
        )
        tries = settings.nan_tries if settings.on_nan == "rollback" else 0
        rollback = Rollback(factor=settings.nan_factor, tries=tries, spike=settings.spike)
        callbacks: list[Callback] = [rollback, train_log, Progress(train_log.losses), checkpoints]
        if resume:  # once its checkpoint is read and fits
            callbacks.append(LambdaCallback(on_train_start=lambda trainer, _: go_on(trainer, run, config)))
        trainer = _trainer(run, settings, bf16=bf16, callbacks=callbacks, logger=logger)
        failing.enter_context(ending_together(trainer))
        data.check_processes(trainer.world_size)
        how = replace(how, bf16=bf16, together=trainer.world_size > 1)
        description = describe(data, targets, run, resumed=resume is not None)
        if settings.channels_last:
            embedder = embedder.to(memory_format=torch.channels_last)
        device = f"{settings.device} x {trainer.world_size}, precision {'bf16' if bf16 else '32'} ({why})"
        lr = learning_rate(optimizer, factor, settings)
        told = summary(data, targets, labels, embedder, settings, lr, device, run, seed)
        if trainer.is_global_zero:
            print(facts(told), flush=True)
            if not resume:
                begin(run, config, description)
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
        _fit(trainer, module, data, run, resume, rollback)
        seconds = time.perf_counter() - started
        chosen = _chosen(run, checkpoints, trainer.current_epoch, settings)
        if not trainer.is_global_zero:
            trained = load_trained(chosen[0], trust=True).embedder
            for target in targets:
                target.help_to_judge(trained, how)
            return {}
        if train_log.seconds_trained:
            rate = train_log.images_trained / train_log.seconds_trained
            told["training"] = f"{seconds:.0f} s, {rate:.0f} images/s in the training steps"
        judged = "validation" if targets[0].split is data.validation else "test"
        return _judge(run, targets, how, told, {"feature": embedder.feature, "split": judged}, chosen)


def _trainer(
    run: RunFolder,
    settings: TrainerSettings,
    *,
    bf16: bool,
    callbacks: list[Callback],
    logger: Callable[..., Any] | None,
) -> pl.Trainer:
    if settings.ema is not None:
        callbacks = [MovingAverage(decay=settings.ema), *callbacks]
    return build_trainer(
        settings,
        root=str(run.path),
        bf16=bf16,
        callbacks=callbacks,
        plugins=[AtomicCheckpoints()],
        logger=logger(save_dir=run.path) if logger else False,
    )


def _chosen(run: RunFolder, checkpoints: Checkpoints, epochs: int, settings: TrainerSettings) -> tuple[Path, str]:
    """The checkpoint that the run reports, and the words for it."""
    chosen, model = run.last, f"last epoch ({epochs})"
    if checkpoints.best_epoch is not None:
        chosen, model = run.best, f"best validation {VALIDATION[0]} (epoch {checkpoints.best_epoch})"
    return chosen, model if settings.ema is None else f"{model}, moving average {settings.ema}"


def _judge(
    run: RunFolder,
    targets: Sequence[Target],
    how: Judging,
    told: Mapping[str, str],
    facts: Mapping[str, str],
    chosen: tuple[Path, str],
) -> Mapping[str, Any]:
    """Judge the chosen checkpoint on every target and write the results down."""
    checkpoint, model = chosen
    origin: dict[str, Any] = {**facts, "model": model, "checkpoint": f"checkpoints/{checkpoint.name}"}
    trained = load_trained(checkpoint, trust=True).embedder
    origin["parameters"] = sum(p.numel() for p in trained.parameters())
    numbers = write_results(run, trained, targets, how, summary=told, facts=origin)
    print(f"\n{metric_table(numbers)}\n\nreport  {run.report}\nagain   python eval.py run={run.path}", flush=True)
    return numbers


def _fit(
    trainer: pl.Trainer, module: ReIDModule, data: ReIDData, run: RunFolder, resume: Path | None, rollback: Rollback
) -> None:
    """Fit, again from the last good checkpoint as long as ``rollback`` grants it."""
    while True:
        try:
            return _fit_once(trainer, module, data, run, resume)
        except NotFiniteError as error:
            if not rollback.again():
                raise
            trainer.strategy.barrier()  # the first process may have put the checkpoint before the last in its place
            resume = run.newest_sound(option="trainer.on_nan")
            if trainer.is_global_zero:
                print(
                    f"{error.found}: back to the last good checkpoint with {rollback.rate:g} of the learning rate "
                    f"(rollback {rollback.done} of {rollback.tries})",
                    file=sys.stderr, flush=True,
                )  # fmt: skip


def _fit_once(trainer: pl.Trainer, module: ReIDModule, data: ReIDData, run: RunFolder, resume: Path | None) -> None:
    """Lightning's fit; an interruption says how to go on."""
    again = f"python train.py resume={run.path}"
    try:
        with stopping.listening():
            trainer.fit(module, datamodule=data, ckpt_path=str(resume) if resume else None, weights_only=True)
    except stopping.Stopped as stop:
        if trainer.is_global_zero:
            told = f"stopped by {stop.signal.name} after step {trainer.global_step}; all is kept, go on with: {again}"
            print(f"\n{told}", file=sys.stderr, flush=True)
        raise
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
    except (RuntimeError, ValueError) as error:
        if resume and ("parameter group" in str(error) or "optimizer state" in str(error)):  # as torch says it
            raise UserError(
                f"resume={run.path}: its optimiser is of other parameters than this config trains; leave objective as "
                "it was, or start a new run"
            ) from error
        if resume and "loading state_dict" in str(error):
            raise UserError(
                f"resume={run.path}: its weights do not fit the net of this config; leave backbone, head and training "
                "identities as they were"
            ) from error
        raise


def _validate(data: ReIDData, how: Judging, features: np.ndarray) -> Mapping[str, float]:
    assert data.validation is not None
    asked, records = set(data.validation.query), data.validation_images.records
    cut = sum(r in asked for r in records)  # queries come first
    found = score(features[:cut], features[cut:], records[:cut], records[cut:], how).to_dict()
    return {name: float(found[name]) for name in VALIDATION}
