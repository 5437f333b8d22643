"""What writing a checkpoint costs beside an epoch.

    python benchmarks/checkpoint_cost.py [--backbone resnet50] [--size 256 128] [--steps 47] [--saves 5]

Times steps of 64 images through ReIDModule and Lightning's Trainer, on a GPU if there is one, and then the writing of
the last checkpoint with Adam's moments as a training does it: to a temporary name, flushed to the disk, renamed, the
one before kept. An epoch of Market-1501 has 47 steps of 16 x 4 images. Images are noise.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import pytorch_lightning as pl
import torch
from fitting import objective
from torch.utils.data import DataLoader

from reid.models.backbones.torchvision_nets import build
from reid.models.embedder import Embedder
from reid.training.allocator import keep_freed_memory
from reid.training.checkpoints import LAST, AtomicCheckpoints, Checkpoints
from reid.training.module import ReIDModule
from reid.training.schedules import constant
from reid.training.settings import TrainerSettings, build_trainer, use_bf16

WARM_UP = 1


class Times(Checkpoints):
    """The moments at which steps ended, and the seconds that saving took."""

    def __init__(self, folder: Path, saves: int) -> None:
        super().__init__(folder)
        self.saves, self.ends, self.seconds = saves, [], []

    def on_train_batch_end(self, trainer: pl.Trainer, *rest: object) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.ends.append(time.perf_counter())

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        for _ in range(self.saves):
            began = time.perf_counter()
            self._save(trainer)
            self.seconds.append(time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--size", type=int, nargs=2, default=(256, 128))
    parser.add_argument("--steps", type=int, default=47, help="of an epoch; at most 3 of them are run")
    parser.add_argument("--saves", type=int, default=5)
    asked = parser.parse_args()
    keep_freed_memory()
    embedder = Embedder(build(asked.backbone, pretrained=False), image_size=tuple(asked.size), num_classes=751)
    module = ReIDModule(embedder, objective(), optimizer=torch.optim.Adam, schedule=constant)
    images = torch.randint(256, (64, 3, *asked.size), dtype=torch.uint8)
    batch = (images, torch.arange(16).repeat_interleave(4), torch.ones(64, dtype=torch.int64))
    settings = TrainerSettings(max_epochs=1)
    bf16, _ = use_bf16("auto", settings.device, embedder.backbone)
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        times = Times(Path(folder), asked.saves)
        trainer = build_trainer(
            settings, root=folder, bf16=bf16, callbacks=[times], plugins=[AtomicCheckpoints()], logger=False
        )
        trainer.fit(module, DataLoader([batch] * (WARM_UP + min(asked.steps, 3)), batch_size=None))
        size = (Path(folder) / LAST).stat().st_size
    steps = [b - a for a, b in zip(times.ends[WARM_UP - 1 :], times.ends[WARM_UP:], strict=False)]
    step, save = statistics.median(steps), statistics.median(times.seconds)
    print(f"{asked.backbone} on {settings.device}, {'bf16' if bf16 else '32'}: {step:.3f} s a step of 64 images")
    spread = f"{min(times.seconds):.2f} to {max(times.seconds):.2f}"
    print(f"checkpoint of {size / 1e6:.0f} MB: {save:.2f} s ({spread})")
    print(f"share of an epoch of {asked.steps} steps: {save / (step * asked.steps + save):.1%}")


if __name__ == "__main__":
    main()
