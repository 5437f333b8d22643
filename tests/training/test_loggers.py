"""Loggers of other packages: absent they are one line, and MLflow gets each step of a resumed run once."""

import sys
from pathlib import Path
from typing import Any

import pytest
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from reid.errors import UserError
from reid.training import loggers


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_a_missing_package_is_told(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loggers, "find_spec", lambda package: None)
    with pytest.raises(UserError) as error:
        getattr(loggers, name)()
    assert str(error.value) == (
        f"logger={name} needs a package that is not installed: pip install -e '.[{name}]' -c constraints.txt"
    )


def test_a_folder_is_no_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wandb").mkdir()  # as it leaves one behind
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    with pytest.raises(UserError, match="pip install"):
        loggers.wandb()


def test_mlflow_keeps_each_step_once(tmp_path: Path) -> None:
    tracking = pytest.importorskip("mlflow.tracking")
    pytest.importorskip("sqlalchemy")
    make = loggers.mlflow()
    first = make(save_dir=tmp_path)
    for step in (1, 2, 3):
        first.log_metrics({"train/loss": 1 / step}, step)
    again = make(save_dir=tmp_path)  # a resumed run, from the checkpoint after step 1
    for step in (2, 3, 4):
        again.log_metrics({"train/loss": 1 / step}, step)
    for step in (3, 4, 5):  # rolled back without an end of the process
        again.log_metrics({"train/loss": 1 / step}, step)
    client: Any = tracking.MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert again.version == first.version
    points = client.get_metric_history(first.version, "train/loss")
    assert [(p.step, p.value) for p in points] == [(step, 1 / step) for step in (1, 2, 3, 4, 5)]


def test_mlflow_is_told_by_the_first_process_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Deaf(loggers.OnwardMLFlowLogger):
        def __init__(self) -> None:  # without the package
            pass

        def _last_steps(self) -> dict[str, int]:
            raise AssertionError("others have no run")

    monkeypatch.setattr(rank_zero_only, "rank", 1)
    Deaf().log_metrics({"train/loss": 1.0}, 1)


def test_jobs_of_one_name_are_runs_of_their_own(tmp_path: Path) -> None:
    ids = [loggers._id(tmp_path / sweep / "000_seed0") for sweep in ("monday", "tuesday", "monday")]
    assert ids[0] == ids[2] != ids[1]
    assert all(name.startswith("000_seed0-") for name in ids)
