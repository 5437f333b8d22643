"""Graph sampling: identities that the network takes for one another share a batch."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from reid.data.samplers.shared import Batching, EpochSampler, Pictures, check_people, check_shares, members, window
from reid.errors import UserError


class HardSampler(EpochSampler):
    """Batches of an identity and its P - 1 nearest, K images each (Liao and Shao, Graph Sampling Based Deep Metric
    Learning for Generalizable Person Re-Identification, CVPR 2022).

    When an epoch begins, the network embeds one image of each identity, in evaluation mode, and the distances between
    these tell which identities are near. Every identity then has a batch of its own, as in the paper and its code: as
    many batches as identities, P times as many as ``IdentitySampler`` has, in which an identity comes as often as it is
    near to others. Here distances are Euclidean between embeddings, where the paper has a learnt matcher.

    - With ``anchors`` only so many identities have a batch of their own in an epoch. They go round: each has as many
      batches of its own as the others give or take one.
    - The image that stands for an identity goes round too, from epoch to epoch.
    - In an epoch the images of an identity go round from batch to batch, each seen as often as the others give or take
      one. No image comes twice in a batch while the identity has K or more.
    - Everything else comes from the seed and the epoch, so a resumed run draws what the unbroken one would have.

    Args:
        anchors: batches in an epoch; None for one for each identity.

    Raises:
        UserError: fewer identities than P or than ``anchors``, K more than any identity has, or a batch of one image.
    """

    def __init__(self, pictures: Pictures, batching: Batching, *, anchors: int | None = None) -> None:
        super().__init__(batching)
        self._people, self._embed = members(pictures.labels), pictures.embed
        check_people(self._people, batching)
        check_shares(batching.identities, batching.images, batching)
        if anchors is not None and not 1 <= anchors <= len(self._people):
            raise UserError(
                f"sampler.anchors={anchors} must be from 1 to the {len(self._people)} training identities, or null for "
                "all of them"
            )
        self._anchors = anchors or len(self._people)
        self._features: np.ndarray | None = None  # of the epoch that is drawn
        self._known: np.ndarray | None = None  # of the epoch that a resumed run goes on in

    def __len__(self) -> int:
        return self._anchors

    def draw(self, epoch: int) -> Iterator[list[tuple[int, int, int]]]:
        """Batches of (identity, epoch, its turn in the epoch), the anchor first and the nearest next."""
        self._features = self._embed(self._examples(epoch)) if self._known is None else self._known
        self._known, features = None, self._features
        turns = np.zeros(len(self._people), np.int64)
        for anchor in window(len(self._people), len(self), epoch, [self.batching.seed, 1]):
            batch = nearest(features, int(anchor), self.batching.identities)
            yield [(int(identity), epoch, int(turns[identity])) for identity in batch]
            turns[batch] += 1

    def state(self) -> dict[str, Any]:
        """The features: in the midst of an epoch the network has others than it had at the beginning."""
        return {} if self._features is None else {"features": torch.from_numpy(self._features)}

    def remember(self, state: dict[str, Any]) -> None:
        self._known = state["features"].numpy() if state else None

    def images(self, unit: tuple[int, int, int]) -> np.ndarray:
        """K images of an identity at one of its turns in an epoch, int64 [K]."""
        identity, epoch, turn = unit
        own = self._people[identity]
        return own[window(len(own), self.batching.images, turn, [self.batching.seed, 3, identity, epoch])]

    def _examples(self, epoch: int) -> np.ndarray:
        """The image that stands for each identity in an epoch, int64 [C]."""
        key = [self.batching.seed, 2]
        return np.concatenate([own[window(len(own), 1, epoch, [*key, i])] for i, own in enumerate(self._people)])


def nearest(features: np.ndarray, anchor: int, count: int) -> np.ndarray:
    """The row ``anchor`` of features float32 [C, D], then the rows nearest to it by Euclidean distance: int64 [count].

    A tie is settled by the lower row. The differences themselves are squared, since early in training features may be
    so much alike that a product of matrices would round their distances away.
    """
    gap = features - features[anchor]
    squared = np.einsum("cd,cd->c", gap, gap)
    squared[anchor] = -1  # nothing is nearer
    return np.argsort(squared, kind="stable")[:count]
