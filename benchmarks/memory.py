"""Peak memory of training against the number of training images.

    python benchmarks/memory.py [--images 2000 16000]

Each size trains one epoch of ten steps in a process of its own, through the decoded store. Prints the peak of the
memory that belongs to the process alone (RssAnon of /proc/self/status, Linux) beside the size of the store, which is
mapped and can be dropped by the kernel at any time.
"""

import argparse
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

SIZE, P, K = (128, 64), 16, 4


def anonymous_mib() -> float:
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")) / 1024


def train(count: int) -> None:
    """One epoch on ``count`` images; prints MiB before, at the peak, and of the store."""
    from functools import partial

    import numpy as np
    import torch
    from PIL import Image

    from reid.data.augment import Augment
    from reid.data.datamodule import ReIDData
    from reid.data.records import Record, Split
    from reid.losses.cross_entropy import CrossEntropy
    from reid.losses.objective import Objective
    from reid.models.backbones.torchvision_nets import build
    from reid.models.embedder import Embedder
    from reid.training.module import ReIDModule
    from reid.training.schedules import cosine
    from reid.training.settings import TrainerSettings, build_trainer

    with tempfile.TemporaryDirectory() as name:
        folder, rng, records = Path(name), np.random.default_rng(0), []
        for i in range(count):
            path = folder / f"{i}.jpg"
            Image.fromarray(rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8)).save(path)
            records.append(Record(path, i // (count // (10 * P)), i % 6))  # 160 identities, whatever the count
        before, peak, done = anonymous_mib(), [0.0], threading.Event()

        def watch() -> None:
            while not done.wait(0.005):
                peak[0] = max(peak[0], anonymous_mib())

        threading.Thread(target=watch, daemon=True).start()
        split = Split("random", folder, tuple(records), (), ())
        data = ReIDData(split, image_size=SIZE, cache=folder / "cache", identities=P, images=K)
        embedder = Embedder(build("mobilenet_v2", pretrained=False), image_size=SIZE, num_classes=data.num_classes)
        objective = Objective({"id": {"loss": CrossEntropy(), "input": "logits", "weight": 1}})
        optimizer = partial(torch.optim.Adam, lr=3.5e-4)
        module = ReIDModule(embedder, objective, optimizer=optimizer, schedule=cosine, augment=Augment())
        settings = TrainerSettings(max_epochs=1, accelerator="cpu")
        trainer = build_trainer(settings, root=name, bf16=False, callbacks=[], plugins=[], logger=False)
        trainer.fit(module, datamodule=data)
        done.set()
        store = sum(f.stat().st_size for f in (folder / "cache").rglob("*.npy")) / 2**20
        print(f"{count:8d} {before:12.0f} {peak[0]:12.0f} {store:12.0f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[2000, 16000])
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.one:
        return train(a.one)
    print(f"{'images':>8s} {'before, MiB':>12s} {'peak, MiB':>12s} {'store, MiB':>12s}", flush=True)
    for count in a.images:
        subprocess.run([sys.executable, __file__, "--one", str(count)], check=True)


if __name__ == "__main__":
    main()
