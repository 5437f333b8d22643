import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from reid.data.locks import locked, share, unused

FORK = get_context("fork")


@contextlib.contextmanager
def elsewhere(job: Callable[[], object]) -> Iterator[int]:
    """Another process that does ``job``, has done it, and stays; its number."""
    ready = FORK.Event()

    def work() -> None:
        kept = job()
        ready.set()
        time.sleep(60)
        del kept

    process = FORK.Process(target=work)
    process.start()
    assert ready.wait(10)
    try:
        yield process.pid
    finally:
        process.kill()
        process.join()


def test_a_lock_is_for_one_at_a_time_and_leaves_no_file(tmp_path: Path) -> None:
    file = tmp_path / "a.lock"
    with locked(file) as first:
        assert first
        with locked(file) as second, unused(file) as free:
            assert not second
            assert not free
        assert file.exists()
    assert not file.exists()
    with locked(file) as again, locked(tmp_path / "b.lock") as other:
        assert again
        assert other


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    file, lasting = tmp_path / "a.lock", contextlib.ExitStack()
    with elsewhere(lambda: lasting.enter_context(locked(file))) as process:
        with locked(file) as held:
            assert not held
        os.kill(process, signal.SIGKILL)
        with locked(file, "waiting") as held:
            assert held
    assert not file.exists()


def test_many_who_wait_come_one_after_the_other_and_say_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file, inside, most = tmp_path / "a.lock", [], []

    def work(i: int) -> None:
        with locked(file, f"waiting {i}"):
            inside.append(i)
            most.append(len(inside))
            time.sleep(0.005)
            inside.remove(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 12
    told = [record.message for record in caplog.records]
    assert told
    assert len(told) == len(set(told))
    assert not file.exists()


def test_a_file_is_in_use_while_a_map_of_it_is_open_here_or_in_a_process_forked_from_here(tmp_path: Path) -> None:
    path = tmp_path / "numbers"
    path.write_bytes(bytes(5000))

    def free() -> bool:
        with unused(path) as found:
            return found

    def mapped() -> np.ndarray:
        with path.open("rb") as file:
            share(file)
            return np.memmap(file, dtype=np.uint8, mode="r")

    assert free()
    first, second = mapped(), mapped()
    assert not free()
    del first
    assert not free()
    with elsewhere(lambda: None):
        del second
        assert not free()
    assert free()


def test_what_is_not_there_is_unused(tmp_path: Path) -> None:
    with unused(tmp_path / "none") as free:
        assert free
    assert list(tmp_path.iterdir()) == []
