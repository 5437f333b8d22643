"""What all samplers promise: the batches come from seed and epoch alone, and processes share those of one."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from label_sets import CASES, epoch, random_sets

from reid.data.samplers import (
    Batching,
    CameraSampler,
    EpochSampler,
    HardSampler,
    IdentitySampler,
    Pictures,
    SetSampler,
    ShuffleSampler,
)
from reid.errors import UserError

Make = Callable[[Pictures, Batching], EpochSampler]
SAMPLERS = {
    "identity": IdentitySampler,
    "cameras": CameraSampler,
    "shuffle": ShuffleSampler,
    "sets": SetSampler,
    "hard": HardSampler,
    "hard, one anchor": partial(HardSampler, anchors=1),
}
every_sampler = pytest.mark.parametrize("make", SAMPLERS.values(), ids=SAMPLERS)


def cases(make: Make, **changes: int) -> list[tuple[Pictures, Batching]]:
    """The random sets that suit the sampler."""
    fitting = []
    for _, pictures, batching in random_sets():
        try:
            make(pictures, replace(batching, **changes))
        except UserError:
            continue
        fitting.append((pictures, batching))
    assert len(fitting) > CASES / 5
    return fitting


@every_sampler
def test_an_epoch_comes_from_the_seed_and_its_number_alone(make: Make) -> None:
    same_epoch, same_seed = [], []
    for pictures, batching in cases(make):
        used, fresh = make(pictures, batching), make(pictures, batching)
        for number in (0, 3):
            epoch(used, number)
        next(iter(used))
        np.random.seed(batching.seed)
        drawn = epoch(used, 2)
        assert drawn == list(used) == epoch(fresh, 2)
        assert len(drawn) == len(fresh)
        assert all(type(i) is int for batch in drawn for i in batch)
        same_epoch.append(epoch(fresh, 3) == drawn)
        same_seed.append(epoch(make(pictures, replace(batching, seed=batching.seed + 1)), 2) == drawn)
    for same in (same_epoch, same_seed):  # where there is little to choose from
        assert sum(same) < len(same) / 4


@every_sampler
@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_processes_share_the_batches_of_one(make: Make, world_size: int) -> None:
    for pictures, batching in cases(make, world_size=world_size):
        whole = epoch(make(pictures, batching), 1)
        ranks = [replace(batching, world_size=world_size, rank=rank) for rank in range(world_size)]
        shares = [epoch(make(pictures, one), 1) for one in ranks]
        for batch, *parts in zip(whole, *shares, strict=True):
            assert [i for part in parts for i in part] == batch  # one after the other
            assert min(map(len, parts)) > 1 or world_size == len(batch)


@every_sampler
def test_no_images_and_more_than_there_are_are_refused(make: Make) -> None:
    _, pictures, _ = next(iter(random_sets()))
    for p, k in [(0, 2), (2, 0), (len(pictures.labels), 2), (2, len(pictures.labels))]:
        with pytest.raises(UserError, match=f"data.identities={p}.*|data.images={k}.*"):
            make(pictures, Batching(p, k))
    with pytest.raises(UserError, match="batch of one image"):
        make(pictures, Batching(1, 1))
    with pytest.raises(UserError, match="data.identities=2 cannot be dealt to 99 processes"):
        make(pictures, Batching(2, 2, world_size=99))
