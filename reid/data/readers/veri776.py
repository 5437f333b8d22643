"""VeRi-776: vehicles."""

import re
from pathlib import Path

from reid.data.readers.shared import named, open_root, pictures, warn_of_counts, warn_of_overlap
from reid.data.records import Record, Split
from reid.errors import UserError

PUBLISHED = {"train": (576, 37_778), "query": (200, 1_678), "gallery": (200, 11_579)}
_NAME = re.compile(r"(\d+)_c(\d+)_")
_TRACKS = "test_track.txt"


def read(root: str | Path, name: str = "veri776") -> Split:
    """Read VeRi-776.

    Reference: Liu, Liu, Mei and Ma, A Deep Learning-Based Approach to Progressive Vehicle Re-identification for Urban
    Surveillance, ECCV 2016; before, Liu, Liu, Ma and Fu, Large-scale Vehicle Re-identification in Urban Surveillance
    Videos, ICME 2016. 776 vehicles and 20 cameras: 37,778 training images of 576, 1,678 queries of 200 others, and
    11,579 gallery images of these in 2,021 tracks. fast-reid counts 775 vehicles.

    Layout: ``image_train/``, ``image_query/`` and ``image_test/`` with files named ``0001_c001_00016450_0.jpg``:
    vehicle 1, camera 1. Beside them ``test_track.txt``: each line names a track of the gallery and its images.

    Tracks are numbered by their line, from 1. They are told for the gallery only, which is where they are needed.

    Protocol: market1501, which ranks images as most works do. The authors' own ranks the tracks: vehicle.

    Raises:
        UserError: a folder or the list is missing; a folder holds no image with such a name; list and gallery do not
            name the same images.
    """
    root = open_root(root, ["image_train", "image_query", "image_test"])
    tracks = _tracks(root / _TRACKS)
    split = Split(
        name=name,
        root=root,
        train=_records(root / "image_train", {}),
        query=_records(root / "image_query", {}),
        gallery=_records(root / "image_test", tracks),
    )
    there = {r.path.name for r in split.gallery}
    for what, missing in (
        (f"of the images in {_TRACKS} are not in image_test", [file for file in tracks if file not in there]),
        (f"images of image_test are in no track of {_TRACKS}", sorted(there - set(tracks))),
    ):
        if missing:
            raise UserError(f"dataset.root={root}: {len(missing)} {what} (first: {missing[0]})")
    warn_of_overlap(split)
    warn_of_counts(split, PUBLISHED)
    return split


def _records(folder: Path, tracks: dict[str, int]) -> tuple[Record, ...]:
    return named(
        pictures(folder),
        _NAME,
        "0001_c001_00016450_0.jpg",
        lambda file, m: Record(file, int(m[1]), int(m[2]), track=tracks.get(file.name)),
    )


def _tracks(file: Path) -> dict[str, int]:
    """The track of each image. A line may begin with a name of the track, which is no image's."""
    if not file.is_file():
        raise UserError(f"dataset.root={file.parent} has no {file.name}, which is part of the set")
    lines = enumerate(file.read_text().splitlines(), start=1)
    return {word: number for number, line in lines for word in line.split() if word.endswith(".jpg")}
