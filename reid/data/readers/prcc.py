"""PRCC (Person Re-identification under moderate Clothing Change)."""

import re
from pathlib import Path

from reid.data.readers.shared import named, open_root, people_folders, pictures, warn_of_counts, warn_of_overlap
from reid.data.records import Record, Split
from reid.errors import unknown

PUBLISHED = {
    "cloth_changing": {"train": (150, 17_896), "query": (71, 3_873), "gallery": (71, 3_384)},
    "same_clothes": {"train": (150, 17_896), "query": (71, 3_543), "gallery": (71, 3_384)},
}
_QUERY = {"cloth_changing": "C", "same_clothes": "B"}
_GALLERY = "A"
_CAMERAS = {"A": 1, "B": 2, "C": 3}
_CLOTHES = {"A": 1, "B": 1, "C": 2}
_NAME = re.compile(r"([ABC])_")


def read(root: str | Path, setting: str = "cloth_changing", name: str = "prcc") -> Split:
    """Read PRCC, the photographs of it.

    Reference: Yang, Wu and Zheng, Person Re-identification by Contour Sketch under Moderate Clothing Change, TPAMI
    2021. 221 people and three cameras; a person wears the same in A and B, and something else in C. 33,698 images:
    17,896 to train on and 5,002 to validate on, of the same 150 people; of 71 others 3,384 of camera A, the gallery,
    3,543 of camera B and 3,873 of camera C, the queries. The validation images are not used, as by most.

    Layout: ``rgb/`` with ``train/`` of one folder a person with files named ``A_cropped_rgb001.jpg``, the camera first,
    and ``test/A/``, ``test/B/`` and ``test/C/``, each of one folder a person. ``sketch/`` beside ``rgb/`` is not read.

    Cameras A, B and C are 1, 2 and 3. Outfit 1 is what a person wears in A and B, outfit 2 that in C.

    Protocol: market1501, which searches in every picture of camera A, as Gu et al. (CVPR 2022) and most since. The
    paper draws one picture a person to be the gallery and averages the ranks of ten draws: cuhk03_single_shot does so
    with a hundred, which is the same in the mean. cloth_changing, too, would do for the setting of that name, but
    leaves nothing to find in the other.

    Args:
        setting: "cloth_changing", where C is searched in A, or "same_clothes", where B is; said in the name of the
            split.

    Raises:
        UserError: ``setting`` is neither; a folder is missing, or holds no people's folders with such images.
    """
    if setting not in _QUERY:
        raise unknown("dataset.setting", setting, _QUERY)
    root = open_root(root, ["rgb"])
    split = Split(
        name=f"{name} ({setting})",
        root=root,
        train=_train(root / "rgb" / "train"),
        query=_view(root, _QUERY[setting]),
        gallery=_view(root, _GALLERY),
    )
    warn_of_overlap(split)
    warn_of_counts(split, PUBLISHED[setting])
    return split


def _train(folder: Path) -> tuple[Record, ...]:
    views = (
        named(pictures(person), _NAME, "A_cropped_rgb001.jpg", lambda file, m: _record(file, m[1]))
        for person in people_folders(folder)
    )
    return tuple(r for view in views for r in view)


def _view(root: Path, camera: str) -> tuple[Record, ...]:
    folder = root / "rgb" / "test" / camera
    return tuple(_record(file, camera) for person in people_folders(folder) for file in pictures(person))


def _record(file: Path, camera: str) -> Record:
    return Record(file, int(file.parent.name), _CAMERAS[camera], clothes=_CLOTHES[camera])
