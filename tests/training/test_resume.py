"""A run that is stopped and resumed ends with the bits of one that never was."""

import signal
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
from tiny_training import fit, module

from reid import signals
from reid.data.augment import Augment
from reid.data.datamodule import MakeSampler, ReIDData
from reid.data.records import Record, Split
from reid.data.samplers import HardSampler, IdentitySampler
from reid.training import stopping
from reid.training.averaging import MovingAverage
from reid.training.checkpoints import Checkpoints
from reid.training.module import ReIDModule
from reid.training.progress import TrainLog, read_log
from reid.training.schedules import constant, cosine

HARD = partial(HardSampler, anchors=3)  # as many steps as the identity sampler


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Split:
    """Seven identities with four noise pictures each."""
    folder, rng = tmp_path_factory.mktemp("noise"), np.random.default_rng(0)
    records = []
    for pid in range(7):
        for n in range(4):
            path = folder / f"{pid}_{n}.png"
            Image.fromarray(rng.integers(0, 256, size=(*tiny.SIZE, 3), dtype=np.uint8)).save(path)
            records.append(Record(path, pid, n % 2))
    return Split("noise", folder, tuple(records), tuple(records[:2]), tuple(records[2:]))


class Stop(Callback):
    """Breaks at a step, as a crash would."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: pl.Trainer, *args: Any) -> None:
        if trainer.global_step == self.step:
            raise ZeroDivisionError


class Ask(Callback):
    """Sends the process a signal in the midst of a step."""

    def __init__(self, step: int, number: int = signal.SIGUSR1) -> None:
        self.step, self.number = step, number

    def on_train_batch_start(self, trainer: pl.Trainer, *args: Any) -> None:
        if trainer.global_step == self.step:
            signal.raise_signal(self.number)


def train(
    folder: Path,
    split: Split,
    *,
    epochs: int = 4,
    stop: int | None = None,
    ask: int | None = None,
    every: int = 0,
    resume: bool = False,
    ema: bool = False,
    sampler: MakeSampler = IdentitySampler,
    workers: int = 0,
    **how: Any,
) -> ReIDModule:
    """Three steps an epoch with everything that has a random stream or a memory."""
    torch.manual_seed(int.from_bytes(np.random.bytes(4), "big"))  # what the process did before does not count
    validation = Split("held out", split.root, (), split.query, split.gallery)
    data = ReIDData(
        split,
        validation=validation,
        image_size=tiny.SIZE,
        sampler=sampler,
        identities=3,
        images=2,
        workers=workers,
        seed=3,
    )
    assert data.steps_per_epoch() == 3
    net = module(
        embedder=tiny.embedder(7, dropout=0.3, pooling="gem"),
        optimizer=lambda parameters: torch.optim.Adam(parameters, lr=0.01),
        augment=Augment(padding=60, zoom=None),
        score=lambda features: {"mAP": float(np.abs(features[0] - features[-1]).max())},
        seed=3,
        **how,
    )
    callbacks: list[Callback] = [
        TrainLog(folder / "train_log.csv", ["id", "triplet"], ["mAP"]),
        Checkpoints(folder / "c", every_n_epochs=1, every_n_steps=every, monitor="val_mAP"),
    ]
    if ema:
        callbacks.insert(0, MovingAverage(decay=0.9))
    if stop is not None:
        callbacks.append(Stop(stop))
    if ask is not None:
        callbacks.append(Ask(ask))
    with stopping.listening():
        last = folder / "c" / "last.ckpt" if resume else None
        fit(folder, net, data, epochs=epochs, callbacks=callbacks, resume=last)
    return net


def losses(folder: Path) -> list[dict[str, str]]:
    return [
        {k: v for k, v in r.items() if k not in ("seconds", "images_per_s")} for r in read_log(folder / "train_log.csv")
    ]


def same_files(a: Path, b: Path) -> bool:
    """The same checkpoints with the same weights and optimiser."""
    names = sorted(f.name for f in (a / "c").iterdir())
    if names != sorted(f.name for f in (b / "c").iterdir()):
        return False
    for name in names:
        one, two = (torch.load(folder / "c" / name, weights_only=True) for folder in (a, b))
        moments = [content["optimizer_states"][0]["state"] for content in (one, two)]
        pairs = [(one["state_dict"], two["state_dict"]), *((moments[0][i], moments[1][i]) for i in moments[0])]
        if one["epoch"] != two["epoch"] or any(not torch.equal(x[k], y[k]) for x, y in pairs for k in x):
            return False
    return True


def check_resumed(
    tmp_path: Path, split: Split, *, stop: int | None = None, ask: int | None = None, every: int = 0, **how: Any
) -> None:
    """``stop`` is the step before which the run breaks, ``ask`` the one in which it is asked to save and stop."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    how["schedule"] = lambda done: cosine(done, warmup=0.2)
    expected = train(whole, split, **how)
    with pytest.raises(ZeroDivisionError if ask is None else stopping.Stopped):
        train(broken, split, stop=stop, ask=ask, every=every, **how)
    saved_at = torch.load(broken / "c" / "last.ckpt", weights_only=True)["global_step"]
    if ask is not None:
        assert saved_at == ask + 1
    elif every:
        assert stop is not None
        assert saved_at == max(stop // every * every, stop // 3 * 3)
    resumed = train(broken, split, resume=True, every=every, **how)
    for (name, a), b in zip(expected.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    assert len(losses(whole)) == 4
    assert losses(broken) == losses(whole)
    assert same_files(whole, broken)


@pytest.mark.parametrize(("stop", "ema"), [(1, False), (3, False), (6, False), (8, False), (11, False), (8, True)])
def test_run_that_breaks_ends_as_the_unbroken_one(tmp_path: Path, split: Split, stop: int, ema: bool) -> None:
    check_resumed(tmp_path, split, stop=stop, ema=ema)


@pytest.mark.parametrize(("ask", "ema"), [(0, False), (1, True), (2, False), (3, False), (7, True), (10, False)])
def test_run_asked_to_stop_in_an_epoch_ends_as_the_unbroken_one(
    tmp_path: Path, split: Split, ask: int, ema: bool
) -> None:
    check_resumed(tmp_path, split, ask=ask, ema=ema)


@pytest.mark.parametrize(("every", "stop"), [(1, 5), (2, 5), (2, 9), (4, 11)])
def test_run_that_breaks_goes_on_from_a_checkpoint_inside_an_epoch(
    tmp_path: Path, split: Split, every: int, stop: int
) -> None:
    check_resumed(tmp_path, split, stop=stop, every=every)


@pytest.mark.parametrize(("sampler", "workers"), [(HARD, 0), (HARD, 2), (IdentitySampler, 2)])
def test_it_draws_the_rest_of_the_epoch_it_was_asked_to_stop_in(
    tmp_path: Path, split: Split, sampler: MakeSampler, workers: int
) -> None:
    check_resumed(tmp_path, split, ask=4, sampler=sampler, workers=workers)


@pytest.mark.parametrize("number", signals.STOPPING)
def test_signals_ask_to_stop_and_the_exit_code_names_them(tmp_path: Path, split: Split, number: int) -> None:
    before = [signal.getsignal(n) for n in signals.STOPPING]
    data = ReIDData(split, image_size=tiny.SIZE, identities=3, images=2)
    net = module(embedder=tiny.embedder(7))
    with pytest.raises(stopping.Stopped) as caught, stopping.listening():
        fit(tmp_path, net, data, epochs=2, callbacks=[Checkpoints(tmp_path), Ask(1, number)])
    assert caught.value.code == 128 + number
    assert [signal.getsignal(n) for n in signals.STOPPING] == before
    fit(tmp_path, module(embedder=tiny.embedder(7)), data, resume=tmp_path / "last.ckpt")  # the request is forgotten


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2])
def test_a_queue_is_heard_where_its_signal_was_ignored(tmp_path: Path, split: Split, number: int) -> None:
    """As in a script that begins with ``trap '' TERM USR1 USR2``."""
    data = ReIDData(split, image_size=tiny.SIZE, identities=3, images=2)
    callbacks = [Checkpoints(tmp_path), Ask(1, number)]
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with pytest.raises(stopping.Stopped), stopping.listening():
            fit(tmp_path, module(embedder=tiny.embedder(7)), data, callbacks=callbacks)
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == 2


@pytest.mark.parametrize("stop", [1, 8])
@pytest.mark.parametrize(("sampler", "workers"), [(HARD, 0), (HARD, 2), (IdentitySampler, 2)])
def test_it_draws_the_batches_of_the_unbroken_one(
    tmp_path: Path, split: Split, stop: int, sampler: MakeSampler, workers: int
) -> None:
    check_resumed(tmp_path, split, stop=stop, sampler=sampler, workers=workers)


def test_run_of_two_epochs_made_four_ends_as_one_of_four(tmp_path: Path, split: Split) -> None:
    whole, longer = tmp_path / "whole", tmp_path / "longer"
    whole.mkdir()
    longer.mkdir()
    expected = train(whole, split, schedule=constant)
    train(longer, split, schedule=constant, epochs=2)
    resumed = train(longer, split, schedule=constant, epochs=4, resume=True)
    for (name, a), b in zip(expected.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    assert losses(longer) == losses(whole)
    assert same_files(whole, longer)


def test_each_epoch_of_a_fit_draws_its_own_batches(tmp_path: Path, split: Split) -> None:
    drawn: dict[int, list[list[int]]] = {}

    class Watch(Callback):
        def on_train_batch_start(self, trainer: pl.Trainer, net: Any, batch: Any, batch_idx: int) -> None:
            drawn.setdefault(trainer.current_epoch, []).append(batch[0].flatten(1).sum(1).tolist())

    data = ReIDData(split, image_size=tiny.SIZE, identities=3, images=2, seed=3)
    fit(tmp_path, module(embedder=tiny.embedder(7)), data, epochs=3, callbacks=[Watch()])
    assert len(drawn) == 3
    assert all(drawn[a] != drawn[b] for a in range(3) for b in range(a))


def test_constants_are_not_averaged(tmp_path: Path, split: Split) -> None:
    """0.9 c + 0.1 c is not c in float32 for every c."""
    data = ReIDData(split, image_size=tiny.SIZE, identities=3, images=2)
    net, average = module(embedder=tiny.embedder(7)), MovingAverage(decay=0.9)
    constant = torch.rand(100)
    net.register_buffer("constant", constant.clone(), persistent=False)
    fit(tmp_path, net, data, epochs=2, callbacks=[average])
    assert not torch.equal(0.9 * constant + (1 - 0.9) * constant, constant)
    assert average._average_model is not None
    assert torch.equal(average._average_model.module.get_buffer("constant"), constant)
