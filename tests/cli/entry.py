"""The real entry points, run as a user runs them: in a process of their own, or in this one to save its start."""

import contextlib
import io
import logging
import os
import random
import runpy
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from hydra.core.global_hydra import GlobalHydra

ROOT = Path(__file__).parents[2]
_LOUD = ("root", "hydra.utils", "pytorch_lightning", "lightning_fabric", "lightning.pytorch", "lightning.fabric")


@dataclass(frozen=True)
class Outcome:
    """What a user sees of one command."""

    code: int
    out: str
    err: str

    @property
    def run(self) -> Path:
        """The run folder that the opening lines name."""
        (line,) = [line for line in self.out.splitlines() if line.startswith("run  ")]
        return Path(line.removeprefix("run").strip())

    def check(self, code: int = 0) -> "Outcome":
        assert self.code == code, f"exit code {self.code}\n{self.out}\n{self.err}"
        return self


def in_subprocess(
    script: str, *arguments: str, env: dict[str, str] | None = None, setup: Callable[[], None] | None = None
) -> Outcome:
    """``python SCRIPT ARGUMENTS`` in the repository; one thread, so that sums are the same bits each time."""
    own = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "tests"), **(env or {})}
    done = subprocess.run(
        [sys.executable, script, *arguments],
        cwd=ROOT,
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        timeout=170,
        preexec_fn=setup,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def in_process(script: str, *arguments: str) -> Outcome:
    """The same without a new interpreter; what the command changes in this one is put back."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with _state_kept(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        sys.argv = [script, *arguments]
        os.chdir(ROOT)
        try:
            runpy.run_path(str(ROOT / script), run_name="__main__")
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
    return Outcome(code, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def _state_kept() -> Iterator[None]:
    """Arguments, folder, environment, logging, warnings, random state and Hydra as before."""
    argv, folder, environment = sys.argv, Path.cwd(), dict(os.environ)
    root, draws = logging.getLogger(), (random.getstate(), np.random.get_state())
    handlers, levels = root.handlers[:], {name: logging.getLogger(name).level for name in _LOUD}
    root.handlers.clear()  # pytest's would keep the command from adding its own
    GlobalHydra.instance().clear()
    try:
        with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
            yield
    finally:
        GlobalHydra.instance().clear()
        root.handlers[:] = handlers
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        random.setstate(draws[0])
        np.random.set_state(draws[1])
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)
        sys.argv = argv


def small(toy: Path, work: Path, *given: str) -> list[str]:
    """Overrides of a training that takes a second, its files below ``work``, with ``given`` in place of their like."""
    usual = [
        f"dataset.root={toy}", "dataset.train_identities=8", "dataset.test_identities=4", "image.size=[64,32]",
        "backbone=mobilenet_v2", "backbone.pretrained=false", "data.identities=4", "data.images=2", "logger=none",
        "optimizer.lr=3.5e-4", "schedule=constant", "trainer.max_epochs=2", "trainer.precision=32",
        f"run.root={work / 'runs'}", f"image.cache_dir={work / 'cache'}",
    ]  # fmt: skip
    keys = {g.partition("=")[0] for g in given}
    if "dataset" in keys:
        keys |= {"dataset.root", "dataset.train_identities", "dataset.test_identities"}
    return [u for u in usual if u.partition("=")[0] not in keys] + list(given)
