"""The tiny toy set that the commands train on."""

from pathlib import Path

import pytest
from cli.entry import Outcome, in_subprocess, small

from reid.data import toy as toy_set


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "toy"
    toy_set.render(root, train_identities=8, test_identities=4)
    return root


@pytest.fixture(scope="session")
def finished(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """Two epochs, in a process of their own. Tests that change the run work on a copy."""
    work = tmp_path_factory.mktemp("finished")
    stopping = "augment._target_=cli.stopping.Stopping"  # a user's own function, here without a reason to stop
    return in_subprocess("train.py", *small(toy, work, stopping, "logger=tensorboard")).check()
