import csv
import gc
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from miniature import make, table

from reid.data import toy
from reid.data.readers import folder, market1501
from reid.data.readers.table import read
from reid.data.records import Record, Split
from reid.errors import UserError
from reid.runs.judge import Judging, score

HEADER = ["path", "pid", "split", "camid"]
ROWS = [
    ["a/1.jpg", "0007", "train", "3"], ["a/2.jpg", "-1", "train", "3"], ["b c/ü.jpg", "12", "query", "1"],
    ["b c/4.jpg", "12", "gallery", "02"], ["5.jpg", "0", "gallery", "2"], ["6.jpg", "-1", "gallery", "2"],
]  # fmt: skip


def write(root: Path, rows: Sequence[Sequence[str]] = ROWS, header: Sequence[str] = HEADER, **how: str) -> Path:
    """A table of these rows in ``root``, beside the pictures that it names."""
    make(root, [row[header.index("path")] for row in rows])
    with (root / "set.csv").open("w", newline="", **{"encoding": "utf-8", **how}) as file:
        csv.writer(file).writerows([header, *rows])
    return root / "set.csv"


def changed(line: int, column: int, value: str) -> list[list[str]]:
    """ROWS with another value in a line of the file, where the header is line 1."""
    rows = [list(row) for row in ROWS]
    rows[line - 2][column] = value
    return rows


def test_whole_numbers_stay_and_junk_is_not_trained_on(tmp_path: Path) -> None:
    split = read(write(tmp_path), name="mine")
    assert table(split.train) == [("1.jpg", 7, 3)]
    assert table(split.query) == [("ü.jpg", 12, 1)]
    assert table(split.gallery) == [("4.jpg", 12, 2), ("5.jpg", 0, 2), ("6.jpg", -1, 2)]
    assert (split.name, split.root) == ("mine", tmp_path)
    assert all(r.path.is_file() for r in split.train + split.query + split.gallery)


def test_texts_are_numbered_over_all_parts_in_sorted_order(tmp_path: Path) -> None:
    """People sorted: -1, 0, 0007, 12, zoé; cameras: 02, 1, 2, 3, gate."""
    split = read(write(tmp_path, [*ROWS, ["7.jpg", "zoé", "train", "gate"]]))
    assert table(split.train) == [("1.jpg", 3, 4), ("2.jpg", 1, 4), ("7.jpg", 5, 5)]
    assert table(split.query) == [("ü.jpg", 4, 2)]
    assert table(split.gallery) == [("4.jpg", 4, 1), ("5.jpg", 2, 3), ("6.jpg", 1, 3)]


def test_clothes_tracks_and_times_are_told_where_they_stand(tmp_path: Path) -> None:
    header = [*HEADER, "clothes", "time", "track", "remark"]
    more = [["red", "0.5", "4", ""], ["", "", "", "?"], ["blue", "1e3", "-2", ""], *[["red", "7", "4", ""]] * 3]
    split = read(write(tmp_path, [[*row, *m] for row, m in zip(ROWS, more, strict=True)], header))
    assert split.train == (Record(tmp_path / "a/1.jpg", 7, 3, clothes=2, track=4, time=0.5),)
    assert split.query == (Record(tmp_path / "b c/ü.jpg", 12, 1, clothes=1, track=-2, time=1000.0),)
    assert read(write(tmp_path)).query == (Record(tmp_path / "b c/ü.jpg", 12, 1),)


def test_without_cameras_all_are_one_and_the_name_says_so(tmp_path: Path) -> None:
    split = read(write(tmp_path, [row[:3] for row in ROWS], HEADER[:3]))
    assert {r.camid for r in split.train + split.query + split.gallery} == {0}
    assert split.name == "csv (no cameras)"


def test_table_as_a_spreadsheet_saves_it(tmp_path: Path) -> None:
    """Byte order mark, blanks beside commas, an empty line, columns in another order, a quoted comma."""
    make(tmp_path, ["a, b.jpg", "c.jpg"])
    lines = ["\ufeffcamid, split , path,pid", ' 2 ,query, "a, b.jpg", x y ', "", "1, gallery ,c.jpg,x y"]
    (tmp_path / "set.csv").write_bytes("\r\n".join(lines).encode())
    split = read(tmp_path / "set.csv")
    assert table(split.query + split.gallery) == [("a, b.jpg", 1, 2), ("c.jpg", 1, 1)]
    assert split.train == ()


def test_paths_start_from_the_root(tmp_path: Path) -> None:
    rows = [["../pictures/1.jpg", "1", "query"], [str(tmp_path / "pictures/2.jpg"), "1", "gallery"]]
    make(tmp_path / "pictures", ["1.jpg", "2.jpg"])
    file = write(make(tmp_path / "tables", ["x"]), [["1.jpg", "1", "query"], ["./2.jpg", "1", "gallery"]], HEADER[:3])
    assert {r.path.parent for r in read(file).query} == {tmp_path / "tables"}
    assert read(file, root=tmp_path / "pictures").gallery[0].path == tmp_path / "pictures/2.jpg"
    file.write_text("\n".join(",".join(row) for row in [HEADER[:3], *rows]))
    with pytest.raises(UserError, match=r"set.csv, line 2: path=../pictures/1.jpg is outside dataset.root=.*tables"):
        read(file)
    file.write_text("\n".join(",".join(row) for row in [HEADER[:3], rows[1]]) + "\n1.jpg,1,query")
    with pytest.raises(UserError, match=r"line 2: path=/.*/2.jpg is outside .*: set it to a folder above"):
        read(file)
    assert read(file, root=tmp_path / "pictures").gallery[0].path == tmp_path / "pictures/2.jpg"


@pytest.mark.parametrize("root", [".", "set/..", ""])
def test_paths_from_here_are_brought_to_one_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: str) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [["set/../1.jpg", "1", "query"], [f"{tmp_path}//set/./2.jpg", "1", "gallery"]]
    make(tmp_path, ["1.jpg", "set/2.jpg"])
    file = write(make(tmp_path / "tables", ["x"]), [["x", "1", "query"]], HEADER[:3])
    file.write_text("\n".join(",".join(row) for row in [HEADER[:3], *rows]))
    split = read("tables/set.csv", root=root)
    assert [r.path for r in split.query + split.gallery] == [Path("1.jpg"), tmp_path / "set/2.jpg"]


def test_the_collector_of_garbage_works_on_after_a_table(tmp_path: Path) -> None:
    read(write(tmp_path))
    assert gc.isenabled()
    with pytest.raises(UserError):
        read(tmp_path / "none.csv")
    assert gc.isenabled()


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (changed(4, 2, "test"), "set.csv, line 4: split=test must be one of train, query, gallery"),
        (changed(3, 1, " "), "line 3: pid is empty"),
        (changed(7, 3, ""), "line 7: camid is empty"),
        ([*ROWS, ROWS[0], ROWS[0]], r"2 lines repeat a picture in its split \(first: 8, as 2\)"),
        ([*ROWS, ["./a/1.jpg", "8", "train", "4"]], r"1 lines repeat a picture in its split \(first: 8, as 2\)"),
        ([*ROWS[:2], *ROWS[3:]], "has no line with split=query"),
        (ROWS[:3], "has no line with split=gallery"),
        ([], "has no line with split=query"),
        ([*ROWS[:3], ["x.jpg", "1", "train"]], "line 5: 3 values, but the first line names 4"),
    ],
)
def test_lines_that_do_not_fit(tmp_path: Path, rows: list[list[str]], says: str) -> None:
    with pytest.raises(UserError, match=says):
        read(write(tmp_path, rows))


@pytest.mark.parametrize("time", ["noon", "nan", "inf"])
def test_time_that_is_none(tmp_path: Path, time: str) -> None:
    with pytest.raises(UserError, match=f"line 2: time={time} must be a number of seconds"):
        read(write(tmp_path, [[*row, time] for row in ROWS], [*HEADER, "time"]))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "has no column path, pid, split: it is empty"),
        (b"path,person;split\n", "has no column pid, split: it has path, person;split"),
        ("path,pid,split\nü.jpg,1,query\n".encode("latin-1"), r"is not text in UTF-8 \(invalid .*\): save it as such"),
        (b'path,pid,split\n"a.jpg,1,query\n', "set.csv, line 2: unexpected end of data"),
    ],
)
def test_files_that_are_no_table(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "set.csv").write_bytes(content)
    with pytest.raises(UserError, match=says):
        read(tmp_path / "set.csv")


def test_things_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"dataset.file=.*none.csv: no such file; .* path, pid, split"):
        read(tmp_path / "none.csv")
    with pytest.raises(UserError, match=r"dataset.root=.*none is not a folder"):
        read(write(tmp_path), root=tmp_path / "none")
    for name in ("5.jpg", "a/1.jpg", "6.jpg", "b c/4.jpg"):
        (tmp_path / name).unlink()
    with pytest.raises(UserError, match=r"4 of its pictures do not exist \(first: .*a/1.jpg, .*4.jpg, .*5.jpg\)"):
        read(tmp_path / "set.csv")


def test_pictures_that_would_find_themselves(tmp_path: Path) -> None:
    rows = [*ROWS, ["b c/ü.jpg", "12", "gallery", "1"]]
    assert len(read(write(tmp_path, rows)).gallery) == 4  # the query's own camera is for the protocol to ignore
    with pytest.raises(UserError, match="1 pictures are query and gallery at once .* would find themselves"):
        read(write(tmp_path, [row[:3] for row in rows], HEADER[:3]))


def test_a_person_in_train_and_query_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    read(write(tmp_path, changed(4, 1, "7")))
    assert "1 identities are in train and in query" in caplog.text


def content(split: Split, parts: Sequence[str] = ("train", "query", "gallery")) -> dict[str, set]:
    """What a split says whatever the numbers are: by part, who shares pictures (by name and camera)."""
    found: dict[str, dict[int, set]] = {part: {} for part in parts}
    for part in parts:
        for r in getattr(split, part):
            found[part].setdefault(r.pid, set()).add((r.path.name, r.camid))
    return {part: {frozenset(names) for names in people.values()} for part, people in found.items()}


def mean_ap(split: Split) -> float:
    """Of random features, drawn for each picture by its name."""
    how = Judging("market1501", "cosine", 8, torch.device("cpu"), None, False)
    names = sorted({r.path.name for r in split.query + split.gallery})
    drawn = dict(zip(names, np.random.default_rng(0).standard_normal((len(names), 16)), strict=True))
    query, gallery = (np.array([drawn[r.path.name] for r in part]) for part in (split.query, split.gallery))
    return score(query, gallery, split.query, split.gallery, how).mAP


def test_three_layouts_of_the_same_pictures_are_the_same_set(tmp_path: Path) -> None:
    """The toy set, its junk left out, since a folder of a person is a person."""
    toy.render(tmp_path / "market", train_identities=4, test_identities=5)
    for junk in (tmp_path / "market").glob("*/-1_*"):
        junk.unlink()
    market = market1501.read(tmp_path / "market", name="toy")
    rows = []
    for part in ("train", "query", "gallery"):
        for r in getattr(market, part):
            person = f"person {r.path.name[:4]}"
            place = tmp_path / "people" / part / person / r.path.name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(r.path)
            rows.append([str(place.relative_to(tmp_path)), person, part, f"{r.camid}"])
    people = folder.read(tmp_path / "people", camera=r"_c(\d)")
    listed = read(write(tmp_path, rows))
    assert content(market) == content(people) == content(listed)
    assert {r.pid for r in market.train + market.gallery} != {r.pid for r in people.train + people.gallery}
    assert 0.1 < mean_ap(market) < 0.9
    assert mean_ap(market) == mean_ap(people) == mean_ap(listed)


def test_junk_of_a_table_is_that_of_market1501(tmp_path: Path) -> None:
    toy.render(tmp_path / "market", train_identities=2, test_identities=5)
    market = market1501.read(tmp_path / "market", name="toy")
    assert -1 in {r.pid for r in market.gallery}
    rows = [
        [str(r.path.relative_to(tmp_path)), f"{r.pid}", part, f"{r.camid}"]
        for part in ("train", "query", "gallery")
        for r in getattr(market, part)
    ]
    listed = read(write(tmp_path, rows))
    assert (listed.train, listed.query, listed.gallery) == (market.train, market.query, market.gallery)
    assert mean_ap(listed) == mean_ap(market)
