"""Anyone's own pictures: one folder a person."""

import logging
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from reid.data.readers.shared import SUFFIXES, collector_off, numbered, open_root, warn_of_overlap
from reid.data.records import Record, Split
from reid.errors import UserError, unknown

log = logging.getLogger(__name__)

_SUBFOLDER = "subfolder"
_Found = list[tuple[str, str, str]]  # person, camera, picture


@collector_off()
def read(
    root: str | Path,
    split: str = "given",
    test_fraction: float = 0.5,
    seed: int = 0,
    camera: str | None = None,
    name: str = "folder",
) -> Split:
    r"""Read pictures that lie in one folder a person; its name, any text, is the identity.

    Layout: ``train/PERSON/``, ``query/PERSON/`` and ``gallery/PERSON/`` ("given"; without ``train/`` the set can be
    judged on, not trained on), or ``PERSON/`` alone ("by_identity"). Pictures may lie in folders below the person's,
    and links are followed unless they lead back up. Hidden files and whatever is no picture are left out.

    People are numbered from 1 in the order of their sorted names, over all parts together: a folder 0000 or -1 is a
    person like any other. One who is in ``gallery/`` alone is a distractor.

    Warned of: an identity in both train and query; people's folders without a picture, which are left out.

    Protocol: market1501 where cameras are told. Without, every query would be refused under it: choose no_camera.

    Args:
        split: "given" or "by_identity": people are drawn to test on, the others are trained on. Queries are the first
            picture of each camera, as long as each keeps a picture of another camera (without cameras: any) to be
            found; the rest is gallery. A person who offers no query is never drawn.
        test_fraction: share of all people that is drawn; said, like ``seed``, in the name of the split.
        seed: ``np.random.default_rng([seed, 0x0F1D]).permutation(sorted numbers)`` starts with those who are drawn.
        camera: a regular expression to be found in file names; its group (without one, all that it finds) is the
            camera, as in ``_c(\d+)``. "subfolder": the folder below the person's. None: not told, all are camera 0.
            Whole numbers stay what they are, other texts are numbered from 1 in sorted order.

    Raises:
        UserError: a folder is missing or has no picture; a picture does not tell its camera; an option is out of range.
    """
    root = Path(root).expanduser()
    if not root.is_dir():
        raise UserError(f"dataset.root={root} is not a folder: point it at the folder that holds one folder a person")
    pattern = _pattern(camera)
    if split == "given":
        parts = {part: _found(root / part, camera, pattern) for part in _given(root)}
        notes = []
    elif split == "by_identity":
        if (root / "query").is_dir() and (root / "gallery").is_dir():
            raise UserError(f"dataset.root={root} holds query/ and gallery/: read it with dataset.split=given")
        parts = {"all": _found(root, camera, pattern)}
        notes = [f"{test_fraction:g} by identity, seed {seed}"]
    else:
        raise unknown("dataset.split", split, ("given", "by_identity"))
    everyone = [found for part in parts.values() for found in part]
    pid = {person: number for number, person in enumerate(sorted({person for person, _, _ in everyone}), 1)}
    camid = {"": 0} if camera is None else numbered(cam for _, cam, _ in everyone)
    records = {
        part: tuple(Record(file, pid[person], camid[cam]) for person, cam, file in found)  # type: ignore[arg-type]
        for part, found in parts.items()
    }
    if split == "by_identity":
        records = _cut(records["all"], test_fraction, seed, told=camera is not None)
    notes += ["no cameras"] if camera is None else []
    named = f"{name} ({', '.join(notes)})" if notes else name
    found = Split(named, root, records.get("train", ()), records["query"], records["gallery"])
    warn_of_overlap(found)
    return found


def _given(root: Path) -> list[str]:
    try:
        open_root(root, ["query", "gallery"])
    except UserError as error:
        raise UserError(f"{error}; dataset.split=by_identity cuts a folder of people") from None
    return [part for part in ("train", "query", "gallery") if (root / part).is_dir()]


def _pattern(camera: str | None) -> re.Pattern[str] | None:
    if camera in (None, _SUBFOLDER):
        return None
    try:
        pattern = re.compile(camera or "")
    except re.error as error:
        raise UserError(f"dataset.camera={camera} is not a regular expression: {error}") from error
    if not camera or pattern.groups > 1:
        raise UserError(f"dataset.camera={camera} must be an expression with one group, as _c(\\d+), subfolder or null")
    return pattern


def _found(folder: Path, camera: str | None, pattern: re.Pattern[str] | None) -> _Found:
    """Every picture in the people's folders in ``folder``, sorted by person and path."""
    above = {real := folder.resolve(), *real.parents}
    people = [p for p in sorted(folder.iterdir()) if p.is_dir() and not _hidden(p) and p.resolve() not in above]
    pictures = {person: list(_pictures(person, above | {person.resolve()})) for person in people}
    empty = [person for person in people if not pictures[person]]
    if len(empty) == len(people):
        raise UserError(f"{folder} holds no folder of a person with .jpg or .png images in it")
    if empty:
        log.warning("%d of %d folders in %s hold no picture (first: %s)", len(empty), len(people), folder, empty[0])
    found = [
        (p, file, _camera(file.removeprefix(f"{p}{os.sep}"), camera, pattern)) for p in people for file in pictures[p]
    ]
    silent = [file for _, file, cam in found if cam is None]
    if silent:
        raise UserError(
            f"{len(silent)} of {len(found)} pictures in {folder} do not tell a camera by dataset.camera={camera} "
            f"(first: {silent[0]})"
        )
    return [(person.name, cam, file) for person, file, cam in found if cam is not None]


def _pictures(folder: str | Path, seen: set[Path]) -> Iterator[str]:
    """The image files in ``folder`` and below, sorted; ``seen`` are the real folders that are not entered (again).

    As text, and by what the listing of a folder tells: a Path for each and a look at it take several times as long.
    """
    with os.scandir(folder) as entries:
        listed = sorted((entry for entry in entries if not _hidden(entry)), key=lambda entry: entry.name)
    for entry in listed:
        if not (os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()):  # the latter raises for a circle
            if os.path.splitext(entry.name)[1].lower() in SUFFIXES:
                yield entry.path
        elif (real := Path(entry.path).resolve()) not in seen:
            seen.add(real)
            yield from _pictures(entry.path, seen)


def _hidden(path: Path | os.DirEntry[str]) -> bool:
    return path.name.startswith(".")


def _camera(file: str, camera: str | None, pattern: re.Pattern[str] | None) -> str | None:
    """The camera of a picture, ``file`` seen from the person's folder; None if it does not tell."""
    if pattern is not None:
        match = pattern.search(os.path.basename(file))
        return match[pattern.groups] if match else None
    if camera == _SUBFOLDER:
        return file.split(os.sep)[0] if os.sep in file else None
    return ""


def _cut(records: Sequence[Record], fraction: float, seed: int, told: bool) -> dict[str, tuple[Record, ...]]:
    """Train, query and gallery of ``records``, a share of the people drawn to test on."""
    if not 0 < fraction < 1:
        raise UserError(f"dataset.test_fraction={fraction} must lie between 0 and 1")
    if seed < 0:
        raise UserError(f"dataset.seed={seed} must be at least 0")
    people: dict[int, list[Record]] = {}
    for r in records:
        people.setdefault(r.pid, []).append(r)
    queries = {pid: chosen for pid in sorted(people) if (chosen := _queries(people[pid], told))}
    count = round(fraction * len(people))
    if not 0 < count <= len(queries) or count == len(people):
        raise UserError(
            f"dataset.test_fraction={fraction} asks for {count} of {len(people)} people to test on, {len(queries)} of "
            f"whom {'two cameras have seen' if told else 'have two pictures'}: choose another fraction"
        )
    tested = np.random.default_rng([seed, 0x0F1D]).permutation(list(queries))[:count].tolist()
    test = set(tested)
    searched = {id(r) for pid in tested for r in queries[pid]}  # the hash of a record makes a Path
    return {
        "train": tuple(r for r in records if r.pid not in test),
        "query": tuple(r for r in records if id(r) in searched),
        "gallery": tuple(r for r in records if r.pid in test and id(r) not in searched),
    }


def _queries(pictures: Sequence[Record], told: bool) -> list[Record]:
    """The first picture of each camera, as long as all of these keep a match: of another camera where that is told."""
    left = Counter(r.camid for r in pictures)
    chosen: list[Record] = []
    for cam in list(left):
        first = next(r for r in pictures if r.camid == cam)
        left[cam] -= 1
        if all(any(n for other, n in left.items() if not told or other != q.camid) for q in [*chosen, first]):
            chosen.append(first)
        else:
            left[cam] += 1
    return chosen
