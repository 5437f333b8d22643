"""A checkpoint on the disk: whole or not there, told when damaged, and no code in it is run."""

import errno
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
import torch
from training.saved import files, read

from reid.errors import UserError
from reid.models import weights
from reid.training.checkpoints import AtomicCheckpoints, newest_sound


def breaks_with(error: BaseException) -> Callable[[object, BinaryIO], None]:
    def save(content: object, file: BinaryIO) -> None:
        file.write(b"half of it")
        raise error

    return save


class Harmful:
    """Unpickling it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable, tuple[Path]]:
        return Path.mkdir, (self.folder,)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a" / "new" / "last.ckpt"
    AtomicCheckpoints().save_checkpoint({"x": torch.arange(3), "reid": {"bf16": False}}, path)
    again = AtomicCheckpoints().load_checkpoint(path)
    assert again["x"].tolist() == [0, 1, 2]
    assert again["reid"] == {"bf16": False}
    assert files(path.parent) == ["last.ckpt"]
    AtomicCheckpoints().remove_checkpoint(path)
    assert files(path.parent) == []


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (RuntimeError("[enforce fail at inline_container.cc:664] . unexpected pos\nmore lines"), "unexpected pos"),
    ],
)
def test_write_that_fails_keeps_the_earlier_file(
    tmp_path: Path, error: BaseException, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "last.ckpt"
    AtomicCheckpoints().save_checkpoint({"epoch": 1}, path)
    monkeypatch.setattr(torch, "save", breaks_with(error))
    with pytest.raises(UserError, match="cannot write .*last.ckpt") as caught:
        AtomicCheckpoints().save_checkpoint({"epoch": 2}, path)
    for words in (str(path), reason, "free some space", "the earlier one is kept"):
        assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert files(tmp_path) == ["last.ckpt"]
    assert read(path) == {"epoch": 1}


def test_write_that_fails_without_an_earlier_file_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "save", breaks_with(OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises(UserError, match="no earlier one exists"):
        AtomicCheckpoints().save_checkpoint({"epoch": 2}, tmp_path / "last.ckpt")
    assert files(tmp_path) == []


def test_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write .*last.ckpt"):
        AtomicCheckpoints().save_checkpoint({}, tmp_path / "file" / "last.ckpt")


def test_process_killed_while_it_writes_leaves_the_earlier_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "last.ckpt"
    AtomicCheckpoints().save_checkpoint({"epoch": 1}, path)
    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", breaks_with(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            AtomicCheckpoints().save_checkpoint({"epoch": 2}, path)
    assert read(path) == {"epoch": 1}
    AtomicCheckpoints().save_checkpoint({"epoch": 3}, path)  # what the killed one left is in nobody's way
    assert files(tmp_path) == ["last.ckpt"]
    assert read(path) == {"epoch": 3}


@pytest.mark.parametrize("content", [{"state_dict": {}}, [1, 2], torch.ones(2)])
def test_checkpoint_of_another_framework_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "last.ckpt")
    with pytest.raises(UserError, match=r"resume=.*last\.ckpt is not a checkpoint of this framework"):
        AtomicCheckpoints().load_checkpoint(tmp_path / "last.ckpt")


@pytest.mark.parametrize("asked", [None, False, True])
def test_no_code_is_run_by_reading(tmp_path: Path, asked: bool | None) -> None:
    path, made = tmp_path / "last.ckpt", tmp_path / "made"
    torch.save({"epoch": 1, "extra": Harmful(made)}, path)
    with pytest.raises(UserError, match=r"resume=.*last\.ckpt .*objects that could run code"):
        AtomicCheckpoints().load_checkpoint(path, weights_only=asked)
    assert not made.exists()


def test_any_bit_that_changes_is_noticed_or_without_effect(tmp_path: Path) -> None:
    path, rng = tmp_path / "a.ckpt", np.random.default_rng(0)
    content = {"a": torch.arange(300.0), "b": {"c": [1, "text"], "d": torch.ones(7, dtype=torch.int64)}}
    AtomicCheckpoints().save_checkpoint(content, path)
    whole = path.read_bytes()
    assert weights.is_sound(path)
    noticed = 0
    for at in rng.permutation(len(whole))[:600]:
        spoilt = bytearray(whole)
        spoilt[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(spoilt)
        if weights.is_sound(path):
            again = read(path)
            assert torch.equal(again["a"], content["a"])
            assert torch.equal(again["b"]["d"], content["b"]["d"])
            assert again["b"]["c"] == [1, "text"]
        else:
            noticed += 1
    assert noticed > 200
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        assert not weights.is_sound(path)


def test_newest_sound_checkpoint(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert newest_sound(tmp_path, option="resume") is None
    last, previous = tmp_path / "last.ckpt", tmp_path / "previous.ckpt"
    for path in (last, previous):
        torch.save({"a": torch.ones(5)}, path)
    assert newest_sound(tmp_path, option="resume") == last
    assert not caplog.messages
    last.write_bytes(last.read_bytes()[:-9])
    assert newest_sound(tmp_path, option="resume") == previous
    assert len(caplog.messages) == 1
    previous.write_bytes(b"")
    with pytest.raises(UserError, match=r"resume=.*last\.ckpt .* and so is previous\.ckpt"):
        newest_sound(tmp_path, option="resume")
    previous.unlink()
    with pytest.raises(UserError, match="and there is none before it"):
        newest_sound(tmp_path, option="resume")
