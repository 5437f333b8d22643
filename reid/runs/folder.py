"""The folder of a run: what went in, what came out, and how to find it again."""

import contextlib
import json
import os
import platform
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from reid.data.locks import locked
from reid.errors import UserError

_PACKAGES = ("torch", "torchvision", "pytorch-lightning", "hydra-core", "faiss-cpu", "numpy", "pillow")
_LOCK = ".lock"
_SOURCE = Path(__file__).parents[2]
_PATIENCE = 10.0  # seconds; loader processes of a killed run hold its lock until they notice, which takes up to five


class RunFolder:
    """Paths of one run.

    ``config.yaml`` as composed, ``environment.json``, ``data.json``, ``metrics.json``, ``per_query.csv`` (and
    ``per_query_<name>.csv`` for further targets), ``train_log.csv``, ``report.html``, ``tensorboard/`` and
    ``checkpoints/``. ``.lock`` is there while a process trains in it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config, self.metrics = path / "config.yaml", path / "metrics.json"
        self.log, self.report = path / "train_log.csv", path / "report.html"
        self.environment, self.data = path / "environment.json", path / "data.json"
        self.checkpoints = path / "checkpoints"
        self._held = contextlib.ExitStack()
        self._made: tuple[Path, ...] = ()  # folders that were not there before, inner ones first

    @property
    def last(self) -> Path:
        return self.checkpoints / "last.ckpt"

    @property
    def best(self) -> Path:
        return self.checkpoints / "best.ckpt"

    @classmethod
    def create(cls, root: Path, name: str) -> "RunFolder":
        """A new folder ``root/name``, or ``root/name_2`` and so on where that exists; UserError if none can be made."""
        path = root / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            for attempt in range(2, 1000):
                try:
                    path.mkdir()
                    break
                except FileExistsError:
                    path = root / f"{name}_{attempt}"
            run = cls(path)
            run.checkpoints.mkdir()
        except OSError as error:
            raise UserError(f"run.root={root} cannot be written ({error.strerror}): choose another folder") from error
        run._made = (run.checkpoints, run.path, run.path.parent)
        run.hold()
        return run

    @classmethod
    def at(cls, path: Path, *, begun: bool) -> "RunFolder":
        """The folder ``path`` itself, made where it is not there, and held.

        Args:
            begun: whether it may hold a run that was begun; otherwise it must be empty.

        Raises:
            UserError: it cannot be made, is in use, or holds what is not a run's.
        """
        run = cls(path)
        missing = [folder for folder in (run.checkpoints, path, *path.parents) if not folder.exists()]
        try:
            run.checkpoints.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"run.folder={path} cannot be written ({error.strerror}): choose another folder") from error
        run._made = tuple(missing)
        with contextlib.ExitStack() as undo:
            undo.callback(run.let_go)
            run.hold()
            run._refuse_content(begun)
            undo.pop_all()
        return run

    def _refuse_content(self, begun: bool) -> None:
        empty = () if any(self.checkpoints.iterdir()) else (self.checkpoints.name,)
        there = sorted({entry.name for entry in self.path.iterdir()}.difference([_LOCK, *empty]))
        if there and not begun:
            raise UserError(
                f"run.folder={self.path} is not empty ({there[0]}): choose another folder, or add resume=auto to go on "
                "with the run in it"
            )
        ours = (self.metrics, self.log, self.report, self.environment, self.data, self.checkpoints)
        strange = [file.name for file in ours if file.name in there]
        if strange and not self.config.is_file():  # which a run writes before all of them
            raise UserError(f"run.folder={self.path} holds {strange[0]} but no config.yaml, so no run: choose another")

    def hold(self) -> None:
        """Keep other processes from training in this folder until ``let_go``; UserError if one does."""
        end = time.monotonic() + _PATIENCE
        try:
            while not self._held.enter_context(locked(self.path / _LOCK)):
                if time.monotonic() > end:
                    raise UserError(
                        f"another process trains in {self.path}: let it go on or stop it, or choose another run.folder"
                    )
                time.sleep(0.2)
        except OSError:  # a file system without locks
            return

    def __enter__(self) -> "RunFolder":
        return self

    def __exit__(self, *error: object) -> None:
        self.let_go()

    def let_go(self) -> None:
        """The end of ``hold``. What was made for the run and is still empty, as after bad input, is removed again."""
        self._held.close()
        with contextlib.suppress(OSError):
            for folder in self._made:
                folder.rmdir()

    @classmethod
    def open(cls, path: str | Path, *, option: str) -> "RunFolder":
        """An existing run; UserError if ``path`` holds none."""
        run = cls(Path(path).expanduser())
        if not run.path.is_dir():
            raise UserError(f"{option}={path} is not a folder: give a run folder such as runs/<date>/<time>_<name>")
        if not run.config.is_file():
            raise UserError(f"{option}={path} is not a run folder (it has no config.yaml)")
        return run

    def reported(self) -> tuple[Path, str]:
        """The checkpoint whose numbers the run reports, and the words for it; the last one before there are numbers."""
        if not self.metrics.is_file():
            return self.last, "last.ckpt of an unfinished run"
        told = json.loads(self.metrics.read_text())
        return self.path / told["checkpoint"], told["model"]

    @classmethod
    def newest(cls, root: Path) -> "RunFolder":
        """The run that wrote a checkpoint last."""
        found = sorted(root.expanduser().glob("*/*/checkpoints/last.ckpt"), key=lambda f: f.stat().st_mtime)
        if not found:
            raise UserError(f"no run with a checkpoint in {root}: train one, or give run=PATH or checkpoint=PATH")
        return cls(found[-1].parents[1])

    def need_checkpoint(self, *, option: str) -> Path:
        """The last checkpoint; UserError if there is none."""
        if not self.last.is_file():
            raise UserError(f"{option}={self.path} has no checkpoint ({self.last} is missing): nothing to go on from")
        return self.last

    def newest_sound(self, *, option: str) -> Path | None:
        """The checkpoint to go on from; see ``reid.training.checkpoints.newest_sound``."""
        from reid.training.checkpoints import newest_sound

        return newest_sound(self.checkpoints, option=option)


def environment() -> dict[str, Any]:
    """Versions, machine, git commit and command line of this process."""
    import torch

    return {
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "git_commit": git_commit(),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:  # faiss-gpu in place of faiss-cpu, for one
        return None


def git_commit(*, short: bool = False) -> str | None:
    """Commit of this source tree, with ``+changes`` where files differ from it; None outside git."""
    try:
        head = _git("rev-parse", *(["--short=12"] if short else []), "HEAD")
        return head + ("+changes" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=_SOURCE, capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()
