from dataclasses import replace

import numpy as np
import pytest
from label_sets import epoch, label_list, pictures, random_sets, spread

from reid.data.samplers import Batching, HardSampler, Pictures
from reid.data.samplers.hard import nearest
from reid.errors import UserError


class Watched:
    """Pictures whose ``embed`` keeps what it was asked for."""

    def __init__(self, known: Pictures) -> None:
        self.asked: list[np.ndarray] = []
        self.known = replace(known, embed=self.embed)
        self._embed = known.embed

    def embed(self, index: np.ndarray) -> np.ndarray:
        self.asked.append(index)
        return self._embed(index)


def slow_nearest(features: np.ndarray, anchor: int, count: int) -> list[int]:
    """The anchor, then the others sorted by distance and, where these tie, by number."""
    distances = [(sum((float(a) - float(b)) ** 2 for a, b in zip(features[anchor], other, strict=True)), i)
                 for i, other in enumerate(features) if i != anchor]  # fmt: skip
    return [anchor, *(i for _, i in sorted(distances))][:count]


@pytest.mark.parametrize("some", [False, True])
def test_batches_are_anchors_with_their_nearest(some: bool) -> None:
    for rng, known, batching in random_sets():
        labels, p, k = known.labels, batching.identities, max(batching.images, 2)
        count = labels.max() + 1
        anchors = int(rng.integers(1, count + 1)) if some else None
        watched = Watched(known)
        sampler = HardSampler(watched.known, Batching(p, k, batching.seed), anchors=anchors)
        begun = np.zeros(count, int)
        for number in range(4):
            drawn = epoch(sampler, number)
            shown = watched.asked[number]
            assert labels[shown].tolist() == list(range(count))  # one image of each identity
            assert len(drawn) == len(sampler) == (anchors or count)
            features = known.embed(shown)
            images = np.zeros(len(labels), int)
            for batch in drawn:
                who = labels[batch[::k]]
                assert labels[batch].tolist() == np.repeat(who, k).tolist()
                assert who.tolist() == slow_nearest(features, who[0], p)
                begun[who[0]] += 1
                for own in np.reshape(batch, (-1, k)):
                    assert len(set(own)) == min(k, (labels == labels[own[0]]).sum())
                np.add.at(images, batch, 1)
            for identity in range(count):
                assert spread(images[labels == identity]) <= 1
            assert spread(begun) <= (1 if some else 0)
        assert len(watched.asked) == 4
        for identity in range(count):
            stood = np.bincount([shown[identity] for shown in watched.asked], minlength=len(labels))
            assert spread(stood[labels == identity]) <= 1


def test_anchors_come_in_another_order_each_epoch_with_other_images() -> None:
    known = pictures(label_list(*[9] * 20), features=np.random.default_rng(0).normal(size=(180, 5)).astype(np.float32))
    sampler = HardSampler(known, Batching(1, 3))
    drawn = [epoch(sampler, number) for number in range(5)]
    assert len({str([known.labels[batch[0]] for batch in batches]) for batches in drawn}) == 5
    assert len({frozenset(batch) for batches in drawn for batch in batches}) > 95  # of 100


def test_features_that_hardly_differ_are_told_apart() -> None:
    """All of length 1 to the last bit, one next to the other along an arc."""
    angles = np.array([0.0, 3e-5, 1e-5, 6e-5, 1e-4])
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    assert nearest(features, 0, 4).tolist() == [0, 2, 1, 3]
    assert nearest(features, 4, 5).tolist() == [4, 3, 1, 2, 0]


def test_features_are_asked_for_when_an_epoch_is_drawn_and_not_before() -> None:
    watched = Watched(pictures(label_list(3, 3, 3)))
    sampler = HardSampler(watched.known, Batching(2, 2))
    len(sampler)
    batches = iter(sampler)
    assert not watched.asked
    next(batches)
    next(batches)
    assert len(watched.asked) == 1


@pytest.mark.parametrize("anchors", [0, -1, 4])
def test_more_anchors_than_identities_and_none_are_refused(anchors: int) -> None:
    with pytest.raises(UserError, match=f"sampler.anchors={anchors} must be from 1 to the 3 training identities"):
        HardSampler(pictures(label_list(3, 3, 3)), Batching(2, 2), anchors=anchors)
