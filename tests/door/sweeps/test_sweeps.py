"""Sweeps as a user starts them: what fails stays by itself, nothing is run twice, bad input is a line."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest
from cli.entry import in_process, in_subprocess, small

from reid.door.sweeps import plan

JOBLIB = ["hydra/launcher=joblib"] if importlib.util.find_spec("joblib") else []


def test_what_fails_stays_by_itself_and_what_is_done_is_not_done_again(toy: Path, tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "sweep"
    given = [f"hydra.sweep.dir={folder}", *small(toy, tmp_path, "backbone=mobilenet_v2,inception_v3,resnet999")]
    first = in_subprocess("train.py", "-m", *JOBLIB, *given, "trainer.max_epochs=1").check(1)
    good, small_for, unknown = (folder / name for name in ("000_mobilenet_v2", "001_inception_v3", "002_resnet999"))
    assert json.loads((good / "metrics.json").read_text())["mAP"] > 0
    assert "does not fit this backbone" in json.loads((small_for / "failed.json").read_text())["error"]
    assert "did you mean resnet" in json.loads((unknown / "failed.json").read_text())["error"]
    rows = [line for line in first.out.splitlines() if "failed: " in line]
    assert [row.split()[0] for row in rows] == ["001_inception_v3", "002_resnet999"]
    assert "1 done, 2 failed" in first.out
    assert "epoch 1/1" in (good / "log.txt").read_text()

    (again,) = [line for line in first.out.splitlines() if line.startswith("again  python train.py -m ")]
    before = (good / "log.txt").read_bytes()
    second = in_subprocess(*again.split()[2:]).check(1)
    assert (good / "log.txt").read_bytes() == before
    assert "3 jobs, 1 of them done" in second.out
    assert [job["state"] for job in json.loads((folder / "sweep.json").read_text())["jobs"]] == [
        "done",
        "failed",
        "failed",
    ]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["backbone="], "backbone= names nothing"),
        (["seed="], "seed= lists nothing"),
        (["seed=range(0,0)"], "seed= lists nothing"),
        (["backbone=resnet999,resnet1"], "backbone=resnet999 is unknown: did you mean"),
        (["sead=1,2"], "unknown config key 'sead'"),
        (["seed=a,b"], "seed=a must be a whole number"),
        (["resume=x"], "resume: in a sweep each job has a folder of its own"),
        (["optimizer.lr=interval(0,1)"], "nothing is drawn from a range here"),
        (["hydra/launcher=slrm"], "hydra/launcher=slrm is unknown: did you mean slurm"),
        (["hydra/launcher=joblib", "hydra.launcher.n_jobs=0"], "n_jobs=0 launches nothing"),
        (["hydra/launcher=slurm", "hydra.launcher.minutes=1.5"], "minutes=1.5 must be a whole number"),
        (["hydra/launcher=slurm", "hydra.launcher.minutes=3"], "minutes=3 leaves no time to train before the notice"),
        (["hydra/launcher=slurm", "hydra.launcher.setup=x"], "hydra.launcher.setup=x"),
        (["hydra/launcher=slurm", "hydra.launcher.sbatch=x"], "hydra.launcher.sbatch=x"),
        (["hydra/sweeper=optuna", "hydra.sweeper.trials=0"], "trials=0 must be at least 1"),
        (["hydra/sweeper=optuna", "hydra.sweeper.metric=AP"], "metric=AP is unknown: did you mean mAP"),
        (["hydra/sweeper=optuna"], "hold some out, as dataset.val_fraction=0.2"),
        (["hydra/sweeper=optuna", "dataset.val_fraction=0.2", "seed=1,2"], "hydra/sweeper/space=FILE"),
        (["hydra/sweeper=optuna", "dataset.val_fraction=0.2", "optimizer.lr=1"], "optimizer.lr is drawn from"),
        (["hydra/sweeper=optuna", "dataset.val_fraction=0.2", "objective=softmax"], "objective.terms.triplet"),
    ],
)
def test_a_slip_in_every_job_is_a_line_before_any_begins(tmp_path: Path, given: list[str], says: str) -> None:
    if "hydra/sweeper=optuna" in given:
        pytest.importorskip("optuna", reason="optuna is not installed: pip install -e '.[optuna]'")
    outcome = in_process("train.py", "-m", f"run.root={tmp_path / 'runs'}", *given).check(2)
    (line,) = outcome.err.splitlines()
    assert line.startswith("error: ")
    assert says in line
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("given", "package", "extra"),
    [
        ("hydra/launcher=joblib", "joblib", "joblib"),
        ("hydra/launcher=slurm", "submitit", "slurm"),
        ("hydra/sweeper=optuna", "optuna", "optuna"),
    ],
)
def test_a_missing_package_is_told_with_its_command(
    given: str, package: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    outcome = in_process("train.py", "-m", given, "dataset.val_fraction=0.2", f"run.root={tmp_path / 'runs'}").check(2)
    (line,) = outcome.err.splitlines()
    assert f"{given} needs a package that is not installed: pip install -e '.[{extra}]' -c constraints.txt" in line


def test_a_folder_has_one_kind_of_sweep(tmp_path: Path) -> None:
    plan.record(tmp_path, ["seed=0"], "optuna", "python ...", [plan.Job("000", ("seed=0",))])
    outcome = in_process("train.py", "-m", f"hydra.sweep.dir={tmp_path}").check(2)
    assert "has a sweep of hydra/sweeper=optuna: add that" in outcome.err
    outcome = in_process("train.py", "-m", f"hydra.sweep.dir={tmp_path / 'none'}").check(2)
    assert "has no sweep to run again" in outcome.err


def test_without_slurm_that_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("submitit", reason="submitit is not installed: pip install -e '.[slurm]'")
    monkeypatch.setenv("PATH", str(tmp_path))
    outcome = in_process("train.py", "-m", "hydra/launcher=slurm", f"run.root={tmp_path / 'runs'}").check(2)
    (line,) = outcome.err.splitlines()
    assert "there is no sbatch here" in line
    assert "scripts/local_slurm.sh start" in line
