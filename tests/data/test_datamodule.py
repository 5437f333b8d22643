import logging
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from reid.data.datamodule import ReIDData
from reid.data.records import Record, Split
from reid.data.samplers import ShuffleSampler
from reid.errors import UserError

SIZE = (8, 4)
Batches = list[tuple[torch.Tensor, torch.Tensor]]
PIDS = (30, 7, 99, 12, 50)  # neither sorted nor dense


@pytest.fixture
def split(tmp_path: Path) -> Split:
    """Five training identities with three images each, every image one colour of its own; two to test on."""

    def picture(pid: int, camid: int, n: int) -> Record:
        path = tmp_path / f"{pid}_{camid}_{n}.png"
        Image.new("RGB", (6, 11), (pid, camid, n)).save(path)
        return Record(path, pid, camid)

    train = tuple(picture(pid, camid, 0) for camid in (1, 2, 3) for pid in PIDS)
    query = tuple(picture(pid, 1, 9) for pid in (3, 4))
    gallery = tuple(picture(pid, 2, n) for pid in (3, 4) for n in (8, 9))
    return Split("colours", tmp_path, train, query, gallery)


def colour(image: torch.Tensor) -> tuple[int, ...]:
    """The one colour of an image [3, H, W]."""
    found = image.flatten(1)
    assert (found == found[:, :1]).all()
    return tuple(found[:, 0].tolist())


def epoch(data: ReIDData, number: int = 0, rank: int = 0, world_size: int = 1) -> Batches:
    data.trainer = SimpleNamespace(global_rank=rank, world_size=world_size)  # type: ignore[assignment]
    loader = data.train_dataloader()
    loader.batch_sampler.set_epoch(number)
    return list(loader)


def same(a: Batches, b: Batches) -> bool:
    return len(a) == len(b) and all(
        torch.equal(p, q) and torch.equal(x, y) for (p, x, _), (q, y, _) in zip(a, b, strict=True)
    )


@pytest.mark.parametrize("cached", [True, False])
@pytest.mark.parametrize("workers", [0, 2])
def test_batches_hold_the_pictures_of_their_labels(split: Split, tmp_path: Path, cached: bool, workers: int) -> None:
    data = ReIDData(
        split, image_size=SIZE, identities=2, images=2, workers=workers, cache=tmp_path / "c" if cached else None
    )
    batches = epoch(data)
    assert data.steps_per_epoch() == len(batches) == 3  # 5 identities by two: 2 + 2 + 1
    assert data.batch_images == 4
    assert data.num_classes == 5
    seen = []
    for images, labels, camids in batches:
        assert (images.dtype, labels.dtype) == (torch.uint8, torch.int64)
        assert images.shape == (len(labels), 3, *SIZE)
        for image, label, camera in zip(images, labels.tolist(), camids.tolist(), strict=True):
            pid, camid, n = colour(image)
            assert pid == sorted(PIDS)[label]
            assert camid == camera
            assert n == 0
        found, counts = labels.unique(return_counts=True)
        assert counts.tolist() == [2] * len(found)
        assert len({colour(image) for image in images}) == len(images)  # two different pictures of each
        seen += found.tolist()
    assert sorted(seen) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("cache", ["disk", "memory", "none"])
def test_workers_make_no_difference(split: Split, tmp_path: Path, cache: str) -> None:
    where = {"disk": tmp_path / "cache", "memory": "memory", "none": None}[cache]
    arguments = {"image_size": SIZE, "identities": 2, "images": 2, "cache": where}
    none, four = (ReIDData(split, workers=workers, **arguments) for workers in (0, 4))
    for number in (0, 5):
        assert same(epoch(none, number), epoch(four, number))


def test_epochs_differ_and_the_seed_repeats_them(split: Split) -> None:
    arguments = {"image_size": SIZE, "identities": 2, "images": 2}
    a, b, c = (ReIDData(split, seed=seed, **arguments) for seed in (1, 1, 2))
    assert same(epoch(a, 4), epoch(b, 4))
    assert not same(epoch(a, 4), epoch(a, 5))
    assert not same(epoch(a, 4), epoch(c, 4))


def test_two_processes_share_the_batch_of_one(split: Split) -> None:
    data = ReIDData(split, image_size=SIZE, identities=4, images=2)
    whole = epoch(data, 3)
    shares = [epoch(data, 3, rank, 2) for rank in (0, 1)]
    for batch, *parts in zip(whole, *shares, strict=True):
        assert sorted(map(colour, batch[0])) == sorted(colour(image) for part in parts for image in part[0])


def test_another_sampler_draws_other_batches(split: Split) -> None:
    data = ReIDData(split, image_size=SIZE, sampler=ShuffleSampler, identities=2, images=4)
    drawn = epoch(data)
    assert data.steps_per_epoch() == len(drawn) == 2
    assert data.batch_images == 8
    assert sorted(len(images) for images, _, _ in drawn) == [7, 8]
    assert len({colour(image) for images, _, _ in drawn for image in images}) == len(split.train)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_iterator_made_before_the_epoch_is_known_draws_that_epoch(split: Split, workers: int) -> None:
    data = ReIDData(split, image_size=SIZE, identities=2, images=2, workers=workers)
    data.trainer = SimpleNamespace(global_rank=0, world_size=1)  # type: ignore[assignment]
    loader = data.train_dataloader()
    begun = iter(loader)
    loader.batch_sampler.set_epoch(4)
    assert same(list(begun), epoch(data, 4))


def test_validation_is_query_then_gallery_with_the_index_of_each_image(split: Split) -> None:
    validation = Split("held out", split.root, (), split.query, split.gallery)
    data = ReIDData(split, image_size=SIZE, identities=2, images=2, validation=validation, eval_batch=4)
    for _ in range(2):
        batches = list(data.val_dataloader())
        assert [len(images) for images, _, _ in batches] == [4, 2]
        assert torch.cat([index for _, index, _ in batches]).tolist() == [0, 1, 2, 3, 4, 5]
        assert [colour(image) for images, _, _ in batches for image in images] == [
            (3, 1, 9), (4, 1, 9), (3, 2, 8), (3, 2, 9), (4, 2, 8), (4, 2, 9),
        ]  # fmt: skip


def test_without_held_out_identities_there_is_nothing_to_validate(split: Split) -> None:
    assert ReIDData(split, image_size=SIZE, identities=2, images=2).val_dataloader() == []


def damage(records: tuple[Record, ...]) -> None:
    for r in records:
        os.truncate(r.path, 20)


@pytest.mark.parametrize("cached", [True, False])
def test_unreadable_images_are_counted_and_their_identities_leave_no_gap(
    split: Split, tmp_path: Path, cached: bool, caplog: pytest.LogCaptureFixture
) -> None:
    lost = [r for r in split.train if r.pid == 30] + [r for r in split.train if r.pid == 99][:1]
    damage(tuple(lost))
    first = next(r for r in split.train if r in lost)
    with caplog.at_level(logging.WARNING):
        data = ReIDData(
            split, image_size=SIZE, identities=2, images=2, skip_unreadable=True,
            cache=tmp_path / "cache" if cached else None,
        )  # fmt: skip
    assert f"train: 4 of 15 images cannot be read and are left out (first: {first.path})" in caplog.text
    assert data.num_classes == 4
    assert data.steps_per_epoch() == 2
    kept = [7, 12, 50, 99]
    for images, labels, _ in epoch(data):
        assert [colour(image)[0] for image in images] == [kept[label] for label in labels]


def test_unreadable_image_stops_the_run_by_default(split: Split, tmp_path: Path) -> None:
    damage(split.train[4:5])
    with pytest.raises(UserError, match=r"data\.skip_unreadable=true") as caught:
        ReIDData(split, image_size=SIZE, identities=2, images=2, cache=tmp_path / "cache")
    assert str(split.train[4].path) in str(caught.value)


@pytest.mark.parametrize("cached", [True, False])
def test_a_part_without_any_readable_image_is_told(split: Split, tmp_path: Path, cached: bool) -> None:
    damage(split.train)
    with pytest.raises(UserError, match="no image of its train part can be read") as caught:
        ReIDData(
            split, image_size=SIZE, identities=2, images=2, skip_unreadable=True,
            cache=tmp_path / "cache" if cached else None,
        )  # fmt: skip
    assert str(split.root) in str(caught.value)


def test_unreadable_validation_image_is_left_out_or_told(split: Split) -> None:
    validation = Split("held out", split.root, (), split.query, split.gallery)
    damage(split.gallery[1:2])
    readable = tuple(r for r in split.query + split.gallery if r != split.gallery[1])
    for skip in (True, False):
        data = ReIDData(split, image_size=SIZE, identities=2, images=2, validation=validation, skip_unreadable=skip)
        if skip:
            assert sum(len(index) for _, index, _ in data.val_dataloader()) == len(readable)
            assert data.validation_images.records == readable
        else:
            with pytest.raises(UserError, match="not a readable image") as caught:
                data.val_dataloader()
            assert str(split.gallery[1].path) in str(caught.value)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"identities": 6, "images": 2}, "data.identities=6 but only 5"),
        ({"identities": 2, "images": 4}, "data.images=4 but no training identity has more than 3"),
    ],
)
def test_numbers_that_the_data_cannot_serve_are_told_at_once(
    split: Split, numbers: dict[str, int], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        ReIDData(split, image_size=SIZE, **numbers)


def test_other_parts_open_at_the_same_size(split: Split) -> None:
    images = ReIDData(split, image_size=SIZE, identities=2, images=2).open(split.gallery, "gallery")
    assert [colour(image) for image in images.load(np.arange(4))] == [(3, 2, 8), (3, 2, 9), (4, 2, 8), (4, 2, 9)]
