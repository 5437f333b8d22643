"""``hydra/launcher=joblib`` and ``ray``: jobs of a sweep at once. The workers only wait for processes, which train."""

import contextlib
import os
import signal
import types
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus

from reid import signals
from reid.door import check
from reid.door.sweeps import plan
from reid.door.sweeps.job import STOP, Job, job_of, python_path, run
from reid.door.sweeps.launcher import LaunchError, PackageLauncher
from reid.errors import UserError


class JoblibLauncher(PackageLauncher):
    """``n_jobs`` at once on this machine, -1 one for each core."""

    option = package = "joblib"

    def __init__(self, n_jobs: int, **_: Any) -> None:  # and what hydra-joblib-launcher adds, where that is installed
        check.value("hydra.launcher.n_jobs", n_jobs, int, -1)
        if n_jobs == 0:
            raise UserError("hydra.launcher.n_jobs=0 launches nothing: give the jobs at once, or -1 for one a core")
        self.n_jobs = n_jobs

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs; returns when all are over."""
        from joblib import Parallel, delayed

        places = self.n_jobs if self.n_jobs > 0 else len(os.sched_getaffinity(0))
        one_gpu = self.config.trainer.devices == 1
        jobs = [
            replace(job_of(self.config.hydra, overrides), places=places, one_gpu=one_gpu) for overrides in job_overrides
        ]
        work = Parallel(n_jobs=places, backend="loky", batch_size=1, return_as="generator_unordered")
        with _stopping(Path(jobs[0].folder).parent / STOP) as got:
            ends = _collected(jobs, work(delayed(_in_worker)(job) for job in jobs))
        if got:
            raise SystemExit(128 + got[0])
        return ends


@contextlib.contextmanager
def _stopping(file: Path) -> Iterator[list[int]]:
    """While the block lasts, a signal is kept in the list and makes ``file``, at which the jobs save and end.

    joblib itself would kill them. A second Ctrl-C has it do so.
    """
    got: list[int] = []

    def take(number: int, frame: types.FrameType | None) -> None:
        if number == signal.SIGINT and got:
            raise KeyboardInterrupt
        got.append(number)
        file.touch()

    file.unlink(missing_ok=True)
    before = {number: signal.signal(number, take) for number in (signal.SIGINT, *signals.heeded())}
    try:
        yield got
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        file.unlink(missing_ok=True)


def _in_worker(job: Job) -> tuple[str, Exception | None]:
    """``_contained`` in a process that waits for its next job whatever signals come: one that died would end all."""
    for number in (signal.SIGINT, *signals.STOPPING):
        signal.signal(number, signal.SIG_IGN)
    return _contained(job)


class RayLauncher(PackageLauncher):
    """As tasks of a Ray cluster; see ``configs/hydra/launcher/ray.yaml`` for the options."""

    option = package = "ray"

    def __init__(self, address: str | None, cpus_per_job: float, gpus_per_job: float) -> None:
        check.value("hydra.launcher.address", address, str | None)
        check.value("hydra.launcher.cpus_per_job", cpus_per_job, float, 0)
        check.value("hydra.launcher.gpus_per_job", gpus_per_job, float, 0)
        self.address, self.needs = address, {"num_cpus": cpus_per_job, "num_gpus": gpus_per_job}

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs; returns when all are over. One whose machine is lost begins again, where it was, on another."""
        import ray

        jobs = [job_of(self.config.hydra, overrides) for overrides in job_overrides]
        path = {"PYTHONPATH": python_path()}
        try:
            ray.init(address=self.address, runtime_env={"env_vars": path}, log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, ValueError) as error:
            raise LaunchError(f"hydra.launcher.address={self.address}: {error}") from error
        try:
            task = ray.remote(_contained).options(**self.needs)
            return _collected(jobs, _as_they_end([task.remote(job) for job in jobs]))
        finally:
            ray.shutdown()


def _as_they_end(tasks: list[Any]) -> Iterator[Any]:
    import ray

    while tasks:
        (done, *_), tasks = ray.wait(tasks)
        yield ray.get(done)


def _collected(jobs: Sequence[Job], ends: Iterable[tuple[str, Exception | None]]) -> list[JobReturn]:
    """What became of the jobs, in their order; tells of each as it ends."""
    found: dict[str, Exception | None] = {}
    for folder, error in ends:
        found[folder] = error
        print(f"[{len(found)}/{len(jobs)}] {Path(folder).name} {plan.state(Path(folder)).name}", flush=True)
    return [_returned(found[job.folder]) for job in jobs]


def _contained(job: Job) -> tuple[str, Exception | None]:
    """The job's folder, and why it failed. One that a signal stopped has not: it goes on when the sweep does."""
    try:
        run(job)
    except SystemExit:
        pass
    except Exception as error:
        return job.folder, error
    return job.folder, None


def _returned(error: Exception | None) -> JobReturn:
    return JobReturn(status=JobStatus.FAILED if error else JobStatus.COMPLETED, _return_value=error)
