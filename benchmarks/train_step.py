"""The framework's training against a bare PyTorch loop of the same net, batch, precision and memory format.

    python benchmarks/train_step.py [--backbone mobilenet_v2] [--size 128 64] [--steps 30] [--rounds 3]

Rounds of three things in turn, so that a machine whose speed drifts is fair to all, on random images:
  bare   forward, cross-entropy and triplet loss, backward, Adam; one batch already in memory
  step   the same through ReIDModule and Lightning's Trainer, the log and the progress line included
  whole  the same with the decoded store, sampler, augmentation, TensorBoard and checkpoints: a run as users start it
Prints images/s of each and the median ratios to bare, from the first step to the last of a round.
"""

import argparse
import contextlib
import io
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from fitting import Clock, objective
from PIL import Image
from pytorch_lightning.loggers import TensorBoardLogger
from torch.utils.data import DataLoader

from reid.data.augment import Augment
from reid.data.datamodule import ReIDData
from reid.data.records import Record, Split
from reid.models.backbones.torchvision_nets import build
from reid.models.embedder import Embedder
from reid.training.allocator import keep_freed_memory
from reid.training.checkpoints import AtomicCheckpoints, Checkpoints
from reid.training.module import ReIDModule
from reid.training.progress import Progress, TrainLog
from reid.training.schedules import cosine
from reid.training.settings import TrainerSettings, build_trainer, use_bf16

P, K = 16, 4


def bare(embedder: Embedder, images: torch.Tensor, labels: torch.Tensor, bf16: bool, steps: int) -> float:
    """Seconds of ``steps`` plain steps."""
    embedder.train()
    optimizer = torch.optim.Adam([p for p in embedder.parameters() if p.requires_grad], 3.5e-4, fused=True)
    begin = time.perf_counter()
    for _ in range(steps):
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            feature, logits, _ = embedder.classify(images)
        feature, logits = feature.float(), logits.float()
        distance = torch.cdist(feature, feature)
        same = labels[:, None] == labels
        hardest = distance.masked_fill(~same, -1).amax(1) - distance.masked_fill(same, 1e9).amin(1)
        loss = F.cross_entropy(logits, labels, label_smoothing=0.1) + F.relu(0.3 + hardest).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return time.perf_counter() - begin


def framework(
    embedder: Embedder, bf16: bool, folder: Path, loader: DataLoader | None, data: ReIDData | None, epochs: int
) -> float:
    """Seconds from the first step to the last of a fit on ``loader``, or of a whole run on ``data``."""
    usual = objective()
    module = ReIDModule(
        embedder.train(),
        usual,
        optimizer=partial(torch.optim.Adam, lr=3.5e-4, fused=True),
        schedule=cosine,
        augment=Augment() if data else None,
    )
    clock, log = Clock(), TrainLog(folder / "train_log.csv", list(usual.losses), [])
    trainer = build_trainer(
        TrainerSettings(max_epochs=epochs, accelerator="cpu"),
        root=str(folder),
        bf16=bf16,
        callbacks=[clock, log, Progress(log.losses), *([Checkpoints(folder / "checkpoints")] if data else [])],
        plugins=[AtomicCheckpoints()],
        logger=TensorBoardLogger(folder) if data else False,
    )
    with contextlib.redirect_stderr(io.StringIO()):
        trainer.fit(module, datamodule=data) if data else trainer.fit(module, loader)
    return clock.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="mobilenet_v2")
    parser.add_argument("--size", type=int, nargs=2, default=(128, 64))
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--plain-memory", action="store_true", help="leave the C library's allocator as it is")
    a = parser.parse_args()
    torch.manual_seed(0)
    if not a.plain_memory:
        keep_freed_memory()  # as train.py does; all three gain
    size = (a.size[0], a.size[1])
    identities = P * a.steps
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rng = np.random.default_rng(0)
        records = []
        for pid in range(identities):
            for i in range(K):
                path = folder / f"{pid}_{i}.jpg"
                Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(path)
                records.append(Record(path, pid, i))
        data = ReIDData(
            Split("random", folder, tuple(records), (), ()),
            image_size=size,
            cache=folder / "cache",
            identities=P,
            images=K,
        )
        embedder = Embedder(build(a.backbone, pretrained=False), image_size=size, num_classes=identities)
        embedder = embedder.to(memory_format=torch.channels_last)
        bf16, why = use_bf16("auto", torch.device("cpu"), embedder.backbone)
        images, labels = data.train_images.load(np.arange(P * K)), torch.arange(P).repeat_interleave(K)
        loader = DataLoader([(images, labels, torch.zeros_like(labels))] * a.steps, batch_size=None)
        epochs = 2
        rates: dict[str, list[float]] = {"bare": [], "step": [], "whole": []}
        bare(embedder, images, labels, bf16, 3)
        for _ in range(a.rounds):
            rates["bare"].append(P * K * a.steps / bare(embedder, images, labels, bf16, a.steps))
            rates["step"].append(P * K * a.steps / framework(embedder, bf16, folder, loader, None, 1))
            rates["whole"].append(P * K * a.steps * epochs / framework(embedder, bf16, folder, None, data, epochs))
    print(
        f"{a.backbone} {size[0]}x{size[1]}, batch {P * K}, "
        f"{'bf16' if bf16 else '32'} ({why}), torch {torch.__version__}, {torch.get_num_threads()} threads"
    )
    for key, values in rates.items():
        ratio = statistics.median(v / b for v, b in zip(values, rates["bare"], strict=True))
        print(f"{key:6s} {' '.join(f'{v:7.1f}' for v in values)} images/s   ratio to bare {ratio:.3f}")


if __name__ == "__main__":
    main()
