"""Small training sets as samplers see them, and the batches they draw."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from reid.data.samplers import Batching, EpochSampler, Pictures

CASES = 200


def label_list(*sizes: int, shuffle: int | None = None) -> np.ndarray:
    """Labels of identities 0, 1, ... with so many images each; in mixed order for a ``shuffle`` seed."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return labels if shuffle is None else np.random.default_rng(shuffle).permutation(labels)


def pictures(
    labels: np.ndarray,
    *,
    camids: np.ndarray | None = None,
    sets: np.ndarray | None = None,
    features: np.ndarray | None = None,
) -> Pictures:
    """All of one camera and one set unless told, each image with a row of ``features``."""
    zeros = np.zeros(len(labels), np.int64)
    table = np.zeros((len(labels), 1), np.float32) if features is None else features
    return Pictures(
        labels, zeros if camids is None else camids, zeros if sets is None else sets, lambda index: table[index]
    )


def random_sets(identities: int = 13, images: int = 11) -> Iterator[tuple[np.random.Generator, Pictures, Batching]]:
    """Two to so many identities with one to so many images each, seen by up to five cameras and from two to four sets;
    P and K that may or may not fit. Features are small whole numbers, so that distances tie."""
    for case in range(CASES):
        rng = np.random.default_rng(case)
        count = int(rng.integers(2, identities + 1))
        sizes = rng.integers(1, images + 1, count)
        sizes[0] = max(sizes[0], 2)
        labels = rng.permutation(np.repeat(np.arange(count), sizes))
        camids = rng.integers(1, rng.integers(3, 7), len(labels))
        camids[np.flatnonzero(labels == 0)[:2]] = 1, 2  # someone is seen by two cameras
        set_of = rng.permutation(rng.choice([np.arange(count) % 4, np.arange(count) // 2 % 3, np.arange(count) % 2]))
        set_of[:2] = 0, 1
        features = rng.integers(-2, 3, (len(labels), 3)).astype(np.float32)
        p, k = int(rng.integers(1, count + 1)), int(rng.integers(1, max(sizes) + 1))
        yield rng, pictures(labels, camids=camids, sets=5 * set_of[labels], features=features), Batching(p, k, case)


def epoch(sampler: EpochSampler, number: int = 0) -> list[list[int]]:
    sampler.set_epoch(number)
    return list(sampler)


def spread(counts: Any) -> int:
    """The most less the least."""
    return int(np.max(counts) - np.min(counts))
