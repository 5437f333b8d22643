"""Processes that torchrun or srun has started, by what these leave in the environment."""

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning_fabric.strategies.launchers.subprocess_script import _ChildProcessObserver
from pytorch_lightning.plugins.environments import LightningEnvironment, SLURMEnvironment

from reid.errors import UserError
from reid.training.launch import Launch, cluster, ending_together, join, launched, on_launched
from reid.training.settings import TrainerSettings

TORCHRUN = {"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "6", "LOCAL_WORLD_SIZE": "3", "RANK": "4", "LOCAL_RANK": "1"}
SBATCH = {"SLURM_JOB_ID": "12", "SLURM_NTASKS": "4", "SLURM_NNODES": "2", "SLURM_PROCID": "0"}
SRUN = {**SBATCH, "SLURM_STEP_NUM_TASKS": "4", "SLURM_STEP_NUM_NODES": "2", "SLURM_PROCID": "3", "SLURM_LOCALID": "1"}


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*TORCHRUN, *SRUN, "SLURM_NTASKS_PER_NODE", "SLURM_JOB_NAME"):
        monkeypatch.setenv(name, "")  # so that what the code sets is undone too
        monkeypatch.delenv(name)


def within(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


def settings(**given: object) -> TrainerSettings:
    return TrainerSettings(max_epochs=1, accelerator="cpu", **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        (TORCHRUN, Launch("torchrun", 3, 2)),
        (SRUN, Launch("srun", 2, 2)),
        (SBATCH, None),  # within a batch script, without srun
        ({**SRUN, "SLURM_STEP_NUM_TASKS": "1", "SLURM_STEP_NUM_NODES": "1"}, None),
        ({**SRUN, **TORCHRUN}, Launch("torchrun", 3, 2)),
    ],
)
def test_who_started_the_processes(
    environment: dict[str, str], expected: Launch | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    within(monkeypatch, environment)
    assert launched() == expected


@pytest.mark.parametrize("given", [{}, {"devices": 3}, {"devices": -1}, {"devices": "auto", "num_nodes": 2}])
def test_devices_are_those_that_there_are_processes_for(
    given: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    within(monkeypatch, TORCHRUN)
    found = on_launched(settings(**given))
    assert (found.devices, found.num_nodes, found.strategy) == (3, 2, "ddp")
    assert on_launched(settings(strategy="ddp_spawn", **given)).strategy == "ddp_spawn"


@pytest.mark.parametrize("given", [{"devices": 2}, {"num_nodes": 3}])
def test_other_numbers_than_were_started_are_refused(given: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    within(monkeypatch, TORCHRUN)
    with pytest.raises(UserError, match="torchrun started 3 processes on each of 2 nodes: leave both out"):
        on_launched(settings(**given))


def test_nodes_that_nobody_started_processes_on_are_refused() -> None:
    with pytest.raises(UserError, match=r"trainer\.num_nodes=2 needs .* torchrun --nnodes=.* or with srun"):
        on_launched(settings(num_nodes=2))
    assert on_launched(settings(devices=4)) == settings(devices=4)


def test_lightning_is_told_of_slurm(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cluster() == []
    within(monkeypatch, SBATCH)
    assert type(cluster()[0]) is LightningEnvironment  # one process, which may start others
    within(monkeypatch, SRUN)
    (found,) = cluster()
    assert isinstance(found, SLURMEnvironment)
    assert not found.auto_requeue
    assert (found.global_rank(), found.local_rank(), found.world_size()) == (3, 1, 4)
    found.validate_settings(2, 2)
    within(monkeypatch, TORCHRUN)
    assert cluster() == []


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    within(monkeypatch, TORCHRUN)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(UserError, match="torchrun started 3 processes on this machine, but each sees 2 GPUs"):
        join(torch.device("cuda"))


def test_a_failure_ends_the_processes_that_lightning_started_and_its_watch_over_them() -> None:
    first, child = (subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) for _ in range(2))
    started = [child]
    watch = _ChildProcessObserver(main_pid=first.pid, child_processes=started)
    trainer: Any = SimpleNamespace(strategy=SimpleNamespace(launcher=SimpleNamespace(procs=started)))
    try:
        with ending_together(trainer):
            pass
        assert child.poll() is None
        with pytest.raises(OSError, match="full"), ending_together(trainer):
            raise OSError("the disk is full")
        assert child.wait(timeout=30) < 0
        assert watch._run()  # is over
        assert first.poll() is None
    finally:
        for process in (first, child):
            process.kill()
            process.wait()


def test_one_process_alone_fails_as_it_is() -> None:
    alone: Any = SimpleNamespace(strategy=SimpleNamespace(launcher=None))
    with pytest.raises(OSError, match="full"), ending_together(alone):
        raise OSError("the disk is full")
