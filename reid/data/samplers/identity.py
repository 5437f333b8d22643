"""P identities x K images: the batches that hard mining needs."""

from collections.abc import Iterator

import numpy as np

from reid.data.samplers.shared import (
    Batching,
    EpochSampler,
    Pictures,
    Units,
    check_people,
    check_shares,
    members,
    window,
)


class IdentitySampler(EpochSampler):
    """Batches of about P identities with K images each (Hermans et al., In Defense of the Triplet Loss, 2017).

    In an epoch every identity is drawn exactly once. The last batch is not left small: the identities are dealt into
    ``ceil(identities / P)`` batches whose sizes differ by one identity at most.

    - An identity with more than K images shows K different ones, and others in the next epoch: its shuffled images
      are cycled through and shuffled anew when the cycle closes, so all of them are seen equally often.
    - An identity with fewer than K images repeats some, each as often as the others give or take one.
    - The order depends on the seed and the epoch alone, so a resumed run draws what the unbroken one would have.
    - For several processes the global batch is drawn first and its identities are dealt to the ranks.

    Raises:
        UserError: fewer identities than P, K more than any identity has, or a batch of one image.
    """

    def __init__(self, pictures: Pictures, batching: Batching) -> None:
        super().__init__(batching)
        self.people = members(pictures.labels)
        check_people(self.people, batching)
        check_shares(self.turns // len(self), batching.images, batching)

    @property
    def turns(self) -> int:
        """Identities drawn in an epoch."""
        return len(self.people)

    def __len__(self) -> int:
        return -(-self.turns // self.batching.identities)

    def draw(self, epoch: int) -> Iterator[Units]:
        """Batches of (identity, its turn: the epoch)."""
        order = np.random.default_rng([self.batching.seed, 1, epoch]).permutation(len(self.people))
        for batch in np.array_split(order, len(self)):
            yield [(int(identity), epoch) for identity in batch]

    def images(self, unit: tuple[int, int]) -> np.ndarray:
        """K images of an identity, int64 [K]; which ones, its turn says."""
        identity, turn = unit
        own = self.people[identity]
        return own[window(len(own), self.batching.images, turn, [self.batching.seed, 2, identity])]
