"""Transposed convolutions: how large the map becomes, and why it may show a chequerboard."""

import torch
from torch import nn

from reid.anatomy.convolution import transposed_size, window_of
from reid.anatomy.lessons.lesson import Lesson, Row
from reid.anatomy.lessons.measure import by, counted


def lesson(channels: int = 64, size: tuple[int, int] = (16, 8)) -> Lesson:
    """Twice as large a map with transposed convolutions of stride 2, and with resizing before a convolution.

    Dumoulin and Visin, A guide to convolution arithmetic for deep learning, 2016, section 4; Odena et al.,
    Deconvolution and Checkerboard Artifacts, Distill 2016.
    """

    def larger(kernel: int, padding: int, output_padding: int = 0) -> nn.Module:
        return nn.ConvTranspose2d(channels, channels, kernel, 2, padding, output_padding, bias=False)

    nets = {
        "kernel 2": larger(2, 0),
        "kernel 3, padding 1": larger(3, 1),
        "kernel 3, padding 1, output padding 1": larger(3, 1, 1),
        "kernel 4, padding 1": larger(4, 1),
        "nearest pixel, then 3x3": nn.Sequential(
            nn.Upsample(scale_factor=2), nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        ),
    }
    table: dict[str, Row] = {}
    for name, net in nets.items():
        a = counted(net, (channels, *size))
        fewest, most = taps(net, channels)
        table[name] = {
            "height by formula": formula(net, size[0]), "output": by(a.layers[-1].output[1:]),
            "parameters": a.parameters, "MACs": a.macs, "fewest taps": fewest, "most taps": most,
        }  # fmt: skip
    three, four = table["kernel 3, padding 1, output padding 1"], table["kernel 4, padding 1"]
    resized = table["nearest pixel, then 3x3"]
    return Lesson(
        "Transposed convolution",
        f"A {by(size)} map of {channels} channels, stride 2, no biases. The formula is (n - 1) s - 2p + (k - 1) + "
        "output padding + 1. Taps are the input pixels that one output pixel away from the border gets.",
        "layer",
        table,
        f"Kernel 3 needs the output padding to double the map: {table['kernel 3, padding 1']['output']} without, "
        f"{three['output']} with it. As 2 does not divide 3, its outputs get {three['fewest taps']} to "
        f"{three['most taps']} taps in turn, which shows as a chequerboard; kernel 4 gives every one "
        f"{four['most taps']}. Resizing first gives {resized['most taps']} everywhere, for "
        f"{resized['MACs'] / three['MACs']:.0f} times the MACs of kernel 3.",
    )


def formula(net: nn.Module, n: int) -> str:
    """The calculation with its numbers in it."""
    w = window_of(net)
    if w is None:
        return f"2*{n} = {2 * n}"
    k, s, p, extra = w.kernel[0], w.stride[0], w.padding[0][0], w.output_padding[0]
    return f"({n}-1)*{s} - 2*{p} + ({k}-1) + {extra} + 1 = {transposed_size(n, k, s, p, 1, extra)}"


@torch.no_grad()
def taps(net: nn.Module, channels: int) -> tuple[int, int]:
    """Fewest and most input pixels that an output pixel gets: what comes out where all weights and pixels are 1."""
    for parameter in net.parameters():
        parameter.fill_(1)
    inside = net(torch.ones(1, channels, 16, 16))[..., 8:-8, 8:-8] / channels
    return int(inside.min()), int(inside.max())
