from dataclasses import replace

import numpy as np
import pytest
from label_sets import epoch, label_list, pictures, random_sets, spread

from reid.data.samplers import Batching, Pictures, SetSampler
from reid.errors import UserError


def sets_of_people(known: Pictures) -> np.ndarray:
    """The set of each identity."""
    return np.array([known.sets[known.labels == identity][0] for identity in range(known.labels.max() + 1)])


def test_every_set_has_its_share_of_every_batch_and_every_process() -> None:
    for rng, known, batching in random_sets():
        set_of = sets_of_people(known)
        names, sizes = np.unique(set_of, return_counts=True)
        p, k = int(rng.integers(1, len(names) * sizes.min() + 1)), max(batching.images, 2)
        sampler = SetSampler(known, Batching(p, k, batching.seed))
        by_epoch = np.zeros((6, len(set_of)), int)
        shown = np.zeros(len(known.labels), int)
        for number in range(6):
            drawn = epoch(sampler, number)
            people = [known.labels[batch[::k]] for batch in drawn]
            assert len(drawn) == np.ceil(len(names) * sizes.max() / p)
            assert spread([len(batch) for batch in people]) <= 1
            for batch, who in zip(drawn, people, strict=True):
                assert known.labels[batch].tolist() == np.repeat(who, k).tolist()
                assert len(who) == len(set(who)) <= p
                assert spread([(set_of[who] == name).sum() for name in names]) <= 1
                for images in np.reshape(batch, (-1, k)):
                    assert len(set(images)) == min(k, (known.labels == known.labels[images[0]]).sum())
                by_epoch[number, who] += 1
            np.add.at(shown, [i for batch in drawn for i in batch], 1)
            for name, size in zip(names, sizes, strict=True):
                assert by_epoch[number, set_of == name].sum() == sizes.max()
                assert spread(by_epoch[number, set_of == name]) <= (size < sizes.max())
                assert spread(by_epoch[:, set_of == name].sum(0)) <= 1
            for identity in range(len(set_of)):
                assert spread(shown[known.labels == identity]) <= 1
        world_size = int(rng.integers(1, 4))
        if p // 2 >= world_size:
            for rank in range(world_size):
                share = SetSampler(known, replace(sampler.batching, rank=rank, world_size=world_size))
                for batch in epoch(share, 3):
                    assert spread([(known.sets[batch[::k]] == name).sum() for name in names]) <= 1


def test_an_epoch_is_as_long_as_the_largest_set_asks_for() -> None:
    """Six, three and two identities: six of each set, the small ones two and three times."""
    known = pictures(label_list(*[4] * 11), sets=np.repeat([0, 1, 2], [24, 12, 8]))
    sampler = SetSampler(known, Batching(6, 2))
    drawn = epoch(sampler, 2)
    assert [len(batch) for batch in drawn] == [12, 12, 12]
    times = np.bincount(known.labels[[i for batch in drawn for i in batch[::2]]])
    assert times.tolist() == [1] * 6 + [2] * 3 + [3] * 2


def test_people_of_a_small_set_meet_others_in_every_epoch() -> None:
    known = pictures(label_list(*[3] * 40), sets=np.repeat([0, 1], [90, 30]))
    sampler = SetSampler(known, Batching(8, 2))
    mates = {frozenset(known.labels[batch]) for number in range(5) for batch in epoch(sampler, number)}
    assert len(mates) == 5 * len(sampler)


@pytest.mark.parametrize(
    ("sets", "p", "message"),
    [
        ([0, 0, 0, 0], 2, "sampler=sets .* all of them come from one: choose sampler=identity"),
        ([0, 0, 0, 1], 3, "data.identities=3 takes 2 identities of each of 2 sets, but one has only 1: choose fewer"),
    ],
)
def test_sets_that_cannot_be_balanced_are_told(sets: list[int], p: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        SetSampler(pictures(label_list(3, 3, 3, 3), sets=np.repeat(sets, 3)), Batching(p, 2))
