"""Stopping at the end of a step with all of it saved, as a signal or anybody else asks.

A queue that needs its machine back sends SIGTERM or SIGUSR1 (Slurm: preemption, ``scancel``, ``--signal`` before the
time limit) or SIGUSR2 (submitit), a terminal that is closed SIGHUP. The training finishes its step, writes
``last.ckpt`` and raises ``Stopped``.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

import pytorch_lightning as pl
import torch

from reid import signals

_asked = 0  # number of the signal; a process has one training at a time, as it has one handler of a signal


class Stopped(SystemExit):
    """The training was asked to stop, and what it has done is saved.

    The exit code is 128 and the number of the signal, as shells have it: 143 for SIGTERM, 138 for SIGUSR1.
    """

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.signal = signal.Signals(number)


def ask(number: int = signal.SIGTERM, frame: FrameType | None = None) -> None:
    """Ask the training in this process to save and stop after its step; may itself be the handler of a signal."""
    global _asked
    _asked = number


@contextlib.contextmanager
def listening() -> Iterator[None]:
    """While the block lasts ``signals.heeded`` ask the training to stop; afterwards they do what they did before."""
    before = {number: signal.getsignal(number) for number in signals.STOPPING}
    listen()
    try:
        yield
    finally:
        ask(0)
        for number, handler in before.items():
            _handle(number, handler)


def listen() -> None:
    """Make ``ask`` the handler of ``signals.heeded``; once more where another has taken its place."""
    for number in signals.heeded():
        _handle(number, ask)


def _handle(number: int, handler: object) -> None:
    if threading.current_thread() is threading.main_thread():  # others may not
        signal.signal(number, handler if handler is not None else signal.SIG_DFL)  # type: ignore[arg-type]


def agreed(trainer: pl.Trainer) -> int:
    """The number of the signal by which some process of the training was asked to stop, or 0: the same on all."""
    if trainer.world_size == 1:
        return _asked
    asked = torch.tensor(_asked, device=trainer.strategy.root_device)
    return int(trainer.strategy.reduce(asked, reduce_op="max"))
