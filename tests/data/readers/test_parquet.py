"""A table in Parquet is read as the same table in CSV."""

import sys
from pathlib import Path
from typing import Any

import pytest
from data.readers.test_table import HEADER, ROWS, changed, write

from reid.data.readers.table import read
from reid.data.records import Record
from reid.errors import UserError

CLOTHES_TRACK_TIME = [["red", 4, 0.5], [None, None, None], ["blue", -2, 1e3], *[["red", 4, 7]] * 3]


def parquet(file: Path, columns: dict[str, Any]) -> Path:
    """A Parquet file of these columns, lists or arrays."""
    arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install pyarrow")
    arrow.parquet = pytest.importorskip("pyarrow.parquet")
    arrow.parquet.write_table(arrow.table(columns), file)
    return file


def texts(file: Path, rows: list[list[str]] = ROWS) -> Path:
    """The same rows in ``file`` as texts."""
    return parquet(file, {name: [row[i] for row in rows] for i, name in enumerate(HEADER)})


def test_texts_are_read_as_those_of_a_csv_file(tmp_path: Path) -> None:
    listed = read(write(tmp_path))
    assert read(texts(tmp_path / "set.parquet")) == listed
    more = [*ROWS, ["7.jpg", "zoé", "train", "gate"]]
    assert read(write(tmp_path, more)) == read(texts(tmp_path / "set.PARQUET", more))


def test_columns_as_a_data_frame_writes_them(tmp_path: Path) -> None:
    """Numbers with gaps as floats with NaN or null, repeated texts as a dictionary, a column of something else."""
    arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install pyarrow")
    write(tmp_path)
    tracks = [float("nan") if track is None else float(track) for _, track, _ in CLOTHES_TRACK_TIME]
    file = parquet(tmp_path / "set.parquet", {
        "clothes": [clothes for clothes, _, _ in CLOTHES_TRACK_TIME],
        "path": [row[0] for row in ROWS],
        "pid": [int(row[1]) for row in ROWS],
        "split": arrow.array([row[2] for row in ROWS]).dictionary_encode(),
        "camid": arrow.array([int(row[3]) for row in ROWS], arrow.int8()),
        "track": tracks,
        "time": [time for _, _, time in CLOTHES_TRACK_TIME],
        "boxes": [[1, 2], None, [3], [], [4], [5]],
    })  # fmt: skip
    split = read(file)
    assert split.train == (Record(tmp_path / "a/1.jpg", 7, 3, clothes=2, track=4, time=0.5),)
    assert split.query == (Record(tmp_path / "b c/ü.jpg", 12, 1, clothes=1, track=-2, time=1000.0),)
    assert [(r.pid, r.camid, r.track) for r in split.gallery] == [(12, 2, 4), (0, 2, 4), (-1, 2, 4)]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (changed(4, 2, "test"), "set.parquet, line 3: split=test must be one of train, query, gallery"),
        (changed(3, 1, " "), "line 2: pid is empty"),
        ([*ROWS, ROWS[0], ROWS[0]], r"2 lines repeat a picture in its split \(first: 7, as 1\)"),
        (changed(2, 0, "../1.jpg"), "line 1: path=../1.jpg is outside dataset.root="),
        (ROWS[:3], "has no line with split=gallery"),
        ([], "has no line with split=query"),
    ],
)
def test_rows_that_do_not_fit(tmp_path: Path, rows: list[list[str]], says: str) -> None:
    (tmp_path / "pictures").mkdir()
    write(tmp_path / "pictures", rows)
    with pytest.raises(UserError, match=says):
        read(texts(tmp_path / "pictures" / "set.parquet", rows))


def test_empty_values_are_told_as_in_csv(tmp_path: Path) -> None:
    write(tmp_path)
    columns = {name: [row[i] for row in ROWS] for i, name in enumerate(HEADER)}
    for name in ("pid", "camid"):
        gap = [None, *columns[name][1:]]
        with pytest.raises(UserError, match=f"set.parquet, line 1: {name} is empty"):
            read(parquet(tmp_path / "set.parquet", {**columns, name: gap}))
    with pytest.raises(UserError, match="line 1: time=noon must be a number of seconds"):
        read(parquet(tmp_path / "set.parquet", {**columns, "time": ["noon"] * 6}))


def test_files_that_are_no_table(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no column pid, split: it has path, person"):
        read(parquet(tmp_path / "set.parquet", {"path": ["1.jpg"], "person": [1]}))
    write(tmp_path).rename(tmp_path / "set.parquet")
    with pytest.raises(UserError, match="dataset.file=.*set.parquet is not a Parquet file: "):
        read(tmp_path / "set.parquet")
    with pytest.raises(UserError, match="none.parquet: no such file"):
        read(tmp_path / "none.parquet")


def test_without_pyarrow_the_command_that_installs_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "pyarrow.parquet", raising=False)
    write(tmp_path).rename(tmp_path / "set.parquet")
    with pytest.raises(UserError, match="set.parquet is read by pyarrow, which is not installed: pip install pyarrow$"):
        read(tmp_path / "set.parquet")
