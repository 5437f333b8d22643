"""MSMT17, versions 1 and 2."""

import re
from pathlib import Path

from reid.data.readers.shared import listed, open_root, warn_of_counts
from reid.data.records import Record, Split
from reid.errors import unknown

PUBLISHED = {
    "train": {"train": (1_041, 30_248), "query": (3_060, 11_659), "gallery": (3_060, 82_161)},
    "train+val": {"train": (1_041, 32_621), "query": (3_060, 11_659), "gallery": (3_060, 82_161)},
}
_FOLDERS = {"V1": ("train", "test"), "V2": ("mask_train_v2", "mask_test_v2")}
_LINE = re.compile(r"((?:\S+/)?\d+_\d+_(\d+)_\S+)\s+(\d+)")
_EXAMPLE = "0000/0000_000_01_0303morning_0015_0.jpg 0"
_TEST_FROM = 1_041  # what is added to the identities of the test lists, which begin at 0 as those of training do


def read(root: str | Path, train_on: str = "train", name: str = "msmt17") -> Split:
    """Read MSMT17; the name of the split says which version it is and what is trained on.

    Reference: Wei, Zhang, Gao and Tian, Person Transfer GAN to Bridge Domain Gap for Person Re-identification, CVPR
    2018. 4,101 people and 15 cameras: 32,621 training images of 1,041 people, of which the authors set 2,373 aside as
    validation, 11,659 queries and 82,161 gallery images of 3,060 others. Version 2 is the same with blurred faces.

    Layout: ``train/`` and ``test/`` (version 2: ``mask_train_v2/``, ``mask_test_v2/``) beside ``list_train.txt``,
    ``list_val.txt``, ``list_query.txt`` and ``list_gallery.txt``, with lines such as
    ``0000/0000_000_01_0303morning_0015_0.jpg 0``: file, identity; the third field of the file's name is the camera.

    The numbers of the test people begin at 0 again: 1,041 is added to them here.

    Protocol: msmt17 (identity 0 is a person).

    Args:
        train_on: "train" (30,248 images), or "train+val" (32,621), which also takes the validation images, of the same
            people. TransReID and CLIP-ReID do; torchreid, fast-reid and reid-strong-baseline leave them out unless told
            otherwise. Compare only like with like.

    Raises:
        UserError: ``train_on`` is neither; a folder, list or image is missing; a line is not as above.
    """
    if train_on not in PUBLISHED:
        raise unknown("dataset.train_on", train_on, PUBLISHED)
    version = _version(Path(root).expanduser())
    root = open_root(root, _FOLDERS[version])
    folder, test = (root / name for name in _FOLDERS[version])
    split = Split(
        name=f"{name} {version} ({train_on})",
        root=root,
        train=tuple(r for part in train_on.split("+") for r in _listed(root / f"list_{part}.txt", folder)),
        query=_listed(root / "list_query.txt", test, _TEST_FROM),
        gallery=_listed(root / "list_gallery.txt", test, _TEST_FROM),
    )
    warn_of_counts(split, PUBLISHED[train_on])
    return split


def _version(root: Path) -> str:
    """V2 where its folders are, be it a level too high or too low; the error for neither speaks of V1."""
    places = [root, root.parent, *(root.iterdir() if root.is_dir() else ())]
    return "V2" if any((place / _FOLDERS["V2"][0]).is_dir() for place in places) else "V1"


def _listed(file: Path, folder: Path, first: int = 0) -> tuple[Record, ...]:
    return listed(file, _LINE, _EXAMPLE, lambda m: Record(folder / m[1], first + int(m[3]), int(m[2])))
