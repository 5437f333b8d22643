"""VIPeR."""

import re
from pathlib import Path

from reid.data.readers.shared import half, named, open_root, pictures, two_views, warn_of_counts
from reid.data.records import Record, Split

PUBLISHED = {"train": (316, 632), "query": (316, 316), "gallery": (316, 316)}
_NAME = re.compile(r"(\d+)_\d+\.")


def read(root: str | Path, trial: int = 0, name: str = "viper") -> Split:
    """Read VIPeR, cut at random into 316 people to train on and 316 to test on.

    Reference: Gray, Brennan and Tao, Evaluating Appearance Models for Recognition, Reacquisition, and Tracking, PETS
    2007. 632 people, two cameras, one picture of 128x48 pixels in each.

    Layout: ``cam_a/`` and ``cam_b/`` with files named ``000_45.bmp``: person 0 (who is a person), seen from 45 degrees.
    Camera a (1 here) is the query, camera b (2) the gallery. Many papers average both directions; torchreid too.

    The set comes without a split: average trials 0 to 9.

    Protocol: cross_camera_only.

    Args:
        trial: which random half is trained on, see ``shared.half``; said in the name of the split.

    Raises:
        UserError: a folder is missing, holds no image with such a name, or ``trial`` is negative.
    """
    root = open_root(root, ["cam_a", "cam_b"])
    query, gallery = (_view(root / folder, camid) for folder, camid in (("cam_a", 1), ("cam_b", 2)))
    split = two_views(f"{name} (trial {trial})", root, query, gallery, half(trial, query, gallery))
    warn_of_counts(split, PUBLISHED)
    return split


def _view(folder: Path, camid: int) -> tuple[Record, ...]:
    return named(pictures(folder), _NAME, "000_45.bmp", lambda file, m: Record(file, int(m[1]), camid))
