"""A run that is told to stop, that finds its last checkpoint damaged, or that diverges."""

import re
import shlex
import signal
from pathlib import Path

import pytest
import torch
from cli.entry import Outcome, in_process, small
from cli.outcome import STOPPING, assert_quiet, assert_same_training, log, saved
from cli.spoil import flip


@pytest.fixture
def stopped(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Outcome:
    """Asked by SIGTERM in the third step, the first of the second epoch."""
    with monkeypatch.context() as patch:
        patch.setenv("STOP_AT", "3")
        patch.setenv("STOP_SIGNAL", str(int(signal.SIGTERM)))
        return in_process("train.py", *small(toy, tmp_path, STOPPING)).check(128 + signal.SIGTERM)


def test_sigterm_saves_the_step_and_says_how_to_go_on(stopped: Outcome, finished: Outcome) -> None:
    run = stopped.run
    assert saved(run)["global_step"] == 3
    assert log(run) == log(finished.run)[:1]
    *_, line = stopped.err.splitlines()
    told = re.fullmatch(r"stopped by SIGTERM after step 3; all is kept, go on with: (python train\.py resume=.*)", line)
    assert told
    judged = in_process("eval.py", f"run={run}").check()
    assert "last.ckpt (epoch 1)" in judged.out  # of which all is done
    _, script, *arguments = shlex.split(told[1])
    resumed = in_process(script, *arguments).check()
    assert_quiet(resumed, 2)
    assert_same_training(run, finished.run)


def test_damaged_last_checkpoint_gives_way_to_the_one_before(stopped: Outcome, finished: Outcome) -> None:
    checkpoints = stopped.run / "checkpoints"
    assert [saved(stopped.run, name)["global_step"] for name in ("last.ckpt", "previous.ckpt")] == [3, 2]
    flip("last.ckpt")(checkpoints)
    resumed = in_process("train.py", f"resume={stopped.run}").check()
    first, *rest = resumed.err.splitlines()
    assert first == (
        f"WARNING: {checkpoints / 'last.ckpt'} is damaged (its checksums do not match): going on from the checkpoint "
        "before it"
    )
    assert [line[:9] for line in rest] == ["epoch 2/2"]
    assert f"resuming {stopped.run} from {checkpoints / 'previous.ckpt'}" in resumed.out
    assert_same_training(stopped.run, finished.run)
    assert [path.name for path in checkpoints.iterdir()] == ["last.ckpt"]


def test_two_damaged_checkpoints_are_told(stopped: Outcome) -> None:
    for name in ("last.ckpt", "previous.ckpt"):
        flip(f"checkpoints/{name}")(stopped.run)
    refused = in_process("train.py", f"resume={stopped.run}").check(2)
    (line,) = refused.err.splitlines()
    assert "last.ckpt is truncated or damaged (its checksums do not match) and so is previous.ckpt" in line


def test_rollback_goes_on_as_if_the_rate_had_been_the_smaller_one(toy: Path, tmp_path: Path) -> None:
    """A rate of 2^100 ruins the weights in a step; 2^-117 of it, to the bit, is 2^-17."""
    usual = small(toy, tmp_path, "optimizer.lr=1", "optimizer=sgd", "optimizer.weight_decay=0")
    given = ["trainer.on_nan=rollback", f"trainer.nan_factor={2**-117!r}", f"optimizer.lr={2.0**100!r}"]
    rolled = in_process("train.py", *usual, *given).check()
    first, *rest = rolled.err.splitlines()
    assert re.match(
        r"the loss is (nan|inf) at epoch 1, batch 2 \(step 2\): back to the last good checkpoint with", first
    )
    assert "(rollback 1 of 3)" in first
    assert [line[:9] for line in rest] == ["epoch 1/2", "epoch 2/2"]
    small_rate = in_process("train.py", *usual, f"optimizer.lr={2.0**-17!r}").check()
    one, two = saved(rolled.run)["state_dict"], saved(small_rate.run)["state_dict"]
    assert all(torch.equal(one[name], two[name]) for name in two)
    assert log(rolled.run) == log(small_rate.run)
    longer = [in_process("train.py", f"resume={o.run}", "trainer.max_epochs=3").check() for o in (rolled, small_rate)]
    one, two = (saved(outcome.run)["state_dict"] for outcome in longer if outcome.run)  # the rate is kept
    assert all(torch.equal(one[name], two[name]) for name in two)


def test_tries_are_limited(toy: Path, tmp_path: Path) -> None:
    given = ["optimizer=sgd", f"optimizer.lr={2.0**100!r}", "trainer.on_nan=rollback", "trainer.nan_tries=2"]
    outcome = in_process("train.py", *small(toy, tmp_path, *given)).check(2)
    first, second, third = outcome.err.splitlines()
    assert "(rollback 1 of 2)" in first
    assert "(rollback 2 of 2)" in second
    assert third.startswith("error: the loss is")
