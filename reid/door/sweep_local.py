"""``hydra/launcher=joblib``: several jobs of a sweep at once on this machine."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from reid.door import check, sweep_job, sweep_plan
from reid.door.sweep import not_installed
from reid.errors import UserError


class JoblibLauncher(Launcher):
    """``n_jobs`` at once, -1 one for each core. The workers only wait for processes, which train."""

    def __init__(self, n_jobs: int, **_: Any) -> None:  # and what hydra-joblib-launcher adds, where that is installed
        check.value("hydra.launcher.n_jobs", n_jobs, int, -1)
        if n_jobs == 0:
            raise UserError("hydra.launcher.n_jobs=0 launches nothing: give the jobs at once, or -1 for one a core")
        self.n_jobs = n_jobs

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.config = config
        try:
            import joblib  # noqa: F401
        except ImportError as error:
            raise not_installed("hydra/launcher=joblib", "joblib") from error

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs; returns when all are over."""
        from joblib import Parallel, delayed

        jobs = [sweep_job.job_of(self.config.hydra, overrides) for overrides in job_overrides]
        work = Parallel(n_jobs=self.n_jobs, backend="loky", batch_size=1, return_as="generator_unordered")
        found: dict[str, Exception | None] = {}
        for folder, error in work(delayed(_contained)(job) for job in jobs):
            found[folder] = error
            name = sweep_plan.state(Path(folder)).name
            print(f"[{len(found)}/{len(jobs)}] {Path(folder).name} {name}", flush=True)
        return [_returned(found[job.folder]) for job in jobs]


def _contained(job: sweep_job.Job) -> tuple[str, Exception | None]:
    """The job's folder, and why it failed. One that a signal stopped has not: it goes on when the sweep does."""
    try:
        sweep_job.run(job)
    except SystemExit:
        pass
    except Exception as error:
        return job.folder, error
    return job.folder, None


def _returned(error: Exception | None) -> JobReturn:
    return JobReturn(status=JobStatus.FAILED if error else JobStatus.COMPLETED, _return_value=error)
