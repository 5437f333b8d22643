"""RandPerson: rendered people, to train on."""

import re
from pathlib import Path

from reid.data.readers.shared import named, pictures, warn_of_counts
from reid.data.records import Record, Split
from reid.errors import UserError

PUBLISHED = {"train": (8_000, 132_145)}
_NAME = re.compile(r"(\d+)_(?=\w*s(\d+))(?=\w*c(\d+))")  # scene before camera, or after it as first published
_SUBSET = "randperson_subset"


def read(root: str | Path, name: str = "randperson") -> Split:
    """Read the subset of RandPerson that its paper trains on. There is nothing to test on: query and gallery are empty.

    Reference: Wang, Liao and Shao, Surpassing Real-World Source Training Data: Random 3D Characters for Generalizable
    Person Re-Identification, ACM Multimedia 2020. 8,000 rendered people in 11 scenes with 19 cameras: 132,145 images,
    of 1,801,816 that were rendered.

    Layout: the folder ``randperson_subset/`` of files named ``000000_s00_c00_f000264.jpg``: person 0, scene 0, camera 0
    of that scene, frame 264. The folder that holds it is understood too.

    Cameras are numbered within their scene: camera 3 of scene 10 is camera 1003 here.

    Raises:
        UserError: the folder is missing, or holds no image with such a name.
    """
    root = Path(root).expanduser()
    if not root.is_dir():
        raise UserError(f"dataset.root={root} is not a folder: point it at {_SUBSET}/")
    root = root / _SUBSET if (root / _SUBSET).is_dir() else root
    train = named(
        pictures(root),
        _NAME,
        "000000_s00_c00_f000264.jpg",
        lambda file, m: Record(file, int(m[1]), 100 * int(m[2]) + int(m[3])),
    )
    split = Split(name=name, root=root, train=train, query=(), gallery=())
    warn_of_counts(split, PUBLISHED)
    return split
