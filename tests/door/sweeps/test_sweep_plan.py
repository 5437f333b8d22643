"""Names, numbers and states of the jobs of a sweep."""

import json
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from reid.door.sweeps import plan
from reid.errors import UserError

GRID = [[f"backbone={b}", f"seed={s}", "trainer.max_epochs=2"] for b in ("resnet18", "vgg16") for s in (0, 1)]


def names(folder: Path, wanted: list[list[str]]) -> list[str]:
    return [job.folder for job in plan.plan(folder, wanted)]


def test_a_job_is_called_by_its_number_and_what_differs(tmp_path: Path) -> None:
    assert names(tmp_path, GRID) == ["000_resnet18_seed0", "001_resnet18_seed1", "002_vgg16_seed0", "003_vgg16_seed1"]
    sizes = [["image.size=[64,32]"], ["image.size=[128,64]"]]
    assert names(tmp_path, sizes) == ["000_size64-32", "001_size128-64"]
    assert names(tmp_path, [["trainer.precision=32"], ["trainer.precision=bf16"]]) == [
        "000_precision32",
        "001_precision-bf16",
    ]
    assert names(tmp_path, [["run.name=a"], ["run.name=b"]]) == ["000_a", "001_b"]
    assert names(tmp_path, [["seed=3"]]) == ["000"]


def test_names_stay_names_of_files(tmp_path: Path) -> None:
    odd = [["dataset.root='/my data/a=b'"], [f"dataset.root={'x/' * 300}"]]
    for name in names(tmp_path, odd):
        assert len(name) < 130
        assert not set(name) & set("/ ='\"")


def test_a_sweep_run_again_keeps_its_jobs_and_gets_new_ones(tmp_path: Path) -> None:
    plan.record(tmp_path, ["seed=0,1"], "grid", "python ...", plan.plan(tmp_path, GRID))
    more = [*GRID[::-1], ["backbone=vgg16", "seed=2", "trainer.max_epochs=2"]]
    again = names(tmp_path, more)
    assert again[:4] == ["003_vgg16_seed1", "002_vgg16_seed0", "001_resnet18_seed1", "000_resnet18_seed0"]
    assert again[4].startswith("004_")
    swapped = [list(reversed(GRID[0]))]  # the order of overrides makes no other job
    assert names(tmp_path, swapped) == ["000_resnet18_seed0"]


def test_the_same_job_twice_is_one(tmp_path: Path) -> None:
    assert len(plan.plan(tmp_path, [["seed=1"], ["seed=1"]])) == 1


def test_states(tmp_path: Path) -> None:
    assert plan.state(tmp_path).name == "unfinished"
    plan.fail(tmp_path, "two\nlines", ["seed=1"])
    assert plan.state(tmp_path) == plan.State("failed", why="two lines")
    (tmp_path / "metrics.json").write_text('{"mAP": 0.5}')
    assert plan.state(tmp_path).numbers == {"mAP": 0.5}


def test_what_the_folder_tells(tmp_path: Path) -> None:
    jobs = plan.plan(tmp_path, GRID[:2])
    for job in jobs:
        (tmp_path / job.folder).mkdir()
    (tmp_path / jobs[0].folder / "metrics.json").write_text('{"mAP": 0.5, "rank-1": 0.75, "rank-5": 1}')
    plan.fail(tmp_path / jobs[1].folder, "no memory", GRID[1])
    plan.record(tmp_path, ["seed=0,1"], "grid", "python train.py -m seed=0,1", jobs)
    told = json.loads((tmp_path / "sweep.json").read_text())
    assert told["given"] == ["seed=0,1"]
    assert told["jobs"] == [
        {"folder": "000_seed0", "overrides": GRID[0], "state": "done", "mAP": 0.5, "rank-1": 0.75},
        {"folder": "001_seed1", "overrides": GRID[1], "state": "failed", "error": "no memory"},
    ]


@pytest.mark.parametrize("content", ["{", "[]", '{"jobs": [{}]}'])
def test_a_damaged_record_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "sweep.json").write_text(content)
    with pytest.raises(UserError, match="hydra.sweep.dir"):
        plan.plan(tmp_path, GRID)


@pytest.mark.parametrize("text", ["runs/a_b/000", "/my data/it's", "a=b,c", "[x]", "back\\slash", "end\\'", "ü"])
def test_quoted_text_is_read_back_by_hydra(text: str) -> None:
    (override,) = OverridesParser.create().parse_overrides([f"run.folder={plan.quoted(text)}"])
    assert override.value() == text
    assert not override.is_sweep_override()


def test_validated_epochs(tmp_path: Path) -> None:
    assert plan.validated(tmp_path, "mAP") == {}
    (tmp_path / "train_log.csv").write_text("epoch,loss,val_mAP\n1,2.5,\n2,2.0,0.25\n3,1.5,0.5\n4,1.0,0.7")
    assert plan.validated(tmp_path, "mAP") == {2: 0.25, 3: 0.5}  # the last line is not whole
