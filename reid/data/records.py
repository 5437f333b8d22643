"""What every reader returns: who is on which picture, seen by which camera, and what the picture is for."""

import hashlib
import os
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from reid.errors import UserError


@dataclass(frozen=True, slots=True)
class Record:
    """One picture: where it lies, the person's identity (pid), the camera (camid), and what else a set may tell.

    Attributes:
        path: may be given as text, and is kept as text: a Path takes several times the memory.
        clothes: outfit; a number for each outfit of an identity.
        track: images of one identity that one camera took in a row; a number stands for one track.
        time: seconds, from any start.
        source: the name of the set that a record of a union came from.
    """

    path: Path
    pid: int
    camid: int
    clothes: int | None = None
    track: int | None = None
    time: float | None = None
    source: str | None = None


class _KeptAsText:
    """The slot of a path: text within, a Path to whoever asks."""

    def __init__(self, slot: Any) -> None:
        self._slot = slot

    def __get__(self, record: Record | None, owner: type | None = None) -> Any:
        return self if record is None else Path(self._slot.__get__(record))

    def __set__(self, record: Record, path: str | Path) -> None:
        as_path_has_it = isinstance(path, Path) or os.path.normpath(path) == path  # a Path takes long to make
        self._slot.__set__(record, str(path if as_path_has_it else Path(path)))


Record.path = _KeptAsText(Record.path)  # type: ignore[misc, assignment]


@dataclass(frozen=True, slots=True)
class Split:
    """A data set cut into its three parts. ``train`` shares no identity with ``query`` and ``gallery``.

    ``sets`` holds those that a union was made of, each with its own labels and its own test part.
    """

    name: str
    root: Path
    train: tuple[Record, ...]
    query: tuple[Record, ...]
    gallery: tuple[Record, ...]
    sets: tuple["Split", ...] = ()

    def describe(self) -> dict[str, object]:
        """Counts of each part and a fingerprint of the whole: equal fingerprints mean the same files, bytes uncounted.

        The fingerprint covers names, labels and file sizes, so it survives a move of the folder; that of a union
        covers those of its sets too, which are described under "sets".
        """
        parts = {"train": self.train, "query": self.query, "gallery": self.gallery}
        digest = hashlib.sha256()
        for part, records in parts.items():
            for r in records:
                more = [f"{v}" for v in (r.clothes, r.track, r.time) if v is not None]
                line = "|".join([part, r.path.name, f"{r.pid}", f"{r.camid}", *more, f"{r.path.stat().st_size}"])
                digest.update(f"{line}\n".encode())
        sizes = {part: counts(records) for part, records in parts.items()}
        sets = [one.describe() for one in self.sets]
        for one in sets:
            digest.update(f"set|{one['fingerprint']}\n".encode())
        whole = {"name": self.name, "root": str(self.root), **sizes, "fingerprint": digest.hexdigest()}
        return {**whole, **({"sets": sets} if sets else {})}


def names(records: Sequence[Record], root: Path) -> list[str]:
    """What each picture is called: its file's name or, where another one has that too, as 001.jpg in a folder for each
    person, its path as seen from ``root``: the same on every machine with this layout."""
    paths = [r.path for r in records]
    files = Counter(path.name for path in set(paths))
    return [path.name if files[path.name] == 1 else os.path.relpath(path, root) for path in paths]


def counts(records: Collection[Record]) -> dict[str, int]:
    """How many "images", "identities" and "cameras" some records have."""
    return {
        "images": len(records),
        "identities": len({r.pid for r in records}),
        "cameras": len({r.camid for r in records}),
    }


def pids(records: Iterable[Record]) -> np.ndarray:
    """The identities of ``records`` as int64 [N]."""
    return np.array([r.pid for r in records], dtype=np.int64)


def camids(records: Iterable[Record]) -> np.ndarray:
    """The cameras of ``records`` as int64 [N]."""
    return np.array([r.camid for r in records], dtype=np.int64)


def sources(records: Sequence[Record]) -> np.ndarray:
    """The set of a union that each record came from, int64 [N]: 0 for the first, and so on; outside a union all 0."""
    places = {name: place for place, name in enumerate(dict.fromkeys(r.source for r in records))}
    return np.array([places[r.source] for r in records], dtype=np.int64)


def told(records: Sequence[Record], field: str) -> np.ndarray | None:
    """What a set may tell beside identity and camera ("clothes", "track" or "time") as [N]; None unless all have it."""
    column = [getattr(r, field) for r in records]
    return None if None in column else np.array(column)


def labels(records: Sequence[Record]) -> np.ndarray:
    """Class labels 0..C-1 as int64 [N]: the position of each identity among the sorted identities."""
    return np.unique(pids(records), return_inverse=True)[1].astype(np.int64)


def first_identities(split: Split, count: int) -> Split:
    """The split with only its first ``count`` training identities, in sorted order; for quick trials."""
    keep = set(np.unique(pids(split.train))[:count].tolist())
    return replace(split, train=tuple(r for r in split.train if r.pid in keep))


def hold_out(split: Split, fraction: float, seed: int) -> tuple[Split, Split]:
    """Set a fraction of the training identities aside, to choose settings on without touching the test set.

    Returns the split without them, and a validation split whose query holds the first picture of each identity in
    each of its cameras and whose gallery holds the rest. Every query can be found under the same-camera rule: a
    picture that no other camera's gallery picture would match goes to the gallery, and an identity that one camera
    alone has seen is never held out.
    """
    if not 0 < fraction < 1:
        raise UserError(f"dataset.val_fraction={fraction} must lie between 0 and 1 (0 turns it off)")
    seen: dict[int, dict[int, list[Record]]] = {}
    for r in split.train:
        seen.setdefault(r.pid, {}).setdefault(r.camid, []).append(r)
    eligible = [pid for pid in sorted(seen) if len(seen[pid]) > 1 and any(len(v) > 1 for v in seen[pid].values())]
    count = round(fraction * len(seen))
    if not 0 < count <= len(eligible) or count == len(seen):
        raise UserError(
            f"dataset.val_fraction={fraction} would hold out {count} of {len(seen)} training identities, "
            f"{len(eligible)} of which two cameras have seen: choose another fraction"
        )
    held = set(np.random.default_rng([seed, 0x7A11]).permutation(eligible)[:count].tolist())
    query = [
        views[0]
        for pid in sorted(held)
        for cam, views in seen[pid].items()
        if any(len(others) > 1 for other, others in seen[pid].items() if other != cam)
    ]
    chosen = set(query)
    return (
        replace(split, train=tuple(r for r in split.train if r.pid not in held)),
        Split(
            name=f"{split.name} validation",
            root=split.root,
            train=(),
            query=tuple(query),
            gallery=tuple(r for r in split.train if r.pid in held and r not in chosen),
        ),
    )
