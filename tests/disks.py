"""Small disks of one's own: full and read-only ones are tested on them."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def disk(folder: Path, kib: int) -> Iterator[Path]:
    """A disk of ``kib`` KiB at ``folder``; the test is skipped where mounting is not permitted."""
    folder.mkdir()
    _mount("-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(folder))
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def make_read_only(folder: Path) -> None:
    _mount("-o", "remount,ro", str(folder))


def _mount(*how: str) -> None:
    try:
        subprocess.run(["mount", *how], check=True, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("needs mount")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"needs leave to mount a disk: {error.stderr.strip()}")
