"""Occluded-REID."""

from pathlib import Path

from reid.data.readers.shared import open_root, people_folders, pictures, warn_of_counts
from reid.data.records import Record, Split

PUBLISHED = {"query": (200, 1_000), "gallery": (200, 1_000)}
_CAMERA = 0  # not told


def read(root: str | Path, name: str = "occluded_reid") -> Split:
    """Read Occluded-REID, to test on: pictures of people who are partly hidden are searched in pictures of whole ones.

    Reference: Zhuo, Chen, Lai and Wang, Occluded Person Re-identification, ICME 2018. 200 people, five pictures of each
    of either kind, by cameras that moved: 1,000 queries and 1,000 gallery images. Which camera, the set does not tell:
    all are camera 0 here.

    Layout: ``occluded_body_images/`` and ``whole_body_images/``, each with one folder a person, named by the number,
    of .tif files. Copies with all files in one folder are not read.

    There is nothing to train on: most train on Market-1501 and test on all 200 people, as PVPM (Gao et al., CVPR 2020).

    Protocol: no_camera. Frameworks that give the two kinds a camera each get the same from market1501.

    Raises:
        UserError: a folder is missing, or holds no people's folders.
    """
    root = open_root(root, ["occluded_body_images", "whole_body_images"])
    split = Split(
        name=name,
        root=root,
        train=(),
        query=_people(root / "occluded_body_images"),
        gallery=_people(root / "whole_body_images"),
    )
    warn_of_counts(split, PUBLISHED)
    return split


def _people(folder: Path) -> tuple[Record, ...]:
    people = people_folders(folder)
    return tuple(Record(file, int(person.name), _CAMERA) for person in people for file in pictures(person))
