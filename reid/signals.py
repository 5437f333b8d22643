"""The signals at which a run saves and ends; without torch, so that a sweep's own processes are small."""

import signal

STOPPING = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP)


def heeded() -> list[signal.Signals]:
    """Those of ``STOPPING`` that this process takes: not SIGHUP where it is ignored, as under ``nohup``.

    The others count even where they are ignored, as in a script with ``trap '' USR1``: a queue means them.
    """
    return [n for n in STOPPING if n != signal.SIGHUP or signal.getsignal(n) is not signal.SIG_IGN]
