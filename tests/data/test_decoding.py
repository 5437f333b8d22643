import itertools
import os
from pathlib import Path

import numpy as np
import pytest
from data.pictures import SIZE, resized_by_pil

from reid.data import decoding
from reid.data.decoding import Put, decode, decode_all
from reid.data.records import Record


def put_into(found: np.ndarray) -> Put:
    def put(first: int, pixels: np.ndarray) -> None:
        found[first : first + len(pixels)] = pixels

    return put


def ignore(first: int, pixels: np.ndarray) -> None:
    pass


def test_decode_equals_pil(records: list[Record]) -> None:
    for r in records:
        np.testing.assert_array_equal(decode(r.path, SIZE), resized_by_pil(r.path))


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
