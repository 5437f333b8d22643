"""Anyone's own pictures: a table with one line a picture."""

import contextlib
import csv
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any

from reid.data.readers.shared import collector_off, numbered, optional, warn_of_overlap
from reid.data.records import Record, Split
from reid.errors import UserError

_NEEDED = ("path", "pid", "split")
_NUMBERED = ("pid", "camid", "clothes", "track")
_FILLED = ("path", "pid", "split", "camid")  # others may be left empty
_COLUMNS = (*_NEEDED, "camid", "clothes", "track", "time")
_PARTS = ("train", "query", "gallery")
_JUNK = -1
_Columns = dict[str, list[str]]
_Table = tuple[Sequence[int], _Columns]  # the numbers of the lines, and what they hold as text


@collector_off()
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
    lines, columns = _columns(file)
    _check(file, lines, columns)
    paths = _paths(file, lines, columns["path"], root)
    _check_paths(file, lines, paths, columns["split"])
    numbers = {c: _numbers(columns[c]) for c in _NUMBERED if c in columns}
    told = "camid" in numbers
    times = [_seconds(file, line, text) for line, text in zip(lines, columns.get("time", ()), strict=False)]
    nothing: Iterable[None] = repeat(None)
    fields = (
        paths,
        numbers["pid"],
        numbers.get("camid", repeat(0)),
        numbers.get("clothes", nothing),
        numbers.get("track", nothing),
        times or nothing,
    )
    records: dict[str, list[Record]] = {part: [] for part in _PARTS}
    for part, record in zip(columns["split"], map(Record, *fields), strict=True):
        records[part].append(record)
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


def _columns(file: Path) -> _Table:
    """The columns that have a meaning here, blanks around values gone. UserError where one is missing."""
    if not file.is_file():
        raise UserError(f"dataset.file={file}: no such file; point it at a table with the columns {', '.join(_NEEDED)}")
    lines, columns = (_of_parquet if file.suffix.lower() == ".parquet" else _of_csv)(file)
    known = {c: values for c, values in columns.items() if c in _COLUMNS}
    return lines, {c: values if c == "path" else [v.strip() for v in values] for c, values in known.items()}


def _of_csv(file: Path) -> _Table:
    lines: list[int] = []
    with file.open(newline="", encoding="utf-8-sig") as text:  # a spreadsheet's byte order mark is skipped
        reader = csv.reader(text, skipinitialspace=True, strict=True)
        try:
            header = [column.strip() for column in next(reader, [])]
            _check_header(file, header)
            columns: list[list[str]] = [[] for _ in header]
            for values in filter(None, reader):
                if len(values) != len(header):
                    raise UserError(
                        f"{file}, line {reader.line_num}: {len(values)} values, but the first line names {len(header)}"
                    )
                lines.append(reader.line_num)
                for column, value in zip(columns, values, strict=True):  # lists of a million lines would be slower
                    column.append(value)
        except UnicodeDecodeError as error:
            raise UserError(f"dataset.file={file} is not text in UTF-8 ({error.reason}): save it as such") from error
        except csv.Error as error:
            raise UserError(f"{file}, line {reader.line_num}: {error}") from error
    return lines, dict(zip(header, columns, strict=True))


def _of_parquet(file: Path) -> _Table:
    """Of the columns that have a meaning here alone: others may hold the pictures themselves."""
    parquet = optional("pyarrow.parquet", "pyarrow", f"dataset.file={file}")
    try:
        with parquet.ParquetFile(file) as opened:
            header = opened.schema_arrow.names
            read = opened.read(columns=[name for name in header if name in _COLUMNS])
            columns = {name: [_as_text(value) for value in read[name].to_pylist()] for name in read.column_names}
    except (ValueError, OSError) as error:
        raise UserError(f"dataset.file={file} is not a Parquet file: {str(error).splitlines()[0]}") from error
    _check_header(file, header)
    return range(1, read.num_rows + 1), columns


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


def _check(file: Path, lines: Sequence[int], columns: _Columns) -> None:
    """UserError for an empty or unknown value, or without queries or gallery."""
    for column in _FILLED:
        if "" in columns.get(column, ()):
            raise UserError(f"{file}, line {lines[columns[column].index('')]}: {column} is empty")
    for line, part in zip(lines, columns["split"], strict=True):
        if part not in _PARTS:
            raise UserError(f"{file}, line {line}: split={part} must be one of {', '.join(_PARTS)}")
    for part in ("query", "gallery"):
        if part not in columns["split"]:
            raise UserError(f"{file} has no line with split={part}: query and gallery are what a set is judged on")


def _paths(file: Path, lines: Sequence[int], names: Sequence[str], root: Path) -> list[str]:
    """Where the pictures lie: ``names`` from ``root``. UserError if that is outside of it, links apart."""
    start, within = os.path.join(root, ""), os.path.join(os.path.abspath(root), "")
    paths = [os.path.normpath(name if os.path.isabs(name) else start + name) for name in names]  # a Path takes longer
    for line, name, path in zip(lines, names, paths, strict=True):
        may_leave = ".." in name or os.path.isabs(name)
        if may_leave and not os.path.join(os.path.abspath(path), "").startswith(within):
            raise UserError(
                f"{file}, line {line}: path={name} is outside dataset.root={root}: set it to a folder above"
            )
    return paths


def _check_paths(file: Path, lines: Sequence[int], paths: Sequence[str], parts: Sequence[str]) -> None:
    """UserError for pictures that are twice in one part, or are not there."""
    if len(set(paths)) < len(paths):  # a query may be in the gallery too
        first: dict[tuple[str, str], int] = {}
        places = zip(lines, zip(parts, paths, strict=True), strict=True)
        again = [(line, first[place]) for line, place in places if first.setdefault(place, line) != line]
        if again:
            line, earlier = again[0]
            raise UserError(f"{file}: {len(again)} lines repeat a picture in its split (first: {line}, as {earlier})")
    there = {file for folder in {path.rpartition(os.sep)[0] for path in paths} for file in _files(folder)}
    absent = [path for path in dict.fromkeys(paths) if path not in there and not os.path.isfile(path)]
    if absent:
        few = ", ".join(absent[:3])
        raise UserError(f"{file}: {len(absent)} of its pictures do not exist (first: {few}); is dataset.root right?")


def _files(folder: str) -> Iterator[str]:
    """The files in a folder that its listing tells at once: a million are asked for one by one in three times the time,
    and much more from a server. None where there is no listing."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        yield from (entry.path for entry in entries if entry.is_file(follow_symlinks=False))


def _numbers(texts: Sequence[str]) -> list[int | None]:
    """As ``numbered`` says, None for an empty text."""
    of = numbered(filter(None, texts))
    return [of.get(text) for text in texts]


def _seconds(file: Path, line: int, text: str) -> float | None:
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds):
        raise UserError(f"{file}, line {line}: time={text} must be a number of seconds")
    return seconds
