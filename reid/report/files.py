"""Writing a whole file or leaving the old one."""

import os
from pathlib import Path


def write_atomically(path: Path | str, data: bytes) -> None:
    """Write ``data`` beside ``path`` and rename it into place, making the folder if needed.

    A reader, or a crash half-way, sees the old file or the new one and never a part of either.

    Raises:
        OSError: the folder cannot be made or written to; an existing file at ``path`` is then untouched.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The process id keeps two writers apart; a plain open gives the file the permissions the user's umask asks for.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
