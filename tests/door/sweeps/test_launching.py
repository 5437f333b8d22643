"""What launchers do where the queue refuses or the sweep is stopped; ``scontrol`` and ``squeue`` are scripts here."""

import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cli.entry import in_process
from hydra.core.plugins import Plugins
from omegaconf import OmegaConf

from reid.door.sweeps import local, plan, slurm, sweep
from reid.door.sweeps.job import Job
from reid.errors import UserError

ELEMENT = {"SLURM_JOB_ID": "71", "SLURM_ARRAY_JOB_ID": "71", "SLURM_ARRAY_TASK_ID": "2"}  # Slurm's last one has it so


def scontrol(folder: Path, monkeypatch: pytest.MonkeyPatch, *, state: str, requeue: int) -> Path:
    """Stand-in that tells ``state``, "" for no answer, and takes a job back at its ``requeue``-th try; what it got."""
    got = folder / "got.txt"
    program = folder / "bin" / "scontrol"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\necho "$@" >> {got}\n'
        f"[ $1 = show ] && {{ [ -n '{state}' ] && echo 'JobId=73 JobState={state}'; exit; }}\n"
        f"[ $(grep -c requeue {got}) -ge {requeue} ]\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(slurm, "_PAUSES", (0, 0, 0))
    for key, value in ELEMENT.items():
        monkeypatch.setenv(key, value)
    return got


@pytest.mark.parametrize(("state", "requeue", "tries", "says"), [
    ("RUNNING", 1, 1, "queued again: "),
    ("RUNNING", 3, 3, "queued again: "),
    ("", 2, 2, "queued again: "),
    ("RUNNING", 9, 3, "Slurm did not queue job 71_2 again: "),
    ("PREEMPTED", 1, 0, ""),
])  # fmt: skip
def test_an_element_of_an_array_has_itself_alone_queued_again(
    state: str, requeue: int, tries: int, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    got = scontrol(tmp_path, monkeypatch, state=state, requeue=requeue)
    slurm._Queued(100)._again(Job(str(tmp_path / "002"), ()))
    lines = got.read_text().splitlines()
    assert {line.split()[-1] for line in lines} == {"71_2"}
    assert sum(line.startswith("requeue") for line in lines) == tries
    assert capsys.readouterr().out.startswith(says)


def test_a_job_without_an_array_has_its_own_number() -> None:
    assert slurm._own_number({"SLURM_JOB_ID": "9"}) == "9"


@pytest.mark.parametrize(("error", "stays"), [
    (sweep.LaunchError("the queue takes no jobs"), False),
    (UserError("cannot write slurm.json"), True),
])  # fmt: skip
def test_only_a_sweep_of_which_nothing_was_launched_is_removed(
    error: UserError, stays: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def launch(overrides: Any, initial_job_idx: int) -> None:
        raise error

    monkeypatch.setattr(Plugins, "instantiate_launcher", lambda self, **_: SimpleNamespace(launch=launch))
    outcome = in_process("train.py", "-m", f"hydra.sweep.dir={tmp_path / 'sweep'}", "seed=0,1").check(2)
    assert str(error) in outcome.err
    assert (tmp_path / "sweep").exists() == stays


def test_a_full_disk_at_the_end_leaves_what_was_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "sweep"

    def launch(overrides: Any, initial_job_idx: int) -> list[Any]:
        (folder / "000_seed0").mkdir()
        (folder / "000_seed0" / "metrics.json").write_text("{}")
        return []

    def full(*_: Any) -> bool:
        raise UserError("cannot write sweep.json (No space left on device)")

    monkeypatch.setattr(Plugins, "instantiate_launcher", lambda self, **_: SimpleNamespace(launch=launch))
    monkeypatch.setattr(sweep.Sweep, "finish", full)
    in_process("train.py", "-m", f"hydra.sweep.dir={folder}", "seed=0,1").check(2)
    assert (folder / "000_seed0" / "metrics.json").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_stopped_sweep_lets_its_jobs_save(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("joblib", reason="joblib is not installed: pip install -e '.[joblib]'")
    folders = [tmp_path / f"{n:03d}_seed{n}" for n in range(3)]
    code = (
        "import pathlib, signal, sys, time\n"
        "def save(*_): time.sleep(0.3); pathlib.Path('saved').write_text('x'); sys.exit(143)\n"
        "signal.signal(signal.SIGTERM, save)\n"
        "pathlib.Path('ready').write_text('x')\n"
        "time.sleep(30)\n"
    )
    jobs = {str(f): Job(str(f), (sys.executable, "-c", code), cwd=str(f)) for f in folders}
    monkeypatch.setattr(local, "job_of", lambda hydra, overrides: jobs[overrides[0]])
    launcher: Any = local.JoblibLauncher(2)
    launcher.config = OmegaConf.create({"trainer": {"devices": "auto"}, "hydra": {}})

    def stop() -> None:
        while sum((f / "ready").exists() for f in folders) < 2:
            time.sleep(0.05)
        os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    threading.Thread(target=stop, daemon=True).start()
    with pytest.raises(SystemExit) as end:
        launcher.launch([[str(f)] for f in folders], 0)
    assert end.value.code == 128 + number
    assert [(f / "saved").exists() for f in folders] == [True, True, False]
    assert not folders[2].exists() or not (folders[2] / "ready").exists()
    assert {plan.state(f).name for f in folders} == {"unfinished"}
    assert signal.getsignal(number) == before
    assert not (tmp_path / ".stop").exists()
