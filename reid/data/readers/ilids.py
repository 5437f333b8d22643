"""QMUL i-LIDS (the stills, not iLIDS-VID)."""

import re
from pathlib import Path

import numpy as np

from reid.data.readers.shared import half, named, one_each, open_root, pictures, warn_of_total
from reid.data.records import Record, Split

_NAME = re.compile(r"(\d{4})\d{3}\.")
_CAMERA = 0  # not told


def read(root: str | Path, trial: int = 0, name: str = "ilids") -> Split:
    """Read QMUL i-LIDS, cut at random into 59 people to train on and 60 to test on.

    Reference: Zheng, Gong and Xiang, Associating Groups of People, BMVC 2009. 476 images of 119 people in an airport
    hall, 2 to 8 of each, from several cameras; which, the set does not tell: all are camera 0 here.

    Layout: ``Persons/`` with files named ``0001001.jpg``: four digits for the person, three for the picture.

    The set comes without a split. One random picture of each test person is the gallery, the others are queries;
    torchreid draws a single query too. Average trials 0 to 9.

    Protocol: no_camera.

    Args:
        trial: which random half is trained on, see ``shared.half``, and which pictures are the gallery:
            ``np.random.default_rng([trial, 0x6A11])`` draws one for each person in order. The split's name says it.

    Raises:
        UserError: the folder is missing, holds no image with such a name, or ``trial`` is negative.
    """
    root = open_root(root, ["Persons"])
    records = named(pictures(root / "Persons"), _NAME, "0001001.jpg", lambda file, m: Record(file, int(m[1]), _CAMERA))
    train = half(trial, records)
    tested = [r for r in records if r.pid not in train]
    gallery = one_each(tested, np.random.default_rng([trial, 0x6A11]))
    chosen = set(gallery)
    split = Split(
        name=f"{name} (trial {trial})",
        root=root,
        train=tuple(r for r in records if r.pid in train),
        query=tuple(r for r in tested if r not in chosen),
        gallery=gallery,
    )
    warn_of_total(split, 119, 476)
    return split
