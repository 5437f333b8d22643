"""A run that is stopped goes on as if it never was."""

import json
import re
import shlex
import shutil
import signal
from pathlib import Path

from cli.entry import Outcome, in_process, in_subprocess, small
from cli.outcome import STOPPING, assert_quiet, assert_same_training, log
from omegaconf import OmegaConf


def test_more_epochs_continue_as_if_never_stopped(finished: Outcome, toy: Path, tmp_path: Path) -> None:
    unbroken = in_process("train.py", *small(toy, tmp_path, STOPPING, "trainer.max_epochs=3")).check()
    run = Path(shutil.copytree(finished.run, tmp_path / "copy"))
    resumed = in_subprocess("train.py", f"resume={run}", "trainer.max_epochs=3").check()
    assert_quiet(resumed, 3)
    assert resumed.err.count("\n") == 1
    assert f"resuming {run}" in resumed.out
    assert_same_training(run, unbroken.run)
    assert OmegaConf.load(run / "config.yaml").trainer.max_epochs == 3  # so that it can be resumed once more as it is


def test_resuming_a_finished_run_trains_nothing_more(finished: Outcome, tmp_path: Path) -> None:
    run = Path(shutil.copytree(finished.run, tmp_path / "copy"))
    (run / "metrics.json").unlink()  # as if it had been stopped while it was judged
    resumed = in_process("train.py", f"resume={run}").check()
    assert resumed.err == ""
    assert_same_training(run, finished.run)


def test_killed_in_the_middle_of_an_epoch(finished: Outcome, toy: Path, tmp_path: Path) -> None:
    stop = {"STOP_AT": "4", "STOP_SIGNAL": str(int(signal.SIGKILL))}
    killed = in_subprocess("train.py", *small(toy, tmp_path, STOPPING), env=stop).check(-signal.SIGKILL)
    run = killed.run
    assert log(run) == log(finished.run)[:1]
    assert not (run / "metrics.json").exists()
    judged = in_process("eval.py", f"run={run}", f"image.cache_dir={tmp_path / 'cache'}").check()
    assert "last.ckpt of an unfinished run" in judged.out
    assert "(epoch 1)" in judged.out
    shutil.copy(finished.run / "train_log.csv", run)  # as if killed while the second epoch's checkpoint was written
    with (run / "train_log.csv").open("a") as file:
        file.write("3,6,3.5")
    resumed = in_process("train.py", f"resume={run}").check()
    assert_quiet(resumed, 2)
    assert_same_training(run, finished.run)


def test_results_are_gone_while_a_finished_run_goes_on(finished: Outcome, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished.run, run)
    stop = {"STOP_AT": "1", "STOP_SIGNAL": str(int(signal.SIGKILL))}
    in_subprocess("train.py", f"resume={run}", "trainer.max_epochs=3", env=stop).check(-signal.SIGKILL)
    assert not {"metrics.json", "report.html", "per_query.csv"} & {path.name for path in run.iterdir()}
    told = json.loads((run / "environment.json").read_text())
    assert told["resumed"][0]["command"] == ["train.py", f"resume={run}", "trainer.max_epochs=3"]


def test_ctrl_c_says_how_to_go_on(finished: Outcome, toy: Path, tmp_path: Path) -> None:
    """In the first epoch, so the run goes on from its beginning."""
    stop = {"STOP_AT": "2", "STOP_SIGNAL": str(int(signal.SIGINT))}
    stopped = in_subprocess(
        "train.py",
        *small(toy, tmp_path, STOPPING),
        env=stop,
        setup=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # pytest may run without one
    ).check(130)
    assert "Traceback" not in stopped.err
    (line,) = [line for line in stopped.err.splitlines() if line]
    command = re.fullmatch(r"interrupted; the last whole epoch is kept, go on with: (python train\.py resume=.*)", line)
    assert command
    _, script, *arguments = shlex.split(command[1])
    resumed = in_process(script, *arguments).check()
    assert_quiet(resumed, 2)
    assert_same_training(stopped.run, finished.run)
