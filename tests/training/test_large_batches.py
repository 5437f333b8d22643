"""Batches larger than the memory: gradients of several added up, and gradient caching."""

import copy
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import tiny
import torch
from pytorch_lightning.callbacks import Callback
from tiny_training import Batch, batches, fit, module
from torch import Tensor, nn

from reid.data.augment import Augment
from reid.models.embedder import Embedder
from reid.training.chunks import classify_in_chunks
from reid.training.progress import TrainLog, read_log
from reid.training.schedules import constant


class Watch(Callback):
    def __init__(self) -> None:
        self.gradients: list[dict[str, Tensor]] = []
        self.rates: list[float] = []

    def on_before_optimizer_step(self, trainer: pl.Trainer, pl_module: Any, *args: Any) -> None:
        named = pl_module.embedder.named_parameters()
        self.gradients.append({k: p.grad.clone() for k, p in named if p.grad is not None})
        self.rates.append(trainer.optimizers[0].param_groups[0]["lr"])


def gradient_of(net: Embedder, data: Batch) -> dict[str, Tensor]:
    images, labels, camids = data
    net = copy.deepcopy(net).train()
    loss, _ = module(embedder=net).objective(*net.classify(images, camids)[:2], labels)
    loss.backward()
    return {k: p.grad for k, p in net.named_parameters() if p.grad is not None}


def test_a_step_takes_the_mean_gradient_of_its_batches_also_of_the_fewer_at_the_end(tmp_path: Path) -> None:
    """Five batches by two: the last step of the epoch has one batch, whose gradient counts in full."""
    data, watch, net = batches(5), Watch(), tiny.embedder()
    still = lambda parameters: torch.optim.SGD(parameters, lr=0.0)  # noqa: E731
    each = [gradient_of(net, one) for one in data]
    fit(tmp_path, module(embedder=net, optimizer=still), data, callbacks=[watch], accumulate=2)
    pairs = [(0, 1), (2, 3), (4,)]
    expected = [{k: sum(each[i][k] for i in at) / len(at) for k in each[0]} for at in pairs]
    torch.testing.assert_close(watch.gradients, expected, rtol=1e-4, atol=1e-6)


def test_schedule_and_log_count_steps_and_losses_are_those_of_the_batches(tmp_path: Path) -> None:
    watch, log = Watch(), TrainLog(tmp_path / "train_log.csv", ["id", "triplet"], [])
    still = lambda parameters: torch.optim.SGD(parameters, lr=1e-12)  # noqa: E731
    net, data = module(optimizer=still, schedule=lambda done: 1 - done), batches(5)
    losses = [net.objective(*net.embedder.train().classify(i, c)[:2], who)[0].item() for i, who, c in data]
    fit(tmp_path, net, data, epochs=2, callbacks=[watch, log], accumulate=2)
    assert watch.rates == pytest.approx([1e-12 * (1 - i / 6) for i in range(6)])
    rows = read_log(log.path)
    assert [row["step"] for row in rows] == ["3", "6"]
    assert [float(row["loss"]) for row in rows] == pytest.approx([sum(losses) / 5] * 2, abs=2e-5)


def test_each_batch_of_a_step_has_random_numbers_of_its_own(tmp_path: Path) -> None:
    found: list[float] = []

    def augment(images: Tensor, generator: torch.Generator) -> Tensor:
        found.append(torch.rand(1, generator=generator).item())
        return images

    fit(tmp_path, module(augment=augment), batches(4), accumulate=4)
    assert len(set(found)) == 4


@pytest.mark.parametrize("size", [3, 4, 8, 100])
def test_chunks_give_the_gradient_of_the_whole_batch(size: int) -> None:
    """The statistics of BatchNorm in the backbone are kept as they are; the BNNeck sees the whole batch."""
    net = tiny.embedder()
    net.backbone.norm.eval()
    images, labels, camids = batches(1)[0]
    found = []
    for classify in (Embedder.classify, lambda *given: classify_in_chunks(*given, size=size)):
        own = copy.deepcopy(net)
        own.bnneck.train()
        feature, logits, _ = classify(own, images, camids)
        loss, _ = module(embedder=own).objective(feature, logits, labels)
        loss.backward()
        gradient = torch.cat([p.grad.flatten() for p in own.parameters() if p.grad is not None])
        found.append((loss.item(), gradient))
    (loss, gradient), (chunked_loss, chunked_gradient) = found
    assert chunked_loss == pytest.approx(loss, rel=1e-6)
    assert (chunked_gradient - gradient).norm() <= 1e-5 * gradient.norm()


class Masks(nn.Module):
    """Dropout that keeps which values it took."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, maps: Tensor) -> Tensor:
        mask = torch.rand_like(maps).round()
        self.seen.append(mask)
        return maps * mask


def test_a_chunk_is_embedded_again_with_the_same_random_numbers_and_moves_statistics_once() -> None:
    net, once = tiny.embedder(), tiny.embedder()
    masks = Masks()
    net.backbone.dropout = masks
    images, _, camids = batches(1)[0]
    feature, _, _ = classify_in_chunks(net.train(), images, camids, size=4)
    feature.square().sum().backward()
    first, second = masks.seen[:2], masks.seen[2:]
    assert len(second) == 2
    assert not torch.equal(first[0], first[1])
    assert {tuple(m.flatten().tolist()) for m in first} == {tuple(m.flatten().tolist()) for m in second}
    for chunk in images.split(4):
        once.train().pooled(chunk)
    torch.testing.assert_close(net.backbone.norm.state_dict(), once.backbone.norm.state_dict())


def test_activations_of_one_chunk_are_kept_at_a_time() -> None:
    """Bytes that autograd keeps after the forward pass: of 32 images by eight fewer than of eight images at once."""

    def kept(count: int, size: int | None) -> int:
        sizes: dict[int, int] = {}

        def pack(value: Tensor) -> Tensor:
            sizes[value.untyped_storage().data_ptr()] = value.untyped_storage().nbytes()
            return value

        net = tiny.embedder(channels=64)
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value):
            given = tiny.images(count), torch.ones(count).long()
            net.train().classify(*given) if size is None else classify_in_chunks(net.train(), *given, size=size)
        return sum(sizes.values())

    assert 0 < kept(32, 8) < kept(8, None)


@pytest.mark.slow
def test_a_whole_fit_in_chunks_is_that_of_the_whole_batches(tmp_path: Path) -> None:
    found = []
    for chunk in (None, 3):
        net = tiny.embedder(dropout=0.0)
        net.backbone.freeze(["norm"])
        how = {"embedder": net, "augment": Augment(), "schedule": constant, "chunk": chunk}
        fit(tmp_path, module(**how), batches(3), epochs=2)
        found.append(net.state_dict())
    torch.testing.assert_close(found[0], found[1], rtol=1e-5, atol=1e-6)
