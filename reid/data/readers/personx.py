"""PersonX: rendered people."""

from dataclasses import replace
from pathlib import Path

from reid.data.readers import market1501
from reid.data.readers.shared import open_root, warn_of_counts, warn_of_overlap
from reid.data.records import Split
from reid.errors import UserError

PUBLISHED = {"train": (410, 9_840), "query": (856, 5_136), "gallery": (856, 30_816)}
_PEOPLE, _VIEWPOINTS = 410, 36  # to train on; pictures of each in front of each background
_BACKGROUNDS = "123456"


def read(root: str | Path, backgrounds: str | int | None = None, name: str = "personx") -> Split:
    """Read PersonX, either the set of the VisDA-2020 challenge or some backgrounds of the first one.

    Reference: Sun and Zheng, Dissecting Person Re-identification from the Viewpoint of Viewpoint, CVPR 2019. 1,266
    rendered people, 410 to train on and 856 to test on. The set of VisDA-2020 has six cameras, 3, 4, 8, 10, 11 and 12:
    9,840 training images, 5,136 queries and 30,816 gallery images. The first set, PersonX_v1, has 36 viewpoints of each
    person in front of each of six backgrounds: 1 to 3 are plain, 4 to 6 scenes.

    Layout: ``bounding_box_train/``, ``query/`` and ``bounding_box_test/`` with files named ``0001_c1s1_01.jpg``: person
    1, camera 1 (in PersonX_v1, the background). PersonX_v1 has these three in each of its folders ``1/`` to ``6/``.

    Of PersonX_v1 only the counts of the training images are checked; those of the others are not published.

    Protocol: market1501, for which PersonX_v1 needs two backgrounds or more.

    Args:
        backgrounds: None reads the set of VisDA-2020; else the backgrounds of PersonX_v1 to take, one digit each: 12
            is what the paper calls PersonX12, 456 its PersonX456. Said in the name of the split.

    Raises:
        UserError: ``backgrounds`` is not as above; a folder is missing, or holds no image with such a name.
    """
    if backgrounds is None:
        split = market1501.read(root, name=name)
        warn_of_counts(split, PUBLISHED)
        return split
    chosen = sorted(set(str(backgrounds)))
    if not chosen or not set(chosen) <= set(_BACKGROUNDS):
        raise UserError(f"dataset.backgrounds={backgrounds} must be digits from 1 to 6, as 456, or null")
    root = open_root(root, chosen)
    parts = [market1501.read(root / background, name=name) for background in chosen]
    split = replace(
        parts[0],
        name=f"{name} (backgrounds {''.join(chosen)})",
        root=root,
        train=tuple(r for part in parts for r in part.train),
        query=tuple(r for part in parts for r in part.query),
        gallery=tuple(r for part in parts for r in part.gallery),
    )
    warn_of_overlap(split)
    warn_of_counts(split, {"train": (_PEOPLE, _PEOPLE * _VIEWPOINTS * len(chosen))})
    return split
