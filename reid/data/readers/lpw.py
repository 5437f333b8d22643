"""Labeled Pedestrian in the Wild (LPW)."""

import re
from collections.abc import Iterator
from pathlib import Path

from reid.data.readers.shared import numbered_folders, open_root, pictures, warn_of_counts
from reid.data.records import Record, Split
from reid.errors import UserError

PUBLISHED = {"train": (1_975, 418_739), "query": (756, 63_118), "gallery": (756, 108_690)}
_VIEW = re.compile(r"view(\d)")
_QUERY = 2  # the view of scene 1 that saw all its people


def read(root: str | Path, name: str = "lpw") -> Split:
    """Read LPW: scenes 2 and 3 to train on, scene 1 to test on, its second view searched in the other two.

    Reference: Song, Leng, Liu, Hetang and Cai, Region-based Quality Estimation Network for Large-scale Person
    Re-identification, AAAI 2018. Three scenes with 3, 4 and 4 views, 2,731 people and 7,694 tracks: 418,739 training
    images of 1,975 people, 63,118 queries and 108,690 gallery images of 756 others. These are 590,547; the authors'
    page speaks of 77 images a track, which makes 592,438.

    Layout: ``scen1/``, ``scen2/``, ``scen3/``, each with ``view1/``, ``view2/`` ... of one folder a person, named by
    the number.

    People are numbered within their scene: person 7 of scene 2 is identity 200007 here. View 3 of scene 2 is camera 23.
    What a view saw of a person is one track.

    Protocol: market1501.

    Raises:
        UserError: a folder is missing, or holds no view with people's folders.
    """
    root = open_root(root, ["scen1", "scen2", "scen3"])
    test = tuple(_scene(root, 1))
    split = Split(
        name=name,
        root=root,
        train=tuple(r for scene in (2, 3) for r in _scene(root, scene)),
        query=tuple(r for r in test if r.camid == 10 + _QUERY),
        gallery=tuple(r for r in test if r.camid != 10 + _QUERY),
    )
    warn_of_counts(split, PUBLISHED)
    return split


def _scene(root: Path, scene: int) -> Iterator[Record]:
    folder = root / f"scen{scene}"
    people = [
        (person, 100_000 * scene + int(person.name), 10 * scene + int(match[1]))
        for view in sorted(folder.iterdir())
        if (match := _VIEW.fullmatch(view.name)) and view.is_dir()
        for person in numbered_folders(view)
    ]
    if not people:
        raise UserError(f"{folder} holds no folder of a person, such as view1/12")
    for person, pid, camid in people:
        for file in pictures(person):
            yield Record(file, pid, camid, track=camid)
