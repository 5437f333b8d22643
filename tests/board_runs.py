"""Run folders as a training leaves them, written by hand with numbers of choice."""

import copy
import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from reid.report.leaderboard import Board, Table

CONFIG: dict[str, Any] = {
    "seed": 0,
    "resume": None,
    "image": {"size": [256, 128], "cache": "disk", "cache_dir": ".cache"},
    "dataset": {"_target_": "reid.data.toy.read", "name": "toy", "root": "data/toy", "val_fraction": 0},
    "data": {"identities": 16, "images": 4, "workers": 0},
    "backbone": {"_target_": "reid.models.backbones.torchvision_nets.build", "name": "resnet18", "last_stride": 1},
    "eval": {"protocol": "market1501", "distance": "cosine", "batch_size": 128, "pool": "none", "targets": None},
    "run": {"root": "runs", "name": None},
    "optimizer": {"_target_": "torch.optim.Adam", "lr": 3.5e-4, "betas": [0.9, 0.99]},
    "trainer": {"_target_": "reid.training.settings.TrainerSettings", "max_epochs": 3, "accelerator": "auto"},
    "logger": {},
}
PIDS = np.repeat(np.arange(8), 3)
AP = np.clip(0.5 + 0.2 * np.random.default_rng(3).normal(size=24), 0.01, 1).round(6)  # of the queries of a run


def config(**changes: Any) -> dict[str, Any]:
    """``CONFIG`` with the dotted keys of ``changes``; dots are written as two underscores."""
    made = copy.deepcopy(CONFIG)
    for key, value in changes.items():
        *path, last = key.split("__")
        node = made
        for part in path:
            node = node.setdefault(part, {})
        if value is ...:
            del node[last]
        else:
            node[last] = value
    return made


def write(
    run: Path,
    ap: Sequence[float] | np.ndarray,
    *,
    changes: Mapping[str, Any] | None = None,
    numbers: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None,
    epochs: int = 3,
    val: bool = False,
) -> Path:
    """A finished run whose queries have the average precisions ``ap``; rank-1 is right where that is over one half."""
    run.mkdir(parents=True)
    (run / "config.yaml").write_text(yaml.safe_dump(config(**(changes or {})), sort_keys=False))
    ap = np.asarray(ap, dtype=float)
    rows = [(f"{i}.jpg", PIDS[i], 1, f"{a:.6f}", 1 if a > 0.5 else 2, 9) for i, a in enumerate(ap)]
    with (run / "per_query.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("query", "pid", "camid", "AP", "first_match", "last_match"), *rows])
    told = {"mAP": ap.mean(), "rank-1": (ap > 0.5).mean(), "mINP": ap.mean() / 2, "mAP_interval": [0.25, 0.75]}
    told |= {"protocol": "market1501, cosine", "dataset": "toy", "split": "test", "queries": len(ap)}
    (run / "metrics.json").write_text(json.dumps({**told, "parameters": 11_200_000, **(numbers or {})}))
    sizes = {part: {"images": 90, "identities": 30, "cameras": 2} for part in ("train", "query", "gallery")}
    (run / "data.json").write_text(json.dumps({"name": "toy", **sizes, "fingerprint": "ab" * 32, **(data or {})}))
    log(run, epochs, val)
    return run


def log(run: Path, epochs: int, val: bool = False) -> None:
    """train_log.csv: losses 3, 2, 1.5, ...; 100 images/s in an epoch of 36 s, then 200 images/s in epochs of 18 s."""
    lines = ["epoch,step,lr,loss,images_per_s,seconds,val_mAP"]
    for e in range(1, epochs + 1):
        rate, seconds = (100, 36) if e == 1 else (200, 18)
        lines.append(f"{e},{10 * e},1e-3,{1 + 2 / e:.5f},{rate:.1f},{seconds:.2f},{0.1 * e if val else ''}")
    (run / "train_log.csv").write_text("\n".join(lines) + "\n")


def only(board: Board) -> Table:
    """Its one table."""
    (table,) = board.tables
    return table
