"""A whole fit on several processes, beside one on one."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from tiny_processes import PEOPLE, make, noise, on_processes
from tiny_training import fit

from reid import processes
from reid.data.records import Split
from reid.models.checkpoint import load_trained
from reid.training.checkpoints import Checkpoints
from reid.training.progress import TrainLog, read_log

SPEC = {
    "backbone": {"builder": "tiny.backbone", "arguments": {"channels": 6}},
    "head": {},
    "image_size": list(tiny.SIZE),
    "num_classes": PEOPLE,
}


def trained(folder: Path, split: Split, epochs: int = 2, **settings: Any) -> dict[str, Any]:
    """Train, or go on; the validation that was scored here, and what this process knows of its outcome."""
    os.environ["LOCAL_RANK"] = str(processes.rank())
    scored: list[np.ndarray] = []

    def score(features: np.ndarray) -> dict[str, float]:
        scored.append(features)
        return {"mAP": float(np.abs(features[0] - features[-1]).max())}

    net, data = make(split, score=score, spec=SPEC)
    data.validation, data.eval_batch = replace(split, train=(), query=split.query, gallery=split.gallery[:6]), 4
    log = TrainLog(folder / "train_log.csv", ["id", "triplet"], ["mAP"])
    last = folder / "last.ckpt"
    trainer = fit(
        folder,
        net,
        data,
        epochs=epochs,
        callbacks=[log, Checkpoints(folder, monitor="val_mAP")],
        devices=processes.count(),
        resume=last if last.exists() else None,
        **settings,
    )
    return {"scored": scored, "told": float(trainer.callback_metrics["val_mAP"]), "images": log.images_trained}


@pytest.fixture
def split(tmp_path: Path) -> Split:
    (tmp_path / "images").mkdir()
    return noise(tmp_path / "images")


def test_log_validation_and_checkpoint_are_those_of_one_process(split: Split, tmp_path: Path) -> None:
    """Nine validation images by four: three batches, of which two processes have two and one."""
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    expected = trained(one, split)
    first, second = on_processes(trained, 2, two, split, 2)
    assert [len(found["scored"]) for found in (expected, first, second)] == [2, 2, 0]
    assert expected["scored"][0].shape == (9, 6)
    assert first["told"] == second["told"]
    assert first["images"] == expected["images"] == 2 * PEOPLE * 2
    assert [row["epoch"] for row in read_log(two / "train_log.csv")] == ["1", "2"]
    # BatchNorm is each process's own here, so the losses are near, not equal.
    assert sorted(file.name for file in two.iterdir()) == sorted(file.name for file in one.iterdir())


def close(one: Path, two: Path) -> None:
    nets = [load_trained(folder / "last.ckpt", trust=True).embedder.state_dict() for folder in (one, two)]
    for name in nets[0]:
        torch.testing.assert_close(nets[0][name], nets[1][name], rtol=1e-3, atol=1e-4, msg=name)
    losses = [[float(row["loss"]) for row in read_log(folder / "train_log.csv")] for folder in (one, two)]
    assert losses[0] == pytest.approx(losses[1], abs=2e-5)


def on_two(folder: Path, split: Split, epochs: int, strategy: str, accumulate: int) -> None:
    trained(folder, split, epochs, strategy=strategy, sync_batchnorm=True, accumulate=accumulate)


@pytest.mark.parametrize(("strategy", "accumulate"), [("ddp", 2), ("fsdp", 1)])
def test_a_run_of_two_processes_goes_on_and_ends_as_one_of_one(
    split: Split, tmp_path: Path, strategy: str, accumulate: int
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
    for epochs in (1, 2):
        trained(one, split, epochs, accumulate=accumulate)
        on_processes(on_two, 2, two, split, epochs, strategy, accumulate)
    close(one, two)
