"""Pictures that are there twice: the same bytes, or nearly the same pixels."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from reid.data.doctor.findings import Finding, found
from reid.data.doctor.images import blank
from reid.data.doctor.pixels import Picture
from reid.data.records import Record, Split

# From a copy encoded again as JPEG of quality 50, 99 of 100 pictures of the toy set and of CUHK01 differ in at most 8
# bits, and all in at most 3 levels; from a copy of half the size CUHK01's differ in up to 8 levels, mostly 4.
_BITS = 8
_LEVELS = 8.0
_TRAIN = "train"
_BLOCK, _PAIRS = 256, 2**14  # at a time, where thousands of pictures have one hash


def copies(split: Split, pictures: Mapping[Path, Picture], junk: Collection[int]) -> list[Finding]:
    """Files with the same bytes: across train and test, under two identities, under two cameras, or just so."""
    alike: dict[bytes, dict[str, list[Record]]] = {}
    for side, records in _sides(split).items():
        for r in records:
            if r.path in pictures:
                alike.setdefault(pictures[r.path].digest, {}).setdefault(side, []).append(r)
    shared = [_paths(r for side in g.values() for r in side) for g in alike.values() if _TRAIN in g and len(g) > 1]
    people, cameras, plain = [], [], []
    for group in (g for sides in alike.values() for g in sides.values() if len(g) > 1):
        who = {r.pid for r in group if r.pid not in junk}
        if len(who) > 1:
            people.append(_paths(group))
        for pid in sorted(who):
            own = [r for r in group if r.pid == pid]
            if len({r.camid for r in own}) > 1:
                cameras.append(_paths(own))
            elif len(_paths(own)) > 1:
                plain.append(_paths(own))
    return [
        *found(
            "warning",
            "images shared by train and test",
            shared,
            "The same bytes are trained on and judged on, so numbers mean little: remove them from one of the two.",
        ),
        *found(
            "warning",
            "images under two identities",
            people,
            "The same bytes are said to show different people: one label is wrong, or the two are one person.",
        ),
        *found(
            "warning",
            "images under two cameras",
            cameras,
            "The same bytes of one identity are said to come from different cameras, so a query can find its own copy: "
            "remove all but one.",
        ),
        *found(
            "info",
            "copies of an image of the same identity and camera",
            plain,
            "They add nothing, and weigh more than others; where camera ids mean nothing, a query finds its own copy.",
        ),
    ]


def near_copies(split: Split, pictures: Mapping[Path, Picture], junk: Collection[int]) -> list[Finding]:
    """Pairs of nearly equal pictures, not of equal bytes, that labels say should differ: across train and test, or of
    two identities.

    Nearly equal are pictures whose difference hashes differ in at most 8 of 64 bits and whose mean colours in 16 x 8
    fields differ by at most 8 of 255 levels (root mean square). Neighbouring frames of one identity on one side are
    normal and not looked for; blank pictures and ``junk`` are left out.
    """
    rows = [
        (r, side)
        for side, records in enumerate(_sides(split).values())
        for r in {r.path: r for r in records}.values()
        if r.path in pictures and r.pid not in junk and not blank(pictures[r.path])
    ]
    if not rows:
        return []
    records = [r for r, _ in rows]
    seen = [pictures[r.path] for r in records]
    sides, who = np.array([side for _, side in rows]), np.array([r.pid for r in records])
    test = sides > 0
    same = np.unique([p.digest for p in seen], return_inverse=True)[1]
    small = np.stack([p.small.reshape(-1) for p in seen]).astype(np.int16)
    shared: list[list[Path]] = []
    people: list[list[Path]] = []
    for a, b in _close(np.stack([p.hash for p in seen])):
        unlike = (same[a] != same[b]) & ((test[a] != test[b]) | ((sides[a] == sides[b]) & (who[a] != who[b])))
        pairs = np.stack([a[unlike], b[unlike]], axis=1)
        for some in np.array_split(pairs, len(pairs) // _PAIRS + 1):
            apart = (small[some[:, 0]] - small[some[:, 1]]).astype(np.float32)
            for i, j in some[np.sqrt((apart**2).mean(axis=1)) <= _LEVELS].tolist():
                (shared if test[i] != test[j] else people).append([records[i].path, records[j].path])
    rule = "the same but for encoding or size, or two frames in a row"
    return [
        *found(
            "warning",
            "pairs of near copies across train and test",
            shared,
            f"Nearly the same picture is trained on and judged on ({rule}), so numbers mean little: look at them, and "
            "remove one of each.",
        ),
        *found(
            "warning",
            "pairs of near copies under two identities",
            people,
            f"Nearly the same picture is said to show two people ({rule}): look at them, one label may be wrong.",
        ),
    ]


def _close(codes: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Indices (a, b), a < b, of ``codes`` uint8 [N, 8] that differ in at most ``_BITS`` bits; every pair once."""
    import faiss  # heavy, and needed here only

    index = faiss.IndexBinaryFlat(64)
    index.add(codes)
    for start in range(0, len(codes), _BLOCK):
        ends, _, b = index.range_search(codes[start : start + _BLOCK], _BITS + 1)  # it finds what is below
        a = start + np.repeat(np.arange(len(ends) - 1), (ends[1:] - ends[:-1]).astype(np.int64))
        yield a[a < b], b[a < b]


def _sides(split: Split) -> dict[str, list[Record]]:
    """What is trained on, first, and what is judged on together: of a union each set apart."""
    sides: dict[str, list[Record]] = {_TRAIN: list(split.train)}
    for r in split.query + split.gallery:
        sides.setdefault(f"test {r.source}", []).append(r)
    return sides


def _paths(records: Iterable[Record]) -> list[Path]:
    return list(dict.fromkeys(r.path for r in records))
