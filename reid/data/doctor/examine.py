"""A split -> all that can be told of it from its labels and its files."""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reid.data.doctor.duplicates import copies, near_copies
from reid.data.doctor.findings import Finding, worst_first
from reid.data.doctor.images import image_findings
from reid.data.doctor.people import People, label_findings, people
from reid.data.doctor.pixels import Picture, look_at_all
from reid.data.records import Split, counts

JUNK, DISTRACTORS = (-1,), (0,)  # as Market-1501 and most sets since number them


@dataclass(frozen=True)
class Examination:
    """What was found, and what the set holds.

    Attributes:
        parts: "train", "query", "gallery" -> "images", "identities", "cameras" -> how many.
        people: "train", "test" -> how their identities spread; junk and distractors are not among those of test.
        sizes: "smallest", "median", "largest" -> (width, height) in pixels; the median of each on its own.
        seconds: that it took.
        findings: the worst first.
    """

    name: str
    root: Path
    parts: Mapping[str, Mapping[str, int]]
    people: Mapping[str, People]
    sizes: Mapping[str, tuple[int, int]]
    seconds: float
    findings: tuple[Finding, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON may hold it."""
        return {
            "name": self.name,
            "root": str(self.root),
            "parts": self.parts,
            "sizes": {which: list(size) for which, size in self.sizes.items()},
            "people": {side: spread.to_dict() for side, spread in self.people.items()},
            "seconds": round(self.seconds, 2),
            "findings": [finding.to_dict() for finding in self.findings],
        }


def quick(split: Split, *, junk: Collection[int] = JUNK, distractors: Collection[int] = DISTRACTORS) -> list[Finding]:
    """What the labels alone tell, in a moment."""
    return label_findings(split, {*junk, *distractors})


def examine(
    split: Split,
    *,
    workers: int | None = None,
    junk: Collection[int] = JUNK,
    distractors: Collection[int] = DISTRACTORS,
) -> Examination:
    """Read every file of ``split`` once, and say what is wrong.

    Args:
        workers: threads that read; None is one a processor.
        junk: identities of bad detections, which may be copies of anything.
        distractors: identities of people who are no query.
    """
    begin = time.perf_counter()
    parts = {"train": split.train, "query": split.query, "gallery": split.gallery}
    looked = look_at_all(list(dict.fromkeys(r.path for part in parts.values() for r in part)), workers)
    pictures = {path: picture for path, picture in looked.items() if isinstance(picture, Picture)}
    found = [
        *image_findings(looked),
        *copies(split, pictures, junk),
        *near_copies(split, pictures, junk),
        *quick(split, junk=junk, distractors=distractors),
    ]
    tested = [r for r in split.query + split.gallery if r.pid not in {*junk, *distractors}]
    return Examination(
        name=split.name,
        root=split.root,
        parts={part: counts(records) for part, records in parts.items()},
        people={"train": people(split.train), "test": people(tested)},
        sizes=_sizes(pictures),
        seconds=time.perf_counter() - begin,
        findings=worst_first(found),
    )


def _sizes(pictures: Mapping[Path, Picture]) -> dict[str, tuple[int, int]]:
    if not pictures:
        return {}
    sizes = sorted((p.size for p in pictures.values()), key=lambda size: size[0] * size[1])
    width, height = np.median(np.array(sizes), axis=0)
    return {"smallest": sizes[0], "median": (round(width), round(height)), "largest": sizes[-1]}
