"""Kills a training again and again and compares what comes of it with one that was left alone."""

import csv
import json
import logging
import os
import random
import runpy
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from reid.errors import UserError

_TIMES = ("seconds", "images_per_s")
_TRAIN = Path(__file__).parents[2] / "train.py"


@dataclass(frozen=True)
class Kill:
    """When a process is killed, and by what.

    Attributes:
        kind: ``start`` (some time after its start), ``train`` (some time after its first step), ``write`` (while a
            checkpoint is written) or ``ask`` (as ``train``, but by SIGTERM, which lets it save).
        delay: in seconds.
    """

    kind: str
    delay: float

    @property
    def signal(self) -> signal.Signals:
        return signal.SIGTERM if self.kind == "ask" else signal.SIGKILL


@dataclass(frozen=True)
class Met:
    """What a kill met: steps that the last checkpoint has behind it, and whether one was half written."""

    kill: Kill
    step: int | None
    writing: bool


def small(data: Path) -> list[str]:
    """Options of train.py for a training of a few seconds on the toy set that has everything a run can have."""
    return [
        "dataset=toy", f"dataset.root={data / 'toy'}", "dataset.train_identities=16", "dataset.test_identities=6",
        "dataset.val_fraction=0.25", "image.size=[64,32]", f"image.cache_dir={data / 'cache'}", "backbone=mobilenet_v2",
        "backbone.pretrained=false", "data.identities=4", "data.images=2", "optimizer.lr=3.5e-4", "trainer=cpu",
        "trainer.precision=32", "trainer.ema=0.9", "trainer.max_epochs=12", "trainer.checkpoint_every_n_steps=2",
        "trainer.log_every_n_steps=1", "logger=tensorboard",
    ]  # fmt: skip


def plan(kills: int, seed: int, seconds: float) -> Iterator[Kill]:
    """So many kills at random; ``seconds`` is the time that the whole training takes from its first step."""
    rng = random.Random(seed)
    for number in range(kills):
        kind = ("train", "write", "start", "write", "ask")[number % 5]
        most = {"start": 2.0, "write": 0.02}.get(kind, 3 * seconds / max(kills, 6))
        yield Kill(kind, rng.uniform(0, most))


def survive(folder: Path, kills: int, seed: int, given: Sequence[str], say: Callable[[str], None]) -> bool:
    """Train once undisturbed and then under ``kills``, below ``folder``; whether all came out the same.

    A run that ends before all kills are spent is compared, and the rest fall upon another.

    Raises:
        UserError: the undisturbed training fails, or one that nobody killed.
    """
    options = [*small(folder), *given, "resume=auto"]
    whole = folder / "whole"
    began = time.monotonic()
    _ended(_start([*options, f"run.folder={whole}"], folder / "whole.txt"), folder / "whole.txt")
    seconds = max(time.monotonic() - began - 5.0, 2.0)  # roughly, its start left out
    say(f"undisturbed: {len(log_rows(whole))} epochs in {time.monotonic() - began:.0f} s")
    left, number, same = list(plan(kills, seed, seconds)), 0, True
    while left or number == 0:
        number += 1
        run, output = folder / f"killed_{number}", folder / f"killed_{number}.txt"
        struck = 0
        while left:
            met = _strike(_start([*options, f"run.folder={run}"], output), run, left[0], output)
            if met is None:
                break  # it had ended
            struck += 1
            say(
                f"kill {kills - len(left) + 1:2d}  {met.kill.signal.name}  {met.kill.kind:5}  "
                f"{'no checkpoint yet' if met.step is None else f'goes on from step {met.step}'}"
                f"{'  a checkpoint half written' if met.writing else ''}"
            )
            left.pop(0)
        else:
            _ended(_start([*options, f"run.folder={run}"], output), output)
        say(f"run {number}: ended after {struck} kills")
        for part, difference in differences(whole, run).items():
            say(f"  {part:34} {'the same' if difference is None else difference}")
            same &= difference is None
    return same


def _start(arguments: Sequence[str], output: Path) -> int:
    """A process of train.py, forked from this one to save the imports; its id."""
    sys.stdout.flush()
    if pid := os.fork():
        return pid
    code = 1
    try:
        file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        os.dup2(file, 1)
        os.dup2(file, 2)
        sys.argv = [_TRAIN.name, *arguments]
        runpy.run_path(str(_TRAIN), run_name="__main__")
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _ended(pid: int, output: Path) -> None:
    """Wait for a process that nobody kills. UserError if it fails."""
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code:
        raise UserError(f"a training ended with exit code {code}: see {output}")


def _strike(pid: int, run: Path, kill: Kill, output: Path) -> Met | None:
    """Kill a process as planned; None if it ends before, which it may only do in peace."""
    began, wanted = time.monotonic(), 0.0 if kill.kind == "start" else None
    before = _changed(run)
    while True:
        if wanted is None and (_partial(run, pid) if kill.kind == "write" else _changed(run) != before):
            wanted = time.monotonic() - began
        if wanted is not None and time.monotonic() - began >= wanted + kill.delay:
            os.kill(pid, kill.signal)
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            if code not in (-kill.signal, 128 + kill.signal):
                if code:
                    raise UserError(f"a training met by {kill.signal.name} ended with {code}: see {output}")
                return None
            return Met(kill, _step(run), _partial(run, pid))
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            if code := os.waitstatus_to_exitcode(status):
                raise UserError(f"a training that nobody killed ended with exit code {code}: see {output}")
            return None
        time.sleep(0.001)


def _partial(run: Path, pid: int) -> bool:
    """Whether this process is writing a checkpoint, or was when it was killed."""
    return any((run / "checkpoints").glob(f".*.{pid}.partial"))


def _changed(run: Path) -> tuple[float, ...]:
    """Changes when a training begins or goes on, and with every checkpoint."""
    files = (run / "environment.json", run / "checkpoints" / "last.ckpt")
    return tuple(file.stat().st_mtime if file.exists() else 0.0 for file in files)


def _step(run: Path) -> int | None:
    last = run / "checkpoints" / "last.ckpt"
    return int(_checkpoint(last)["global_step"]) if last.exists() else None


def differences(a: Path, b: Path) -> dict[str, str | None]:
    """What two run folders have in common, part by part: None where every bit is the same, else what differs.

    Times are left out, and of TensorBoard's files only the values count, of which each step must be there once.
    """
    found: dict[str, str | None] = {}
    names = [sorted(file.name for file in (run / "checkpoints").iterdir() if file.name != ".lock") for run in (a, b)]
    found["checkpoints"] = None if names[0] == names[1] else f"{names[0]} and {names[1]}"
    for name in sorted(set(names[0]) & set(names[1])):
        one, two = (_checkpoint(run / "checkpoints" / name) for run in (a, b))
        for part in sorted({*one, *two} - {"callbacks", "loops", "hparams_name", "hyper_parameters"}):
            found[f"{name} {part}"] = _difference(one.get(part), two.get(part))
    found["metrics.json"] = _difference(*[json.loads((run / "metrics.json").read_text()) for run in (a, b)])
    tables = [{file.name: file.read_bytes() for file in run.glob("per_query*.csv")} for run in (a, b)]
    for name in sorted({*tables[0], *tables[1]}):
        found[name] = _difference(tables[0].get(name), tables[1].get(name))
    found["train_log.csv"] = _difference(log_rows(a), log_rows(b))
    found["TensorBoard"] = _difference(scalars(a), scalars(b))
    return found


def log_rows(run: Path) -> list[dict[str, str]]:
    """train_log.csv without its times."""
    with (run / "train_log.csv").open(newline="") as file:
        return [{k: v for k, v in row.items() if k not in _TIMES} for row in csv.DictReader(file)]


def scalars(run: Path) -> dict[str, list[tuple[int, float]]]:
    """(step, value) of every point that TensorBoard shows, by name."""
    from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-untyped]
        EventAccumulator,
    )

    if not (run / "tensorboard").is_dir():
        return {}
    logging.getLogger("tensorboard").setLevel(logging.ERROR)  # it tells what it purges
    reader = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0})
    reader.Reload()
    return {tag: [(e.step, e.value) for e in reader.Scalars(tag)] for tag in reader.Tags()["scalars"]}


def _checkpoint(path: Path) -> dict[str, Any]:
    return torch.load(path, map_location="cpu", weights_only=True)


def _difference(a: Any, b: Any, at: str = "") -> str | None:
    """Where two nested values differ first, or None."""
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return None if torch.equal(a, b) else f"differs{at}"
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        if a.keys() != b.keys():
            return f"keys differ{at}"
        return next((d for k in a if (d := _difference(a[k], b[k], f"{at} {k}"))), None)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple) and len(a) == len(b):
        pairs = enumerate(zip(a, b, strict=True))
        return next((d for i, (x, y) in pairs if (d := _difference(x, y, f"{at} {i}"))), None)
    return None if a == b else f"differs{at}"
