"""Output that outlives its reader: ``| head`` after a line, or a terminal that was closed."""

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from typing import Any, TextIO, cast


@contextlib.contextmanager
def lasting() -> Iterator[None]:
    """While the block lasts, what is printed goes nowhere once nobody reads it.

    No work ends because of that, neither a training nor a page that is still to be written, and the exit code tells
    what it always does.
    """
    before = sys.stdout, sys.stderr  # None where it was closed from the start
    sys.stdout, sys.stderr = (stream and cast(TextIO, _Lasting(stream)) for stream in before)
    ours = sys.stdout, sys.stderr
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        for stream in filter(None, ours):
            with contextlib.suppress(OSError, ValueError):  # a full disk, a closed file: how the block ended counts
                stream.flush()  # what is left would else fail while Python ends


class _Lasting:
    """A text stream whose writes do not fail for want of a reader."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # copy and pickle ask for some before there is a stream
            raise AttributeError(name)
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with self._kept():
            self._stream.write(text)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        with self._kept():
            self._stream.flush()

    @contextlib.contextmanager
    def _kept(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if not _gone(error, self._stream):
                raise
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())  # the stream's own buffer and child processes write there too
            os.close(nowhere)


def _gone(error: OSError, stream: TextIO) -> bool:
    """Whether writing failed because a pipe has no reader, or because the terminal is not there any more."""
    if error.errno == errno.EIO:  # of a file it is a fault of the disk
        return stat.S_ISCHR(os.fstat(stream.fileno()).st_mode)
    return error.errno == errno.EPIPE
