"""``python train.py -m``: every job of a sweep in a run folder of its own, and a table of what became of them.

The folder of a sweep, ``hydra.sweep.dir``, holds ``sweep.json``, ``multirun.yaml`` and the jobs' run folders. Run on a
folder that has some of them, a sweep trains what is missing, goes on with what was stopped, and adds what is new.
"""

import contextlib
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.core.utils import JobStatus
from hydra.errors import HydraException
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from reid.data.locks import locked
from reid.door import check
from reid.door.sweeps import plan
from reid.door.sweeps.launcher import LaunchError
from reid.door.sweeps.plan import Job
from reid.errors import UserError
from reid.report.text import DASH, percent

_WIDEST = 200  # characters of a reason
_OURS = ("run.folder", "resume")  # each job's own


class Sweep(Sweeper):
    """Every combination of the values on the command line.

    Exit code: 0 all jobs are done, 1 some are not, 2 nothing was launched, because of a slip in all of them.
    """

    columns: tuple[str, ...] = ("mAP", "rank-1")
    config: DictConfig
    launcher: Launcher

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.config, self.context = config, hydra_context
        self.folder = Path(str(config.hydra.sweep.dir)).expanduser()
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Launch what is missing; leaves with exit code 1 unless every job is done then."""
        told, self.name = plan.earlier(self.folder), self.config.hydra.runtime.choices["hydra/sweeper"]
        if told.jobs and told.sweeper != self.name:
            raise UserError(
                f"hydra.sweep.dir={self.folder} has a sweep of hydra/sweeper={told.sweeper}: add that, or choose "
                "another folder"
            )
        named = any(o.startswith("hydra.sweep.dir=") for o in self.config.hydra.overrides.hydra)
        if named and not told.jobs and not arguments:
            raise UserError(
                f"hydra.sweep.dir={self.folder} has no sweep to run again: say what to train, as seed=0,1,2"
            )
        given = arguments or list(told.given)
        again = bool(told.jobs) and not arguments
        jobs = plan.plan(self.folder, self.wanted_again(told) if again else self._asked(given))
        wrong = {job: why for job in jobs if (why := self.wrong_with(job.overrides))}
        if len(wrong) == len(jobs):
            raise UserError(next(iter(wrong.values())))
        made = not self.folder.exists()
        with _alone(self.folder):
            try:
                self._launch(jobs, wrong, given)
            except LaunchError:
                if made:
                    shutil.rmtree(self.folder, ignore_errors=True)
                raise
            missing = self.finish(jobs)
        if missing:
            raise SystemExit(1)

    def _asked(self, given: list[str]) -> list[list[str]]:
        parser = OverridesParser.create(config_loader=self.context.config_loader)
        return self.wanted(_checked(parser.parse_overrides(given)))

    def wanted_again(self, told: plan.Earlier) -> list[list[str]]:
        """The overrides of each job of a folder that is run again: all that it has."""
        return [list(job.overrides) for job in told.jobs]

    def wanted(self, overrides: list[Override]) -> list[list[str]]:
        """The overrides of each job."""
        try:
            (batch,) = BasicSweeper.split_arguments(overrides, max_batch_size=None)
        except HydraException as error:  # a range to draw from
            drawn = next(o.input_line for o in overrides if o.is_sweep_override() and not o.is_discrete_sweep())
            raise UserError(
                f"{drawn}: nothing is drawn from a range here: list its values, as key=A,B, or see hydra/sweeper=optuna"
            ) from error
        return batch

    def wrong_with(self, overrides: Sequence[str]) -> str | None:
        """What keeps a job from being composed, or a value of the wrong kind in it; None for nothing."""
        from reid.door.command import explain

        try:
            cfg = self.context.config_loader.load_sweep_config(self.config, list(overrides))
            own = OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"])
            check.keys(own)
            check.values(own)
        except UserError as error:
            return str(error)
        except (HydraException, OmegaConfBaseException) as error:
            return explain(error, "train")
        return None

    def _launch(self, jobs: list[Job], wrong: dict[Job, str], given: list[str]) -> None:
        OmegaConf.save(self.config, self.folder / "multirun.yaml")
        plan.record(self.folder, given, self.name, self.command(given), jobs)
        ready = [job for job in jobs if plan.state(self.folder / job.folder).name in ("done", "pruned")]
        for job, why in wrong.items():
            plan.fail(self.folder / job.folder, why, job.overrides)
        todo = [job for job in jobs if job not in ready and job not in wrong]
        there = f", {len(ready)} of them done" if ready else ""
        print(f"sweep  {self.folder}: {len(jobs)} jobs{there}", flush=True)
        try:
            returns = self.launcher.launch([self.overrides_of(job) for job in todo], initial_job_idx=0) if todo else []
        except UserError:
            raise
        except (KeyboardInterrupt, SystemExit) as end:
            print(f"\nstopped; go on with: {self.again()}", file=sys.stderr)
            raise SystemExit(130 if isinstance(end, KeyboardInterrupt) else end.code) from None
        except Exception as error:  # a worker process that was killed, for one
            returns = []
            for job in todo:
                self._tell(job, f"{self.config.hydra.runtime.choices['hydra/launcher']}: {error}")
        for job, done in zip(todo, returns, strict=False):
            if done.status is JobStatus.FAILED:  # its property return_value would print, and raise
                self._tell(job, str(done._return_value) or type(done._return_value).__name__)

    def _tell(self, job: Job, why: str) -> None:
        """Why a job failed, unless it has told that itself."""
        if plan.state(self.folder / job.folder).name == "unfinished":
            plan.fail(self.folder / job.folder, why, job.overrides)

    def overrides_of(self, job: Job) -> list[str]:
        """A job's own overrides, and the folder that it begins or goes on in."""
        own = [o for o in job.overrides if not o.startswith("run.name=")]  # the folder is called by it
        return [*own, f"run.folder={plan.quoted(str(self.folder / job.folder))}", "resume=auto"]

    def finish(self, jobs: list[Job]) -> bool:
        """Print and write down what became of the jobs; whether some are not done."""
        states = [plan.state(self.folder / job.folder) for job in jobs]
        cells = [(job.folder, *self.cells(self.folder / job.folder)) for job in jobs]
        notes = ["" if s.name == "done" else _short(f"{s.name}: {s.why}".removesuffix(": ")) for s in states]
        print(f"\n{_table(('job', *self.columns, ''), [(*c, n) for c, n in zip(cells, notes, strict=True)])}\n")
        counts = {name: sum(s.name == name for s in states) for name in ("done", "pruned", "failed", "unfinished")}
        print(f"sweep  {self.folder}: {', '.join(f'{n} {name}' for name, n in counts.items() if n)}", flush=True)
        told = plan.earlier(self.folder)
        plan.record(self.folder, told.given, self.name, self.command(told.given), jobs)
        missing = bool(counts["failed"] + counts["unfinished"])
        if missing:
            print(f"again  {self.again()}", flush=True)
        return missing

    def cells(self, run: Path) -> list[str]:
        """What the table shows of a run, in the order of ``columns``."""
        numbers = plan.state(run).numbers
        return [percent(numbers[name]) if name in numbers else DASH for name in self.columns]

    def command(self, given: Sequence[str]) -> str:
        """What starts this sweep, in this folder."""
        own = [o for o in self.config.hydra.overrides.hydra if not o.startswith(("hydra.mode=", "hydra.sweep.dir="))]
        here = f"hydra.sweep.dir={plan.quoted(str(self.folder))}"
        return shlex.join(["python", "train.py", "-m", here, *own, *given])

    def again(self) -> str:
        """What trains what is missing: the folder knows its jobs."""
        return self.command([])


def _checked(overrides: list[Override]) -> list[Override]:
    """The overrides of a sweep; UserError for an empty list and for what each job has of its own."""
    for override in overrides:
        key = override.get_key_element().lstrip("+~")
        values = list(override.sweep_string_iterator()) if override.is_discrete_sweep() else [override.value()]
        if not override.is_delete() and (not values or values == [""]):
            raise UserError(f"{key}= lists nothing: give the values with commas, as {key}=A,B, or leave it out")
        if key in _OURS:
            raise UserError(f"{key}: in a sweep each job has a folder of its own: leave it out")
    return overrides


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """UserError while another process launches jobs of the same folder, or if it cannot be written."""
    with contextlib.ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"hydra.sweep.dir={folder} cannot be written ({error.strerror})") from error
        held = True
        with contextlib.suppress(OSError):  # a file system without locks
            held = stack.enter_context(locked(folder / ".sweep.lock"))
        if not held:
            raise UserError(f"{folder}: its sweep is still at work: wait for it, or choose another hydra.sweep.dir")
        yield


def _short(text: str) -> str:
    """As much of a reason as a line of the table holds; the rest is in failed.json."""
    return text if len(text) <= _WIDEST else f"{text[:_WIDEST]} ..."


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Aligned text: the first column and the last one, which says why, to the left."""
    lines = [head, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join([
        line[0].ljust(widths[0]), *map(str.rjust, line[1:-1], widths[1:-1]), line[-1],
    ]).rstrip() for line in lines)  # fmt: skip
