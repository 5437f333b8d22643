"""How long a forward pass takes."""

from dataclasses import asdict, dataclass
from statistics import median
from time import perf_counter
from typing import Any

import torch
from torch import nn

from reid.anatomy.effective import normal_images


@dataclass(frozen=True)
class Latency:
    """Median milliseconds of a forward pass of ``batch`` images, and the images a second that makes."""

    batch: int
    milliseconds: float
    images_per_second: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@torch.inference_mode()
def latency(
    module: nn.Module, size: tuple[int, ...], batch: int, *, repeats: int, device: torch.device, dtype: torch.dtype
) -> Latency:
    """Time ``repeats`` passes after two to warm up, each waited for until the device is done."""
    images = normal_images(batch, size, seed=0).to(device, dtype)
    times = []
    for _ in range(2 + repeats):
        _wait(device)
        begin = perf_counter()
        module(images)
        _wait(device)
        times.append(1e3 * (perf_counter() - begin))
    middle = median(times[2:])
    return Latency(batch, middle, 1e3 * batch / middle)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
