"""CUHK01."""

import re
from pathlib import Path

from reid.data.readers.shared import half, named, open_root, pictures, warn_of_counts
from reid.data.records import Record, Split

PUBLISHED = {"train": (485, 1_940), "query": (486, 486), "gallery": (486, 1_458)}
_NAME = re.compile(r"(\d{4})00([1-4])\.")


def read(root: str | Path, trial: int = 0, name: str = "cuhk01") -> Split:
    """Read CUHK01, cut at random into 485 people to train on and 486 to test on.

    Reference: Li, Zhao and Wang, Human Reidentification with Transferred Metric Learning, ACCV 2012. 971 people, two
    cameras, two pictures of each person in each: 3,884 images.

    Layout: ``campus/`` with files named ``0001001.png``: four digits for the person, three for the picture; pictures 1
    and 2 are camera 1, pictures 3 and 4 camera 2.

    The set comes without a split. This is the one of 485 and 486, of which the query is picture 1 and the gallery the
    others. Some test on 100 people, or take both pictures of camera 1 as queries. Average trials 0 to 9.

    Protocol: cross_camera_only, the two pictures of camera 2; by market1501 picture 2 of others is in the way too.

    Args:
        trial: which random half is trained on, see ``shared.half``; said in the name of the split.

    Raises:
        UserError: the folder is missing, holds no image with such a name, or ``trial`` is negative.
    """
    root = open_root(root, ["campus"])
    records = named(
        pictures(root / "campus"),
        _NAME,
        "0001001.png",
        lambda file, m: Record(file, int(m[1]), 1 if int(m[2]) <= 2 else 2),
    )
    first, second = ([r for r in records if r.camid == camera] for camera in (1, 2))
    train, queries = half(trial, first, second), {r.pid: r for r in reversed(first)}
    tested = [r for r in records if r.pid not in train]
    split = Split(
        name=f"{name} (trial {trial})",
        root=root,
        train=tuple(r for r in records if r.pid in train),
        query=tuple(r for r in tested if r is queries[r.pid]),
        gallery=tuple(r for r in tested if r is not queries[r.pid]),
    )
    warn_of_counts(split, PUBLISHED)
    return split
