"""Samplers by their option, a user's own, and runs from before there was a choice."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli.entry import Outcome, in_process, small
from omegaconf import OmegaConf

SOURCE = """
from reid.data.samplers import EpochSampler

class Backwards(EpochSampler):
    def __init__(self, pictures, batching, *, every: int = 1):
        super().__init__(batching)
        self.pairs = [[i, i - 1] for i in range(len(pictures.labels) - 1, 0, -every)][:3]

    def __len__(self):
        return len(self.pairs)

    def draw(self, epoch):
        return [[self.pairs[n], self.pairs[n - 1]] for n in range(len(self.pairs))]
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (tmp_path / "own_batches.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    yield "sampler._target_=own_batches.Backwards"
    sys.modules.pop("own_batches", None)


def batch_line(outcome: Outcome) -> str:
    (line,) = [line for line in outcome.out.splitlines() if line.startswith("batch")]
    return line


def test_own_sampler_with_an_option(own: str, toy: Path, tmp_path: Path) -> None:
    outcome = in_process("train.py", *small(toy, tmp_path, own, "+sampler.every=4")).check()
    assert "8 images, 3 steps an epoch, 2 epochs, drawn by Backwards" in batch_line(outcome)


def test_own_sampler_does_not_take_what_it_has_not(own: str, toy: Path, tmp_path: Path) -> None:
    (line,) = in_process("train.py", *small(toy, tmp_path, own, "+sampler.evry=4")).check(2).err.splitlines()
    assert line == "error: unknown config key 'sampler.evry': Backwards takes pictures, batching, every"


def test_hard_batches_are_as_many_as_identities(toy: Path, tmp_path: Path) -> None:
    outcome = in_process("train.py", *small(toy, tmp_path, "sampler=hard", "trainer.max_epochs=1")).check()
    assert "8 steps an epoch, 1 epochs, drawn by HardSampler" in batch_line(outcome)
    assert OmegaConf.load(outcome.run / "config.yaml").sampler.anchors is None


@pytest.mark.parametrize(("objective", "warned"), [("softmax_triplet", True), ("softmax", False)])
def test_shuffled_batches_warn_where_a_loss_compares_images(
    objective: str, warned: bool, toy: Path, tmp_path: Path
) -> None:
    given = ("sampler=shuffle", f"objective={objective}", "trainer.max_epochs=1")
    outcome = in_process("train.py", *small(toy, tmp_path, *given)).check()
    assert "drawn by ShuffleSampler" in batch_line(outcome)
    warnings = [line for line in outcome.err.splitlines() if line.startswith("WARNING: shuffled batches")]
    assert len(warnings) == warned
    assert all("choose objective=softmax, or sampler=identity" in line for line in warnings)


def test_run_from_before_there_was_a_choice_goes_on_with_identities(
    finished: Outcome, toy: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished.run, run)
    config = OmegaConf.load(run / "config.yaml")
    assert config.pop("sampler")["_target_"] == "reid.data.samplers.IdentitySampler"
    OmegaConf.save(config, run / "config.yaml")
    given = ("trainer.max_epochs=3", f"image.cache_dir={tmp_path / 'cache'}")
    outcome = in_process("train.py", f"resume={run}", *given).check()
    assert batch_line(outcome).endswith("8 images, 2 steps an epoch, 3 epochs")
    assert OmegaConf.load(run / "config.yaml").sampler["_target_"] == "reid.data.samplers.IdentitySampler"
