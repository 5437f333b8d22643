import numpy as np
import pytest
from label_sets import CASES, epoch, pictures, spread

from reid.data.samplers import Batching, ShuffleSampler
from reid.errors import UserError


def test_every_image_once_an_epoch_in_batches_alike() -> None:
    for case in range(CASES):
        rng = np.random.default_rng(case)
        p, k, count = (int(n) for n in rng.integers((1, 2, 60), (9, 7, 300)))
        sampler = ShuffleSampler(pictures(rng.integers(0, 20, count)), Batching(p, k, case))
        for number in range(3):
            drawn = epoch(sampler, number)
            assert sorted(i for batch in drawn for i in batch) == list(range(count))
            sizes = [len(batch) for batch in drawn]
            assert len(drawn) == len(sampler) == np.ceil(count / (p * k))
            assert max(sizes) <= p * k
            assert spread(sizes) <= 1


def test_neighbours_change_from_epoch_to_epoch() -> None:
    sampler = ShuffleSampler(pictures(np.zeros(40, int)), Batching(4, 5))
    first, second = (epoch(sampler, number)[0] for number in (0, 1))
    assert len(set(first) & set(second)) < 20


def test_fewer_images_than_a_batch_holds_are_told() -> None:
    with pytest.raises(UserError, match="data.identities=4 and data.images=5 .* of 20 images, .* only 19 .* fewer"):
        ShuffleSampler(pictures(np.arange(19)), Batching(4, 5))
