"""A miniature of MARS: frames in folders of people, lists of them, and the .mat files of tracks and queries."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

Track = tuple[str, int, int]  # person as in names, camera, frames


def names(tracks: Sequence[Track]) -> list[list[str]]:
    """The frames of each track; tracks of a person in a camera are counted from 1."""
    found: list[list[str]] = []
    for i, (person, camera, count) in enumerate(tracks):
        number = 1 + sum(earlier[:2] == (person, camera) for earlier in tracks[:i])
        found.append([f"{person}C{camera}T{number:04d}F{frame:03d}.jpg" for frame in range(1, count + 1)])
    return found


def make_mars(root: Path, train: Sequence[Track], test: Sequence[Track], queries: Sequence[int]) -> Path:
    """The set of these tracks, its frames empty files; ``queries`` are places in ``test``, from 0."""
    matlab = pytest.importorskip("scipy.io", reason="scipy is not installed: pip install scipy")
    (root / "info").mkdir(parents=True)
    for part, tracks in (("train", train), ("test", test)):
        rows, listed = [], []
        for (person, camera, count), frames in zip(tracks, names(tracks), strict=True):
            rows.append([len(listed) + 1, len(listed) + count, -1 if person == "00-1" else int(person), camera])
            listed += frames
        for frame in listed:
            (root / f"bbox_{part}" / frame[:4]).mkdir(parents=True, exist_ok=True)
            (root / f"bbox_{part}" / frame[:4] / frame).write_bytes(b"")
        (root / "info" / f"{part}_name.txt").write_text("".join(f"{frame}\r\n" for frame in listed), newline="")
        matlab.savemat(root / "info" / f"tracks_{part}_info.mat", {f"track_{part}_info": np.array(rows, np.int32)})
    matlab.savemat(root / "info" / "query_IDX.mat", {"query_IDX": np.array([queries], np.uint16) + 1})
    return root
