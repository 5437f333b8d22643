import numpy as np
import pytest
from label_sets import epoch, label_list, pictures, random_sets, spread

from reid.data.samplers import Batching, CameraSampler, IdentitySampler
from reid.errors import UserError


def counted(batch: list[int], count: int) -> np.ndarray:
    return np.bincount(batch, minlength=count)


def test_images_are_spread_over_the_cameras_and_go_round() -> None:
    for _, known, batching in random_sets(identities=4, images=8):
        labels, camids, k = known.labels, known.camids, max(batching.images, 2)
        sampler = CameraSampler(known, Batching(batching.identities, k, batching.seed))
        people = [np.flatnonzero(labels == identity) for identity in range(labels.max() + 1)]
        shown = np.zeros(len(labels), int)
        for number in range(40):
            drawn = counted([i for batch in epoch(sampler, number) for i in batch], len(labels))
            shown += drawn
            for own in people:
                assert drawn[own].sum() == k
                once_more = drawn[own] - k // len(own)  # than all of them are shown
                assert set(once_more) <= {0, 1}
                views = [once_more[camids[own] == camera] for camera in np.unique(camids[own])]
                for few in views:
                    assert few.all() or all(view.sum() <= few.sum() + 1 for view in views)
        for own in people:
            views = [shown[own[camids[own] == camera]] for camera in np.unique(camids[own])]
            for view in views:
                assert view.min() > 0
                assert spread(view) <= 1
            for size in set(map(len, views)):  # cameras alike take turns
                assert spread([view.sum() for view in views if len(view) == size]) <= 1


def test_four_images_of_an_identity_that_two_cameras_have_seen() -> None:
    """Ten images by camera 1 and two by camera 2: two of each, those of camera 2 always."""
    camids = np.array([1] * 10 + [2] * 2 + [1] * 12)
    sampler = CameraSampler(pictures(label_list(12, 12), camids=camids), Batching(2, 4))
    together, times = set(), np.zeros(24, int)
    for number in range(100):
        (batch,) = epoch(sampler, number)
        own = sorted(i for i in batch if i < 12)
        assert own[2:] == [10, 11]
        together.add(tuple(own[:2]))
        times[batch] += 1
    assert times[:10].tolist() == [20] * 10
    assert len(together) > 30  # of 45 pairs


def test_people_and_their_order_are_those_of_the_identity_sampler() -> None:
    for _, known, batching in random_sets():
        how = Batching(batching.identities, max(batching.images, 2), batching.seed)
        both = [make(known, how) for make in (CameraSampler, IdentitySampler)]
        a, b = ([[known.labels[batch].tolist() for batch in epoch(sampler, 5)]] for sampler in both)
        assert a == b


def test_without_a_second_camera_there_is_nothing_to_spread() -> None:
    labels = label_list(4, 4)
    for camids in (np.ones(8, int), labels):
        with pytest.raises(UserError, match="sampler=cameras .* by more than one: choose sampler=identity"):
            CameraSampler(pictures(labels, camids=camids), Batching(2, 2))
