"""What the labels tell: identities and cameras."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reid.data.doctor.findings import Finding, found
from reid.data.records import Record, Split, camids, pids


@dataclass(frozen=True, eq=False)
class People:
    """How the identities of some records spread.

    Attributes:
        images: int64 [P], ascending: how many images each identity has.
        cameras: int64 [C], ascending.
        shared: int64 [C, C], the identities that both cameras see; on the diagonal those that the one camera sees.
    """

    images: np.ndarray
    cameras: np.ndarray
    shared: np.ndarray

    def quartiles(self) -> list[float]:
        """Least, lower quartile, median, upper quartile and most images of an identity; empty without identities."""
        return np.quantile(self.images, [0, 0.25, 0.5, 0.75, 1]).tolist() if len(self.images) else []

    def to_dict(self) -> dict[str, Any]:
        """As JSON may hold it; ``identities_by_images`` are pairs of (images, identities that have so many)."""
        sizes, counts = np.unique(self.images, return_counts=True)
        return {
            "images_of_an_identity": self.quartiles(),
            "identities_by_images": [list(pair) for pair in zip(sizes.tolist(), counts.tolist(), strict=True)],
            "cameras": self.cameras.tolist(),
            "shared_identities": self.shared.tolist(),
        }


def people(records: Sequence[Record]) -> People:
    """Count images, cameras and shared identities of ``records``."""
    _, who, images = np.unique(pids(records), return_inverse=True, return_counts=True)
    cameras, where = np.unique(camids(records), return_inverse=True)
    sees = np.zeros((len(images), len(cameras)), dtype=np.int64)
    sees[who, where] = 1
    return People(np.sort(images), cameras, sees.T @ sees)


def label_findings(split: Split, nobody: Collection[int]) -> list[Finding]:
    """What identities and cameras show without a look at the pictures; ``nobody`` are pids of junk and distractors."""
    return [*_overlap(split, nobody), *_trained_on(split.train), *_gaps(split, nobody)]


def _overlap(split: Split, nobody: Collection[int]) -> list[Finding]:
    train, test = ({r.pid: r for r in reversed(side)} for side in (split.train, split.query + split.gallery))
    both = sorted((train.keys() & test.keys()) - set(nobody))
    return found(
        "warning",
        "identities shared by train and test",
        [[train[pid].path, test[pid].path] for pid in both],
        f"Who was trained on is judged on{_first(both)}, so numbers mean little: keep every identity on one side, or "
        "number them differently where they are different people.",
    )


def _trained_on(train: Sequence[Record]) -> list[Finding]:
    images: dict[int, list[Record]] = {}
    for r in train:
        images.setdefault(r.pid, []).append(r)
    single = [pid for pid, own in images.items() if len(own) == 1]
    cameras: dict[str | None, set[int]] = {}
    for r in train:
        cameras.setdefault(r.source, set()).add(r.camid)
    one_camera = [
        pid
        for pid, own in images.items()
        # where a set tells no cameras, or has one, there is nothing to say of each identity
        if len(own) > 1 and len({r.camid for r in own}) == 1 < len(cameras[own[0].source])
    ]
    return [
        *found(
            "warning",
            "training identities with one image",
            [[images[pid][0].path] for pid in single],
            f"Nothing can be learnt from them about what two pictures of a person share{_first(single)}: add pictures "
            "or leave them out.",
        ),
        *found(
            "warning",
            "training identities in one camera",
            [[images[pid][0].path] for pid in one_camera],
            f"They teach nothing about the change from camera to camera{_first(one_camera)}: add pictures from another "
            "camera, or take them as what they are.",
        ),
    ]


def _gaps(split: Split, nobody: Collection[int]) -> list[Finding]:
    """Numbers that no picture has, between the least and the greatest: often people who were lost on the way."""
    numbers = sorted({r.pid for r in split.train + split.query + split.gallery} - set(nobody))
    if not numbers or not (missing := numbers[-1] - numbers[0] + 1 - len(numbers)):
        return []
    meaning = (
        f"Identities run from {numbers[0]} to {numbers[-1]}, and no picture has these numbers. That does no harm; look "
        "whether pictures are missing."
    )
    return [Finding("info", "identity numbers without an image", missing, meaning)]


def _first(numbers: Sequence[int]) -> str:
    return f" (identity {', '.join(map(str, numbers[:3]))}{' ...' if len(numbers) > 3 else ''})"
