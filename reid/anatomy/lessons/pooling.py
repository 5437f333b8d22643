"""Ways to a smaller map, and how much each minds that the picture moved."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reid.anatomy.lessons.lesson import Lesson, Row
from reid.anatomy.lessons.measure import by, counted, seeded
from reid.anatomy.shift import scenes_like_nature
from reid.models.pooling import GeM


class Blur(nn.Module):
    """Every second pixel of a map [B, C, h, w] smoothed with 1 2 1 along both axes, so that none falls through."""

    def forward(self, x: Tensor) -> Tensor:
        line = torch.tensor([1.0, 2.0, 1.0]) / 4
        channels = x.shape[1]
        return F.conv2d(x, torch.outer(line, line).expand(channels, 1, 3, 3), stride=2, padding=1, groups=channels)


def lesson(
    channels: int = 32, size: tuple[int, int] = (64, 32), shifts: tuple[int, ...] = (1, 2, 4), scenes: int = 16
) -> Lesson:
    """Poolings after a random 3x3 convolution with ReLU; cosines are means over ``scenes`` pictures.

    Krizhevsky et al., NeurIPS 2012, section 3.4 (overlapping windows); Zhang, ICML 2019 (blur before subsampling);
    Radenovic et al., TPAMI 2019 (GeM).
    """
    with seeded(0):
        first = nn.Conv2d(3, channels, 3, padding=1, bias=False)
        poolings: dict[str, nn.Module] = {
            "none": nn.Identity(),
            "max 2/2": nn.MaxPool2d(2),
            "max 3/2 (AlexNet)": nn.MaxPool2d(3, 2, 1),
            "max, then blur/2 (Zhang)": nn.Sequential(nn.MaxPool2d(2, 1), Blur()),
            "average 2/2": nn.AvgPool2d(2),
            "convolution 3/2": nn.Conv2d(channels, channels, 3, 2, 1, bias=False),
            "global average": nn.AdaptiveAvgPool2d(1),
            "GeM": GeM(),
        }
    pictures = scenes_like_nature(scenes, (3, size[0], size[1] + max(shifts)), seed=0)
    alone = counted(nn.Sequential(first, nn.ReLU()), (3, *size))
    table: dict[str, Row] = {}
    for name, pooling in poolings.items():
        net = nn.Sequential(first, nn.ReLU(), pooling)
        a = counted(net, (3, *size), scenes=pictures, shifts=shifts, embed=net)
        table[name] = {
            "output": by(a.layers[-1].output), "parameters": a.parameters - alone.parameters,
            "MACs": a.counted_macs - alone.counted_macs, **{f"shift {s.pixels}": s.embedding for s in a.shifts},
        }  # fmt: skip
    one = f"shift {shifts[0]}"
    return Lesson(
        "Pooling and translation",
        f"What follows a random 3x3 convolution with ReLU, {channels} channels on a {by(size)} map. Parameters and "
        "MACs are those of the pooling. The cosine is between all that comes out for a picture with the spectrum of "
        "nature and for the same scene some pixels to the left: 1 is no change.",
        "pooling",
        table,
        f"A shift by {shifts[0]} leaves a cosine of {table['max 2/2'][one]:.3f} with max 2/2, "
        f"{table['max 3/2 (AlexNet)'][one]:.3f} with overlapping windows and "
        f"{table['max, then blur/2 (Zhang)'][one]:.3f} with a blur before subsampling; a strided convolution keeps "
        f"{table['convolution 3/2'][one]:.3f} and the map itself {table['none'][one]:.3f}. Once positions are pooled "
        f"away, even a shift by {shifts[-1]} leaves {table['global average'][f'shift {shifts[-1]}']:.4f} (average) and "
        f"{table['GeM'][f'shift {shifts[-1]}']:.4f} (GeM).",
    )
