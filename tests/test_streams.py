"""Streams without a reader, on full disks, and ones that are looked into."""

import errno
import io
import os
import pty
import sys
from collections.abc import Iterator
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


def test_what_a_closed_terminal_is_sent_goes_nowhere(unread: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OSError, match="Input/output error"):
        os.write(unread, b"x")
    monkeypatch.setattr(sys, "stdout", open(unread, "w", closefd=False))
    with lasting():
        print("a", flush=True)
        print("b", flush=True)


def test_a_fault_of_the_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Faulty(tmp_path / "out.txt"))
    with pytest.raises(OSError, match="Input/output error"), lasting():
        print("a")


def test_a_full_disk_does_not_replace_how_the_block_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    full, other = open("/dev/full", "w"), io.StringIO()
    monkeypatch.setattr(sys, "stdout", full)
    monkeypatch.setattr(sys, "stderr", other)
    with pytest.raises(SystemExit) as end, lasting():
        print("a")
        raise SystemExit(2)
    assert end.value.code == 2
    assert (sys.stdout, sys.stderr) == (full, other)
    with pytest.raises(OSError, match="No space left"):
        full.close()


def test_a_stream_that_was_closed_meanwhile_does_not_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    with pytest.raises(SystemExit), lasting():
        sys.stdout.close()
        raise SystemExit(2)
