import json
import os
import pickle
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reid.data import store
from reid.data.records import Record
from reid.data.store import Images, decode, open_images
from reid.errors import UserError

SIZE = (24, 12)


@pytest.fixture
def records(tmp_path: Path) -> list[Record]:
    """Seven pictures of several sizes, modes and formats."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "pictures"
    folder.mkdir()
    kinds = [("RGB", "jpg"), ("L", "jpg"), ("RGBA", "png"), ("P", "png"), ("RGB", "png"), ("RGB", "jpg"), ("1", "png")]
    found = []
    for i, (mode, suffix) in enumerate(kinds):
        pixels = rng.integers(0, 256, size=(40 + i, 20 + 2 * i, 3), dtype=np.uint8)
        path = folder / f"{i}.{suffix}"
        Image.fromarray(pixels).convert(mode).save(path)
        found.append(Record(path, i, 1))
    return found


def resized_by_pil(path: Path) -> np.ndarray:
    """[H, W, 3]"""
    return np.asarray(Image.open(path).convert("RGB").resize((SIZE[1], SIZE[0]), Image.Resampling.BILINEAR))


def check(images: Images, records: list[Record]) -> None:
    """The pictures are those of the records, in any order of asking."""
    assert images.records == tuple(records)
    index = np.array([*range(len(records) - 1, -1, -1), 0, 0])
    batch = images.load(index)
    assert str(batch.dtype) == "torch.uint8"
    assert batch.shape == (len(index), 3, *SIZE)
    for place, i in enumerate(index):
        np.testing.assert_array_equal(batch[place].permute(1, 2, 0).numpy(), resized_by_pil(records[i].path))


def no_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, size: tuple[int, int]) -> np.ndarray:
        raise AssertionError(f"{path} is decoded again")

    monkeypatch.setattr(store, "decode", refuse)


def the_store(cache: Path) -> Path:
    (folder,) = cache.iterdir()
    return folder


def test_decode_equals_pil(records: list[Record]) -> None:
    for r in records:
        np.testing.assert_array_equal(decode(r.path, SIZE), resized_by_pil(r.path))


def test_store_and_files_give_the_same_pixels(records: list[Record], tmp_path: Path) -> None:
    check(open_images(records, SIZE, cache_dir=None), records)
    check(open_images(records, SIZE, cache_dir=tmp_path / "a" / "new" / "cache"), records)


def test_more_images_than_one_chunk(records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_CHUNK", 3)
    check(open_images(records, SIZE, cache_dir=tmp_path / "cache"), records)
    no_decoding(monkeypatch)
    check(open_images(records, SIZE, cache_dir=tmp_path / "cache"), records)


def test_second_opening_decodes_nothing(records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_images(records, SIZE, cache_dir=tmp_path / "cache")
    no_decoding(monkeypatch)
    check(open_images(records, SIZE, cache_dir=tmp_path / "cache"), records)


def test_a_batch_may_be_written_to_without_harm_to_the_store(records: list[Record], tmp_path: Path) -> None:
    images = open_images(records, SIZE, cache_dir=tmp_path / "cache")
    images.load(np.arange(7)).zero_()
    check(images, records)


def test_sizes_have_stores_of_their_own(records: list[Record], tmp_path: Path) -> None:
    open_images(records, (8, 8), cache_dir=tmp_path / "cache")
    check(open_images(records, SIZE, cache_dir=tmp_path / "cache"), records)
    assert len(list((tmp_path / "cache").iterdir())) == 2


@pytest.mark.parametrize("change", ["content", "time only", "another file"])
def test_a_change_of_the_files_is_noticed(records: list[Record], tmp_path: Path, change: str) -> None:
    open_images(records, SIZE, cache_dir=tmp_path / "cache")
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
    check(open_images(records, SIZE, cache_dir=tmp_path / "cache"), records)
    assert len(list((tmp_path / "cache").iterdir())) == 2


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
    open_images(records, SIZE, cache_dir=cache)
    DAMAGE[damage](the_store(cache))
    check(open_images(records, SIZE, cache_dir=cache), records)
    assert f"the image store {the_store(cache)} is damaged" in caplog.text
    no_decoding(monkeypatch)
    check(open_images(records, SIZE, cache_dir=cache), records)


@pytest.mark.parametrize("failure", [KeyboardInterrupt, MemoryError])
def test_a_build_that_is_stopped_leaves_nothing(
    records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: type[BaseException]
) -> None:
    def stop(path: Path, size: tuple[int, int]) -> np.ndarray:
        if path == records[3].path:
            raise failure
        return decode(path, size)

    with monkeypatch.context() as patch:
        patch.setattr(store, "decode", stop)
        with pytest.raises(failure):
            open_images(records, SIZE, cache_dir=tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []
    check(open_images(records, SIZE, cache_dir=tmp_path / "cache"), records)


def test_what_a_killed_build_left_does_not_block_the_next(records: list[Record], tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    open_images(records, SIZE, cache_dir=cache)
    folder = the_store(cache)
    folder.rename(folder.with_name(f"{folder.name}.partial-{os.getpid()}"))  # process numbers come again
    check(open_images(records, SIZE, cache_dir=cache), records)


def test_two_builders_of_one_store_both_succeed(records: list[Record], tmp_path: Path) -> None:
    cache, start = tmp_path / "cache", threading.Barrier(4)
    outcomes: list[object] = []

    def build() -> None:
        start.wait()
        try:
            check(open_images(records, SIZE, cache_dir=cache), records)
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


def damaged(records: list[Record]) -> list[Path]:
    """Cut one JPEG short and put text in a PNG."""
    short, text = records[1].path, records[4].path
    os.truncate(short, short.stat().st_size // 2)
    text.write_text("no picture")
    return [short, text]


@pytest.mark.parametrize("cached", [True, False])
def test_unreadable_images_are_left_out_on_demand_and_counted(
    records: list[Record], tmp_path: Path, cached: bool
) -> None:
    bad = damaged(records)
    cache = tmp_path / "cache" if cached else None
    for _ in range(2):  # built, then opened
        images = open_images(records, SIZE, cache_dir=cache, skip_unreadable=True)
        assert images.unreadable == tuple(bad)
        assert len(images) == 5
        check(images, [r for r in records if r.path not in bad])


def test_unreadable_image_is_named_when_the_store_is_built(records: list[Record], tmp_path: Path) -> None:
    bad = damaged(records)
    with pytest.raises(UserError, match="not a readable image") as caught:
        open_images(records, SIZE, cache_dir=tmp_path / "cache")
    message = str(caught.value)
    assert str(bad[0]) in message
    assert "and 1 more" in message
    assert "data.skip_unreadable=true" in message
    assert "\n" not in message
    assert list((tmp_path / "cache").iterdir()) == []


def test_unreadable_image_is_named_when_a_store_that_skipped_it_is_opened(
    records: list[Record], tmp_path: Path
) -> None:
    bad = damaged(records)
    open_images(records, SIZE, cache_dir=tmp_path / "cache", skip_unreadable=True)
    with pytest.raises(UserError, match="not a readable image") as caught:
        open_images(records, SIZE, cache_dir=tmp_path / "cache")
    assert str(bad[0]) in str(caught.value)


def test_unreadable_image_is_named_without_a_store_too(records: list[Record]) -> None:
    images = open_images(records, SIZE, cache_dir=None)
    bad = damaged(records)
    for ask in (lambda: open_images(records, SIZE, cache_dir=None), lambda: images.load(np.arange(len(records)))):
        with pytest.raises(UserError, match="not a readable image") as caught:
            ask()
        assert str(bad[0]) in str(caught.value)


@pytest.mark.parametrize("cached", [True, False])
def test_images_can_be_sent_to_another_process(records: list[Record], tmp_path: Path, cached: bool) -> None:
    images = open_images(records, SIZE, cache_dir=tmp_path / "cache" if cached else None)
    check(pickle.loads(pickle.dumps(images)), records)


@pytest.mark.parametrize("cached", [True, False])
def test_missing_file_is_named(records: list[Record], tmp_path: Path, cached: bool) -> None:
    gone = Record(tmp_path / "gone.jpg", 1, 1)
    with pytest.raises(UserError, match="gone.jpg"):
        open_images([*records, gone], SIZE, cache_dir=tmp_path / "cache" if cached else None).load(np.arange(8))


def test_cache_that_cannot_be_written_is_told(records: list[Record], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write the image store") as caught:
        open_images(records, SIZE, cache_dir=tmp_path / "file")
    assert "image.cache_dir" in str(caught.value)


def test_description_tells_what_the_store_holds(records: list[Record], tmp_path: Path) -> None:
    open_images(records, SIZE, cache_dir=tmp_path / "cache")
    told = json.loads((the_store(tmp_path / "cache") / "store.json").read_text())
    assert (told["images"], told["size"], told["unreadable"]) == (7, [24, 12], [])
