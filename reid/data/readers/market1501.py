"""Market-1501, and every set laid out like it."""

import re
from dataclasses import replace
from pathlib import Path

from reid.data.readers.shared import named, open_root, pictures, warn_of_counts, warn_of_overlap
from reid.data.records import Record, Split
from reid.errors import UserError

PUBLISHED = {"train": (751, 12_936), "query": (750, 3_368), "gallery": (752, 19_732)}
_NAME = re.compile(r"^(-1|\d+)_c(\d+)")
_FOLDERS = {"train": "bounding_box_train", "query": "query", "gallery": "bounding_box_test"}
_JUNK = -1
_DISTRACTOR = 0
_UNTOLD = -1  # camera


def read(root: str | Path, distractors: str | Path | None = None, name: str = "market1501") -> Split:
    """Read a folder in the Market-1501 layout.

    Reference: Zheng et al., Scalable Person Re-identification: A Benchmark, ICCV 2015. The published set has
    1,501 people and 6 cameras: 12,936 training images (751 people), 3,368 queries (750 people) and 19,732 gallery
    images, of which 2,798 are distractors (the paper counts 2,793) and 3,819 junk.

    Layout: ``bounding_box_train/``, ``query/`` and ``bounding_box_test/`` with files named
    ``PPPP_cCsS_FFFFFF_NN.jpg``, where PPPP is the identity and C the camera. Identity -1 marks junk (a bad
    detection, ignored by the protocol), 0000 a distractor (a person who is no query; kept in the gallery).

    Junk stays in the gallery it came with, since ignoring it is the protocol's work; it is never trained on.

    Warned of: an identity in both train and query, and, under the name market1501, counts that are not the published.

    Protocol: market1501.

    Args:
        distractors: a folder of images of nobody who is searched for, all of which join the gallery as identity 0: the
            500,000 that the authors offer beside the set, or your own. Their camera is the one their name tells in the
            manner above, else -1. The name of the split says how many there are.

    Raises:
        UserError: a folder is missing, or holds no image with such a name.
    """
    root = open_root(root, list(_FOLDERS.values()))
    parts = {part: _records(root / folder) for part, folder in _FOLDERS.items()}
    split = Split(
        name=name,
        root=root,
        train=tuple(r for r in parts["train"] if r.pid != _JUNK),
        query=parts["query"],
        gallery=parts["gallery"],
    )
    warn_of_overlap(split)
    if name == "market1501":
        warn_of_counts(split, PUBLISHED)
    if distractors is None:
        return split
    more = _nobody(Path(distractors).expanduser())
    return replace(split, name=f"{name} (+{len(more)} distractors)", gallery=split.gallery + more)


def _nobody(folder: Path) -> tuple[Record, ...]:
    if not folder.is_dir():
        raise UserError(f"dataset.distractors={folder} is not a folder: point it at the folder of the images")
    return tuple(
        Record(file, _DISTRACTOR, int(match[2]) if (match := _NAME.match(file.name)) else _UNTOLD)
        for file in pictures(folder)
    )


def _records(folder: Path) -> tuple[Record, ...]:
    return named(pictures(folder), _NAME, "0002_c1s1_000451_03.jpg", lambda file, m: Record(file, int(m[1]), int(m[2])))
