"""Features of frames -> one feature a track."""

from collections.abc import Sequence

import numpy as np

from reid.data.records import Record, camids, pids, told
from reid.data.store import Images
from reid.errors import UserError


def tracks_of(records: Sequence[Record]) -> np.ndarray:
    """The track of each record, int64 [N]: 0, 1, ... as they first appear.

    A number that two identities or two cameras share is that of two tracks.

    Raises:
        UserError: a record is in no track.

    >>> tracks_of([Record("a.jpg", 7, 1, track=5), Record("b.jpg", 7, 2, track=5), Record("c.jpg", 7, 1, track=5)])
    array([0, 1, 0])
    """
    tracks = told(records, "track")
    if tracks is None:
        raise UserError("eval.pool=track: not every query and gallery image is in a track: set eval.pool=none")
    keys = np.stack([pids(records), camids(records), tracks], axis=1)
    _, first, of = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    number = np.empty(len(first), dtype=np.int64)
    number[np.argsort(first)] = np.arange(len(first))
    return number[of.reshape(-1)]


def pool_tracks(images: Images, features: np.ndarray) -> tuple[Images, np.ndarray]:
    """One picture a track, its first, and the mean of the features of all its pictures, brought to length 1.

    Args:
        features: float32 [N, D] as the network leaves them, before they are brought to length 1.

    Returns:
        The pictures of the T tracks, in the order of their first pictures, and float32 [T, D].

    Raises:
        UserError: a picture is in no track.
    """
    track = tracks_of(images.records)
    members = np.split(np.argsort(track, kind="stable"), np.cumsum(np.bincount(track))[:-1])
    means = np.stack([features[rows].mean(axis=0, dtype=np.float64) for rows in members])
    lengths = np.linalg.norm(means, axis=1, keepdims=True)
    first = np.array([rows[0] for rows in members])
    shown = Images(tuple(images.records[i] for i in first), images.unreadable, lambda index: images.load(first[index]))
    return shown, (means / np.maximum(lengths, np.finfo(np.float32).tiny)).astype(np.float32)
