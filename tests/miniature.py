"""Data sets of empty files: readers look at names only."""

from collections.abc import Iterable
from pathlib import Path

from reid.data.records import Record


def make(root: Path, names: Iterable[str]) -> Path:
    """Empty files of these names in ``root``, folders and all; gives ``root``."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    return root


def table(records: Iterable[Record]) -> list[tuple[str, int, int]]:
    """(file name, identity, camera) of each record."""
    return [(r.path.name, r.pid, r.camid) for r in records]


def sizes(records: Iterable[Record]) -> tuple[int, int]:
    """(identities, images), as papers count them."""
    people = [r.pid for r in records]
    return len(set(people)), len(people)
