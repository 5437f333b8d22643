"""What the samplers share: what they are told, the dealing of a batch to processes, and whose turn it is."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from math import gcd
from typing import Any

import numpy as np
from torch.utils.data import Sampler

from reid.errors import UserError

Units = Sequence[Any] | np.ndarray  # what a batch is made of, each entry kept on one process


@dataclass(frozen=True)
class Pictures:
    """What a sampler may know of the N training images.

    Attributes:
        labels: identity of each, 0..C-1, int64 [N].
        camids: camera of each, int64 [N].
        sets: which of the source sets each comes from, int64 [N]; all 0 where there is one.
        embed: indices int64 [n] -> their features by the network as it is at that moment, float32 [n, D]. The same on
            every process, and only while training: to be called when an epoch is drawn.
    """

    labels: np.ndarray
    camids: np.ndarray
    sets: np.ndarray
    embed: Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Batching:
    """The batches that are asked for.

    Attributes:
        identities: P, identities in a batch over all processes.
        images: K, images of each identity in a batch.
        seed: start of the random stream.
        rank, world_size: which share of each batch this process takes.
    """

    identities: int
    images: int
    seed: int = 0
    rank: int = 0
    world_size: int = 1


class EpochSampler(Sampler[list[int]], ABC):
    """Batches drawn for all processes together, then dealt to them: runs on 1 and N devices see the same ones.

    A sampler of one's own says how many batches an epoch has (``__len__``) and draws them (``draw``). What it draws
    should come from the seed and the epoch alone, so that a resumed run draws what the unbroken one would have.
    """

    def __init__(self, batching: Batching) -> None:
        self.batching = batching
        self._epoch = self._done = 0

    @abstractmethod
    def __len__(self) -> int:
        """Batches in an epoch."""

    @abstractmethod
    def draw(self, epoch: int) -> Iterable[Units]:
        """The batches of an epoch over all processes, each a sequence of what ``images`` understands."""

    def images(self, unit: Any) -> Iterable[int]:
        """The images of one entry of a batch, which all go to one process; by default the entry is them."""
        return unit

    def share(self, batch: Units) -> Units:
        """The entries of a batch that this process takes: a part without gaps, so that the shares of the processes one
        after the other are the batch of one process."""
        rank, world_size = self.batching.rank, self.batching.world_size
        return batch[len(batch) * rank // world_size : len(batch) * (rank + 1) // world_size]

    @property
    def sampler(self) -> "EpochSampler":
        """Itself: of a batch sampler Lightning calls ``set_epoch`` on the ``sampler`` inside."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration draws; Lightning calls it."""
        self._epoch = epoch

    def skip(self, batches: int) -> None:
        """Leave out so many batches of the next iteration, which a resumed run has trained on before."""
        self._done = batches

    def state(self) -> dict[str, Any]:
        """What ``draw`` needs to draw the same epoch again beside its number, as plain values and tensors."""
        return {}

    def remember(self, state: dict[str, Any]) -> None:
        """Take a ``state`` for the next ``draw``."""

    def __iter__(self) -> Iterator[list[int]]:
        done, self._done = self._done, 0
        for batch in islice(self.draw(self._epoch), done, None):
            yield [int(i) for unit in self.share(batch) for i in self.images(unit)]


def members(labels: np.ndarray) -> list[np.ndarray]:
    """The places of each value, values in ascending order: int64 [N] -> int64 [n] of each."""
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)


def window(n: int, k: int, number: int, key: Sequence[int]) -> np.ndarray:
    """Whose turn it is: k of 0..n-1, in a window that goes round the n in shuffled order, as int64 [k].

    Window 0 holds the first k on the circle, window 1 the next k, and so on; ``key`` and nothing else decides the
    order, which is shuffled anew whenever a window ends where the circle began. So windows one after the other hold
    each of the n equally often, give or take one, and no window holds one twice if k <= n.
    """
    order, first = _circle(n, k, number, key)
    return order[(first + np.arange(k)) % n]


def turns_before(n: int, k: int, number: int, key: Sequence[int]) -> np.ndarray:
    """How often each of 0..n-1 was in the windows before ``number``, int64 [n]."""
    order, first = _circle(n, k, number, key)
    counts = np.full(n, (number * k - first) // n)
    counts[order] += first // n + (np.arange(n) < first % n)
    return counts


def _circle(n: int, k: int, number: int, key: Sequence[int]) -> tuple[np.ndarray, int]:
    """The order of the circle that a window lies on, and the place in it where the window begins."""
    circle, step = divmod(number, n // gcd(n, k))  # windows until it closes
    return shuffled(n, *key, circle), step * k


@lru_cache(maxsize=2**16)
def shuffled(n: int, *key: int) -> np.ndarray:
    """0..n-1 in an order that ``key`` decides, int64 [n]. Kept, since a circle lasts for many epochs."""
    order = np.random.default_rng(key).permutation(n)
    order.flags.writeable = False
    return order


def check_people(people: Sequence[np.ndarray], batching: Batching) -> None:
    """UserError where these identities, given by their images, cannot fill batches of P x K."""
    p, k, most = batching.identities, batching.images, max(map(len, people))
    check_positive(batching)
    if len(people) < p:
        raise UserError(f"data.identities={p} but only {len(people)} training identities: choose fewer")
    if k > most:
        raise UserError(f"data.images={k} but no training identity has more than {most} images: choose fewer")


def check_positive(batching: Batching) -> None:
    """UserError where P or K is not at least 1."""
    if batching.identities < 1 or batching.images < 1:
        raise UserError(f"data.identities={batching.identities} and data.images={batching.images} must be at least 1")


def check_shares(smallest: int, images: int, batching: Batching) -> None:
    """UserError where a batch of ``smallest`` units with so many images each cannot be dealt to the processes."""
    p, world_size = batching.identities, batching.world_size
    if smallest < world_size:
        raise UserError(f"data.identities={p} cannot be dealt to {world_size} processes: choose more")
    if smallest // world_size * images < 2:
        raise UserError("a batch of one image cannot train a net with BatchNorm: raise data.identities or data.images")
