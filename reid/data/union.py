"""Several training sets as one."""

import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from reid.data.records import Record, Split
from reid.errors import UserError


def union(sets: Sequence[Split], name: str = "union") -> Split:
    """One training part out of several, in which no two sets share an identity, a camera or a track.

    These are numbered anew from 1, in the order of the sets and in each set in the order of its own numbers, so that
    the same sets always give the same labels. ``source`` of every record names its set. Clothes, which count within an
    identity, and times stay as they are.

    There is no test part: a model is judged on each set apart, under that set's own labels. ``sets`` of the result
    keeps them whole.

    Args:
        sets: one or more, each with a name of its own.
        name: of the result; the names of the sets are added to it.

    Raises:
        UserError: no set, two of one name, one without a training part, or an image that is in two of them: it would
            show two people.
    """
    names = [one.name for one in sets]
    if not sets:
        raise UserError("dataset.sets=[] names no set to train on: name some, as dataset.sets=[market1501,msmt17]")
    if repeated := [n for n in names if names.count(n) > 1]:
        raise UserError(f"dataset.sets has two sets of the name {repeated[0]}: give one of them a name of its own")
    for one in sets:
        if not one.train:
            raise UserError(
                f"dataset.sets: {one.name} has nothing to train on: leave it out, and judge on it with eval.targets"
            )
    _refuse_common_images(sets)
    rows = [(place, r) for place, one in enumerate(sets) for r in one.train]
    pid = _numbered((place, r.pid) for place, r in rows)
    camid = _numbered((place, r.camid) for place, r in rows)
    track = _numbered((place, r.track) for place, r in rows if r.track is not None)
    train = tuple(
        replace(
            r,
            pid=pid[place, r.pid],
            camid=camid[place, r.camid],
            track=None if r.track is None else track[place, r.track],
            source=names[place],
        )
        for place, r in rows
    )
    root = Path(os.path.commonpath([one.root.absolute() for one in sets]))
    return Split(f"{name} ({' + '.join(names)})", root, train, query=(), gallery=(), sets=tuple(sets))


def with_tests(split: Split, junk: Sequence[Collection[int]], distractors: Sequence[Collection[int]]) -> Split:
    """A union with the test parts of its sets beside its training part, to look at all files of it at once.

    Identities and cameras are numbered on from those of the training part; junk becomes -1 and distractors 0. Nothing
    is judged on it: two sets' queries and galleries do not belong together.

    Args:
        junk, distractors: identities of these, as each set numbers them.
    """
    nobody = {(place, n): -1 for place, numbers in enumerate(junk) for n in numbers}
    nobody |= {(place, n): 0 for place, numbers in enumerate(distractors) for n in numbers}
    pid, camid = {**_numbered_on(split, "pid", nobody), **nobody}, _numbered_on(split, "camid", ())

    def renumbered(part: str) -> tuple[Record, ...]:
        return tuple(
            replace(r, pid=pid[place, r.pid], camid=camid[place, r.camid], source=one.name)
            for place, one in enumerate(split.sets)
            for r in getattr(one, part)
        )

    return replace(split, query=renumbered("query"), gallery=renumbered("gallery"))


def _numbered_on(split: Split, label: str, nobody: Collection[tuple[int, int]]) -> dict[tuple[int, int], int]:
    """The number of every pair of (place of the set, number in the set): of what is trained on as in the union, from
    the next one on of what only the test parts have; ``nobody`` gets none."""
    trained = [(place, getattr(r, label)) for place, one in enumerate(split.sets) for r in one.train]
    known = dict(zip(trained, (getattr(r, label) for r in split.train), strict=True))
    tested = {(place, getattr(r, label)) for place, one in enumerate(split.sets) for r in one.query + one.gallery}
    fresh = sorted(tested - known.keys() - set(nobody))
    return known | {pair: number for number, pair in enumerate(fresh, start=max(known.values()) + 1)}


def _numbered(found: Iterable[tuple[int, int]]) -> dict[tuple[int, int], int]:
    """A number from 1 on for every pair of (place of the set, number in the set), in sorted order."""
    return {pair: number for number, pair in enumerate(sorted(set(found)), start=1)}


def _refuse_common_images(sets: Sequence[Split]) -> None:
    holder: dict[str, str] = {}
    for one in sets:
        for path in dict.fromkeys(os.path.abspath(r.path) for r in one.train):
            if path in holder:
                raise UserError(
                    f"dataset.sets: {holder[path]} and {one.name} hold the same image {path}, which would show two "
                    "people: leave one of them out"
                )
            holder[path] = one.name
