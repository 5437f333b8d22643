"""LTCC (Long-Term Cloth-Changing)."""

import re
from pathlib import Path

from reid.data.readers.shared import named, open_root, pictures, warn_of_counts, warn_of_overlap
from reid.data.records import Record, Split

PUBLISHED = {"train": (77, 9_576), "query": (75, 493), "gallery": (75, 7_050)}
_NAME = re.compile(r"(\d+)_(\d+)_c(\d+)_")


def read(root: str | Path, name: str = "ltcc") -> Split:
    """Read LTCC.

    Reference: Qian, Wang, Zhang, Zhu, Fu, Xiang, Jiang and Xue, Long-Term Cloth-Changing Person Re-Identification, ACCV
    2020. 152 people, of whom 91 change clothes, in 478 outfits and 12 cameras: 9,576 training images of 77 people, 493
    queries of 75 others and 7,050 gallery images of these. They are 17,119; some papers count 17,138.

    Layout: ``train/``, ``query/`` and ``test/`` (the gallery) with files named ``000_1_c6_001007.png``: person 0 (who
    is a person), outfit 1, camera 6.

    Outfits are numbered as in the names, anew for each person: outfit 1 of two people is two outfits.

    Protocol: cloth_changing. The paper's standard setting is msmt17, where the same clothes count as well. Its training
    on those who change clothes alone (46 of 77) is not offered here.

    Raises:
        UserError: a folder is missing, or holds no image with such a name.
    """
    root = open_root(root, ["train", "query", "test"])
    train, query, gallery = (_records(root / folder) for folder in ("train", "query", "test"))
    split = Split(name=name, root=root, train=train, query=query, gallery=gallery)
    warn_of_overlap(split)
    warn_of_counts(split, PUBLISHED)
    return split


def _records(folder: Path) -> tuple[Record, ...]:
    return named(
        pictures(folder),
        _NAME,
        "000_1_c6_001007.png",
        lambda file, m: Record(file, int(m[1]), int(m[3]), clothes=int(m[2])),
    )
