"""Anyone's own pictures: a table with one line a picture."""

import csv
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reid.data.readers.shared import numbered, optional, warn_of_overlap
from reid.data.records import Record, Split
from reid.errors import UserError

_NEEDED = ("path", "pid", "split")
_NUMBERED = ("pid", "camid", "clothes", "track")
_FILLED = ("path", "pid", "split", "camid")  # others may be left empty
_COLUMNS = (*_NEEDED, "camid", "clothes", "track", "time")
_PARTS = ("train", "query", "gallery")
_JUNK = -1
_Row = dict[str, str]
_Table = tuple[list[str], list[tuple[int, list[str]]]]  # columns, and the values of each line with its number


def read(file: str | Path, root: str | Path | None = None, name: str = "csv") -> Split:
    """Read a table of pictures: a CSV file in UTF-8, with commas, whose first line names the columns, or Parquet.

    A file whose name ends in .parquet is read by pyarrow; in what is said of its lines the first row is line 1.

    Columns, in any order, others being ignored:
        path: of the picture, from ``root``.
        pid: the person, a number or any text.
        split: train, query or gallery. Without a line of train the set can be judged on, not trained on.
        camid: optional; the camera, a number or any text. Without the column all are camera 0.
        clothes, track: optional, as camid; may be empty.
        time: optional, in seconds; may be empty.

    Where a column holds whole numbers only, these stay what they are: person -1 is junk, which is never trained on, and
    0 a distractor under the protocol market1501. Else its texts are numbered from 1 in sorted order, over all parts
    together, and "0" and "-1" are people like any other.

    Warned of: an identity in both train and query.

    Protocol: market1501 where cameras are told. Without, every query would be refused under it: choose no_camera.

    Args:
        root: the folder that the paths start from, and that they may not leave; None is the folder of the table.

    Raises:
        UserError: the table or a picture is missing, or a line is not as told above; the line is named.
    """
    file = Path(file).expanduser()
    root = file.parent if root is None else Path(root).expanduser()
    if not root.is_dir():
        raise UserError(f"dataset.root={root} is not a folder: point it at the folder that the paths start from")
    rows = _checked(file, _rows(file))
    paths = [_path(file, line, row["path"], root) for line, row in rows]
    _check_paths(file, paths, rows)
    numbers = {c: numbered(row[c] for _, row in rows if row[c]) for c in _NUMBERED if c in rows[0][1]}
    told = "camid" in numbers
    records: dict[str, list[Record]] = {part: [] for part in _PARTS}
    for path, (line, row) in zip(paths, rows, strict=True):
        number = {column: of.get(row[column]) for column, of in numbers.items()}
        time = _seconds(file, line, row["time"]) if row.get("time") else None
        records[row["split"]].append(Record(path, **{"camid": 0, **number}, time=time))  # type: ignore[arg-type]
    found = Split(
        name=name if told else f"{name} (no cameras)",
        root=root,
        train=tuple(r for r in records["train"] if r.pid != _JUNK),
        query=tuple(records["query"]),
        gallery=tuple(records["gallery"]),
    )
    both = {r.path for r in found.query} & {r.path for r in found.gallery}
    if both and not told:
        raise UserError(
            f"{file}: {len(both)} pictures are query and gallery at once (first: {min(both)}) and would find "
            "themselves: leave them out of one, or tell cameras"
        )
    warn_of_overlap(found)
    return found


def _rows(file: Path) -> list[tuple[int, _Row]]:
    """The lines of a table, each with its number, values by column as text."""
    if not file.is_file():
        raise UserError(f"dataset.file={file}: no such file; point it at a table with the columns {', '.join(_NEEDED)}")
    header, rows = (_of_parquet if file.suffix.lower() == ".parquet" else _of_csv)(file)
    for line, values in rows:
        if len(values) != len(header):
            raise UserError(f"{file}, line {line}: {len(values)} values, but the first line names {len(header)}")
    return [(line, dict(zip(header, values, strict=True))) for line, values in rows]


def _of_csv(file: Path) -> _Table:
    with file.open(newline="", encoding="utf-8-sig") as text:  # a spreadsheet's byte order mark is skipped
        reader = csv.reader(text, skipinitialspace=True, strict=True)
        try:
            header = [column.strip() for column in next(reader, [])]
            rows = [(reader.line_num, values) for values in reader if values]
        except UnicodeDecodeError as error:
            raise UserError(f"dataset.file={file} is not text in UTF-8 ({error.reason}): save it as such") from error
        except csv.Error as error:
            raise UserError(f"{file}, line {reader.line_num}: {error}") from error
    _check_header(file, header)
    return header, rows


def _of_parquet(file: Path) -> _Table:
    """Of the columns that have a meaning here alone: others may hold the pictures themselves."""
    parquet = optional("pyarrow.parquet", "pyarrow", f"dataset.file={file}")
    try:
        with parquet.ParquetFile(file) as opened:
            header = opened.schema_arrow.names
            read = opened.read(columns=[name for name in header if name in _COLUMNS])
            columns = {name: map(_as_text, read[name].to_pylist()) for name in read.column_names}
    except (ValueError, OSError) as error:
        raise UserError(f"dataset.file={file} is not a Parquet file: {str(error).splitlines()[0]}") from error
    _check_header(file, header)
    return list(columns), [(line, list(values)) for line, values in enumerate(zip(*columns.values(), strict=True), 1)]


def _as_text(value: Any) -> str:
    """As a CSV file would have it: nothing for null and for NaN, which stands for null in columns of numbers."""
    if value is None or value != value:
        return ""
    return f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value)


def _check_header(file: Path, header: Sequence[str]) -> None:
    missing = [column for column in _NEEDED if column not in header]
    if missing:
        there = f"it has {', '.join(header)}" if header else "it is empty"
        raise UserError(f"dataset.file={file} has no column {', '.join(missing)}: {there}")


def _checked(file: Path, rows: Sequence[tuple[int, _Row]]) -> list[tuple[int, _Row]]:
    """The rows, blanks around values gone. UserError for an empty or unknown value, or without queries or gallery."""
    rows = [(line, {c: v if c == "path" else v.strip() for c, v in row.items()}) for line, row in rows]
    for line, row in rows:
        for column in _FILLED:
            if row.get(column) == "":
                raise UserError(f"{file}, line {line}: {column} is empty")
        if row["split"] not in _PARTS:
            raise UserError(f"{file}, line {line}: split={row['split']} must be one of {', '.join(_PARTS)}")
    for part in ("query", "gallery"):
        if not any(row["split"] == part for _, row in rows):
            raise UserError(f"{file} has no line with split={part}: query and gallery are what a set is judged on")
    return rows


def _path(file: Path, line: int, path: str, root: Path) -> Path:
    """Where a picture lies: ``path`` from ``root``. UserError if that is outside of it, links apart."""
    place = Path(os.path.normpath(root / path))
    if not Path(os.path.abspath(place)).is_relative_to(os.path.abspath(root)):
        raise UserError(f"{file}, line {line}: path={path} is outside dataset.root={root}: set it to a folder above")
    return place


def _check_paths(file: Path, paths: Sequence[Path], rows: Sequence[tuple[int, _Row]]) -> None:
    """UserError for pictures that are twice in one part, or are not there."""
    first: dict[tuple[str, Path], int] = {}
    again = [
        (line, first[key])
        for path, (line, row) in zip(paths, rows, strict=True)
        if first.setdefault(key := (row["split"], path), line) != line
    ]
    if again:
        line, earlier = again[0]
        raise UserError(f"{file}: {len(again)} lines repeat a picture in its split (first: {line}, as {earlier})")
    absent = [path for path in dict.fromkeys(paths) if not path.is_file()]
    if absent:
        few = ", ".join(map(str, absent[:3]))
        raise UserError(f"{file}: {len(absent)} of its pictures do not exist (first: {few}); is dataset.root right?")


def _seconds(file: Path, line: int, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds):
        raise UserError(f"{file}, line {line}: time={text} must be a number of seconds")
    return seconds
