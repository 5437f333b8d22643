"""P identities x K images, those of an identity from as many of its cameras as can be."""

from collections.abc import Sequence
from functools import lru_cache
from math import gcd

import numpy as np

from reid.data.samplers.identity import IdentitySampler
from reid.data.samplers.shared import Batching, Pictures, members, shuffled, turns_before, window
from reid.errors import UserError


class CameraSampler(IdentitySampler):
    """The identities of ``IdentitySampler``, each with its K images spread over the cameras that have seen it.

    - What two cameras show of an identity differs by one image at most, unless the camera with fewer shows all it has.
    - No image comes twice in a batch while the identity has K or more. With fewer, each comes as often as the others
      give or take one, and those that come once more are spread over the cameras.
    - From epoch to epoch the images of each camera go round, so that all of them are seen equally often, and the
      cameras take turns to show one more. A camera with few images of an identity shows them more often than others do.

    Raises:
        UserError: as ``IdentitySampler``, or no identity is seen by more than one camera.
    """

    def __init__(self, pictures: Pictures, batching: Batching) -> None:
        super().__init__(pictures, batching)
        self._views = [[own[at] for at in members(pictures.camids[own])] for own in self.people]
        if max(map(len, self._views)) < 2:
            raise UserError(
                "sampler=cameras spreads the images of an identity over its cameras, but no training identity is seen "
                "by more than one: choose sampler=identity"
            )

    def images(self, unit: tuple[int, int]) -> np.ndarray:
        """K images of an identity in an epoch, int64 [K]."""
        identity, epoch = unit
        own, views = self.people[identity], self._views[identity]
        whole, rest = divmod(self.batching.images, len(own))
        shown = [own] * whole
        if rest:
            places = _spread(tuple(map(len, views)), rest, epoch, [self.batching.seed, 3, identity])
            shown += [view[at] for view, at in zip(views, places, strict=True)]
        return np.concatenate(shown)


@lru_cache(maxsize=2**16)
def _plan(sizes: tuple[int, ...], k: int) -> tuple[int, list[int], int]:
    """How cameras with so many images share k of them, 0 < k < sum(sizes): ``level``, ``able`` and ``extra``.

    Every camera shows ``level`` images or all that it has. Those ``able`` to show one more take turns, ``extra`` of
    them in an epoch.
    """
    level = next(n for n in range(k + 1) if np.minimum(sizes, n + 1).sum() > k)
    able = [camera for camera, size in enumerate(sizes) if size > level]
    return level, able, k - int(np.minimum(sizes, level).sum())


def _spread(sizes: tuple[int, ...], k: int, epoch: int, key: Sequence[int]) -> list[np.ndarray]:
    """Which of its images each camera shows in an epoch: for each int64 [number it shows]."""
    level, able, extra = _plan(sizes, k)
    once_more = set(window(len(able), extra, epoch, [*key, 0]).tolist())
    before = turns_before(len(able), extra, epoch, [*key, 0]) + epoch * level  # images shown so far
    rounds = len(able) // gcd(len(able), extra)  # epochs after which all of these cameras have shown equally many,
    each = rounds * level + extra // gcd(len(able), extra)  # namely so many
    places = [np.arange(size) for size in sizes]
    for turn, camera in enumerate(able):
        size, count = sizes[camera], level + (turn in once_more)
        closes = rounds * (size // gcd(size, each))  # epochs that show each of its images equally often
        order = shuffled(size, *key, 1, camera, epoch // closes) if count else places[camera]
        places[camera] = order[(before[turn] + np.arange(count)) % size]
    return places
