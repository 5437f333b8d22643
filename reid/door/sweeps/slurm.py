"""``hydra/launcher=slurm``: the jobs of a sweep as an array job, by submitit, watched until the last one has ended.

A job is over when its run folder says so, or when Slurm does not know it any more; a job that waits to be run again is
neither. The sweep may be ended and run again on its folder meanwhile: it takes up the jobs that are still in the queue.
"""

import getpass
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from reid import files
from reid.door import check
from reid.door.sweeps import plan
from reid.door.sweeps.job import Job, job_of, python_path, run
from reid.door.sweeps.launcher import LaunchError, PackageLauncher
from reid.errors import UserError

_OPTIONS: Mapping[str, tuple[Any, int | None]] = {  # of configs/hydra/launcher/slurm.yaml: type, least value
    "partition": (str | None, None), "account": (str | None, None), "qos": (str | None, None),
    "constraint": (str | None, None), "nodes": (int, 1), "tasks_per_node": (int, 1), "gpus_per_node": (int | None, 0),
    "cpus_per_task": (int | None, 1), "memory_gb": (float | None, 0), "minutes": (int, 1), "notice_seconds": (int, 0),
    "array_parallelism": (int, 1), "requeue": (bool, None), "max_requeues": (int, 0),
}  # fmt: skip
_POLL = 3.0  # seconds between two looks at the queue
_PAUSES = (0, 2, 5)  # seconds before each try to have a job queued again; it is killed soon after its notice
_PATIENCE = 4  # looks in a row that must miss a job: one that is queued again may be between two states
_QUEUE = "slurm.json"  # in the folder of a sweep: the Slurm job of each of its jobs


class SlurmLauncher(PackageLauncher):
    """See ``configs/hydra/launcher/slurm.yaml`` for the options."""

    option, package = "slurm", "submitit"

    def __init__(self, **options: Any) -> None:
        for key, (kind, least) in _OPTIONS.items():
            check.value(f"hydra.launcher.{key}", options[key], kind, least)
        if options["requeue"] and 60 * options["minutes"] <= options["notice_seconds"] + 60:
            raise UserError(
                f"hydra.launcher.minutes={options['minutes']} leaves no time to train before the notice, "
                f"hydra.launcher.notice_seconds={options['notice_seconds']}: give a minute more than that at least"
            )
        if not (options["setup"] is None or OmegaConf.is_list(options["setup"])):
            raise UserError(f"hydra.launcher.setup={options['setup']} must be a list of shell commands")
        if not (options["sbatch"] is None or OmegaConf.is_dict(options["sbatch"])):
            raise UserError(
                f"hydra.launcher.sbatch={options['sbatch']} must be options of sbatch, as {{exclude: node7}}"
            )
        self.options: dict[str, Any] = {
            k: OmegaConf.to_container(v) if OmegaConf.is_config(v) else v for k, v in options.items()
        }

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)
        _reachable()

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Submit the jobs that are not in the queue yet; returns when all are over."""
        jobs = [job_of(self.config.hydra, overrides) for overrides in job_overrides]
        folder = Path(jobs[0].folder).parent
        known = json.loads((folder / _QUEUE).read_text()) if (folder / _QUEUE).is_file() else {}
        queued = _in_queue()
        if queued is None:
            raise LaunchError("Slurm does not tell what is in its queue: try squeue, and start the sweep again")
        ids = {job.folder: known[name] for job in jobs if known.get(name := Path(job.folder).name) in queued}
        if ids:
            print(f"{len(ids)} of {len(jobs)} jobs are in the queue already", flush=True)
        if new := [job for job in jobs if job.folder not in ids]:
            for job in new:
                (Path(job.folder) / plan.FAILED).unlink(missing_ok=True)
            ids |= self._submit(new, folder)
            files.write_json(folder / _QUEUE, {**known, **{Path(path).name: number for path, number in ids.items()}})
        _wait(ids)
        return [_returned(Path(job.folder), ids[job.folder]) for job in jobs]

    def _submit(self, jobs: Sequence[Job], folder: Path) -> dict[str, str]:
        """The Slurm job of each run folder."""
        import submitit

        own = self.options
        os.environ["PYTHONPATH"] = python_path()
        executor = submitit.SlurmExecutor(folder=folder / ".slurm")
        try:
            executor.update_parameters(**{k: v for k, v in {
                "job_name": folder.name, "partition": own["partition"], "account": own["account"], "qos": own["qos"],
                "constraint": own["constraint"], "nodes": own["nodes"], "ntasks_per_node": own["tasks_per_node"],
                "gpus_per_node": own["gpus_per_node"], "cpus_per_task": own["cpus_per_task"],
                "mem": own["memory_gb"] and f"{int(1024 * own['memory_gb'])}MB", "time": own["minutes"],
                "signal_delay_s": own["notice_seconds"], "array_parallelism": own["array_parallelism"],
                "setup": own["setup"], "stderr_to_stdout": True,
                "additional_parameters": {"requeue" if own["requeue"] else "no-requeue": True, **(own["sbatch"] or {})},
            }.items() if v is not None})  # fmt: skip
            submitted = executor.map_array(_Queued(own["max_requeues"] if own["requeue"] else 0), jobs)
        except submitit.core.utils.FailedJobError as error:
            told = [line for line in str(error).splitlines() if "error" in line]
            raise LaunchError(f"hydra/launcher=slurm: {' '.join(told) or error}") from error
        array = submitted[0].job_id.partition("_")[0]
        print(f"queue  {len(jobs)} jobs as Slurm job {array}; its own output is in {folder / '.slurm'}", flush=True)
        return {job.folder: done.job_id for job, done in zip(jobs, submitted, strict=True)}


class _Queued:
    """A job in the queue: it trains, and has itself queued again where a signal stopped it."""

    def __init__(self, most: int) -> None:
        self.most = most

    def __call__(self, job: Job) -> float | None:
        signal.signal(signal.SIGCONT, signal.SIG_DFL)
        try:
            return run(job)
        except SystemExit:
            self._again(job)
            raise

    def _again(self, job: Job) -> None:
        number, times = _own_number(os.environ), int(os.environ.get("SLURM_RESTART_COUNT", "0"))
        if os.environ.get("SLURM_PROCID", "0") != "0" or _told(number, "JobState") not in ("RUNNING", None):
            return  # Slurm ends it, for a reason of its own, or queues it again itself
        if times >= self.most:
            plan.fail(Path(job.folder), f"stopped by a signal after {times} times in the queue", job.command)
            return
        queued = _requeued(number)
        print(f"{'queued again' if queued else f'Slurm did not queue job {number} again'}: {job.folder}", flush=True)


def _own_number(environment: Mapping[str, str]) -> str:
    """The Slurm job of this process. SLURM_JOB_ID of one element of an array is the id of the whole array."""
    array, element = environment.get("SLURM_ARRAY_JOB_ID"), environment.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{element}" if array and element else environment["SLURM_JOB_ID"]


def _requeued(number: str) -> bool:
    """Whether Slurm has taken a job back into the queue; tried more than once, as its controller may be busy."""
    for pause in _PAUSES:
        time.sleep(pause)
        if _ask("scontrol", "requeue", number) is not None:
            return True
    return False


def _wait(ids: Mapping[str, str]) -> None:
    """Return when every run folder, a key of ``ids``, is over; tells of each."""
    missed: Counter[str] = Counter()
    waiting = dict(ids)
    while waiting:
        queued = _in_queue()
        for folder, number in list(waiting.items()):
            state = plan.state(Path(folder))
            if queued is not None:
                missed[folder] = 0 if number in queued else missed[folder] + 1
            if state.name != "unfinished" or missed[folder] >= _PATIENCE:
                del waiting[folder]
                name = state.name if state.name != "unfinished" else "ended without a result"
                print(f"[{len(ids) - len(waiting)}/{len(ids)}] {Path(folder).name} {name}", flush=True)
        if waiting:
            time.sleep(_POLL)


def _returned(run: Path, number: str) -> JobReturn:
    state = plan.state(run)
    if state.name in ("done", "pruned"):
        return JobReturn(status=JobStatus.COMPLETED, _return_value=None)
    told = _told(number, "JobState")
    ended = f"Slurm job {number} ended {f'as {told} ' if told else ''}without a result: see {run / 'log.txt'}"
    return JobReturn(status=JobStatus.FAILED, _return_value=UserError(state.why or ended))


def _reachable() -> None:
    """UserError unless there is a Slurm to submit to."""
    if missing := [name for name in ("sbatch", "squeue", "scontrol", "srun") if shutil.which(name) is None]:
        raise UserError(
            f"hydra/launcher=slurm: there is no {missing[0]} here: start the sweep where jobs are submitted, try one "
            "with bash scripts/local_slurm.sh start, or use hydra/launcher=joblib"
        )
    if _in_queue() is None:
        raise UserError(
            "hydra/launcher=slurm: the controller of Slurm does not answer: see scontrol ping, or use "
            "hydra/launcher=joblib"
        )


def _in_queue() -> set[str] | None:
    """The user's jobs that are not over, elements of arrays as 12_3; None if Slurm does not answer."""
    told = _ask("squeue", "--noheader", "--array", f"--user={getpass.getuser()}", "--format=%i")
    return None if told is None else set(told.split())


def _told(number: str, key: str) -> str | None:
    """What scontrol tells of a job, as its JobState."""
    found = re.search(rf"\b{key}=(\S+)", _ask("scontrol", "show", "job", "--oneliner", number) or "")
    return found[1] if found else None


def _ask(*command: str) -> str | None:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
    except (OSError, subprocess.SubprocessError):
        return None
