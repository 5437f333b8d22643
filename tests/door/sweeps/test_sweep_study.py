"""Trials: what they draw, what the study hears of them, and when they end early."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from reid.door.sweeps import job as jobs
from reid.door.sweeps import plan, study
from reid.door.sweeps.job import Job
from reid.door.sweeps.space import check_space
from reid.door.sweeps.study import Trial, open_study
from reid.errors import UserError

pytest.importorskip("optuna", reason="optuna is not installed: pip install -e '.[optuna]'")

SPACE = {
    "optimizer.lr": {"low": 1e-4, "high": 1e-2, "log": True},
    "augment.erase": {"low": 0.0, "high": 0.8, "step": 0.2},
    "data.images": {"low": 2, "high": 4},
    "backbone": ["resnet18", "resnet34"],
    "trainer.ema": [None, 0.99],
}


def options(folder: Path, **other: Any) -> Mapping[str, Any]:
    usual = {"space": SPACE, "metric": "mAP", "seed": 0, "startup_trials": 2, "warmup_epochs": 1, "pruning": True}
    return {**usual, "storage": None, "folder": str(folder), **other}


def run_of(sweep: Path, job: int, scores: list[float]) -> Path:
    """A run folder that has validated each epoch of five so far."""
    folder = sweep / f"{job:03d}_trial{job}"
    folder.mkdir(exist_ok=True)
    (folder / "config.yaml").write_text("trainer: {max_epochs: 5}\n")
    lines = [f"{epoch},{score}\n" for epoch, score in enumerate(scores, 1)]
    (folder / "train_log.csv").write_text("epoch,val_mAP\n" + "".join(lines))
    return folder


def test_values_lie_in_their_ranges_and_differ(tmp_path: Path) -> None:
    drawn = [Trial.begin(options(tmp_path), run_of(tmp_path, job, [])) for job in range(6)]
    for trial in drawn:
        told = dict(o.split("=") for o in trial.overrides)
        assert list(told) == list(SPACE)
        assert 1e-4 <= float(told["optimizer.lr"]) <= 1e-2
        assert round(float(told["augment.erase"]) * 5, 6) in range(5)
        assert told["data.images"] in ("2", "3", "4")
        assert told["backbone"] in ("resnet18", "resnet34")
        assert told["trainer.ema"] in ("null", "0.99")
    assert len({trial.params["optimizer.lr"] for trial in drawn}) == 6
    assert [trial.number for trial in drawn] == list(range(6))


def test_the_same_seed_draws_the_same_values(tmp_path: Path) -> None:
    found = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        (tmp_path / name).mkdir()
        found.append(Trial.begin(options(tmp_path / name, seed=seed), run_of(tmp_path / name, 0, [])).params)
    assert found[0] == found[1] != found[2]


def test_a_trial_begun_again_keeps_its_values(tmp_path: Path) -> None:
    first = Trial.begin(options(tmp_path), run_of(tmp_path, 0, [0.1, 0.2]))
    assert not first.hopeless()
    again = Trial.begin(options(tmp_path), run_of(tmp_path, 0, [0.1, 0.2, 0.5]))
    assert (again.number, again.params) == (first.number, first.params)
    assert not again.hopeless()
    assert again.end(True, None) == 0.5
    (only,) = open_study(options(tmp_path)).trials
    assert only.intermediate_values == {1: 0.1, 2: 0.2, 3: 0.5}
    assert only.value == 0.5


def test_a_run_below_the_median_ends_early(tmp_path: Path) -> None:
    for job, scores in enumerate([[0.3, 0.4, 0.5, 0.5, 0.6], [0.4, 0.5, 0.6, 0.7, 0.6]]):
        trial = Trial.begin(options(tmp_path), run_of(tmp_path, job, scores))
        assert not trial.hopeless()  # the first two are never stopped
        assert trial.end(True, None) == max(scores)
    bad = Trial.begin(options(tmp_path), run_of(tmp_path, 2, [0.1]))
    assert not bad.hopeless()  # an epoch to warm up
    run_of(tmp_path, 2, [0.1, 0.2])
    assert bad.hopeless()  # 0.2 < median of 0.4 and 0.5
    bad.end(False, "stopped")
    assert plan.state(tmp_path / "002_trial2").name == "pruned"
    good = Trial.begin(options(tmp_path), run_of(tmp_path, 3, [0.5, 0.6]))
    assert not good.hopeless()
    late = Trial.begin(options(tmp_path), run_of(tmp_path, 4, [0.9, 0.9, 0.9, 0.9, 0.1]))
    assert not late.hopeless()  # the last epoch is over anyway
    never = Trial.begin(options(tmp_path, pruning=False), run_of(tmp_path, 5, [0.1, 0.1]))
    assert not never.hopeless()
    states = [t.state.name for t in open_study(options(tmp_path)).trials]
    assert states == ["COMPLETE", "COMPLETE", "PRUNED", "RUNNING", "RUNNING", "RUNNING"]


def test_a_failed_trial_is_told_and_tried_anew(tmp_path: Path) -> None:
    run = run_of(tmp_path, 0, [0.1])
    (run / "checkpoints").mkdir()
    (run / "checkpoints" / "last.ckpt").write_text("of the values of the first attempt")
    (run / "log.txt").write_text("error: no memory")
    trial = Trial.begin(options(tmp_path), run)
    with pytest.raises(UserError, match="no memory"):
        trial.end(False, "no memory")
    again = Trial.begin(options(tmp_path), run)
    assert again.number == 1
    assert sorted(entry.name for entry in run.iterdir()) == ["log.txt", "trial.json"]
    with pytest.raises(UserError, match="val_every_n_epochs"):
        again.end(True, None)  # done, and never validated


def test_a_trial_that_is_done_is_not_drawn_again(tmp_path: Path) -> None:
    run = run_of(tmp_path, 0, [0.1, 0.3])
    trial = Trial.begin(options(tmp_path), run)
    (run / "metrics.json").write_text("{}")  # and Slurm took its machine before the study was told
    done = Job(str(run), (sys.executable, "-c", "pass"), study=options(tmp_path))
    assert jobs.run(done) == 0.3
    told = (run / "trial.json").read_text()
    assert json.loads(told)["state"] == "complete"
    never = Job(str(run), (sys.executable, "-c", "raise SystemExit('trained')"), study=options(tmp_path))
    assert jobs.run(never) is None
    assert (run / "trial.json").read_text() == told
    assert [(t.number, t.value) for t in open_study(options(tmp_path)).trials] == [(trial.number, 0.3)]


def test_sweeps_of_one_name_have_studies_of_their_own_in_a_data_base(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    for year in ("2025", "2026"):
        folder = tmp_path / year / "night"
        folder.mkdir(parents=True)
        study = open_study(options(folder, storage=storage))
        assert not study.trials
        study.ask()
        assert len(open_study(options(folder, storage=storage)).trials) == 1


def test_importance_finds_the_value_that_matters(tmp_path: Path) -> None:
    assert study.importance(open_study(options(tmp_path))) == {}
    for job in range(30):
        trial = Trial.begin(options(tmp_path, startup_trials=30), run_of(tmp_path, job, []))
        run_of(tmp_path, job, [trial.params["augment.erase"]])
        trial.end(True, None)
    found = study.importance(open_study(options(tmp_path)))
    assert max(found, key=lambda key: found[key]) == "augment.erase"
    assert sum(found.values()) == pytest.approx(1)
    assert json.loads((tmp_path / "029_trial29" / "trial.json").read_text())["state"] == "complete"


@pytest.mark.parametrize(
    ("space", "says"),
    [
        ({}, "is empty"),
        ({"seed": [1]}, "leaves no choice"),
        ({"optimizer.lr": 0.1}, r"must be \{low"),
        ({"optimizer.lr": {"low": 0.1}}, r"must be \{low"),
        ({"optimizer.lr": {"low": 0.1, "high": 1, "logg": True}}, r"must be \{low"),
        ({"optimizer.lr": {"low": "a", "high": 1}}, "low=a must be a number"),
        ({"optimizer.lr": {"low": 1, "high": 1}}, "must be below"),
        ({"optimizer.lr": {"low": 0, "high": 1, "log": True}}, "above 0"),
        ({"optimizer.lr": {"low": 0.1, "high": 1, "log": 1}}, "true or false"),
    ],
)
def test_a_range_that_nothing_can_be_drawn_from(space: Mapping[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=f"space.*{says}"):
        check_space(space)
