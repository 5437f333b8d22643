"""Dilated convolutions: a wide view for nothing, and the holes in it."""

from torch import nn

from reid.anatomy.lessons.lesson import Lesson, Row
from reid.anatomy.lessons.measure import by, counted, field


def lesson(channels: int = 16, size: tuple[int, int] = (32, 32)) -> Lesson:
    """Single 3x3 convolutions and stacks of them without padding; holes are pixels in the field without a gradient.

    Yu and Koltun, ICLR 2016, section 2; Wang et al., Understanding Convolution for Semantic Segmentation, WACV 2018,
    section 3.2.
    """
    stacks = {
        "1": (1,), "2": (2,), "4": (4,),
        "1, 1, 1": (1, 1, 1), "2, 2, 2": (2, 2, 2), "1, 2, 4": (1, 2, 4),
    }  # fmt: skip
    table: dict[str, Row] = {}
    for name, dilations in stacks.items():
        net = nn.Sequential(*(nn.Conv2d(channels, channels, 3, dilation=d, bias=False) for d in dilations))
        a = counted(net, (channels, *size), effective_inputs=1)
        assert a.effective is not None
        assert a.effective.box is not None
        seen = int((a.effective.map > 0).sum())
        table[name] = {
            "parameters": a.parameters, "output": by(a.layers[-1].output[1:]), "field": by(field(a)),
            "pixels in it": a.effective.box, "pixels seen": seen, "seen %": 100 * seen / a.effective.box,
        }  # fmt: skip
    plain, holes, mixed = table["1, 1, 1"], table["2, 2, 2"], table["1, 2, 4"]
    return Lesson(
        "Dilation",
        f"3x3 convolutions without padding on a {by(size)} map of {channels} channels, one or three in a row. A pixel "
        "is seen if it has a gradient at the centre of the output.",
        "dilations",
        table,
        f"Three layers see {plain['field']} with dilation 1 and {mixed['field']} with 1, 2, 4, for the same "
        f"{mixed['parameters']:,} parameters. Equal dilations leave a grid of holes: 2, 2, 2 sees "
        f"{holes['pixels seen']} of the {holes['pixels in it']} pixels in its field ({holes['seen %']:.0f} %), "
        f"1, 2, 4 sees {mixed['pixels seen']} of {mixed['pixels in it']} ({mixed['seen %']:.0f} %).",
    )
