"""Stores are built once, by one of many who want them, and whole or not at all."""

import errno
import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from data.pictures import SIZE, check, no_decoding, the_store
from disks import disk, make_read_only

from reid.data import decoding, locks, room
from reid.data.decoding import decode
from reid.data.records import Record
from reid.data.store import open_images
from reid.data.stores import remove, stores
from reid.errors import UserError

FORK = get_context("fork")
LARGE = (256, 128)  # 96 KiB an image


def before_decoding(monkeypatch: pytest.MonkeyPatch, path: Path, do: Callable[[], object]) -> None:
    def decode_then(given: Path, size: tuple[int, int]) -> np.ndarray:
        if given == path:
            do()
        return decode(given, size)

    monkeypatch.setattr(decoding, "decode", decode_then)


def until(condition: Callable[[], object]) -> None:
    for _ in range(2000):
        if condition():
            return
        time.sleep(0.005)
    raise AssertionError("it does not come")


@pytest.mark.parametrize("failure", [KeyboardInterrupt, MemoryError])
def test_a_build_that_is_stopped_leaves_nothing(
    records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: type[BaseException]
) -> None:
    def stop() -> None:
        raise failure

    with monkeypatch.context() as patch:
        before_decoding(patch, records[3].path, stop)
        with pytest.raises(failure):
            open_images(records, SIZE, cache=tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []
    check(open_images(records, SIZE, cache=tmp_path / "cache"), records)


def test_threads_that_want_one_store_all_get_it(records: list[Record], tmp_path: Path) -> None:
    cache, start = tmp_path / "cache", threading.Barrier(4)
    outcomes: list[object] = []

    def build() -> None:
        start.wait()
        try:
            check(open_images(records, SIZE, cache=cache), records)
            outcomes.append(None)
        except Exception as error:
            outcomes.append(error)

    threads = [threading.Thread(target=build) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == [None] * 4
    assert len(list(cache.iterdir())) == 1


def test_another_process_waits_for_the_builder_and_decodes_nothing(
    records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cache, go_on = tmp_path / "cache", FORK.Event()
    with monkeypatch.context() as patch:
        before_decoding(patch, records[3].path, lambda: go_on.wait(60))
        builder = FORK.Process(target=lambda: open_images(records, SIZE, cache=cache))
        builder.start()
    until(lambda: list(cache.glob("*.partial-*")))
    no_decoding(monkeypatch)
    found = []
    waiting = threading.Thread(target=lambda: found.append(open_images(records, SIZE, cache=cache)))
    waiting.start()
    until(lambda: caplog.records)
    assert not found
    go_on.set()
    for job in (builder, waiting):
        job.join()
    check(found[0], records)
    assert [r.message for r in caplog.records] == [
        f"waiting for another run that builds the image store {the_store(cache)}"
    ]


def test_a_builder_that_is_killed_holds_nobody_up(
    records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    with monkeypatch.context() as patch:
        before_decoding(patch, records[3].path, lambda: time.sleep(60))
        builder = FORK.Process(target=lambda: open_images(records, SIZE, cache=cache))
        builder.start()
    until(lambda: list(cache.glob("*.partial-*/images.npy")))
    os.kill(builder.pid, signal.SIGKILL)
    builder.join()
    assert len(list(cache.iterdir())) == 2  # its part and its lock
    check(open_images(records, SIZE, cache=cache), records)
    assert len(list(cache.iterdir())) == 1


def test_what_killed_builders_left_goes_with_the_next_build_and_what_others_build_stays(
    records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, go_on = tmp_path / "cache", FORK.Event()
    open_images(records, (8, 8), cache=cache)
    left = the_store(cache)
    left.rename(left.with_name(f"{left.name}.partial-{os.getpid()}"))
    (cache / "something.partial-1").mkdir()  # not ours
    with monkeypatch.context() as patch:
        before_decoding(patch, records[3].path, lambda: go_on.wait(60))
        builder = FORK.Process(target=lambda: open_images(records, (9, 9), cache=cache))
        builder.start()
    until(lambda: list(cache.glob("9x9-*.partial-*")))
    check(open_images(records, SIZE, cache=cache), records)
    go_on.set()
    builder.join()
    assert sorted(path.name.split("-")[0] for path in cache.iterdir()) == ["24x12", "9x9", "something.partial"]


def test_cache_that_cannot_be_written_is_told(records: list[Record], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for cache in (tmp_path / "file", tmp_path / "file" / "x", tmp_path / "loop"):
        with pytest.raises(UserError, match="cannot write the image store") as caught:
            open_images(records, SIZE, cache=cache)
        assert "image.cache_dir" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_too_small_a_disk_is_told_before_anything_is_decoded(
    records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_decoding(monkeypatch)
    with disk(tmp_path / "disk", 512) as cache:
        with pytest.raises(UserError, match="of 7 images needs 0.7 MiB and .* has 0.5 MiB free") as caught:
            open_images(records, LARGE, cache=cache)
        assert list(cache.iterdir()) == []
    for way_out in ("image.cache_dir", "image.cache=memory", "image.cache=false"):
        assert way_out in str(caught.value)


def test_a_disk_that_fills_up_meanwhile_leaves_nothing_of_the_store(
    records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with disk(tmp_path / "disk", 1024) as cache:
        before_decoding(monkeypatch, records[2].path, lambda: (cache / "other").write_bytes(bytes(600 * 1024)))
        with pytest.raises(UserError, match="cannot write the image store in .*: No space left.* is removed"):
            open_images(records, LARGE, cache=cache)
        assert [path.name for path in cache.iterdir()] == ["other"]
        (cache / "other").unlink()
        monkeypatch.undo()
        check(open_images(records, LARGE, cache=cache), records, LARGE)


def test_a_store_on_a_disk_that_is_read_only_can_be_opened_and_none_be_built(
    records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with disk(tmp_path / "disk", 1024) as cache:
        open_images(records, SIZE, cache=cache)
        make_read_only(cache)
        with pytest.raises(UserError, match="cannot write the image store in .*: Read-only file system"):
            open_images(records, LARGE, cache=cache)
        no_decoding(monkeypatch)
        check(open_images(records, SIZE, cache=cache), records)


def test_pictures_on_a_disk_that_is_read_only(records: list[Record], tmp_path: Path) -> None:
    with disk(tmp_path / "disk", 1024) as folder:
        copies = [Record(folder / r.path.name, r.pid, 1) for r in records]
        for copy, r in zip(copies, records, strict=True):
            copy.path.write_bytes(r.path.read_bytes())
        make_read_only(folder)
        check(open_images(copies, SIZE, cache=tmp_path / "cache"), copies)


def test_too_little_memory_is_told_before_anything_is_decoded(
    records: list[Record], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    images = open_images(records, LARGE, cache="memory")
    assert capsys.readouterr().err == "7 decoded images take 0.7 MiB of memory\n"
    del images
    no_decoding(monkeypatch)
    monkeypatch.setattr(room, "available_memory", lambda: 600 * 1024)
    with pytest.raises(UserError, match="image.cache=memory needs 0.7 MiB for 7 images and 0.6 MiB are") as caught:
        open_images(records, LARGE, cache="memory")
    for way_out in ("image.cache=disk", "image.cache=false"):
        assert way_out in str(caught.value)


def test_memory_that_is_available_is_part_of_that_of_the_machine() -> None:
    available = room.available_memory()
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert available is None or 0 < available <= whole


def test_a_file_system_without_locks_does_for_one_run(
    records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(locks.fcntl, "flock", refuse)
    check(open_images(records, SIZE, cache=tmp_path / "cache"), records)
    assert [s.state for s in stores(tmp_path / "cache")] == ["complete"]
    with pytest.raises(OSError, match="No locks"):  # nothing tells whether it is in use
        remove(the_store(tmp_path / "cache"))
    check(open_images(records, SIZE, cache=tmp_path / "cache"), records)
