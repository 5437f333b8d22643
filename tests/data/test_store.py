"""The pictures that a store gives, and when it is used again, built anew or refused. Building is in test_building."""

import json
import multiprocessing
import os
import pickle
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from data.pictures import SIZE, check, no_decoding, resized_by_pil, the_store
from PIL import Image

from reid.data import store
from reid.data.records import Record
from reid.data.store import Cache, Images, open_images
from reid.errors import UserError


@pytest.fixture(params=["disk", "memory", "none"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> Cache:
    return {"disk": tmp_path / "cache", "memory": "memory", "none": None}[request.param]


def test_the_pixels_are_those_of_the_files(records: list[Record], cache: Cache) -> None:
    check(open_images(records, SIZE, cache=cache), records)


def test_folders_are_made(records: list[Record], tmp_path: Path) -> None:
    check(open_images(records, SIZE, cache=tmp_path / "a" / "new" / "cache"), records)


def test_more_images_than_one_chunk(records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_CHUNK", 3)
    many = records * 9
    check(open_images(many, SIZE, cache=tmp_path / "cache"), many)
    store._CHECKED.clear()  # as another process finds it
    no_decoding(monkeypatch)
    check(open_images(many, SIZE, cache=tmp_path / "cache"), many)


def test_second_opening_decodes_nothing(records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_images(records, SIZE, cache=tmp_path / "cache")
    no_decoding(monkeypatch)
    check(open_images(records, SIZE, cache=tmp_path / "cache"), records)


def test_what_is_held_in_memory_is_decoded_once_and_written_nowhere(
    records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    images = open_images(records, SIZE, cache="memory")
    no_decoding(monkeypatch)
    check(open_images(records, SIZE, cache="memory"), records)
    check(images, records)
    assert sorted(tmp_path.rglob("*")) == before
    del images
    with pytest.raises(AssertionError, match="decoded again"):  # nobody had them any more
        open_images(records, SIZE, cache="memory")


def test_a_batch_may_be_written_to_without_harm(records: list[Record], cache: Cache) -> None:
    images = open_images(records, SIZE, cache=cache)
    images.load(np.arange(7)).zero_()
    check(images, records)


@pytest.mark.parametrize("unreadable", [False, True])
def test_images_are_picked_as_numpy_picks_rows(records: list[Record], cache: Cache, unreadable: bool) -> None:
    if unreadable:
        os.truncate(records[0].path, 30)
    images = open_images(records, SIZE, cache=cache, skip_unreadable=True)
    count = len(images)
    pixels = np.stack([resized_by_pil(r.path) for r in images.records])
    whole = np.arange(count)
    for index in (whole[::-1], whole[::2], whole % 2 == 0, -1 - whole[:3], np.array([0, 2], np.uint8)):
        np.testing.assert_array_equal(images.load(index).permute(0, 2, 3, 1).numpy(), pixels[index])
    for index in (np.array([0, count]), np.array([-count - 1]), np.ones(count + 1, bool), np.array([1.0])):
        with pytest.raises(IndexError):
            images.load(index)


def test_sizes_have_stores_of_their_own(records: list[Record], tmp_path: Path) -> None:
    open_images(records, (8, 8), cache=tmp_path / "cache")
    check(open_images(records, SIZE, cache=tmp_path / "cache"), records)
    assert len(list((tmp_path / "cache").iterdir())) == 2


@pytest.mark.parametrize("change", ["content", "time only", "another file"])
def test_a_change_of_the_files_is_noticed(records: list[Record], cache: Cache, change: str) -> None:
    before = open_images(records, SIZE, cache=cache)
    path = records[4].path
    if change == "content":
        Image.new("RGB", (30, 60), (10, 200, 30)).save(path)
    elif change == "time only":  # an edit that keeps the length
        stat = path.stat()
        path.write_bytes(records[4].path.read_bytes())
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    else:
        path = path.with_name("new.png")
        Image.new("RGB", (30, 60), (10, 200, 30)).save(path)
        records.append(Record(path, 9, 1))
    check(open_images(records, SIZE, cache=cache), records)
    if isinstance(cache, Path):
        assert len(list(cache.iterdir())) == 2
    assert len(before) == 7


def test_a_link_to_the_folder_leads_to_the_same_store(
    records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_images(records, SIZE, cache=tmp_path / "cache")
    (tmp_path / "link").symlink_to(records[0].path.parent)
    linked = [Record(tmp_path / "link" / r.path.name, r.pid, r.camid) for r in records]
    no_decoding(monkeypatch)
    check(open_images(linked, SIZE, cache=tmp_path / "cache"), linked)


def test_names_with_blanks_and_of_any_script(records: list[Record], cache: Cache, tmp_path: Path) -> None:
    folder = tmp_path / "képek és\n图像 %s {x}"
    folder.mkdir()
    named = [Record(r.path.rename(folder / f"č {i}'\"{r.path.suffix}"), r.pid, 1) for i, r in enumerate(records)]
    if cache == tmp_path / "cache":
        cache = folder / "ca che"
    check(open_images(named, SIZE, cache=cache), named)
    check(open_images(named, SIZE, cache=cache), named)


def flip_a_byte(folder: Path) -> None:
    file = folder / "images.npy"
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(content)


DAMAGE = {
    "truncated": lambda f: os.truncate(f / "images.npy", (f / "images.npy").stat().st_size - 1),
    "empty": lambda f: os.truncate(f / "images.npy", 0),
    "flipped byte": flip_a_byte,
    "no pixels": lambda f: (f / "images.npy").unlink(),
    "no description": lambda f: (f / "store.json").unlink(),
    "half a description": lambda f: os.truncate(f / "store.json", 9),
    "another description": lambda f: (f / "store.json").write_text("null"),
    "empty folder": lambda f: [g.unlink() for g in f.iterdir()],
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_noticed_and_mended(
    records: list[Record],
    tmp_path: Path,
    damage: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cache = tmp_path / "cache"
    open_images(records, SIZE, cache=cache)
    DAMAGE[damage](the_store(cache))
    for file in the_store(cache).iterdir():
        os.utime(file, (time.time() + 9, time.time() + 9))  # the clock of a file system may tick slowly
    check(open_images(records, SIZE, cache=cache), records)
    assert f"the image store {the_store(cache)} is damaged" in caplog.text
    no_decoding(monkeypatch)
    check(open_images(records, SIZE, cache=cache), records)


def test_the_pixels_of_a_store_are_read_through_once_in_a_process(
    records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_images(records, SIZE, cache=tmp_path / "cache")
    with monkeypatch.context() as patch:
        patch.setattr(store.zlib, "crc32", lambda *_: pytest.fail("read again"))
        images = open_images(records, SIZE, cache=tmp_path / "cache")
    check(images, records)


def damaged(records: list[Record]) -> list[Path]:
    """Cut one JPEG short and put text in a PNG."""
    short, text = records[1].path, records[4].path
    os.truncate(short, short.stat().st_size // 2)
    text.write_text("no picture")
    return [short, text]


def test_unreadable_images_are_left_out_on_demand_and_counted(records: list[Record], cache: Cache) -> None:
    bad = damaged(records)
    kept = []
    for _ in range(2):  # built, then opened
        images = open_images(records, SIZE, cache=cache, skip_unreadable=True)
        assert images.unreadable == tuple(bad)
        assert len(images) == 5
        check(images, [r for r in records if r.path not in bad])
        kept.append(images)


def test_unreadable_image_is_named(records: list[Record], cache: Cache) -> None:
    bad = damaged(records)
    with pytest.raises(UserError, match="not a readable image") as caught:
        open_images(records, SIZE, cache=cache)
    message = str(caught.value)
    assert str(bad[0]) in message
    assert "and 1 more" in message
    assert "data.skip_unreadable=true" in message
    assert "\n" not in message
    if isinstance(cache, Path):
        assert list(cache.iterdir()) == []


def test_unreadable_image_is_named_by_who_did_not_skip_it(records: list[Record], cache: Cache) -> None:
    bad = damaged(records)
    skipped = open_images(records, SIZE, cache=cache, skip_unreadable=True)
    with pytest.raises(UserError, match="not a readable image") as caught:
        open_images(records, SIZE, cache=cache)
    assert str(bad[0]) in str(caught.value)
    assert len(skipped) == 5


def test_image_that_became_unreadable_is_named(records: list[Record]) -> None:
    images = open_images(records, SIZE, cache=None)
    bad = damaged(records)
    with pytest.raises(UserError, match="not a readable image") as caught:
        images.load(np.arange(len(records)))
    assert str(bad[0]) in str(caught.value)


def test_images_can_be_pickled(records: list[Record], cache: Cache) -> None:
    check(pickle.loads(pickle.dumps(open_images(records, SIZE, cache=cache))), records)


def load_elsewhere(images: Images, queue: multiprocessing.Queue) -> None:
    queue.put(images.load(np.arange(7)).numpy())


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_images_can_be_sent_to_another_process(records: list[Record], cache: Cache, start: str) -> None:
    context = torch.multiprocessing.get_context(start)
    images, queue = open_images(records, SIZE, cache=cache), context.Queue()
    process = context.Process(target=load_elsewhere, args=(images, queue))
    process.start()
    found = queue.get(timeout=60)
    process.join()
    for pixels, r in zip(found, records, strict=True):
        np.testing.assert_array_equal(pixels.transpose(1, 2, 0), resized_by_pil(r.path))


def test_missing_file_is_named(records: list[Record], tmp_path: Path, cache: Cache) -> None:
    gone = Record(tmp_path / "gone.jpg", 1, 1)
    with pytest.raises(UserError, match="gone.jpg"):
        open_images([*records, gone], SIZE, cache=cache)


def test_link_to_itself_is_named(records: list[Record], tmp_path: Path, cache: Cache) -> None:
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    with pytest.raises(UserError, match="loop.jpg.*mend or remove"):
        open_images([*records, Record(tmp_path / "loop.jpg", 1, 1)], SIZE, cache=cache)


def test_description_tells_what_the_store_holds(records: list[Record], tmp_path: Path) -> None:
    open_images(records, SIZE, cache=tmp_path / "cache")
    told = json.loads((the_store(tmp_path / "cache") / "store.json").read_text())
    assert (told["images"], told["size"], told["unreadable"]) == (7, [24, 12], [])
    pixels = np.load(the_store(tmp_path / "cache") / "images.npy")
    for image, r in zip(pixels, records, strict=True):
        np.testing.assert_array_equal(image, resized_by_pil(r.path))
