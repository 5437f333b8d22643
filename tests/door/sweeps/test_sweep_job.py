"""A job's process: its signals, its output, its share of the machine."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from reid import signals
from reid.door.sweeps import job as jobs
from reid.door.sweeps import plan
from reid.door.sweeps.job import Job, shares
from reid.errors import UserError


def job(folder: Path, code: str) -> Job:
    return Job(str(folder), (sys.executable, "-c", code))


def test_a_job_that_is_done(tmp_path: Path) -> None:
    write = f"open({str(tmp_path / 'metrics.json')!r}, 'w').write('{{}}')"
    plan.fail(tmp_path, "of the time before", [])
    assert jobs.run(job(tmp_path, f"print('hello'); {write}")) is None
    assert plan.state(tmp_path).name == "done"
    assert not (tmp_path / "failed.json").exists()
    assert "hello" in (tmp_path / "log.txt").read_text()


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import sys; print('error: no such thing', file=sys.stderr); sys.exit(2)", "no such thing"),
        ("raise KeyError('mistake')", "KeyError: 'mistake'"),
        ("import os; os.kill(os.getpid(), 9)", "signal 9, which a machine out of memory sends"),
        ("import ctypes; ctypes.string_at(0)", "signal 11"),
        ("pass", "exit code 0"),
    ],
)
def test_a_job_that_fails_says_why_in_a_line(tmp_path: Path, code: str, says: str) -> None:
    (tmp_path / "log.txt").write_text("error: of the time before\n")
    with pytest.raises(UserError, match=says):
        jobs.run(job(tmp_path, code))
    assert says in plan.state(tmp_path).why
    assert "\n" not in plan.state(tmp_path).why


@pytest.mark.parametrize("number", signals.STOPPING)
def test_a_signal_is_passed_on_and_leaves_the_job_unfinished(tmp_path: Path, number: int) -> None:
    saved = tmp_path / "saved"
    code = (
        "import signal, sys, time, pathlib\n"
        f"def save(*_): pathlib.Path({str(saved)!r}).write_text('x'); sys.exit(3)\n"
        f"signal.signal({int(number)}, save)\n"
        f"pathlib.Path({str(tmp_path / 'ready')!r}).write_text('x')\n"
        "time.sleep(30)\n"
    )

    def send() -> None:
        while not (tmp_path / "ready").exists():
            time.sleep(0.02)
        os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    sender = threading.Thread(target=send)
    sender.start()
    with pytest.raises(SystemExit) as end:
        jobs.run(job(tmp_path, code))
    sender.join()
    assert end.value.code == 128 + number
    assert saved.exists()
    assert plan.state(tmp_path).name == "unfinished"
    assert signal.getsignal(number) == before


def test_a_closed_terminal_stops_no_job_under_nohup(tmp_path: Path) -> None:
    """Neither the process that waits for the job nor the job, which begins with what that ignores."""
    hang_up = "import os, signal; os.kill(os.getppid(), signal.SIGHUP); os.kill(os.getpid(), signal.SIGHUP)"
    write = f"open({str(tmp_path / 'metrics.json')!r}, 'w').write('{{}}')"
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert jobs.run(job(tmp_path, f"{hang_up}; {write}")) is None
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
    assert plan.state(tmp_path).name == "done"


def test_two_processes_do_not_train_in_one_folder(tmp_path: Path) -> None:
    with jobs._alone(tmp_path), pytest.raises(UserError, match="another process"):
        jobs.run(job(tmp_path, "pass"))
    assert plan.state(tmp_path).name == "unfinished"


@pytest.mark.parametrize("name", ["it's here", "2026", "a b", 'say "x"', "back\\slash", "50%", "a=b,c", "~x", "null"])
def test_a_job_finds_its_folder_whatever_that_is_called(tmp_path: Path, name: str) -> None:
    choices = {"hydra/sweeper": "grid", "hydra/launcher": "basic"}
    hydra = OmegaConf.create({
        "runtime": {"choices": choices, "config_sources": []}, "job": {"config_name": "train"},
        "overrides": {"hydra": []},
    })  # fmt: skip
    folder = tmp_path / name / "000_seed0"
    found = jobs.job_of(hydra, ["seed=0", f"run.folder={plan.quoted(str(folder))}"])
    assert found.folder == str(folder)


def test_jobs_share_cores_and_gpus() -> None:
    assert [shares(i, 4, 8, ["2", "5"], {}) for i in range(3)] == [
        {"OMP_NUM_THREADS": "2", "CUDA_VISIBLE_DEVICES": "2"},
        {"OMP_NUM_THREADS": "2", "CUDA_VISIBLE_DEVICES": "5"},
        {"OMP_NUM_THREADS": "2", "CUDA_VISIBLE_DEVICES": "2"},
    ]
    assert shares(0, 4, 2, [], {}) == {"OMP_NUM_THREADS": "1"}
    assert shares(0, 2, 8, [], {"OMP_NUM_THREADS": "3"}) == {}


def test_jobs_at_once_have_places_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    one = Job(str(tmp_path), (), places=2, one_gpu=True)
    with jobs._place(one, tmp_path) as first:
        with jobs._place(one, tmp_path) as second:
            assert {first["CUDA_VISIBLE_DEVICES"], second["CUDA_VISIBLE_DEVICES"]} == {"4", "6"}
        with jobs._place(one, tmp_path) as third:
            assert third == second
    with jobs._place(Job(str(tmp_path), (), places=2), tmp_path) as several:  # a job takes all of them
        assert "CUDA_VISIBLE_DEVICES" not in several


def test_jobs_have_places_where_the_file_system_has_no_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("fcntl.flock", refuse)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    for name, gpu in (("000_seed0", "4"), ("001_seed1", "6"), ("002_seed2", "4")):
        with jobs._place(Job(str(tmp_path / name), (), places=2, one_gpu=True), tmp_path) as own:
            assert own["CUDA_VISIBLE_DEVICES"] == gpu
