"""Shared weights: what a convolution saves against layers that learn every position anew."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reid.anatomy.lessons.lesson import Lesson, Row
from reid.anatomy.lessons.measure import by, counted

KERNEL, STRIDE, PADDING, INPUTS, OUTPUTS = 7, 2, 3, 3, 64  # the first layer of ResNet


class LocallyConnected(nn.Module):
    """The windows of a convolution with weights of their own at each of the positions, [B, C, H, W] -> [B, D, h, w]."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.shape = (OUTPUTS, height, width)
        self.weight = nn.Parameter(torch.empty(height * width, OUTPUTS, INPUTS * KERNEL**2))
        self.bias = nn.Parameter(torch.empty(OUTPUTS, height * width))

    def forward(self, x: Tensor) -> Tensor:
        windows = F.unfold(x, KERNEL, padding=PADDING, stride=STRIDE)  # [B, C * k * k, positions]
        return (torch.einsum("bkp,pdk->bdp", windows, self.weight) + self.bias).unflatten(2, self.shape[1:])


def lesson(sizes: tuple[tuple[int, int], ...] = ((256, 128), (384, 192))) -> Lesson:
    """The first layer of ResNet for images of ``sizes``, as it is and without sharing.

    LeCun et al., Backpropagation Applied to Handwritten Zip Code Recognition, Neural Computation 1989.
    """
    table: dict[str, Row] = {}
    for height, width in sizes:
        out = (OUTPUTS, height // STRIDE, width // STRIDE)
        pixels = INPUTS * height * width
        with torch.device("meta"):  # weights are counted, not stored: the last layer would need hundreds of gigabytes
            nets: dict[str, nn.Module] = {
                "convolution": nn.Conv2d(INPUTS, OUTPUTS, KERNEL, STRIDE, PADDING),
                "locally connected": LocallyConnected(*out[1:]),
                "fully connected": nn.Sequential(
                    nn.Flatten(), nn.Linear(pixels, out[0] * out[1] * out[2]), nn.Unflatten(1, out)
                ),
            }
        for name, net in nets.items():
            a = counted(net, (INPUTS, height, width))
            table[f"{name}, {height}x{width}"] = {
                "parameters": a.parameters, "MACs": a.counted_macs, "output": by(a.layers[-1].output),
                "MiB": round(4 * a.parameters / 2**20, 2),
            }  # fmt: skip
    (conv, local, full), larger = list(table.values())[:3], list(table.values())[-3]
    return Lesson(
        "Shared weights",
        f"From an image to {OUTPUTS} maps of half its size, as the first layer of ResNet ({KERNEL}x{KERNEL}, stride "
        f"{STRIDE}): with one set of weights for all positions, with the same windows but weights of their own, and "
        "with every pixel joined to every output. MiB are those of the weights in float32.",
        "layer and image",
        table,
        f"Looking only at a window takes the fully connected layer's {full['parameters']:,} parameters down by "
        f"{full['parameters'] / local['parameters']:,.0f}; sharing it between positions takes the rest down by "
        f"{local['parameters'] / conv['parameters']:,.0f}, one for each position, to {conv['parameters']:,}. The work "
        f"of the convolution is that of the locally connected layer ({conv['MACs'] / local['MACs']:.2f} times its "
        f"MACs). For a larger image only the convolution still has {larger['parameters']:,} parameters.",
    )
