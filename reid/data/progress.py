"""How far work over many images is: a bar on a terminal, else one line at the end."""

import sys
import threading
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")

_SHORT = 2.0  # seconds of which nothing is said


class Bar(tqdm):
    """With a lock of this process: tqdm's own is shared with forked ones, and one killed while it has it stops all."""


Bar.set_lock(threading.RLock())


def counted(images: Iterable[Item], total: int, doing: str) -> Iterator[Item]:
    """``images`` as they are, with the progress on stderr if they take more than two seconds."""
    begin = time.perf_counter()
    # None of ``disable`` asks whether there is a terminal
    yield from Bar(images, doing, total, unit="image", delay=_SHORT, disable=None, dynamic_ncols=True)
    seconds = time.perf_counter() - begin
    if seconds > _SHORT and not sys.stderr.isatty():
        print(f"{doing}: {total:,} images in {seconds:.1f} s, {total / seconds:,.0f} images/s", file=sys.stderr)
