"""dataset.strict: a set that is not as published is refused instead of warned of."""

from pathlib import Path

import pytest
from cli.entry import Outcome, in_process
from omegaconf import DictConfig, OmegaConf

from reid.door.build import read_split
from reid.errors import UserError


def node(toy: Path, **more: object) -> DictConfig:
    return OmegaConf.create(
        {"_target_": "reid.data.readers.market1501.read", "name": "market1501", "root": str(toy), **more}
    )


def test_the_warning_becomes_the_error_and_only_while_it_is_asked_for(
    toy: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for loose in (node(toy), node(toy, strict=False)):
        caplog.clear()
        assert read_split(loose, seed=0)[0].name == "market1501"
        (warning,) = caplog.messages
        assert "instead of 12936 of 751" in warning
    caplog.clear()
    with pytest.raises(UserError) as caught:
        read_split(node(toy, strict=True), seed=0)
    assert str(caught.value).startswith(f"{warning}: get the whole set")
    assert caplog.messages == []
    read_split(node(toy), seed=0)
    assert caplog.messages == [warning]


def test_a_set_that_nothing_was_published_of_is_read(toy: Path) -> None:
    assert read_split(node(toy, strict=True, name="mine"), seed=0)[0].name == "mine"


def test_a_run_is_judged_strictly_when_asked(finished: Outcome, tmp_path: Path) -> None:
    """Its own set is the toy set, of which nothing was published."""
    again = in_process("eval.py", f"run={finished.run}", "dataset.strict=true", f"image.cache_dir={tmp_path}").check()
    assert "the same as in" in again.out


def test_arrays_are_no_set(tmp_path: Path) -> None:
    outcome = in_process("eval.py", f"eval.features={tmp_path / 'some.npz'}", "dataset.strict=true").check(2)
    assert outcome.err.rstrip().endswith("leave out dataset")
