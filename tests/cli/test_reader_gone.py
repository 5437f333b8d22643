"""Commands whose output nobody reads any more, as behind ``| head``, or whose terminal is closed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from board_runs import write
from cli.entry import ROOT, Outcome, in_process, small
from cli.outcome import STOPPING, assert_same_training, saved


def unread(script: str, *arguments: str, both: bool = False) -> tuple[int, str]:
    """The exit code of ``python SCRIPT ARGUMENTS | true``, and its stderr unless that goes to the same pipe."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, script, *arguments],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "tests")},
        stdout=writing,
        stderr=writing if both else subprocess.PIPE,
        text=True,
        timeout=170,
    )
    os.close(writing)
    return done.returncode, done.stderr or ""


def test_a_training_goes_on_without_a_reader(finished: Outcome, toy: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    code, _ = unread("train.py", *small(toy, tmp_path, STOPPING, f"run.folder={run}"), both=True)
    assert code == 0
    assert_same_training(run, finished.run)
    assert (run / "report.html").is_file()


def test_a_short_command_ends_quietly(tmp_path: Path) -> None:
    write(tmp_path / "runs" / "one", [0.5, 1.0])
    page = tmp_path / "board.html"
    assert unread("scripts/leaderboard.py", str(tmp_path / "runs"), f"output={page}") == (0, "")
    assert page.is_file()
    assert unread("eval.py", "--help") == (0, "")
    code, told = unread("eval.py", "rum=1")
    assert code == 2  # with its one line
    assert told.startswith("error: unknown config key 'rum'")
    assert told.count("\n") == 1


@pytest.mark.parametrize(("ignored", "steps"), [(False, 3), (True, 4)])
def test_hangup_saves_the_step_unless_it_is_ignored(
    ignored: bool, steps: int, toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ``nohup`` ignores it; of four steps the third is the one in which the terminal is closed."""
    monkeypatch.setenv("STOP_AT", "3")
    monkeypatch.setenv("STOP_SIGNAL", str(int(signal.SIGHUP)))
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)
    try:
        outcome = in_process("train.py", *small(toy, tmp_path, STOPPING)).check(0 if ignored else 128 + signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert saved(outcome.run)["global_step"] == steps
    assert ("stopped by SIGHUP after step 3" in outcome.err) is not ignored
