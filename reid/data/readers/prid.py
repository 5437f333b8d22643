"""PRID 2011, single shot."""

import re
from pathlib import Path

from reid.data.readers.shared import half, named, open_root, pictures, two_views, warn_of_counts
from reid.data.records import Record, Split

PUBLISHED = {"train": (100, 200), "query": (100, 100), "gallery": (649, 649)}
_NAME = re.compile(r"person_(\d+)\.")
_SHARED = 200  # the first so many people are in both views; from there on equal numbers are different people


def read(root: str | Path, trial: int = 0, name: str = "prid") -> Split:
    """Read the single-shot half of PRID 2011, cut at random into 100 people to train on and 100 to search for.

    Reference: Hirzer, Beleznai, Roth and Bischof, Person Re-identification by Descriptive and Discriminative
    Classification, SCIA 2011. View a shows 385 people, view b 749, one picture of each; the first 200 are in both. Of
    these, view a of the 100 test people is the query; the gallery is the rest of view b, 649 people. The authors
    searched all 200 and trained on none of them.

    Layout: ``single_shot/cam_a/`` and ``single_shot/cam_b/`` with files named ``person_0001.png``. The other people of
    view a (201 to 385) are not used: their numbers stand for other people in view b. View a is camera 1, view b 2.

    The set comes without a split: average trials 0 to 9.

    Protocol: cross_camera_only.

    Args:
        trial: which random half is trained on, see ``shared.half``; said in the name of the split.

    Raises:
        UserError: a folder is missing, holds no image with such a name, or ``trial`` is negative.
    """
    root = open_root(root, ["single_shot/cam_a", "single_shot/cam_b"])
    query, gallery = (_view(root / "single_shot" / folder, camid) for folder, camid in (("cam_a", 1), ("cam_b", 2)))
    query = tuple(r for r in query if r.pid <= _SHARED)
    split = two_views(f"{name} (trial {trial})", root, query, gallery, half(trial, query, gallery))
    warn_of_counts(split, PUBLISHED)
    return split


def _view(folder: Path, camid: int) -> tuple[Record, ...]:
    return named(pictures(folder), _NAME, "person_0001.png", lambda file, m: Record(file, int(m[1]), camid))
