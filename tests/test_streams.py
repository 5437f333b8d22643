"""Streams without a reader, on full disks, and ones that are looked into."""

import copy
import errno
import io
import os
import pty
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reid.streams import lasting


@pytest.fixture
def unread() -> Iterator[int]:
    """A terminal that was closed."""
    terminal, end = pty.openpty()
    os.close(terminal)
    yield end
    os.close(end)


class Faulty(io.StringIO):
    """Writes to a file whose disk fails."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file = file.open("w")

    def fileno(self) -> int:
        return self.file.fileno()

    def write(self, text: str) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))


@lasting()
def refuse(first: Callable[[], None] = lambda: None) -> None:
    """A command that prints a line and ends with code 2."""
    print("a")
    first()
    raise SystemExit(2)


def test_what_a_closed_terminal_is_sent_goes_nowhere(unread: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OSError, match="Input/output error"):
        os.write(unread, b"x")
    monkeypatch.setattr(sys, "stdout", os.fdopen(unread, "w", closefd=False))
    with lasting():
        print("a", flush=True)
        print("b", flush=True)
        sys.stdout.writelines(["c\n", "d\n"])


def test_lines_have_no_reader_either(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", buffering=1) as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        with lasting():
            sys.stdout.writelines(["a\n", "b\n"])


def test_a_fault_of_the_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Faulty(tmp_path / "out.txt"))
    with pytest.raises(OSError, match="Input/output error"), lasting():
        print("a")


def test_a_full_disk_does_not_replace_how_the_block_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    full, other = os.fdopen(os.open("/dev/full", os.O_WRONLY), "w"), io.StringIO()
    monkeypatch.setattr(sys, "stdout", full)
    monkeypatch.setattr(sys, "stderr", other)
    with pytest.raises(SystemExit, match="^2$"):
        refuse()
    assert (sys.stdout, sys.stderr) == (full, other)
    with pytest.raises(OSError, match="No space left"):
        full.close()


def test_a_stream_that_was_closed_meanwhile_does_not_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    with pytest.raises(SystemExit, match="^2$"):
        refuse(sys.stdout.close)


def test_a_stream_can_be_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    own = io.StringIO()
    monkeypatch.setattr(sys, "stdout", own)
    with lasting():
        copy.copy(sys.stdout).write("a")
        assert not hasattr(sys.stdout, "_nothing")
    assert own.getvalue() == "a"
