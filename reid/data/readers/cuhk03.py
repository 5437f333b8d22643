"""CUHK03: the split into 767 and 700 people, and the twenty single-shot splits it was published with."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reid.data.readers import market1501
from reid.data.readers.shared import check_trial, named, open_root, pictures, warn_of_counts, warn_of_total
from reid.data.records import Record, Split
from reid.errors import UserError, unknown

PUBLISHED = {
    "detected": {"train": (767, 7_365), "query": (700, 1_400), "gallery": (700, 5_332)},
    "labeled": {"train": (767, 7_368), "query": (700, 1_400), "gallery": (700, 5_328)},
}
_NAME = re.compile(r"([1-5])_(\d{3})_([12])_\d+\.")
_TRIALS = 20


def read(root: str | Path, boxes: str = "detected", name: str = "cuhk03") -> Split:
    """Read CUHK03 in the split into 767 and 700 people (CUHK03-NP).

    Reference: Li, Zhao, Xiao and Wang, DeepReID: Deep Filter Pairing Neural Network for Person Re-identification, CVPR
    2014; the split: Zhong, Zheng, Cao and Li, Re-ranking Person Re-identification with k-reciprocal Encoding, CVPR
    2017. Two cameras; with detected boxes 7,365 training images, 1,400 queries and 5,332 gallery images, with labelled
    ones 7,368, 1,400 and 5,328.

    Layout: the set re-packed like Market-1501, ``detected/`` and ``labeled/``, each with ``bounding_box_train/``,
    ``query/`` and ``bounding_box_test/`` of files named ``0001_c1_1.png``. The authors' ``cuhk-03.mat`` is not read.

    Protocol: market1501.

    Args:
        boxes: "detected" or "labeled"; said in the name of the split.

    Raises:
        UserError: ``boxes`` is neither; a folder is missing, or holds no image with such a name.
    """
    root = _opened(root, boxes, boxes)
    split = market1501.read(root / boxes, name=f"{name} ({boxes})")
    warn_of_counts(split, PUBLISHED[boxes])
    return split


def read_single_shot(
    root: str | Path, boxes: str = "detected", trial: int = 0, name: str = "cuhk03_single_shot"
) -> Split:
    """Read one of the twenty splits that CUHK03 was published with: 100 people to test on, the others to train on.

    Reference: Li et al., CVPR 2014, as above. 1,467 people (the paper counts 1,360) in five pairs of cameras: 14,097
    detected or 14,096 labelled images. Published numbers are means over the twenty trials.

    Layout: the folder that torchreid makes of ``cuhk-03.mat``: ``images_detected/`` and ``images_labeled/`` of files
    named ``1_001_1_01.png`` (pair of cameras, person in it, view, picture) beside ``splits_classic_detected.json`` and
    ``splits_classic_labeled.json``. Of the splits only the names of the test images are used.

    People are numbered within their pair of cameras: person 1 of pair 2 is identity 2001 here. The camera is the view,
    1 or 2. All images of the test people are query and gallery; the protocol draws the single shots.

    Protocol: cuhk03_single_shot.

    Args:
        boxes: "detected" or "labeled".
        trial: 0 to 19; said, like ``boxes``, in the name of the split.

    Raises:
        UserError: an option is out of range; a folder or file is missing or damaged; no image has such a name.
    """
    check_trial(trial, _TRIALS)
    root = _opened(root, boxes, f"images_{boxes}")
    records = named(
        pictures(root / f"images_{boxes}"),
        _NAME,
        "1_001_1_01.png",
        lambda file, m: Record(file, 1000 * int(m[1]) + int(m[2]), int(m[3])),
    )
    held = _test_names(root / f"splits_classic_{boxes}.json", trial)
    people = {r.pid for r in records if r.path.name in held}
    if not people:
        raise UserError(f"{root / f'images_{boxes}'} holds no image that splits_classic_{boxes}.json names")
    test = tuple(r for r in records if r.pid in people)
    split = Split(
        name=f"{name} ({boxes}, trial {trial})",
        root=root,
        train=tuple(r for r in records if r.pid not in people),
        query=test,
        gallery=test,
    )
    warn_of_total(split, 1_467, sum(images for _, images in PUBLISHED[boxes].values()))
    return split


def _opened(root: str | Path, boxes: str, folder: str) -> Path:
    if boxes not in PUBLISHED:
        raise unknown("dataset.boxes", boxes, PUBLISHED)
    return open_root(root, [folder])


def _test_names(file: Path, trial: int) -> set[str]:
    """The names of the query images of a trial; the paths before them are those of the machine that wrote the file."""
    if not file.is_file():
        raise UserError(f"dataset.root={file.parent} has no {file.name}: let torchreid write it once, from cuhk-03.mat")
    try:
        query: Sequence[Any] = json.loads(file.read_text())[trial]["query"]
        return {re.split(r"[/\\]", path)[-1] for path, _, _ in query}
    except (ValueError, LookupError, TypeError) as error:
        raise UserError(f"{file} is not a list of splits as torchreid writes it: {error!r}") from error
