"""Runs of two processes on this CPU, started as users start them."""

import csv
import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cli.entry import Outcome, in_process, in_subprocess, small
from cli.outcome import STOPPING

CPU = ("trainer.accelerator=cpu", "data.identities=2")


def torchrun(script: str, *arguments: str) -> Outcome:
    return in_subprocess("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", script, *arguments)


def folders(work: Path) -> list[Path]:
    return list((work / "runs").glob("*/*"))


def check_whole(outcome: Outcome, work: Path) -> None:
    """One run folder, each epoch told once, and one process finds the numbers that two have found."""
    outcome.check()
    (run,) = folders(work)
    assert outcome.run == run
    assert outcome.out.count("\nreport  ") == 1
    with (run / "train_log.csv").open(newline="") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2"]
    again = in_process("eval.py", f"run={run}").check()
    assert f"the same as in {run / 'metrics.json'}" in again.out


def test_torchrun_trains_into_one_folder_and_judges_as_one_process(toy: Path, tmp_path: Path) -> None:
    check_whole(torchrun("train.py", *small(toy, tmp_path, *CPU, "dataset.val_fraction=0.25")), tmp_path)
    (run,) = folders(tmp_path)
    told = torchrun("eval.py", f"run={run}", f"output={tmp_path / 'two.json'}").check()
    assert told.out.count("the same as in") == 1
    assert (
        json.loads((tmp_path / "two.json").read_text())["mAP"] == json.loads((run / "metrics.json").read_text())["mAP"]
    )


def test_under_srun_what_the_first_process_is_refused_is_told_by_all(toy: Path, tmp_path: Path) -> None:
    """Only the first looks into the folder, and nothing ends the others for it."""
    (tmp_path / "mine").write_text("")
    arguments = small(toy, tmp_path, *CPU, f"run.folder={tmp_path}")
    slurm = {"SLURM_JOB_ID": str(os.getpid()), "SLURM_NTASKS": "2", "SLURM_STEP_NUM_TASKS": "2"}

    def task(rank: int) -> Outcome:
        place = {"SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank), "SLURM_NODEID": "0"}
        return in_subprocess("train.py", *arguments, env=slurm | place)

    with ThreadPoolExecutor(2) as both:
        for outcome in both.map(task, range(2)):
            assert outcome.check(2).err.startswith(f"error: run.folder={tmp_path} is not empty (mine)")


@pytest.mark.slow
def test_processes_that_lightning_starts_do_the_same(toy: Path, tmp_path: Path) -> None:
    given = ("trainer.devices=2", "trainer.sync_batchnorm=true")
    check_whole(in_subprocess("train.py", *small(toy, tmp_path, *CPU, *given)), tmp_path)


@pytest.mark.slow
def test_processes_that_lightning_starts_stop_together(toy: Path, tmp_path: Path) -> None:
    stop = {"STOP_AT": "3", "STOP_SIGNAL": str(int(signal.SIGTERM))}
    stopped = in_subprocess("train.py", *small(toy, tmp_path, *CPU, STOPPING, "trainer.devices=2"), env=stop)
    assert stopped.check(128 + signal.SIGTERM).err.count("stopped by SIGTERM after step 3") == 1
    (run,) = folders(tmp_path)
    assert not (run / ".lock").exists()
