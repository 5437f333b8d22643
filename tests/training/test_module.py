import copy
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import tiny
import torch
from pytorch_lightning.callbacks import Callback
from tiny_training import Batch, batches, fit, module
from torch import Tensor, nn

from reid.data.augment import Mixup
from reid.errors import UserError
from reid.losses.cross_entropy import CrossEntropy
from reid.losses.objective import Objective
from reid.models.checkpoint import load_trained
from reid.training.checkpoints import Checkpoints
from reid.training.module import ReIDModule
from reid.training.schedules import cosine


def slow_loss(feature: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
    """The objective of ``tiny_training``, sample by sample in float64."""
    feature, logits = feature.double(), logits.double()
    loss = torch.zeros(())
    for i, label in enumerate(labels):
        target = torch.full((4,), 0.1 / 4)
        target[label] += 0.9
        loss = loss - (target * logits[i].log_softmax(0)).sum()
        far = torch.stack(
            [(feature[i] - feature[j]).norm() for j in range(len(labels)) if labels[j] == label and j != i]
        )
        near = torch.stack([(feature[i] - feature[j]).norm() for j in range(len(labels)) if labels[j] != label])
        loss = loss + 0.5 * (0.3 + far.max() - near.min()).clamp(min=0)
    return loss / len(labels)


def plain_loop(net: nn.Module, data: list[Batch], rates: list[float]) -> list[dict[str, Tensor]]:
    """Train without Lightning; returns the gradients of each step. Images are normalised by hand."""
    mean, std = (torch.tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    net.train()
    optimizer = torch.optim.SGD(net.parameters(), lr=rates[0], momentum=0.9, weight_decay=1e-3)
    gradients = []
    for (images, labels, _), rate in zip(data, rates, strict=True):
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        feature = net.backbone((images / 255 - mean) / std).mean((2, 3))
        slow_loss(feature, net.classifier(net.bnneck(feature)), labels).backward()
        gradients.append({k: p.grad.clone() for k, p in net.named_parameters() if p.requires_grad})
        optimizer.step()
    return gradients


class Watch(Callback):
    """Keeps the gradients and the learning rate of each step."""

    def __init__(self) -> None:
        self.gradients: list[dict[str, Tensor]] = []
        self.rates: list[float] = []

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any) -> None:
        self.rates.append(trainer.optimizers[0].param_groups[0]["lr"])

    def on_before_optimizer_step(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any) -> None:
        assert isinstance(pl_module, ReIDModule)
        named = pl_module.embedder.named_parameters()
        self.gradients.append({k: p.grad.clone() for k, p in named if p.grad is not None})


@pytest.mark.parametrize("channels_last", [True, False])
def test_steps_equal_a_plain_loop(tmp_path: Path, channels_last: bool) -> None:
    data, net, watch = batches(3), tiny.embedder(), Watch()
    plain = copy.deepcopy(net)
    fit(tmp_path, module(embedder=net, schedule=cosine, channels_last=channels_last), data, epochs=2, callbacks=[watch])
    gradients = plain_loop(plain, data * 2, [0.05 * (1 + math.cos(math.pi * i / 6)) / 2 for i in range(6)])
    for ours, theirs in zip(watch.gradients, gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(net.state_dict(), plain.state_dict(), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(net.backbone.conv.weight, tiny.embedder().backbone.conv.weight, atol=1e-3)


def test_images_pass_the_augmentation_first(tmp_path: Path) -> None:
    data, watch, plain = batches(1), Watch(), tiny.embedder()
    mirror: Callable[[Tensor, torch.Generator], Tensor] = lambda images, generator: images.flip(-1)  # noqa: E731
    fit(tmp_path, module(augment=mirror), data, callbacks=[watch])
    gradients = plain_loop(plain, [(data[0][0].flip(-1), *data[0][1:])], [0.05])
    torch.testing.assert_close(watch.gradients, gradients, rtol=1e-3, atol=1e-5)


def softmax() -> Objective:
    return Objective({"id": {"loss": CrossEntropy(0.1), "input": "logits", "weight": 1.0}})


def test_mixed_images_and_labels_come_after_the_augmentation(tmp_path: Path) -> None:
    """The gradient is that of shares of two cross-entropies, on the images that the mix gave."""
    data, watch, plain = batches(1), Watch(), tiny.embedder()
    images, labels, _ = data[0]
    partner, given = torch.tensor([3, 4, 5, 6, 7, 0, 1, 2]), []

    def mix(images: Tensor, labels: Tensor, classes: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        given.append((images, classes, torch.rand(1, generator=generator).item()))
        own = nn.functional.one_hot(labels, classes).float()
        return images[partner], 0.75 * own + 0.25 * own[partner]

    mirror: Callable[[Tensor, torch.Generator], Tensor] = lambda images, generator: images.flip(-1)  # noqa: E731
    fit(tmp_path, module(augment=mirror, mix=mix, objective=softmax()), data, callbacks=[watch])
    ((seen, classes, number),) = given
    assert torch.equal(seen, images.flip(-1))
    assert classes == 4
    plain.train()
    feature = plain.pooled(images.flip(-1)[partner])
    logits = plain.classifier(plain.bnneck(feature))
    ce = nn.CrossEntropyLoss(label_smoothing=0.1)
    (0.75 * ce(logits, labels) + 0.25 * ce(logits, labels[partner])).backward()
    expected = {k: p.grad for k, p in plain.named_parameters() if p.grad is not None}
    torch.testing.assert_close(watch.gradients, [expected], rtol=1e-3, atol=1e-5)
    given.clear()
    fit(tmp_path, module(mix=mix, objective=softmax()), batches(2))
    assert given[0][2] == number  # a stream of its own, begun anew each step
    assert given[0][2] != given[1][2]


def test_a_mix_and_a_loss_on_the_feature_are_refused() -> None:
    with pytest.raises(UserError, match=r"objective\.terms\.triplet .*choose objective=softmax or mix=none"):
        module(mix=Mixup())


def test_only_what_learns_goes_to_the_optimiser(tmp_path: Path) -> None:
    net = module()
    trainer = fit(tmp_path, net, batches(1))
    held = {id(p) for group in trainer.optimizers[0].param_groups for p in group["params"]}
    assert held == {id(p) for p in net.embedder.parameters()} - {id(net.embedder.bnneck.bias)}


def test_rate_of_each_step_follows_the_schedule(tmp_path: Path) -> None:
    watch = Watch()
    fit(
        tmp_path,
        module(schedule=lambda done: 1 - done / 2),
        batches(5),
        epochs=3,
        callbacks=[watch],
        limit_train_batches=4,
    )
    assert watch.rates == pytest.approx([0.05 * (1 - i / 24) for i in range(12)])


def test_rate_of_a_run_that_is_made_longer_follows_the_new_length(tmp_path: Path) -> None:
    first, second = Watch(), Watch()
    falls = lambda done: 1 - done  # noqa: E731
    fit(tmp_path, module(schedule=falls), batches(3), epochs=1, callbacks=[first, Checkpoints(tmp_path)])
    callbacks = [second, Checkpoints(tmp_path)]
    fit(tmp_path, module(schedule=falls), batches(3), epochs=2, callbacks=callbacks, resume=tmp_path / "last.ckpt")
    assert first.rates == pytest.approx([0.05, 0.05 * 2 / 3, 0.05 / 3])
    assert second.rates == pytest.approx([0.05 * 3 / 6, 0.05 * 2 / 6, 0.05 / 6])


class Late(nn.Module):
    """A loss that is ``value`` from its fifth call on."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value, self.calls = value, 0

    def forward(self, feature: Tensor, labels: Tensor) -> Tensor:
        self.calls += 1
        return feature.square().mean() * (self.value if self.calls >= 5 else 1.0)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_loss_that_is_not_finite_stops_the_run_and_names_the_step(tmp_path: Path, value: float) -> None:
    late = Objective({"late": {"loss": Late(value), "input": "feature", "weight": 1}})
    watch = Watch()
    with pytest.raises(UserError, match=rf"the loss is {value} at epoch 2, batch 2 \(step 5\)") as caught:
        fit(tmp_path, module(objective=late), batches(3), epochs=3, callbacks=[watch])
    assert "optimizer.lr" in str(caught.value)
    assert len(watch.gradients) == 4  # the weights did not take the step


def draws(folder: Path, seed: int, *, epochs: int = 2, resume: Path | None = None) -> list[float]:
    """The first random number that the augmentation of each step gets."""
    found: list[float] = []

    def augment(images: Tensor, generator: torch.Generator) -> Tensor:
        found.append(torch.rand(1, generator=generator).item())
        return images

    fit(
        folder,
        module(augment=augment, seed=seed),
        batches(3),
        epochs=epochs,
        callbacks=[Checkpoints(folder)],
        resume=resume,
    )
    return found


def test_augmentation_differs_from_step_to_step_and_the_seed_repeats_it(tmp_path: Path) -> None:
    one = draws(tmp_path, seed=1)
    assert len(set(one)) == 6
    torch.manual_seed(123)  # what happened before does not count
    assert draws(tmp_path, seed=1) == one
    assert not set(draws(tmp_path, seed=2)) & set(one)


def test_augmentation_of_a_resumed_run_goes_on(tmp_path: Path) -> None:
    one = draws(tmp_path, seed=1)
    assert draws(tmp_path, seed=1, epochs=1) == one[:3]
    assert draws(tmp_path, seed=1, resume=tmp_path / "last.ckpt") == one[3:]


class Noise(nn.Module):
    """A loss that draws from torch's own stream, as dropout does, and keeps what it drew."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn: list[float] = []

    def forward(self, feature: Tensor, labels: Tensor) -> Tensor:
        self.drawn.append(torch.rand(1).item())
        return feature.square().mean()


def test_dropout_differs_from_step_to_step_and_the_seed_repeats_it(tmp_path: Path) -> None:
    drawn = []
    for seed in (1, 1, 2):
        noise = Noise()
        term = {"loss": noise, "input": "feature", "weight": 1}
        fit(tmp_path, module(objective=Objective({"noise": term}), seed=seed), batches(3), epochs=2)
        drawn.append(noise.drawn)
        torch.manual_seed(123)  # what happened before does not count
    assert len(set(drawn[0])) == 6
    assert drawn[0] == drawn[1]
    assert not set(drawn[0]) & set(drawn[2])


def test_validation_scores_the_embeddings_of_all_images_in_order(tmp_path: Path) -> None:
    found: list[np.ndarray] = []

    def score(features: np.ndarray) -> dict[str, float]:
        found.append(features)
        return {"mAP": 0.25, "rank-1": 0.5}

    net = module(embedder=tiny.embedder(dropout=0.5), score=score)
    validation = [
        (tiny.images(len(at), seed=50 + len(at)), torch.tensor(at), torch.ones(len(at)).long())
        for at in (range(5), range(5, 8))
    ]
    trainer = fit(tmp_path, net, batches(2), epochs=2, validation=validation)
    assert len(found) == 2  # no epoch sees the images of the one before
    assert found[1].dtype == np.float32
    with torch.no_grad():
        expected = net.embedder.eval()(torch.cat([images for images, _, _ in validation]))
    np.testing.assert_allclose(found[1], expected, atol=1e-6)
    assert not np.allclose(found[0], found[1], atol=1e-3)
    assert {k: float(v) for k, v in trainer.callback_metrics.items()} == {"val_mAP": 0.25, "val_rank-1": 0.5}


def test_checkpoint_rebuilds_the_trained_network(tmp_path: Path) -> None:
    spec = {
        "backbone": {"builder": "tiny.backbone", "arguments": {"channels": 6, "pretrained": True}},
        "head": {"pooling": "max", "feature": "before_bnneck"},
        "image_size": list(tiny.SIZE),
        "num_classes": 4,
    }
    net = module(embedder=tiny.embedder(pooling="max", feature="before_bnneck"), spec=spec)
    fit(tmp_path, net, batches(2), epochs=3, callbacks=[Checkpoints(tmp_path)])
    again = load_trained(tmp_path / "last.ckpt", trust=True)
    assert again.spec == spec
    assert again.epochs == 3
    with torch.no_grad():
        assert torch.equal(again.embedder(tiny.images(5)), net.embedder.eval()(tiny.images(5)))


def test_any_optimiser_of_torch_fits(tmp_path: Path) -> None:
    net, start = module(optimizer=partial(torch.optim.AdamW, lr=0.01, weight_decay=0.0)), tiny.embedder()
    fit(tmp_path, net, batches(1))
    # Adam's first step moves every weight by its rate, whatever the gradient.
    moved = (net.embedder.backbone.conv.weight - start.backbone.conv.weight).abs()
    torch.testing.assert_close(moved, torch.full_like(moved, 0.01), rtol=1e-2, atol=0)
