import itertools
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from data.pictures import SIZE, resized_by_pil
from PIL import Image

from reid.data import decoding
from reid.data.decoding import Decoded, Put, decode, decode_all
from reid.data.records import Record


def put_into(found: np.ndarray) -> Put:
    def put(first: int, pixels: np.ndarray) -> None:
        found[first : first + len(pixels)] = pixels

    return put


def ignore(first: int, pixels: np.ndarray) -> None:
    pass


def all_of(paths: list[Path], size: tuple[int, int]) -> np.ndarray:
    found = np.ones((len(paths), *size, 3), np.uint8)
    assert list(decode_all(paths, size, put_into(found))) == [True] * len(paths)
    return found


def noise(folder: Path, size: tuple[int, int], mode: str = "RGB", kind: str = "jpg") -> Path:
    """A picture with every frequency in it."""
    pixels = np.random.default_rng(1).integers(0, 256, size=(*size, 3), dtype=np.uint8)
    path = folder / f"{len(list(folder.iterdir()))}.{kind}"
    Image.fromarray(pixels).convert(mode).save(path)
    return path


def refuse(*_: object) -> None:
    raise AssertionError("called")


def test_decode_equals_pil(records: list[Record]) -> None:
    for r in records:
        np.testing.assert_array_equal(decode(r.path, SIZE), resized_by_pil(r.path))


@pytest.mark.parametrize("size", [(64, 32), (50, 26), (64, 26), (50, 32), (49, 26), (25, 13), (150, 78), (51, 27)])
def test_any_enlargement_equals_pils_alone_and_among_others(tmp_path: Path, size: tuple[int, int]) -> None:
    paths = [noise(tmp_path, shape) for shape in [(25, 13)] * 5 + [(32, 16), (49, 25), size]]
    for some in (paths[:5], paths):
        expected = np.stack([resized_by_pil(path, size) for path in some])
        np.testing.assert_array_equal(all_of(some, size), expected)
        loaded = Decoded(tuple(some), size)(np.arange(len(some)))
        np.testing.assert_array_equal(loaded.permute(0, 2, 3, 1).numpy(), expected)


@pytest.mark.parametrize("size", [(33, 17), (66, 34), (64, 32)])
@pytest.mark.parametrize(
    ("kind", "mode"),
    [("jpg", mode) for mode in ("L", "CMYK")] + [("png", mode) for mode in ("1", "L", "LA", "P", "RGBA")],
)
def test_all_kinds_of_pictures_have_pils_pixels(tmp_path: Path, kind: str, mode: str, size: tuple[int, int]) -> None:
    path = noise(tmp_path, (33, 17), mode, kind)
    np.testing.assert_array_equal(all_of([path], size)[0], resized_by_pil(path, size))


def test_jpegs_with_bytes_changed_are_read_or_refused_as_pil_does(tmp_path: Path) -> None:
    size, rng = (32, 16), np.random.default_rng(0)
    path = noise(tmp_path, size)
    whole, outcomes = path.read_bytes(), set()
    for i in range(60):
        content = bytearray(whole)
        content[rng.integers(2, len(whole))] = rng.integers(256)
        path.write_bytes(content[: rng.integers(2, len(whole))] if i % 4 == 0 else content)
        found: np.ndarray = np.ones((1, *size, 3), np.uint8)
        (readable,) = decode_all([path], size, put_into(found))
        try:
            expected = resized_by_pil(path, size)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            assert not readable
            expected = np.zeros_like(found[0])
        else:
            assert readable
        np.testing.assert_array_equal(found[0], expected)
        outcomes.add(readable)
    assert outcomes == {True, False}


def test_a_jpeg_that_claims_to_be_huge_is_refused_undecoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = noise(tmp_path, SIZE)
    content = bytearray(path.read_bytes())
    frame = content.index(b"\xff\xc0")  # marker, length and precision before height and width
    content[frame + 5 : frame + 9] = struct.pack(">HH", 13400, 13400)
    path.write_bytes(content)
    monkeypatch.setattr(Image.Image, "convert", refuse)
    with pytest.raises(OSError, match="decompression bomb"):
        decode(path, SIZE)


@pytest.mark.parametrize("ahead", [0, 1, 5, 100])
def test_many_come_in_order(records: list[Record], ahead: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "_AHEAD", ahead)
    paths = [r.path for r in records] * 9
    found = np.ones((len(paths), *SIZE, 3), np.uint8)
    assert list(decode_all(paths, SIZE, put_into(found))) == [True] * len(paths)
    for path, pixels in zip(paths, found, strict=True):
        np.testing.assert_array_equal(pixels, resized_by_pil(path))


def test_what_cannot_be_read_keeps_its_place(records: list[Record]) -> None:
    os.truncate(records[2].path, 30)
    paths = [records[1].path, records[2].path, Path("none.jpg"), records[3].path]
    found = np.ones((4, *SIZE, 3), np.uint8)
    assert list(decode_all(paths, SIZE, put_into(found))) == [True, False, False, True]
    for i, path in enumerate(paths):
        np.testing.assert_array_equal(found[i], resized_by_pil(path) if i in (0, 3) else 0)


def test_no_more_than_a_few_are_decoded_before_they_are_asked_for(
    records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = []
    monkeypatch.setattr(decoding, "_AHEAD", 3)
    monkeypatch.setattr(decoding, "TOGETHER", 2)
    monkeypatch.setattr(decoding, "decode", lambda path, size: decoded.append(path) or decode(path, size))
    assert len(list(itertools.islice(decode_all([records[0].path] * 100, SIZE, ignore), 5))) == 5
    assert len(decoded) <= 6 + 2 * 4


def test_how_fast_it_was_is_told_of_what_takes_long(
    records: list[Record], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    paths = [r.path for r in records]
    list(decode_all(paths, SIZE, ignore))
    assert capsys.readouterr().err == ""
    clock = itertools.count(0, 3.5)
    monkeypatch.setattr("reid.data.progress.time.perf_counter", lambda: next(clock))
    list(decode_all(paths, SIZE, ignore))
    assert capsys.readouterr().err == "decoding: 7 images in 3.5 s, 2 images/s\n"
