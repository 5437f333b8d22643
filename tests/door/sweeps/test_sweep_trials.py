"""Trials of a sweep and the runs that are judged on held-out identities."""

import json
from pathlib import Path

import pytest
from cli.entry import in_process, in_subprocess, small

from reid.door.sweeps.plan import validated


def test_a_run_judged_on_its_held_out_identities(toy: Path, tmp_path: Path) -> None:
    given = small(toy, tmp_path, "dataset.val_fraction=0.5", "eval.split=validation")
    run = in_process("train.py", *given).check().run
    numbers = json.loads((run / "metrics.json").read_text())
    assert (numbers["split"], numbers["dataset"]) == ("validation", "toy validation")
    assert numbers["mAP"] == pytest.approx(max(validated(run, "mAP").values()), abs=1e-4)  # of the best epoch
    held = {line.split(",")[0].rpartition("/")[2][:4] for line in (run / "per_query.csv").read_text().split()[1:]}
    trained = {file.name[:4] for file in (toy / "bounding_box_train").glob("*.jpg")}
    tested = {file.name[:4] for file in (toy / "query").glob("*.jpg")}
    assert held <= trained
    assert not held & tested


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["eval.split=validation"], "eval.split=validation needs dataset.val_fraction above 0"),
        (["eval.split=tets"], "eval.split=tets is unknown: did you mean test?"),
        (["eval.split=validation", "dataset.val_fraction=0.5", "eval.targets=[toy]"], "and no eval.targets"),
    ],
)
def test_a_split_that_is_not_there(toy: Path, tmp_path: Path, given: list[str], says: str) -> None:
    outcome = in_process("train.py", *small(toy, tmp_path, *given)).check(2)
    assert says in outcome.err
    assert not list((tmp_path / "runs").glob("*/*"))


@pytest.mark.slow
def test_a_sweep_of_trials_tells_the_best_and_how_to_run_it_again(toy: Path, tmp_path: Path) -> None:
    pytest.importorskip("optuna", reason="optuna is not installed: pip install -e '.[optuna]'")
    folder = tmp_path / "runs" / "sweep"
    given = [g for g in small(toy, tmp_path, "dataset.val_fraction=0.5") if not g.startswith("optimizer.lr=")]
    sweep = ["hydra/sweeper=optuna", "hydra.sweeper.trials=2", f"hydra.sweep.dir={folder}"]
    given += ["++eval.split=test", "++seed=3", "run.name=x"]  # the command to go on with has values of its own for them
    outcome = in_subprocess("train.py", "-m", *sweep, *given).check()
    runs = [folder / "000_trial0", folder / "001_trial1"]
    values = [max(validated(run, "mAP").values()) for run in runs]
    best = json.loads((folder / "best.json").read_text())
    assert best["value"] == max(values)
    assert best["job"] == runs[values.index(max(values))].name
    assert {json.loads((run / "metrics.json").read_text())["split"] for run in runs} == {"validation"}
    config = (folder / best["job"] / "config.yaml").read_text()
    for override in best["overrides"]:
        key, _, value = override.partition("=")
        assert f"{key.rpartition('.')[2]}: " in config
        assert override in best["command"]
        assert float(value) == pytest.approx(best["params"][key], rel=1e-5)
    assert "seed=0,1,2" in best["command"]
    assert f"seeds  {best['command']}" in outcome.out
    assert best["command"].count("seed=") == 1
    assert "eval.split" not in best["command"]
    assert "run.name" not in best["command"]
    again = in_subprocess("train.py", "-m", *sweep, *given).check()
    assert "2 jobs, 2 of them done" in again.out
