"""MARS: people on video."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from reid.data.readers.shared import open_root, optional, warn_of_counts, warn_of_overlap
from reid.data.records import Record, Split
from reid.errors import UserError

PUBLISHED = {"train": (625, 509_914), "query": (626, 114_493), "gallery": (636, 681_089)}
_JUNK = -1
_LIST = "is missing, which is part of the set: github.com/liangzheng06/MARS-evaluation has it in info/"


def read(root: str | Path, frames: int | None = None, queries_in_gallery: bool = True, name: str = "mars") -> Split:
    """Read MARS, whose pictures are the frames of tracks.

    Reference: Zheng, Bie, Sun, Wang, Su, Wang and Tian, MARS: A Video Benchmark for Large-Scale Person
    Re-Identification, ECCV 2016. Six cameras. 8,298 tracks of 625 people to train on, and 12,180 to test on, of which
    1,980 of 626 people are queries, 3,248 distractors and 870 junk.

    Layout: ``bbox_train/0001/0001C1T0001F001.jpg``: person 1, camera 1, track 1 of these, frame 1; ``bbox_test/`` has
    junk in ``00-1/`` and distractors in ``0000/`` besides. In ``info/`` lie ``train_name.txt`` and ``test_name.txt``,
    which list the frames; ``tracks_train_info.mat`` and ``tracks_test_info.mat``, a row a track: first and last frame
    in the list, counted from 1, the person (-1 is junk, 0 a distractor) and the camera; and ``query_IDX.mat``, the rows
    that are queries. The .mat files are read by scipy.

    Tracks are numbered by their row, from 1.

    Protocol: market1501, with ``pool: track``, so that tracks are judged and not frames. The gallery is all of
    ``bbox_test/``, the tracks of the queries too, as in the code of the authors: a query's own is ignored as one of its
    camera, but others of the person find it. Their baseline takes the maximum over the frames where ``pool`` takes the
    mean, as most later work does.

    Args:
        frames: so many of each track at most, evenly spaced from its first to its last.
        queries_in_gallery: False takes the tracks of the queries out of the gallery, as torchreid does; 140 queries are
            then without a match. Said, like ``frames``, in the name of the split.

    Raises:
        UserError: a folder, a list or a frame is missing, a list is not as told above, or scipy is not installed.
    """
    root = open_root(root, ["bbox_train", "bbox_test"])
    if frames is not None and frames < 1:
        raise UserError(f"dataset.frames={frames} must be at least 1, or null to take all")
    train, test = (_tracks(root, part, frames) for part in ("train", "test"))
    queries = _queries(root / "info" / "query_IDX.mat", len(test))
    left_out = set() if queries_in_gallery else set(queries)
    notes = [f"{frames} frames a track"] if frames else []
    notes += [] if queries_in_gallery else ["queries not in the gallery"]
    split = Split(
        name=f"{name} ({', '.join(notes)})" if notes else name,
        root=root,
        train=tuple(r for track in train for r in track if r.pid != _JUNK),
        query=tuple(r for row in queries for r in test[row]),
        gallery=tuple(r for row, track in enumerate(test) if row not in left_out for r in track),
    )
    warn_of_overlap(split)
    if not notes:
        warn_of_counts(split, PUBLISHED)
    return split


def _tracks(root: Path, part: str, frames: int | None) -> list[tuple[Record, ...]]:
    """The records of each track, in the order of the rows."""
    names, file, folder = _names(root, part), root / "info" / f"tracks_{part}_info.mat", root / f"bbox_{part}"
    table = _array(file)
    if table.ndim != 2 or table.shape[1] != 4:
        raise UserError(f"{file} must hold four columns: first frame, last frame, person, camera")
    first, last = table[:, 0], table[:, 1]
    wrong = np.flatnonzero((first < 1) | (last < first) | (last > len(names)))
    if len(wrong):
        row = int(wrong[0])
        raise UserError(
            f"{file}, row {row + 1}: frames {first[row]} to {last[row]} are not among the {len(names)} of its list"
        )
    return [
        tuple(Record(Path(f"{folder}/{n[:4]}/{n}"), pid, camid, track=row) for n in _spaced(names[a - 1 : b], frames))
        for row, (a, b, pid, camid) in enumerate(table.tolist(), start=1)
    ]


def _names(root: Path, part: str) -> list[str]:
    """The list of frames; UserError if some are not there."""
    file, folder = root / "info" / f"{part}_name.txt", root / f"bbox_{part}"
    if not file.is_file():
        raise UserError(f"{file} {_LIST}")
    names = file.read_text().split()
    there = {f.name for person in os.scandir(folder) if person.is_dir() for f in os.scandir(person.path)}
    if absent := [name for name in names if name not in there]:
        raise UserError(f"{file}: {len(absent)} of its frames are not in {folder} (first: {absent[0]})")
    return names


def _spaced(names: Sequence[str], count: int | None) -> Sequence[str]:
    """At most ``count`` of them, evenly spaced."""
    if count is None or len(names) <= count:
        return names
    return [names[i] for i in np.linspace(0, len(names) - 1, count).round().astype(int)]


def _queries(file: Path, tracks: int) -> list[int]:
    """The rows of the queries, counted from 0."""
    rows = (_array(file).reshape(-1) - 1).tolist()
    if wrong := [row for row in rows if not 0 <= row < tracks]:
        raise UserError(f"{file} names track {wrong[0] + 1}, but there are {tracks}")
    return rows


def _array(file: Path) -> np.ndarray:
    """The one array of whole numbers that a .mat file holds, int64."""
    if not file.is_file():
        raise UserError(f"{file} {_LIST}")
    matlab = optional("scipy.io", "scipy", str(file))
    try:
        (found,) = [value for key, value in matlab.loadmat(file).items() if not key.startswith("__")]
        return np.asarray(found).astype(np.int64, casting="unsafe")
    except Exception as error:  # scipy has many for what is no .mat file
        raise UserError(f"{file} is not a .mat file with one array of numbers: {error}") from error
