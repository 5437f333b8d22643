"""P identities x K images, the identities in equal shares from every source set."""

from collections.abc import Iterator

import numpy as np

from reid.data.samplers.identity import IdentitySampler
from reid.data.samplers.shared import Batching, Pictures, Units, members, turns_before, window
from reid.errors import UserError


class SetSampler(IdentitySampler):
    """Batches in which every source set has as many identities, give or take one, each with K images.

    An epoch shows every identity of the largest set once. The identities of a smaller set are cycled through to keep
    up with it: in an epoch, and in all epochs so far, each of them is drawn as often as the others of its set give or
    take one. So an epoch has ``ceil(sets x identities of the largest / P)`` batches, whose sizes differ by one identity
    at most. No identity is in a batch twice, and a process's share of a batch is as balanced as the batch.

    An identity belongs to one set. Its images go round as in ``IdentitySampler``, at each of its turns.

    Raises:
        UserError: as ``IdentitySampler``; or one set alone, or one with fewer identities than its share of a batch.
    """

    def __init__(self, pictures: Pictures, batching: Batching) -> None:
        people = members(pictures.labels)
        self._sets = members(np.array([pictures.sets[own[0]] for own in people]))  # identities of each
        if len(self._sets) < 2:
            raise UserError(
                "sampler=sets balances batches over the sets that the training images come from, but all of them come "
                "from one: choose sampler=identity"
            )
        self._most = max(map(len, self._sets))
        super().__init__(pictures, batching)
        share, fewest = -(-batching.identities // len(self._sets)), min(map(len, self._sets))
        if fewest < share:
            raise UserError(
                f"data.identities={batching.identities} takes {share} identities of each of {len(self._sets)} sets, "
                f"but one has only {fewest}: choose fewer"
            )

    @property
    def turns(self) -> int:
        return len(self._sets) * self._most

    def draw(self, epoch: int) -> Iterator[Units]:
        """Batches of (identity, its turn) as int64 [b, 2]: the sets take turns, and so they do in every part."""
        rng = np.random.default_rng([self.batching.seed, 1, epoch])
        lined_up = [self._line_up(number, epoch, rng) for number in rng.permutation(len(self._sets))]
        yield from np.array_split(np.stack(lined_up, axis=1).reshape(-1, 2), len(self))

    def _line_up(self, number: int, epoch: int, rng: np.random.Generator) -> np.ndarray:
        """(identity, its turn) of a set for the whole epoch, in an order that is repeated to the end: int64 [most, 2].

        The first in line come once more than the others; from epoch to epoch others are first.
        """
        own, key = self._sets[number], [self.batching.seed, 3, number]
        rounds, extra = divmod(self._most, len(own))
        first = window(len(own), extra, epoch, key)
        rest = np.setdiff1d(np.arange(len(own)), first)
        line = np.resize(np.concatenate([rng.permutation(first), rng.permutation(rest)]), self._most)
        before = epoch * rounds + turns_before(len(own), extra, epoch, key)
        return np.stack([own[line], before[line] + np.arange(self._most) // len(own)], axis=1)
