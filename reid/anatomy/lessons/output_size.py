"""How large the map becomes: the formula beside what came out."""

from torch import nn

from reid.anatomy.convolution import Window, output_size
from reid.anatomy.lessons.lesson import Lesson, Row
from reid.anatomy.lessons.measure import counted


def lesson() -> Lesson:
    """Layers of well-known networks, and what "same", "valid" and rounding up mean.

    Dumoulin and Visin, A guide to convolution arithmetic for deep learning, 2016, sections 2 and 5.
    """
    layers: dict[str, tuple[int, nn.Module]] = {
        "first of ResNet": (256, nn.Conv2d(1, 1, 7, 2, 3)),
        "first of AlexNet (2012)": (227, nn.Conv2d(1, 1, 11, 4)),
        "dilated": (7, nn.Conv2d(1, 1, 3, dilation=2)),
        'padding "same"': (16, nn.Conv2d(1, 1, 5, padding="same", dilation=2)),
        'padding "valid"': (16, nn.Conv2d(1, 1, 5, padding="valid", dilation=2)),
        "pooling of ResNet": (128, nn.MaxPool2d(3, 2, 1)),
        "pooling, rounded down": (112, nn.MaxPool2d(3, 2)),
        "pooling, rounded up (GoogLeNet)": (112, nn.MaxPool2d(3, 2, ceil_mode=True)),
    }
    table: dict[str, Row] = {}
    for name, (n, layer) in layers.items():
        found = counted(layer, (1, n, n)).layers[0]
        w = found.window
        assert w is not None
        k, s, p, d = w.kernel[0], w.stride[0], w.padding[0][0], w.dilation[0]
        table[name] = {
            "n": n, "k": k, "s": s, "p": p, "d": d, "calculation": calculation(n, w),
            "formula": output_size(n, k, s, p, d, ceil=w.ceil), "came out": found.output[1],
        }  # fmt: skip
    right = sum(row["formula"] == row["came out"] for row in table.values())
    same, valid = table['padding "same"'], table['padding "valid"']
    down, up = table["pooling, rounded down"], table["pooling, rounded up (GoogLeNet)"]
    return Lesson(
        "The size of the output",
        "floor((n + 2p - d(k - 1) - 1) / s) + 1 for n pixels, kernel k, stride s, padding p on either side and "
        "dilation d, and the map that PyTorch gave.",
        "layer",
        table,
        f"The formula gives what came out in {right} of {len(table)} cases. \"same\" is the padding d(k - 1) / 2 = "
        f"{same['p']} that keeps {same['n']} pixels, \"valid\" is none and leaves {valid['came out']}. Rounding up "
        f"lets a last window reach over the edge: {up['came out']} in place of {down['came out']}.",
    )  # fmt: skip


def calculation(n: int, w: Window) -> str:
    """The formula with its numbers in it."""
    k, s, p, d = w.kernel[0], w.stride[0], w.padding[0][0], w.dilation[0]
    return f"{'ceil' if w.ceil else 'floor'}(({n} + 2*{p} - {d}*{k - 1} - 1) / {s}) + 1"
