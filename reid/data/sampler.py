"""P identities x K images: the batches that hard mining needs."""

from collections.abc import Iterator
from math import gcd

import numpy as np
from torch.utils.data import Sampler

from reid.errors import UserError


class IdentitySampler(Sampler[list[int]]):
    """Batches of about P identities with K images each (Hermans et al., In Defense of the Triplet Loss, 2017).

    In an epoch every identity is drawn exactly once. The last batch is not left small: the identities are dealt into
    ``ceil(identities / P)`` batches whose sizes differ by one identity at most.

    - An identity with more than K images shows K different ones, and others in the next epoch: its shuffled images
      are cycled through and shuffled anew when the cycle closes, so all of them are seen equally often.
    - An identity with fewer than K images repeats some, each as often as the others give or take one.
    - The order depends on ``seed`` and the epoch alone, so a resumed run draws what the unbroken one would have.
    - For several processes the global batch is drawn first and its identities are dealt to the ranks.

    Args:
        labels: identity of each image, int64 [N].
        identities: P, identities in a batch over all processes.
        images: K, images of each identity in a batch.
        seed: start of the random stream.
        rank, world_size: which share of each batch this process takes.

    Raises:
        UserError: fewer identities than P, K more than any identity has, or a batch of one image.
    """

    def __init__(
        self, labels: np.ndarray, *, identities: int, images: int, seed: int, rank: int = 0, world_size: int = 1
    ) -> None:
        order = np.argsort(labels, kind="stable")
        self._members = np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)
        most = max(len(m) for m in self._members)
        if identities < 1 or images < 1:
            raise UserError(f"data.identities={identities} and data.images={images} must be at least 1")
        if len(self._members) < identities:
            raise UserError(
                f"data.identities={identities} but only {len(self._members)} training identities: choose fewer"
            )
        if images > most:
            raise UserError(f"data.images={images} but no training identity has more than {most} images: choose fewer")
        self._p, self._k, self._seed = identities, images, seed
        smallest = len(self._members) // len(self) // world_size  # identities in the smallest share of a batch
        if smallest < 1:
            raise UserError(f"data.identities={identities} cannot be dealt to {world_size} processes: choose more")
        if smallest * images < 2:
            raise UserError(
                "a batch of one image cannot train a net with BatchNorm: raise data.identities or data.images"
            )
        self._rank, self._world_size = rank, world_size
        self._epoch = 0

    @property
    def sampler(self) -> "IdentitySampler":
        """Itself: of a batch sampler Lightning calls ``set_epoch`` on the ``sampler`` inside."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration draws; Lightning calls it."""
        self._epoch = epoch

    def __len__(self) -> int:
        return -(-len(self._members) // self._p)

    def __iter__(self) -> Iterator[list[int]]:
        rng = np.random.default_rng([self._seed, 1, self._epoch])
        for batch in np.array_split(rng.permutation(len(self._members)), len(self)):
            share = batch[self._rank :: self._world_size]
            yield [int(i) for identity in share for i in self._draw(identity)]

    def _draw(self, identity: int) -> np.ndarray:
        """K images of one identity: the epoch's window on its shuffled images, laid in a circle."""
        members = self._members[identity]
        circle, step = divmod(self._epoch, len(members) // gcd(len(members), self._k))  # windows until it closes
        order = np.random.default_rng([self._seed, 2, identity, circle]).permutation(len(members))
        return members[order[(step * self._k + np.arange(self._k)) % len(members)]]
