"""CUHK02."""

import re
from pathlib import Path

from reid.data.readers.shared import named, open_root, pictures, warn_of_counts
from reid.data.records import Record, Split

PUBLISHED = {"train": (1_577, 6_308), "query": (239, 478), "gallery": (239, 478)}
_NAME = re.compile(r"(\d{1,4})_")
_PAIRS = (1, 2, 3, 4, 5)
_TEST = 5  # the pair of cameras to test on


def read(root: str | Path, name: str = "cuhk02") -> Split:
    """Read CUHK02: four pairs of cameras to train on, the fifth to test on.

    Reference: Li and Wang, Locally Aligned Feature Transforms across Views, CVPR 2013. Five pairs of cameras with 971,
    306, 107, 193 and 239 people, two pictures of each in each camera: 7,264 images of 1,816 people. The people of
    the first pair are those of CUHK01, so neither set can test what the other has trained.

    Layout: ``P1/`` to ``P5/``, each with ``cam1/`` and ``cam2/`` of .png files whose names begin with the person's
    number and ``_``. Camera 1 of the fifth pair is the query, camera 2 the gallery; torchreid does the same.

    People are numbered within their pair: person 7 of pair 2 is identity 20007 here. Cameras count on: 1 and 2 are the
    first pair's, 9 and 10 the fifth's.

    Protocol: cross_camera_only.

    Raises:
        UserError: a folder is missing, or holds no image with such a name.
    """
    root = open_root(root, [f"P{pair}" for pair in _PAIRS])
    split = Split(
        name=name,
        root=root,
        train=tuple(r for pair in _PAIRS if pair != _TEST for view in (1, 2) for r in _view(root, pair, view)),
        query=_view(root, _TEST, 1),
        gallery=_view(root, _TEST, 2),
    )
    warn_of_counts(split, PUBLISHED)
    return split


def _view(root: Path, pair: int, view: int) -> tuple[Record, ...]:
    return named(
        pictures(root / f"P{pair}" / f"cam{view}"),
        _NAME,
        "001_1.png",
        lambda file, m: Record(file, 10_000 * pair + int(m[1]), 2 * (pair - 1) + view),
    )
