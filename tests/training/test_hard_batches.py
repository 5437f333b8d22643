"""Graph sampling in a fit: by the network as it is when an epoch begins, and without a trace in it."""

import copy
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import tiny
import torch
from PIL import Image
from pytorch_lightning.callbacks import Callback
from tiny_training import Batch, batches, fit, module

from reid.data.datamodule import ReIDData
from reid.data.records import Record, Split
from reid.data.samplers import HardSampler
from reid.models.embedder import Embedder

PEOPLE = 9


@pytest.fixture
def split(tmp_path: Path) -> Split:
    """One picture of each of nine people: noise, so that the network tells them apart by chance."""
    rng, records = np.random.default_rng(0), []
    for pid in range(PEOPLE):
        path = tmp_path / f"{pid}.png"
        Image.fromarray(rng.integers(0, 256, size=(*tiny.SIZE, 3), dtype=np.uint8)).save(path)
        records.append(Record(path, pid, 1))
    return Split("noise", tmp_path, tuple(records), (), ())


class Watch(Callback):
    """Keeps the network of each epoch's beginning, and who was in its batches."""

    def __init__(self) -> None:
        self.nets: list[Embedder] = []
        self.people: list[list[list[int]]] = []

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self.nets.append(copy.deepcopy(pl_module.embedder).eval())
        self.people.append([])

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Batch, batch_idx: int) -> None:
        self.people[-1].append(batch[1].tolist())


@pytest.mark.parametrize("workers", [0, 2])
def test_each_batch_is_the_anchor_and_those_nearest_by_the_weights_at_the_epochs_start(
    tmp_path: Path, split: Split, workers: int
) -> None:
    data = ReIDData(
        split, image_size=tiny.SIZE, sampler=HardSampler, identities=4, images=1, eval_batch=4, workers=workers
    )
    assert data.steps_per_epoch() == PEOPLE
    watch = Watch()
    optimizer = lambda parameters: torch.optim.SGD(parameters, lr=0.5)  # noqa: E731  # far, so that neighbours change
    net = module(embedder=tiny.embedder(PEOPLE, dropout=0.3), optimizer=optimizer)
    fit(tmp_path, net, data, epochs=3, callbacks=[watch])
    images = data.train_images.load(np.arange(PEOPLE))
    neighbours = []
    for embedder, drawn in zip(watch.nets, watch.people, strict=True):
        with torch.no_grad():
            features = embedder(images).double().numpy()
        distances = np.sqrt(((features[:, None] - features[None]) ** 2).sum(2))
        assert sorted(people[0] for people in drawn) == list(range(PEOPLE))
        for anchor, *others in drawn:
            order = [i for i in np.argsort(distances[anchor]) if i != anchor]
            assert others == order[:3]
        neighbours.append(sorted(map(str, drawn)))
    assert neighbours[0] != neighbours[1] != neighbours[2]


def test_features_are_those_of_evaluation_and_training_goes_on_as_if_they_had_not_been_taken(tmp_path: Path) -> None:
    class Look(Callback):
        looks = 0

        def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Batch, batch_idx: int) -> None:
            expected = copy.deepcopy(pl_module.embedder).eval()(batch[0], batch[2])
            before = {k: v.clone() for k, v in pl_module.state_dict().items()}
            modes, stream = [m.training for m in pl_module.modules()], torch.get_rng_state()
            found = pl_module.embed([[part[:5] for part in batch], [part[5:] for part in batch]])
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, expected.detach().numpy(), rtol=1e-4, atol=1e-5)
            assert modes == [m.training for m in pl_module.modules()]
            assert torch.equal(stream, torch.get_rng_state())
            assert torch.is_grad_enabled()
            for name, value in pl_module.state_dict().items():
                assert torch.equal(value, before[name]), name
            self.looks += 1

    def trained(*callbacks: Callback) -> dict[str, torch.Tensor]:
        net = module(embedder=tiny.embedder(dropout=0.3))
        net.embedder.backbone.freeze(["norm"])
        net.embedder.train()
        fit(tmp_path, net, batches(4), callbacks=callbacks)
        return net.state_dict()

    look = Look()
    with_look, without = trained(look), trained()
    assert look.looks == 4
    for name, value in without.items():
        assert torch.equal(value, with_look[name]), name


def test_anchors_set_the_length_of_an_epoch(tmp_path: Path, split: Split) -> None:
    watch = Watch()
    data = ReIDData(split, image_size=tiny.SIZE, sampler=partial(HardSampler, anchors=3), identities=4, images=1)
    fit(tmp_path, module(embedder=tiny.embedder(PEOPLE)), data, epochs=3, callbacks=[watch])
    assert [len(drawn) for drawn in watch.people] == [3, 3, 3]
    assert sorted(people[0] for drawn in watch.people for people in drawn) == list(range(PEOPLE))
