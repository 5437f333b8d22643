"""One job of a sweep: ``train.py`` in a process of its own, so that nothing it does can end the others.

A job leaves in its run folder what a run leaves, ``log.txt`` with all that was printed, and, if it failed,
``failed.json`` with the reason in one line.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from reid import signals
from reid.data.locks import locked
from reid.door.sweeps import plan
from reid.errors import UserError
from reid.runs.tour import reason

STOP = ".stop"  # a file in the folder of a sweep, at which its jobs on this machine end as at SIGTERM
_TRAIN = Path(__file__).parents[3] / "train.py"
_NOT_OF_A_JOB = ("hydra.mode", "hydra/launcher", "hydra.launcher", "hydra/sweeper", "hydra.sweeper", "hydra.sweep.")


@dataclass(frozen=True)
class Job:
    """What a job needs to know.

    Attributes:
        folder: its run folder, absolute.
        command: that trains in it, without what a trial draws.
        cwd: where that is to be started, as paths in it may be relative.
        echo: its output is shown as well as logged.
        places: jobs that run at once on this machine and share its cores; 0 where another divides them.
        one_gpu: each of these gets one of the GPUs.
        study: of its trial, as ``reid.door.sweeps.study.Trial`` takes it; None where nothing is drawn.
    """

    folder: str
    command: tuple[str, ...]
    cwd: str | None = None
    echo: bool = False
    places: int = 0
    one_gpu: bool = False
    study: Mapping[str, Any] | None = None


def job_of(hydra: DictConfig, overrides: Sequence[str]) -> Job:
    """The job of a sweep that ``overrides`` make.

    Args:
        hydra: the ``hydra`` node of the sweep's config, or of a job's.
        overrides: of the job, among them run.folder.
    """
    told = next(o for o in overrides if o.startswith("run.folder="))
    folder = str(OverridesParser.create().parse_override(told).value())
    study = None
    if hydra.runtime.choices["hydra/sweeper"] == "optuna":
        node: Any = OmegaConf.to_container(hydra.sweeper, resolve=True)
        study = {**node, "folder": os.path.abspath(Path(folder).expanduser().parent)}
    return Job(
        folder=os.path.abspath(Path(folder).expanduser()),
        cwd=os.getcwd(),
        command=(sys.executable, str(_TRAIN), *_config_options(hydra), *overrides),
        echo=hydra.runtime.choices["hydra/launcher"] == "basic",
        study=study,
    )


def python_path() -> str:
    """PYTHONPATH with which a process elsewhere finds this package where this one does."""
    return os.pathsep.join([str(_TRAIN.parent), *filter(None, [os.environ.get("PYTHONPATH")])])


def run(job: Job) -> float | None:
    """Train, unless that is done; returns the value of a trial, else None.

    Raises:
        UserError: it failed, and why; ``failed.json`` says the same.
        SystemExit: a signal stopped it, and it has more to do.
    """
    folder = Path(job.folder)
    folder.mkdir(parents=True, exist_ok=True)
    if plan.state(folder).name in ("done", "pruned") and not _untold(folder):  # queued again as it ended
        return None
    if _stopped(job):
        raise SystemExit(128 + signal.SIGTERM)
    if _rank():  # of several tasks of a job the first one keeps the books
        code, got = _train(job, job.command, folder / f"log_{_rank()}.txt", {})
        if got or code:
            raise SystemExit(128 + got[0] if got else code)
        return None
    with _alone(folder), _place(job, folder.parent) as environment, _reported(folder, job.command):
        (folder / plan.FAILED).unlink(missing_ok=True)
        trial = None
        if job.study is not None:
            from reid.door.sweeps.study import Trial

            trial = Trial.begin(job.study, folder)
        log = folder / "log.txt"
        begin = log.stat().st_size if log.is_file() else 0
        command = [*job.command, *(trial.overrides if trial else ())]
        if job.echo:
            print(f"\njob    {folder.name} {' '.join(trial.overrides if trial else ())}".rstrip(), flush=True)
        code, got = _train(job, command, log, environment, trial.hopeless if trial else None)
        done = plan.state(folder).name == "done"
        if not done and (got or code - 128 in signals.STOPPING) and not (trial and trial.pruned):
            raise SystemExit(128 + got[0] if got else code)
        if trial:
            return trial.end(done, None if done else _reason(log, begin, code))
        if not done:
            raise UserError(_reason(log, begin, code))
        return None


def _train(
    job: Job,
    command: Sequence[str],
    log: Path,
    environment: Mapping[str, str],
    hopeless: Callable[[], bool] | None = None,
) -> tuple[int, list[int]]:
    """Run ``command`` to its end; its exit code, and the signals that came meanwhile, which it got too."""
    with log.open("ab") as file, log.open(errors="replace") as shown, _signals() as (got, children):
        shown.seek(0, os.SEEK_END)
        own = {**os.environ, **environment}
        child = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=own, cwd=job.cwd)
        children.append(child)
        for number in got:  # came before there was anyone to pass them on to
            child.send_signal(number)
        told = False
        try:
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(timeout=0.5)
                if job.echo:
                    print(shown.read(), end="", flush=True)
                if child.returncode is not None:
                    return child.returncode, got
                if not told and hopeless is not None and hopeless():
                    child.terminate()
                    told = True
                if not got and _stopped(job):
                    child.terminate()
                    got.append(signal.SIGTERM)
        except BaseException:  # Ctrl-C reaches the child too, which ends by itself
            if not isinstance(sys.exception(), KeyboardInterrupt):
                child.terminate()
            child.wait()
            raise


def _stopped(job: Job) -> bool:
    return job.places > 0 and (Path(job.folder).parent / STOP).exists()


def _untold(folder: Path) -> bool:
    """Whether the study has not heard how the trial of a run ended."""
    told = folder / plan.TRIAL
    return told.is_file() and json.loads(told.read_text())["state"] == "running"


@contextlib.contextmanager
def _signals() -> Iterator[tuple[list[int], list["subprocess.Popen[bytes]"]]]:
    """While the block lasts, signals that stop a run are kept in the first list and passed on to the second."""
    got: list[int] = []
    children: list[subprocess.Popen[bytes]] = []

    def take(number: int, frame: types.FrameType | None) -> None:
        got.append(number)
        for child in children:
            child.send_signal(number)

    before = {number: signal.signal(number, take) for number in signals.heeded()}
    try:
        yield got, children
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """UserError while another process trains in ``folder``."""
    try:
        lock = locked(folder / ".job.lock")
        held = lock.__enter__()
    except OSError:  # a file system without locks
        yield
        return
    try:
        if not held:
            raise UserError(f"{folder}: another process trains in it")
        yield
    finally:
        lock.__exit__(None, None, None)


@contextlib.contextmanager
def _reported(folder: Path, command: Sequence[str]) -> Iterator[None]:
    """What fails in the block is told in ``failed.json``."""
    try:
        yield
    except Exception as error:
        plan.fail(folder, str(error) or type(error).__name__, command[2:])
        raise


@contextlib.contextmanager
def _place(job: Job, sweep: Path) -> Iterator[dict[str, str]]:
    """What a job among others on this machine has of it: a share of the cores as threads, and one of the GPUs."""
    if not job.places:
        threads = os.environ.get("SLURM_CPUS_PER_TASK")
        yield {"OMP_NUM_THREADS": threads} if threads and "OMP_NUM_THREADS" not in os.environ else {}
        return
    with contextlib.ExitStack() as stack:
        try:
            for place in range(job.places):
                if stack.enter_context(locked(sweep / f".place{place}.lock")):
                    break
        except OSError:  # a file system without locks
            place = int(Path(job.folder).name.partition("_")[0]) % job.places
        gpus = _gpus() if job.one_gpu else []
        yield shares(place, job.places, len(os.sched_getaffinity(0)), gpus, os.environ)


def shares(place: int, places: int, cores: int, gpus: Sequence[str], environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of the job at ``place`` of ``places``; a number of threads that the user has set stands.

    >>> shares(1, 2, 8, ["0", "1"], {})
    {'OMP_NUM_THREADS': '4', 'CUDA_VISIBLE_DEVICES': '1'}
    """
    threads = {} if "OMP_NUM_THREADS" in environment else {"OMP_NUM_THREADS": str(max(1, cores // places))}
    return {**threads, **({"CUDA_VISIBLE_DEVICES": gpus[place % len(gpus)]} if gpus else {})}


def _gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name for name in visible.split(",") if name.strip()]
    found = Path("/proc/driver/nvidia/gpus")
    return [str(i) for i, _ in enumerate(found.iterdir())] if found.is_dir() else []


def _rank() -> int:
    return int(os.environ.get("SLURM_PROCID", "0")) if os.environ.get("SUBMITIT_EXECUTOR") else 0


def _reason(log: Path, begin: int, code: int) -> str:
    with log.open("rb") as file:
        file.seek(begin)
        return reason(file.read().decode(errors="replace"), code)


def _config_options(hydra: DictConfig) -> list[str]:
    """Those of Hydra's own options that say which config is composed."""
    folders = [s.path for s in hydra.runtime.config_sources if s.provider == "command-line"]
    name = [] if hydra.job.config_name == "train" else ["--config-name", hydra.job.config_name]
    own = [o for o in hydra.overrides.hydra if not o.lstrip("+~").startswith(_NOT_OF_A_JOB)]
    return [*(word for path in folders for word in ("--config-dir", path)), *name, *own]
