"""The way from picture files to the network: feeding alone, training with and without it, a listing of a million.

    python benchmarks/data.py [--root FOLDER] [--torchreid CHECKOUT] [--fastreid CHECKOUT] [--only PART ...]

feeding   images/s that arrive normalised, float32, at 256x128, in the process that trains: batches of 16 identities
          with 4 images, flip, pad by 10 and crop, erasing; nothing is done with them. A pass is as many images as the
          training part has. The first pass counts the listing of the folder and the start of what makes the batches,
          for us the building of the store in an empty folder; later passes go on from there. Sides in turn, as often as
          --rounds says. Ours works in the training process, the others with --workers processes. "ours, bytes" is
          what the network takes, uint8: it normalises them itself.
training  images/s of a network's training in Lightning, once on one batch held in memory and once fed and augmented as
          above (the store is built before), rounds in turn; the ratio is what feeding leaves of the step's speed.
listing   a table of --records pictures (empty files, in memory) of 20,000 people: time to read it, to make the identity
          sampler, to draw an epoch; bytes of memory a record takes with its path, over a tenth of it.

Without --root, pictures are drawn as the toy set's and saved again at Market-1501's size, 128x64 (JPEG, quality 92).
All files have just been written or read, so no side waits for a disk. torchreid and fast-reid run from checkouts of
https://github.com/KaiyangZhou/deep-person-reid and https://github.com/JDAI-CV/fast-reid; loaders.py says how.
"""

import argparse
import contextlib
import csv
import gc
import io
import os
import platform
import statistics
import subprocess
import tempfile
import time
import tracemalloc
from functools import partial
from pathlib import Path

import numpy as np
import PIL
import torch
import torchvision
from fitting import Clock, objective
from loaders import SIZE, Batches, K, Loader, P, fastreid, ours, ours_bytes, pictures_of, plain, recipe, torchreid
from PIL import Image
from torch.utils.data import DataLoader

from reid.data import toy
from reid.data.datamodule import ReIDData
from reid.data.readers import market1501, table
from reid.data.records import Split, first_identities, labels
from reid.data.samplers.identity import IdentitySampler
from reid.data.samplers.shared import Batching
from reid.models.backbones.torchvision_nets import build
from reid.models.embedder import Embedder
from reid.training.allocator import keep_freed_memory
from reid.training.module import ReIDModule
from reid.training.schedules import cosine
from reid.training.settings import TrainerSettings, build_trainer, use_bf16

OURS = ("ours", "ours, bytes")
PARTS = ("feeding", "training", "listing")
SECONDS = 1.0  # later passes last at least so long
PEOPLE = 20_000
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # a million files are made there in seconds


def pictures(folder: Path, identities: int) -> Path:
    """The toy set's training pictures at 128x64, few others."""
    drawn, root = folder / "drawn", folder / "pictures"
    toy.render(drawn, train_identities=identities, test_identities=2)
    for file in drawn.glob("*/*.jpg"):
        target = root / file.relative_to(drawn)
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.open(file).resize((64, 128), Image.Resampling.BICUBIC).save(target, quality=92)
    return root


def feeding(root: Path, sides: dict[str, Loader], rounds: int) -> None:
    files = sorted((root / "bounding_box_train").glob("*.jpg"))
    size = sum(f.stat().st_size for f in files) / len(files) / 1000
    print(
        f"feeding: {len(files)} pictures, the first {Image.open(files[0]).size[::-1]} pixels, {size:.1f} kB on average"
    )
    first: dict[str, list[float]] = {side: [] for side in sides}
    later: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(rounds):
        for side, start in sides.items():
            with tempfile.TemporaryDirectory() as name:
                begin = time.perf_counter()
                batches = start(root, Path(name))
                first[side].append(rate(batches, len(files), begin))
                check(next(batches))
                later[side].append(rate(batches, len(files), time.perf_counter(), SECONDS))
                batches.close()  # type: ignore[attr-defined]
                del batches
                gc.collect()  # ends the workers
    for name, rates, bar in (("first pass", first, 1.5), ("later passes", later, 8)):
        print(f"  {name}, images/s; ours and its bytes over the side (bar over plain: {bar:g})")
        for side, values in rates.items():
            ratios = [statistics.median(o / v for o, v in zip(rates[n], values, strict=True)) for n in OURS]
            told = "" if side in OURS else "   " + " ".join(f"{r:6.2f}" for r in ratios)
            print(f"    {side:11s} {statistics.median(values):8.0f}   [{min(values):.0f} to {max(values):.0f}]{told}")


def rate(batches: Batches, count: int, begin: float, seconds: float = 0.0) -> float:
    """Images/s from ``begin`` until ``count`` images have come and ``seconds`` are over."""
    seen = 0
    while seen < count or time.perf_counter() - begin < seconds:
        seen += len(next(batches)[0])
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return seen / (time.perf_counter() - begin)


def check(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    """That a side does the work it is measured on."""
    images, targets = batch
    assert tuple(images.shape[1:]) == (3, *SIZE)
    assert all(len(values) % K == 0 for values in (images, targets))
    assert targets.unique(return_counts=True)[1].tolist() == [K] * (len(images) // K)
    assert len(images) >= P * K // 2  # samplers even out the last batches
    if images.dtype != torch.uint8:
        assert images.dtype == torch.float32
        assert 1 < images.abs().max() < 3  # (1 - 0.406) / 0.225 = 2.64


def training(
    root: Path, backbone: str, identities: int, images: int, steps: int, rounds: int, accelerator: str
) -> None:
    split = first_identities(market1501.read(root, name="benchmark"), steps * identities)
    if len(set(labels(split.train))) < steps * identities:
        raise SystemExit(f"{root} has too few training identities for --steps {steps} of {identities}")
    settings = TrainerSettings(max_epochs=1, accelerator=accelerator)
    with tempfile.TemporaryDirectory() as folder:
        data = ReIDData(split, image_size=SIZE, identities=identities, images=images, cache=Path(folder) / "cache")
        embedder = Embedder(build(backbone, pretrained=False), image_size=SIZE, num_classes=data.num_classes)
        embedder = embedder.to(memory_format=torch.channels_last)
        bf16, why = use_bf16("auto", settings.device, embedder.backbone)
        count = identities * images
        targets = torch.arange(identities).repeat_interleave(images)
        held = data.train_images.load(np.arange(count)), targets, torch.zeros_like(targets)
        alone = DataLoader([held] * steps, batch_size=None, pin_memory=settings.device.type == "cuda")
        rates: dict[str, list[float]] = {"alone": [], "fed": []}
        for i in range(rounds + 1):
            for side in ("alone", "fed"):
                module = ReIDModule(
                    embedder.train(),
                    objective(),
                    optimizer=partial(torch.optim.Adam, lr=1e-5, fused=True),
                    schedule=cosine,
                    augment=recipe() if side == "fed" else None,
                )
                clock = Clock()
                options = {"callbacks": [clock], "plugins": [], "logger": False}
                trainer = build_trainer(settings, root=folder, bf16=bf16, **options)
                with contextlib.redirect_stderr(io.StringIO()):
                    trainer.fit(module, datamodule=data) if side == "fed" else trainer.fit(module, alone)
                if i:  # the first round warms up
                    rates[side].append(steps * count / clock.seconds)
    ratio = statistics.median(f / a for a, f in zip(rates["alone"], rates["fed"], strict=True))
    print(f"training: {backbone}, {steps} steps of {count} images, {'bf16' if bf16 else 'float32'} ({why})")
    for side, values in rates.items():
        print(f"    {side:6s} {' '.join(f'{v:8.2f}' for v in values)} images/s")
    print(f"    fed is {ratio:.3f} of alone (wanted: 0.95)")


def listing(count: int) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        few, all_of_it = (make_table(Path(name) / f"{n}", n) for n in (max(count // 10, 2 * PEOPLE // 10), count))
        gc.collect()
        tracemalloc.start()
        split = table.read(few)
        gc.collect()
        size = tracemalloc.get_traced_memory()[0] / len(split.train)
        tracemalloc.stop()
        begin = time.perf_counter()
        split = table.read(all_of_it)
        read = time.perf_counter()
        sampler = IdentitySampler(pictures_of(split.train), Batching(P, K))
        made = time.perf_counter()
        batches = sum(1 for _ in sampler)
        drawn = time.perf_counter()
    print(f"listing: {len(split.train):,} records, {describe(split)}")
    print(f"    {size:.0f} bytes a record (wanted: under 300)")
    print(
        f"    table read in {read - begin:.1f} s, sampler made in {made - read:.2f} s, an epoch of {batches} batches "
        f"drawn in {drawn - made:.2f} s: {drawn - begin:.1f} s in all (wanted: under 10)"
    )


def describe(split: Split) -> str:
    return f"the first {split.train[0].path.relative_to(split.root)}, root {len(str(split.root))} characters long"


def make_table(root: Path, count: int) -> Path:
    """A table of ``count`` training pictures, empty files in a folder for each person, and one query and match."""
    people = max(2, min(PEOPLE, count // 2))
    rows = [("train", i % people, 1 + i // people % 6, i) for i in range(count)]
    rows += [(part, people, camera, count + camera) for part, camera in (("query", 1), ("gallery", 2))]
    for person in range(people + 1):
        (root / f"{person:05d}").mkdir(parents=True)
    with (root / "pictures.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["path", "pid", "camid", "split"])
        for part, person, camera, serial in rows:
            path = f"{person:05d}/{person:05d}_c{camera}s1_{serial:07d}_00.jpg"
            os.close(os.open(root / path, os.O_CREAT))
            out.writerow([path, person, camera, part])
    return root / "pictures.csv"


def revision(checkout: Path) -> str:
    return subprocess.run(
        ["git", "-C", str(checkout), "rev-parse", "--short", "HEAD"], capture_output=True, text=True
    ).stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, help="a folder in the Market-1501 layout, of JPEGs")
    parser.add_argument("--identities", type=int, default=200, help="drawn to train on if there is no --root")
    parser.add_argument("--torchreid", type=Path, metavar="CHECKOUT")
    parser.add_argument("--fastreid", type=Path, metavar="CHECKOUT")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2, help="processes of the other loaders")
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--batch", type=int, nargs=2, default=(4, 4), help="identities and images of each in training")
    parser.add_argument("--steps", type=int, default=3, help="of a round of training")
    parser.add_argument("--accelerator", default="cpu", help="of training: cpu or gpu")
    parser.add_argument("--records", type=int, default=1_000_000)
    a = parser.parse_args()
    keep_freed_memory()  # as train.py does; all sides gain
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, "
        f"Python {platform.python_version()}, torch {torch.__version__}, torchvision {torchvision.__version__}, "
        f"Pillow {PIL.__version__}, numpy {np.__version__}"
        + "".join(f", {n} {revision(getattr(a, n))}" for n in ("torchreid", "fastreid") if getattr(a, n))
    )
    with tempfile.TemporaryDirectory() as name:
        root = a.root or (pictures(Path(name), a.identities) if {"feeding", "training"} & {*a.only} else None)
        if "feeding" in a.only:
            sides: dict[str, Loader] = {"ours": ours, "ours, bytes": ours_bytes, "plain": plain(a.workers)}
            sides |= {"torchreid": torchreid(a.workers, a.torchreid)} if a.torchreid else {}
            sides |= {"fast-reid": fastreid(a.workers, a.fastreid)} if a.fastreid else {}
            feeding(root, sides, a.rounds)
        if "training" in a.only:
            training(root, a.backbone, *a.batch, a.steps, a.rounds, a.accelerator)
    if "listing" in a.only:
        listing(a.records)


if __name__ == "__main__":
    main()
