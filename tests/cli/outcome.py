"""What a run left in its folder, and what two runs have in common."""

import csv
import json
import re
from pathlib import Path

import torch
from cli.entry import Outcome
from torch import Tensor

STOPPING = "augment._target_=cli.stopping.Stopping"


def saved(run: Path, name: str = "last.ckpt") -> dict:
    return torch.load(run / "checkpoints" / name, map_location="cpu", weights_only=True)


def log(run: Path) -> list[dict[str, str]]:
    """train_log.csv without its measurements of time."""
    with (run / "train_log.csv").open(newline="") as file:
        return [{k: v for k, v in r.items() if k not in ("seconds", "images_per_s")} for r in csv.DictReader(file)]


def numbers(run: Path) -> dict:
    return json.loads((run / "metrics.json").read_text())


def same_bits(a: object, b: object) -> bool:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same_bits(a[k], b[k]) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same_bits(x, y) for x, y in zip(a, b, strict=True))
    return a == b


def assert_same_training(run: Path, unbroken: Path) -> None:
    a, b = saved(run), saved(unbroken)
    assert a["global_step"] == b["global_step"]
    for part in ("state_dict", "optimizer_states", "lr_schedulers"):
        assert same_bits(a[part], b[part]), part
    assert log(run) == log(unbroken)
    assert numbers(run) == numbers(unbroken)


def assert_quiet(outcome: Outcome, epochs: int) -> None:
    """stderr has a line for each epoch trained and nothing else; stdout no word of a library."""
    told = re.compile(rf"epoch \d/{epochs} loss \d.* images/s, \d+ s left")
    assert [line for line in outcome.err.splitlines() if not told.fullmatch(line)] == []
    assert not re.search(r"warning|lightning|GPU|TPU|deprecated", outcome.out, re.IGNORECASE)
