"""Writing a whole file or leaving the old one."""

import contextlib
import csv
import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from reid.errors import UserError


@contextlib.contextmanager
def replacing(path: Path | str) -> Iterator[BinaryIO]:
    """A binary file beside ``path`` that takes its place when the block ends, flushed to the disk; folders are made.

    A reader, or a crash half-way, sees the old file or the new one and never a part of either.

    Raises:
        UserError: the folder cannot be made or written to; an existing file at ``path`` is then untouched.
    """
    path = Path(path)
    # The process id keeps two writers apart; a plain open gives the file the permissions the user's umask asks for.
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        kept = "the earlier one is kept" if path.exists() else "no earlier one exists"
        raise UserError(
            f"cannot write {path} ({error.strerror or error}): free some space or choose another folder; {kept}"
        ) from error
    finally:
        with contextlib.suppress(OSError):  # not even the folder may be there
            partial.unlink(missing_ok=True)


def write(path: Path | str, content: bytes | str) -> None:
    """Write ``content`` whole, text as UTF-8; see ``replacing``."""
    with replacing(path) as file:
        file.write(content.encode("utf-8", errors="replace") if isinstance(content, str) else content)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON whole or leave the old file."""
    write(path, json.dumps(content, indent=2) + "\n")


def write_csv(path: Path, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write a CSV file whole or leave the old one."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([columns, *rows])
    write(path, text.getvalue())
