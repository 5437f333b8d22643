"""A killed run ends as one left alone; and the comparison that says so sees what differs."""

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from cli.entry import ROOT
from torch.utils.tensorboard import SummaryWriter

from reid.runs.chaos import differences, plan


@pytest.mark.slow
def test_runs_that_are_killed_end_as_one_left_alone() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/chaos.py", "--kills", "3", "--seed", "1", "trainer.max_epochs=4"],
        cwd=ROOT, capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert len([line for line in lines if line.startswith("kill ")]) == 3
    assert lines[-1] == "the same in every bit"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """What ``differences`` reads of a run folder."""
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    for name in ("last.ckpt", "best.ckpt"):
        torch.save({"state_dict": {"w": torch.arange(3.0)}, "optimizer_states": [{"m": torch.ones(2)}]},
                   run / "checkpoints" / name)  # fmt: skip
    (run / "metrics.json").write_text('{"mAP": 0.5}')
    (run / "per_query.csv").write_text("query,AP\na,0.5\n")
    (run / "train_log.csv").write_text("epoch,loss,seconds\n1,0.5,3\n")
    with SummaryWriter(str(run / "tensorboard")) as writer:
        writer.add_scalar("loss", 0.5, 1)
    return run


def test_a_copy_is_the_same_but_for_its_times(run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    (copy / "train_log.csv").write_text("epoch,loss,seconds\n1,0.5,4\n")
    assert set(differences(run, copy).values()) == {None}


def change_weight(run: Path) -> None:
    path = run / "checkpoints" / "last.ckpt"
    content = torch.load(path, weights_only=True)
    content["state_dict"]["w"][1] = torch.nextafter(torch.tensor(1.0), torch.tensor(2.0))
    torch.save(content, path)


def double_point(run: Path) -> None:
    with SummaryWriter(str(run / "tensorboard")) as writer:
        writer.add_scalar("loss", 0.5, 1)


@pytest.mark.parametrize(
    ("spoil", "part"),
    [
        (change_weight, "last.ckpt state_dict"),
        (lambda run: (run / "checkpoints" / "best.ckpt").unlink(), "checkpoints"),
        (lambda run: (run / "metrics.json").write_text(json.dumps({"mAP": 0.25})), "metrics.json"),
        (lambda run: (run / "per_query.csv").write_text("query,AP\na,0.6\n"), "per_query.csv"),
        (lambda run: csv.writer((run / "train_log.csv").open("a")).writerow([1, 0.5, 3]), "train_log.csv"),
        (double_point, "TensorBoard"),
    ],
)
def test_a_difference_is_found_where_it_is(
    run: Path, tmp_path: Path, spoil: Callable[[Path], object], part: str
) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    spoil(copy)
    assert [name for name, difference in differences(run, copy).items() if difference] == [part]


def test_kills_are_of_all_kinds_and_come_from_the_seed() -> None:
    first, again, other = (list(plan(20, seed, 10.0)) for seed in (0, 0, 1))
    assert first == again != other
    assert {kill.kind for kill in first} == {"start", "train", "write", "ask"}
    assert len(first) == 20
