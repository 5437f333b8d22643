"""``hydra/sweeper=optuna``: trials that draw their values, are judged on held-out identities, and end early if bad.

The trials of a study meet in its storage: each job draws its values when it begins, from all that is known then, so
no job waits for the others. A job that is begun again goes on with the values of its ``trial.json``. What trains is a
plain run; the job looks at its ``train_log.csv``.
"""

import json
import shlex
import shutil
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from reid import files
from reid.door import check
from reid.door.sweeps import plan
from reid.door.sweeps.launcher import need
from reid.door.sweeps.plan import TRIAL, Job
from reid.door.sweeps.space import check_space, draw, some_value, spelled
from reid.door.sweeps.sweep import Sweep
from reid.errors import UserError, unknown
from reid.report.text import DASH, percent

METRICS = ("mAP", "rank-1")
_NOT_OF_THE_BEST = ("seed", "eval.split", "run.name")  # its values are trained with three seeds, for the test set
_VALUES = {"trials": 1, "seed": 0, "startup_trials": 1, "warmup_epochs": 0}  # whole numbers and their least


class StudySweep(Sweep):
    """Trials of the values that ``hydra.sweeper.space`` tells; the best one, and what the values are worth."""

    def __init__(self, **options: Any) -> None:
        for key, least in _VALUES.items():
            check.value(f"hydra.sweeper.{key}", options[key], int, least)
        check.value("hydra.sweeper.pruning", options["pruning"], bool)
        if options["metric"] not in METRICS:
            raise unknown("hydra.sweeper.metric", options["metric"], METRICS)
        self.options: dict[str, Any] = {
            k: OmegaConf.to_container(v) if OmegaConf.is_config(v) else v for k, v in options.items()
        }
        self.columns = (f"val {options['metric']}", *(key.rpartition(".")[2] for key in self.space))

    @property
    def space(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.options["space"]
        return found

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        need("optuna", "hydra/sweeper=optuna", "optuna")
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)
        check_space(self.space)
        if any(config.hydra.launcher.get(key, 1) != 1 for key in ("nodes", "tasks_per_node")):
            raise UserError(
                "hydra/sweeper=optuna: one task draws the values of a trial: leave hydra.launcher.nodes and "
                "tasks_per_node at 1; trainer.devices start by themselves"
            )
        if storage := self.options["storage"]:
            try:
                open_study({**self.options, "folder": str(self.folder)})
            except Exception as error:  # of whichever data base the URL names
                raise UserError(f"hydra.sweeper.storage={storage} cannot be used: {error}") from error

    def wanted(self, overrides: list[Override]) -> list[list[str]]:
        if swept := [o.get_key_element() for o in overrides if o.is_sweep_override()]:
            raise UserError(f"{swept[0]}: with hydra/sweeper=optuna what is drawn stands in hydra/sweeper/space=FILE")
        (given,) = super().wanted(overrides)
        given = [o for o in given if _key(o) != "eval.split"]
        if fixed := {_key(o) for o in given} & set(self.space):
            raise UserError(f"{min(fixed)} is drawn from hydra.sweeper.space: leave it out")
        judged = ["eval.split=validation"]  # the test set is not even looked at
        return [[*given, *judged, f"run.name=trial{number}"] for number in range(self.options["trials"])]

    def wanted_again(self, told: plan.Earlier) -> list[list[str]]:
        """As at first: there may be more trials now."""
        return self._asked(list(told.given))

    def wrong_with(self, overrides: Sequence[str]) -> str | None:
        """The same for every trial, so the first one is looked at, with a value of each range."""
        if "run.name=trial0" not in overrides:
            return None
        drawn = [f"{key}={spelled(some_value(kind))}" for key, kind in self.space.items()]
        cfg = self.context.config_loader.load_sweep_config(self.config, list(overrides))
        if not OmegaConf.select(cfg, "dataset.val_fraction"):
            raise UserError(
                "hydra/sweeper=optuna chooses by training identities that are held out, never by the test set: hold "
                "some out, as dataset.val_fraction=0.2"
            )
        if why := super().wrong_with([*overrides, *drawn]):
            raise UserError(why)
        return None

    def finish(self, jobs: list[Job]) -> bool:
        missing = super().finish(jobs)
        study = open_study({**self.options, "folder": str(self.folder)})
        told = [o for o in plan.earlier(self.folder).given if _key(o) not in _NOT_OF_THE_BEST]
        if not any(trial.state.name == "COMPLETE" for trial in study.trials):
            return missing
        best = study.best_trial
        drawn = [f"{key}={spelled(value)}" for key, value in best.params.items()]
        job = next((j.folder for j in jobs if _trial_of(self.folder / j.folder) == best.number), None)
        command = shlex.join(["python", "train.py", "-m", "seed=0,1,2", *told, *drawn])
        shares = importance(study)
        files.write_json(self.folder / "best.json", {
            "metric": f"val_{self.options['metric']}", "value": best.value, "trial": best.number, "job": job,
            "params": best.params, "overrides": drawn, "command": command,
        })  # fmt: skip
        files.write_json(self.folder / "importance.json", {
            "metric": f"val_{self.options['metric']}", "trials": len(study.trials), "evaluator": "PED-ANOVA",
            "importance": shares,
        })  # fmt: skip
        print(f"best   {job}: val {self.options['metric']} {percent(best.value)} with {' '.join(drawn)}")
        if shares:
            print("worth  " + ", ".join(f"{key} {100 * share:.0f} %" for key, share in shares.items()))
        print(f"seeds  {command}", flush=True)
        return missing

    def cells(self, run: Path) -> list[str]:
        told = json.loads((run / TRIAL).read_text()) if (run / TRIAL).is_file() else {}
        params = told.get("params", {})
        return [
            percent(told["value"]) if told.get("value") is not None else DASH,
            *(_short(params[key]) if key in params else DASH for key in self.space),
        ]


@dataclass
class Trial:
    """The trial of one job.

    Attributes:
        overrides: the values it drew.
        number: in the study.
        told: epochs whose numbers the study has.
    """

    study: Any
    options: Mapping[str, Any]
    folder: Path
    number: int
    params: Mapping[str, Any]
    told: set[int]
    pruned: bool = False

    @classmethod
    def begin(cls, options: Mapping[str, Any], folder: Path) -> "Trial":
        """Draw values for the run in ``folder``, or take up those that it has drawn and has not failed with."""
        job = int(folder.name.partition("_")[0])
        study = open_study(options, seed=int(options["seed"]) + job)
        if (folder / TRIAL).is_file():
            told = json.loads((folder / TRIAL).read_text())
            if told["state"] in ("running", "complete"):
                known = study.trials[told["trial"]]
                return cls(study, options, folder, known.number, known.params, set(known.intermediate_values))
            _clear(folder)
        drawn = study.ask()
        for key, kind in options["space"].items():
            draw(drawn, key, kind)
        trial = cls(study, options, folder, drawn.number, drawn.params, set())
        trial._write("running", None)
        return trial

    @property
    def overrides(self) -> list[str]:
        return [f"{key}={spelled(value)}" for key, value in self.params.items()]

    def hopeless(self) -> bool:
        """Tell the study of new epochs; whether the run is so far below the others that it should end."""
        import optuna

        scores = plan.validated(self.folder, self.options["metric"])
        handle = optuna.trial.Trial(self.study, self.study.trials[self.number]._trial_id) if scores else None
        for epoch in sorted(set(scores) - self.told):
            assert handle is not None
            handle.report(scores[epoch], step=epoch)
            self.told.add(epoch)
            if self.options["pruning"] and epoch < self._epochs() and handle.should_prune():
                self.pruned = True
        return self.pruned

    def end(self, done: bool, why: str | None) -> float | None:
        """Tell the study how the run ended; its value.

        Raises:
            UserError: it failed, because of ``why``.
        """
        from optuna.trial import TrialState

        scores = plan.validated(self.folder, self.options["metric"])
        value = max(scores.values(), default=None)
        if done and value is not None:
            self.study.tell(self.number, value, skip_if_finished=True)
            self._write("complete", value)
            return value
        if self.pruned:
            self.study.tell(self.number, state=TrialState.PRUNED, skip_if_finished=True)
            self._write("pruned", value)
            return value
        self.study.tell(self.number, state=TrialState.FAIL, skip_if_finished=True)
        self._write("failed", value)
        raise UserError(why or "no epoch was validated: lower trainer.val_every_n_epochs")

    def _epochs(self) -> int:
        return int(OmegaConf.load(self.folder / "config.yaml").trainer.max_epochs)

    def _write(self, state: str, value: float | None) -> None:
        told = {"trial": self.number, "state": state, "metric": f"val_{self.options['metric']}", "value": value}
        files.write_json(self.folder / TRIAL, {**told, "params": dict(self.params)})


def open_study(options: Mapping[str, Any], seed: int = 0) -> Any:
    """The study of a sweep, made where it is not there yet; ``options`` are those of the sweeper, and its folder."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder = Path(options["folder"])
    first, free = (
        int(options["startup_trials"]),
        int(options["warmup_epochs"]) + 1,
    )  # Optuna counts from 0, epochs from 1
    storage = options["storage"] or JournalStorage(JournalFileBackend(str(folder / "study.journal")))
    return optuna.create_study(
        study_name=str(folder.resolve()) if options["storage"] else folder.name,  # others may have theirs there
        storage=storage,
        sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=first, constant_liar=True),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=first, n_warmup_steps=free),
        direction="maximize",
        load_if_exists=True,
    )


def importance(study: Any) -> dict[str, float]:
    """The share of each value in what makes a trial good; nothing where there are too few trials to say."""
    import optuna

    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    try:
        with warnings.catch_warnings(action="error"):  # it warns that too few trials make all equal
            found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    except (ValueError, RuntimeError, Warning):
        return {}
    return {key: float(share) for key, share in found.items()}


def _clear(run: Path) -> None:
    """Remove a failed attempt: its checkpoints and config are those of other values. What it printed stays."""
    for entry in run.iterdir():
        if entry.name in (TRIAL, "log.txt") or entry.name.startswith("."):
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _key(override: str) -> str:
    return override.partition("=")[0].lstrip("+")


def _trial_of(run: Path) -> int | None:
    return json.loads((run / TRIAL).read_text())["trial"] if (run / TRIAL).is_file() else None


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
