"""Single shot: a gallery of one image an identity, drawn at random, again and again."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from reid.evaluation.inputs import Inputs
from reid.evaluation.labels import Ints


def draws(inputs: Inputs) -> Iterator[list[tuple[Ints, Ints]]]:
    """Yield, for each trial, (queries, gallery images) that belong together: every query once, images ascending.

    Of each identity that is not junk one image is drawn, every one as likely. Where the protocol ignores the query's
    camera there is a draw for each query camera, among what the other cameras saw: the single shot of a view. Trial t
    draws from ``numpy.random.default_rng([seed, t])``: a trial is the same however many there are.
    """
    camids, labels = inputs.query_camids, inputs.gallery_labels
    candidates = np.flatnonzero(~inputs.pairs.left_out)
    groups = [(np.arange(len(inputs.query)), candidates)]
    if inputs.protocol.ignore_camera and camids is not None:
        groups = [
            (np.flatnonzero(camids == camera), candidates[labels.camids[candidates] != camera])  # type: ignore[index]
            for camera in np.unique(camids)
        ]
    for trial in range(inputs.protocol.trials):
        rng = np.random.default_rng([inputs.protocol.seed, trial])
        yield [(queries, _one_each(images, labels.pids, rng)) for queries, images in groups]


def _one_each(images: Ints, pids: Ints, rng: np.random.Generator) -> Ints:
    """One of ``images`` for each identity among them, ascending.

    >>> _one_each(np.array([0, 2, 3]), np.array([7, 8, 9, 7]), np.random.default_rng(0)).tolist()
    [2, 3]
    """
    by_pid = images[np.argsort(pids[images], kind="stable")]
    _, first, count = np.unique(pids[by_pid], return_index=True, return_counts=True)
    return np.sort(by_pid[first + rng.integers(count)]) if len(count) else by_pid
