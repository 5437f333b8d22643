"""Every backbone inside the framework against the bare network: images/s and peak memory, training and inference.

    python benchmarks/backbones.py [--only NAME ...] [--size 256 128] [--batch 2] [--rounds 3] [--json FILE]

Both sides get the same uint8 images and the same weights, divide by 255, normalise, and average the last map to one
feature an image; so the work is the same, and what is left to compare is what the framework puts around a network:
  ours   ``Embedder.pooled``, the path of training and retrieval up to the BNNeck
  bare   torchvision's own module called directly, its classifier taken off; ``forward_features`` of timm's own module;
         for networks written here (OSNet, IBN-Net, BN-Inception, AlexNet of 2012, ZFNet) their stages one by one, so
         that there the ratio says nothing of how fast the network itself could be written
Training is forward, mean square of the feature, backward; no optimiser, which would be the same work on both sides.
``differ`` is the largest difference of the two features in evaluation, float32, beside the largest feature.

Each network has a process of its own. Memory is the peak of a training step above what the process held before it, in
float32 channels_last: of its resident pages (Linux), of CUDA's allocator on a GPU. Speed comes in rounds, ours and
bare in turn, the first of a round changing; a ratio is the median over rounds, 1 is the speed of bare. bfloat16 is
measured only where the processor computes with it. On a GPU there is a column more, torch.compile; not run by us yet.
One round of a slow network is one step of a small batch: where a ratio looks low, look again with --only NAME and more
--rounds before believing it.
"""

import argparse
import copy
import ctypes
import gc
import json
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torchvision
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from torch import Tensor, nn

from reid.door.arguments import backbone_of
from reid.door.command import CONFIGS
from reid.errors import UserError, unknown
from reid.models.backbones import Backbone
from reid.models.backbones.torchvision_nets import set_last_stride
from reid.models.embedder import Embedder
from reid.training.allocator import keep_freed_memory
from reid.training.settings import use_bf16

NAMES = sorted(f.stem for f in (CONFIGS / "backbone").glob("*.yaml") if f.stem != "timm")  # which is any of timm's
BAR, SECONDS = 0.97, 0.3  # a round lasts at least so long


class Bare(nn.Module):
    """What one would write by hand around ``net``: uint8 images [B, 3, H, W] -> features [B, D]."""

    mean: Tensor
    std: Tensor

    def __init__(self, net: nn.Module, features: Callable[[nn.Module, Tensor], Tensor], backbone: Backbone) -> None:
        super().__init__()
        self.net, self.features = net, features
        self.register_buffer("mean", torch.tensor(backbone.mean)[:, None, None])
        self.register_buffer("std", torch.tensor(backbone.std)[:, None, None])

    def forward(self, images: Tensor) -> Tensor:
        return self.features(self.net, (images / 255 - self.mean) / self.std).float()


def bare(backbone: Backbone, node: DictConfig) -> tuple[Bare, str]:
    """The bare network with the weights of ``backbone``, and what it is."""
    if "torchvision" in node["_target_"]:
        return Bare(_torchvision(backbone, node), lambda net, x: net(x), backbone), "torchvision"
    if "timm" in node["_target_"]:
        by_class = node.get("tokens") == "class"
        return Bare(copy.deepcopy(backbone.net), lambda net, x: _timm(net, x, by_class), backbone), "timm"
    return Bare(
        nn.Sequential(*copy.deepcopy(list(backbone.children()))), lambda net, x: net(x).mean((2, 3)), backbone
    ), "ours"


def _torchvision(backbone: Backbone, node: DictConfig) -> nn.Module:
    options: dict[str, Any] = {}
    if node.name in ("googlenet", "inception_v3"):
        options = {"aux_logits": False, "init_weights": False, "transform_input": False}
    if node.get("drop_path") is not None:
        options["stochastic_depth_prob"] = node.drop_path
    net = torchvision.models.get_model(node.name, weights=None, **options)
    set_last_stride(net, node.name, node.get("last_stride"))
    for head in ("fc", "classifier"):
        if hasattr(net, head):
            setattr(net, head, nn.Flatten(1))
    if hasattr(net, "avgpool"):
        net.avgpool = nn.AdaptiveAvgPool2d(1)  # AlexNet's and VGG's leave a map of more than one cell
    if hasattr(net, "dropout"):
        net.dropout = nn.Identity()
    own = {k: v for k, v in backbone.state_dict().items() if k in net.state_dict()}
    net.load_state_dict(own)  # strict: the other way round nothing may be missing either
    return net


def _timm(net: Any, images: Tensor, by_class: bool) -> Tensor:
    features = net.forward_features(images)
    if features.ndim == 3:
        return features[:, 0] if by_class else features[:, net.num_prefix_tokens :].mean(1)
    return features.mean((1, 2) if getattr(net, "output_fmt", "NCHW") == "NHWC" else (2, 3))


class Ours(nn.Module):
    def __init__(self, embedder: Embedder) -> None:
        super().__init__()
        self.embedder = embedder

    def forward(self, images: Tensor) -> Tensor:
        return self.embedder.pooled(images)


def step(net: nn.Module, images: Tensor, train: bool, bf16: bool) -> None:
    """One training step without an optimiser, or one batch of inference."""
    device = images.device.type
    if train:
        with torch.autocast(device, torch.bfloat16, enabled=bf16):
            feature = net(images)
        feature.float().square().mean().backward()
        net.zero_grad(set_to_none=True)
    else:
        with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=bf16):
            net(images)
    if device == "cuda":
        torch.cuda.synchronize()


def speeds(nets: dict[str, nn.Module], images: Tensor, train: bool, bf16: bool, rounds: int) -> dict[str, Any]:
    """images/s of ``ours`` and ``bare``, medians, the median ``ratio``, and all that was seen as ``rates``."""
    once = {}
    for key, net in nets.items():
        net.train(train)
        begin = time.perf_counter()
        step(net, images, train, bf16)
        if time.perf_counter() - begin < SECONDS:  # the first was mostly preparation
            begin = time.perf_counter()
            step(net, images, train, bf16)
        once[key] = time.perf_counter() - begin
    steps = math.ceil(SECONDS / min(once.values()))
    rates: dict[str, list[float]] = {key: [] for key in nets}
    for i in range(rounds if train else 2 * rounds):  # inference is shorter, so less sure
        for key in list(nets)[:: 1 if i % 2 else -1]:
            begin = time.perf_counter()
            for _ in range(steps):
                step(nets[key], images, train, bf16)
            rates[key].append(steps * len(images) / (time.perf_counter() - begin))
    ratio = statistics.median(o / b for o, b in zip(rates["ours"], rates["bare"], strict=True))
    return {**{key: statistics.median(values) for key, values in rates.items()}, "ratio": ratio, "rates": rates}


def peak_mib(net: nn.Module, images: Tensor) -> float | None:
    """MiB that a training step needs above what is held before it; None where the kernel does not tell."""
    net.train()
    step(net, images, True, False)  # what is made once
    gc.collect()
    if images.is_cuda:
        torch.cuda.reset_peak_memory_stats()
        held = torch.cuda.memory_allocated()
        step(net, images, True, False)
        return (torch.cuda.max_memory_allocated() - held) / 2**20
    try:
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
        before = _status_mib("VmRSS")
        step(net, images, True, False)
        return _status_mib("VmHWM") - before
    except (OSError, AttributeError, StopIteration):
        return None


def _status_mib(key: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 1024


def measure(name: str, size: tuple[int, int], batch: int, rounds: int) -> dict[str, Any]:
    """All figures of one network."""
    torch.manual_seed(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        node = compose("train", [f"backbone={name}", f"image.size=[{size[0]},{size[1]}]"]).backbone
    if "pretrained" in node:
        node.pretrained = False
    backbone, _ = backbone_of(node)
    by_hand, kind = bare(backbone, node)
    nets: dict[str, nn.Module] = {
        "ours": Ours(Embedder(backbone, image_size=size, num_classes=2)).to(device),
        "bare": by_hand.to(device),
    }
    images = torch.randint(256, (batch, 3, *size), dtype=torch.uint8, device=device)
    with torch.inference_mode():
        one, other = (net.eval()(images) for net in nets.values())
    found: dict[str, Any] = {
        "bare": kind,
        "parameters": sum(p.numel() for p in backbone.parameters()),
        "differ": float((one - other).abs().max() / other.abs().max()),
    }
    columns = {"fp32": (torch.contiguous_format, False), "fp32 cl": (torch.channels_last, False)}
    if use_bf16("auto", device, nn.Identity())[0]:
        columns["bf16 cl"] = (torch.channels_last, True)
    for net in nets.values():
        net.to(memory_format=torch.channels_last)
    last = images.contiguous(memory_format=torch.channels_last)
    found["memory"] = {key: peak_mib(net, last) for key, net in nets.items()}
    if device.type == "cpu":
        keep_freed_memory()  # as train.py does; both gain
    for column, (layout, bf16) in columns.items():
        for net in nets.values():
            net.to(memory_format=layout)
        given = images.contiguous(memory_format=layout)
        found[column] = {
            "train": speeds(nets, given, True, bf16, rounds), "infer": speeds(nets, given, False, bf16, rounds)
        }  # fmt: skip
    if device.type == "cuda":
        compiled: dict[str, Any] = {key: torch.compile(net) for key, net in nets.items()}
        found[f"{column} compiled"] = {
            "train": speeds(compiled, given, True, bf16, rounds), "infer": speeds(compiled, given, False, bf16, rounds)
        }  # fmt: skip
    return found


def line(name: str, found: dict[str, Any]) -> str:
    """One row: images/s of ours and the ratio to bare, for every column."""
    memory = found["memory"]
    parts = [f"{name:20s} {found['bare']:11s} {found['differ']:8.0e}"]
    parts.append("  ".join("     ?" if m is None else f"{m:6.0f}" for m in memory.values()))
    for key in (k for k, v in found.items() if isinstance(v, dict) and "train" in v):
        parts.append(
            " ".join(f"{found[key][w]['ours']:7.1f} {found[key][w]['ratio']:5.3f}" for w in ("train", "infer"))
        )
    low = [f"{k} {w}" for k, v in found.items() if isinstance(v, dict) for w in ("train", "infer")
           if w in v and v[w]["ratio"] < BAR]  # fmt: skip
    return "  | ".join(parts) + (f"   under {BAR}: {', '.join(low)}" if low else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=NAMES, metavar="NAME")
    parser.add_argument("--size", type=int, nargs=2, default=(256, 128))
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    a = parser.parse_args()
    for name in a.only:
        if name not in NAMES:
            raise unknown("--only", name, NAMES)
    if a.one:
        print(json.dumps(measure(a.only[0], (a.size[0], a.size[1]), a.batch, a.rounds)))
        return
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    bf16, why = use_bf16("auto", device, nn.Identity())
    print(
        f"{a.size[0]}x{a.size[1]}, batch {a.batch}, {a.rounds} rounds, {device}, torch {torch.__version__}, "
        f"{torch.get_num_threads()} threads; {'bf16 column: ' if bf16 else 'no bf16 column: '}{why}\n"
        "network, bare, differ | MiB of a step, ours and bare | for each column, images/s of ours and ratio to bare: "
        f"training, inference\ncolumns: fp32, fp32 channels_last{', bf16 channels_last' if bf16 else ''}"
        f"{', compiled' if device.type == 'cuda' else ''}",
        flush=True,
    )
    results: dict[str, Any] = {}
    how = ["--size", *map(str, a.size), "--batch", str(a.batch), "--rounds", str(a.rounds)]
    for name in a.only:
        command = [sys.executable, __file__, "--one", *how, "--only", name]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            results[name] = {"failed": (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]}
            print(f"{name:20s} failed: {results[name]['failed']}", flush=True)
        else:
            results[name] = json.loads(done.stdout.splitlines()[-1])
            print(line(name, results[name]), flush=True)
        if a.json:
            a.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
