"""Partial-REID."""

import re
from pathlib import Path

from reid.data.readers.shared import named, open_root, pictures, warn_of_counts
from reid.data.records import Record, Split
from reid.errors import unknown

PUBLISHED = {"query": (60, 300), "gallery": (60, 300)}
_QUERIES = {"partial": "partial_body_images", "occluded": "occluded_body_images"}
_WHOLE = "whole_body_images"
_NAME = re.compile(r"(\d{3})_\d+\.")
_CAMERA = 0  # not told


def read(root: str | Path, queries: str = "partial", name: str = "partial_reid") -> Split:
    """Read Partial-REID, to test on: pictures of a part of a person are searched in pictures of whole people.

    Reference: Zheng, Li, Xiang, Liao, Lai and Gong, Partial Person Re-identification, ICCV 2015. 60 people, five whole
    and five partial pictures of each, taken on a campus: 300 queries and 300 gallery images. Which camera, the set does
    not tell: all are camera 0 here.

    Layout: ``whole_body_images/``, ``occluded_body_images/`` and ``partial_body_images/`` with files named
    ``001_002.jpg``: picture 2 of person 1. The partial pictures are the occluded ones, cut to what can be seen.

    There is nothing to train on: most train on Market-1501. The paper draws one or three gallery pictures of each
    person; most since search all five. fast-reid takes the number of the picture for a camera, and so leaves the
    gallery picture of the query's number out.

    Protocol: no_camera.

    Args:
        queries: "partial", as DSR (He et al., CVPR 2018) and fast-reid take them, or "occluded", as PVPM (Gao et al.,
            CVPR 2020) does; said in the name of the split.

    Raises:
        UserError: ``queries`` is neither; a folder is missing, or holds no image with such a name.
    """
    if queries not in _QUERIES:
        raise unknown("dataset.queries", queries, _QUERIES)
    root = open_root(root, [_WHOLE, _QUERIES[queries]])
    query, gallery = (
        named(pictures(root / folder), _NAME, "001_002.jpg", lambda file, m: Record(file, int(m[1]), _CAMERA))
        for folder in (_QUERIES[queries], _WHOLE)
    )
    split = Split(name=f"{name} ({queries})", root=root, train=(), query=query, gallery=gallery)
    warn_of_counts(split, PUBLISHED)
    return split
