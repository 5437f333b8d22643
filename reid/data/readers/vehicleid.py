"""PKU VehicleID: vehicles."""

import re
from pathlib import Path

import numpy as np

from reid.data.readers.shared import check_trial, listed, one_each, open_root, warn_of_counts, warn_of_overlap
from reid.data.records import Record, Split
from reid.errors import unknown

PUBLISHED = {
    800: {"train": (13_164, 113_346), "query": (800, 5_693), "gallery": (800, 800)},
    1600: {"train": (13_164, 113_346), "query": (1_600, 11_777), "gallery": (1_600, 1_600)},
    2400: {"train": (13_164, 113_346), "query": (2_400, 17_377), "gallery": (2_400, 2_400)},
}
_LINE = re.compile(r"(\d+)\s+(\d+)")
_CAMERA = 0  # not told


def read(root: str | Path, test_size: int = 800, trial: int = 0, name: str = "vehicleid") -> Split:
    """Read VehicleID with one of its three test lists.

    Reference: Liu, Tian, Yang, Pang and Huang, Deep Relative Distance Learning: Tell the Difference Between Similar
    Vehicles, CVPR 2016. 221,567 images of 26,328 vehicles, fewer than in the paper, since the authors took vehicles
    with false plates out: 113,346 training images of 13,164; to test on 6,493 of 800, 13,377 of 1,600 or 19,777 of
    2,400. The cameras are not told: all are camera 0 here.

    Layout: ``image/`` of files named ``0000001.jpg``, and ``train_test_split/`` with ``train_list.txt``,
    ``test_list_800.txt``, ``test_list_1600.txt`` and ``test_list_2400.txt`` of lines such as ``0000001 12345``: image,
    vehicle.

    One random image of each test vehicle is the gallery, the others are queries. Average trials 0 to 9.

    Protocol: no_camera.

    Args:
        test_size: 800 (small), 1600 (medium) or 2400 (large).
        trial: which images are the gallery: ``np.random.default_rng([trial, 0x7E41])`` draws one of each vehicle in
            order. The name of the split says both.

    Raises:
        UserError: ``test_size`` or ``trial`` is out of range; a folder or list is missing; a line is not as above; a
            list names images that are not there.
    """
    if test_size not in PUBLISHED:
        raise unknown("dataset.test_size", test_size, map(str, PUBLISHED))
    check_trial(trial)
    root = open_root(root, ["image", "train_test_split"])
    train, test = (_listed(root, part) for part in ("train_list.txt", f"test_list_{test_size}.txt"))
    chosen = set(one_each(test, np.random.default_rng([trial, 0x7E41])))
    split = Split(
        name=f"{name} ({test_size}, trial {trial})",
        root=root,
        train=train,
        query=tuple(r for r in test if r not in chosen),
        gallery=tuple(r for r in test if r in chosen),
    )
    warn_of_overlap(split)
    warn_of_counts(split, PUBLISHED[test_size])
    return split


def _listed(root: Path, part: str) -> tuple[Record, ...]:
    """The images of a list, by their number."""
    records = listed(
        root / "train_test_split" / part,
        _LINE,
        "0000001 12345",
        lambda m: Record(root / "image" / f"{m[1]}.jpg", int(m[2]), _CAMERA),
    )
    return tuple(sorted(records, key=lambda r: r.path))
