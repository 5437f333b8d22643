"""One command that begins in a folder of the user's choice, or goes on there."""

import json
import shutil
import signal
from pathlib import Path

import pytest
from cli.entry import Outcome, in_process, in_subprocess, small
from cli.outcome import STOPPING, assert_quiet, assert_same_training
from omegaconf import OmegaConf

from reid.data.locks import locked
from reid.runs import folder


@pytest.fixture
def command(toy: Path, tmp_path: Path) -> list[str]:
    return small(toy, tmp_path, STOPPING, f"run.folder={tmp_path / 'run'}", "resume=auto")


def test_the_same_command_begins_and_goes_on(command: list[str], finished: Outcome, tmp_path: Path) -> None:
    stop = {"STOP_AT": "4", "STOP_SIGNAL": str(int(signal.SIGKILL))}
    in_subprocess("train.py", *command, env=stop).check(-signal.SIGKILL)
    assert (tmp_path / "run" / ".lock").exists()  # left by the kill, in nobody's way
    resumed = in_process("train.py", *command).check()
    assert f"resuming {tmp_path / 'run'} from" in resumed.out
    assert_quiet(resumed, 2)
    assert_same_training(tmp_path / "run", finished.run)
    assert not (tmp_path / "run" / ".lock").exists()
    again = in_process("train.py", *command).check()  # trains nothing more
    assert again.err == ""
    assert_same_training(tmp_path / "run", finished.run)
    longer = in_process("train.py", *command, "trainer.max_epochs=3").check()
    assert_quiet(longer, 3)
    assert len(json.loads((tmp_path / "run" / "environment.json").read_text())["resumed"]) == 2


def test_option_made_since_the_run_was_begun_is_no_change(
    command: list[str], finished: Outcome, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(finished.run, tmp_path / "run"))
    config = OmegaConf.load(run / "config.yaml")
    del config.trainer.nan_tries
    OmegaConf.save(config, run / "config.yaml")
    assert "resuming" in in_process("train.py", *command).check().out
    refused = in_process("train.py", *command, "trainer.gradient_clip_val=5").check(2)  # which was null
    assert "trainer.gradient_clip_val=5 (was None)" in refused.err


@pytest.mark.parametrize("left", ["nothing", "checkpoints", "config.yaml", "half a checkpoint"])
def test_what_a_very_early_kill_leaves_is_begun_anew(
    left: str, command: list[str], finished: Outcome, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    if left != "nothing":
        (run / "checkpoints").mkdir(parents=True)
        (run / ".lock").touch()
    if left in ("config.yaml", "half a checkpoint"):
        (run / "config.yaml").write_bytes((finished.run / "config.yaml").read_bytes())
    if left == "half a checkpoint":
        (run / "checkpoints" / ".last.ckpt.1.partial").write_bytes(b"PK")
    outcome = in_process("train.py", *command).check()
    assert "resuming" not in outcome.out
    assert_same_training(run, finished.run)


def test_second_process_in_a_folder_is_refused(
    command: list[str], finished: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "_PATIENCE", 0.0)
    (tmp_path / "run").mkdir()
    for run, given in ((tmp_path / "run", command), (finished.run, [f"resume={finished.run}"])):
        before = sorted(run.rglob("*"))
        with locked(run / ".lock") as held:
            assert held
            refused = in_process("train.py", *given).check(2)
        assert refused.err == (
            f"error: another process trains in {run}: let it go on or stop it, or choose another run.folder\n"
        )
        assert sorted(run.rglob("*")) == before


def test_folder_is_the_one_named_and_an_empty_one_will_do(toy: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    outcome = in_process("train.py", *small(toy, tmp_path, f"run.folder={tmp_path / 'run'}")).check()
    assert outcome.run == tmp_path / "run"
    assert (tmp_path / "run" / "metrics.json").is_file()
    assert not (tmp_path / "runs").exists()
