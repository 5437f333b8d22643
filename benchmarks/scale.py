"""What several processes cost and bring.

    python benchmarks/scale.py [--only processes gathering chunks]

processes  images/s of a training on 1 process with 2 threads, and on 2 processes of one thread each on the same 2 cores
gathering  share of a training step that telling one another embeddings and labels takes, at a batch of 128 and 2048-d
           embeddings (ResNet-50) on 2 processes; and that of the augmentation for the whole batch
chunks     memory and time of a step of 64 and 512 images, and of 512 with trainer.chunk=64; how far its gradient is
           from that of the whole batch, the statistics of BatchNorm kept as they are

Each takes under three minutes on 2 cores; leave the machine idle meanwhile. Images are noise.
"""

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from reid import processes
from reid.data.augment import Augment
from reid.losses.cross_entropy import CrossEntropy
from reid.losses.objective import Objective
from reid.losses.triplet import BatchHardTriplet
from reid.models.backbones.torchvision_nets import build
from reid.models.embedder import Embedder
from reid.processes import Shares, run_on
from reid.training.chunks import classify_in_chunks
from reid.training.module import ReIDModule
from reid.training.schedules import constant
from reid.training.settings import TrainerSettings, build_trainer

SIZE, IDENTITIES = (128, 64), 751


def batch(count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The same noise each time: images uint8 [count, 3, H, W], labels of four each, camids."""
    torch.manual_seed(0)
    images = torch.randint(256, (count, 3, *SIZE), dtype=torch.uint8)
    return images, torch.arange(count // 4).repeat_interleave(4), torch.ones(count, dtype=torch.int64)


def module(backbone: str) -> ReIDModule:
    """Cross-entropy and triplet loss, on-the-fly augmentation, Adam."""
    torch.manual_seed(0)
    embedder = Embedder(build(backbone, pretrained=False), image_size=SIZE, num_classes=IDENTITIES)
    terms = {
        "id": {"loss": CrossEntropy(), "input": "logits", "weight": 1.0},
        "triplet": {"loss": BatchHardTriplet(), "input": "feature", "weight": 1.0},
    }
    return ReIDModule(
        embedder.to(memory_format=torch.channels_last),
        Objective(terms),
        optimizer=lambda parameters: torch.optim.Adam(parameters, lr=1e-4, fused=True),
        schedule=constant,
        augment=Augment(),
    )


class Clock(pl.Callback):
    """Seconds of a step, the first not counted."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_train_batch_end(self, *_: Any) -> None:
        self.ends.append(time.perf_counter())

    def per_step(self) -> float:
        return (self.ends[-1] - self.ends[0]) / (len(self.ends) - 1)


def seconds_per_step(backbone: str, share: int, steps: int) -> float:
    """Of a training in which this process has ``share`` images of a batch."""
    count, clock = processes.count(), Clock()
    os.environ["LOCAL_RANK"] = str(processes.rank())
    settings = TrainerSettings(max_epochs=1, accelerator="cpu", devices=count, strategy="ddp" if count > 1 else "auto")
    trainer = build_trainer(settings, root=".", bf16=False, callbacks=[clock], plugins=[], logger=False)
    trainer.fit(module(backbone), DataLoader([batch(share)] * (steps + 1), batch_size=None))
    return clock.per_step()


def _train(file: str, threads: int, share: int, steps: int) -> None:
    torch.set_num_threads(threads)
    torch.save(seconds_per_step("resnet18", share, steps), f"{file}.{processes.rank()}")


def processes_part() -> None:
    """2 x 1 against 1 x 2, in turns."""
    rates: dict[str, list[float]] = {"1 process x 2 threads": [], "2 processes x 1 thread": []}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(3):
            for number, rate in zip((1, 2), rates.values(), strict=True):
                run_on(number, _train, f"{folder}/s", 3 - number, 64 // number, 8)
                rate.append(64 / float(torch.load(f"{folder}/s.0")))
    print("processes: resnet18 at 128x64, batches of 64, three rounds")
    for name, rate in rates.items():
        print(f"  {name}  {sorted(rate)[1]:.1f} images/s (from {min(rate):.1f} to {max(rate):.1f})")
    one, two = (sorted(rate)[1] for rate in rates.values())
    print(f"  ratio {two / one:.2f}")


def _timed(work: Callable[[], Any], times: int) -> float:
    work()
    begin = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - begin) / times


def _gather(file: str) -> None:
    images, labels, _ = batch(128 // processes.count())
    feature = torch.randn(len(images), 2048, requires_grad=True)
    logits = torch.randn(len(images), IDENTITIES, requires_grad=True)

    def told() -> None:
        shares = Shares.of(images)
        shares.join(labels)
        joined = shares.join_all([feature, logits])
        torch.autograd.grad(joined, [feature, logits], [torch.ones_like(part) for part in joined])

    def drawn() -> None:
        whole = Shares.of(images).join(images)
        Augment()(whole, torch.Generator().manual_seed(0))

    alone = _timed(lambda: Augment()(images, torch.Generator().manual_seed(0)), 20)
    found = _timed(told, 50), _timed(drawn, 20) - alone, seconds_per_step("resnet50", len(images), 3)
    torch.save(found, f"{file}.{processes.rank()}")


def gathering_part() -> None:
    """In the same two processes: the gathering alone, and a whole step with it."""
    with tempfile.TemporaryDirectory() as folder:
        run_on(2, _gather, f"{folder}/s")
        told, drawn, step = torch.load(f"{folder}/s.0")
    print("gathering: resnet50 at 128x64 (2048-d), batches of 128 on 2 processes")
    print(f"  step {step:.2f} s")
    print(f"  embeddings, logits and labels, both ways: {told * 1e3:.1f} ms, {told / step:.2%} of a step (bar: 3 %)")
    print(f"  images of the others and their augmentation: {drawn * 1e3:.1f} ms, {drawn / step:.2%} of a step")


def _step(file: str, count: int, chunk: int | None) -> None:
    net = module("resnet18")
    net.embedder.backbone.eval()
    images, labels, camids = batch(count)
    before, begin = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    classify = net.embedder.classify if chunk is None else partial(classify_in_chunks, net.embedder, size=chunk)
    feature, logits, _ = classify(images.contiguous(memory_format=torch.channels_last), camids)
    net.objective(feature, logits, labels)[0].backward()
    seconds, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    gradient = torch.cat([p.grad.flatten() for p in net.embedder.parameters() if p.grad is not None])
    torch.save(((after - before) / 1024, seconds, gradient), file)


def chunks_part() -> None:
    """Each in a process of its own, from one seed."""
    print("chunks: resnet18 at 128x64, memory beyond the net's own")
    with tempfile.TemporaryDirectory() as folder:
        gradients = []
        for count, chunk in ((64, None), (512, None), (512, 64)):
            run_on(1, _step, f"{folder}/s", count, chunk)
            memory, seconds, gradient = torch.load(f"{folder}/s")
            gradients.append(gradient)
            print(f"  {count} images{f' by {chunk}' if chunk else ''}: {memory:.0f} MiB, {seconds:.1f} s")
    difference = float((gradients[2] - gradients[1]).norm() / gradients[1].norm())
    print(f"  relative difference of the gradient: {difference:.1e}")


PARTS = {"processes": processes_part, "gathering": gathering_part, "chunks": chunks_part}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    for name in parser.parse_args().only:
        PARTS[name]()


if __name__ == "__main__":
    main()
