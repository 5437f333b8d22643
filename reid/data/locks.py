"""Locks between processes. They are the kernel's: it lets go of them when their holder ends, however it ends."""

import contextlib
import fcntl
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

log = logging.getLogger(__name__)


@contextlib.contextmanager
def locked(file: Path, waiting: str | None = None) -> Iterator[bool]:
    """Hold the lock ``file``, which is made for it and removed with it.

    Args:
        waiting: is logged, once, if another holds the lock, and the block then begins when that one has ended. None:
            the block begins at once.

    Yields:
        whether the lock is held; with ``waiting`` it always is, unless the file system has no locks.

    Raises:
        OSError: the file cannot be made or, without ``waiting``, its file system has no locks.
    """
    descriptor = _take(file, waiting)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            with contextlib.suppress(OSError):
                file.unlink()  # before others can have it, who look whether theirs is still there
            os.close(descriptor)


@contextlib.contextmanager
def unused(file: Path) -> Iterator[bool]:
    """Whether nobody has ``file`` in use (see ``share``) or holds it as a lock; nobody can while the block lasts.

    A file that is not there is unused. Raises OSError if the file cannot be opened or its file system has no locks.
    """
    try:
        descriptor = _open(file)
    except FileNotFoundError:
        descriptor = None
    try:
        yield descriptor is None or _lock(descriptor)
    finally:
        if descriptor is not None:
            os.close(descriptor)


def share(file: BinaryIO) -> None:
    """Have ``file`` in use until it and its memory maps are closed, here and in processes forked from this one.

    Does nothing where the file system has no locks.
    """
    with contextlib.suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_SH)


def _take(file: Path, waiting: str | None) -> int | None:
    told = False
    while True:
        with contextlib.ExitStack() as closing:
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
            closing.callback(os.close, descriptor)
            try:
                if not _lock(descriptor):
                    if waiting is None:
                        return None
                    if not told:
                        log.warning(waiting)
                        told = True
                    fcntl.flock(descriptor, fcntl.LOCK_EX)
            except OSError:
                if waiting is None:
                    raise
            if _is_there(file, descriptor):  # else the one who held it has removed it, and a third may hold a new one
                closing.pop_all()
                return descriptor


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_there(file: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(file.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _open(file: Path) -> int:
    try:
        return os.open(file, os.O_RDWR)  # NFS locks only what may be written
    except FileNotFoundError:
        raise
    except OSError:  # on a disk that is read only
        return os.open(file, os.O_RDONLY)
