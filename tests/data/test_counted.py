import multiprocessing
import os
import signal
import threading

import pytest

from reid.data.progress import Bar, counted

FORK = multiprocessing.get_context("fork") if hasattr(os, "fork") else None


@pytest.mark.skipif(FORK is None, reason="this system does not fork")
def test_a_process_killed_while_it_draws_its_bar_holds_nobody_up() -> None:
    def killed() -> None:
        Bar.get_lock().acquire()
        os.kill(os.getpid(), signal.SIGKILL)

    child = FORK.Process(target=killed)
    child.start()
    child.join()
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.extend(counted([3, 4], 2, "counting")), daemon=True)
    thread.start()
    thread.join(20)
    assert found == [3, 4]
