"""How long the leaderboard takes over 1,000 run folders of 3,368 queries each, which this script writes itself.

python benchmarks/leaderboard_speed.py [FOLDER] [RUNS]

The runs are 250 settings of four seeds; their numbers are drawn. The per-query files are 150 MB in all, of which those
of the first 20 rows are read, for the paired tests. A folder that is given is kept.
"""

import json
import subprocess
import sys
import tempfile
import time
from itertools import islice, product
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

sys.path.insert(0, str(Path(__file__).parents[1]))

from reid.door.command import CONFIGS
from reid.runs.leaderboard import leaderboard
from reid.runs.per_query import COLUMNS

QUERIES, IDENTITIES, EPOCHS = 3368, 750, 60  # Market-1501's, and the usual recipe's
BACKBONES = {
    "resnet18": 11.6, "resnet34": 21.7, "resnet50": 25.6, "resnet101": 44.6, "densenet121": 8.0, "inception_v3": 23.9,
    "vgg16": 15.1, "googlenet": 6.4, "mobilenet_v2": 3.6, "osnet_x1_0": 2.2,
}  # fmt: skip
RATES, MARGINS, SEEDS = (1e-4, 2e-4, 3.5e-4, 7e-4, 1.4e-3), (0.1, 0.2, 0.3, 0.5, 1.0), (0, 1, 2, 3)


def write_runs(folder: Path, count: int = 1000, queries: int = QUERIES, val: bool = False) -> list[Path]:
    """``count`` run folders of drawn numbers, on the same queries; ``val`` holds identities out."""
    rng = np.random.default_rng(0)
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config: Any = OmegaConf.to_container(compose("train", ["dataset=market1501", "dataset.root=x"]), resolve=True)
    config["dataset"]["val_fraction"] = 0.1 if val else 0
    identities = min(IDENTITIES, queries)
    pids = np.sort(np.concatenate([np.arange(identities), rng.integers(identities, size=queries - identities)]))
    names = [f"{pid:04d}_c{i % 6 + 1}s1_{i:06d}_00.jpg,{pid},{i % 6 + 1}" for i, pid in enumerate(pids)]
    hard, written = rng.normal(size=identities)[pids] * 0.12, []
    settings = list(product(BACKBONES, RATES, MARGINS))
    settings = [settings[k] for k in rng.permutation(len(settings))]  # so that a few runs have something of each
    for i, ((backbone, rate, margin), seed) in enumerate(islice(product(settings, SEEDS), count)):
        skill = 0.86 - 0.1 * abs(np.log10(rate / 3.5e-4)) - 0.02 * abs(np.log(margin / 0.3))
        skill += 0.0015 * BACKBONES[backbone]
        run = folder / f"2026-01-{i // 100 + 1:02d}" / f"{i % 100:02d}-00-00_market1501_{backbone}"
        run.mkdir(parents=True)
        config["backbone"]["name"], config["optimizer"]["lr"], config["seed"] = backbone, float(rate), seed
        config["objective"]["terms"]["triplet"]["loss"]["margin"] = float(margin)
        (run / "config.yaml").write_text(yaml.dump(config, Dumper=yaml.CSafeDumper, sort_keys=False))
        ap = np.clip(skill - 0.15 + hard + rng.normal(size=queries) * 0.08 + rng.normal() * 0.004, 0.01, 1)
        first = np.where(rng.random(queries) < np.clip(ap + 0.15, 0, 1), 1, 2)
        rows = [f"{name},{a:.6f},{f},20\n" for name, a, f in zip(names, ap, first, strict=True)]
        (run / "per_query.csv").write_text("".join([",".join(COLUMNS) + "\n", *rows]))
        right = (first == 1).astype(float)
        numbers = {"mAP": ap.mean(), "rank-1": right.mean(), "mINP": 0.6 * ap.mean()}
        ends = {"mAP_interval": _interval(ap), "rank-1_interval": _interval(right)}
        facts = {
            "protocol": "market1501, cosine", "queries": queries, "queries_without_match": 0, "dataset": "market1501",
            "parameters": int(BACKBONES[backbone] * 1e6), "split": "test", "model": f"last epoch ({EPOCHS})",
        }  # fmt: skip
        (run / "metrics.json").write_text(json.dumps({**numbers, **ends, **facts}))
        (run / "data.json").write_text(json.dumps(_data(f"{seed if val else 0:064x}")))
        (run / "train_log.csv").write_text(_log(rng, skill, BACKBONES[backbone], val))
        written.append(run)
    return written


def _interval(values: np.ndarray) -> list[float]:
    """About as wide as the bootstrap's, without its time."""
    half = 1.96 * 1.6 * values.std() / len(values) ** 0.5
    return [values.mean() - half, values.mean() + half]


def _data(fingerprint: str) -> dict[str, Any]:
    sizes = {"train": (12936, 751, 6), "query": (3368, 750, 6), "gallery": (19732, 752, 6)}
    parts = {name: dict(zip(("images", "identities", "cameras"), size, strict=True)) for name, size in sizes.items()}
    return {"name": "market1501", "root": "x", **parts, "fingerprint": fingerprint}


def _log(rng: np.random.Generator, skill: float, millions: float, val: bool) -> str:
    lines = ["epoch,step,lr,loss,cross_entropy,triplet,images_per_s,seconds,val_mAP,val_rank-1"]
    for e in range(1, EPOCHS + 1):
        loss = 1.2 + 6 * np.exp(-e / 9) + 2 * (0.9 - skill) + rng.normal() * 0.05
        score = f"{skill * (1 - np.exp(-e / 14)) + rng.normal() * 0.004:.5f}" if val else ""
        rate = 2400 / (millions + 4)
        cells = [f"{e},{202 * e},3.500e-04", *(f"{part * loss:.5f}" for part in (1.0, 0.8, 0.2))]
        lines.append(",".join([*cells, f"{rate:.1f},{12928 / rate:.2f},{score},"]))
    return "\n".join(lines) + "\n"


def measure(folder: Path) -> dict[str, float]:
    """Seconds of reading, grouping and testing in this process, and of the whole command with its imports and page."""
    begin = time.perf_counter()
    leaderboard([folder])
    inside = time.perf_counter() - begin
    script = Path(__file__).parents[1] / "scripts" / "leaderboard.py"
    seconds = {"read, group, rank and test": inside}
    commands = {"the command": [], "the command, with its page": [f"output={folder.parent / 'board.html'}"]}
    for name, more in commands.items():
        begin = time.perf_counter()
        subprocess.run([sys.executable, str(script), str(folder), *more], check=True, stdout=subprocess.DEVNULL)
        seconds[name] = time.perf_counter() - begin
    return seconds


def main(arguments: list[str]) -> None:
    count = int(arguments[1]) if len(arguments) > 1 else 1000
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(arguments[0] if arguments else scratch) / "runs"
        if not folder.exists():
            write_runs(folder, count)
        found = sum(1 for _ in folder.rglob("metrics.json"))
        for name, seconds in measure(folder).items():
            print(f"{name:<30} {seconds:6.2f} s for {found:,} runs of {QUERIES:,} queries")


if __name__ == "__main__":
    main(sys.argv[1:])
