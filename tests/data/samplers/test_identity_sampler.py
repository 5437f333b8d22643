from collections import Counter
from math import lcm

import numpy as np
import pytest
from label_sets import epoch, label_list, pictures

from reid.data.samplers import Batching, IdentitySampler
from reid.errors import UserError


def drawer(labels: np.ndarray, *, p: int, k: int, seed: int = 0, **ranks: int) -> IdentitySampler:
    return IdentitySampler(pictures(labels), Batching(p, k, seed, **ranks))


def batches(labels: np.ndarray, number: int = 0, **how: int) -> list[list[int]]:
    return epoch(drawer(labels, **how), number)


@pytest.mark.parametrize(("identities", "p"), [(8, 4), (9, 4), (10, 4), (7, 7), (13, 4), (101, 16)])
def test_every_identity_once_an_epoch_in_batches_of_nearly_equal_size(identities: int, p: int) -> None:
    labels = label_list(*[5] * identities, shuffle=1)
    for number in range(3):
        drawn = batches(labels, number, p=p, k=3)
        sampler = drawer(labels, p=p, k=3)
        assert len(drawn) == len(sampler) == -(-identities // p)
        counts = [Counter(labels[i] for i in batch) for batch in drawn]
        assert all(set(c.values()) == {3} for c in counts)
        assert sorted(identity for c in counts for identity in c) == list(range(identities))
        assert max(map(len, counts)) - min(map(len, counts)) <= 1
        assert max(map(len, counts)) <= p


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5])
def test_images_of_an_identity_in_a_batch_are_distinct(k: int) -> None:
    labels = label_list(5, 6, 7, 8, 9, 23, shuffle=2)
    for number in range(60):
        for batch in batches(labels, number, p=3, k=k):
            assert len(set(batch)) == len(batch)


def test_an_identity_with_few_images_repeats_each_as_often_as_the_others_give_or_take_one() -> None:
    labels = label_list(1, 2, 3, 8, shuffle=3)
    for number in range(10):
        for batch in batches(labels, number, p=2, k=4):
            for identity, size in enumerate((1, 2, 3, 8)):
                times = Counter(i for i in batch if labels[i] == identity)
                if times:
                    assert len(times) == min(size, 4)
                    assert max(times.values()) - min(times.values()) <= 1


def test_all_images_are_drawn_equally_often() -> None:
    sizes, k = (1, 2, 3, 5, 6, 7, 10, 12), 4
    labels = label_list(*sizes, shuffle=4)
    epochs = lcm(*sizes) // k  # each identity's images have then gone round a whole number of times
    sampler = drawer(labels, p=4, k=k, seed=5)
    times: Counter[int] = Counter()
    for number in range(epochs):
        times.update(i for batch in epoch(sampler, number) for i in batch)
        if number % 13 == 0:  # and on the way there by one draw at most
            for identity in range(len(sizes)):
                own = [times[i] for i in np.flatnonzero(labels == identity)]
                assert max(own) - min(own) <= 1
    for i, identity in enumerate(labels):
        assert times[i] == epochs * k / sizes[identity]


def test_the_images_shown_together_change_over_the_epochs() -> None:
    labels = label_list(*[8] * 4)
    together = {frozenset(b) for number in range(40) for b in batches(labels, number, p=1, k=4)}
    assert len(together) > 100  # of 40 epochs x 4 identities


def test_seed_and_epoch_alone_decide_the_order() -> None:
    labels = label_list(*range(1, 12), shuffle=5)
    used = drawer(labels, p=4, k=3, seed=7)
    for number in (0, 3, 1):
        used.set_epoch(number)
        next(iter(used)), list(used)
    np.random.seed(123)
    used.set_epoch(2)
    assert list(used) == list(used) == batches(labels, 2, p=4, k=3, seed=7)
    assert batches(labels, 3, p=4, k=3, seed=7) != batches(labels, 2, p=4, k=3, seed=7)
    assert batches(labels, 2, p=4, k=3, seed=8) != batches(labels, 2, p=4, k=3, seed=7)


def test_the_order_of_identities_changes_from_epoch_to_epoch() -> None:
    labels = label_list(*[2] * 12)
    mates = [[sorted({int(labels[i]) for i in b}) for b in batches(labels, e, p=4, k=2)] for e in range(5)]
    assert len({str(m) for m in mates}) == 5


def test_indices_are_plain_ints() -> None:
    assert all(type(i) is int for batch in batches(label_list(3, 3), p=2, k=2) for i in batch)


@pytest.mark.parametrize("world_size", [2, 3])
@pytest.mark.parametrize("number", [0, 4])
def test_ranks_share_out_the_batches_of_one_process(world_size: int, number: int) -> None:
    labels = label_list(*[4] * 22, shuffle=6)
    whole = batches(labels, number, p=8, k=3)
    shares = [batches(labels, number, p=8, k=3, rank=r, world_size=world_size) for r in range(world_size)]
    for place, batch in enumerate(whole):
        parts = [share[place] for share in shares]
        assert sorted(i for part in parts for i in part) == sorted(batch)
        held = [{int(labels[i]) for i in part} for part in parts]
        assert sum(map(len, held)) == len(set().union(*held))  # no identity on two ranks
        assert max(map(len, held)) - min(map(len, held)) <= 1
    assert {len(share) for share in shares} == {len(whole)}


@pytest.mark.parametrize(
    ("sizes", "arguments", "message"),
    [
        ((4, 4), {"identities": 3, "images": 2}, "data.identities=3 but only 2 training identities"),
        ((4, 3), {"identities": 2, "images": 5}, "data.images=5 but no training identity has more than 4"),
        ((4, 4), {"identities": 1, "images": 1}, "batch of one image"),
        ((4, 4), {"identities": 0, "images": 2}, "must be at least 1"),
        ((4, 4), {"identities": 2, "images": 0}, "must be at least 1"),
        ((4, 4, 4), {"identities": 2, "images": 2, "world_size": 3}, "cannot be dealt to 3 processes"),
        ((4, 4), {"identities": 2, "images": 1, "world_size": 2}, "batch of one image"),
        # 3 identities in batches of 2 are dealt as 2 and 1
        ((4, 4, 4), {"identities": 2, "images": 1}, "batch of one image"),
        ((4, 4, 4), {"identities": 2, "images": 2, "world_size": 2}, "cannot be dealt to 2 processes"),
        # 5 in batches of 4 are dealt as 3 and 2
        ((4, 4, 4, 4, 4), {"identities": 4, "images": 1, "world_size": 2}, "batch of one image"),
    ],
)
def test_numbers_that_cannot_work_are_refused(sizes: tuple[int, ...], arguments: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        IdentitySampler(pictures(label_list(*sizes)), Batching(**arguments))


def test_batches_of_runs_recorded_earlier() -> None:
    """Written down when there was one sampler: a run begun then and resumed now must go on with its own batches."""
    labels = np.array([1, 3, 4, 4, 3, 4, 4, 4, 4, 1, 2, 2, 2, 3, 0, 3, 4, 4, 3])
    earlier = {
        0: [[0, 9, 0, 11, 10, 12], [6, 16, 3, 18, 15, 13], [14, 14, 14]],
        7: [[10, 11, 12, 5, 17, 2], [14, 14, 14, 9, 0, 9], [15, 1, 4]],
    }
    for number, expected in earlier.items():
        assert batches(labels, number, p=2, k=3, seed=4) == expected
