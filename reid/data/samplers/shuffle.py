"""Every image once an epoch: the batches of a plain classifier."""

from collections.abc import Iterator

import numpy as np

from reid.data.samplers.shared import Batching, EpochSampler, Pictures, check_positive, check_shares
from reid.errors import UserError


class ShuffleSampler(EpochSampler):
    """Every image once an epoch in shuffled order, in batches of at most P x K whose sizes differ by one at most.

    A batch may hold no two images of an identity, so a loss that compares images has little to learn from.

    Raises:
        UserError: fewer images than P x K, or a batch of one.
    """

    def __init__(self, pictures: Pictures, batching: Batching) -> None:
        super().__init__(batching)
        check_positive(batching)
        self._count, self._size = len(pictures.labels), batching.identities * batching.images
        if self._count < self._size:
            raise UserError(
                f"data.identities={batching.identities} and data.images={batching.images} make batches of {self._size} "
                f"images, but there are only {self._count} to train on: choose fewer"
            )
        check_shares(self._count // len(self), 1, batching)

    def __len__(self) -> int:
        return -(-self._count // self._size)

    def draw(self, epoch: int) -> Iterator[np.ndarray]:
        order = np.random.default_rng([self.batching.seed, 1, epoch]).permutation(self._count)
        for batch in np.array_split(order, len(self)):
            yield batch[:, None]  # [B, 1]: each image may go to another process
