"""Loggers beside the run folder's own files: Lightning's classes, made for a run folder.

Each function is called before a run has its folder, so that a missing package is told before anything is written, and
gives what makes the logger of a folder.
"""

import hashlib
import os
from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from pytorch_lightning.loggers import Logger, MLFlowLogger, TensorBoardLogger, WandbLogger
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from reid.errors import UserError


class OnwardMLFlowLogger(MLFlowLogger):
    """Leaves out the points that its run has already: a training that is resumed or rolled back repeats steps, and
    MLflow would keep both."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        if not hasattr(self, "_known"):
            self._known = self._last_steps()
        fresh = {name: value for name, value in metrics.items() if step is None or step > self._known.get(name, -1)}
        if fresh:
            super().log_metrics(fresh, step)
            if step is not None:
                self._known.update(dict.fromkeys(fresh, step))

    def _last_steps(self) -> dict[str, int]:
        client, run = self.experiment, self.run_id
        names = client.get_run(run).data.metrics
        return {name: max(point.step for point in client.get_metric_history(run, name)) for name in names}


def tensorboard(*, name: str = "tensorboard") -> Callable[..., Logger]:
    """TensorBoard: files in the folder ``name`` of the run folder."""
    return partial(TensorBoardLogger, name=name, version="")


def mlflow(*, experiment: str = "reid", tracking_uri: str | None = None) -> Callable[..., Logger]:
    """MLflow: a database in the run folder, or where ``tracking_uri`` says; a resumed run goes on as the same one.

    Args:
        experiment: its name.
        tracking_uri: as sqlite:///mlflow.db for one database of many runs, or http://server:5000; None for
            ``mlflow.db`` in each run folder, which ``mlflow ui --backend-store-uri sqlite:///RUN/mlflow.db`` shows.

    Raises:
        UserError: the package is not installed.
    """
    _need("mlflow", "mlflow")
    if tracking_uri is None or tracking_uri.startswith("sqlite"):
        _need("mlflow", "sqlalchemy")  # which mlflow-skinny leaves out

    def make(save_dir: Path) -> Logger:
        folder = Path(save_dir).resolve()
        own = tracking_uri is None
        uri = f"sqlite:///{folder / 'mlflow.db'}" if own else tracking_uri
        return OnwardMLFlowLogger(
            experiment_name=experiment,
            run_name=folder.name,
            tracking_uri=uri,
            tags={"folder": str(folder)},
            artifact_location=str(folder / "mlflow_artifacts") if own else None,
            run_id=_earlier_run(str(uri), experiment, folder),
        )

    return make


def wandb(*, project: str = "reid", entity: str | None = None, offline: bool = True) -> Callable[..., Logger]:
    """Weights & Biases: files in the run folder, which ``wandb sync`` uploads, or with ``offline=False`` the service.

    The id is made of the folder's name and path, so a resumed run goes on as the same one. Offline it writes a second
    set of files, which ``wandb sync --append`` adds; steps that were trained again are in both.

    Args:
        project, entity: where the run belongs.
        offline: nothing leaves the machine.

    Raises:
        UserError: the package is not installed.
    """
    _need("wandb", "wandb")
    from wandb import Settings

    def make(save_dir: Path) -> Logger:
        folder = Path(save_dir).resolve()
        return WandbLogger(
            name=folder.name,
            id=_id(folder),
            project=project,
            entity=entity,
            save_dir=str(save_dir),
            offline=offline,
            settings=Settings(silent=True),
        )

    return make


def _id(folder: Path) -> str:
    """What tells a run from others of its name, as the jobs of two sweeps are."""
    return f"{folder.name}-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:8]}"


@rank_zero_only
def _earlier_run(uri: str, experiment: str, folder: Path) -> str | None:
    """The id of the run that this folder began; None before the first."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(uri)
    found = client.get_experiment_by_name(experiment)
    runs = client.search_runs([found.experiment_id], f"tags.folder = '{folder}'", max_results=1) if found else []
    return runs[0].info.run_id if runs else None


def _need(logger: str, package: str) -> None:
    spec = find_spec(package)
    if spec is None or spec.origin is None:  # a folder of that name, as wandb leaves one, is none
        command = f"pip install -e '.[{logger}]' -c constraints.txt"
        raise UserError(f"logger={logger} needs a package that is not installed: {command}")
