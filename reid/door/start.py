"""Where a training run goes, and whether it begins there or goes on."""

import contextlib
import os
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from reid import processes
from reid.door import check, stored
from reid.errors import UserError
from reid.runs.folder import RunFolder

_RUN_DIR = "REID_RUN_DIR"  # tells the processes that Lightning starts for more devices which folder the first one made
AUTO = "auto"


def known_folder(cfg: DictConfig, overrides: list[str]) -> tuple[RunFolder | None, Path | None]:
    """The folder of a run that is resumed or has a fixed one, held, and the checkpoint to go on from if there is one.

    (None, None) for a new folder, which ``new_folder`` makes once all is checked. Every process of a run finds the
    same, and what the first is refused is refused to all: nothing is written before all of them have started to train.

    Raises:
        UserError: nothing to go on from where a run is named, a folder that is in use, holds something else or a run
            while nobody asked to go on with it.
    """
    check.value("resume", cfg.resume, str | None)
    check.value("run.folder", cfg.run.folder, str | None)
    auto, fixed = cfg.resume == AUTO, cfg.run.folder
    if auto and not fixed:
        raise UserError("resume=auto goes on in a folder that stays the same: add run.folder=FOLDER, or resume=RUN")
    if not (cfg.resume or fixed):
        return None, None
    if auto or not cfg.resume:
        path = Path(fixed).expanduser()
        _join(cfg)
        run = _of_first(partial(RunFolder.at, path, begun=auto), path)
    else:
        opened = RunFolder.open(cfg.resume, option="resume")
        _join(stored.config_to_resume(opened, overrides))
        run = _of_first(partial(_held, opened), opened.path)
    with contextlib.ExitStack() as undo:
        undo.callback(run.let_go)
        checkpoint = run.newest_sound(option="run.folder" if auto else "resume") if cfg.resume else None
        if cfg.resume and not auto:
            checkpoint = checkpoint or run.need_checkpoint(option="resume")
        if auto and run.config.is_file():
            stored.config_of(run)  # else it is another program's
            if checkpoint is None and run.metrics.is_file():
                raise UserError(f"run.folder={fixed} holds a finished run without its checkpoint: choose another")
        undo.pop_all()
    return run, checkpoint


def new_folder(cfg: DictConfig) -> RunFolder:
    """A new dated folder; other processes get that of the first one."""
    return _of_first(partial(_made, cfg), os.environ.get(_RUN_DIR))


def _of_first(make: Callable[[], RunFolder], known: str | Path | None) -> RunFolder:
    """What the first process makes and holds. Others get its path, or its refusal; ``known`` if they cannot ask it."""
    if known and processes.count() == 1 and not is_first():  # started by Lightning
        return RunFolder(Path(known))
    made: list[RunFolder] = []  # held by the first

    def first() -> Path:
        made.append(make())
        return made[0].path

    path = processes.from_first(first)
    return made[0] if made else RunFolder(path)


def _join(cfg: DictConfig) -> None:
    """Meet the processes that torchrun or srun has started before the first alone looks into the folder: if it were
    refused first, the others would wait for it."""
    from reid.training.launch import join, launched
    from reid.training.settings import device_for

    if launched():
        join(device_for(OmegaConf.select(cfg, "trainer.accelerator") or "auto"))


def _held(run: RunFolder) -> RunFolder:
    run.hold()
    return run


def _made(cfg: DictConfig) -> RunFolder:
    now = datetime.now()
    name = str(cfg.run.name or f"{cfg.dataset.name}_{cfg.backbone.get('name', 'custom')}")
    if "/" in name:
        raise UserError(f"run.name={name} must be a name without /; run.root=FOLDER says where it goes")
    run = RunFolder.create(Path(cfg.run.root).expanduser(), f"{now:%Y-%m-%d}/{now:%H-%M-%S}_{name}")
    os.environ[_RUN_DIR] = str(run.path)
    return run


def is_first() -> bool:
    """Whether this process is the first of its run, the one that writes."""
    from pytorch_lightning.utilities.rank_zero import rank_zero_only

    return getattr(rank_zero_only, "rank", 0) == 0 and os.environ.get("NODE_RANK", "0") == "0"
