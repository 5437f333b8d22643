"""What readers share: the pictures of a folder, what file names say, and whether a published set is all there."""

import contextlib
import gc
import importlib
import logging
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reid.data.records import Record, Split
from reid.errors import UserError

log = logging.getLogger(__name__)
published_log = logging.getLogger(f"{__name__}.published")  # where a set is not as published; dataset.strict refuses it

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff"}
_WHOLE = re.compile(r"-?[0-9]{1,18}")
Counts = Mapping[str, tuple[int, int]]  # "train", "query", "gallery" -> (identities, images)


@contextlib.contextmanager
def collector_off() -> Iterator[None]:
    """Python's garbage collector rests: it would look through a million records again and again and find nothing."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


def open_root(root: str | Path, folders: Sequence[str]) -> Path:
    """The folder of a data set, in which these ``folders`` lie.

    Raises:
        UserError: it is no folder, or one of them is missing; a root that is one level too high or low is told.
    """
    root = Path(root).expanduser()
    listing = " and ".join(filter(None, [", ".join(f"{f}/" for f in folders[:-1]), f"{folders[-1]}/"]))
    if not root.is_dir():
        raise UserError(f"dataset.root={root} is not a folder: point it at the folder that holds {listing}")
    missing = [folder for folder in folders if not (root / folder).is_dir()]
    if missing:
        for candidate in [root.parent, *sorted(p for p in root.iterdir() if p.is_dir())]:
            if all((candidate / folder).is_dir() for folder in folders):
                raise UserError(
                    f"dataset.root={root} has no folder '{missing[0]}': did you mean dataset.root={candidate}?"
                )
        raise UserError(f"dataset.root={root} has no folder '{missing[0]}': it must hold {listing}")
    return root


def pictures(folder: Path) -> list[Path]:
    """The image files directly in ``folder``, sorted. UserError if there is none."""
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder")
    files = sorted((f for f in folder.iterdir() if f.suffix.lower() in SUFFIXES), key=lambda f: f.name)
    if not files:
        raise UserError(f"{folder} holds no .jpg or .png image")
    return files


def named(
    files: Sequence[Path], pattern: re.Pattern[str], example: str, record: Callable[[Path, re.Match[str]], Record]
) -> tuple[Record, ...]:
    """``record(file, match)`` of every file whose name matches at its start; others are litter and left out.

    Raises:
        UserError: none matches; ``example`` says how they should be named.
    """
    records = [record(f, m) for f in files if (m := pattern.match(f.name))]
    if not records:
        raise UserError(
            f"{files[0].parent}: none of its {len(files)} images is named like {example} (first: {files[0].name})"
        )
    return tuple(records)


def listed(
    file: Path, pattern: re.Pattern[str], example: str, record: Callable[[re.Match[str]], Record]
) -> tuple[Record, ...]:
    """``record(match)`` of every line of a list that a set comes with; blank lines are passed over.

    Raises:
        UserError: the list is missing, a line is not like ``example`` as a whole, or images are not there.
    """
    if not file.is_file():
        raise UserError(f"{file} is missing, which is part of the set: check dataset.root")
    records = []
    for number, line in enumerate(map(str.strip, file.read_text().splitlines()), start=1):
        match = pattern.fullmatch(line)
        if match:
            records.append(record(match))
        elif line:
            raise UserError(f"{file}, line {number}: not like {example}, but {line}")
    if not records:
        raise UserError(f"{file} names no image")
    absent = [r.path for r in records if not r.path.is_file()]
    if absent:
        raise UserError(f"{file}: {len(absent)} of its images are not there (first: {absent[0]})")
    return tuple(records)


def people_folders(folder: Path) -> list[Path]:
    """The folders of people, named by numbers, directly in ``folder``, sorted. UserError if there is none."""
    if not folder.is_dir():
        raise UserError(f"{folder} is missing, which is part of the set: check dataset.root")
    people = numbered_folders(folder)
    if not people:
        raise UserError(f"{folder} holds no folder of a person, such as 001")
    return people


def numbered_folders(folder: Path) -> list[Path]:
    """The folders named by numbers directly in ``folder``, sorted; perhaps none."""
    return [inner for inner in sorted(folder.iterdir()) if inner.name.isdecimal() and inner.is_dir()]


def numbered(texts: Iterable[str]) -> dict[str, int]:
    """A number for each text: itself if all are whole numbers, else its place among the sorted texts, from 1.

    >>> numbered(["north", "3", "gate", "north"])
    {'3': 1, 'gate': 2, 'north': 3}
    >>> numbered(["3", "-1", "0007"])
    {'-1': -1, '0007': 7, '3': 3}
    """
    names = sorted(set(texts))
    if all(_WHOLE.fullmatch(text) for text in names):
        return {text: int(text) for text in names}
    return {text: number for number, text in enumerate(names, 1)}


def optional(module: str, package: str, what: str) -> Any:
    """A module of a package that a few data sets alone need.

    Raises:
        UserError: it is not installed; ``what`` is the file or set that needs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        raise UserError(f"{what} is read by {package}, which is not installed: pip install {package}") from None


def warn_of_counts(split: Split, published: Counts) -> None:
    """Say loudly where a set is not what was published: then its numbers compare with nobody's."""
    found = {part: _counts(getattr(split, part)) for part in published}
    wrong = [
        f"{part} has {found[part][1]} images of {found[part][0]} identities instead of {images} of {identities}"
        for part, (identities, images) in published.items()
        if found[part] != (identities, images)
    ]
    if wrong:
        published_log.warning("%s in %s is not the published set: %s", split.name, split.root, "; ".join(wrong))


def warn_of_overlap(split: Split) -> None:
    """Say loudly that training and test share identities."""
    both = {r.pid for r in split.train} & {r.pid for r in split.query}
    if both:
        log.warning(
            "%d identities are in train and in query of %s (first: %s): numbers on such a set mean little",
            len(both), split.root, min(both),
        )  # fmt: skip


def warn_of_total(split: Split, identities: int, images: int) -> None:
    """As ``warn_of_counts`` where chance decides which part a picture is in: counts the pictures of all parts, once."""
    found = _counts({r.path: r for r in split.train + split.query + split.gallery}.values())
    if found != (identities, images):
        published_log.warning(
            "%s in %s is not the published set: it has %d images of %d identities instead of %d of %d",
            split.name, split.root, found[1], found[0], images, identities,
        )  # fmt: skip


def check_trial(trial: int, count: int | None = None) -> None:
    """UserError unless ``trial`` is 0 or more, and below ``count`` where a set has only so many."""
    if trial < 0 or (count is not None and trial >= count):
        known = "0 or more" if count is None else f"from 0 to {count - 1}"
        raise UserError(f"dataset.trial={trial} must be a whole number, {known}")


def half(trial: int, *views: Sequence[Record]) -> frozenset[int]:
    """Half (rounded down) of the identities that every view shows, to train on; another half in each trial.

    Drawn as ``np.random.default_rng([trial, 0x4A1F]).permutation(sorted identities)``, its first half.

    Raises:
        UserError: the trial is negative, or the views share fewer than two identities.
    """
    check_trial(trial)
    people = sorted(set.intersection(*({r.pid for r in view} for view in views)))
    if len(people) < 2:
        folders = " and ".join(str(view[0].path.parent) for view in views)
        raise UserError(f"{folders}: {len(people)} identities are in every view, at least two are needed")
    return frozenset(np.random.default_rng([trial, 0x4A1F]).permutation(people)[: len(people) // 2].tolist())


def one_each(records: Iterable[Record], rng: np.random.Generator) -> tuple[Record, ...]:
    """One record of each identity, drawn in the order of the identities."""
    images: dict[int, list[Record]] = {}
    for r in records:
        images.setdefault(r.pid, []).append(r)
    return tuple(images[pid][rng.integers(len(images[pid]))] for pid in sorted(images))


def two_views(
    name: str, root: Path, query: Sequence[Record], gallery: Sequence[Record], train: Collection[int]
) -> Split:
    """A split where one view is searched in the other; of the identities in ``train`` both views are trained on."""
    return Split(
        name=name,
        root=root,
        train=tuple(r for r in (*query, *gallery) if r.pid in train),
        query=tuple(r for r in query if r.pid not in train),
        gallery=tuple(r for r in gallery if r.pid not in train),
    )


def _counts(records: Iterable[Record]) -> tuple[int, int]:
    pids = [r.pid for r in records]
    return len(set(pids)), len(pids)
