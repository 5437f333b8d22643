"""QMUL underGround Re-IDentification (GRID)."""

import json
import re
from pathlib import Path

from reid.data.readers.shared import check_trial, half, named, open_root, pictures, two_views, warn_of_counts
from reid.data.records import Record, Split
from reid.errors import UserError, unknown

PUBLISHED = {"train": (125, 250), "query": (125, 125), "gallery": (126, 900)}
_NAME = re.compile(r"(\d{4})_(\d+)_")
_TRIALS = 10


def read(root: str | Path, trial: int = 0, partitions: str = "random", name: str = "grid") -> Split:
    """Read GRID, cut into 125 people to train on and 125 to search for.

    Reference: Loy, Xiang and Gong, Multi-Camera Activity Correlation Analysis, CVPR 2009. 250 people in one probe and
    one gallery picture each, from 8 cameras, and 775 gallery pictures of others: 1,275 images. The gallery of a trial
    has 900 images.

    Layout: ``probe/`` and ``gallery/`` with files named ``0005_2_25100_229_94_99_249.jpeg``: person 5, camera 2. Person
    0000 stands for all the others, distractors.

    The ten partitions of the authors lie in ``features_and_partitions.mat``, which takes scipy to read. Written once as
    ``partitions.json`` beside it (data/README.md has the command), a list of the training people of each trial, they
    are read with ``partitions="published"``. Average the trials, 0 to 9.

    Protocol: market1501.

    Args:
        trial: which half is trained on; said in the name of the split.
        partitions: "random", see ``shared.half``, or "published"; said there too.

    Raises:
        UserError: an option is out of range; a folder is missing, or holds no image with such a name; the partitions
            are missing or damaged.
    """
    if partitions not in ("random", "published"):
        raise unknown("dataset.partitions", partitions, ("random", "published"))
    root = open_root(root, ["probe", "gallery"])
    query, gallery = _view(root / "probe"), _view(root / "gallery")
    train = half(trial, query, gallery) if partitions == "random" else _published(root / "partitions.json", trial)
    split = two_views(f"{name} ({partitions} trial {trial})", root, query, gallery, train)
    warn_of_counts(split, PUBLISHED)
    return split


def _view(folder: Path) -> tuple[Record, ...]:
    return named(
        pictures(folder), _NAME, "0005_2_25100_229_94_99_249.jpeg", lambda file, m: Record(file, int(m[1]), int(m[2]))
    )


def _published(file: Path, trial: int) -> frozenset[int]:
    check_trial(trial, _TRIALS)
    if not file.is_file():
        raise UserError(f"{file} is missing: write it as data/README.md says, or choose dataset.partitions=random")
    try:
        return frozenset(int(person) for person in json.loads(file.read_text())[trial])
    except (ValueError, LookupError, TypeError) as error:
        raise UserError(f"{file} is not a list of the training people of each trial: {error!r}") from error
