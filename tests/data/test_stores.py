import json
import os
import time
from multiprocessing import get_context
from pathlib import Path

import pytest
from data.pictures import SIZE, check
from data.test_store import DAMAGE

from reid.data.locks import locked
from reid.data.records import Record
from reid.data.store import open_images
from reid.data.stores import lock_of, remove, stores


@pytest.fixture
def cache(records: list[Record], tmp_path: Path) -> Path:
    """A store of 24x12 and one of 8x8, which was used a day before."""
    cache = tmp_path / "cache"
    for size, days in ((SIZE, 0), ((8, 8), 1)):
        open_images(records, size, cache=cache)
        (folder,) = cache.glob(f"{size[0]}x*")
        os.utime(folder / "store.json", (time.time() - days * 86400,) * 2)
    return cache


def test_all_are_found_the_last_used_first(cache: Path) -> None:
    first, second = stores(cache)
    assert first.name.startswith("24x12-")
    assert second.name.startswith("8x8-")
    for store, pixels, age in ((first, 24 * 12, 0), (second, 64, 86400)):
        assert store.path == cache / store.name
        assert store.images == 7
        assert store.size == sum(file.stat().st_size for file in store.path.iterdir())
        assert 7 * pixels * 3 < store.size < 7 * pixels * 3 + 1000
        assert time.time() - store.used == pytest.approx(age, abs=60)
        assert store.state == "complete"


def test_opening_is_use(cache: Path, records: list[Record]) -> None:
    open_images(records, (8, 8), cache=cache)
    assert time.time() - next(s for s in stores(cache) if s.name.startswith("8x8-")).used < 60


def test_a_folder_that_is_not_there_holds_none(tmp_path: Path) -> None:
    assert stores(tmp_path / "none") == []


@pytest.mark.parametrize("damage", sorted(set(DAMAGE) - {"flipped byte"}))  # for which one has to read it all
def test_damage_is_seen(cache: Path, damage: str) -> None:
    DAMAGE[damage](stores(cache)[0].path)
    assert sorted(s.state for s in stores(cache)) == ["complete", "damaged"]
    for store in stores(cache):
        assert remove(store.path)
    assert list(cache.iterdir()) == []


def test_another_version_is_seen(cache: Path) -> None:
    file = stores(cache)[0].path / "store.json"
    told = json.loads(file.read_text())
    file.write_text(json.dumps({**told, "version": told["version"] - 1}))
    assert sorted(s.state for s in stores(cache)) == ["complete", "of another version"]


def test_a_store_in_use_stays(cache: Path, records: list[Record]) -> None:
    images = open_images(records, SIZE, cache=cache)
    used, other = stores(cache)
    assert (used.state, other.state) == ("in use", "complete")
    assert not remove(used.path)
    assert remove(other.path)
    check(images, records)
    del images
    assert [s.state for s in stores(cache)] == ["complete"]
    assert remove(used.path)
    assert list(cache.iterdir()) == []


def test_a_store_in_use_by_a_worker_process_stays(cache: Path, records: list[Record]) -> None:
    context = get_context("fork")
    images, done = open_images(records, SIZE, cache=cache), context.Event()
    worker = context.Process(target=done.wait, args=(60,))
    worker.start()
    del images
    used = stores(cache)[0]
    assert used.state == "in use"
    assert not remove(used.path)
    done.set()
    worker.join()
    assert remove(used.path)


def test_what_is_being_built_stays_and_what_a_killed_builder_left_does_not(cache: Path) -> None:
    store = stores(cache)[0].path
    partial = store.rename(store.with_name(f"{store.name}.partial-0123456789ab"))

    def state() -> str:
        return next(s.state for s in stores(cache) if s.path == partial)

    with locked(lock_of(partial)):
        assert state() == "being built"
        assert not remove(partial)
    lock_of(partial).touch()  # of a builder that was killed
    assert state() == "partial"
    assert remove(partial)
    assert len(list(cache.iterdir())) == 1


def test_nothing_else_is_ever_taken_for_a_store(cache: Path, tmp_path: Path) -> None:
    known = stores(cache)
    name = known[0].name
    (cache / f"{name}.npy").write_text("a file")
    (cache / f"my {name}").mkdir()
    (cache / "256x128").mkdir()
    (cache / name.replace("24", "25")).symlink_to(tmp_path)
    (cache / name.replace("24", "26")).write_text("a file")
    assert stores(cache) == known
