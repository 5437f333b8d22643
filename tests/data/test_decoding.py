import importlib.util
import itertools
import os
import struct
import warnings
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torchvision
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


def noise(folder: Path, size: tuple[int, int], mode: str = "RGB", **how: object) -> Path:
    """A JPEG with every frequency in it."""
    pixels = np.random.default_rng(1).integers(0, 256, size=(*size, 3), dtype=np.uint8)
    path = folder / f"{len(list(folder.iterdir()))}.jpg"
    Image.fromarray(pixels).convert(mode).save(path, **how)
    return path


def imported_anew() -> ModuleType:
    spec = importlib.util.spec_from_file_location("decoding_anew", decoding.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("quality", [10, 75, 100])
@pytest.mark.parametrize(
    ("mode", "how"),
    [("RGB", {"subsampling": i}) for i in range(3)] + [("RGB", {"keep_rgb": True}), ("L", {}), ("CMYK", {})],
)
def test_all_kinds_of_jpeg_have_pils_pixels(
    tmp_path: Path, mode: str, how: dict[str, int], quality: int, progressive: bool
) -> None:
    for size in ((33, 17), (1, 1)):
        path = noise(tmp_path, size, mode, quality=quality, progressive=progressive, **how)
        np.testing.assert_array_equal(decode(path, size), np.asarray(Image.open(path).convert("RGB")))


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


def test_without_torchvisions_decoder_pil_decodes(records: list[Record], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torchvision.io, "decode_jpeg")
    without = imported_anew()
    for r in records:
        np.testing.assert_array_equal(without.decode(r.path, SIZE), resized_by_pil(r.path))
    os.truncate(records[0].path, 700)
    with pytest.raises(OSError, match="truncated"):
        without.decode(records[0].path, SIZE)


def test_torchvision_decodes_without_a_warning_also_where_warnings_are_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = noise(tmp_path, SIZE)
    expected = resized_by_pil(path)
    with warnings.catch_warnings(action="error"):  # as python -W error
        module = imported_anew()
        monkeypatch.setattr(Image.Image, "convert", refuse)
        np.testing.assert_array_equal(module.decode(path, SIZE), expected)


def test_pil_decodes_where_the_filter_of_the_warning_is_lost(tmp_path: Path) -> None:
    path = noise(tmp_path, SIZE)
    with warnings.catch_warnings(action="error"):  # after the import, as pytest -W error does
        np.testing.assert_array_equal(decode(path, SIZE), resized_by_pil(path))


def test_a_jpeg_that_claims_to_be_huge_is_refused_undecoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = noise(tmp_path, SIZE)
    content = bytearray(path.read_bytes())
    frame = content.index(b"\xff\xc0")  # marker, length and precision before height and width
    content[frame + 5 : frame + 9] = struct.pack(">HH", 13400, 13400)
    path.write_bytes(content)
    monkeypatch.setattr(decoding, "decode_jpeg", refuse)
    monkeypatch.setattr(Image.Image, "convert", refuse)
    with pytest.raises(OSError, match="decompression bomb"):
        decode(path, SIZE)


@pytest.mark.parametrize("third", [0x00, 0xD8, 0xFE])
def test_what_only_begins_like_a_jpeg_is_refused(tmp_path: Path, third: int) -> None:
    path = noise(tmp_path, SIZE)
    content = bytearray(path.read_bytes())
    content[2] = third
    path.write_bytes(content)
    with pytest.raises(OSError, match="cannot identify"):
        decode(path, SIZE)


def test_cut_jpegs_and_those_with_something_after_them_say_nothing_of_their_own(
    tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    path = noise(tmp_path, SIZE)
    whole, expected = path.read_bytes(), resized_by_pil(path)
    path.write_bytes(whole + b"something")
    np.testing.assert_array_equal(decode(path, SIZE), expected)
    for end in (-1, -2, -100):
        path.write_bytes(whole[:end])
        with pytest.raises(OSError, match="truncated"):
            decode(path, SIZE)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_jpegs_of_other_colours_are_decoded_by_pil_alone(
    tmp_path: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = noise(tmp_path, SIZE, mode)
    monkeypatch.setattr(decoding, "decode_jpeg", refuse)
    np.testing.assert_array_equal(decode(path, SIZE), resized_by_pil(path))


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
